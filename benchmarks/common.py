"""What the benchmarks share: timing, the rate of a large matrix product, and their way into the course's record."""

import argparse
import json
import shlex
import sys
import time
from pathlib import Path

import torch
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
    print(json.dumps(values, indent=2), flush=True)
    if record:
        script = f"benchmarks/{Path(sys.argv[0]).name}"
        run = {"schema": claims.SCHEMA, "made_by": f"{script} {task}".strip(), "code": "", "source": source}
        run |= {"seed": seed, "command": shlex.join(["python", script, *sys.argv[1:]]), "values": values}
        add([run | circumstances()])
