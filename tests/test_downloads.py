"""A download ends in a verified file or in one clear sentence, whatever the server, the disk or the user does."""

import errno
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile

import pytest
from bad_server import CONTENT, HALF, MEMBER, SHA256, Server, zipped

from course_utils.sources import download as datasets
from course_utils.sources import network
from course_utils.sources.download import DownloadError, Remote, fetch, fetch_all


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(network, "TIMEOUT", (1, 0.4))
    monkeypatch.setattr(network, "BACKOFF", 0.01)
    network._session.cache_clear()
    server = Server()
    yield server
    server.close()
    network._session.cache_clear()


def remote(server, *behaviours, sha256=SHA256):
    return Remote("folder/file.bin", sha256, tuple(f"{server.address}/{b}/file.bin" for b in behaviours))


def from_archive(server, *behaviours, member=MEMBER, sha256=SHA256, path="folder/file.bin"):
    return Remote(path, sha256, tuple(f"{server.address}/{b}/archive.zip#{member}" for b in behaviours))


def keep(cache, content, name=SHA256):
    """What an earlier session left unfinished."""
    partial = cache / ".partial" / name
    partial.parent.mkdir(parents=True, exist_ok=True)
    partial.write_bytes(content)
    return partial


def asked(server):
    return [path.split("/")[1] for path, _ in server.requests]


def verified_files(cache):
    """What a reader of the cache would take for data: all but the folder of unfinished downloads."""
    return [p for p in cache.rglob("*") if p.is_file() and ".partial" not in p.parts]


def leftovers(cache):
    return [p.name for p in cache.rglob("*") if p.is_file() and ".partial" in p.parts and p.suffix != ".lock"]


def test_a_good_download_is_verified_cached_and_not_repeated(server, cache):
    for _ in range(2):
        assert fetch(remote(server, "good")).read_bytes() == CONTENT
    assert len(server.requests) == 1
    assert verified_files(cache) == [cache / "folder/file.bin"] and leftovers(cache) == []


def test_a_redirect_is_followed(server, cache):
    assert fetch(remote(server, "redirect")).read_bytes() == CONTENT


@pytest.mark.parametrize("status", ["403", "404"])
def test_a_refusal_is_named_and_not_repeated(server, cache, status):
    with pytest.raises(DownloadError, match=rf"file\.bin could not be had.*answered {status}.*COURSE_MIRROR") as error:
        fetch(remote(server, status))
    assert f"{server.address}/{status}/file.bin" in str(error.value)
    assert asked(server) == [status] and verified_files(cache) == leftovers(cache) == []


@pytest.mark.parametrize("fault", ["429", "500", "502", "503", "504", "closed", "reset", "busy", "busy-nonsense"])
def test_a_hiccup_is_waited_out(server, cache, fault):
    server.times[f"/{fault}/file.bin"] = 2
    assert fetch(remote(server, fault, "404")).read_bytes() == CONTENT
    assert asked(server) == [fault] * 3


def test_retry_after_is_respected(server, cache):
    server.times["/busy-until/file.bin"] = server.times["/busy/file.bin"] = 1
    for fault in ("busy", "busy-until"):
        start = time.monotonic()
        fetch(remote(server, fault)).unlink()
        assert 0.5 < time.monotonic() - start < 5 or fault == "busy-until"  # a date has whole seconds
    assert asked(server) == ["busy", "busy", "busy-until", "busy-until"]


def test_nobody_waits_for_an_hour(server, cache):
    assert fetch(remote(server, "busy-for-an-hour", "good")).read_bytes() == CONTENT
    assert asked(server) == ["busy-for-an-hour", "good"]
    (cache / "folder/file.bin").unlink()
    with pytest.raises(DownloadError, match="the server answered 429, to ask again in 3600"):
        fetch(remote(server, "busy-for-an-hour"))


@pytest.mark.parametrize("fault", ["429", "503", "reset", "stall"])
def test_patience_has_an_end_and_then_the_next_address_is_asked(server, cache, fault):
    assert fetch(remote(server, fault, "good")).read_bytes() == CONTENT
    assert 2 <= asked(server).count(fault) <= 6 and asked(server)[-1] == "good"


