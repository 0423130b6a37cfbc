"""The gradients of one batch, chapter 7's forward and backward: at once, or in as many pieces as memory demands."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from course_utils.batches import forward, logits_of, take


@dataclass
class Gradients:
    """What computes them, and remembers how large a piece fits."""

    loss: Callable[[Any, torch.Tensor], torch.Tensor]
    optimizer: torch.optim.Optimizer
    accelerator: Accelerator
    piece: int | None = None  # set when a batch did not fit into the GPU's memory

    def __call__(self, model: nn.Module, inputs, labels: torch.Tensor) -> torch.Tensor:
        """Compute the gradients of the batch's mean loss, in as many pieces as the GPU's memory demands."""
        while True:
            size = self.piece or len(labels)
            try:
                total = 0.0
                for start in range(0, len(labels), size):
                    piece = slice(start, start + size)
                    with self.accelerator.autocast():
                        logits = logits_of(forward(model, take(inputs, piece)))
                    share = len(labels[piece]) / len(labels)
                    loss = self.loss(logits, labels[piece]) * share
                    self.accelerator.backward(loss)
                    total = total + loss.detach()
                return total
            except torch.OutOfMemoryError:
                if size == 1 or self.accelerator.num_processes > 1:
                    raise
            # Outside of the except clause, whose traceback would keep the failed step's tensors alive.
            self.piece = size // 2
            self.optimizer.zero_grad()
            print(f"Out of memory: going on in pieces of {self.piece}; each step still learns from {len(labels)}.")
