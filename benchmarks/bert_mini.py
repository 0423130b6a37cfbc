"""The course's own pretraining: how fast the recipe reads, and what its bert-mini-en and bert-mini-zh are worth.

    COURSE_MIRROR=… python benchmarks/bert_mini.py [--record]

Speed: tokens a second of recipes/pretrain_bert.py's training on 1,500 reviews of its corpus, and the share that its
operations (6 a weight and token, as in chapter 2) have of the rate of one large matrix product, measured just before.
Worth: fine-tuned on labelled reviews, from the pretrained and from random weights, three seeds each, with the learning
rate of three that does best on validation reviews for these weights; test accuracy and balanced accuracy (the mean of
the classes' recalls), on at most 2,000 of the test reviews, after the last epoch. Real reviews where they can be had.
"""

import statistics
import sys
from pathlib import Path

import torch
from common import argument_parser, matrix_rate, report, times_as_long
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
    name = f"bert-mini-{language}"
    return {
        f"{name}-tokens-per-second": tokens,
        f"{name}-operations-a-token": operations,
        f"{name}-matrix-tflops": rate / 1e12,
        f"{name}-share-of-matrix-rate": tokens * operations / rate,
    }


def drawn(data: Dataset, count: int, seed: int) -> Subset:
    """So many of its examples, or all, in random order."""
    return Subset(data, torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))[:count].tolist())


def balanced_accuracy(metrics: cu.Metrics) -> float:
    recalls = [counts[i] / sum(counts) for i, counts in enumerate(metrics.confusion)]
    return sum(recalls) / len(recalls)


def worth(language: str, labels: int) -> list[dict]:
    """For each seed: test accuracies from pretrained and from random weights, each with its best learning rate."""
    folder = cu.checkpoint(f"bert-mini-{language}")
    tokenizer = BertTokenizer.from_pretrained(folder)
    reviews = cu.load_reviews(language)
    train = cu.tokenize(reviews.train, tokenizer)
    validation = drawn(cu.tokenize(reviews.validation, tokenizer), TESTED, seed=0)
    test = drawn(cu.tokenize(reviews.test, tokenizer), TESTED, seed=0)

    def fine_tuned(weights: str, lr: float, seed: int) -> BertForSequenceClassification:
        cu.setup(seed)
        if weights == "pretrained":
            model = BertForSequenceClassification.from_pretrained(folder)
        else:
            model = BertForSequenceClassification(BertConfig.from_pretrained(folder))
        few = drawn(train, labels, seed)
        cu.fit(model, few, epochs=EPOCHS[labels], lr=lr, batch_size=16, seed=seed, progress=False)
        return model

    rows = [{} for _ in SEEDS]
    for weights in ("pretrained", "random"):
        name = f"bert-mini-{language}-{labels}-{weights}"
        trials = {lr: [fine_tuned(weights, lr, seed) for seed in SEEDS] for lr in RATES}
        on_validation = {
            lr: statistics.mean(balanced_accuracy(cu.evaluate(model, validation)) for model in models)
            for lr, models in trials.items()
        }
        lr = max(on_validation, key=on_validation.get)
        for row, model in zip(rows, trials[lr], strict=True):
            metrics = cu.evaluate(model, test)
            row |= {f"{name}-accuracy": metrics.accuracy, f"{name}-balanced": balanced_accuracy(metrics)}
            row |= {f"{name}-lr": lr} | {f"{name}-validation-at-{lr:g}": s for lr, s in on_validation.items()}
    return rows


if __name__ == "__main__":
    parser = argument_parser(__doc__)
    parser.add_argument("--language", choices=["en", "zh"], nargs="+", default=["en", "zh"])
    parser.add_argument("--only", choices=["speed", "worth"])
    options = parser.parse_args()
    for language in options.language:
        if options.only != "worth":
            values = speed(language)
            if language == "zh":
                stand_in = BertConfig.from_pretrained(cu.checkpoint("bert-mini-zh"))
                values["bert-base-chinese-times-as-long"] = times_as_long(BertConfig(vocab_size=21128), stand_in)
            report(f"speed {language}", values, source="mirror", record=options.record)
        if options.only != "speed":
            for labels in EPOCHS:
                for seed, values in zip(SEEDS, worth(language, labels), strict=True):
                    task = f"worth {language} {labels}"
                    report(task, values, source="mirror", seed=seed, record=options.record)
