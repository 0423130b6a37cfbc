"""What pretraining is worth on reviews: fine-tuned, from random weights, and bag-of-words; three seeds each.

    COURSE_MIRROR=… python benchmarks/reviews_accuracy.py [--record]

The real reviews are measured where they can be had (COURSE_MIRROR or the network), the bundled ones everywhere. The
network is the bundled stand-in, all-MiniLM-L6-v2, in both cases. About a quarter of an hour on two CPU cores.
"""

from common import argument_parser, report
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

import course_utils as cu
from course_utils.runtime import using

SEEDS = (0, 1, 2)
NAMES = {"mirror": {"en": "uci", "zh": "hotels"}, "bundled": {"en": "course-en", "zh": "course-zh"}}
# epochs and learning rate; the bundled ones are chapter 7's
OPTIONS = {"mirror": {"epochs": 3, "lr": 1e-4}, "bundled": {"epochs": 2, "lr": 1e-4}}


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


def measure(name: str, language: str, options: dict, *, source: str, record: bool) -> None:
    with using("hub" if source == "mirror" else "bundled"):
        reviews = cu.load_reviews(language)
    words = {f"reviews-{name}-words": bag_of_words(reviews, language)}
    if language == "zh":
        return report(name, words, source=source, record=record)
    with using("bundled"):
        folder = cu.checkpoint("bert-base-uncased")
    for seed in SEEDS:
        arms = {"pretrained": True, "random": False}
        scores = {arm: fine_tuned(reviews, folder, seed, pretrained, options) for arm, pretrained in arms.items()}
        values = words | {f"reviews-{name}-{arm}": score for arm, score in scores.items()}
        report(name, values, source=source, seed=seed, record=record)


if __name__ == "__main__":
    parser = argument_parser(__doc__)
    parser.add_argument("--only", choices=["mirror", "bundled"])
    options = parser.parse_args()
    for source in [options.only] if options.only else ["bundled", "mirror"]:
        for language, name in NAMES[source].items():
            measure(name, language, OPTIONS[source], source=source, record=options.record)
