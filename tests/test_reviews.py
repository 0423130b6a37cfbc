"""The reviews: what the splits promise, and what the bundled ones were written to be."""

import collections
import csv
from importlib.resources import files

import numpy as np
import pytest
import torch

import course_utils as cu
from course_utils.sources import reviews as datasets
from course_utils.sources.download import DownloadError, Remote
from course_utils.texts import Split

LANGUAGES = ("en", "zh")


@pytest.fixture(params=LANGUAGES)
def bundled(request, monkeypatch):
    monkeypatch.setenv("COURSE_SOURCE", "bundled")
    return request.param, cu.load_reviews(request.param)


def all_texts(reviews):
    return reviews.train.texts + reviews.validation.texts + reviews.test.texts


def test_they_are_split_and_balanced(bundled):
    _, reviews = bundled
    for split, size in ((reviews.train, 700), (reviews.validation, 200), (reviews.test, 300)):
        assert len(split) == len(split.labels) == len(split.domains) == len(split.difficulties) == size
        assert split.labels.count(0) == split.labels.count(1) == size // 2
        by_domain = collections.Counter(split.domains)
        assert set(by_domain) == {"product", "place", "film", "service"} and min(by_domain.values()) > 0.2 * size
        assert set(split.difficulties) == {"plain", "negation", "mixed", "irony"}


def test_each_difficulty_has_both_labels_in_each_split(bundled):
    _, reviews = bundled
    for split in (reviews.train, reviews.validation, reviews.test):
        for kind in set(split.difficulties):
            labels = [y for y, k in zip(split.labels, split.difficulties, strict=True) if k == kind]
            assert 0.3 < sum(labels) / len(labels) < 0.7


