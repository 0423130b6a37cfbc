"""A trained model at work (chapters 4, 5 and 7): its logits, its metrics, and what it hands to its head."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import torch
from accelerate.utils import send_to_device
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, TensorDataset

from course_utils import runtime
from course_utils.batches import (
    IGNORED,
    Takes,
    as_taken,
    collate_for,
    forward,
    length_for,
    lengths_of,
    logits_of,
    size_of,
    take,
    to_few_lengths,
    unpack,
)
from course_utils.examples import Examples, check_classes, trained_on
from course_utils.loading import for_batches, workers_for
from course_utils.options import check_options
from course_utils.transfer import find_head

TOKENS = 2**14  # what a GPU is given at a time, where the caller leaves it to us
HELD = 2**28  # bytes of results that stay on the device until they are copied


@dataclass(frozen=True)
class Metrics:
    """How well a model does on a data set, each example counted once."""

    loss: float  # mean cross-entropy, in nats
    accuracy: float  # share of right predictions
    f1: float  # macro F1: the mean of the classes' F1 scores
    confusion: list[list[int]]  # [true class][predicted class] → examples; of several labels, one such table for each

    def __str__(self):
        return f"loss {self.loss:.3f}, accuracy {self.accuracy:.3f}, macro F1 {self.f1:.3f}"


def evaluate(
    model: nn.Module, data: Dataset | DataLoader, *, batch_size: int | None = None, precision: str | None = None
) -> Metrics:
    """Measure a classifier on a data set: each example once, so a smaller last batch does not count more.

    Args:
        model: as for `fit`; it is put on the best device, and back into the mode that it was in.
        data: as for `fit`; labels may be 0 or 1 for each class, too. Then those above a logit of 0 are predicted, an
            example is right if all its labels are, and the loss is binary cross-entropy.
        batch_size: examples at a time; None: 64 or, of short texts on a GPU, 16,384 tokens.
        precision: as for `fit`.

    Returns:
        `Metrics`.

    Raises:
        ValueError: an empty data set, a label outside the head, or a token id outside the vocabulary.
    """
    from sklearn.metrics import confusion_matrix, f1_score  # takes over a second to import

    check_classes(trained_on.get(model), data, "test")
    logits, labels = run_through(model, data, batch_size=batch_size, precision=precision, kind="yes or no")
    if logits.ndim == 1 or logits.shape[-1] == 1:  # one logit, of yes against no: the same as two, the other being 0
        logits, labels = F.pad(logits.reshape(-1, 1), (1, 0)), labels.reshape(-1).long()
    if labels.shape == logits.shape:
        if (labels.sum(-1) != 1).any():
            return _of_several(logits, labels)
        labels = labels.argmax(-1)
    labels = class_numbers(labels, logits.shape)
    loss = cross_entropy(logits, labels).item()
    counted = labels != IGNORED
    predicted, labels = logits.argmax(-1)[counted].numpy(), labels[counted].numpy()
    return Metrics(
        loss,
        accuracy=float((predicted == labels).mean()),
        f1=float(f1_score(labels, predicted, average="macro")),
        confusion=confusion_matrix(labels, predicted, labels=range(logits.shape[-1])).tolist(),
    )


def _of_several(logits: torch.Tensor, labels: torch.Tensor) -> Metrics:
    from sklearn.metrics import f1_score, multilabel_confusion_matrix

    loss, labels, predicted = F.binary_cross_entropy_with_logits(logits, labels.float()), labels.bool(), logits > 0
    return Metrics(
        loss.item(),
        accuracy=float((predicted == labels).all(-1).float().mean()),
        f1=float(f1_score(labels, predicted, average="macro", zero_division=0)),
        confusion=multilabel_confusion_matrix(labels, predicted).tolist(),
    )


def predict(
    model: nn.Module, data: Dataset | DataLoader, *, batch_size: int | None = None, precision: str | None = None
) -> torch.Tensor:
    """A classifier's logits, float32 of shape (N, classes) on the CPU, in the order of the data. It needs no labels."""
    return run_through(model, data, batch_size=batch_size, precision=precision, kind=None)[0]


