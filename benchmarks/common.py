"""What every benchmark writes beside its figures: where, when and with which versions they were measured."""

import json
import platform
import shlex
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification

from course_utils import runtime


def hardware() -> str:
    device = runtime.device()
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = torch.cpu.get_capabilities().get("cpu_name") or platform.processor()
    return f"{name}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"


def synchronize() -> None:
    """Wait until a GPU has done what it was given."""
    if runtime.device().type == "cuda":
        torch.cuda.synchronize()


def seconds_of(action, repeats: int = 1, *, warm_up: bool = True) -> float:
    """Mean seconds of an action; with `warm_up` after a first time that does not count."""
    if warm_up:
        action()
    synchronize()
    started = time.perf_counter()
    for _ in range(repeats):
        action()
    synchronize()
    return (time.perf_counter() - started) / repeats


def matrix_rate() -> float:
    """Operations a second of one large matrix product, in the precision that `fit` takes here."""
    device, precision = runtime.device(), runtime.precision(runtime.device())
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[precision]
    size = 8192 if device.type == "cuda" else 2048
    a = torch.randn(size, size, device=device, dtype=dtype)
    return 2 * size**3 / seconds_of(lambda: a @ a, 10)


def times_as_long(config: BertConfig, stand_in: BertConfig) -> float:
    """How many times as long a training step of one BERT takes as one of another: 16 texts of 28 tokens."""

    def step_seconds(config):
        model = BertForSequenceClassification(config).to(runtime.device())
        optimizer = torch.optim.AdamW(model.parameters(), fused=True)
        ids = torch.randint(1000, 2000, (16, 28), device=runtime.device())
        labels = torch.zeros(16, dtype=torch.long, device=runtime.device())

        def step():
            model(input_ids=ids, labels=labels).loss.backward()
            optimizer.step()
            optimizer.zero_grad()

        return seconds_of(step, 5)

    return step_seconds(config) / step_seconds(stand_in)


def circumstances() -> dict:
    """Where, when, with which versions and by which command something was measured."""
    packages = ("torch", "transformers", "accelerate", "scikit-learn")
    return {
        "hardware": hardware(),
        "precision": runtime.precision(runtime.device()),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
        "command": shlex.join(["python", *sys.argv]),
        "date": datetime.now(UTC).date().isoformat(),
    }


def write(report: dict, out: str | None) -> None:
    """Print a report, and write it to `out`."""
    text = json.dumps(report, indent=2)
    print(text)
    if out:
        Path(out).write_text(text + "\n")


def record(results: dict, out: str | None) -> None:
    """Write the results of one call with its circumstances; a file of several calls has them in each row instead."""
    write({"results": results} | circumstances(), out)