def test_they_are_of_a_persons_length(bundled):
    language, reviews = bundled
    lengths = sorted(len(text) if language == "zh" else len(text.split()) for text in all_texts(reviews))
    assert lengths[0] >= 2 and lengths[-1] <= (100 if language == "zh" else 65)
    assert lengths[len(lengths) // 5] < lengths[len(lengths) // 2] < lengths[-len(lengths) // 10]


def test_they_open_in_many_ways(bundled):
    language, reviews = bundled
    texts = all_texts(reviews)
    openings = collections.Counter(t[:3] if language == "zh" else " ".join(t.lower().split()[:2]) for t in texts)
    assert max(openings.values()) <= 0.01 * len(texts)


def pieces(text, size):
    text = "".join(text.casefold().split())
    return {text[i : i + size] for i in range(max(1, len(text) - size + 1))}


def test_no_review_is_nearly_another_one(bundled):
    """Jaccard similarity of character n-grams below 0.5, across splits and within; the rule finds a made-up pair."""
    language, reviews = bundled
    size = 2 if language == "zh" else 4
    grams = [pieces(text, size) for text in all_texts(reviews)]

    def similar(a, b):
        shared = len(a & b)
        return shared * 2 >= len(a) + len(b) - shared  # shared / union ≥ 0.5

    original = all_texts(reviews)[0]
    assert similar(grams[0], pieces(original + "!", size))
    assert [(i, j) for i in range(len(grams)) for j in range(i) if similar(grams[i], grams[j])] == []


def test_a_bag_of_words_finds_them_hard_but_not_hopeless(bundled):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    _, reviews = bundled
    for counts in ({"ngram_range": (1, 2)}, {"analyzer": "char", "ngram_range": (1, 3)}):
        model = make_pipeline(TfidfVectorizer(**counts), LogisticRegression(C=10, max_iter=1000))
        model.fit(reviews.train.texts, reviews.train.labels)
        assert model.score(reviews.test.texts, reviews.test.labels) < 0.9
    assert model.score(reviews.test.texts, reviews.test.labels) > 0.55


def test_the_files_hold_nothing_but_the_columns(bundled):
    language, _ = bundled
    with (files("course_utils") / "bundled" / f"reviews_{language}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert set(rows[0]) == {"split", "label", "domain", "difficulty", "text"}
    assert all(row["text"] == " ".join(row["text"].split()) for row in rows)
    assert len({row["text"] for row in rows}) == len(rows) == 1200


def test_hashing_fixes_the_split_and_drops_repetitions():
    rows = [(f"Text {i}", i % 2, "film") for i in range(4000)]
    first = datasets._split_by_hash("made up", rows)
    again = datasets._split_by_hash("made up", [*reversed(rows), ("text 7!", 1, "film"), ("TEXT 8", 0, "film")])
    assert [len(s) for s in (first.train, first.validation, first.test)] == [1000, 500, 2500]
    assert first.train.labels.count(1) == 500
    for split in ("train", "validation", "test"):
        assert {t.lower().strip("!") for t in getattr(again, split).texts} == {
            t.lower() for t in getattr(first, split).texts
        }
    # a text that is added later moves no other text out of the first splits but the last ones of its label
    more = datasets._split_by_hash("made up", [*rows, ("a new text", 0, "film")])
    assert len(set(first.train.texts) - set(more.train.texts)) <= 1


def test_without_data_auto_stands_in_and_says_so_and_hub_fails(monkeypatch, cache, capsys):
    nowhere = {path: Remote(path, r.sha256, ("http://127.0.0.1:9/x",)) for path, r in datasets.REMOTE.items()}
    monkeypatch.setattr(datasets, "REMOTE", nowhere)
    monkeypatch.setenv("COURSE_SOURCE", "auto")
    assert len(cu.load_reviews("en").train) == 700
    assert "UCI Sentiment Labelled Sentences → bundled stand-in: reviews written" in capsys.readouterr().out
    monkeypatch.setenv("COURSE_SOURCE", "hub")
    with pytest.raises(DownloadError, match="could not be had"):
        cu.load_reviews("en")


def test_with_an_unusable_cache_auto_stands_in_and_names_it(monkeypatch, cache, capsys):
    cache.write_text("a file where a folder should be")
    monkeypatch.setenv("COURSE_SOURCE", "auto")
    assert len(cu.load_reviews("zh").train) > 0
    said = capsys.readouterr().out
    assert "→ bundled stand-in" in said and f"cannot be kept in {cache}" in said and said.count("\n") == 1


def test_bundled_asks_no_network(monkeypatch):
    monkeypatch.setenv("COURSE_SOURCE", "bundled")
    monkeypatch.setattr(datasets, "fetch", lambda remote: pytest.fail("asked for a download"))
    cu.load_reviews("zh")


def test_another_language_is_named():
    with pytest.raises(ValueError, match="No reviews in 'fr': the course has en, zh"):
        cu.load_reviews("fr")


# ------------------------------------------------------------------------------------------- tokenize


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import BertTokenizer

    return BertTokenizer.from_pretrained(cu.checkpoint("bert-base-uncased"))


def split_of(texts, labels):
    return Split(texts, labels)


def test_tokenize_gives_ids_without_padding_and_cuts_long_texts(tokenizer):
    data = cu.tokenize(split_of(["Good!", "word " * 500], [1, 0]), tokenizer, max_length=16)
    assert data[0] == {"input_ids": [101, 2204, 999, 102], "attention_mask": [1] * 4, "labels": 1}
    assert len(data) == 2 and len(data[1]["input_ids"]) == 16


STRANGE = [
    "word " * 20_000,
    "x" * 100_000,
    "字" * 100_000,
    "😀👍🏽",
    "good 很好 хорошо جيد 👍",
    "\x00\ufeff",
    "<mask>",
]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_any_text_can_be_read(tokenizer, language):
    """100,000 characters long, emoji, mixed scripts: tokens are cut at the limit, unknown ones are [UNK]."""
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    if language == "zh":
        tokenizer = BertTokenizer.from_pretrained(cu.checkpoint("bert-base-chinese"))
    tiny = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    model = BertForSequenceClassification(BertConfig(vocab_size=len(tokenizer), **tiny))
    data = cu.tokenize(split_of(STRANGE, [0] * len(STRANGE)), tokenizer)
    ids = [data[i]["input_ids"] for i in range(len(data))]
    assert [row[0] for row in ids] == [tokenizer.cls_token_id] * len(STRANGE)
    assert [row[-1] for row in ids] == [tokenizer.sep_token_id] * len(STRANGE)
    assert [len(ids[i]) for i in (0, 1)] == [128, 3] and ids[1][1] == tokenizer.unk_token_id
    assert tokenizer.mask_token_id not in ids[-1]  # another model's mask is text like any other
    assert cu.predict(model, data).isfinite().all()


def test_a_pair_is_read_by_a_head_for_single_texts(tokenizer):
    """What the field's models do: one verdict on both texts together, told apart by their segments."""
    from transformers import BertForSequenceClassification

    model = BertForSequenceClassification.from_pretrained(cu.checkpoint("bert-base-uncased")).eval()
    pair = tokenizer("Good food.", "Bad service.", return_tensors="pt")
    assert pair["token_type_ids"].unique().tolist() == [0, 1]
    assert model(**pair).logits.shape == (1, 2)


@pytest.mark.parametrize("bad", [None, float("nan"), 7, ["nested"]])
def test_a_text_that_is_no_string_is_named(tokenizer, bad):
    with pytest.raises(TypeError, match="Text 1 is .* not a string"):
        cu.tokenize(split_of(["good", bad], [1, 0]), tokenizer)


def test_an_empty_split_and_missing_labels_are_named(tokenizer):
    with pytest.raises(ValueError, match="the split has no texts"):
        cu.tokenize(split_of([], []), tokenizer)
    with pytest.raises(ValueError, match="2 texts but 1 labels"):
        cu.tokenize(split_of(["a", "b"], [1]), tokenizer)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Text 1 is empty"),
        (" \n", "Text 1 is empty"),
        ("\ufeffgood", "Text 1 begins with a byte order mark: open the file with encoding='utf-8-sig'"),
        ("good \ud83d", "Text 1 has half a character, .* at position 5"),
    ],
)
def test_a_text_that_cannot_be_meant_is_named(tokenizer, text, sentence):
    with pytest.raises(ValueError, match=sentence):
        cu.tokenize(Split(["good", text], [1, 0]), tokenizer)


