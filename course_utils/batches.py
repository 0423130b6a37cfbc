"""Batches (chapters 4 and 7): an order that the seed decides, no more padding than needed, how a model takes them."""

import copy
import multiprocessing
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from inspect import signature
from multiprocessing.reduction import ForkingPickler

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import set_seed
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler, default_collate

from course_utils import runtime
from course_utils.examples import Examples, with_labels
from course_utils.loading import for_batches, workers_for
from course_utils.transfer import BATCH_NORMS

IGNORED = -100  # the label of a position that does not count, in PyTorch and transformers
LENGTHS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)  # in tokens, of texts on a GPU
CAN_BE_PADDED = {"input_ids", "attention_mask", "token_type_ids"}


class _Batches(Sampler):
    """Batches of a Dataset in an order that seed and epoch alone decide, texts of about the same length together.

    Padding is wasted work. Sorted within pools of 50 batches, chosen at random, texts need hardly any; which batch
    comes when stays random. A smaller batch comes last: anywhere else, accelerate would drop batches beside it when it
    deals them out to several processes.
    """

    def __init__(self, size: int, batch_size: int, seed: int, lengths: list[int] | None, pairs: bool = False):
        self.size, self.batch_size, self.seed, self.lengths = size, batch_size, seed, lengths
        self.joined = pairs and size > batch_size > 1 and size % batch_size == 1  # the last one joins the last batch
        self.drop_last = False
        self.epoch = 0

    def __len__(self):
        return -(-self.size // self.batch_size) - self.joined

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        order = torch.randperm(self.size, generator=generator).tolist()
        if self.lengths:
            pool = 50 * self.batch_size
            pools = (order[i : i + pool] for i in range(0, self.size, pool))
            order = [i for pool in pools for i in sorted(pool, key=self.lengths.__getitem__)]
        batches = [order[i : i + self.batch_size] for i in range(0, self.size, self.batch_size)]
        if self.joined:
            batches[-2:] = [batches[-2] + batches[-1]]
        full = self.size // self.batch_size - self.joined
        for i in [*torch.randperm(full, generator=generator).tolist(), *range(full, len(batches))]:
            yield batches[i]


def order_by(data, batches, seed: int, epoch: int) -> None:
    """Make an epoch's batches depend on seed and epoch alone: their order in a DataLoader of the caller's too."""
    if isinstance(data, Examples):
        data.epoch.fill_(epoch)
        batches.epoch = epoch
    set_seed(seed + epoch)
    if (generator := getattr(getattr(batches, "sampler", None), "generator", None)) is not None:
        generator.manual_seed(seed + epoch)


def training_loader(
    data: Dataset | DataLoader,
    model: nn.Module,
    batch_size: int,
    seed: int,
    num_workers: int | None,
    labels: str = "classes",
    epochs: int = 1,
) -> DataLoader:
    if isinstance(data, IterableDataset) or isinstance(getattr(data, "dataset", None), IterableDataset):
        raise TypeError(
            "fit shuffles the examples and resumes among them, which an IterableDataset cannot do: give a data set "
            "with len(data) and data[i]; list(data) is one, if it fits into memory."
        )
    if not len(data):
        raise ValueError("There is nothing to train on: the data set is empty.")
    if isinstance(data, DataLoader):
        return as_taken(data, model)
    # The variance of one example is no variance: PyTorch's batch norm refuses a last batch that holds just one.
    norms = PartialState().num_processes == 1 and any(isinstance(m, BATCH_NORMS) for m in model.modules())
    batches = _Batches(len(data), batch_size, seed, lengths_of(data), pairs=norms)
    pin = runtime.device().type == "cuda"
    data, finish = for_batches(data)
    data = Examples(data, labels, seed)
    workers = {"num_workers": num_workers or 0}
    if num_workers:
        _check_workers_can_have(data)
    elif num_workers is None and not batches.lengths:
        workers |= workers_for(data, batch_size, epochs)
    if workers["num_workers"]:
        data.epoch.share_memory_()
        workers["persistent_workers"] = True
    loader = DataLoader(data, batch_sampler=batches, collate_fn=collate_for(model), pin_memory=pin, **workers)
    loader.finish = finish
    return loader


def _check_workers_can_have(data: Dataset) -> None:
    """Processes that are not forked get the data pickled, and look up by name what its functions and classes are."""
    if multiprocessing.get_start_method() == "fork":
        return
    try:
        no_file = b"__main__" in bytes(ForkingPickler.dumps(data)) and not hasattr(sys.modules["__main__"], "__file__")
        reason = "it uses what only this notebook defines" if no_file else None
    except Exception as error:  # each object that cannot be pickled says so in its own way
        reason = str(error)
    if reason:
        raise ValueError(
            f"Worker processes cannot be sent this data ({reason}): take num_workers=0, or move functions and classes "
            "into a file and import them, without lambda."
        )


def lengths_of(data: Dataset) -> list[int] | None:
    """The texts' lengths in tokens; None where the data are not texts."""
    if hasattr(data, "lengths"):
        return data.lengths
    if "input_ids" in (getattr(data, "column_names", None) or ()):  # of `datasets`: Arrow need not read the rows
        from pyarrow.compute import list_value_length

        tables = data.select_columns("input_ids").with_format("arrow").iter(10_000)
        return [length for table in tables for length in list_value_length(table["input_ids"]).to_pylist()]
    if len(data) and isinstance(data[0], Mapping) and "input_ids" in data[0]:
        return [len(data[i]["input_ids"]) for i in range(len(data))]
    return None


@dataclass(frozen=True)
class Takes:
    """What a model takes: plain values, for worker processes have to be sent them."""

    names: list[str]  # the arguments of its forward
    pad: int
    left: bool  # whether padding comes before the text
    masked: bool  # whether an attention_mask keeps padding from counting
    vocabulary: int | None
    longest: int | None  # in tokens

    @classmethod
    def of(cls, model: nn.Module) -> "Takes":
        config = getattr(model, "config", None)
        kind, longest = getattr(config, "model_type", ""), getattr(config, "max_position_embeddings", None)
        for name, table in model.named_modules():
            if longest and name.endswith("position_embeddings") and getattr(table, "padding_idx", None) is not None:
                longest = min(longest, table.num_embeddings - table.padding_idx - 1)  # RoBERTa counts from there on
        parameters = []
        with suppress(ValueError):  # of a scripted network, which has no signature
            parameters = signature(model.forward).parameters.values()
        names = [p.name for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD]
        any_name = any(p.kind == p.VAR_KEYWORD for p in parameters)
        return cls(
            names,
            pad=getattr(config, "pad_token_id", None) or 0,
            left=kind == "xlnet",  # its verdict is that of the last token
            masked=("attention_mask" in names or any_name)
            and kind != "canine",  # whose convolutions look beyond the mask
            vocabulary=getattr(config, "vocab_size", None),
            longest=longest if longest and longest > 0 else None,  # XLNet says -1
        )


def collate_for(model: nn.Module, labelled: bool = True):
    """What makes batches for a model: stacks examples; dicts of lists of unequal length are padded to the longest.

    It raises ValueError for token ids that the model does not have, and for texts that are longer than it reads.
    """
    takes = Takes.of(model)
    # not a closure, for worker processes are sent it
    return partial(_as_taken, collate=partial(_collate, takes=takes), takes=takes, labelled=labelled)


def as_taken(loader: DataLoader, model: nn.Module) -> DataLoader:
    """A DataLoader of the caller's, with batches in the form that the model takes; the caller's own stays as it is."""
    loader = copy.copy(loader)
    loader.collate_fn = partial(_as_taken, collate=loader.collate_fn, takes=Takes.of(model))
    return loader


def _collate(examples: list, takes: Takes):
    if not isinstance(examples[0], Mapping):
        inputs = [example[0] if isinstance(example, tuple | list) else example for example in examples]
        if not isinstance(inputs[0], torch.Tensor | np.ndarray):
            raise TypeError(
                f"The data gives {type(inputs[0]).__name__} objects where the model needs tensors: for "
                "pictures, .with_transform(weights.transforms()) makes them."
            )
        if len(shapes := {tuple(one.shape) for one in inputs}) > 1:
            raise ValueError(
                f"The inputs have different shapes, {' and '.join(map(str, sorted(shapes)[:2]))}: bring all to one, "
                "pictures by a transform that crops them, or resizes both sides."
            )
        return default_collate(examples)
    if "input_ids" in examples[0] and "attention_mask" in takes.names:
        examples = [{"attention_mask": [1] * len(example["input_ids"]), **example} for example in examples]
    padding = {"input_ids": takes.pad, "labels": IGNORED}
    side = "left" if takes.left else "right"
    names = [name for name, value in examples[0].items() if not isinstance(value, str)]
    if "input_ids" in takes.names:  # as Trainer does: what else a data set knows of a text stays there
        names = [name for name in names if name in (*takes.names, "labels", "label", "label_ids")]
    columns = {name: [torch.as_tensor(example[name]) for example in examples] for name in names}
    return {
        name: pad_sequence(values, batch_first=True, padding_value=padding.get(name, 0), padding_side=side)
        if values[0].ndim
        else torch.stack(values)
        for name, values in columns.items()
    }


def _as_taken(examples: list, collate, takes: Takes, labelled: bool = True):
    """A batch whose inputs are named as the model's forward names them, if there are several."""
    batch = collate(examples)
    if isinstance(batch, tuple | list) and len(batch) > 1 + labelled:
        *inputs, labels = batch if labelled else [*batch, None]
        names = takes.names
        if "input_ids" in names:  # in this order, whatever else stands between them
            names = [name for name in ("input_ids", "attention_mask", "token_type_ids") if name in names]
        if len(inputs) > len(names) or ("attention_mask" in names and not inputs[1].any(dim=-1).all()):
            raise ValueError(
                f"An example has {len(inputs)} inputs beside its label, which are not the model's {', '.join(names)}: "
                "give dicts with the names of its inputs."
            )
        batch = dict(zip(names, inputs, strict=False)) | ({"labels": labels} if labelled else {})
    if isinstance(batch, Mapping):
        batch = with_labels(batch)
        if "input_ids" in batch:
            _check_ids(batch["input_ids"], takes)
    return batch


def _check_ids(input_ids: torch.Tensor, takes: Takes) -> None:
    """A GPU would meet either fault with an assertion that ends the whole session."""
    size, tokens = takes.vocabulary, input_ids.shape[1]
    if size and (wrong := input_ids[(input_ids < 0) | (input_ids >= size)]).numel():
        raise ValueError(
            f"The data has the token id {wrong.max()}, but the model's vocabulary has {size:,} entries, 0 to {size - 1}"
            ": make the ids with the tokenizer of the same checkpoint."
        )
    if takes.longest and tokens > takes.longest:
        raise ValueError(
            f"A text has {tokens:,} tokens, and the model reads {takes.longest} at most: tokenize with "
            f"truncation=True, max_length={takes.longest}."
        )


def unpack(batch, device: torch.device | None = None, finish: Callable | None = None):
    """(inputs, labels) of a batch: inputs is a dict of keyword arguments, or the one positional argument, finished.

    Labels are int64 if they are whole numbers, and None if there are none.
    """
    if isinstance(batch, Mapping):
        inputs = {name: value.to(device) for name, value in batch.items() if name != "labels"}
        labels = batch.get("labels")
    else:
        inputs, labels = (*batch, None)[:2] if isinstance(batch, tuple | list) else (batch, None)
        inputs = inputs.to(device)
        if inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        inputs = finish(inputs) if finish else inputs
    if labels is not None:
        labels = labels.to(device)
        labels = labels if labels.is_floating_point() else labels.long()
    return inputs, labels


def to_few_lengths(inputs, model: nn.Module, at_least: int = 0):
    """Texts padded to one of LENGTHS; all else as it is.

    CUDA's libraries plan anew for each shape that they meet, 0.1 s and more, and a graph is of one shape.
    """
    if not (isinstance(inputs, Mapping) and {"input_ids", "attention_mask"} <= inputs.keys() <= CAN_BE_PADDED):
        return inputs
    config = getattr(model, "config", None)
    tokens = inputs["input_ids"].shape[1]
    length = length_for(max(tokens, at_least), getattr(config, "max_position_embeddings", None))
    pad_token = getattr(config, "pad_token_id", None) or 0
    values = {"input_ids": pad_token}
    return {k: nn.functional.pad(v, (0, length - tokens), value=values.get(k, 0)) for k, v in inputs.items()}


def length_for(tokens: int, most: int | None = None) -> int:
    """The next of LENGTHS, if there is one that a model reads."""
    most = most if most and most > 0 else LENGTHS[-1]  # transformers has -1 for "any"
    return next((length for length in LENGTHS if tokens <= length <= most), tokens)


def take(inputs, piece: slice):
    return {k: v[piece] for k, v in inputs.items()} if isinstance(inputs, Mapping) else inputs[piece]


def size_of(inputs) -> int:
    return len(next(iter(inputs.values())) if isinstance(inputs, Mapping) else inputs)


def forward(model: nn.Module, inputs):
    return model(**inputs) if isinstance(inputs, Mapping) else model(inputs)


def logits_of(outputs) -> torch.Tensor:
    return getattr(outputs, "logits", outputs)
