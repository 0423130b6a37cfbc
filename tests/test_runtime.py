"""Seeds, device, precision and source are chosen and said; importing the package starts nothing."""

import random
import subprocess
import sys

import numpy as np
import pytest
import torch

import course_utils as cu
from course_utils import runtime


def test_setup_seeds_everything_and_says_what_it_found(capsys):
    draws = []
    for _ in range(2):
        here = cu.setup(seed=3)
        draws.append((random.random(), np.random.rand(), torch.rand(1).item()))
    assert draws[0] == draws[1]
    printed = capsys.readouterr().out.splitlines()[0]
    assert printed == str(here)
    assert f"precision: {here.precision} | seed: 3 | checkpoints: bundled stand-ins" in printed


def test_bf16_on_a_cpu_only_where_it_is_native():
    native = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    assert runtime.precision(torch.device("cpu")) == ("bf16" if native else "fp32")


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16"), (False, "fp16")])
def test_on_a_gpu_emulated_bf16_does_not_count(monkeypatch, native, expected):
    """A T4 says yes to bf16 when emulation is included."""
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: native or including_emulation)
    assert runtime.precision(torch.device("cuda")) == expected


def test_an_accelerator_that_is_of_no_use_is_left_alone(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: torch.device("mps"))
    monkeypatch.setenv("COURSE_DEVICE", "cpu")
    assert runtime.device() == torch.device("cpu")
    monkeypatch.delenv("COURSE_DEVICE")
    assert runtime.device() == torch.device("mps")


def test_an_unknown_source_is_named(monkeypatch):
    monkeypatch.setenv("COURSE_SOURCE", "internet")
    with pytest.raises(
        ValueError, match="COURSE_SOURCE='internet' is not a source: set it to one of auto, hub, bundled"
    ):
        cu.setup()


def test_importing_loads_no_library_and_every_public_name_exists():
    heavy = "('torch', 'accelerate', 'matplotlib', 'requests')"
    code = f"import course_utils, sys; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
    for name in cu.__all__:
        assert getattr(cu, name) is not None
    with pytest.raises(AttributeError, match="course_utils has no 'fti'; it has .*fit"):
        cu.fti  # noqa: B018
