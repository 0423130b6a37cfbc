"""What a check takes for the student's function: a stand-in, whose calls run on the other side of a connection.

The arguments travel there and the result comes back: tensors with their gradients, what was changed in place, and calls
of the check's own functions.
"""

import builtins
import io
import sys
from types import FunctionType

import torch

from course_utils.desk import wire


class Calls:
    """The judge's end of the connection to an answer."""

    def __init__(self, connection, deadline: float, watch):
        self.connection, self.deadline, self.watch = connection, deadline, watch
        self.functions = []

    def ask(self, *order):
        """Have something done on the other side, and return its value; what it raised is raised here."""
        tensors = self._post(order)
        while True:
            head, blobs = wire.receive(self.connection, self.deadline, self.watch)
            try:
                told = wire.json.loads(head)
                inputs = [tensor for tensor in tensors if tensor.requires_grad]
                reader = wire.Reader(blobs, self._resolve, lambda t, number: _join(self, number, t, inputs))  # noqa: B023
                kind, value = told["kind"], reader.value(told.get("value"))
                print(str(told.get("printed", ""))[:20_000], end="")
                if kind != "error":
                    reader.graph = lambda tensor, number: tensor
                    self._restore(told, reader, tensors, order)
            except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, RuntimeError) as error:
                raise wire.WireError(f"it hands over what is no value: {error}") from None
            if kind == "call":
                self._serve(told["number"], value)
            elif kind == "error":
                self._raise(told)
            else:
                return value

    def execute(self, source, names=None) -> None:
        """What `exec` means to a check: the text is the student's, so it is run over there."""
        names = {} if names is None else names
        names |= self.ask("exec", str(source), dict(names))

    def _serve(self, number: int, handed) -> None:
        args, kwargs = handed
        if not 0 <= number < len(self.functions):
            raise wire.WireError("it calls what the check does not have")
        try:
            value = self.functions[number](*args, **kwargs)
        except wire.WireError:
            raise
        except Exception as error:
            self._post(("raise", type(error).__name__, str(error)))
        else:
            self._post(("return", value))

    @staticmethod
    def _raise(told):
        kind = getattr(builtins, str(told.get("type")), RuntimeError)
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            kind = RuntimeError  # it left by SystemExit or the like
        text = str(told.get("text"))
        try:
            error = kind(text)
        except TypeError:  # some take more than a text
            error = RuntimeError(text)
        error.kind = str(told.get("name"))
        raise error

    def _post(self, order) -> list[torch.Tensor]:
        tensors, numbers, writer = [], {}, wire.Writer(lambda thing: None)

        def aside(thing):
            if isinstance(thing, torch.Tensor):
                if id(thing) not in numbers:
                    numbers[id(thing)] = len(tensors)
                    tensors.append(thing)
                return "tensor", numbers[id(thing)]
            if isinstance(thing, Remote):
                return "object", thing._number
            home = getattr(sys.modules.get(getattr(thing, "__module__", None)), getattr(thing, "__name__", ""), None)
            if isinstance(thing, FunctionType) and home is not thing:
                self.functions.append(thing)
                return "function", len(self.functions) - 1
            return None

        content = io.BytesIO()
        wire.Pickler(content, aside).dump(order)
        specs = []
        for tensor in tensors:
            gradient = tensor.grad if tensor.is_leaf else None
            spec = writer.value(tensor.detach())["tensor"]
            given = writer.value(gradient)["tensor"] if gradient is not None else None
            specs.append((spec, given, tensor.requires_grad, isinstance(tensor, torch.nn.Parameter)))
        wire.send(self.connection, wire.pickle.dumps((specs, content.getvalue())), writer.blobs)
        return tensors

    def _resolve(self, told):
        number = int(told["object"])
        kind = RemoteFunction if told.get("calls") else Remote
        return kind(self, number, str(told.get("doc")) if told.get("doc") else None)

    def _restore(self, told, reader, tensors, order) -> None:
        """Do here what the answer did to its arguments there."""
        for number, state, gradient, learns in told["tensors"]:
            tensor, new = tensors[number], reader.value(state)
            if tensor.device.type == "meta":
                continue
            with torch.no_grad():
                if new.shape != tensor.shape or new.dtype != tensor.dtype:
                    tensor.data = new
                elif not torch.equal(new, tensor):
                    tensor.copy_(new)
            if tensor.is_leaf:
                tensor.requires_grad_(bool(learns)) if tensor.requires_grad != bool(learns) else None
                tensor.grad = reader.value(gradient)
        if "handed" in told:
            for old, new in zip(order[1:], told["handed"]["list"], strict=False):
                _put_back(old, new, reader)


def _put_back(old, told, reader) -> None:
    """Give a list, dict or array the contents that it has on the other side."""
    if not isinstance(told, dict) or "same" in told:
        return
    if isinstance(old, tuple) and "tuple" in told:
        for one, other in zip(old, told["tuple"], strict=False):
            _put_back(one, other, reader)
    elif isinstance(old, list) and "list" in told:
        for one, other in zip(old, told["list"], strict=False):
            _put_back(one, other, reader)
        plain = [v if isinstance(v, dict) else reader.value(v) for v in told["list"]]
        kept = [o if isinstance(p, dict) else p for o, p in zip(old, plain, strict=False)]
        old[:] = kept + [None if isinstance(p, dict) else p for p in plain[len(old) :]]
    elif isinstance(old, dict) and "dict" in told:
        pairs = {reader.value(pair["list"][0]): pair["list"][1] for pair in told["dict"]}
        for key in [key for key in old if key not in pairs]:
            del old[key]
        for key, value in pairs.items():
            if isinstance(value, dict) and key in old:
                _put_back(old[key], value, reader)
            else:
                old[key] = None if isinstance(value, dict) else value
    elif "array" in told and hasattr(old, "setflags") and old.flags.writeable:
        old[...] = reader.value(told)


class Remote:
    """Something of the answer's that does not travel: what is asked of it is asked over there."""

    def __init__(self, calls: Calls, number: int, doc: str | None):
        self._calls, self._number, self.__doc__ = calls, number, doc

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self._calls.ask("get", self, name)

    def __getitem__(self, key):
        return self._calls.ask("item", self, key)

    def __iter__(self):
        return iter(self._calls.ask("list", self))

    def __len__(self):
        return len(self._calls.ask("list", self))


class RemoteFunction(Remote):
    """A function of the answer's, called over there."""

    def __call__(self, *args, **kwargs):
        return self._calls.ask("call", self, args, kwargs)


class _Back(torch.autograd.Function):
    """A result whose gradient is computed over there."""

    @staticmethod
    def forward(context, calls, number, result, _always, *inputs):
        context.calls, context.number, context.count = calls, number, len(inputs)
        return result.clone()

    @staticmethod
    def backward(context, gradient):
        found = context.calls.ask("backward", context.number, gradient)
        if not isinstance(found, list) or len(found) != context.count:
            raise wire.WireError("it hands over what is no gradient")
        return None, None, None, None, *found


def _join(calls: Calls, number: int, result: torch.Tensor, inputs: list[torch.Tensor]) -> torch.Tensor:
    return _Back.apply(calls, number, result, torch.zeros((), requires_grad=True), *inputs)
