"""The exercises of a chapter, as its cells' nbgrader metadata mark them, and what a student is handed of each."""

import ast
import builtins
import re
import symtable
from dataclasses import dataclass

REGION = re.compile(r"^( *)# BEGIN SOLUTION.*?# END SOLUTION", flags=re.DOTALL | re.MULTILINE)
FENCE = re.compile(r"^`{4,}.*$\n?|^:(?:label|class):.*$\n?", flags=re.MULTILINE)
HERE = "# Your answer here"


def names_in(source: str) -> tuple[set[str], set[str]]:
    """The names that a piece of code binds at its top level, and those that it needs from elsewhere.

    Raises:
        SyntaxError: it is no Python.
    """
    top = symtable.symtable(source, "<cell>", "exec")
    bound = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}
    used, tables = set(), [top]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        used |= {s.get_name() for s in table.get_symbols() if s.is_referenced() and (s.is_global() or table is top)}
    return bound, used - bound - set(dir(builtins))


@dataclass(frozen=True)
class Exercise:
    """An answer cell with its solution, and the cell that checks it."""

    name: str  # its grade id, for example "03-distance"
    number: str  # "3.3"
    title: str
    text: str  # what is asked
    solution: str
    check: str
    points: int
    pointer: str = ""  # where to look, for somebody who has been wrong twice
    read: str = ""  # the chapter's section that explains it

    @property
    def is_open(self) -> bool:
        """Whether it asks for words, too."""
        return self.text.startswith("An open one.")

    @property
    def asks(self) -> list[str]:
        """The names that an answer must bind, in the order in which the check meets them."""
        asked = names_in(self.solution)[0] & names_in(self.check)[1]
        return sorted(asked, key=lambda name: re.search(rf"\b{name}\b", self.check).start())

    @property
    def stub(self) -> str:
        """The answer cell as it is handed out: it runs without an error, and gives no answer.

        A solution inside of a function becomes three dots. In place of one at the top level the names that are asked
        for become three dots. Lines below it that use the answer are commented out.
        """
        inside = REGION.sub(lambda m: f"{m[1]}...  {HERE}" if m[1] else "# HERE", self.solution)
        missing = [name for name in self.asks if name not in names_in(inside)[0]]
        functions = {f.name: f for f in ast.parse(self.solution).body if isinstance(f, ast.FunctionDef)}
        dots = [f"def {n}({ast.unparse(functions[n].args)}):\n    ...  {HERE}\n\n" for n in missing if n in functions]
        values = [name for name in missing if name not in functions]
        dots += [f"{' = '.join(values)} = ...  {HERE}"] if values else []
        stub = inside.replace("# HERE", "\n".join(dots), 1).replace("# HERE", "")
        lines = stub.rstrip().split("\n")
        for statement in ast.parse(stub).body:
            uses = not isinstance(statement, ast.FunctionDef) and names_in(ast.unparse(statement))[1] & set(self.asks)
            if uses:
                rest = [f"# {line}".rstrip() for line in lines[statement.lineno - 1 :]]
                lines[statement.lineno - 1 :] = ["# To see your answer at work, take away the # from here on:", *rest]
                break
        return re.sub(r"\n{4,}", "\n\n\n", "\n".join(lines)).strip()

    @property
    def call(self) -> str:
        """The cell that checks an answer in a student's copy."""
        return f"cu.check({', '.join([repr(self.name), *self.asks])})".replace("'", '"')


def exercises_in(notebook) -> list[Exercise]:
    """The exercises in the order of the chapter; `NAME-test` checks what `NAME` answers."""
    cells = {c.metadata.nbgrader.grade_id: c for c in notebook.cells if "nbgrader" in c.metadata}
    found, text = [], ""
    for cell in notebook.cells:
        if "{exercise-start}" in cell.source:
            text = cell.source
        name = cell.metadata.get("nbgrader", {}).get("grade_id", "-test")
        if name.endswith("-test"):
            continue
        check = cells[f"{name}-test"]
        title = re.search(r"\{exercise-start\} *(.*)", text)
        found.append(
            Exercise(
                name,
                f"{int(name[:2])}.{len(found) + 1}",
                title[1] if title else name,
                FENCE.sub("", text).strip(),
                cell.source,
                check.source,
                check.metadata.nbgrader.points,
                **check.metadata.get("course", {}),
            )
        )
    return found
