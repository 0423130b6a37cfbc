"""Batches (chapters 4 and 7): an order that the seed decides, no more padding than needed, how a model takes them."""

import multiprocessing
import random
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from multiprocessing.reduction import ForkingPickler

import numpy as np
import torch
from accelerate.utils import set_seed
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from course_utils import runtime

IGNORED = -100  # the label of a position that does not count, in PyTorch and transformers
LENGTHS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)  # in tokens, of texts on a GPU
CAN_BE_PADDED = {"input_ids", "attention_mask", "token_type_ids"}


class _Batches(Sampler):
    """Batches of a Dataset in an order that seed and epoch alone decide, texts of about the same length together.

    Padding is wasted work. Sorted within pools of 50 batches, chosen at random, texts need hardly any; which batch
    comes when stays random. A smaller batch comes last: anywhere else, accelerate would drop batches beside it when it
    deals them out to several processes.
    """

    def __init__(self, size: int, batch_size: int, seed: int, lengths: list[int] | None):
        self.size, self.batch_size, self.seed, self.lengths = size, batch_size, seed, lengths
        self.drop_last = False
        self.epoch = 0

    def __len__(self):
        return -(-self.size // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        order = torch.randperm(self.size, generator=generator).tolist()
        if self.lengths:
            pool = 50 * self.batch_size
            pools = (order[i : i + pool] for i in range(0, self.size, pool))
            order = [i for pool in pools for i in sorted(pool, key=self.lengths.__getitem__)]
        batches = [order[i : i + self.batch_size] for i in range(0, self.size, self.batch_size)]
        full = self.size // self.batch_size
        for i in [*torch.randperm(full, generator=generator).tolist(), *range(full, len(batches))]:
            yield batches[i]


class SeededExamples(Dataset):
    """Examples whose random transforms draw the same whichever process loads them, before or after an interruption."""

    def __init__(self, data: Dataset, seed: int):
        self.data, self.seed, self.epoch = data, seed, 0

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index: int):
        seed_cpu(hash((self.seed, self.epoch, index)) % 2**63)
        return self.data[index]


def seed_cpu(seed: int) -> None:
    """Of PyTorch, NumPy and Python. ``torch.manual_seed`` would seed devices too, and take longer than a transform."""
    torch.default_generator.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def order_by(data, batches, seed: int, epoch: int) -> None:
    """Make an epoch's batches depend on seed and epoch alone: their order in a DataLoader of the caller's too."""
    if isinstance(data, SeededExamples):
        data.epoch = batches.epoch = epoch
    set_seed(seed + epoch)
    if (generator := getattr(getattr(batches, "sampler", None), "generator", None)) is not None:
        generator.manual_seed(seed + epoch)


def training_loader(
    data: Dataset | DataLoader, model: nn.Module, batch_size: int, seed: int, num_workers: int
) -> DataLoader:
    if not len(data):
        raise ValueError("There is nothing to train on: the data set is empty.")
    if isinstance(data, DataLoader):
        return data
    batches = _Batches(len(data), batch_size, seed, lengths_of(data))
    pin = runtime.device().type == "cuda"
    data = SeededExamples(data, seed)
    if num_workers:
        _check_workers_can_have(data)
    return DataLoader(
        data, batch_sampler=batches, collate_fn=collate_for(model), num_workers=num_workers, pin_memory=pin
    )


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
    if len(data) and isinstance(data[0], Mapping) and "input_ids" in data[0]:
        return [len(data[i]["input_ids"]) for i in range(len(data))]
    return None


def collate_for(model: nn.Module):
    """What makes batches for a model: stacks examples; dicts of lists of unequal length are padded to the longest.

    It raises ValueError for token ids that the model does not have, and for texts that are longer than it reads.
    """
    return partial(_collate, config=getattr(model, "config", None))  # no closure: worker processes have to be sent it


def _collate(examples: list, config):
    if not isinstance(examples[0], Mapping):
        if not isinstance(examples[0][0], torch.Tensor):
            raise TypeError(
                f"The data gives {type(examples[0][0]).__name__} objects where the model needs tensors: for "
                "pictures, .with_transform(weights.transforms()) makes them."
            )
        return default_collate(examples)
    padding = {"input_ids": getattr(config, "pad_token_id", None) or 0, "labels": IGNORED}
    columns = {name: [torch.as_tensor(example[name]) for example in examples] for name in examples[0]}
    batch = {
        name: pad_sequence(values, batch_first=True, padding_value=padding.get(name, 0))
        if values[0].ndim
        else torch.stack(values)
        for name, values in columns.items()
    }
    if config is not None and "input_ids" in batch:
        _check_ids(batch["input_ids"], config)
    return batch


def _check_ids(input_ids: torch.Tensor, config) -> None:
    """A GPU would meet either fault with an assertion that ends the whole session."""
    if input_ids.numel() and (largest := input_ids.max().item()) >= (size := config.vocab_size):
        raise ValueError(
            f"The data has the token id {largest}, but the model's vocabulary has {size:,} entries, 0 to {size - 1}: "
            "make the ids with the tokenizer of the same checkpoint."
        )
    if input_ids.shape[1] > (longest := getattr(config, "max_position_embeddings", None) or input_ids.shape[1]):
        raise ValueError(
            f"A text has {input_ids.shape[1]:,} tokens, and the model reads {longest} at most: tokenize with "
            f"truncation=True, max_length={longest}."
        )


def unpack(batch, device: torch.device | None = None):
    """(inputs, labels) of a batch: inputs is a dict of keyword arguments or the one positional argument."""
    if isinstance(batch, Mapping):
        inputs = {name: value.to(device) for name, value in batch.items() if name != "labels"}
        labels = batch["labels"].to(device)
    else:
        inputs, labels = (part.to(device) for part in batch)
        if inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
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


def forward(model: nn.Module, inputs):
    return model(**inputs) if isinstance(inputs, Mapping) else model(inputs)


def logits_of(outputs) -> torch.Tensor:
    return getattr(outputs, "logits", outputs)
