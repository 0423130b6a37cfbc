"""What the benchmarks share: timing, the rate of a large matrix product, and their way into the course's record."""

import argparse
import json
import math
import shlex
import sys
import time
from pathlib import Path

import torch
from torch import nn
from transformers import BertConfig, BertForSequenceClassification

from course_utils import claims, runtime
from course_utils.desk.record import add, circumstances


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


def busy_share(action) -> float | None:
    """Share of the time in which a GPU computes, in the second half of an action; None without one.

    By then what happens once, such as the recording of graphs, is over. Kernels that run at once count once. Watching
    takes time of its own, with each kernel that Python starts: where Python is what a GPU waits for, it waits longer.
    """
    if runtime.device().type != "cuda":
        return None
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        action()
        torch.cuda.synchronize()
    kinds = torch.autograd.DeviceType.CUDA
    spans = [(e.time_range.start, e.time_range.end) for e in profile.events() if e.device_type == kinds]
    first, last = min(start for start, _ in spans), max(end for _, end in spans)
    half = (first + last) / 2
    return merged((max(start, half), end) for start, end in spans if end > half) / (last - half)


def merged(spans) -> float:
    """The length of all spans (start, end) together, what two of them cover counted once."""
    total, reached = 0.0, -math.inf
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def bert_operations(model: nn.Module, tokens: int, *, training: bool) -> int:
    """Operations of the matrix products of real tokens: 2 a weight and token forward, and twice that backward.

    Attention's own products are left out: they are small at these lengths.
    """
    layers = sum(p.numel() for name, p in model.named_parameters() if ".layer." in name and p.ndim > 1)
    return (6 if training else 2) * layers * tokens


def convolution_operations(model: nn.Module, side: int) -> int:
    """Operations of one training step's convolutions and linear layers, a picture."""
    count = 0

    def add_up(module, inputs, output):
        nonlocal count
        places = output.shape[-2:].numel() if output.ndim == 4 else 1
        count += 2 * module.weight.numel() * places

    layers = [module for module in model.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]
    hooks = [layer.register_forward_hook(add_up) for layer in layers]
    with torch.no_grad():
        model(torch.zeros(2, 3, side, side))
    for hook in hooks:
        hook.remove()
    return 3 * count


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


def argument_parser(description: str) -> argparse.ArgumentParser:
    """A parser that knows what every benchmark does."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="put the figures into course_utils/record.jsonl")
    parser.add_argument("--quick", action="store_true", help="a trial on few examples, whose figures say nothing")
    return parser


def report(task: str, values: dict[str, float], *, source: str, seed: int = 0, record: bool) -> None:
    """Print figures, and put them into the record with where, when and with which versions they were measured.

    Args:
        task: which part of the benchmark they belong to; "" where it has one. A later run of the same task on the same
            machine takes the earlier one's place.
        values: claim → number; see `course_utils.claims`.
        source: "bundled", or "mirror" where real data or weights were used.
        seed: of the run.
        record: whether to record them.
    """
    values = {claim: value for claim, value in values.items() if value is not None}
    print(json.dumps(values, indent=2), flush=True)
    if record:
        if "--quick" in sys.argv:
            raise SystemExit("Nothing recorded: with --quick the figures say nothing.")
        script = f"benchmarks/{Path(sys.argv[0]).name}"
        run = {"schema": claims.SCHEMA, "made_by": f"{script} {task}".strip(), "code": "", "source": source}
        run |= {"seed": seed, "command": shlex.join(["python", script, *sys.argv[1:]]), "values": values}
        add([run | circumstances()])
