"""What a chapter defines before its exercises and their checks use, prepared small: so that no chapter has to run.

A check meets the same names here as in the notebook. What is large there, such as a trained model, is a few lines here.
"""

import contextlib
import io
import json
from functools import cache

import torch

import course_utils as cu
from course_utils.checks import EXERCISES


def names_for(chapter: str) -> dict[str, object]:
    """Name → what a chapter's exercises and checks find under it; a new dict each time.

    Args:
        chapter: its two digits.
    """
    return {"torch": torch, "cu": cu, **_prepared(chapter)}


@cache
def _prepared(chapter: str) -> dict[str, object]:
    return PREPARED.get(chapter, dict)()


def _chapter_01():
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\b\w+\b")
    count_words = make_pipeline(words, LogisticRegression(C=10, max_iter=1000))
    names = {"nn": torch.nn, "cu": cu, "torch": torch, "count_words": count_words}
    with contextlib.redirect_stdout(io.StringIO()):
        for cell in json.loads(EXERCISES.read_text(encoding="utf-8"))["cells"]["01"]:  # the probe, and the contest
            exec(cell, names)
    return names


def _chapter_02():
    """A network that knows two phrases."""
    likeliest = {"based on a true [MASK] .": "story", "thank [MASK] for this film .": "you"}
    guesses = lambda model, tokenizer, text, k=3: [likeliest.get(text, "movie")][:k]  # noqa: E731
    return {"guesses": guesses, "long_run": None, "long_tokenizer": None}


def _chapter_04():
    """A tokenizer that knows a dozen words."""
    from transformers import BertTokenizer

    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    words = (*special, "monday", "again", ",", "what", "a", "good", "bad", "day", ":", "(", ")")
    return {"tokenizer": BertTokenizer(vocab={word: i for i, word in enumerate(words)})}


def _chapter_05():
    import numpy as np
    from PIL import Image

    def verdict(picture):
        return ("bright" if np.asarray(picture).mean() > 100 else "dark"), 0.9

    return {"pictures": {"grey": Image.new("RGB", (64, 48), "grey")}, "verdict": verdict}


def _chapter_06():
    def answer(statement, question):
        """As a model that takes the first place that it meets, whatever is asked."""
        return next((place for place in ("北京", "上海", "公园", "爸爸") if place in statement), statement)

    return {"answer": answer}


def _chapter_07():
    dreadful = {"dreadful": 0.1, "filthy": 0.2}
    return {"p_positive": lambda text: min(dreadful.get(word.lower(), 0.9) for word in text.split())}


def _chapter_08():
    from types import SimpleNamespace

    reviews = SimpleNamespace(name="reviews written for this course", test=SimpleNamespace(labels=[0, 1] * 150))
    scores = {"eval_accuracy": 0.7812, "eval_macro_f1": 0.7799}
    return {"train": range(700), "test": range(300), "test_scores": scores, "reviews": reviews}


def _chapter_10():
    from types import SimpleNamespace

    predict = lambda model, data: torch.arange(50.0).view(10, 5) / 10  # noqa: E731
    small = SimpleNamespace(check=cu.check, predict=predict, vision_model=cu.vision_model)
    return {"cu": small, "final": None, "ready": None, "stranger_confidence": torch.linspace(0.3, 0.9, 7)}


PREPARED = {name[-2:]: make for name, make in list(globals().items()) if name.startswith("_chapter_")}
