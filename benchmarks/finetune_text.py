"""One epoch of fine-tuning on 1,000 reviews: the documents' loop, Hugging Face's Trainer and `cu.fit`, side by side.

    COURSE_MIRROR=… python benchmarks/finetune_text.py [--record]

All train the same network, all-MiniLM-L6-v2, on the same texts (UCI's where they can be had), 16 at a time, each in a
process of its own after a warm-up on 64 texts. Beside them stands the floor of a step: the matrix products of the real
tokens at the rate of one large matrix product, plus what the optimizer must read and write at the memory's bandwidth.
A CPU that only emulates bf16 would take a quarter of an hour for the Trainer's epoch with bf16=True, which is what one
is told to set; it is measured there on 96 of the texts.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time

import torch
from common import argument_parser, matrix_rate, report, seconds_of, synchronize, times_as_long
from torch.utils.data import DataLoader, Subset
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

import course_utils as cu
from course_utils import runtime

BATCH, LR = 16, 5e-5
# the shape of all-MiniLM-L6-v2
STAND_IN = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)


def plain_loop(model, train, tokenizer):
    """The documents' way: float32, every text padded to the longest of all, Adam."""
    device = runtime.device()
    longest = max(len(example["input_ids"]) for example in train)
    collate = DataCollatorWithPadding(tokenizer, padding="max_length", max_length=longest)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    model.to(device).train()
    for batch in DataLoader(train, BATCH, shuffle=True, collate_fn=collate):
        optimizer.zero_grad()
        model(**batch.to(device)).loss.backward()
        optimizer.step()


def trainer(model, train, tokenizer, *, bf16):
    """Trainer with dynamic padding."""
    with tempfile.TemporaryDirectory() as folder:
        options = TrainingArguments(
            folder,
            num_train_epochs=1,
            per_device_train_batch_size=BATCH,
            learning_rate=LR,
            bf16=bf16,
            use_cpu=runtime.device().type == "cpu",  # without it a bf16 run on a CPU is refused
            disable_tqdm=True,
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
        )
        Trainer(model, options, train_dataset=train, data_collator=DataCollatorWithPadding(tokenizer)).train()


def fit(model, train, tokenizer):
    cu.fit(model, train, epochs=1, lr=LR, batch_size=BATCH, progress=False)


CONTENDERS = {
    "plain-fp32": plain_loop,
    "trainer-bf16": lambda *a: trainer(*a, bf16=True),
    "trainer-fp32": lambda *a: trainer(*a, bf16=False),
    "fit": fit,
}


def load():
    cu.setup(seed=0)
    folder = cu.checkpoint("bert-base-uncased")
    tokenizer = BertTokenizer.from_pretrained(folder)
    reviews = cu.load_reviews("en")
    train = cu.tokenize(reviews.train, tokenizer)
    return reviews.name, train, tokenizer, BertForSequenceClassification.from_pretrained(folder)


def measure(name):
    """Warm up, train one epoch; called in a process of its own, so that its peak memory is its own."""
    _, train, tokenizer, model = load()
    emulated = name == "trainer-bf16" and runtime.precision(runtime.device()) == "fp32"
    if emulated:
        train = Subset(train, range(96))
    CONTENDERS[name](model, Subset(train, range(16 if emulated else 64)), tokenizer)
    synchronize()
    started = time.perf_counter()
    CONTENDERS[name](model, train, tokenizer)
    synchronize()
    seconds = time.perf_counter() - started
    if runtime.device().type == "cuda":
        peak = torch.cuda.max_memory_allocated()
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {f"text-{BATCH}-{name}": len(train) / seconds, f"text-{BATCH}-{name}-gb": peak / 1e9}


def floor():
    """Seconds that an epoch would take if nothing but its matrix products and its optimizer cost time."""
    _, train, _, model = load()
    rate = matrix_rate()
    big = torch.empty(2**27, device=runtime.device())  # 512 MiB: no cache holds it
    bandwidth = 2 * big.numel() * 4 / seconds_of(lambda: big.mul_(1.0), 5)
    layers = sum(p.numel() for n, p in model.named_parameters() if ".layer." in n and p.ndim > 1)
    tokens = sum(len(example["input_ids"]) for example in train)
    steps = -(-len(train) // BATCH)
    parameters = cu.count_parameters(model).total
    # forward and backward: 6 operations a weight and token; attention's own products are small at these lengths
    matrices = 6 * layers * tokens / rate
    # AdamW reads weight, gradient and two moments, and writes all but the gradient: 7 × 4 bytes a weight and step
    optimizer = 7 * 4 * parameters * steps / bandwidth
    return {
        "text-matrix-tflops": rate / 1e12,
        "text-memory-gb-per-second": bandwidth / 1e9,
        f"text-{BATCH}-floor-matrix-seconds": matrices,
        f"text-{BATCH}-floor-seconds": matrices + optimizer,
        f"text-{BATCH}-floor": len(train) / (matrices + optimizer),
    }


if __name__ == "__main__":
    parser = argument_parser(__doc__)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        sys.exit()
    values = {}
    for name in CONTENDERS:
        command = [sys.executable, __file__, "--measure", name]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        values |= json.loads(done.stdout.splitlines()[-1])
    for name in list(CONTENDERS)[:-1]:
        print(f"cu.fit is {values[f'text-{BATCH}-fit'] / values[f'text-{BATCH}-{name}']:.2f} times as fast as {name}")
    values |= floor()
    values["bert-base-uncased-times-as-long"] = times_as_long(BertConfig(), STAND_IN)
    report("", values, source=runtime.checkpoints_are(), record=options.record)
