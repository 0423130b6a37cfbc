"""One epoch of fine-tuning on 1,000 reviews: the documents' loop, Hugging Face's Trainer and `cu.fit`, side by side.

    COURSE_MIRROR=… python benchmarks/finetune_text.py [--out benchmarks/results/finetune_text.json]

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
from common import matrix_rate, record, seconds_of, synchronize, times_as_long
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
    "plain fp32 loop, padded to the longest text": plain_loop,
    "Trainer, bf16=True, dynamic padding": lambda *a: trainer(*a, bf16=True),
    "Trainer, fp32, dynamic padding": lambda *a: trainer(*a, bf16=False),
    "cu.fit": fit,
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
    emulated = "bf16=True" in name and runtime.precision(runtime.device()) == "fp32"
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
    return {
        "texts": len(train),
        "seconds": seconds,
        "texts_per_second": len(train) / seconds,
        "peak_memory_gb": peak / 1e9,
    }


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
        "matrix_products_tflops": rate / 1e12,
        "memory_bandwidth_gb_per_second": bandwidth / 1e9,
        "matrix_seconds": matrices,
        "optimizer_seconds": optimizer,
        "seconds": matrices + optimizer,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", help="write the results to this JSON file")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        sys.exit()
    reviews, train, _, _ = load()
    results = {"reviews": reviews, "texts": len(train), "batch": BATCH}
    for name in CONTENDERS:
        command = [sys.executable, __file__, "--measure", name]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        results[name] = json.loads(done.stdout.splitlines()[-1])
        print(name, results[name], flush=True)
    for name in list(CONTENDERS)[:-1]:
        ratio = results["cu.fit"]["texts_per_second"] / results[name]["texts_per_second"]
        results[f"cu.fit is times as fast as: {name}"] = ratio
    results["floor"] = floor()
    results["cu.fit, share of the floor"] = results["floor"]["seconds"] / results["cu.fit"]["seconds"]
    results["bert-base-uncased, times as long a step as its stand-in"] = times_as_long(BertConfig(), STAND_IN)
    record(results, options.out)
