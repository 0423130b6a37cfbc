"""Steps as CUDA graphs: a GPU that computes a small model's step waits for Python most of the time, a graph never does.

A graph is a list of kernels, recorded once, for one shape and on memory that stays where it is. So texts are padded to
one of a few lengths, each with a graph of its own, and copied to where that graph reads its batch.
"""

import random
from collections.abc import Callable, Mapping
from contextlib import contextmanager, suppress
from warnings import catch_warnings

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from course_utils.batches import CAN_BE_PADDED, IGNORED, LENGTHS, to_few_lengths
from course_utils.examples import seed_cpu
from course_utils.steps import Step


class Steps:
    """Takes a `Step`, by a graph wherever that is possible; where it is not, one line says why.

    Args:
        step: what is recorded.
        size: examples in a batch; a smaller one, the last, is not worth a graph.
        longest: tokens of the longest text, if known: its graph comes first, and the others find room where it was.
    """

    def __init__(self, step: Step, size: int | None, longest: int = 0):
        self.step, self.size, self.longest = step, size, longest
        self.usable = step.on_cuda and step.accelerator.num_processes == 1
        self.pool = torch.cuda.graph_pool_handle() if self.usable else None
        self.graphs, self.said = {}, set()

    def __call__(self, inputs, labels: torch.Tensor, seed: int) -> torch.Tensor:
        """As `Step`, with random numbers that `seed` alone decides."""
        if self.step.on_cuda:
            inputs, labels = self._padded(inputs, labels)
        replay = reason = None
        if self.usable and isinstance(inputs, Mapping) and len(labels) == self.size:
            try:
                replay = self._graph(inputs, labels)
            except Exception as error:
                first = error.__context__ or error  # that a recording is broken matters less than what broke it
                out_of_memory = any(isinstance(e, torch.OutOfMemoryError) for e in (error, first))
                reason = "the GPU has no room for them" if out_of_memory else _in_words(first)
        if reason:  # outside of the except clause, whose traceback would keep the failed step's tensors alive
            self.usable = False
            self.graphs.clear()
            self.step.optimizer.zero_grad()
            torch.cuda.empty_cache()
            self._say(reason)
        set_seeds(seed, self.step.accelerator.device)
        return replay() if replay else self.step(inputs, labels)

    def _graph(self, inputs: Mapping, labels: torch.Tensor) -> Callable[[], torch.Tensor] | None:
        """The graph of this batch, which lies where it reads; RuntimeError says why there cannot be one."""
        if not getattr(self.step.loss, "__module__", "").startswith(("torch.nn.", "course_utils.")):
            raise RuntimeError("the loss is a function of your own, which Python has to call each time")
        if not {"input_ids", "attention_mask"} <= inputs.keys() <= CAN_BE_PADDED:
            raise RuntimeError("they need input_ids and attention_mask, and nothing else that could not be padded")
        if (tokens := inputs["input_ids"].shape[1]) not in LENGTHS:
            return self._say(f"some texts are of more than {LENGTHS[-1]} tokens, or could not be padded")
        if not self.graphs and tokens < self.longest <= LENGTHS[-1]:
            self._recorded(*self._padded(inputs, labels, self.longest))
        return self._recorded(inputs, labels)

    def _padded(self, inputs, labels: torch.Tensor, at_least: int = 0):
        """The batch at one of a few lengths, unless its labels would not fit it then."""
        padded = to_few_lengths(inputs, self.step.model, at_least)
        if padded is inputs or labels.ndim < 2 or labels.shape[1] == 1:
            return padded, labels
        tokens, length = inputs["input_ids"].shape[1], padded["input_ids"].shape[1]
        of_tokens = labels.shape[1] == tokens
        if of_tokens == labels.is_floating_point():
            return inputs, labels
        return padded, F.pad(labels, (0, length - tokens), value=IGNORED) if of_tokens else labels

    def _say(self, reason: str) -> None:
        if reason not in self.said:
            self.said.add(reason)
            print(f"Without CUDA graphs, which would be faster if the model is small: {reason}.")

    def _recorded(self, inputs: Mapping, labels: torch.Tensor) -> Callable[[], torch.Tensor]:
        batch = {**inputs, "labels": labels}
        rates = torch.tensor([group["lr"] for group in self.step.optimizer.param_groups])
        key = tuple((value.shape, value.dtype) for value in batch.values())
        if key not in self.graphs:
            if any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in self.step.model.modules()):
                raise RuntimeError("the model has hooks, which Python has to call each time")
            place = {name: value.clone() for name, value in (batch | {"rates": rates.to(labels.device)}).items()}
            arguments = {name: place[name] for name in inputs}
            with _rehearsal(self.step, place["rates"]):
                replay = capture(lambda: self.step(arguments, place["labels"]), self.pool, self.step.model)
            self.graphs[key] = place, replay
        place, replay = self.graphs[key]
        for name, value in (batch | {"rates": rates}).items():
            place[name].copy_(value, non_blocking=True)
        return lambda: replay().clone()


