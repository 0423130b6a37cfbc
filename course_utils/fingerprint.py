"""A value in 16 letters, so that two runs with the same letters are one run: of weights, data, losses and options."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from types import BuiltinFunctionType, CodeType, FunctionType

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from course_utils.batches import lengths_of
from course_utils.examples import Examples

READ = 2000  # examples of which a data set that is no text is known, beside all of its labels
PLAIN = (bool, int, float, str, bytes, type(None))


def fingerprint(*values) -> str:
    """Of values, not of objects: equal ones have the same in any process. Functions count by what they compute."""
    digest = hashlib.sha256()
    for value in values:
        _add(digest, value)
    return digest.hexdigest()[:16]


def fingerprint_of_data(data, seed: int) -> str:
    """Of the examples in their order, random transforms drawn as `seed` says; of over 2,000 pictures, of every n-th."""
    if isinstance(data, DataLoader):
        return fingerprint(data.batch_size, data.drop_last, fingerprint_of_data(data.dataset, seed))
    if isinstance(data, TensorDataset):
        return fingerprint(data.tensors)
    if not hasattr(data, "__len__"):
        return fingerprint(type(data).__qualname__)  # a stream: to read it would be to use it up
    labels = [getattr(data, name, None) for name in ("labels", "targets")]
    examples = Examples(data, "any", seed)
    if not len(data) or fingerprint(examples[0]) != fingerprint(examples[0]):  # it draws from a generator of its own
        return fingerprint(len(data), labels)
    every = 1 if lengths_of(data) else -(-len(data) // READ)
    return fingerprint(len(data), labels, (examples[i] for i in range(0, len(data), every)))


def fingerprints(model: nn.Module, optimizer: torch.optim.Optimizer, train, validation, loss, seed: int) -> dict:
    """What a run is of, beside its initial weights and its numbers."""
    options = [[k, v] for m in model.modules() for k, v in vars(m).items() if isinstance(v, float)]  # dropout …
    names = {parameter: name for name, parameter in model.named_parameters()}
    groups = [group | {"params": [names.get(p) for p in group["params"]]} for group in optimizer.param_groups]
    groups = [{k: v for k, v in group.items() if k not in ("lr", "fused")} for group in groups]  # its own; the device's
    return {
        "network structure": fingerprint(repr(model), options),
        "optimizer groups": fingerprint(groups),
        "training data": fingerprint_of_data(train, seed),
        "validation data": None if validation is None else fingerprint_of_data(validation, seed),
        "loss function": fingerprint(loss),
    }


def _add(digest, value, depth: int = 0) -> None:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().contiguous()
        digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
        digest.update(value.flatten().view(torch.uint8).numpy())
    elif isinstance(value, PLAIN) or (isinstance(value, list | tuple) and all(isinstance(v, PLAIN) for v in value)):
        digest.update(repr(value).encode("utf-8", "surrogatepass"))
    elif hasattr(value, "tobytes"):  # an array or a picture
        digest.update(repr([getattr(value, name, "") for name in ("mode", "size", "dtype", "shape")]).encode())
        digest.update(value.tobytes())
    else:
        digest.update(f"{type(value).__qualname__}(".encode())
        for part in _parts(value) if depth < 8 else ():
            _add(digest, part, depth + 1)
        digest.update(b")")


def _parts(value) -> Iterable:
    if isinstance(value, Mapping):
        return sorted(value.items(), key=lambda item: str(item[0]))
    if isinstance(value, list | tuple | Iterator):
        return value
    if isinstance(value, type | BuiltinFunctionType):
        return [value.__qualname__]
    if isinstance(value, CodeType):
        return [value.co_code, value.co_names, value.co_consts]
    if isinstance(value, FunctionType):
        closed = [cell.cell_contents for cell in value.__closure__ or ()]
        known = [value.__globals__.get(name) for name in value.__code__.co_names]
        known = [v for v in known if isinstance(v, (*PLAIN, torch.Tensor))]
        return [value.__code__, value.__defaults__, value.__kwdefaults__, closed, known]
    with suppress(TypeError):  # what cannot be pickled counts by its type
        return value.__reduce_ex__(4)
    return []
