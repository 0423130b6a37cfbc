"""Texts with labels: the splits that chapters 3, 4 and 6 to 8 train on, and their token ids (chapter 4)."""

from dataclasses import dataclass, field

import numpy as np
from torch.utils.data import Dataset

AT_A_TIME = 1000  # texts: what a tokenizer returns takes far more room than the ids


@dataclass(frozen=True)
class Split:
    """Texts with their labels, numbers from 0, and what else is known of each: domain and difficulty."""

    texts: list[str]
    labels: list[int]  # of reviews: 0 negative, 1 positive
    domains: list[str] = field(default_factory=list)
    difficulties: list[str] = field(default_factory=list)  # of the bundled reviews: plain, negation, mixed or irony
    classes: list[str] | None = None  # their names: a label is a position in it

    def __post_init__(self):
        for name in ("domains", "difficulties"):
            if not getattr(self, name):
                object.__setattr__(self, name, ["unrated"] * len(self.texts))

    def __len__(self):
        return len(self.texts)


@dataclass(frozen=True)
class Reviews:
    """Reviews, or other texts, in three splits without a text in common; `name` says which they are."""

    name: str
    train: Split
    validation: Split
    test: Split

    @property
    def classes(self) -> list[str]:
        return self.train.classes

    @property
    def id2label(self) -> dict[int, str]:
        """For ``from_pretrained(…, id2label=…, label2id=…)``, so that a model says its answers by name."""
        return dict(enumerate(self.classes))

    @property
    def label2id(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.classes)}


def text_key(text: str) -> str:
    """What two texts share that differ in case and punctuation alone: the same text, as far as leaks go."""
    return "".join(filter(str.isalnum, text.casefold()))


class TokenizedTexts(Dataset):
    """A map-style Dataset of dicts with `input_ids`, `attention_mask` (lists of one text's length) and `labels`."""

    def __init__(self, encodings, labels, classes=None):
        self.encodings = encodings
        self.labels = labels
        self.classes = classes  # their names, or None
        self.lengths = [len(ids) for ids in encodings["input_ids"]]  # for batches of texts of about the same length

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return {
            **{k: np.asarray(values[index]).tolist() for k, values in self.encodings.items()},
            "labels": self.labels[index],
        }


def check_texts(texts) -> None:
    """Raises TypeError for what is no string, ValueError for a text that was read wrongly, and names the row."""
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"Text {i} is {text!r} ({type(text).__name__}), not a string: drop such rows or use str().")
        if text.startswith("\ufeff"):
            raise ValueError(f"Text {i} begins with a byte order mark: open the file with encoding='utf-8-sig'.")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            half = f"Text {i} has half a character, {text[error.start]!r}, at position {error.start}"
            raise ValueError(f"{half}: read the file as UTF-8, and cut no text within an emoji.") from None


def tokenize(split: Split, tokenizer, max_length: int = 128) -> TokenizedTexts:
    """Turn a split's texts into token ids, without padding: a batch is padded to its own longest text later.

    Args:
        split: anything with `.texts` and `.labels` of equal length; its `.classes`, if it has any, go along.
        tokenizer: a Hugging Face tokenizer.
        max_length: longer texts are cut to this many tokens, special tokens included.

    Returns:
        A Dataset of dicts `input_ids`, `attention_mask`, `labels`.

    Raises:
        TypeError: a text is not a string, or a label no whole number; the message names the first.
        ValueError: there are no texts, or not as many labels as texts; an empty text; no room for a token.
    """
    if not len(split.texts):
        raise ValueError("There is nothing to tokenize: the split has no texts.")
    if len(split.texts) != len(split.labels):
        raise ValueError(f"{len(split.texts)} texts but {len(split.labels)} labels: each text needs one label.")
    check_texts(split.texts)
    if empty := [i for i, text in enumerate(split.texts) if not text.strip()]:
        raise ValueError(f"Text {empty[0]} is empty: there is nothing to learn from it, leave its row out.")
    labels = [_as_number(i, label) for i, label in enumerate(split.labels)]
    least = tokenizer.num_special_tokens_to_add() + 1
    if not isinstance(max_length, int) or max_length < least:
        raise ValueError(
            f"max_length={max_length} must be a whole number of at least {least}, special tokens included."
        )
    encodings = {}
    for start in range(0, len(split.texts), AT_A_TIME):
        some = tokenizer(
            list(split.texts[start : start + AT_A_TIME]),
            truncation=True,
            max_length=max_length,
            return_token_type_ids=False,
            return_attention_mask=True,
        )
        for name, column in some.items():  # as the narrowest integers: two bytes an id, one a mask, for BERT
            narrow = [np.array(values, np.min_scalar_type(max(values, default=0))) for values in column]
            encodings.setdefault(name, []).extend(narrow)
    return TokenizedTexts(encodings, labels, getattr(split, "classes", None))


def _as_number(row: int, label):
    if isinstance(label, str):
        raise TypeError(f"The label of row {row} is {label!r}, a name: cu.split(texts, labels) numbers such labels.")
    if hasattr(label, "__len__") and getattr(label, "ndim", 1):  # several labels at once, for a loss that takes them
        return label
    value = label.item() if hasattr(label, "item") else label  # of NumPy or PyTorch
    if not isinstance(value, int):
        raise TypeError(f"The label of row {row} is {label!r}, not a whole number; nan or None is an empty cell.")
    return int(value)