def test_a_name_that_nobody_knows_is_looked_up_once(cache, monkeypatch):
    looked_up = []

    def look_up(host, *rest):
        looked_up.append(host)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(DownloadError, match="its name is not known here"):
        fetch(Remote("a.bin", SHA256, ("https://course.invalid/a.bin",)))
    assert looked_up == ["course.invalid"]


def test_one_hiccup_in_many_files_is_no_failure(server, cache):
    names = [f"{i:03}.bin" for i in range(60)]
    for name in names:
        server.files[name] = CONTENT[:1000] + name.encode()
    server.times |= {f"/429/{name}": 1 if name == "030.bin" else 0 for name in names}
    wanted = [
        Remote(f"many/{n}", hashlib.sha256(server.files[n]).hexdigest(), (f"{server.address}/429/{n}",)) for n in names
    ]
    assert [path.name for path in fetch_all(wanted)] == names
    assert len(server.requests) == 61


def test_the_next_address_is_asked_when_one_fails(server, cache):
    assert fetch(remote(server, "404", "corrupt", "good")).read_bytes() == CONTENT
    assert asked(server) == ["404", "corrupt", "good"]


def test_wrong_bytes_are_deleted_and_both_sums_named(server, cache):
    server.times["/corrupt/file.bin"] = 1
    wrong = hashlib.sha256(b"x" + CONTENT[1:]).hexdigest()
    with pytest.raises(DownloadError, match=f"sha256 {wrong} instead of {SHA256}, and were not kept"):
        fetch(remote(server, "corrupt"))
    assert verified_files(cache) == leftovers(cache) == []
    assert fetch(remote(server, "corrupt")).read_bytes() == CONTENT


def test_a_connection_that_dies_half_way_is_resumed_at_once(server, cache):
    server.times["/truncate/file.bin"] = 1
    assert fetch(remote(server, "truncate")).read_bytes() == CONTENT
    assert server.requests == [("/truncate/file.bin", None), ("/truncate/file.bin", f"bytes={HALF}-")]


def test_a_server_that_always_dies_half_way_fails_with_what_to_do(server, cache):
    with pytest.raises(DownloadError, match="connection failed.*Check the network"):
        fetch(remote(server, "truncate"))
    assert verified_files(cache) == []
    assert fetch(remote(server, "good")).read_bytes() == CONTENT
    assert server.requests[-1][1] is not None  # what had come was kept


def test_a_short_answer_that_pretends_to_be_whole_is_refused(server, cache):
    server.times["/short/file.bin"] = 1
    with pytest.raises(DownloadError, match="sha256"):
        fetch(remote(server, "short"))
    assert fetch(remote(server, "short")).read_bytes() == CONTENT


def test_a_stalled_download_is_given_up_and_resumed(server, cache):
    server.times["/stall/file.bin"] = 1
    assert fetch(remote(server, "stall")).read_bytes() == CONTENT
    assert server.requests[-1] == ("/stall/file.bin", f"bytes={HALF}-")


@pytest.mark.parametrize(("fault", "words"), [("drip", "connection failed"), ("endless", "the answer has no end")])
def test_what_never_ends_is_broken_off(server, cache, monkeypatch, fault, words):
    monkeypatch.setattr(network, "LARGEST", 3 * len(CONTENT))
    with pytest.raises(DownloadError, match=words):
        fetch(remote(server, fault))
    assert verified_files(cache) == [] and fetch(remote(server, "good")).read_bytes() == CONTENT


# --- what an earlier download left


@pytest.mark.parametrize("fault", ["no-ranges", "gzip"])
def test_a_server_that_sends_the_whole_instead_of_the_rest_makes_no_file_grow(server, cache, fault):
    keep(cache, CONTENT[:1000])
    assert fetch(remote(server, fault)).read_bytes() == CONTENT
    assert asked(server) == [fault] and leftovers(cache) == []


