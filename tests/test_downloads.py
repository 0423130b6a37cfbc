"""A download ends in a verified file or in one clear sentence, whatever the server, the disk or the user does."""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from course_utils.sources import download as datasets
from course_utils.sources.download import DownloadError, Remote, fetch, unpack

CONTENT = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """A file server on 127.0.0.1 whose paths name how it misbehaves; a path misbehaves `times` times, then is good."""

    def __init__(self):
        self.requests = []  # (path, Range header)
        self.times = {}
        self.sent_half = threading.Event()
        self.closing = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append((self.path, self.headers.get("Range")))
                misbehaves = outer.times.get(self.path, 10**6) > 0
                outer.times[self.path] = outer.times.get(self.path, 10**6) - 1
                outer.answer(self, self.path.strip("/") if misbehaves else "good")

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def answer(self, handler, behaviour):
        if behaviour.isdigit():
            return handler.send_error(int(behaviour))
        if behaviour == "redirect":
            handler.send_response(302)
            handler.send_header("Location", f"{self.address}/good")
            return handler.end_headers()
        content = self.archive if behaviour == "archive.zip" else CONTENT
        if behaviour == "corrupt":
            content = b"x" + content[1:]
        start = 0
        if (wanted := handler.headers.get("Range")) and behaviour != "no-ranges":
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                return handler.send_error(416)
        handler.send_response(206 if start else 200)
        if behaviour != "short":
            handler.send_header("Content-Length", str(len(content) - start))
        handler.end_headers()
        half = content[start : start + (len(content) - start) // 2]
        if behaviour in ("truncate", "short", "stall"):
            handler.wfile.write(half)
            handler.wfile.flush()
            self.sent_half.set()
            if behaviour == "stall":
                self.closing.wait(60)
        else:
            handler.wfile.write(content[start:])


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(datasets, "TIMEOUT", (1, 1))
    server = Server()
    yield server
    server.closing.set()
    server.http.shutdown()
    server.http.server_close()


def remote(server, *behaviours, sha256=SHA256):
    return Remote("folder/file.bin", sha256, tuple(f"{server.address}/{b}" for b in behaviours))


def verified_files(cache):
    """What a reader of the cache would take for data: all but the folder of unfinished downloads."""
    return [p for p in cache.rglob("*") if p.is_file() and ".partial" not in p.parts]


def assert_cache_is_clean(cache):
    for path in verified_files(cache):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == SHA256


def test_a_good_download_is_verified_cached_and_not_repeated(server, cache):
    for _ in range(2):
        assert fetch(remote(server, "good")).read_bytes() == CONTENT
    assert len(server.requests) == 1
    assert verified_files(cache) == [cache / "folder/file.bin"]


def test_a_redirect_is_followed(server, cache):
    assert fetch(remote(server, "redirect")).read_bytes() == CONTENT


@pytest.mark.parametrize("status", ["403", "404", "500"])
def test_a_refusal_is_named_and_the_second_try_succeeds(server, cache, status):
    server.times[f"/{status}"] = 1
    with pytest.raises(DownloadError, match=rf"file\.bin could not be had.*answered {status}.*COURSE_MIRROR") as error:
        fetch(remote(server, status))
    assert f"{server.address}/{status}" in str(error.value)
    assert verified_files(cache) == []
    assert fetch(remote(server, status)).read_bytes() == CONTENT


def test_the_next_address_is_asked_when_one_fails(server, cache):
    assert fetch(remote(server, "404", "corrupt", "good")).read_bytes() == CONTENT
    assert [path for path, _ in server.requests] == ["/404", "/corrupt", "/good"]


def test_wrong_bytes_are_deleted_and_both_sums_named(server, cache):
    server.times["/corrupt"] = 1
    wrong = hashlib.sha256(b"x" + CONTENT[1:]).hexdigest()
    with pytest.raises(DownloadError, match=f"sha256 {wrong} instead of {SHA256}, and was deleted"):
        fetch(remote(server, "corrupt"))
    assert [p for p in cache.rglob("*") if p.is_file() and p.suffix != ".lock"] == []
    assert fetch(remote(server, "corrupt")).read_bytes() == CONTENT


def test_a_connection_that_dies_half_way_is_resumed_at_once(server, cache):
    server.times["/truncate"] = 1
    assert fetch(remote(server, "truncate")).read_bytes() == CONTENT
    assert server.requests == [("/truncate", None), ("/truncate", f"bytes={len(CONTENT) // 2}-")]


def test_a_server_that_always_dies_half_way_fails_with_what_to_do(server, cache):
    with pytest.raises(DownloadError, match="connection failed.*Check the network"):
        fetch(remote(server, "truncate"))
    assert verified_files(cache) == []
    assert fetch(remote(server, "good")).read_bytes() == CONTENT
    assert server.requests[-1][1] is not None  # what had come was kept


def test_a_short_answer_that_pretends_to_be_whole_is_refused(server, cache):
    server.times["/short"] = 1
    with pytest.raises(DownloadError, match="sha256"):
        fetch(remote(server, "short"))
    assert fetch(remote(server, "short")).read_bytes() == CONTENT


def test_a_stalled_download_is_given_up_and_resumed(server, cache):
    server.times["/stall"] = 1
    assert fetch(remote(server, "stall")).read_bytes() == CONTENT
    assert server.requests[-1] == ("/stall", f"bytes={len(CONTENT) // 2}-")


def test_a_server_without_ranges_is_asked_for_the_whole(server, cache):
    partial = cache / ".partial" / SHA256
    partial.parent.mkdir(parents=True)
    partial.write_bytes(CONTENT[:1000])
    assert fetch(remote(server, "no-ranges")).read_bytes() == CONTENT


def test_a_remnant_longer_than_the_file_is_dropped(server, cache):
    partial = cache / ".partial" / SHA256
    partial.parent.mkdir(parents=True)
    partial.write_bytes(CONTENT + b"more")
    assert fetch(remote(server, "good")).read_bytes() == CONTENT


def test_a_damaged_cached_file_is_replaced(server, cache):
    path = fetch(remote(server, "good"))
    path.write_bytes(b"damaged")
    assert fetch(remote(server, "good")).read_bytes() == CONTENT


def test_a_kill_leaves_only_verified_files_and_the_next_session_resumes(server, cache):
    code = (
        "from course_utils.sources.download import Remote, fetch\n"
        f"fetch(Remote('folder/file.bin', '{SHA256}', ('{server.address}/stall',)))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "COURSE_CACHE": str(cache)})
    assert server.sent_half.wait(60)
    partial = cache / ".partial" / SHA256
    while not partial.exists() or not partial.stat().st_size:
        assert process.poll() is None
    process.kill()
    process.wait()
    assert verified_files(cache) == []
    kept = partial.stat().st_size
    assert fetch(remote(server, "good")).read_bytes() == CONTENT
    assert server.requests[-1] == ("/good", f"bytes={kept}-")


def test_no_server_at_all(cache):
    with pytest.raises(DownloadError, match="connection failed.*COURSE_SOURCE=bundled"):
        fetch(Remote("folder/file.bin", SHA256, ("http://127.0.0.1:9/file.bin",)))


def test_the_mirror_is_asked_first_as_a_folder_and_as_an_address(server, cache, tmp_path, monkeypatch):
    (tmp_path / "mirror/folder").mkdir(parents=True)
    (tmp_path / "mirror/folder/file.bin").write_bytes(CONTENT)
    monkeypatch.setenv("COURSE_MIRROR", str(tmp_path / "mirror"))
    path = fetch(remote(server, "good"))
    assert path.read_bytes() == CONTENT and server.requests == []

    path.unlink()
    monkeypatch.setenv("COURSE_MIRROR", f"{server.address}/mirror/")
    server.times["/mirror/folder/file.bin"] = 0
    fetch(remote(server, "good"))
    assert server.requests == [("/mirror/folder/file.bin", None)]


def test_a_mirror_without_the_file_or_with_other_bytes_is_passed_over(server, cache, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_MIRROR", str(tmp_path))
    fetch(remote(server, "good")).unlink()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file.bin").write_bytes(b"other bytes")
    assert fetch(remote(server, "good")).read_bytes() == CONTENT
    assert (tmp_path / "folder/file.bin").read_bytes() == b"other bytes"  # a class-room's own file is never deleted


def test_a_mirror_that_does_not_exist_is_named(server, cache, monkeypatch):
    monkeypatch.setenv("COURSE_MIRROR", "/no/such/folder")
    with pytest.raises(ValueError, match="COURSE_MIRROR='/no/such/folder' is neither a folder nor"):
        fetch(remote(server, "good"))


@pytest.mark.linux
def test_a_full_disk_is_named_and_nothing_half_written_stays(server, cache):
    partial = cache / ".partial" / SHA256
    partial.parent.mkdir(parents=True)
    partial.symlink_to("/dev/full")  # every write to this device fails with "no space left"
    with pytest.raises(OSError, match=r"The disk is full: folder/file\.bin does not fit.*COURSE_CACHE"):
        fetch(remote(server, "good"))
    assert verified_files(cache) == [] and not partial.is_symlink()
    assert fetch(remote(server, "good")).read_bytes() == CONTENT


def test_a_member_of_an_archive_serves_as_the_file(server, cache):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a folder/file.bin", CONTENT)
    server.archive = buffer.getvalue()
    assert fetch(remote(server, "archive.zip#a folder/file.bin")).read_bytes() == CONTENT
    with pytest.raises(DownloadError, match="no such file"):
        fetch(remote(server, "archive.zip#another", sha256="0" * 64))
    # an archive that had come whole before a session was killed
    (cache / "folder/file.bin").unlink()
    (cache / ".partial" / f"{SHA256}.archive").write_bytes(server.archive)
    assert fetch(remote(server, "archive.zip#a folder/file.bin")).read_bytes() == CONTENT
    assert [p.name for p in (cache / ".partial").iterdir() if p.suffix != ".lock"] == []


# ------------------------------------------------------------------------------------------- archives


def make_zip(path, name, mode=0o100644):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("good.txt", "good")
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, "/etc/passwd")


def make_tar(path, name, kind=tarfile.REGTYPE):
    with tarfile.open(path, "w:gz") as archive:
        for member, member_kind in (("good.txt", tarfile.REGTYPE), (name, kind)):
            info = tarfile.TarInfo(member)
            info.type, info.linkname = member_kind, "/etc/passwd"
            archive.addfile(info, io.BytesIO())


@pytest.mark.parametrize("name", ["../evil.txt", "/tmp/evil.txt", "a/../../evil.txt", "..\\evil.txt", "C:\\evil.txt"])
@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_members_that_would_leave_the_folder_are_refused(tmp_path, make, name):
    make(tmp_path / "archive", name)
    with pytest.raises(ValueError, match="archive was not unpacked: its member"):
        unpack(tmp_path / "archive", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["archive"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    make_tar(tmp_path / "archive", "link", kind)
    with pytest.raises(ValueError, match="its member 'link' is a link"):
        unpack(tmp_path / "archive", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_links_in_a_zip_are_refused(tmp_path):
    make_zip(tmp_path / "archive", "link", mode=0o120777)
    with pytest.raises(ValueError, match="its member 'link' is a link"):
        unpack(tmp_path / "archive", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_a_good_archive_is_unpacked_whole_and_only_once(tmp_path, make):
    make(tmp_path / "archive", "folder/file.txt")
    out = unpack(tmp_path / "archive", tmp_path / "out")
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*")) == ["folder", "folder/file.txt", "good.txt"]
    with pytest.raises(FileExistsError, match="delete it to unpack"):
        unpack(tmp_path / "archive", tmp_path / "out")
