"""The chapters as the desk sees them: which there are, what each claims, how one is executed from a clean kernel."""

import ast
import asyncio
import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError

# Progress bars and load reports differ from run to run: they stay out of stored outputs, which nbval compares.
QUIET = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_VERBOSITY": "error"}


@dataclass(frozen=True)
class Claim:
    """A call of `expect` in a chapter."""

    name: str
    cell: int
    above: float | None = None
    below: float | None = None

    @property
    def is_comparison(self) -> bool:
        return self.above is not None or self.below is not None


def find_chapters(root: Path, wanted: Sequence[str] = ()) -> list[Path]:
    """The notebooks in reading order; `wanted` names some by number or by file name.

    Raises:
        ValueError: there is no such chapter.
    """
    paths = sorted(root.glob("book/en/[0-9]*.ipynb"))
    if not paths:
        raise ValueError(f"There are no chapters in {root}: run this in the course's own folder.")
    by_name = {
        name: path for path in paths for name in (path.name[:2], path.name[:2].lstrip("0"), path.stem, path.name)
    }
    if unknown := [name for name in wanted if Path(name).name not in by_name]:
        raise ValueError(f"There is no chapter {', '.join(unknown)}: there are {', '.join(p.stem for p in paths)}.")
    return sorted({by_name[Path(name).name] for name in wanted}) if wanted else paths


def lesson_cells(notebook) -> list[tuple[int, str]]:
    """(position, source) of the code cells, without the exercises: what decides the values that are claimed."""
    cells = enumerate(notebook.cells)
    return [(i, c.source) for i, c in cells if c.cell_type == "code" and "nbgrader" not in c.metadata]


def code_hash(notebook) -> str:
    """Twelve digits that change with the lesson's code."""
    return hashlib.sha256("\0".join(source for _, source in lesson_cells(notebook)).encode()).hexdigest()[:12]


def claims_in(notebook) -> list[Claim]:
    """What a chapter claims, read from its code: `expect` takes the claim's name, and its bounds, as literals.

    Raises:
        ValueError: a name or bound that is not a literal, or a name that stands twice.
    """
    claims = {}
    for i, source in lesson_cells(notebook):
        tree = ast.parse(TransformerManager().transform_cell(source))
        for call in ast.walk(tree):
            if not (isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "expect"):
                continue
            try:
                name = ast.literal_eval(call.args[0])
                bounds = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
            except (ValueError, IndexError):
                raise ValueError(
                    f"cell {i}: {ast.unparse(call)} needs its name and bounds written out, not computed."
                ) from None
            if name in claims:
                raise ValueError(
                    f"cell {i}: {name} is claimed in cell {claims[name].cell} already: give it another name."
                )
            claims[name] = Claim(name, i, **bounds)
    return list(claims.values())


@dataclass(frozen=True)
class Execution:
    """A chapter with its new outputs, how long it took, and what failed: (cell, error)."""

    notebook: nbformat.NotebookNode
    seconds: float
    failed: list[tuple[int, str]]


async def execute(path: Path, env: dict[str, str], *, timeout: int = 3600) -> Execution:
    """Execute a chapter from a clean kernel, past cells that fail.

    Args:
        path: the notebook; it is not changed.
        env: what to add to the environment.
        timeout: seconds for one cell.
    """
    notebook = nbformat.read(path, 4)
    client = NotebookClient(
        notebook,
        timeout=timeout,
        allow_errors=True,
        record_timing=False,
        kernel_name="python3",
        extra_arguments=["--IPKernelApp.log_level=40"],  # newer kernels warn of their own sockets
        resources={"metadata": {"path": str(path.parent)}},
    )
    started, failed = time.perf_counter(), []
    try:
        await client.async_execute(env=os.environ | QUIET | env)
    except (CellTimeoutError, DeadKernelError) as error:
        failed.append((client.code_cells_executed, f"{type(error).__name__}: {str(error).splitlines()[0]}"))
    for i, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                message = output.evalue.strip().splitlines() or [""]
                failed.append((i, f"{output.ename}: {message[0]}"))
    return Execution(notebook, time.perf_counter() - started, failed)


async def all_of(tasks, workers: int):
    """The results of coroutines as they come, so many at a time."""
    gate = asyncio.Semaphore(workers)

    async def one(task):
        async with gate:
            return await task

    for finished in asyncio.as_completed([asyncio.ensure_future(one(task)) for task in tasks]):
        yield await finished
