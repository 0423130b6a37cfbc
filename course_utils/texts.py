"""Texts with labels: the splits that chapters 3, 4 and 6 to 8 train on, and their token ids (chapter 4)."""

from dataclasses import dataclass

from torch.utils.data import Dataset


@dataclass(frozen=True)
class Split:
    """Texts with their labels (0 negative, 1 positive), and what else is known of each: domain and difficulty."""

    texts: list[str]
    labels: list[int]
    domains: list[str]
    difficulties: list[str]  # of the bundled reviews: plain, negation, mixed or irony; "unrated" elsewhere

    def __len__(self):
        return len(self.texts)


@dataclass(frozen=True)
class Reviews:
    """Reviews in three splits without a text in common; `name` says which reviews they are."""

    name: str
    train: Split
    validation: Split
    test: Split


class TokenizedTexts(Dataset):
    """A map-style Dataset of dicts with `input_ids`, `attention_mask` (lists of one text's length) and `labels`."""

    def __init__(self, encodings, labels):
        self.encodings = encodings
        self.labels = labels
        self.lengths = [len(ids) for ids in encodings["input_ids"]]  # for batches of texts of about the same length

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return {**{name: values[index] for name, values in self.encodings.items()}, "labels": self.labels[index]}


def tokenize(split: Split, tokenizer, max_length: int = 128) -> TokenizedTexts:
    """Turn a split's texts into token ids, without padding: a batch is padded to its own longest text later.

    Args:
        split: anything with `.texts` and `.labels` of equal length.
        tokenizer: a Hugging Face tokenizer.
        max_length: longer texts are cut to this many tokens, special tokens included.

    Returns:
        A Dataset of dicts `input_ids`, `attention_mask`, `labels`.

    Raises:
        TypeError: a text is not a string; the message names the first.
        ValueError: there are no texts, or not as many labels as texts.
    """
    if not len(split.texts):
        raise ValueError("There is nothing to tokenize: the split has no texts.")
    if len(split.texts) != len(split.labels):
        raise ValueError(f"{len(split.texts)} texts but {len(split.labels)} labels: each text needs one label.")
    for i, text in enumerate(split.texts):
        if not isinstance(text, str):
            raise TypeError(f"Text {i} is {text!r} ({type(text).__name__}), not a string: drop such rows or use str().")
    encodings = tokenizer(
        list(split.texts),
        truncation=True,
        max_length=max_length,
        return_token_type_ids=False,
        return_attention_mask=True,
    )
    return TokenizedTexts(dict(encodings), list(split.labels))
