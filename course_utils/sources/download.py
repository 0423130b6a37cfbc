"""A file from the cache, a class-room's mirror or its public address, verified before anyone sees it."""

import errno
import hashlib
import os
import shutil
import stat
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import platformdirs
import pooch
import requests
from filelock import FileLock
from tqdm.auto import tqdm

from course_utils.runtime import Unavailable

TIMEOUT = (5, 30)  # seconds to connect, and between two pieces of an answer
PROBE_SECONDS = 3
ATTEMPTS = 5  # at one address, as long as each brings more of the file than the one before


@dataclass(frozen=True)
class Remote:
    """A file that the course downloads: its path in cache and mirror, its sha256, and its public addresses in order.

    An address with ``#member`` is an archive that holds the file under that name.
    """

    path: str
    sha256: str
    urls: tuple[str, ...]
    repacked: bool = False  # a zip that its host may pack anew: the sha256 is that of its members, not of its bytes


class DownloadError(Unavailable):
    """No address gave the file with the right bytes; the message lists what each one did."""


@lru_cache
def reachable(url: str) -> bool:
    """Whether a server has something at this address, asked once a session and for at most PROBE_SECONDS.

    A thread bounds the wait: behind some firewalls the name look-up, which no timeout covers, takes half a minute.
    """
    answers = []

    def ask():
        try:
            # a firewall's page of refusal answers too, but not with 200
            answers.append(requests.head(url, timeout=PROBE_SECONDS, allow_redirects=True).status_code == 200)
        except requests.RequestException:
            answers.append(False)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    return answers == [True]


def cache_dir() -> Path:
    """COURSE_CACHE, else the user's cache folder of this course."""
    return Path(os.environ.get("COURSE_CACHE") or platformdirs.user_cache_dir("pretrained-models-hands-on"))


def fetch(remote: Remote, *, progress: bool = True) -> Path:
    """The verified file: from the cache, else from COURSE_MIRROR, else downloaded from the first address that has it.

    A broken download goes on where it stopped, also in a later session. The file appears in the cache only when it is
    whole and its sha256 is right; until then its bytes wait in the cache's folder ``.partial``.

    Raises:
        DownloadError: no source gave the right bytes; says what each did, and what to do.
        OSError: the disk is full, or the cache cannot be written.
    """
    target = cache_dir() / remote.path
    partial = cache_dir() / ".partial" / remote.sha256
    try:
        for folder in (target.parent, partial.parent):
            folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{partial}.lock"):  # two notebooks may want the same file
            if target.exists() and _checksum(target, remote) == remote.sha256:
                return target
            failures = []
            for source in [*_mirrors(remote.path), *remote.urls]:
                if failure := _obtain(source, partial, remote, progress):
                    failures.append(f"{source}: {failure}")
                else:
                    os.replace(partial, target)
                    return target
    except OSError as error:
        if error.errno == errno.ENOSPC:
            for leftover in (partial, partial.with_suffix(".archive")):
                leftover.unlink(missing_ok=True)
            raise OSError(
                errno.ENOSPC,
                f"The disk is full: {remote.path} does not fit in {cache_dir()}. Free some space, or set COURSE_CACHE "
                "to a folder on another disk",
            ) from None
        raise
    raise DownloadError(
        f"{remote.path} could not be had. Tried " + "; ".join(failures) + ". Check the network and try again, set "
        "COURSE_MIRROR to a folder or address that has the file, or COURSE_SOURCE=bundled to do without it."
    )


def fetch_all(remotes: Sequence[Remote]) -> list[Path]:
    """`fetch` for many files, 16 at a time, under one progress bar; the first failure ends it."""
    with ThreadPoolExecutor(16) as pool:
        tasks = [pool.submit(fetch, remote, progress=False) for remote in remotes]
        try:
            bar = tqdm(tasks, desc="files", delay=1, leave=False)
            return [task.result() for task in bar]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _mirrors(path: str) -> list[str]:
    mirror = os.environ.get("COURSE_MIRROR")
    if not mirror:
        return []
    if not mirror.startswith(("http://", "https://")) and not Path(mirror).is_dir():
        raise ValueError(f"COURSE_MIRROR={mirror!r} is neither a folder nor an http(s) address.")
    return [f"{mirror.rstrip('/')}/{path}"]


