"""A trained model at work (chapters 4, 5 and 7): its logits, its metrics, and what it hands to its head."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

from course_utils import runtime
from course_utils.batches import IGNORED, check_options, collate_for, forward, lengths_of, logits_of, unpack
from course_utils.transfer import find_head


@dataclass(frozen=True)
class Metrics:
    """How well a model does on a data set, each example counted once."""

    loss: float  # mean cross-entropy, in nats
    accuracy: float  # share of right predictions
    f1: float  # macro F1: the mean of the classes' F1 scores
    confusion: list[list[int]]  # [true class][predicted class] → examples

    def __str__(self):
        return f"loss {self.loss:.3f}, accuracy {self.accuracy:.3f}, macro F1 {self.f1:.3f}"


def evaluate(
    model: nn.Module, data: Dataset | DataLoader, *, batch_size: int = 64, precision: str | None = None
) -> Metrics:
    """Measure a classifier on a data set: each example once, so a smaller last batch does not count more.

    Args:
        model: as for `fit`; it is put on the best device, and back into the mode that it was in.
        data: as for `fit`.
        batch_size: examples at a time.
        precision: as for `fit`.

    Returns:
        `Metrics`.

    Raises:
        ValueError: an empty data set, a label outside the head, or a token id outside the vocabulary.
    """
    from sklearn.metrics import confusion_matrix, f1_score  # takes over a second to import

    logits, labels = run_through(model, data, batch_size=batch_size, precision=precision)
    loss = cross_entropy(logits, labels).item()
    counted = labels != IGNORED
    predicted, labels = logits.argmax(-1)[counted].numpy(), labels[counted].numpy()
    return Metrics(
        loss,
        accuracy=float((predicted == labels).mean()),
        f1=float(f1_score(labels, predicted, average="macro")),
        confusion=confusion_matrix(labels, predicted, labels=range(logits.shape[-1])).tolist(),
    )


def predict(
    model: nn.Module, data: Dataset | DataLoader, *, batch_size: int = 64, precision: str | None = None
) -> torch.Tensor:
    """A classifier's logits, float32 of shape (N, classes) on the CPU, in the order of the data; as for `evaluate`."""
    return run_through(model, data, batch_size=batch_size, precision=precision)[0]


@torch.no_grad()
def run_through(
    model: nn.Module,
    data: Dataset | DataLoader,
    *,
    batch_size: int = 64,
    precision: str | None = None,
    read: Callable[[Any], torch.Tensor] | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """What `read` takes from the model's outputs (None: the logits), as float32 on the CPU, and the labels beside it.

    Both are in the order of the data, although texts of about the same length are run together.
    """
    read = read or logits_of
    check_options(batch_size=batch_size, precision=precision)
    device = runtime.device()
    precision = precision or runtime.precision(device)
    order = None
    if not isinstance(data, DataLoader):
        lengths = lengths_of(data)
        order = sorted(range(len(data)), key=lengths.__getitem__) if lengths else range(len(data))
        data = DataLoader(data, batch_size, sampler=order, collate_fn=collate_for(model))
    was_training = model.training
    model.to(device).eval()
    try:
        outputs, labels = [], []
        for batch in data:
            inputs, batch_labels = unpack(batch, device)
            amp = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
            with torch.autocast(device.type, dtype=amp, enabled=amp is not None):
                outputs.append(read(forward(model, inputs)).float().cpu())
            labels.append(batch_labels.cpu())
    finally:
        model.train(was_training)
    if not outputs:
        raise ValueError("There is nothing to evaluate: the data set is empty.")
    outputs, labels = torch.cat(outputs), torch.cat(labels)
    if order is None:
        return outputs, labels
    back = torch.tensor(order).argsort()
    return outputs[back], labels[back]


def embed(model: nn.Module, data, *, batch_size: int = 64, precision: str | None = None) -> TensorDataset:
    """Compute once what a frozen backbone hands to its head, so that a head can be trained on it at no further cost.

    Args:
        model: a model with a head (see `find_head`); it is run in evaluation mode.
        data: as for `evaluate`.
        batch_size: examples at a time.
        precision: as for `fit`.

    Returns:
        A TensorDataset of (features, label): float32 of shape (N, features) and int64 of shape (N,), on the CPU.
    """
    seen = {}
    head = model.get_submodule(find_head(model))
    hook = head.register_forward_pre_hook(lambda module, inputs: seen.update(features=inputs[0]))
    try:
        features, labels = run_through(
            model, data, batch_size=batch_size, precision=precision, read=lambda outputs: seen["features"]
        )
    finally:
        hook.remove()
    return TensorDataset(features, labels)


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy in nats over all labels but -100, after checking that each names one of the head's classes.

    Args:
        logits: of shape (…, classes).
        labels: integers of shape (…).

    Raises:
        ValueError: names the labels outside the head. (On a GPU, PyTorch itself would end the whole session instead.)
    """
    classes = logits.shape[-1]
    outside = ((labels < 0) | (labels >= classes)) & (labels != IGNORED)
    if outside.any():
        wrong = sorted(set(labels[outside].tolist()))
        raise ValueError(
            f"The head has {classes} classes, 0 to {classes - 1}, but the data has the label "
            f"{', '.join(map(str, wrong[:5]))}: check the labels, or give the model num_labels={max(*wrong, 0) + 1}."
        )
    return F.cross_entropy(logits.flatten(0, -2).float(), labels.flatten(), ignore_index=IGNORED)