@torch.no_grad()
def run_through(
    model: nn.Module,
    data: Dataset | DataLoader,
    *,
    batch_size: int | None = None,
    precision: str | None = None,
    read: Callable[[Any], torch.Tensor] | None = None,
    kind: str | None = "classes",
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """What `read` takes from the model's outputs (None: the logits), as float32 on the CPU, and the labels beside it.

    Both are in the order of the data, although texts of about the same length are run together; where the model takes
    no attention_mask, only texts of the very same length, for it would take padding for text. `kind`: see `Examples`.
    """
    read = read or logits_of
    check_options(batch_size=64 if batch_size is None else batch_size, precision=precision)
    device = runtime.device()
    on_cuda = device.type == "cuda"
    precision = precision or runtime.precision(device)
    order = finish = None
    if not isinstance(data, DataLoader):
        lengths = lengths_of(data)
        order = list(range(len(data)))
        if lengths:  # on a GPU the longest first: what follows finds room where they were
            order.sort(key=lengths.__getitem__, reverse=on_cuda)
        batches, start = [], 0
        while start < len(order):
            of_tokens = max(64, TOKENS // length_for(lengths[order[start]])) if lengths and on_cuda else 64
            batches.append(order[start : start + (batch_size or of_tokens)])
            start += len(batches[-1])
        if lengths and not Takes.of(model).masked:
            batches = [list(same) for batch in batches for _, same in groupby(batch, lengths.__getitem__)]
        data, finish = for_batches(data)
        data, collate = Examples(data, kind), collate_for(model, labelled=kind is not None)
        workers = workers_for(data, len(batches[0])) if batches and not lengths else {}
        data = DataLoader(data, batch_sampler=batches, collate_fn=collate, pin_memory=on_cuda, **workers)
    else:
        data = as_taken(data, model)
    amp = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    was_training = model.training
    model.to(device).eval()
    try:
        done, outputs, labels, held = [], [], [], 0
        for batch in data:
            inputs, batch_labels = unpack(send_to_device(batch, device, non_blocking=on_cuda), finish=finish)
            with torch.autocast(device.type, dtype=amp, enabled=amp is not None):
                run = partial(_read, read, model, on_cuda)
                outputs.append(_in_pieces(run, inputs, size_of(inputs)))
            labels += [] if batch_labels is None else [batch_labels]
            held += outputs[-1].nbytes
            if held > HELD:
                done, outputs, held = [*done, _cat(outputs).cpu()], [], 0
    finally:
        model.train(was_training)
    if not outputs and not done:
        raise ValueError("There is nothing to evaluate: the data set is empty.")
    if kind and not labels:
        raise ValueError("The examples have no labels: give pairs of input and label, or dicts with labels.")
    # The one time that a GPU is asked for its results: each time, it would stand still until the next batch.
    done += [_cat(outputs).cpu()] if outputs else []
    outputs, labels = _cat(done), _cat(labels, IGNORED).cpu() if labels else None
    if order is None:
        return outputs, labels
    back = torch.tensor(order).argsort()
    return outputs[back], labels if labels is None else labels[back]


def _cat(parts: list[torch.Tensor], padding: float = 0.0) -> torch.Tensor:
    """Of batches; where each has rows as long as its longest text, all are padded to the longest of all."""
    if parts[0].ndim > 1 and len({part.shape[1] for part in parts}) > 1:
        longest = max(part.shape[1] for part in parts)
        parts = [F.pad(p, [0, 0] * (p.ndim - 2) + [0, longest - p.shape[1]], value=padding) for p in parts]
    return torch.cat(parts)


def _read(read: Callable[[Any], torch.Tensor], model: nn.Module, on_cuda: bool, inputs) -> torch.Tensor:
    padded = to_few_lengths(inputs, model) if on_cuda else inputs
    outputs = read(forward(model, padded)).float()
    if padded is inputs or outputs.ndim < 3 or outputs.shape[1] != padded["input_ids"].shape[1]:
        return outputs
    return outputs[:, : inputs["input_ids"].shape[1]]  # one for each token, without those of the padding


def _in_pieces(run: Callable[[Any], torch.Tensor], inputs, size: int) -> torch.Tensor:
    """``run(inputs)``, by halves where the GPU's memory demands it."""
    try:
        return run(inputs)
    except torch.OutOfMemoryError:
        if size == 1:
            raise
    halves = slice(0, size // 2), slice(size // 2, size)
    return torch.cat([_in_pieces(run, take(inputs, half), half.stop - half.start) for half in halves])


def embed(model: nn.Module, data, *, batch_size: int | None = None, precision: str | None = None) -> TensorDataset:
    """Compute once what a frozen backbone hands to its head, so that a head can be trained on it at no further cost.

    Args:
        model: a model with a head (see `find_head`); it is run in evaluation mode.
        data: as for `evaluate`.
        batch_size: as for `evaluate`.
        precision: as for `fit`.

    Returns:
        A TensorDataset of (features, label): float32 of shape (N, features) and int64 of shape (N,), on the CPU.
    """
    seen = {}
    head = model.get_submodule(find_head(model))
    hook = head.register_forward_pre_hook(lambda module, inputs: seen.update(features=inputs[0]))
    try:
        options = {"batch_size": batch_size, "precision": precision, "kind": "any"}
        features, labels = run_through(model, data, read=lambda outputs: seen["features"], **options)
    finally:
        hook.remove()
    return TensorDataset(features, labels)


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy in nats over all labels but -100, after checking that each names one of the head's classes.

    Args:
        logits: of shape (…, classes).
        labels: integers of shape (…).

    Raises:
        ValueError: names the labels outside the head. On CUDA, where PyTorch itself would end the whole session, the
            result is NaN instead.
    """
    labels, classes = class_numbers(labels, logits.shape), logits.shape[-1]
    if labels.is_cuda:
        # To ask the GPU takes until all before is computed, and a wrong label would end the session there: it is
        # ignored, and makes the loss NaN, for which `fit` looks.
        outside = _outside(labels, classes)
        labels = labels.masked_fill(outside, IGNORED)
        unless = torch.where(outside.any(), torch.nan, 1.0)
        return unless * F.cross_entropy(logits.flatten(0, -2).float(), labels.flatten(), ignore_index=IGNORED)
    check_labels(labels, classes)
    return F.cross_entropy(logits.flatten(0, -2).float(), labels.flatten(), ignore_index=IGNORED)


def class_numbers(labels: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Labels as one int64 for each row of logits, whatever integers they are and be it in a column of their own.

    Raises:
        ValueError: they are fractions, or say of each class whether it is true.
    """
    if labels.shape == (*shape[:-1], 1):
        labels = labels.squeeze(-1)
    if labels.shape == shape and shape[-1] > 1:
        raise ValueError(
            "The labels say of each class whether it is true: where several may be, train with "
            "loss=torch.nn.functional.binary_cross_entropy_with_logits and labels as float; where one is, "
            "give its number, labels.argmax(-1)."
        )
    if labels.is_floating_point():
        raise ValueError("The labels are fractions: number the classes 0, 1, 2 …, or give fit a loss= for fractions.")
    return labels.long()


def check_labels(labels: torch.Tensor, classes: int) -> None:
    """Raises ValueError, which names the labels that are not of a head of so many classes."""
    outside = _outside(labels, classes)
    if outside.any():
        wrong = sorted(set(labels[outside].tolist()))
        raise ValueError(
            f"The head has {classes} classes, 0 to {classes - 1}, but the data has the label "
            f"{', '.join(map(str, wrong[:5]))}: check the labels, or give the model num_labels={max(*wrong, 0) + 1}."
        )


def _outside(labels: torch.Tensor, classes: int) -> torch.Tensor:
    return ((labels < 0) | (labels >= classes)) & (labels != IGNORED)
