"""A second device for machines without one: tensors remember whether they were sent to it, and mixing raises.

Everything is computed on the CPU; a mark on each storage says which of them would lie in a GPU's memory. As a plugin
(``python -m pytest -p fake_accelerator``) it makes a whole run believe that there is a GPU.
"""

from contextlib import ExitStack, contextmanager
from unittest import mock

import accelerate.state
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from course_utils import graphs, runtime

DEVICE, CPU = torch.device("cuda", 0), torch.device("cpu")
INDEXING = ("index", "index_put", "index_put_", "_index_put_impl_")  # a GPU takes their indices from the CPU, too
ANSWERS = {  # to a question about a tensor that lies there
    torch.Tensor.device.__get__: DEVICE,
    torch.Tensor.is_cuda.__get__: True,
    torch.Tensor.is_cpu.__get__: False,
}
STACK = pytest.StashKey[ExitStack]()


def tensors_in(*trees) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(trees) if isinstance(leaf, torch.Tensor)]


def is_there(tensor) -> bool:
    with torch._C.DisableTorchFunction():
        return isinstance(tensor, torch.Tensor) and getattr(tensor.untyped_storage(), "is_there", False)


def put(tree, there: bool = True):
    with torch._C.DisableTorchFunction():
        for tensor in tensors_in(tree):
            tensor.untyped_storage().is_there = there and not tensor.is_meta
    return tree


class Move(torch.autograd.Function):
    @staticmethod
    def forward(ctx, tensor, there):
        ctx.there = there
        return put(tensor.clone(), there)

    @staticmethod
    def backward(ctx, gradient):
        return put(gradient.clone(), not ctx.there), None


def move(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    there = device.type == DEVICE.type
    return tensor if tensor.is_meta or is_there(tensor) == there else Move.apply(tensor, there)


class Computing(TorchDispatchMode):
    """What is computed from tensors on the device lies there, and all of them must."""

    inside = False  # a call with tensors of the device: what it makes from nothing lies there too

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        name, kwargs = op.overloadpacket.__name__, kwargs or {}
        if name == "copy_":
            return op(*args, **kwargs)
        from_anywhere = {id(tensor) for tensor in tensors_in(args[1])} if name in INDEXING and is_there(args[0]) else ()
        tensors = [tensor for tensor in tensors_in(args, kwargs) if id(tensor) not in from_anywhere]
        there = [is_there(tensor) for tensor in tensors]
        if any(there) and any(tensor.dim() and not t for tensor, t in zip(tensors, there, strict=True)):
            raise RuntimeError(f"Expected all tensors to be on the same device, but {name} found cuda:0 and cpu")
        result = op(*args, **kwargs)
        return put(result) if any(there) or (self.inside and not tensors) else result


class Asking(TorchFunctionMode):
    """Where tensors say that they are, and how they are sent there and back."""

    def __init__(self, computing: Computing):
        super().__init__()
        self.computing = computing

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs, first, name = dict(kwargs or {}), args[0] if args else None, getattr(function, "__name__", "")
        if function in ANSWERS and is_there(first):
            return ANSWERS[function]
        if name in ("numpy", "__array__") and is_there(first):
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first")
        if name in ("cpu", "cuda"):
            return move(first, torch.device(name))
        place = kwargs.get("device")
        if function is torch.Tensor.to:
            place = next((arg for arg in (*args[1:], place) if isinstance(arg, str | torch.device)), None)
            if len(args) > 1 and isinstance(args[1], torch.Tensor):
                place = DEVICE if is_there(args[1]) else CPU
        place = None if place is None else torch.device(place)
        if place is not None and place.type in (DEVICE.type, "cpu"):
            args = tuple(CPU if isinstance(arg, str | torch.device) else arg for arg in args)
            kwargs |= {"device": CPU} if "device" in kwargs else {}
            if isinstance(first, torch.Tensor) and name in ("to", "as_tensor", "asarray"):
                return function(move(first, place), *args[1:], **kwargs)
        there = any(map(is_there, tensors_in(args, kwargs))) if place is None else place.type == DEVICE.type
        if there and kwargs.get("generator") is not None:
            raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
        with mock.patch.object(self.computing, "inside", there):
            result = function(*args, **kwargs)
        return result if place is None and name != "__deepcopy__" else put(result, there)


def called_instead(function, pool, model):
    """Stands in for `graphs.capture`: calls the function once, as that does, and again wherever it would replay."""
    function()
    return function


@contextmanager
def fake_accelerator():
    """A stretch of a program during which the machine has a GPU, as the package and accelerate see it."""
    autocast = torch.autocast.__init__

    def on_the_cpu(self, device_type, *args, **kwargs):
        autocast(self, CPU.type if device_type == DEVICE.type else device_type, *args, **kwargs)

    with ExitStack() as stack:
        stack.callback(accelerate.state.AcceleratorState._reset_state, reset_partial_state=True)
        for owner, name, value in (
            (runtime, "device", lambda: DEVICE),
            (accelerate.state.PartialState, "default_device", DEVICE),
            (torch.autocast, "__init__", on_the_cpu),
            (torch.cuda, "get_device_name", lambda device=None: "an accelerator that is not there"),
            (torch.cuda, "is_bf16_supported", lambda including_emulation=True: True),
            (graphs, "capture", called_instead),
            (torch.cuda, "graph_pool_handle", object),
            (torch.cuda, "manual_seed", lambda seed: None),
            (torch.cuda, "manual_seed_all", lambda seed: None),
        ):
            stack.enter_context(mock.patch.object(owner, name, value))
        computing = stack.enter_context(Computing())
        stack.enter_context(Asking(computing))
        yield


def pytest_configure(config):
    config.addinivalue_line("filterwarnings", "ignore:'pin_memory' argument is set")  # there is no memory to pin for
    config.stash[STACK] = stack = ExitStack()
    stack.enter_context(fake_accelerator())


def pytest_unconfigure(config):
    config.stash[STACK].close()
