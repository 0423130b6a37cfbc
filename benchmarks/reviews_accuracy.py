"""What pretraining is worth on reviews: fine-tuned, from random weights, and bag-of-words; three seeds each.

    COURSE_MIRROR=… python benchmarks/reviews_accuracy.py [--out benchmarks/results/reviews_accuracy.json]

The real reviews are measured where they can be had (COURSE_MIRROR or the network), the bundled ones everywhere. The
network is the bundled stand-in, all-MiniLM-L6-v2, in both cases. About a quarter of an hour on two CPU cores.
"""

import argparse
import os
import statistics

from common import record
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

import course_utils as cu

SEEDS = (0, 1, 2)
# epochs and learning rate; the bundled ones are chapter 7's
OPTIONS = {"real": {"epochs": 3, "lr": 1e-4}, "bundled": {"epochs": 2, "lr": 1e-4}}


def bag_of_words(reviews, language):
    """Chinese has no spaces between words, so characters and pairs of them are counted there."""
    counts = {"analyzer": "char"} if language == "zh" else {"token_pattern": r"\b\w+\b"}
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), **counts), LogisticRegression(C=10, max_iter=1000))
    return float(model.fit(reviews.train.texts, reviews.train.labels).score(reviews.test.texts, reviews.test.labels))


def fine_tuned(reviews, folder, seed, pretrained, options):
    cu.setup(seed)
    tokenizer = BertTokenizer.from_pretrained(folder)
    if pretrained:
        model = BertForSequenceClassification.from_pretrained(folder)
    else:
        model = BertForSequenceClassification(BertConfig.from_pretrained(folder))
    train, validation, test = (cu.tokenize(s, tokenizer) for s in (reviews.train, reviews.validation, reviews.test))
    cu.fit(model, train, validation, batch_size=16, seed=seed, **options)
    return cu.evaluate(model, test).accuracy


def measure(source, language):
    os.environ["COURSE_SOURCE"] = "hub" if source == "real" else "bundled"
    reviews = cu.load_reviews(language)
    sizes = {"train": len(reviews.train), "validation": len(reviews.validation), "test": len(reviews.test)}
    row = {"reviews": reviews.name, **sizes, "bag_of_words": bag_of_words(reviews, language)}
    if language == "en":
        os.environ["COURSE_SOURCE"] = "bundled"
        folder = cu.checkpoint("bert-base-uncased")
        row |= OPTIONS[source]
        for name, pretrained in (("fine_tuned", True), ("random_weights", False)):
            row[name] = [fine_tuned(reviews, folder, seed, pretrained, OPTIONS[source]) for seed in SEEDS]
            row[f"{name}_mean"], row[f"{name}_sd"] = statistics.mean(row[name]), statistics.stdev(row[name])
    print(row)
    return row


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", help="write the results to this JSON file")
    parser.add_argument("--only", choices=["real", "bundled"])
    options = parser.parse_args()
    sources = [options.only] if options.only else ["bundled", "real"]
    results = {f"{source}_{language}": measure(source, language) for source in sources for language in ("en", "zh")}
    record(results, options.out)