def _obtain(source: str, partial: Path, remote: Remote, progress: bool) -> str | None:
    """Bring the file to `partial` and check its bytes; None where that worked, else what went wrong, in a few words."""
    waiting = partial.with_suffix(".archive") if "#" in source else partial  # what a download goes on from
    for _ in range(ATTEMPTS):
        kept = waiting.stat().st_size if waiting.exists() else 0
        try:
            if not source.startswith(("http://", "https://")):
                shutil.copyfile(source, partial)
            elif "#" in source:
                _download_member(*source.split("#"), partial, progress)
            else:
                download(source, partial, progress)
        except FileNotFoundError:
            return "no such file"
        except requests.RequestException as error:
            status = error.response.status_code if error.response is not None else None
            failure = f"the server answered {status}" if status else f"the connection failed ({type(error).__name__})"
            if status == 416:  # what was kept from an earlier try is no beginning of this file: start anew
                waiting.unlink(missing_ok=True)
            elif not waiting.exists() or waiting.stat().st_size <= kept:
                return failure  # nothing came, so asking again would not help
        except (ValueError, KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
            return str(error)
        else:
            actual = _checksum(partial, remote)
            if actual == remote.sha256:
                return None
            partial.unlink()
            failure = f"it has sha256 {actual} instead of {remote.sha256}, and was deleted"
            if not kept:
                return failure  # all bytes came from here, and they are wrong
    return failure


def download(url: str, path: Path, progress: bool = True) -> None:
    """Append to `path` what it still lacks of the file at this address (pooch alone would start from its beginning).

    Raises:
        requests.RequestException: the server refuses, or the connection breaks; what came until then is kept.
    """
    kept = path.stat().st_size if path.exists() else 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={kept}-"} if kept else {})
    with path.open("ab") as file:
        pooch.HTTPDownloader(progressbar=progress, chunk_size=2**16, timeout=TIMEOUT, headers=headers)(url, file, None)


def _download_member(url: str, member: str, path: Path, progress: bool) -> None:
    archive = path.with_suffix(".archive")
    download(url, archive, progress)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        try:
            unpack(archive, Path(folder) / "unpacked")
        finally:
            archive.unlink()
        os.replace(Path(folder) / "unpacked" / member, path)


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a zip or tar file into a folder that does not exist yet; the folder appears whole or not at all.

    Raises:
        ValueError: a member is a link or a device, or its name would leave the folder.
        FileExistsError: the folder exists.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists: delete it to unpack {archive.name} again.")
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as file:
                for member in file.infolist():
                    mode = member.external_attr >> 16
                    _refuse_unsafe(archive, member.filename, stat.S_IFMT(mode) in (0, stat.S_IFREG, stat.S_IFDIR))
                file.extractall(temporary)
        else:
            with tarfile.open(archive) as file:
                for member in file.getmembers():
                    _refuse_unsafe(archive, member.name, member.isfile() or member.isdir())
                file.extractall(temporary, filter="data")
        os.chmod(temporary, 0o755)
        os.rename(temporary, folder)
        Path(temporary).mkdir()  # for the context manager to remove
    return folder


def _refuse_unsafe(archive: Path, name: str, is_plain: bool) -> None:
    parts = name.replace("\\", "/").split("/")
    if not is_plain or ".." in parts or parts[0] == "" or ":" in parts[0]:
        raise ValueError(f"{archive.name} was not unpacked: its member {name!r} is a link or would leave the folder.")


def _checksum(path: Path, remote: Remote) -> str:
    if not remote.repacked or not zipfile.is_zipfile(path):
        return pooch.file_hash(str(path))
    digest = hashlib.sha256()
    with zipfile.ZipFile(path) as archive:
        for name in sorted(archive.namelist()):
            digest.update(name.encode() + b"\0" + hashlib.sha256(archive.read(name)).digest())
    return digest.hexdigest()
