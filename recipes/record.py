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
from course_utils.history import History


def write_record(
    out: Path,
    model_card: Callable[[dict], str],
    history: History,
    options: Namespace,
    examples: int,
    before: dict | None = None,
    **figures,
) -> None:
    """Write `record.json` and `README.md` into the folder of the weights; `examples` is how many an epoch has.

    `before` is the record of the training that this one went on from, and the new record is of both, but for
    the `options`. Its `loss_curve` has hundreds of points, each the mean over the same number of steps.
    """
    before = {"minutes": 0, "history": [], "steps": 0, "loss_curve": [], "command": ""} | (before or {})

    def then(name: str, now: str) -> str:
        """Where a training went on with other hardware or another precision, both."""
        earlier = before.get(name, now)
        return earlier if earlier.endswith(now) else f"{earlier}, then {now}"

    device = runtime.device()
    points = len(before["loss_curve"]) or 100
    part = max(1, round((before["steps"] or len(history.losses)) / points))
    curve = [history.losses[i : i + part] for i in range(0, len(history.losses), part)]
    minutes = sum(examples / row["examples_per_second"] for row in history.records) / 60
    commands = [before["command"], shlex.join(["python", *sys.argv])]
    epochs = [row | {"epoch": row["epoch"] + len(before["history"])} for row in history.records]
    on = torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    record = figures | {
        "minutes": before["minutes"] + minutes,
        "hardware": then("hardware", on),
        "precision": then("precision", runtime.precision(device)),
        "torch": version("torch"),
        "command": " && ".join(filter(None, commands)),
        "history": before["history"] + epochs,
        "steps": before["steps"] + len(history.losses),
        "loss_curve": before["loss_curve"] + [round(sum(losses) / len(losses), 4) for losses in curve],
        "options": {name: value for name, value in vars(options).items() if name not in ("out", "start_from")},
    }
    (out / "record.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    (out / "README.md").write_text(model_card(record), encoding="utf-8")
