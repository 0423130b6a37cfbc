"""`doctor` says in ten lines what is here and what will be used, and for each fault what to do about it."""

import sys
from importlib import metadata

import pytest
import torch

from course_utils.__main__ import main
from course_utils.desk import doctor


@pytest.fixture
def said(capsys, cache, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_SOURCE", "bundled")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)

    def say():
        status = main(["doctor"])
        lines = capsys.readouterr().out.splitlines()
        assert [line.split()[0] for line in (line.lstrip("! ") for line in lines)] == list(doctor.CHECKS)
        assert status == any(line.startswith("!") for line in lines)
        return {line.split()[1 if line.startswith("!") else 0]: line for line in lines}

    return say


def fault(line, *words):
    assert line.startswith("!")
    for word in words:
        assert word in line
    return True


def test_a_sound_machine_has_ten_lines_and_no_fault(said):
    lines = said()
    assert len(lines) == 10 and not [line for line in lines.values() if line.startswith("!")]
    assert "COURSE_SOURCE=bundled" in lines["source"] and torch.__version__ in lines["device"]
    assert "reviews written for this course" in lines["reviews"] and "resnet10-cifar10" in lines["ResNet"]


def test_versions_are_compared_with_pyproject(said, monkeypatch):
    real = metadata.version

    def version(name):
        if name == "filelock":
            raise metadata.PackageNotFoundError(name)
        return {"torch": "2.9.1+cu128", "numpy": "3.0rc1"}.get(name) or real(name)

    monkeypatch.setattr(metadata, "version", version)
    line = said()["packages"]
    fault(line, "filelock is missing, torch is 2.9.1+cu128. Run:", '-m pip install "filelock>=', '"torch>=2.11"')
    assert "numpy" not in line


def test_without_pyproject_what_was_installed_says_the_same(monkeypatch, tmp_path):
    beside = doctor.requirements()
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    asked = [*map(str, beside), 'ruff>=0.12; extra == "test"']
    monkeypatch.setattr(metadata, "requires", lambda name: asked)
    assert doctor.requirements() == beside


def test_the_stand_in_that_colab_leaves_out_is_no_fault(said, monkeypatch):
    real = metadata.version

    def version(name):
        if name.startswith("gt-"):
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", version)
    assert "all-MiniLM-L6-v2 is downloaded when it is needed" in said()["packages"]


def test_torch_and_torchvision_that_do_not_fit(said, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    lines = said()
    fault(lines["device"], "torch and torchvision do not load together", "--force-reinstall torch torchvision")
    assert len(lines) == 10  # and the others are still there


def test_a_gpu_that_torch_cannot_use(said, monkeypatch):
    monkeypatch.setenv("COURSE_DEVICE", "cpu")
    monkeypatch.setattr(doctor.shutil, "which", lambda name: f"/usr/bin/{name}")
    fault(said()["device"], "cannot use this machine's NVIDIA GPU", "https://pytorch.org")


def test_a_cache_that_cannot_be_written_or_is_full(said, cache, monkeypatch):
    cache.write_text("a file")
    fault(said()["cache"], str(cache), "Set COURSE_CACHE")
    cache.unlink()
    full = type("Usage", (), {"free": 1e9})
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: full)
    fault(said()["cache"], "1.0 GB free, 3 are needed")


@pytest.mark.parametrize(
    ("variable", "value", "line", "words"),
    [
        ("COURSE_SOURCE", "internet", "source", "set it to one of auto, hub, bundled"),
        ("COURSE_MIRROR", "/no/such/folder", "mirror", "is neither a folder nor an http(s) address"),
        ("COURSE_MIRROR", "http://127.0.0.1:9", "mirror", "Is the address right"),
        ("COURSE_PRECISION", "fp8", "device", "must be 'bf16'"),
    ],
)
def test_a_variable_that_is_set_wrong(said, monkeypatch, variable, value, line, words):
    monkeypatch.setenv(variable, value)
    fault(said()[line], words)


def test_a_mirror_without_its_list_is_told_how_to_be_filled(said, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_MIRROR", str(tmp_path))
    fault(said()["mirror"], f"python -m course_utils fetch --to {tmp_path}")


@pytest.mark.parametrize(("source", "words"), [("auto", "Set COURSE_MIRROR"), ("hub", "Set COURSE_SOURCE=auto")])
def test_what_cannot_be_reached_is_named_with_its_stand_in(said, no_hub, monkeypatch, source, words):
    monkeypatch.setenv("COURSE_SOURCE", source)
    monkeypatch.setattr("course_utils.sources.network.unreachable", lambda url: "no answer within 3 seconds")
    lines = said()
    for name in ("reviews", "pictures", "BERT", "ResNet"):
        fault(lines[name], "no answer within 3 seconds", words)
    assert ("resnet10-cifar10" in lines["ResNet"]) == (source == "auto")


def test_what_can_be_reached_is_named_with_its_place(said, no_hub, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_SOURCE", "auto")
    monkeypatch.setattr("course_utils.sources.network.unreachable", lambda url: "")
    lines = said()
    assert "from raw.githubusercontent.com" in lines["reviews"] and "CIFAR-10: from github.com" in lines["pictures"]
    assert "bert-base-uncased: from 127.0.0.1" in lines["BERT"] and "from download.pytorch.org" in lines["ResNet"]
