"""The course's figures, in one style. Each returns its figure; end a cell with ``plt.show()``."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from itertools import cycle

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator


def use_course_style() -> None:
    """Give the figures that follow the course's colours and sizes."""
    plt.style.use(str(files("course_utils.show") / "course.mplstyle"))


def _literal(name) -> str:
    """A name as it is written, in which matplotlib would take what stands between two dollars for a formula."""
    return str(name).replace("$", r"\$")


def plot_history(history) -> Figure:
    """Loss by epoch, and the validation accuracy beside it.

    Args:
        history: a `training.History`.

    Raises:
        ValueError: no epoch was trained.
    """
    if not history.records:
        raise ValueError("There is nothing to draw: this history has no epoch.")
    epochs = history["epoch"]
    has_validation = "validation_loss" in history.records[0]
    figure, axes = plt.subplots(1, 1 + has_validation, squeeze=False)
    losses = axes[0, 0]
    losses.plot(epochs, history["loss"], marker="o", label="training")
    losses.set(xlabel="epoch", ylabel="cross-entropy (nats)", ylim=(0, None))
    if has_validation:
        losses.plot(epochs, history["validation_loss"], marker="s", label="validation")
        losses.legend()
        axes[0, 1].plot(epochs, history["validation_accuracy"], marker="s", color="C1")
        axes[0, 1].set(xlabel="epoch", ylabel="validation accuracy", ylim=(0, 1))
    for ax in axes.flat:
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def plot_confusion(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> Figure:
    """How many examples of each true class were given to each class.

    Args:
        confusion: [true class][predicted class] → examples, as in `training.Metrics`.
        classes: the classes' names.
    """
    from sklearn.metrics import ConfusionMatrixDisplay

    figure, ax = plt.subplots(figsize=(3.6, 3.2))
    names = [_literal(name) for name in classes]
    ConfusionMatrixDisplay(np.array(confusion), display_labels=names).plot(ax=ax, colorbar=False, cmap="Blues")
    ax.grid(False)
    return figure


def plot_scores(scores: Mapping[str, float], *, chance: float | None = None, label: str = "test accuracy") -> Figure:
    """Scores side by side as horizontal bars with their values.

    Args:
        scores: name → score between 0 and 1, drawn from top to bottom.
        chance: drawn as a dashed line.
        label: of the axis.
    """
    figure, ax = plt.subplots(figsize=(6.4, 0.6 + 0.45 * len(scores)))
    bars = ax.barh(
        [_literal(name) for name in scores], list(scores.values()), color=[f"C{i}" for i in range(len(scores))]
    )
    ax.bar_label(bars, fmt="%.2f", padding=3)
    if chance is not None:
        ax.axvline(chance, color="black", linestyle="--", linewidth=1, label=f"chance, {chance:.2f}")
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0)
    ax.set(xlabel=label, xlim=(0, 1.05))
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    return figure


def plot_scores_by(
    sizes: Sequence[float], scores: Mapping[str, Sequence[Sequence[float]]], *, label: str, chance: float | None = None
) -> Figure:
    """Scores against a quantity such as the number of labels: the mean over seeds, with bars of one standard deviation.

    Args:
        sizes: positions on the axis, which is logarithmic.
        scores: name → for each size, the scores of all seeds.
        label: of the axis of sizes.
        chance: drawn as a dashed line.
    """
    figure, ax = plt.subplots(figsize=(4.8, 3.2))
    curves = []
    for of_sizes, marker in zip(scores.values(), cycle("osD^v"), strict=False):
        means = [np.mean(seeds) for seeds in of_sizes]
        deviations = [np.std(seeds, ddof=min(1, len(seeds) - 1)) for seeds in of_sizes]
        curves.append(ax.errorbar(sizes, means, deviations, marker=marker, capsize=3))
    names = [_literal(name) for name in scores]
    if chance is not None:
        curves.append(ax.axhline(chance, color="black", linestyle="--", linewidth=1))
        names.append(f"chance, {chance:.2f}")
    ax.set(xscale="log", xlabel=label, ylabel="test accuracy", ylim=(0, 1), xticks=sizes, xticklabels=sizes)
    ax.minorticks_off()
    ax.legend(curves, names)  # given both, it shows names that begin with an underscore, too
    return figure


def plot_pictures(pictures: Sequence, titles: Sequence[str] = (), *, columns: int = 8) -> Figure:
    """Pictures in rows, with their titles above them.

    Args:
        pictures: PIL pictures or arrays of shape (height, width, 3), or (height, width) in grey; all drawn at one size.
            Numbers are from 0 to 255, or fractions from 0 to 1.
        titles: one each, or none.
        columns: pictures in a row.

    Raises:
        ValueError: no pictures, or not one title each.
    """
    if not len(pictures) or len(titles) not in (0, len(pictures)):
        raise ValueError(
            f"{len(pictures)} pictures and {len(titles)} titles: give pictures, and one title each or none."
        )
    rows = -(-len(pictures) // columns)
    height = 1.05 if titles else 0.9
    size = (0.9 * columns, height * rows)
    figure, axes = plt.subplots(rows, columns, squeeze=False, figsize=size, layout="constrained")
    for ax in axes.flat:
        ax.axis("off")
    for i, (ax, picture) in enumerate(zip(axes.flat, pictures, strict=False)):
        numbers = np.asarray(picture).dtype
        white = (65535 if numbers == np.uint16 else 255) if numbers.kind in "iu" else 1
        ax.imshow(picture, cmap="gray", vmin=0, vmax=white)
        if titles:
            ax.set_title(_literal(titles[i]), fontsize=7, pad=2)
    return figure
