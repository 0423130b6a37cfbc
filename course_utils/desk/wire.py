"""What travels between an answer in its sandbox and the judge outside: values, never code.

An answer's side sends JSON and bytes that can only become plain values, so nothing that it sends runs in the judge.
The judge, who is trusted, sends pickles.
"""

import json
import pickle
import select
import struct
import time

import numpy as np
import torch
from PIL import Image

LARGEST = 256 * 2**20  # bytes of one message
DEEPEST = 50  # lists within lists


class WireError(RuntimeError):
    """The other side sent nothing in time, too much, or what is no message."""


def send(socket, header, blobs=()) -> None:
    """Send one message; a dict goes as JSON, bytes as they are."""
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    sizes = [len(blob) for blob in blobs]
    socket.sendall(struct.pack(f"<II{len(sizes)}Q", len(head), len(sizes), *sizes) + head)
    for blob in blobs:
        socket.sendall(blob)


def receive(socket, deadline: float = float("inf"), watch=lambda: None) -> tuple[bytes, list[bytes]]:
    """The next message as its header and its blobs.

    Raises:
        WireError: the deadline, by `time.monotonic`, has passed, the other side is gone, or the message is too large.
    """

    def read(size: int) -> bytes:
        pieces = []
        while size:
            left = deadline - time.monotonic()
            if left <= 0:
                raise WireError("time")
            if not select.select([socket], [], [], min(left, 0.1))[0]:
                watch()
                continue
            if not (piece := socket.recv(min(size, 2**20))):
                raise WireError("the process ended before the check did")
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    head, count = struct.unpack("<II", read(8))
    if count > 10_000 or head > LARGEST:
        raise WireError("it hands over more than the check can take")
    sizes = struct.unpack(f"<{count}Q", read(8 * count))
    if head + sum(sizes) > LARGEST:
        raise WireError("it hands over more than the check can take")
    return read(head), [read(size) for size in sizes]


class Writer:
    """Turns values into JSON and bytes; `refer` stands in for what does not travel by value."""

    def __init__(self, refer, graph=lambda tensor: None):
        self.blobs, self.refer, self.graph = [], refer, graph

    def _blob(self, content: bytes) -> int:
        self.blobs.append(content)
        return len(self.blobs) - 1

    def value(self, x, depth: int = 0):
        if depth > DEEPEST:
            raise ValueError("lists within lists, too deep")
        inner = lambda xs: [self.value(item, depth + 1) for item in xs]  # noqa: E731
        if x is None or type(x) in (bool, str, float) or (type(x) is int and abs(x) < 2**63):
            return x
        if isinstance(x, torch.Tensor):
            return self._tensor(x)
        if isinstance(x, np.generic | np.ndarray) and x.dtype.kind in "biufc":
            array = np.ascontiguousarray(x)
            return {"array": [array.dtype.str, list(np.shape(x)), self._blob(array.tobytes())]} | (
                {"scalar": True} if isinstance(x, np.generic) else {}
            )
        if isinstance(x, Image.Image) and x.mode in ("1", "L", "LA", "RGB", "RGBA", "CMYK", "I", "F"):
            return {"image": [x.mode, list(x.size), self._blob(x.tobytes())]}
        if isinstance(x, bytes):
            return {"bytes": self._blob(bytes(x))}
        if isinstance(x, torch.dtype):
            return {"dtype": str(x).removeprefix("torch.")}
        for kind in (list, tuple, set, frozenset):
            if isinstance(x, kind):
                return {"set" if "set" in kind.__name__ else kind.__name__: inner(x)}
        if isinstance(x, dict):
            return {"dict": inner([list(pair) for pair in x.items()])}
        for kind in (str, float):
            if isinstance(x, kind):
                return kind(x)
        return self.refer(x)

    def _tensor(self, x):
        plain = x.detach()
        kind = str(plain.dtype).removeprefix("torch.")
        if plain.device.type == "meta":
            return {"tensor": [kind, list(plain.shape), None]}
        content = plain.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes() if plain.numel() else b""
        made = {"tensor": [kind, list(plain.shape), self._blob(content)]}
        graph = self.graph(x) if x.requires_grad else None
        return made if graph is None else made | {"graph": graph}


class Reader:
    """Turns JSON and bytes back into values; what stands for something else goes to `resolve`."""

    def __init__(self, blobs: list[bytes], resolve, graph=lambda tensor, number: tensor):
        self.blobs, self.resolve, self.graph = blobs, resolve, graph

    def value(self, x):
        if not isinstance(x, dict):
            if isinstance(x, list):
                raise ValueError("no such value")
            return x
        if "tensor" in x:
            tensor = as_tensor(x["tensor"], self.blobs)
            return self.graph(tensor, x["graph"]) if "graph" in x else tensor
        if "array" in x:
            kind, shape, blob = x["array"]
            if np.dtype(kind).kind not in "biufc":
                raise ValueError(f"no array of {kind}")
            array = np.frombuffer(self.blobs[blob], dtype=kind).reshape(shape).copy()
            return array[()] if x.get("scalar") else array
        if "image" in x:
            mode, size, blob = x["image"]
            return Image.frombytes(mode, tuple(size), self.blobs[blob])
        if "bytes" in x:
            return self.blobs[x["bytes"]]
        if "dtype" in x and isinstance(kind := getattr(torch, x["dtype"], None), torch.dtype):
            return kind
        if "dict" in x:
            return dict(self.value(pair) for pair in x["dict"])
        for name, kind in (("list", list), ("tuple", tuple), ("set", set)):
            if name in x:
                return kind(self.value(item) for item in x[name])
        return self.resolve(x)


def as_tensor(spec, blobs: list[bytes]) -> torch.Tensor:
    """A tensor from [dtype, shape, number of its blob]; one without a blob lies on the meta device."""
    kind, shape, blob = spec
    dtype = getattr(torch, kind)
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"no tensor of {kind}")
    if blob is None:
        return torch.empty(shape, dtype=dtype, device="meta")
    if not blobs[blob]:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(bytearray(blobs[blob]), dtype=dtype).reshape(shape)


class Pickler(pickle.Pickler):
    """Sets aside what must stay one and the same object on both sides; `aside` gives its number, or None."""

    def __init__(self, file, aside):
        super().__init__(file)
        self.persistent_id = aside


class Unpickler(pickle.Unpickler):
    def __init__(self, file, find):
        super().__init__(file)
        self.persistent_load = find
