"""Bringing bytes from a web server: patience with what passes, a bound on everything, and no byte thrown away."""

import http.client
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.pool import ThreadPool
from pathlib import Path

import requests
import urllib3
from requests.adapters import HTTPAdapter

TIMEOUT = (5, 30)  # seconds to connect, and between two pieces of an answer
PROBE_SECONDS = 3
ATTEMPTS = 5  # at one address, as long as each brings more of the file than the one before
PATIENCE = 30  # seconds that a server may ask for (Retry-After) before the next address is asked instead
BACKOFF = 1  # seconds before the third try of one request; doubled for each that follows
SLOWEST = 1000  # bytes a second, on average: what comes slower than this is broken off
LARGEST = 4 * 2**30  # bytes: nothing that the course uses is larger, so an answer that is has no end
CONNECTIONS = 16
# Everything that a server can make these libraries raise; some of it passes through requests as it is.
NETWORK_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, UnicodeError)


class Refused(Exception):
    """One source did not give the file: why, in a few words."""


class CannotGoOn(Refused):
    """The server has nothing after the bytes that an earlier download kept."""


@dataclass
class Progress:
    """What the thread that downloads tells the one that waits, and hears from it."""

    have: int = 0  # bytes
    size: int | None = None  # bytes, where the server says it
    stop: threading.Event = field(default_factory=threading.Event)


class _Retry(urllib3.Retry):
    """Tries again what may pass: resets, 429, 500 and their like, with growing pauses and for a bounded time."""

    def get_retry_after(self, response) -> float | None:
        try:
            return super().get_retry_after(response)
        except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
            return None

    def increment(self, method=None, url=None, response=None, error=None, _pool=None, _stacktrace=None):
        wait = self.get_retry_after(response) if response else None
        if (wait or 0) > PATIENCE or isinstance(error, urllib3.exceptions.NameResolutionError):
            raise urllib3.exceptions.MaxRetryError(_pool, url, error)  # waiting so long, or asking again, is of no use
        return super().increment(method, url, response, error, _pool, _stacktrace)


@cache
def _session() -> requests.Session:
    """What all downloads share: connections that stay open, and patience."""
    retry = _Retry(
        total=5,
        connect=1,
        read=2,
        status=4,
        other=1,
        status_forcelist=(408, 425, 429, 500, 502, 503, 504),
        allowed_methods=("GET", "HEAD"),
        backoff_factor=BACKOFF,
        backoff_jitter=BACKOFF,  # a class that starts together does not come back together
        raise_on_status=False,
    )
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(pool_maxsize=CONNECTIONS, max_retries=retry))
    return session


_answered: set[str] = set()


def unreachable(url: str) -> str:
    """Why a server does not give what is at this address, in a few words; nothing if it does.

    Asked for at most PROBE_SECONDS; a yes is remembered for the session, a no never is. A thread bounds the wait:
    behind some firewalls the name look-up, which no timeout covers, takes half a minute.
    """
    if url in _answered:
        return ""
    found = []

    def ask():
        try:
            with _session().head(url, timeout=PROBE_SECONDS, allow_redirects=True) as answer:
                # a firewall's page of refusal answers too, but not with 200
                found.append("" if answer.status_code == 200 else words(answer))
        except NETWORK_ERRORS as error:
            found.append(words(error))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    if found == [""]:
        _answered.add(url)
    return found[0] if found else f"no answer within {PROBE_SECONDS} seconds"


def read_text(url: str) -> str:
    """A short text; empty where the server does not give it."""
    try:
        with _session().get(url, timeout=TIMEOUT) as answer:
            return answer.text if answer.status_code == 200 else ""
    except NETWORK_ERRORS:
        return ""


