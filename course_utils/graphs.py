"""Steps as CUDA graphs: a GPU that computes a small model's step waits for Python most of the time, a graph never does.

A graph is a list of kernels that was recorded once, of one shape, on memory that stays where it is. So texts are padded
to one of a few lengths, each with a graph of its own, and copied to where that graph reads its batch.
"""

import random
import warnings
from collections.abc import Callable, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from course_utils.batches import IGNORED
from course_utils.steps import Step

LENGTHS = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)  # in tokens
PADDED = ("input_ids", "attention_mask", "token_type_ids")


class Steps:
    """Takes a `Step`, by a graph wherever that is possible; where it is not, one line says why.

    Args:
        step: what is recorded.
        size: examples in a batch; a smaller one, the last, is not worth a graph.
        longest: tokens of the longest text, if that is known: its graph comes first, and the others find room in it.
    """

    def __init__(self, step: Step, size: int | None, longest: int | None = None):
        self.step, self.size, self.longest = step, size, longest
        self.device = step.accelerator.device
        self.graphs, self.pool = {}, None
        self.usable = step.on_cuda and step.accelerator.num_processes == 1
        self.told = set()

    def __call__(self, inputs, labels: torch.Tensor, seed: int) -> torch.Tensor:
        """As `Step`, from random numbers that `seed` alone decides."""
        replay = self._graph(inputs, labels) if self.usable and len(labels) == self.size else None
        set_seeds(seed, self.device)
        return replay() if replay else self.step(inputs, labels)

    def _graph(self, inputs, labels: torch.Tensor) -> Callable[[], torch.Tensor] | None:
        if not isinstance(inputs, Mapping) or "input_ids" not in inputs:
            return None
        if reason := self._obstacle(inputs):
            return self._tell(reason)
        tokens = inputs["input_ids"].shape[1]
        lengths = [length for length in self._lengths() if length >= tokens]
        if not lengths:
            return self._tell(f"a text of {tokens} tokens is longer than the longest graph")
        try:
            if not self.graphs and self.longest:
                self._recorded(inputs, labels, next((n for n in lengths if n >= self.longest), lengths[-1]))
            return self._recorded(inputs, labels, lengths[0])
        except Exception as error:
            first = error.__context__ or error  # that a recording is broken matters less than what broke it
            out_of_memory = any(isinstance(e, torch.OutOfMemoryError) for e in (error, first))
            reason = "the GPU has no room for them" if out_of_memory else f"{type(first).__name__}: {first}"
        # Outside of the except clause, whose traceback would keep the failed step's tensors alive.
        self.usable = False
        self.graphs.clear()
        self.step.optimizer.zero_grad()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return self._tell(reason.strip().split("\n")[0])

    def _obstacle(self, inputs: Mapping) -> str | None:
        if self.step.piece:
            return "batches are taken in pieces"
        if not getattr(self.step.loss, "__module__", "").startswith(("torch.nn.", "course_utils.")):
            return "the loss is a function of your own, which Python has to call each time"
        if "attention_mask" not in inputs:
            return "without an attention_mask, padding would count"
        if others := inputs.keys() - set(PADDED):
            return f"the batches hold {', '.join(sorted(others))}"
        return None

    def _lengths(self) -> list[int]:
        """Those that the model reads."""
        most = getattr(getattr(self.step.model, "config", None), "max_position_embeddings", None) or LENGTHS[-1]
        return sorted({min(length, most) for length in LENGTHS})

    def _tell(self, reason: str) -> None:
        if reason not in self.told:
            self.told.add(reason)
            print(f"Without CUDA graphs, so slower where the model is small: {reason}.")

    def _recorded(self, inputs: Mapping, labels: torch.Tensor, length: int) -> Callable[[], torch.Tensor]:
        """The graph for this batch, padded to a length and put where the graph reads it."""
        missing = length - inputs["input_ids"].shape[1]
        pad_token = getattr(getattr(self.step.model, "config", None), "pad_token_id", None) or 0
        batch = {k: F.pad(v, (0, missing), value=pad_token * (k == "input_ids")) for k, v in inputs.items()}
        of_tokens = labels.shape[1:] == inputs["input_ids"].shape[1:]
        batch["labels"] = F.pad(labels, (0, missing), value=IGNORED) if of_tokens else labels
        key = tuple((name, value.shape, value.dtype) for name, value in batch.items())
        if key not in self.graphs:
            if any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in self.step.model.modules()):
                raise RuntimeError("the model has hooks, which Python has to call each time")
            fixed = {name: value.clone() for name, value in batch.items()}
            arguments = {name: value for name, value in fixed.items() if name != "labels"}
            rates = torch.zeros(len(self.step.optimizer.param_groups), device=self.device)
            self.pool = self.pool or new_pool()
            with _nothing_learned(self.step), _learning_rates(self.step.optimizer, rates):
                replay = capture(lambda: self.step(arguments, fixed["labels"]), self.pool, self.step.model)
            self.graphs[key] = fixed, rates, replay
        fixed, rates, replay = self.graphs[key]
        for name, value in batch.items():
            fixed[name].copy_(value, non_blocking=True)
        now = torch.tensor([group["lr"] for group in self.step.optimizer.param_groups])
        rates.copy_(now, non_blocking=True)
        return lambda: replay().clone()


