"""Whether an answer is right: the check runs here, the answer in a sandbox, and only values travel between them.

The answer may do what it likes to its own process: the verdict is not in there.
"""

import contextlib
import io
import itertools
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from course_utils.desk import inside, wire
from course_utils.desk.calls import Calls
from course_utils.desk.names import names_for

MOST_MEMORY = 4 * 2**30  # bytes that one submission's processes may take together, above what they share
PACKAGE = Path(inside.__file__).parents[1]
_users = itertools.count()


def missing() -> str:
    """Why there can be no sandbox on this machine; nothing where there can."""
    if not sys.platform.startswith("linux"):
        return "Submissions are run in a sandbox of Linux's, bubblewrap, which this system does not have."
    if not shutil.which("bwrap"):
        return "bubblewrap is not installed (apt install bubblewrap, dnf install bubblewrap)."
    tried = subprocess.run([*_walls(), "/bin/true"], capture_output=True, text=True)
    return f"bubblewrap cannot make a sandbox here: {tried.stderr.strip()}" if tried.returncode else ""


def _walls() -> list[str]:
    """bubblewrap's options: Python, the package and the system's libraries to read; no network; small private files."""
    python = {Path(sys.prefix), Path(os.path.realpath(sys.executable)).parents[1], Path(sys.base_prefix)}
    libraries = {Path(p) for p in sys.path if p.endswith(("-packages", "site-packages")) and Path(p).is_dir()}
    shown = [path for path in ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache") if os.path.exists(path)]
    walls = ["bwrap", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    walls += ["--die-with-parent", "--new-session", "--as-pid-1", "--clearenv", "--hostname", "sandbox"]
    if os.geteuid():
        walls += ["--unshare-user", "--cap-drop", "ALL"]
    else:  # the process inside of it becomes another user by itself
        walls += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        walls += ["--setenv", "AS", str(61_000 + (os.getpid() * 16 + next(_users)) % 4_000)]
    for path in shown:
        walls += ["--symlink", os.readlink(path), path] if os.path.islink(path) else ["--ro-bind", path, path]
    walls += ["--proc", "/proc", "--dev", "/dev"]
    for place in ("/tmp", "/dev/shm"):
        walls += ["--size", str(256 * 2**20), "--perms", "1777", "--tmpfs", place]
    places = {str(path): str(path) for path in sorted(python | libraries) if not path.is_relative_to("/usr")}
    for path, inside_of_it in {**places, str(PACKAGE): "/course/course_utils"}.items():
        for above in reversed(Path(inside_of_it).parents[:-1]):
            walls += ["--perms", "0755", "--dir", str(above)]
        walls += ["--ro-bind", path, inside_of_it]
    walls += ["--remount-ro", "/dev", "--chdir", "/tmp", "--remount-ro", "/"]
    for name, value in {"HOME": "/tmp", "COURSE_SOURCE": "bundled", "COURSE_CACHE": "/tmp/cache"}.items():
        walls += ["--setenv", name, value]
    return [*walls, "--setenv", "OMP_NUM_THREADS", "1", "--setenv", "MPLBACKEND", "agg"]


@dataclass(frozen=True)
class Verdict:
    """What a check said of an answer."""

    right: bool
    why: str = ""
    trouble: bool = False  # the answer was ended, or something else that a person should look at


class Sandbox:
    """A sandbox for one submission to one chapter; a context manager.

    Args:
        chapter: its two digits.
        seconds: how long one answer and its check may take.
        trusted: no sandbox: the answers run as you.
    """

    def __init__(self, chapter: str, *, seconds: float = 10.0, trusted: bool = False):
        self.chapter, self.seconds, self.trusted = chapter, seconds, trusted

    def __enter__(self):
        self._door, theirs = socket.socketpair()
        walls = [] if self.trusted else _walls()
        course = str(PACKAGE.parent) if self.trusted else "/course"
        script = str(Path(course, "course_utils/desk/inside.py"))
        command = [*walls, sys.executable, "-I", script, str(theirs.fileno()), course, self.chapter]
        env = (
            {**os.environ, "OMP_NUM_THREADS": "1", "COURSE_SOURCE": "bundled"} if self.trusted else {"PATH": os.defpath}
        )
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=env, **quiet)
        theirs.close()
        self._door.settimeout(120)
        if not self._door.recv(1):
            said = self._process.stderr.read().decode()[-500:]
            self.__exit__()
            raise RuntimeError(f"The sandbox did not start: {said}")
        return self

    def __exit__(self, *_):
        self._door.close()
        self._process.kill()
        self._process.stderr.close()
        self._process.wait()

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to run answers in."""
        return self._process.poll() is not None

    def judge(self, answer: str, check: str, asks: list[str], wrong: list[str] = ()) -> Verdict:
        """Run an answer in a process of its own, and the check here.

        Args:
            answer: its source.
            check: the check's source, the instructor's.
            asks: the names that it takes from the answer.
            wrong: wrong answers, tried in the same process afterwards: where the check accepts one of them, the process
                says what the check wants to hear, whatever it is asked.
        """
        ours, theirs = socket.socketpair()
        try:
            socket.send_fds(self._door, [b"f"], [theirs.fileno()])
            theirs.close()  # so that its end is seen here
            calls = Calls(ours, time.monotonic() + self.seconds, self._watch)
            verdict = self._check(calls, answer, check, asks)
            if verdict.right:
                for other in wrong:
                    calls.deadline = time.monotonic() + self.seconds
                    if self._check(calls, other, check, asks).right:
                        return Verdict(False, "after this answer ran, a known wrong answer passes, too", trouble=True)
            return verdict
        except (BrokenPipeError, ConnectionError):
            return Verdict(False, "the sandbox ended before the check did", trouble=True)
        finally:
            ours.close()
            theirs.close()
            with contextlib.suppress(OSError):
                self._door.sendall(b"k")
                self._door.recv(1)

    def _check(self, calls, answer: str, check: str, asks: list[str]) -> Verdict:
        names = names_for(self.chapter)
        names["exec"] = calls.execute
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                calls.ask("run", answer)
                names |= {name: calls.ask("value", name) for name in asks}
                if any(names[name] is None and names_for(self.chapter).get(name) is None for name in asks):
                    return Verdict(False, "there is no answer")
                exec(compile(check, "<check>", "exec"), names)
        except wire.WireError as error:
            text = f"longer than {self.seconds:g} seconds" if str(error) == "time" else str(error)
            return Verdict(False, text, trouble=True)
        except AssertionError as error:
            return Verdict(False, str(error))
        except Exception as error:
            return Verdict(False, f"{getattr(error, 'kind', type(error).__name__)}: {error}"[:500])
        return Verdict(True)

    def _watch(self) -> None:
        """End what takes too much memory."""
        taken = 0
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(self._process.pid).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    memory = process.memory_info()
                    taken += memory.rss - memory.shared
        if taken > MOST_MEMORY:
            self._process.kill()
            raise wire.WireError(f"its processes take more than {MOST_MEMORY / 2**30:g} GB of memory")
