"""One epoch of fine-tuning on 1,000 reviews: the documents' loop, Hugging Face's Trainer and `cu.fit`, side by side.

    COURSE_MIRROR=… python benchmarks/finetune_text.py [--setup mini-16 mini-64 base-16 base-64] [--record]

All train the same network on the same texts (UCI's where they can be had), 16 or 64 at a time, after a warm-up: mini is
all-MiniLM-L6-v2, base has the shape of BERT-base and random weights, which are as fast as others, and 500 of the texts
(128 on a CPU). The loop runs in float32 and in the precision that this hardware computes fastest, Trainer in the
latter. On a CPU each has a process of its own. A CPU that only emulates bf16 would take a quarter of an hour for the
Trainer's epoch with bf16=True, which is what one is told to set; it is measured there on 96 of the texts.

Beside the speeds (texts a second) stand the share that the matrix products of the real tokens have of the rate of one
large matrix product, and on a GPU the share of the time in which it computes; of `cu.fit` both hold for later epochs,
once what the first one does only once is done. The floor of a step: those matrix products at that rate, plus what the
optimizer must read and write at the memory's bandwidth.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial

import torch
from common import (
    argument_parser,
    bert_operations,
    busy_share,
    matrix_rate,
    report,
    seconds_of,
    synchronize,
    times_as_long,
)
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
SETUPS = [("mini", 16), ("mini", 64), ("base", 16), ("base", 64)]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# the shape of all-MiniLM-L6-v2
STAND_IN = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)


def plain_loop(model, train, tokenizer, batch, epochs=1, *, precision="fp32"):
    """The documents' way: every text padded to the longest of all, Adam; float32, or under autocast."""
    device = runtime.device()
    longest = max(len(example["input_ids"]) for example in train)
    collate = DataCollatorWithPadding(tokenizer, padding="max_length", max_length=longest)
    optimizer = torch.optim.Adam(model.parameters(), lr=LR)
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")
    model.to(device).train()
    for _ in range(epochs):
        for inputs in DataLoader(train, batch, shuffle=True, collate_fn=collate):
            optimizer.zero_grad()
            with torch.autocast(device.type, dtype=DTYPES[precision], enabled=precision != "fp32"):
                loss = model(**inputs.to(device)).loss
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()


def trainer(model, train, tokenizer, batch, epochs=1, *, precision):
    """Trainer with dynamic padding."""
    with tempfile.TemporaryDirectory() as folder:
        options = TrainingArguments(
            folder,
            num_train_epochs=epochs,
            per_device_train_batch_size=batch,
            learning_rate=LR,
            bf16=precision == "bf16",
            fp16=precision == "fp16",
            use_cpu=runtime.device().type == "cpu",  # without it a bf16 run on a CPU is refused
            disable_tqdm=True,
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
        )
        Trainer(model, options, train_dataset=train, data_collator=DataCollatorWithPadding(tokenizer)).train()


def fit(model, train, tokenizer, batch, epochs=1):
    return cu.fit(model, train, epochs=epochs, lr=LR, batch_size=batch, progress=False)


def contender(name):
    """By its name: plain-fp32, trainer-bf16 …; fit."""
    kind, _, precision = name.partition("-")
    return fit if kind == "fit" else partial({"plain": plain_loop, "trainer": trainer}[kind], precision=precision)


def contenders(setup):
    best = runtime.precision(runtime.device())
    cited = ["trainer-bf16", "trainer-fp32"] if setup == SETUPS[0] else []  # chapter 7 has them beside each other
    return list(dict.fromkeys(["plain-fp32", f"plain-{best}", *cited, f"trainer-{best}", "fit"]))


def load():
    cu.setup(seed=0)
    folder = cu.checkpoint("bert-base-uncased")
    tokenizer = BertTokenizer.from_pretrained(folder)
    reviews = cu.load_reviews("en")
    train = cu.tokenize(reviews.train, tokenizer)
    return reviews.name, train, tokenizer, BertForSequenceClassification.from_pretrained(folder)