def new_pool():
    return torch.cuda.graph_pool_handle()


def capture(function: Callable[[], torch.Tensor], pool, model: nn.Module) -> Callable[[], torch.Tensor]:
    """Call a function, then record what it does on the GPU; returns what does that again, and gives its result.

    Raises:
        RuntimeError: it asks the GPU for a number, or does what only Python can do again.
    """
    current, stream = torch.cuda.current_stream(), torch.cuda.Stream()
    stream.wait_stream(current)
    try:
        with torch.cuda.stream(stream):
            before = _in_python(model)
            function()  # once for real: libraries and optimizer make what they need at their first call
            if _in_python(model) != before:
                raise RuntimeError("the model counts, or draws random numbers, in Python")
            stream.synchronize()
            torch.cuda.empty_cache()
            graph, result = _record(function, pool)
    finally:
        current.wait_stream(stream)

    def replay() -> torch.Tensor:
        graph.replay()
        return result

    return replay


def _record(function: Callable[[], torch.Tensor], pool) -> tuple[torch.cuda.CUDAGraph, torch.Tensor]:
    graph = torch.cuda.CUDAGraph()
    try:
        with _no_waiting():
            graph.capture_begin(pool=pool, capture_error_mode="thread_local")  # others may go on pinning memory
            try:
                return graph, function()
            finally:
                graph.capture_end()
    except BaseException:
        _broken.append(graph)  # PyTorch's allocator may go on asking it
        # A generator that took part in a broken recording may refuse to draw: a fresh one in its place.
        generator = torch.cuda.default_generators[torch.cuda.current_device()]
        generator.graphsafe_set_state(torch.Generator(generator.device).graphsafe_get_state())
        raise


_broken: list = []


@contextmanager
def _no_waiting():
    """What asks the GPU for a number raises, before it spoils the recording."""
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that not every such question is noticed
        torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


def _in_python(model: nn.Module) -> list:
    """What a replay would not do again: random numbers drawn by the CPU, numbers that modules keep."""
    drawn = [torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()]
    plain = (bool, int, float, str)
    kept = [[item for item in vars(m).items() if isinstance(item[1], plain)] for m in model.modules()]
    return [*drawn, kept]


@contextmanager
def _nothing_learned(step: Step):
    """Steps inside change nothing: their loss is NaN, so the weights stay, and all else is put back."""
    sound, scaler = step.sound.clone(), step.accelerator.scaler
    buffers = [(buffer, buffer.clone()) for buffer in step.model.buffers()]
    scaling = scaler.state_dict() if scaler else None
    step.sound.fill_(float("nan"))
    step.recording = True
    try:
        yield
    finally:
        step.recording = False
        step.sound.copy_(sound)
        for buffer, before in buffers:
            buffer.copy_(before)
        if scaler:
            scaler.scale(sound)  # makes its tensors, if nothing did
            scaler.update(scaling["scale"])  # forgets a step that broke off
            scaler.load_state_dict(scaling)


@contextmanager
def _learning_rates(optimizer: torch.optim.Optimizer, rates: torch.Tensor):
    """The optimizer reads its rates from a tensor, where a schedule can change them between replays."""
    before = [(group["lr"], group["capturable"]) for group in optimizer.param_groups]
    try:
        for group, rate in zip(optimizer.param_groups, rates.unbind(), strict=True):
            group["lr"], group["capturable"] = rate, True
        yield
    finally:
        for group, (lr, capturable) in zip(optimizer.param_groups, before, strict=True):
            group["lr"], group["capturable"] = lr, capturable


def set_seeds(seed: int, device: torch.device) -> None:
    """`torch.manual_seed` for the CPU and one device; for all of them it takes a millisecond, on a step of two."""
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)
