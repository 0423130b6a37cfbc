"""Scores that networks of this course gave once, so that exercises of chapters 1, 3 and 9 are judged untrained."""

from importlib.resources import files
from pathlib import Path

import torch
from safetensors.torch import load_file


def load_scores(exercise: str) -> dict[str, torch.Tensor]:
    """The stored scores of an open exercise, such as ``"03-remember"``; `recipes/exercise_scores.py` made them.

    Returns:
        Tensors by name, described in the exercise.

    Raises:
        ValueError: no scores are stored for this exercise.
    """
    folder = Path(str(files("course_utils") / "bundled" / "scores"))
    stored = sorted(path.stem for path in folder.glob("*.safetensors"))
    if exercise not in stored:
        raise ValueError(f"No scores are stored for {exercise!r}: there are {', '.join(stored)}.")
    return load_file(folder / f"{exercise}.safetensors")
