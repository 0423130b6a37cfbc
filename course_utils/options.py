"""What `fit` may be told, and which of it is refused, in one sentence, before anything starts."""

import math
from dataclasses import dataclass

from course_utils import runtime

METRICS = ("accuracy", "f1", "loss")


@dataclass(frozen=True)
class Recipe:
    """How AdamW steps, beside its learning rate: ``fit(…, recipe=Recipe(warmup=0))``."""

    weight_decay: float = 0.01  # of weight matrices; optimizer groups bring their own
    warmup: float = 0.1  # share of all steps during which the rate rises from 0
    decay: bool = True  # after that it falls back to 0; False: it stays
    max_grad_norm: float = 1.0  # longer gradients are scaled down to this length; infinity: none are


def plain(value):
    """NumPy's and PyTorch's numbers, also in dicts and lists, as Python's: what a save can hold."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(plain, value))
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value


def check_options(**options) -> None:
    """Raises ValueError for an impossible option of `fit`, `evaluate`, `predict` or `tokenize`; None is not given."""
    for name, value in options.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)
        whole, text = number and isinstance(value, int), f"{name}={value}"
        if value is None:
            continue
        if name in ("epochs", "batch_size", "patience", "save_every", "max_length") and not (whole and value >= 1):
            raise ValueError(f"{text} must be a whole number of at least 1, for example {name}=16.")
        if name in ("num_workers", "seed") and not (whole and value >= 0):
            raise ValueError(f"{text} must be a whole number of at least 0.")
        if name == "warmup" and not (number and 0 <= value < 1):
            raise ValueError(f"{text} must be a share of all steps, 0 ≤ warmup < 1; 0.1 is usual.")
        if name in ("lr", "weight_decay") and not (number and 0 <= value < math.inf):
            raise ValueError(f"{text} must be a number of at least 0; optimizer groups go into groups=.")
        if name == "max_grad_norm" and not (number and value > 0):
            raise ValueError(f"{text} must be more than 0: nothing would be learned. float('inf') leaves gradients be.")
        if name == "metric" and value not in METRICS:
            raise ValueError(f"metric={value!r} must be one of {', '.join(map(repr, METRICS))}.")
        if name == "precision":
            runtime.check_precision(value)