def download(url: str, partial: Path, right: Callable[[Path], Path], progress: Progress) -> Path:
    """What `right` makes of the file at an address, after bringing what `partial` still lacks of it.

    What an earlier try left in `partial` is given up only for more bytes of the same file, whatever this server sends.

    Args:
        url: where the file is.
        partial: where its beginning is kept; a file that is sent whole waits beside it.
        right: takes a file that might be whole; returns what the caller wants of it, or raises `Refused`.
        progress: is kept up to date.

    Raises:
        Refused: this address does not give the file.
        OSError: the disk is full, or cannot be written.
    """
    whole = beside(partial)
    whole.unlink(missing_ok=True)
    if size(partial):
        try:
            return right(partial)  # whoever brought it may have been killed just before this
        except Refused:
            pass
    goes_on, doubtful = True, False  # whether to ask for the rest alone; whether the beginning or the rest was wrong
    for _ in range(ATTEMPTS):
        kept = size(partial)
        try:
            came = _append(url, partial, kept if goes_on else 0, progress)
        except CannotGoOn as error:
            refusal, goes_on = error, False
        except NETWORK_ERRORS as error:
            refusal = Refused(words(error))
            if size(whole) > (0 if doubtful else kept):  # a better beginning than the one that was kept
                os.replace(whole, partial)
                goes_on, doubtful = True, False
            if size(partial) <= kept:
                raise refusal from error  # nothing came, so asking again would not help
        else:
            try:
                return right(came)
            except Refused as error:
                if came == whole or not kept:  # all bytes came from here, and they are wrong
                    came.unlink(missing_ok=True)
                    raise
                os.truncate(partial, kept)
                refusal, goes_on, doubtful = error, False, True
    raise refusal


def _append(url: str, partial: Path, kept: int, progress: Progress) -> Path:
    """Bring what comes after the first `kept` bytes; where the server sends all of it, bring that, beside `partial`."""
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={kept}-"} if kept else {})
    with _session().get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        goes_on = answer.status_code == 206
        if kept and answer.status_code == 416:
            raise CannotGoOn("it cannot go on from where an earlier download stopped")
        if not (answer.status_code == 200 or (goes_on and kept)):
            raise Refused(words(answer))
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            raise Refused("the server sent a web page instead, as log-in pages and firewalls do")
        path = partial if goes_on or not size(partial) else beside(partial)
        length = answer.headers.get("Content-Length", "")
        progress.have = kept if goes_on else 0
        progress.size = progress.have + int(length) if length.isdecimal() else None
        start, came = time.monotonic(), 0
        with path.open("ab" if goes_on else "wb") as file:
            # what is there by now: a server that drips would fill no larger piece, and not be noticed for hours
            while piece := answer.raw.read1(2**16, decode_content=True):
                file.write(piece)
                came += len(piece)
                progress.have += len(piece)
                seconds = time.monotonic() - start
                if progress.stop.is_set():
                    raise Refused("it was no longer wanted")
                if seconds > TIMEOUT[1] and came < seconds * SLOWEST:
                    raise requests.Timeout(f"less than {SLOWEST} bytes a second")
                if came > LARGEST:
                    path.unlink()
                    raise Refused("the answer has no end")
    return path


def in_background(call: Callable, *arguments):
    """What `call` returns, from a thread that nobody waits for once Ctrl-C was pressed."""
    pool = ThreadPool(1)
    try:
        task = pool.apply_async(call, arguments)
        while not task.ready():
            task.wait(0.2)  # Windows hears Ctrl-C only between two waits
        return task.get()
    finally:
        pool.terminate()


def words(problem: requests.Response | Exception) -> str:
    """A refusal or a broken connection, as people say it."""
    if isinstance(problem, requests.Response):
        wait = problem.headers.get("Retry-After")
        return f"the server answered {problem.status_code}" + (f", to ask again in {wait}" if wait else "")
    hints = {
        "NameResolutionError": "its name is not known here",
        "SSLError": "its certificate was not accepted",
        "ProxyError": "the proxy did not help",
        "timed out": "no answer in time",
        "refused": "it was refused",
        "unreachable": "the network is unreachable",
        "reset": "it was reset",
    }
    found = [words for sign, words in hints.items() if sign in f"{type(problem).__name__} {problem!r}"]
    return f"the connection failed ({(found or [type(problem).__name__])[0]})"


def first_line(error: Exception) -> str:
    """What an error of another library says, as far as it fits into a sentence."""
    said = str(error).strip().splitlines()
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def beside(partial: Path) -> Path:
    """Where something whole waits until it is known to be right."""
    return partial.with_name(partial.name + ".whole")
