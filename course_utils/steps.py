"""One step of training, as chapter 7's loop takes it: forward, backward (in pieces if memory demands), update."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from course_utils.batches import forward, logits_of, take


@dataclass
class Step:
    """What takes steps, and remembers how large a piece of a batch fits.

    On CUDA nothing here asks the GPU for a number, for the answer would have to wait until all before it is computed:
    whether a step may be taken is decided there. The first loss or gradient that is not finite stops all further steps.
    """

    model: nn.Module
    loss: Callable[[Any, torch.Tensor], torch.Tensor]
    optimizer: torch.optim.Optimizer
    accelerator: Accelerator
    max_grad_norm: float
    piece: int | None = None  # set when a batch did not fit into the GPU's memory
    classes: int | None = None  # of the head, once it was seen
    recording: bool = False  # as a graph, which has no room for a second try

    def __post_init__(self):
        self.on_cuda = self.accelerator.device.type == "cuda"
        # fp16 meets infinite gradients by design, and its loss scaling skips such a step: only the loss counts there.
        self.judged = 1 if self.accelerator.mixed_precision == "fp16" else 2
        # the factor of every loss: NaN from the first step that failed on, which no later gradient survives
        self.sound = torch.ones((), device=self.accelerator.device) if self.on_cuda else 1.0

    def __call__(self, inputs, labels: torch.Tensor) -> torch.Tensor:
        """Take one, unless loss or gradient is not finite; returns loss and length of the gradient, of shape (2,)."""
        loss = self.gradients(inputs, labels)
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.max_grad_norm)
        report = torch.stack([loss.float(), norm.float()])
        if self.on_cuda:
            self.sound.masked_fill_(~report[: self.judged].isfinite().all(), float("nan"))
            if self.accelerator.scaler is None:  # which would set the flag itself
                self.optimizer.optimizer.found_inf = self.sound.isnan().float()
        if self.on_cuda or not self.failed(report.tolist()):
            self.optimizer.step()
        self.optimizer.zero_grad()
        return report

    def failed(self, report: list[float]) -> bool:
        return not all(map(math.isfinite, report[: self.judged]))

    def gradients(self, inputs, labels: torch.Tensor) -> torch.Tensor:
        """Compute the gradients of the batch's mean loss, in as many pieces as the GPU's memory demands."""
        while True:
            size = self.piece or len(labels)
            try:
                total = 0.0
                for start in range(0, len(labels), size):
                    piece = slice(start, start + size)
                    with self.accelerator.autocast():
                        logits = logits_of(forward(self.model, take(inputs, piece)))
                    share = len(labels[piece]) / len(labels)
                    loss = self.loss(logits, labels[piece]) * (share * self.sound)
                    self.accelerator.backward(loss)
                    total = total + loss.detach()
                self.classes = logits.shape[-1] if isinstance(logits, torch.Tensor) else None
                return total
            except torch.OutOfMemoryError:
                if size == 1 or self.recording or self.accelerator.num_processes > 1:
                    raise
            # Outside of the except clause, whose traceback would keep the failed step's tensors alive.
            self.piece = size // 2
            self.optimizer.zero_grad()
            print(f"Out of memory: going on in pieces of {self.piece}; each step still learns from {len(labels)}.")