@pytest.mark.parametrize("fault", ["html", "416", "404", "503", "corrupt-end", "html-as-rest", "empty", "closed"])
def test_a_half_fetched_file_survives_what_a_server_sends_instead(server, cache, fault):
    partial = keep(cache, CONTENT[:HALF])
    with pytest.raises(DownloadError):
        fetch(remote(server, fault))
    assert partial.read_bytes() == CONTENT[:HALF]
    assert fetch(remote(server, "good")).read_bytes() == CONTENT
    assert server.requests[-1] == ("/good/file.bin", f"bytes={HALF}-")


def test_what_a_killed_attempt_left_beside_it_is_no_beginning_of_the_file(server, cache):
    partial = keep(cache, CONTENT[:1000])
    network.beside(partial).write_bytes(b"x" * 5000)
    with pytest.raises(DownloadError):
        fetch(remote(server, "closed"))
    assert partial.read_bytes() == CONTENT[:1000]


def test_a_web_page_is_named(server, cache):
    with pytest.raises(DownloadError, match="sent a web page instead"):
        fetch(remote(server, "html"))


@pytest.mark.parametrize("remnant", [b"", b"no beginning of it", CONTENT[:-1] + b"x", CONTENT + b"more", CONTENT])
@pytest.mark.parametrize("server_is", ["good", "no-ranges", "wrong-range"])
def test_a_remnant_of_any_kind_ends_in_the_right_file(server, cache, remnant, server_is):
    keep(cache, remnant)
    assert fetch(remote(server, server_is)).read_bytes() == CONTENT
    assert leftovers(cache) == [] and (remnant != CONTENT or server.requests == [])


def test_a_damaged_cached_file_is_replaced(server, cache):
    path = fetch(remote(server, "good"))
    path.write_bytes(b"damaged")
    assert fetch(remote(server, "good")).read_bytes() == CONTENT


@pytest.mark.parametrize("place", [0, 30, 200, HALF, -30, -5])
def test_a_damaged_cached_archive_is_replaced_whatever_is_damaged(server, cache, place):
    """Headers, names, compressed bytes, checksums, the list at the end: each makes zipfile raise something else."""
    server.files["archive.zip"] = zipped(zipfile.ZIP_DEFLATED)
    sums = hashlib.sha256(MEMBER.encode() + b"\0" + hashlib.sha256(CONTENT).digest()).hexdigest()
    wanted = Remote("folder/archive.zip", sums, (f"{server.address}/good/archive.zip",), repacked=True)
    path = fetch(wanted)
    damaged = bytearray(server.files["archive.zip"])
    place = min(place, len(damaged) // 2)
    damaged[place : place + 4] = bytes(b ^ 0xFF for b in damaged[place : place + 4])
    path.write_bytes(damaged)
    assert fetch(wanted).read_bytes() == server.files["archive.zip"]
    path.write_bytes(zipped())  # packed anew, with the same members
    assert fetch(wanted).read_bytes() == zipped() and len(server.requests) == 2


def run(code, cache, **options):
    code = "from course_utils.sources.download import Remote, fetch, fetch_all\n" + code
    return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "COURSE_CACHE": str(cache)}, **options)


def test_a_kill_leaves_only_verified_files_and_the_next_session_resumes(server, cache):
    process = run(f"fetch(Remote('folder/file.bin', '{SHA256}', ('{server.address}/stall/file.bin',)))", cache)
    assert server.sent_half.wait(60)
    partial = cache / ".partial" / SHA256
    while not partial.exists() or not partial.stat().st_size:
        assert process.poll() is None
    process.kill()
    process.wait()
    assert verified_files(cache) == []
    kept = partial.stat().st_size
    assert fetch(remote(server, "good")).read_bytes() == CONTENT
    assert server.requests[-1] == ("/good/file.bin", f"bytes={kept}-")


