"""The exercises of a chapter, as its cells' nbgrader metadata mark them, and what a student is handed of each."""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Exercise:
    """An answer cell with its solution, and the cell that checks it."""

    name: str  # its grade id, for example "03-distance"
    solution: str
    check: str

    @property
    def stub(self) -> str:
        """The answer cell as it is handed out: the solution's region replaced as nbgrader does."""
        region = re.compile(r"^( *)# BEGIN SOLUTION.*?# END SOLUTION", flags=re.DOTALL | re.MULTILINE)
        return region.sub(r"\1raise NotImplementedError()", self.solution)


def exercises_in(notebook) -> list[Exercise]:
    """The exercises in the order of the chapter; `NAME-test` checks what `NAME` answers."""
    cells = {c.metadata.nbgrader.grade_id: c.source for c in notebook.cells if "nbgrader" in c.metadata}
    names = [name for name in cells if not name.endswith("-test")]
    return [Exercise(name, cells[name], cells[f"{name}-test"]) for name in names]
