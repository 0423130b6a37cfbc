"""What each recipe writes beside its weights: the figures of the training, and a model card made of them."""

import json
import shlex
import sys
from argparse import Namespace
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch

from course_utils import runtime
from course_utils.training import History


def write_record(
    out: Path, model_card: Callable[[dict], str], history: History, options: Namespace, examples: int, **figures
) -> None:
    """Write `record.json` and `README.md` into the folder of the weights; `examples` is how many an epoch has.

    The record's `loss_curve` has some hundred points, each the mean over the same number of steps.
    """
    device = runtime.device()
    part = max(1, len(history.losses) // 100)
    curve = [history.losses[i : i + part] for i in range(0, len(history.losses), part)]
    on = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    record = figures | {
        "minutes": sum(examples / row["examples_per_second"] for row in history.records) / 60,
        "hardware": on,
        "precision": runtime.precision(device),
        "torch": version("torch"),
        "command": shlex.join(["python", *sys.argv]),
        "history": history.records,
        "steps": len(history.losses),
        "loss_curve": [round(sum(losses) / len(losses), 4) for losses in curve],
        "options": {name: value for name, value in vars(options).items() if name != "out"},
    }
    (out / "record.json").write_text(json.dumps(record, indent=2) + "\n")
    (out / "README.md").write_text(model_card(record), encoding="utf-8")
