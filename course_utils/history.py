"""What `fit` returns: how training went, epoch by epoch."""

import csv
import os
from dataclasses import dataclass, field


@dataclass
class History:
    """One record an epoch: `epoch`, `loss`, `examples_per_second`, and `validation_…` if there was a validation set."""

    records: list[dict] = field(default_factory=list)
    best_epoch: int | None = None  # whose weights the model was left with; 0: the starting ones, None: the last
    losses: list[float] = field(default_factory=list)  # each step's
    start: dict | None = None  # the starting weights' `validation_…`
    settings: dict = field(default_factory=dict)  # what `fit` was told: learning rates, seed, precision …

    def __getitem__(self, name: str) -> list:
        """One column, for example ``history["loss"]``."""
        return [record[name] for record in self.records]

    def plot(self):
        """Draw loss and validation accuracy by epoch."""
        import course_utils  # whose face knows where figures are drawn; the core does not

        return course_utils.plot_history(self)

    def to_csv(self, path: str | os.PathLike) -> None:
        """Write a table with one row an epoch, the settings repeated in each, so that tables of runs can be joined."""
        rows = [record | self.settings for record in self.records]
        with open(path, "w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
            table.writeheader()
            table.writerows(rows)
