"""A file from the cache, a class-room's mirror or its public addresses, verified before anyone sees it."""

import errno
import hashlib
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path

import platformdirs
from filelock import FileLock
from tqdm.auto import tqdm

from course_utils.runtime import Unavailable
from course_utils.sources.network import CONNECTIONS, Progress, Refused, beside, download, read_text

FULL = {errno.ENOSPC: "The disk is full", errno.EDQUOT: "Your share of the disk (quota) is full"}


@dataclass(frozen=True)
class Remote:
    """A file that the course downloads: its path in cache and mirror, its sha256, and its public addresses in order.

    An address with ``#member`` is a zip archive that holds the file under that name.
    """

    path: str
    sha256: str  # or its first digits, where no more are published
    urls: tuple[str, ...]
    repacked: bool = False  # a zip that its host may pack anew: the sha256 is that of its members, not of its bytes


class DownloadError(Unavailable):
    """The file could not be had or not be kept; the message says what each address did, and what to do."""


def cache_dir() -> Path:
    """COURSE_CACHE, else the user's cache folder of this course."""
    set_to = os.environ.get("COURSE_CACHE")
    return Path(set_to or platformdirs.user_cache_dir("pretrained-models-hands-on")).expanduser()


def mirror() -> str | None:
    """COURSE_MIRROR: a class-room's copy of what the course downloads, as a folder or an http(s) address.

    Raises:
        ValueError: it is neither.
    """
    named = os.environ.get("COURSE_MIRROR", "").rstrip("/")
    if not named or named.startswith(("http://", "https://")):
        return named or None
    if not os.path.isdir(folder := os.path.expanduser(named)):
        raise ValueError(f"COURSE_MIRROR={named!r} is neither a folder nor an http(s) address.")
    return folder


def sums() -> dict[str, str]:
    """Path → sha256 of what the mirror lists in its file SHA256SUMS, or listed when it was last asked."""
    kept = cache_dir() / "SHA256SUMS"
    named = mirror()
    text = None
    try:
        if named and named.startswith("http"):
            text = read_text(f"{named}/SHA256SUMS")
        elif named:
            text = Path(named, "SHA256SUMS").read_text(encoding="utf-8")
        if text:
            kept.parent.mkdir(parents=True, exist_ok=True)
            unfinished = kept.with_suffix(f".{os.getpid()}")
            unfinished.write_text(text, encoding="utf-8")
            os.replace(unfinished, kept)
        elif kept.exists():
            text = kept.read_text(encoding="utf-8")
    except (OSError, UnicodeError):  # the list only adds to what can be had
        pass
    return {path: digest for digest, path in re.findall(r"^([0-9a-f]{64}) [ *](.+)$", text or "", re.MULTILINE)}


def fetch(remote: Remote, *, target: Path | None = None) -> Path:
    """The verified file: from the cache, else from COURSE_MIRROR, else downloaded from the first address that has it.

    A broken download goes on where it stopped, also in a later session. The file appears only when it is whole and its
    sha256 is right; until then its bytes wait in a folder ``.partial`` of the cache.

    Args:
        remote: the file.
        target: where it is to be; None: in the cache, under its path.

    Raises:
        DownloadError: no source gave the right bytes, or they cannot be kept; says what each did, and what to do.
        ValueError: COURSE_MIRROR names nothing that could be one.
    """
    progress = Progress()
    bar = tqdm(desc=Path(remote.path).name[:40], unit="B", unit_scale=True, delay=1, leave=False)

    def show(finished: int) -> None:
        if progress.have != bar.n:  # not while it is copied, or checked
            bar.total = progress.size
            bar.update(progress.have - bar.n)

    with bar:
        (path,) = _fetch_together([(remote, target)], progress, show)
    return path


def fetch_all(remotes: Sequence[Remote], *, folder: Path | None = None) -> list[Path]:
    """`fetch` for many files side by side, under one progress bar; the first failure ends it.

    Args:
        remotes: the files.
        folder: where they are to be, each under its path; None: the cache.
    """
    with tqdm(total=len(remotes), desc="files", delay=1, leave=False) as bar:
        return _fetch_together(
            [(remote, folder and folder / remote.path) for remote in remotes], Progress(), bar.update
        )


def _fetch_together(
    wanted: list[tuple[Remote, Path | None]], progress: Progress, show: Callable[[int], object]
) -> list[Path]:
    """In threads that nobody waits for once they are no longer wanted, so that Ctrl-C ends a download at once."""
    archives = set()
    pool = ThreadPool(min(CONNECTIONS, len(wanted) or 1))
    try:
        tasks = [pool.apply_async(_fetch, (*item, progress, archives)) for item in wanted]
        for task in tasks:
            while not task.ready():
                task.wait(0.2)  # Windows hears Ctrl-C only between two waits
                show(0)
            task.get()  # an error shows here
            show(1)
        for archive in archives:  # what was in them is where it belongs
            archive.unlink(missing_ok=True)
        return [task.get() for task in tasks]
    finally:
        progress.stop.set()
        pool.terminate()