@pytest.mark.parametrize(
    "labels", [[True, False], np.array([True, False]), np.array([1, 0]), torch.tensor([1, 0]), [[0, 1], [1.0, 1.0]]]
)
def test_labels_of_any_whole_number_and_several_at_once_go_through(tokenizer, labels):
    data = cu.tokenize(Split(["good", "bad"], labels, classes=["no", "yes"]), tokenizer)
    assert np.array_equal([data[i]["labels"] for i in range(2)], labels) and data.classes == ["no", "yes"]


@pytest.mark.parametrize("most", [0, -1, 2, 12.5, None])
def test_a_length_without_room_for_a_word_is_refused(tokenizer, most):
    with pytest.raises(ValueError, match=f"max_length={most} must be a whole number of at least 3"):
        cu.tokenize(Split(["good", "bad"], [1, 0]), tokenizer, max_length=most)


# ------------------------------------------------------------------------------------------- real data


@pytest.mark.real
def test_the_real_english_reviews(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    monkeypatch.setenv("COURSE_SOURCE", "hub")
    reviews = cu.load_reviews("en")
    assert [len(s) for s in (reviews.train, reviews.validation, reviews.test)] == [1000, 500, 1468]
    assert reviews.train.labels.count(1) == 500
    assert set(reviews.test.domains) == {"product", "film", "place"}
    assert len(set(all_texts(reviews))) == 2968


@pytest.mark.real
def test_the_real_chinese_reviews(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    monkeypatch.setenv("COURSE_SOURCE", "hub")
    reviews = cu.load_reviews("zh")
    assert len(reviews.train) == 1000 and len(reviews.validation) == 500 and len(reviews.test) > 3000
    assert reviews.train.labels.count(1) / 1000 == pytest.approx(
        reviews.test.labels.count(1) / len(reviews.test), abs=0.01
    )


@pytest.mark.real
def test_fine_tuning_on_real_reviews_and_from_random_weights(monkeypatch, tmp_path):
    """One seed of benchmarks/reviews_accuracy.py: all-MiniLM, 1,000 labels of UCI's reviews."""
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    monkeypatch.setenv("COURSE_SOURCE", "hub")
    reviews = cu.load_reviews("en")
    monkeypatch.setenv("COURSE_SOURCE", "bundled")
    folder = cu.checkpoint("bert-base-uncased")
    tokenizer = BertTokenizer.from_pretrained(folder)
    train, validation, test = (cu.tokenize(s, tokenizer) for s in (reviews.train, reviews.validation, reviews.test))
    cu.setup(seed=0)
    pretrained = BertForSequenceClassification.from_pretrained(folder)
    cu.fit(pretrained, train, validation, epochs=3, lr=1e-4, progress=False)
    assert cu.evaluate(pretrained, test).accuracy >= 0.90
    scratch = BertForSequenceClassification(BertConfig.from_pretrained(folder))
    cu.fit(scratch, train, validation, epochs=3, lr=1e-4, progress=False)
    assert cu.evaluate(scratch, test).accuracy <= 0.80
