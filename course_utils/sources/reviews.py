"""Reviews (chapters 1, 3, 4, 6 to 8): UCI's and ChnSentiCorp's, else the course's own; chapter 6's questions."""

import csv
import hashlib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from course_utils.runtime import choose
from course_utils.sources.download import Remote, fetch
from course_utils.texts import Reviews, Split, text_key


def load_reviews(language: str = "en") -> Reviews:
    """Product, film and restaurant reviews in English, hotel reviews in Chinese, labelled 0 (negative) or 1 (positive).

    English: Sentiment Labelled Sentences (Kotzias et al., 2015, CC BY 4.0, https://archive.ics.uci.edu/dataset/331).
    Chinese: ChnSentiCorp hotel reviews (Tan Songbo). Both are split 1,000 / 500 / the rest, stratified, by the hash of
    each text, so that a text stays in its split for good. Where they cannot be had, or with COURSE_SOURCE=bundled, the
    reviews written for this course (CC BY 4.0) stand in, and a line says so.

    Args:
        language: ``"en"`` or ``"zh"``.

    Returns:
        `Reviews` with `.train`, `.validation` and `.test`.

    Raises:
        ValueError: another language, or a damaged file.
        ConnectionError: COURSE_SOURCE is ``hub`` and no address gave the data.
    """
    if language not in PUBLIC_REVIEWS:
        raise ValueError(f"No reviews in {language!r}: the course has {', '.join(PUBLIC_REVIEWS)}.")
    name, read = PUBLIC_REVIEWS[language]
    return choose(
        name,
        lambda: _split_by_hash(name, read()),
        lambda: _bundled_reviews(language),
        stand_in="reviews written for this course",
    )


def _read_uci() -> list[tuple[str, int, str]]:
    rows = []
    for domain, file in (("product", "amazon_cells"), ("film", "imdb"), ("place", "yelp")):
        path = fetch(REMOTE[f"reviews-en/{file}_labelled.txt"])
        for line in path.read_text(encoding="utf-8").split("\n"):
            text, _, label = line.rpartition("\t")
            if label.strip() in ("0", "1"):  # the Amazon and Yelp files also hold unlabelled sentences
                rows.append((text.strip(), int(label), domain))
    return rows


def _read_hotels() -> list[tuple[str, int, str]]:
    with fetch(REMOTE["reviews-zh/ChnSentiCorp_htl_all.csv"]).open(encoding="utf-8", newline="") as file:
        return [(row["review"].strip(), int(row["label"]), "place") for row in csv.DictReader(file) if row["review"]]


def _split_by_hash(name: str, rows: list[tuple[str, int, str]]) -> Reviews:
    """1,000 training and 500 validation texts, the rest for testing, with each split's labels in the same proportion.

    Of texts that repeat each other but for case and punctuation the first counts: in two splits they would leak.
    """
    unique = {_hash(row[0]): row for row in reversed(rows)}
    unique = [unique[key] for key in sorted(unique)]
    splits = {"train": [], "validation": [], "test": []}
    for label in (0, 1):
        of_label = [row for row in unique if row[1] == label]
        share = len(of_label) / len(unique)
        train, validation = round(1000 * share), round(500 * share)
        splits["train"] += of_label[:train]
        splits["validation"] += of_label[train : train + validation]
        splits["test"] += of_label[train + validation :]
    return Reviews(name, **{split: _as_split([(*row, "unrated") for row in rows]) for split, rows in splits.items()})


def _bundled_reviews(language: str) -> Reviews:
    splits = {"train": [], "validation": [], "test": []}
    with (files("course_utils") / "bundled" / f"reviews_{language}.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            splits[row["split"]].append((row["text"], int(row["label"]), row["domain"], row["difficulty"]))
    return Reviews("reviews written for this course", **{split: _as_split(rows) for split, rows in splits.items()})


def _as_split(rows: list[tuple[str, int, str, str]]) -> Split:
    # In the order of the hash, so that the first n of a split are a fair sample of it.
    rows = sorted(rows, key=lambda row: _hash(row[0]))
    return Split(*(list(column) for column in zip(*rows, strict=True)), classes=["negative", "positive"])


def _hash(text: str) -> bytes:
    return hashlib.sha256(text_key(text).encode()).digest()


_SENTENCES = (
    "https://raw.githubusercontent.com/ianwalker04/csci335/64435c66c891b301c94b931c5eb1e9d713648c2c/"
    "sentiment_labelled_sentences/{}",
    "https://archive.ics.uci.edu/static/public/331/sentiment+labelled+sentences.zip#sentiment labelled sentences/{}",
)
_HOTELS_AT = "a0b781d72158bde242c0626c9e354d2b328865ff"
_HOTELS = (
    f"https://raw.githubusercontent.com/SophonPlus/ChineseNlpCorpus/{_HOTELS_AT}/datasets/ChnSentiCorp_htl_all/{{}}",
    f"https://github.com/SophonPlus/ChineseNlpCorpus/archive/{_HOTELS_AT}.zip"
    f"#ChineseNlpCorpus-{_HOTELS_AT}/datasets/ChnSentiCorp_htl_all/{{}}",
)
REMOTE = {
    path: Remote(path, sha256, tuple(url.format(Path(path).name) for url in urls))
    for path, sha256, urls in (
        (
            "reviews-en/amazon_cells_labelled.txt",
            "f92b5c5c2bdcb4926777f6698eff13ffc7483ee2381f80597c28f9b4dff72c1c",
            _SENTENCES,
        ),
        (
            "reviews-en/imdb_labelled.txt",
            "aef2e49e3da25714d61175e3a6e68eeef74a20a2f914318dc3be9947ea86512d",
            _SENTENCES,
        ),
        (
            "reviews-en/yelp_labelled.txt",
            "b892ce6a9bb31a21143da685f1eefcec3a0c9c4f49cdf126f1280bae6c458b93",
            _SENTENCES,
        ),
        (
            "reviews-zh/ChnSentiCorp_htl_all.csv",
            "1d414b9c65caf3a836abdb4efded621968502ad3338e1a9d885ae131c86083f0",
            _HOTELS,
        ),
    )
}


def load_questions() -> tuple[list[dict], list[dict]]:
    """Chinese questions about short statements, written for this course (CC BY 4.0): rows to learn from, rows to test.

    Returns:
        (train, test): dicts ``statement``, ``question``, ``answer`` and ``start``, the answer's place in the statement,
        in characters. No statement is in both.
    """
    with (files("course_utils") / "bundled" / "questions_zh.csv").open(encoding="utf-8", newline="") as file:
        rows = [{**row, "start": int(row["start"])} for row in csv.DictReader(file)]
    return tuple([row for row in rows if row["split"] == split] for split in ("train", "test"))


PUBLIC_REVIEWS: dict[str, tuple[str, Callable]] = {
    "en": ("UCI Sentiment Labelled Sentences", _read_uci),
    "zh": ("ChnSentiCorp hotel reviews", _read_hotels),
}
