"""Where a notebook runs: seed, device, precision, and where checkpoints and data come from: every set-up cell."""

import os
from collections.abc import Callable
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch
from accelerate.utils import set_seed

SOURCES = ("auto", "hub", "bundled")
_manual_seed = torch.manual_seed


@dataclass(frozen=True)
class Runtime:
    """What `setup` found: ``str(runtime)`` is the line that it prints."""

    device: torch.device
    precision: str  # "bf16", "fp16" or "fp32": what the matrix products are computed in
    source: str  # COURSE_SOURCE: "auto", "hub" or "bundled"
    seed: int

    def __str__(self):
        device = self.device.type.upper() if self.device.type == "cpu" else name(self.device)
        checkpoints = {
            "auto": "from the Hub where it can be reached, else bundled stand-ins",
            "hub": "from the Hub",
            "bundled": "bundled stand-ins (COURSE_SOURCE=bundled)",
        }[self.source]
        return f"device: {device} | precision: {self.precision} | seed: {self.seed} | checkpoints: {checkpoints}"


def setup(seed: int = 0) -> Runtime:
    """Seed every random generator, choose device and precision, and say so in one line.

    Args:
        seed: for Python, NumPy and PyTorch.

    Returns:
        The `Runtime` that was printed.

    Raises:
        ValueError: COURSE_SOURCE is not one of auto, hub, bundled.
    """
    torch.manual_seed = _manual_seed
    set_seed(shifted(seed))
    if shifted(0):  # the seeds that a chapter names itself move on too
        torch.manual_seed = lambda seed: _manual_seed(shifted(seed))
    here = device()
    runtime = Runtime(here, precision(here), source(), seed)
    print(runtime)
    return runtime


def device() -> torch.device:
    """The accelerator of this machine (CUDA, Apple's MPS …), else its CPU; COURSE_DEVICE overrules it."""
    if forced := os.environ.get("COURSE_DEVICE"):
        return torch.device(forced)
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def name(device: torch.device) -> str:
    """Of the hardware: of a CPU its instruction set, which decides the last digits."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.backends.cpu.get_cpu_capability()}" if device.type == "cpu" else device.type.upper()


def precision(device: torch.device) -> str:
    """The fastest number format that the hardware computes natively: "bf16", "fp16" or "fp32".

    Emulated bf16 does not count. A T4 accepts bf16 but has no units for it, so it gets fp16 with loss scaling; a CPU
    with neither AMX nor AVX512-BF16 would take many times longer in bf16 than in fp32. COURSE_PRECISION overrules it.
    """
    if forced := os.environ.get("COURSE_PRECISION"):
        check_precision(forced)
        return forced
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    # private names, which a later PyTorch may drop: then fp32, which is right everywhere
    probes = [getattr(torch.cpu, name, None) for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported")]
    if device.type == "cpu" and any(probe and probe() for probe in probes):
        return "bf16"
    return "fp32"


def shifted(seed: int) -> int:
    """A seed as it is or, for authors who ask whether a chapter holds with others too, moved on by COURSE_SEED."""
    return seed + 1000 * int(os.environ.get("COURSE_SEED", "0"))


def check_precision(precision: str | None) -> None:
    if precision not in (None, "bf16", "fp16", "fp32"):
        raise ValueError(f"precision={precision!r} must be 'bf16', 'fp16', 'fp32' or None for the hardware's own.")


def source() -> str:
    """COURSE_SOURCE: ``auto`` (default), ``hub`` (fail instead of standing in) or ``bundled`` (no network)."""
    value = _using.get() or os.environ.get("COURSE_SOURCE", "auto")
    if value not in SOURCES:
        raise ValueError(f"COURSE_SOURCE={value!r} is not a source: set it to one of {', '.join(SOURCES)}.")
    return value


_using: ContextVar[str | None] = ContextVar("using", default=None)


@contextmanager
def using(source: str):
    """One of SOURCES for as long as the block runs, whatever COURSE_SOURCE says: for benchmarks and recipes."""
    before = _using.set(source)
    try:
        yield
    finally:
        _using.reset(before)


class Unavailable(ConnectionError):
    """A public thing could not be had; the message says what was tried."""


# what was asked for → where it came from ("hub", "mirror" or "bundled"), what was given, and why
_chosen: dict[str, tuple[str, str, str]] = {}


def choose(what: str, public: Callable, bundled: Callable, *, stand_in: str, genuine: Callable | None = None):
    """What `public` gives, else what `bundled` does: the one place that decides it, by COURSE_SOURCE.

    A stand-in is announced in one line with its reason, once a session, and `stand_ins` lists it.

    Args:
        what: what a chapter asked for, such as ``"bert-base-uncased"``.
        public: gives the public thing, or raises `Unavailable`.
        bundled: gives what the course brings along.
        stand_in: what that is, in a few words.
        genuine: says whether the public thing is the published one; None: it was checked.

    Raises:
        Unavailable: COURSE_SOURCE is ``hub``, and the public thing cannot be had.
    """
    reason = "COURSE_SOURCE=bundled"
    if source() != "bundled":
        try:
            given = public()
        except Unavailable as error:
            if source() == "hub":
                raise type(error)(f"COURSE_SOURCE=hub, but {error}") from error
            reason = " ".join(str(error).split())  # one line, whatever it was
        else:
            _chosen[what] = ("hub" if genuine is None or genuine() else "mirror", what, "")
            return given
    given = bundled()
    choice = ("bundled", stand_in, reason)
    if _chosen.get(what) != choice:
        print(f"{what} → bundled stand-in: {stand_in} ({reason})")
    _chosen[what] = choice
    return given


def stand_ins() -> dict[str, str]:
    """What stood in for what in this session: name asked for → what was given instead."""
    return {what: given for what, (where, given, _) in _chosen.items() if where == "bundled"}


def checkpoints_are() -> str:
    """Where this session's checkpoints and data came from: "bundled", "hub", or "mirror" for a mixture."""
    found = {where for where, *_ in _chosen.values()}
    return "bundled" if found <= {"bundled"} else "hub" if found == {"hub"} else "mirror"