@pytest.mark.linux  # Windows cannot send Ctrl-C to one process alone
@pytest.mark.parametrize("hangs", ["a server", "the look-up of names"])
def test_ctrl_c_ends_at_once(server, cache, hangs):
    url, wanted = f"{server.address}/stall/file.bin", "fetch_all([Remote(str(i), '0' * 64, (url,)) for i in range(50)])"
    if hangs == "the look-up of names":
        url, wanted = "http://course.invalid/a", "fetch(Remote('a', '0' * 64, (url,)))"
    code = (
        "import socket, time\n"
        "def look_up(*a):\n"
        "    print('it hangs', flush=True)\n"
        "    time.sleep(600)\n"
        f"if 'invalid' in (url := '{url}'):\n"
        "    socket.getaddrinfo = look_up\n"
        f"try:\n    {wanted}\n"
        "except KeyboardInterrupt:\n    print(time.monotonic())\n"
    )
    process = run(code, cache, stdout=subprocess.PIPE, text=True)
    if hangs == "a server":
        assert server.sent_half.wait(60)
    else:
        assert process.stdout.readline() == "it hangs\n"
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    heard = process.communicate(timeout=60)[0]  # and no thread keeps the process from ending
    assert float(heard) - start < 2


def test_no_server_at_all(cache):
    with pytest.raises(DownloadError, match="connection failed.*COURSE_SOURCE=bundled"):
        fetch(Remote("folder/file.bin", SHA256, ("http://127.0.0.1:9/file.bin",)))


# --- mirrors, and what can be wrong with folders


def test_the_mirror_is_asked_first_as_a_folder_and_as_an_address(server, cache, tmp_path, monkeypatch):
    (tmp_path / "mirror/folder").mkdir(parents=True)
    (tmp_path / "mirror/folder/file.bin").write_bytes(CONTENT)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for named in (str(tmp_path / "mirror"), "~/mirror"):
        monkeypatch.setenv("COURSE_MIRROR", named)
        path = fetch(remote(server, "good"))
        assert path.read_bytes() == CONTENT and server.requests == []
        path.unlink()

    monkeypatch.setenv("COURSE_MIRROR", f"{server.address}/good/")
    fetch(remote(server, "404"))
    assert server.requests == [("/good/folder/file.bin", None)]


def test_a_mirror_without_the_file_or_with_other_bytes_is_passed_over(server, cache, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_MIRROR", str(tmp_path))
    fetch(remote(server, "good")).unlink()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file.bin").write_bytes(CONTENT[:-1] + b"x")
    assert fetch(remote(server, "good")).read_bytes() == CONTENT
    assert (tmp_path / "folder/file.bin").read_bytes() == CONTENT[:-1] + b"x"  # its own file is never deleted


@pytest.mark.linux
@pytest.mark.parametrize("entry", ["folder", "link to itself", "dead link", "pipe", "unreadable"])
def test_a_mirrors_strange_entries_are_passed_over(server, cache, tmp_path, monkeypatch, entry):
    monkeypatch.setenv("COURSE_MIRROR", str(tmp_path))
    (tmp_path / "folder").mkdir()
    path = tmp_path / "folder/file.bin"
    if entry == "folder":
        path.mkdir()
    elif entry == "pipe":
        os.mkfifo(path)
    elif entry == "unreadable":
        path.symlink_to("/proc/self/mem")  # opens, and then every read is an error
    else:
        path.symlink_to(path if entry == "link to itself" else tmp_path / "nowhere")
    with pytest.raises(DownloadError, match=r"folder/file\.bin: (no such file|Input/output error); http"):
        fetch(remote(server, "404"))
    assert fetch(remote(server, "good")).read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["corrupt", "corrupt-end", "503", "truncate", "html"])
def test_a_mirror_that_misbehaves_is_passed_over(server, cache, monkeypatch, fault):
    monkeypatch.setenv("COURSE_MIRROR", f"{server.address}/{fault}")
    assert fetch(remote(server, "good")).read_bytes() == CONTENT


def test_a_mirror_that_does_not_exist_is_named(server, cache, monkeypatch):
    monkeypatch.setenv("COURSE_MIRROR", "/no/such/folder")
    with pytest.raises(ValueError, match="COURSE_MIRROR='/no/such/folder' is neither a folder nor"):
        fetch(remote(server, "good"))


