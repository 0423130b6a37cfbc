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


def test_bf16_on_a_cpu_only_where_it_is_native(monkeypatch):
    monkeypatch.delenv("COURSE_PRECISION", raising=False)
    native = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    assert runtime.precision(torch.device("cpu")) == ("bf16" if native else "fp32")


@pytest.mark.parametrize(("native", "expected"), [(True, "bf16"), (False, "fp16")])
def test_on_a_gpu_emulated_bf16_does_not_count(monkeypatch, native, expected):
    """A T4 says yes to bf16 when emulation is included."""
    monkeypatch.delenv("COURSE_PRECISION", raising=False)
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


# --- what was chosen, and from where


def give(what):
    return lambda: what


def refuse():
    raise runtime.Unavailable("no server answers")


def chosen(what="bert", *, public=refuse, **other):
    return runtime.choose(what, public, give("bundled one"), stand_in="a small one", **other)


@pytest.fixture
def online(monkeypatch):
    monkeypatch.setenv("COURSE_SOURCE", "auto")


def test_the_public_thing_is_taken_where_it_can_be_had(online, capsys):
    assert chosen(public=give("public one")) == "public one"
    assert cu.stand_ins() == {} and capsys.readouterr().out == ""


def test_a_stand_in_is_announced_once_with_its_reason_and_listed(online, capsys):
    assert [chosen(), chosen()] == ["bundled one"] * 2
    assert capsys.readouterr().out == "bert → bundled stand-in: a small one (no server answers)\n"
    chosen("resnet")
    assert capsys.readouterr().out.startswith("resnet → ")
    assert cu.stand_ins() == {"bert": "a small one", "resnet": "a small one"}


def test_a_reason_of_many_lines_is_said_in_one(online, capsys):
    def refuse():
        raise runtime.Unavailable("first\n\n   second")

    chosen(public=refuse)
    assert capsys.readouterr().out == "bert → bundled stand-in: a small one (first second)\n"


def test_what_stood_in_once_and_was_had_later_is_no_stand_in_any_more(online):
    chosen()
    chosen(public=give("public one"))
    assert cu.stand_ins() == {}


def test_bundled_never_asks_for_the_public_thing(monkeypatch, capsys):
    monkeypatch.setenv("COURSE_SOURCE", "bundled")
    assert chosen(public=lambda: pytest.fail("asked")) == "bundled one"
    assert "(COURSE_SOURCE=bundled)" in capsys.readouterr().out


def test_hub_never_stands_in_and_says_why(monkeypatch):
    monkeypatch.setenv("COURSE_SOURCE", "hub")
    with pytest.raises(runtime.Unavailable, match="COURSE_SOURCE=hub, but no server answers"):
        chosen()
    assert cu.stand_ins() == {}


def test_a_fault_that_is_no_absence_is_not_hidden_by_a_stand_in(online):
    with pytest.raises(ZeroDivisionError):
        chosen(public=lambda: 1 / 0)


@pytest.mark.parametrize(
    ("choices", "source"),
    [
        ("", "bundled"),
        ("stand-in", "bundled"),
        ("public", "hub"),
        ("public checked", "hub"),
        ("other", "mirror"),
        ("public other", "mirror"),
        ("public stand-in", "mirror"),
        ("other stand-in", "mirror"),
    ],
)
def test_a_session_knows_where_all_it_uses_came_from(online, choices, source):
    """ "mirror" is any mixture: real data with another checkpoint than the published one, or a stand-in beside it."""
    how = {"stand-in": {}, "public": {"public": give(1)}, "checked": {"public": give(1), "genuine": give(True)}}
    how["other"] = {"public": give(1), "genuine": give(False)}
    for choice in choices.split():
        chosen(choice, **how[choice])
    assert runtime.checkpoints_are() == source


def test_a_source_holds_for_as_long_as_its_block(online):
    with runtime.using("bundled"):
        assert runtime.source() == "bundled"
        with runtime.using("hub"):
            assert runtime.source() == "hub"
        assert runtime.source() == "bundled"
    assert runtime.source() == "auto"
    with pytest.raises(RuntimeError), runtime.using("hub"):
        raise RuntimeError
    assert runtime.source() == "auto"


# --- what an author asks for: another precision, another seed


@pytest.mark.parametrize("precision", ["bf16", "fp16", "fp32"])
def test_a_precision_can_be_forced(monkeypatch, precision):
    monkeypatch.setenv("COURSE_PRECISION", precision)
    assert runtime.precision(torch.device("cpu")) == runtime.precision(torch.device("cuda")) == precision


def test_an_unknown_precision_is_named(monkeypatch):
    monkeypatch.setenv("COURSE_PRECISION", "fp8")
    with pytest.raises(ValueError, match="precision='fp8' must be 'bf16', 'fp16', 'fp32'"):
        runtime.precision(torch.device("cpu"))


def draws(seed=3):
    cu.setup(seed=seed)
    first = random.random(), np.random.rand(), torch.rand(1).item()
    torch.manual_seed(seed)  # as a chapter does it itself
    return *first, torch.rand(1).item()


def test_another_course_seed_moves_every_seed_of_a_chapter_on(monkeypatch):
    monkeypatch.setattr(torch, "manual_seed", torch.manual_seed)  # what setup puts in its place goes after the test
    monkeypatch.delenv("COURSE_SEED", raising=False)
    as_written = draws()
    monkeypatch.setenv("COURSE_SEED", "0")
    assert draws() == as_written and runtime.shifted(3) == 3
    monkeypatch.setenv("COURSE_SEED", "2")
    moved = draws()
    assert runtime.shifted(3) == 2003
    assert not set(moved) & set(as_written)
