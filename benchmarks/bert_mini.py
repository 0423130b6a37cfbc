"""The course's own pretraining: how fast the recipe reads, and what its bert-mini-en and bert-mini-zh are worth.

    COURSE_MIRROR=… python benchmarks/bert_mini.py [--out benchmarks/results/bert_mini.json]

Speed: tokens a second of recipes/pretrain_bert.py's training on 1,500 reviews of its corpus, and the share that its
operations (6 a weight and token, as in chapter 2) have of the rate of one large matrix product, measured just before.
Worth: fine-tuned on labelled reviews, from the pretrained and from random weights, three seeds each, with the learning
rate of three that does best on validation reviews for these weights; test accuracy and balanced accuracy (the mean of
the classes' recalls), on at most 2,000 of the test reviews, after the last epoch. Real reviews where they can be had.
"""

import argparse
import json
import statistics
import sys
from pathlib import Path

import torch
from common import circumstances, matrix_rate, times_as_long, write
from torch.utils.data import Dataset, Subset
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

import course_utils as cu

sys.path.insert(0, str(Path(__file__).parents[1] / "recipes"))
import pretrain_bert

SEEDS = (0, 1, 2)
EPOCHS = {200: 10, 1000: 4}  # by the number of labels to learn from
RATES = (1e-4, 3e-4, 1e-3)
TESTED = 2000


def speed(language: str) -> dict:
    reviews, _ = pretrain_bert.read_corpus(language)
    reviews = reviews[:1500]
    tokenizer = pretrain_bert.train_tokenizer(reviews, pretrain_bert.VOCABULARY[language])
    pairs = pretrain_bert.SentencePairs(reviews, tokenizer)
    bert = pretrain_bert.new_model(tokenizer)
    model = pretrain_bert.MaskedPretraining(bert)
    options = {"epochs": 1, "lr": 1e-3, "batch_size": 32, "loss": pretrain_bert.pretraining_loss, "progress": False}
    cu.fit(model, Subset(pairs, range(320)), **options)  # warm-up
    rate = matrix_rate()
    history = cu.fit(model, pairs, **options)
    tokens = (sum(pairs.lengths) + 3 * len(pairs)) * history["examples_per_second"][0] / len(pairs)
    in_layers = sum(p.numel() for name, p in bert.named_parameters() if ".layer." in name and p.ndim > 1)
    # the head's two matrices meet 15 % of the tokens only
    head = bert.cls.predictions
    in_head = 0.15 * (head.transform.dense.weight.numel() + head.decoder.weight.numel())
    operations = 6 * (in_layers + in_head)
    return {
        "tokens_per_second": tokens,
        "operations_a_token": operations,
        "matrix_products_tflops": rate / 1e12,
        "share_of_matrix_rate": tokens * operations / rate,
    }


def drawn(data: Dataset, count: int, seed: int) -> Subset:
    """So many of its examples, or all, in random order."""
    return Subset(data, torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))[:count].tolist())


def balanced_accuracy(metrics: cu.Metrics) -> float:
    recalls = [counts[i] / sum(counts) for i, counts in enumerate(metrics.confusion)]
    return sum(recalls) / len(recalls)


def worth(language: str, labels: int) -> dict:
    """Test accuracy and balanced accuracy from pretrained and from random weights, each with its best learning rate."""
    folder = cu.checkpoint(f"bert-mini-{language}")
    tokenizer = BertTokenizer.from_pretrained(folder)
    reviews = cu.load_reviews(language)
    train = cu.tokenize(reviews.train, tokenizer)
    validation = drawn(cu.tokenize(reviews.validation, tokenizer), TESTED, seed=0)
    test = drawn(cu.tokenize(reviews.test, tokenizer), TESTED, seed=0)
    row = {
        "reviews": reviews.name,
        "labels": min(labels, len(train)),
        "validation": len(validation),
        "test": len(test),
        "epochs": EPOCHS[labels],
    }

    def fine_tuned(weights: str, lr: float, seed: int) -> BertForSequenceClassification:
        cu.setup(seed)
        if weights == "pretrained":
            model = BertForSequenceClassification.from_pretrained(folder)
        else:
            model = BertForSequenceClassification(BertConfig.from_pretrained(folder))
        few = drawn(train, labels, seed)
        cu.fit(model, few, epochs=EPOCHS[labels], lr=lr, batch_size=16, seed=seed, progress=False)
        return model

    for weights in ("pretrained", "random_weights"):
        trials = {lr: [fine_tuned(weights, lr, seed) for seed in SEEDS] for lr in RATES}
        on_validation = {
            lr: statistics.mean(balanced_accuracy(cu.evaluate(model, validation)) for model in models)
            for lr, models in trials.items()
        }
        row[f"{weights}_validation_by_lr"] = {f"{lr:g}": score for lr, score in on_validation.items()}
        row[f"{weights}_lr"] = lr = max(on_validation, key=on_validation.get)
        metrics = [cu.evaluate(model, test) for model in trials[lr]]
        for which, values in (
            ("accuracy", [m.accuracy for m in metrics]),
            ("balanced_accuracy", [balanced_accuracy(m) for m in metrics]),
        ):
            row[f"{weights}_{which}"] = values
            row[f"{weights}_{which}_mean"] = statistics.mean(values)
            row[f"{weights}_{which}_sd"] = statistics.stdev(values)
        print(language, labels, weights, on_validation, row[f"{weights}_balanced_accuracy"], flush=True)
    return row


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", help="write the results to this JSON file")
    parser.add_argument("--language", choices=["en", "zh"], nargs="+", default=["en", "zh"])
    parser.add_argument("--only", choices=["speed", "worth"])
    options = parser.parse_args()
    known = Path(options.out) if options.out else None
    results = json.loads(known.read_text())["results"] if known and known.exists() else {}
    for language in options.language:
        if options.only != "worth":
            results[f"pretraining, {language}"] = speed(language) | {"measured": circumstances()}
        if options.only != "speed":
            for labels in EPOCHS:
                results[f"bert-mini-{language}, {labels} labels"] = worth(language, labels) | {
                    "measured": circumstances()
                }
    if options.only != "worth":
        stand_in = BertConfig.from_pretrained(cu.checkpoint("bert-mini-zh"))
        times = times_as_long(BertConfig(vocab_size=21128), stand_in)
        results["bert-base-chinese, times as long a step as its stand-in"] = times
    write({"results": results}, options.out)
