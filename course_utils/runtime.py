"""Where a notebook runs: seed, device, precision, and where its checkpoints and data come from."""

import os
import threading
from dataclasses import dataclass
from functools import lru_cache

import torch
from accelerate.utils import set_seed

SOURCES = ("auto", "hub", "bundled")
PROBE_SECONDS = 3


@dataclass(frozen=True)
class Runtime:
    """What `setup` found: ``str(runtime)`` is the line that it prints."""

    device: torch.device
    precision: str  # "bf16", "fp16" or "fp32": what the matrix products are computed in
    source: str  # COURSE_SOURCE: "auto", "hub" or "bundled"
    seed: int

    def __str__(self):
        device = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type.upper()
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
    set_seed(seed)
    here = device()
    runtime = Runtime(here, precision(here), source(), seed)
    print(runtime)
    return runtime


def device() -> torch.device:
    """The accelerator of this machine (CUDA, Apple's MPS …), else its CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def precision(device: torch.device) -> str:
    """The fastest number format that the hardware computes natively: "bf16", "fp16" or "fp32".

    Emulated bf16 does not count. A T4 accepts bf16 but has no units for it, so it gets fp16 with loss scaling; a CPU
    with neither AMX nor AVX512-BF16 would take many times longer in bf16 than in fp32.
    """
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if device.type == "cpu" and (torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()):
        return "bf16"
    return "fp32"


def source() -> str:
    """COURSE_SOURCE: ``auto`` (default), ``hub`` (fail instead of standing in) or ``bundled`` (no network)."""
    value = os.environ.get("COURSE_SOURCE", "auto")
    if value not in SOURCES:
        raise ValueError(f"COURSE_SOURCE={value!r} is not a source: set it to one of {', '.join(SOURCES)}.")
    return value


@lru_cache
def reachable(url: str) -> bool:
    """Whether a server has something at this address, asked once a session and for at most PROBE_SECONDS.

    A thread bounds the wait: behind some firewalls the name look-up, which no timeout covers, takes half a minute.
    """
    answers = []

    def ask():
        import requests

        try:
            # a firewall's page of refusal answers too, but not with 200
            answers.append(requests.head(url, timeout=PROBE_SECONDS, allow_redirects=True).status_code == 200)
        except requests.RequestException:
            answers.append(False)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    return answers == [True]