def measure(setup, name, quick, rate=None):
    """Warm up, train one epoch. On a CPU in a process of its own, so that its peak memory is its own."""
    size, batch = setup
    on_gpu = runtime.device().type == "cuda"
    _, train, tokenizer, model = load()
    if size == "base":
        model = BertForSequenceClassification(BertConfig())
    emulated = name.endswith("bf16") and runtime.precision(runtime.device()) == "fp32"
    texts = 2 * batch if quick else 96 if emulated else len(train) if size == "mini" else 500 if on_gpu else 128
    train = Subset(train, range(min(texts, len(train))))
    train_it = contender(name)
    train_it(model, Subset(train, range(min(16 if emulated else 4 * batch, len(train)))), tokenizer, batch)
    synchronize()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    train_it(model, train, tokenizer, batch)
    synchronize()
    speed = len(train) / (time.perf_counter() - started)
    peak = torch.cuda.max_memory_allocated() if on_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    claim = f"text-{batch}-{name}" if size == "mini" else f"text-base-{batch}-{name}"
    values = {claim: speed, f"{claim}-gb": peak / 1e9}
    tokens = sum(len(example["input_ids"]) for example in train) / len(train)
    if name == "fit":  # once what happens in the first epoch only, such as the recording of graphs, is over
        speed = values[f"{claim}-second-epoch"] = fit(model, train, tokenizer, batch, 2)["examples_per_second"][1]
    operations = bert_operations(model, tokens, training=True)
    values[f"{claim}-share-of-matrix-rate"] = speed * operations / (rate or matrix_rate())
    if name == "fit" or name == contenders(setup)[1]:
        part = train if name == "fit" else Subset(train, range(min(10 * batch, len(train))))
        values[f"{claim}-busy"] = busy_share(lambda: train_it(model, part, tokenizer, batch, 5 if name == "fit" else 1))
    return values


def floor():
    """Seconds that an epoch would take if nothing but its matrix products and its optimizer cost time."""
    _, train, _, model = load()
    rate = matrix_rate()
    big = torch.empty(2**27, device=runtime.device())  # 512 MiB: no cache holds it
    bandwidth = 2 * big.numel() * 4 / seconds_of(lambda: big.mul_(1.0), 5)
    tokens = sum(len(example["input_ids"]) for example in train)
    steps = -(-len(train) // BATCH)
    parameters = cu.count_parameters(model).total
    matrices = bert_operations(model, tokens, training=True) / rate
    # AdamW reads weight, gradient and two moments, and writes all but the gradient: 7 × 4 bytes a weight and step
    optimizer = 7 * 4 * parameters * steps / bandwidth
    return {
        "text-matrix-tflops": rate / 1e12,
        "text-memory-gb-per-second": bandwidth / 1e9,
        f"text-{BATCH}-floor-matrix-seconds": matrices,
        f"text-{BATCH}-floor-seconds": matrices + optimizer,
        f"text-{BATCH}-floor": len(train) / (matrices + optimizer),
    }


def measured(setup, name, options, rate):
    if runtime.device().type == "cuda":
        values = measure(setup, name, options.quick, rate)
        torch.cuda.empty_cache()
        return values
    command = [sys.executable, __file__, "--measure", name, "--setup", f"{setup[0]}-{setup[1]}"]
    command += ["--quick"] * options.quick
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    parser = argument_parser(__doc__)
    names = [f"{size}-{batch}" for size, batch in SETUPS]
    parser.add_argument("--setup", choices=names, nargs="+", default=names, help="all-MiniLM or BERT-base, batch size")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    setups = [setup for setup, name in zip(SETUPS, names, strict=True) if name in options.setup]
    if options.measure:
        print(json.dumps(measure(setups[0], options.measure, options.quick)))
        sys.exit()
    rate = matrix_rate()
    for setup, label in zip(setups, [name for name in names if name in options.setup], strict=True):
        values = {}
        for name in contenders(setup):
            values |= measured(setup, name, options, rate)
        speeds = {c: v for c, v in values.items() if c.rpartition("-")[2] in ("fit", *DTYPES)}
        ours = next(v for c, v in speeds.items() if c.endswith("-fit"))
        for claim, speed in speeds.items():
            if not claim.endswith("-fit"):
                print(f"cu.fit is {ours / speed:.2f} times as fast as {claim}", flush=True)
        if setup == SETUPS[0]:
            values |= floor()
            values["bert-base-uncased-times-as-long"] = times_as_long(BertConfig(), STAND_IN)
        # the first is the one that chapters cite; each is put down as soon as it is known
        task = "" if setup == SETUPS[0] else label
        report(task, values, source=runtime.checkpoints_are(), record=options.record)
