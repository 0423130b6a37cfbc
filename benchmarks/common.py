"""What every benchmark writes beside its figures: where, when and with which versions they were measured."""

import json
import platform
import shlex
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

from course_utils import runtime


def hardware() -> str:
    device = runtime.device()
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = torch.cpu.get_capabilities().get("cpu_name") or platform.processor()
    return f"{name}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"


def record(results: dict, out: str | None) -> None:
    """Print the results, and write them to `out` with hardware, precision, versions, command and date."""
    packages = ("torch", "transformers", "accelerate", "scikit-learn")
    report = {
        "results": results,
        "hardware": hardware(),
        "precision": runtime.precision(runtime.device()),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "command": shlex.join(["python", *sys.argv]),
        "date": datetime.now(UTC).date().isoformat(),
    }
    text = json.dumps(report, indent=2)
    print(text)
    if out:
        Path(out).write_text(text + "\n")
