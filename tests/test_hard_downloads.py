"""Every fault of a server × every kind of file: for good, once, with something kept, with kills (make test-hard).

Whatever happens, `fetch` ends in bounded time in the right file or in one sentence, and the cache holds no other file.
"""

import hashlib
import multiprocessing
import os
import random
import time
import zipfile

import pytest
from bad_server import CONTENT, FAULTS, MEMBER, SHA256, Server, zipped

from course_utils.sources import download, network
from course_utils.sources.download import DownloadError, Remote, fetch

pytestmark = [pytest.mark.hard, pytest.mark.linux]
KINDS = ["file", "member of an archive", "archive that may be packed anew"]
SECONDS = 15


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def hasty(monkeypatch, server, cache):
    for name, value in HASTY.items():
        monkeypatch.setattr(network, name, value)
    network._session.cache_clear()
    server.requests.clear()
    server.times.clear()
    yield
    network._session.cache_clear()


HASTY = {"TIMEOUT": (1, 0.3), "BACKOFF": 0.005, "PATIENCE": 2, "LARGEST": 3 * len(CONTENT)}


def remote(server, kind, *behaviours):
    if kind == "file":
        return Remote("folder/file.bin", SHA256, tuple(f"{server.address}/{b}/file.bin" for b in behaviours))
    urls = tuple(f"{server.address}/{b}/archive.zip" for b in behaviours)
    if kind == "member of an archive":
        return Remote("folder/file.bin", SHA256, tuple(f"{url}#{MEMBER}" for url in urls))
    digest = hashlib.sha256(MEMBER.encode() + b"\0" + hashlib.sha256(CONTENT).digest()).hexdigest()
    return Remote("folder/archive.zip", digest, urls, repacked=True)


def is_right(path):
    if path.suffix != ".zip":
        return path.read_bytes() == CONTENT
    with zipfile.ZipFile(path) as archive:
        return archive.namelist() == [MEMBER] and archive.read(MEMBER) == CONTENT


def attempt(wanted):
    """True for the right file, False for a sentence."""
    start = time.monotonic()
    try:
        path = fetch(wanted)
    except DownloadError as error:
        assert "could not be had. Tried http" in str(error) and "\n" not in str(error)
        path = None
    assert time.monotonic() - start < SECONDS
    files = [p for p in download.cache_dir().rglob("*") if p.is_file() and ".partial" not in p.parts]
    assert files == ([path] if path else []) and all(map(is_right, files))
    return path is not None


def name_of(wanted):
    return wanted.urls[0].partition("#")[0].split("/")[-1]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault(server, kind, fault):
    for_good = remote(server, kind, fault)
    attempt(for_good)  # nothing else has it
    assert attempt(remote(server, kind, fault, "good"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes(server, kind, fault):
    wanted = remote(server, kind, fault)
    server.times[f"/{fault}/{name_of(wanted)}"] = 1
    attempt(wanted)
    server.times[f"/{fault}/{name_of(wanted)}"] = 0
    assert attempt(wanted)


@pytest.mark.parametrize("kept", ["half", "all but the last byte", "all", "more", "something else"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_after_something_was_kept(server, cache, kind, fault, kept):
    wanted = remote(server, kind, fault, "good")
    content = server.files[name_of(wanted)]
    partial = cache / ".partial" / wanted.sha256
    if kind == "member of an archive":
        partial = download._archive(wanted.urls[0], partial)
    partial.parent.mkdir(parents=True)
    left = {"half": content[: len(content) // 2], "all but the last byte": content[:-1], "all": content}
    left |= {"more": content + b"more", "something else": b"x" * 1000}
    partial.write_bytes(left[kept])
    assert attempt(wanted)


def fetch_hastily(cache, wanted):
    os.environ["COURSE_CACHE"] = str(cache)
    for name, value in HASTY.items():
        setattr(network, name, value)
    try:
        fetch(wanted)
    except DownloadError:
        os._exit(3)


@pytest.fixture(scope="module")
def processes():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["course_utils.sources.download"])  # each child starts in a moment
    return context


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_and_a_kill(server, cache, processes, kind, fault):
    """Killed at three random moments, then left alone: the right file, and none but right ones on the way."""
    moments = random.Random(f"{fault} {kind}")
    wanted = remote(server, kind, fault, "slow")
    for _ in range(3):
        process = processes.Process(target=fetch_hastily, args=(cache, wanted))
        process.start()
        process.join(moments.uniform(0.05, 0.6))
        process.kill()
        process.join()
        for path in cache.rglob("*"):
            assert not path.is_file() or ".partial" in path.parts or is_right(path)
    assert attempt(wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_in_the_cache_is_seen(server, cache, kind):
    """200 bits of each kind; in an archive, those that do not change what it holds may stay."""
    wanted = remote(server, kind, "good")
    if kind != "file":
        server.files["archive.zip"] = zipped(zipfile.ZIP_DEFLATED)
    path, bits = fetch(wanted), random.Random(0)
    content = path.read_bytes()
    for _ in range(200):
        damaged = bytearray(content)
        damaged[bits.randrange(len(damaged))] ^= 1 << bits.randrange(8)
        path.write_bytes(damaged)
        assert is_right(fetch(wanted))