def _fetch(remote: Remote, target: Path | None, progress: Progress, archives: set[Path]) -> Path:
    home = target.parent if target else cache_dir()
    target = target or home / remote.path
    partial = home / ".partial" / remote.sha256
    try:
        if _is_right(target, remote):  # before anything is written: the cache may be for reading alone
            return target
        for folder in (target.parent, partial.parent):
            folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{partial}.lock"):  # two notebooks may want the same file
            if _is_right(target, remote):
                return target
            failures = []
            for source in _sources(remote, partial, archives):
                try:
                    os.replace(_obtain(source, remote, partial, progress, archives), target)
                except Refused as refusal:
                    failures.append(f"{source}: {refusal}")
                else:
                    partial.unlink(missing_ok=True)
                    return target
                finally:
                    beside(partial).unlink(missing_ok=True)
                if progress.stop.is_set():
                    break
    except (OSError, NotImplementedError) as error:  # the latter: a disk without file locks
        number, reason = getattr(error, "errno", None), getattr(error, "strerror", None) or str(error)
        if number in FULL:
            partial.unlink(missing_ok=True)
            raise DownloadError(
                f"{FULL[number]}: {remote.path} does not fit in {home}. Free some space, or set COURSE_CACHE to a "
                "folder on another disk"
            ) from None
        where = getattr(error, "filename", None) or partial
        raise DownloadError(
            f"{remote.path} cannot be kept in {home}: {where}: {reason}. Mend that, or set COURSE_CACHE to a folder "
            "that you may write to"
        ) from error
    raise DownloadError(
        f"{remote.path} could not be had. Tried {'; '.join(failures)}. Check the network and try again, set "
        "COURSE_MIRROR to a folder or address that has the file, or COURSE_SOURCE=bundled to do without it"
    )


def _sources(remote: Remote, partial: Path, archives: set[Path]) -> list[str]:
    """The mirror, then the public addresses; of these, those first whose archive is here already."""
    named = mirror()
    urls = sorted(remote.urls, key=lambda url: _archive(url, partial) not in archives)
    return [*([f"{named}/{remote.path}"] if named else []), *urls]


def _archive(url: str, partial: Path) -> Path:
    return partial.with_name(hashlib.sha256(url.partition("#")[0].encode()).hexdigest() + ".archive")


def _obtain(source: str, remote: Remote, partial: Path, progress: Progress, archives: set[Path]) -> Path:
    """A file beside `partial` with the right bytes, from one source.

    Raises:
        Refused: this source does not give it.
        OSError: the disk is full, or cannot be written.
    """

    def right(path: Path) -> Path:
        actual = _checksum(path, remote)
        if not actual.startswith(remote.sha256):
            raise Refused(f"its bytes have sha256 {actual} instead of {remote.sha256}, and were not kept")
        return path

    address, _, member = source.partition("#")
    if not address.startswith(("http://", "https://")):
        return right(_copy(source, beside(partial)))
    if not member:
        return download(address, partial, right, progress)
    # One archive serves all files that are in it: the first of these brings it, and it goes when all are there.
    archive = _archive(address, partial)
    with FileLock(f"{archive}.lock"):
        file = download(address, archive, lambda path: right(_extract(path, member, beside(partial))), progress)
    archives.add(archive)
    return file


def _copy(source: str, path: Path) -> Path:
    if not os.path.isfile(source):  # nor a folder, nor a link to itself
        raise Refused("no such file")
    with path.open("wb") as copy:
        try:
            with open(source, "rb") as file:
                shutil.copyfileobj(file, copy)
        except OSError as error:
            if error.errno in FULL:
                raise
            raise Refused(error.strerror) from error
    return path


def _extract(archive: Path, member: str, path: Path) -> Path:
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(member) as file, path.open("wb") as copy:
            shutil.copyfileobj(file, copy)
    except KeyError:
        raise Refused("no such file in it") from None
    except Exception as error:  # damaged archives make zipfile raise nearly anything
        if getattr(error, "errno", None) in FULL:
            raise
        raise Refused(f"its archive is damaged ({error})") from error
    return path


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_right(path: Path, remote: Remote) -> bool:
    return path.is_file() and _checksum(path, remote).startswith(remote.sha256)


def _checksum(path: Path, remote: Remote) -> str:
    if not remote.repacked:
        return sha256(path)
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                digest.update(name.encode() + b"\0" + hashlib.sha256(archive.read(name)).digest())
    except Exception:  # whatever a damaged archive makes zipfile raise: it is not the one that is wanted
        return sha256(path)
    return digest.hexdigest()