@pytest.mark.linux
def test_a_full_disk_is_named_and_nothing_half_written_stays(server, cache):
    partial = cache / ".partial" / SHA256
    partial.parent.mkdir(parents=True)
    partial.symlink_to("/dev/full")  # every write to this device fails with "no space left"
    with pytest.raises(DownloadError, match=r"The disk is full: folder/file\.bin does not fit.*COURSE_CACHE"):
        fetch(remote(server, "good"))
    assert verified_files(cache) == [] and not partial.is_symlink()
    assert fetch(remote(server, "good")).read_bytes() == CONTENT


def test_a_full_share_of_the_disk_is_named(server, cache, monkeypatch):
    def replace(*paths):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(datasets.os, "replace", replace)
    with pytest.raises(DownloadError, match=r"share of the disk \(quota\) is full: folder/file\.bin"):
        fetch(remote(server, "good"))


def test_a_cache_for_reading_alone_serves_what_it_holds_and_is_named_for_the_rest(server, cache, monkeypatch):
    path = fetch(remote(server, "good"))

    def refuse(self, *args, **options):
        raise PermissionError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(datasets.Path, "mkdir", refuse)
    monkeypatch.setattr(datasets.FileLock, "acquire", refuse)
    assert fetch(remote(server, "good")) == path
    with pytest.raises(DownloadError, match=r"other\.bin cannot be kept in .*Read-only file system.*COURSE_CACHE"):
        fetch(Remote("other.bin", "0" * 64, (f"{server.address}/good/file.bin",)))


@pytest.mark.parametrize("obstacle", ["", "folder", ".partial"])
def test_a_cache_that_is_no_folder_is_named(server, cache, obstacle):
    (cache / obstacle).parent.mkdir(parents=True, exist_ok=True)
    (cache / obstacle).write_text("a file")
    with pytest.raises(DownloadError, match=r"folder/file\.bin cannot be kept in .*set COURSE_CACHE to a folder"):
        fetch(remote(server, "good"))


def test_a_disk_without_file_locks_is_named(server, cache, monkeypatch):
    def refuse(self, *args, **options):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(datasets.FileLock, "acquire", refuse)
    with pytest.raises(DownloadError, match="does not appear to support flock"):
        fetch(remote(server, "good"))


# --- files that are part of an archive


def test_a_member_of_an_archive_serves_as_the_file(server, cache):
    assert fetch(from_archive(server, "good")).read_bytes() == CONTENT
    assert leftovers(cache) == []
    with pytest.raises(DownloadError, match="no such file"):
        fetch(from_archive(server, "good", member="another", sha256="0" * 64))
    with pytest.raises(DownloadError, match="archive is damaged"):
        fetch(Remote("a", "0" * 64, (f"{server.address}/good/file.bin#file.bin",)))


def test_an_archive_that_had_come_whole_before_a_kill_is_used(server, cache):
    wanted = from_archive(server, "good")
    keep(cache, server.files["archive.zip"], datasets._archive(wanted.urls[0], cache / ".partial/x").name)
    assert fetch(wanted).read_bytes() == CONTENT
    assert server.requests == [] and leftovers(cache) == []


def test_an_archive_that_had_come_half_is_gone_on_with(server, cache):
    wanted = from_archive(server, "good")
    keep(cache, server.files["archive.zip"][:HALF], datasets._archive(wanted.urls[0], cache / ".partial/x").name)
    assert fetch(wanted).read_bytes() == CONTENT
    assert server.requests == [("/good/archive.zip", f"bytes={HALF}-")] and leftovers(cache) == []


def test_many_files_of_one_archive_need_one_download(server, cache):
    """As when a server has had enough of 600 requests: the repository's archive serves for all."""
    wanted = [
        Remote(f"{i}", SHA256, (f"{server.address}/404/file.bin", f"{server.address}/good/archive.zip#{MEMBER}"))
        for i in range(60)
    ]
    assert all(path.read_bytes() == CONTENT for path in fetch_all(wanted))
    assert asked(server).count("good") == 1 and asked(server).count("404") <= 2 * network.CONNECTIONS
    assert leftovers(cache) == []
