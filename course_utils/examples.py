"""The forms in which data sets give examples, and labels that are none: a sentence names the row."""

import random
from collections.abc import Mapping
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch.utils.data import Dataset

_MISSING = object()
trained_on: WeakKeyDictionary = WeakKeyDictionary()  # model → the names of the classes that `fit` saw


class Examples(Dataset):
    """A data set's examples, their labels checked; with a seed, random transforms draw from that alone.

    Then they draw the same whichever process loads them, before or after an interruption.

    Args:
        data: gives dicts, tuples whose last part is the label, or inputs without labels.
        labels: "classes"; "yes or no", if a single 0.0 or 1.0 is one, too; for a loss of one's own "any"; None leaves
            them out.
        seed: of random transforms.
    """

    def __init__(self, data: Dataset, labels: str | None, seed: int | None = None):
        self.data, self.labels, self.seed = data, labels, seed
        self.epoch = torch.zeros((), dtype=torch.int64)  # a tensor, so that processes that outlive an epoch see it

    def __len__(self):
        return len(self.data)

    def __getitem__(self, row: int):
        if self.seed is not None:
            seed_cpu(hash((self.seed, int(self.epoch), row)) % 2**63)
        example = self.data[row]
        if isinstance(example, Mapping):
            example = with_labels(example)
            inputs, label = {k: v for k, v in example.items() if k != "labels"}, example.get("labels", _MISSING)
        else:
            parts = example if isinstance(example, tuple | list) else [example]
            inputs, label = (tuple(parts[:-1]), parts[-1]) if len(parts) > 1 else (tuple(parts), _MISSING)
        if self.labels is None:
            return inputs
        check_label(label, row, self.labels)
        return example


def with_labels(example: Mapping) -> dict:
    """The Hub's data sets call the column `label`, its models `labels`."""
    return {"labels" if name in ("label", "label_ids") else name: value for name, value in example.items()}


def check_label(label, row: int, kind: str) -> None:
    if type(label) is int:
        return
    if label is _MISSING:
        raise ValueError(f"Example {row} has no label: give pairs of input and label, or dicts with labels.")
    try:
        values = torch.as_tensor(label)
        several = (values.ndim > 0 or kind == "yes or no") and ((values == 0) | (values == 1)).all()
        if not values.is_floating_point() or several or (kind == "any" and not values.isnan().any()):
            return
    except (TypeError, ValueError, RuntimeError):  # text, None, rows of unequal length …
        pass
    label = label.tolist() if isinstance(label, torch.Tensor | np.generic | np.ndarray) else label
    raise ValueError(
        f"Example {row} has the label {label!r} ({type(label).__name__}): number the classes 0, 1, 2 … as int or, "
        "where several may be true at once, give a 0 or 1 for each."
    )


def seed_cpu(seed: int) -> None:
    """Of PyTorch, NumPy and Python. ``torch.manual_seed`` would seed devices too, and take longer than a transform."""
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def classes_of(data) -> list[str] | None:
    """The names of the classes, where a data set has them: `Pictures` or torchvision's ImageFolder, or part of one."""
    while not hasattr(data, "classes") and hasattr(data, "dataset"):
        data = data.dataset
    return list(data.classes) if isinstance(getattr(data, "classes", None), list | tuple) else None


def check_classes(known: list[str] | None, data, what: str) -> None:
    """Raises ValueError where a label would name one class in training and another one here."""
    here = classes_of(data)
    for label, (there, name) in enumerate(zip(known or (), here or (), strict=False)):
        if there != name:
            raise ValueError(
                f"Label {label} is {there!r} in the training data and {name!r} in the {what} data: give both the same "
                f"classes in the same order ({', '.join(map(str, known[:10]))})."
            )