def capture(function: Callable[[], torch.Tensor], pool, model: nn.Module) -> Callable[[], torch.Tensor]:
    """Call a function, then record what it does on the GPU; returns what does that again, and gives its result.

    Raises:
        RuntimeError: it asks the GPU for a number, or does what only Python can do again.
    """
    current, stream, graph = torch.cuda.current_stream(), torch.cuda.Stream(), torch.cuda.CUDAGraph()
    before, mode = _in_python(model), torch.cuda.get_sync_debug_mode()
    stream.wait_stream(current)
    try:
        with torch.cuda.stream(stream), catch_warnings(action="ignore"):
            function()  # once for real: libraries and optimizer make what they need at their first call
            if _in_python(model) != before:
                raise RuntimeError("the model counts or draws random numbers in Python")
            stream.synchronize()
            torch.cuda.empty_cache()
            torch.cuda.set_sync_debug_mode("error")  # what asks for a number raises before it spoils the recording
            graph.capture_begin(pool=pool, capture_error_mode="thread_local")  # other threads may go on pinning memory
            try:
                result = function()
            finally:
                graph.capture_end()
    except Exception:
        _mend(graph, pool)
        raise
    finally:
        torch.cuda.set_sync_debug_mode(mode)
        current.wait_stream(stream)
    return lambda: graph.replay() or result


def _mend(graph: torch.cuda.CUDAGraph, pool) -> None:
    """Let PyTorch forget a recording that may have been broken off."""
    device = torch.cuda.current_device()
    # A generator that took part in it may refuse to draw: a fresh one in its place.
    generator = torch.cuda.default_generators[device]
    generator.graphsafe_set_state(torch.Generator(generator.device).graphsafe_get_state())
    # An older allocator takes it for one that goes on, and would free no memory again (pytorch/pytorch#180395).
    with suppress(Exception):  # private names; and it raises where there is nothing to mend
        torch._C._cuda_endAllocateToPool(device, pool)
        _broken.append(graph)  # whom an allocator may go on asking
        torch._C._cuda_releasePool(device, pool)


_broken: list = []


def _in_words(error: BaseException) -> str:
    text = f"{error}".strip().split("\n")[0]
    if "synchronizing CUDA operation" in text or "stream is capturing" in text:
        return "the model asks the GPU for a number, or waits for it, within a step"
    return text.rstrip(".")


def _in_python(model: nn.Module) -> list:
    """What a replay would not do again: random numbers drawn by the CPU, numbers that modules keep."""
    kept = [[item for item in vars(m).items() if isinstance(item[1], bool | int | float)] for m in model.modules()]
    return [torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist(), kept]


@contextmanager
def _rehearsal(step: Step, rates: torch.Tensor):
    """Steps inside read their learning rates from a tensor; they change nothing, for their loss is NaN."""
    groups, scaler = step.optimizer.param_groups, step.accelerator.scaler
    tensors = [(tensor, tensor.clone()) for tensor in (step.sound, *step.model.buffers())]
    options = [{"lr": group["lr"], "capturable": group["capturable"]} for group in groups]
    scaling = scaler.state_dict() if scaler else None
    step.recording = True
    step.sound.fill_(float("nan"))
    try:
        for group, rate in zip(groups, rates, strict=True):
            group.update(lr=rate, capturable=True)
        yield
    finally:
        step.recording = False
        for tensor, before in tensors:
            tensor.copy_(before)
        for group, before in zip(groups, options, strict=True):
            group.update(before)
        if scaler:
            scaler.scale(step.sound)  # makes its tensors, if nothing did
            scaler.update(scaling["scale"])  # forgets a step that broke off
            scaler.load_state_dict(scaling)


def set_seeds(seed: int, device: torch.device) -> None:
    """Of the CPU and one device; of all devices it takes a millisecond, on a step of two."""
    seed_cpu(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)
