"""How time and memory grow with the data: 1,000, 10,000 and 100,000 texts and pictures.

    python benchmarks/growth.py [--most 100000] [--record]

Texts of 60 words: `cu.tokenize`, and the bytes that a text then takes. Pictures of 96 px in files: one pass over them
as `fit` reads them (decoded, cropped, batches of bytes), which holds none of them; and `in_memory`, which holds all.
Each size has a process of its own; its memory is what it took beyond that of ten examples.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from common import argument_parser, report
from PIL import Image
from torchvision.models import resnet18
from torchvision.transforms import v2
from transformers import BertTokenizer

import course_utils as cu
from course_utils.batches import training_loader

SIZES = (1_000, 10_000, 100_000)
FILES = 500  # as many different pictures; more would measure the disk


def peak() -> int:
    """Bytes that this process has taken at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def tokenized(size: int):
    words = ["food", "was", "good", "but", "we", "waited", "too", "long"]
    texts = [" ".join(words[(i * k) % len(words)] for k in range(1, 61)) for i in range(size)]
    tokenizer = BertTokenizer.from_pretrained(cu.checkpoint("bert-base-uncased"))
    return lambda count: cu.tokenize(cu.Split(texts[:count], [0] * count), tokenizer)


def pictures(size: int) -> cu.Pictures:
    folder, draw = Path(tempfile.mkdtemp()), np.random.default_rng(0)
    for i in range(min(size, FILES)):
        coarse = Image.fromarray(draw.integers(0, 256, (12, 12, 3), dtype=np.uint8))
        coarse.resize((96, 96)).save(folder / f"{i}.jpg")
    files = [str(folder / f"{i % FILES}.jpg") for i in range(size)]
    tail = [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.25] * 3)]
    return cu.Pictures(files, [0] * size, ["a"], v2.Compose([v2.RandomResizedCrop(64), *tail]))


def read(size: int):
    data = pictures(size)

    def run(count):
        for _ in training_loader(data.subset(range(count)), resnet18(num_classes=2), 64, 0, 0):
            pass

    return run


def held(size: int):
    data = pictures(size)
    return lambda count: data.subset(range(count)).in_memory(96)


KINDS = {"texts": tokenized, "pictures-read": read, "pictures-held": held}


def measure(kind: str, size: int) -> dict:
    run = KINDS[kind](size)
    run(10)
    before, started = peak(), time.perf_counter()
    kept = run(size)
    seconds, grown = time.perf_counter() - started, peak() - before
    values = {f"growth-{kind}-{size}-seconds": seconds, f"growth-{kind}-{size}-mb": grown / 1e6}
    if kind == "texts":
        columns = kept.encodings.values()
        values[f"growth-{kind}-{size}-bytes-each"] = sum(sys.getsizeof(v) for c in columns for v in c) / size
    return values


if __name__ == "__main__":
    parser = argument_parser(__doc__)
    parser.add_argument("--most", type=int, default=SIZES[-1], help="leave out larger sizes")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        kind, size = options.measure.split(":")
        print(json.dumps(measure(kind, int(size))))
        sys.exit()
    values = {}
    for kind in KINDS:
        for size in (100,) if options.quick else [size for size in SIZES if size <= options.most]:
            command = [sys.executable, __file__, "--measure", f"{kind}:{size}"]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            values |= json.loads(done.stdout.splitlines()[-1])
            print(done.stdout.splitlines()[-1], flush=True)
    report("", values, source="bundled", record=options.record)
