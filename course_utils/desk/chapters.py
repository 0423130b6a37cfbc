"""The chapters as the desk sees them: which there are, what each claims, how one is executed from a clean kernel."""

import ast
import asyncio
import hashlib
import os
import re
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient

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
    """(position, source) of the code cells, without exercises and set-up: what decides the values that are claimed."""
    code = [(i, c) for i, c in enumerate(notebook.cells) if c.cell_type == "code" and "nbgrader" not in c.metadata]
    return [(i, c.source) for i, c in code if not c.source.startswith("COURSE = ")]


def code_hash(notebook) -> str:
    """Twelve digits that change with the lesson's code."""
    return hashlib.sha256("\0".join(source for _, source in lesson_cells(notebook)).encode()).hexdigest()[:12]


def claims_in(notebook, number: str) -> list[Claim]:
    """What a chapter claims, read from its code: `expect` takes the claim's name, and its bounds, as literals.

    A cell that is no Python claims nothing; it fails when it is executed.

    Args:
        notebook: the chapter.
        number: its two digits, with which its claims begin.

    Raises:
        ValueError: a name or bound that is not a literal, a name of another form, or one that stands twice.
    """
    claims = {}
    for i, source in lesson_cells(notebook):
        where = f"chapter {number}, cell {i}"
        with suppress(SyntaxError):
            for call in filter(_is_expect, ast.walk(ast.parse(TransformerManager().transform_cell(source)))):
                try:
                    bounds = {k.arg: ast.literal_eval(k.value) for k in call.keywords if k.arg != "value"}
                    claim = Claim(ast.literal_eval(call.args[0]), i, **bounds)
                except (ValueError, IndexError, TypeError):
                    raise ValueError(
                        f"{where}: {ast.unparse(call)} needs its name and bounds written out, not computed."
                    ) from None
                if not re.fullmatch(rf"{number}-[a-z0-9-]+", str(claim.name)):
                    raise ValueError(
                        f"{where}: {claim.name!r} is no name for a claim: "
                        f"begin with {number}-, and go on with small letters, digits and hyphens."
                    )
                if claim.name in claims:
                    first = claims[claim.name].cell
                    raise ValueError(f"{where}: {claim.name} is claimed in cell {first} already: give it another name.")
                claims[claim.name] = claim
    return list(claims.values())


def _is_expect(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "expect"


@dataclass(frozen=True)
class Execution:
    """A chapter with its new outputs, how long it took, and what failed: (cell, error)."""

    notebook: nbformat.NotebookNode
    seconds: float
    failed: list[tuple[int, str]]


class _Client(NotebookClient):
    """Leaves Ctrl-C alone: NotebookClient would only end its own kernel, and the next chapter would begin."""

    async def async_start_new_kernel(self, **kwargs):
        with suppress(RuntimeError):  # on Windows, or outside of the main thread, there is no handler to remove
            for which in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().remove_signal_handler(which)
        await super().async_start_new_kernel(**kwargs)


async def execute(path: Path, env: dict[str, str], *, timeout: int = 3600) -> Execution:
    """Execute a chapter from a clean kernel, past cells that fail.

    Args:
        path: the notebook; it is not changed.
        env: what to add to the environment.
        timeout: seconds for one cell.
    """
    notebook = nbformat.read(path, 4)
    for cell in notebook.cells:
        if cell.cell_type == "code":  # where the kernel dies, what was stored below must not pass for new
            cell.outputs, cell.execution_count = [], None
    started, failed, reached = time.perf_counter(), [], [0]
    client = _Client(
        notebook,
        timeout=timeout,
        allow_errors=True,
        record_timing=False,
        kernel_name="python3",
        extra_arguments=["--IPKernelApp.log_level=40"],  # newer kernels warn of their own sockets
        resources={"metadata": {"path": str(path.parent)}},
        on_cell_start=lambda cell, cell_index: reached.append(cell_index),
    )
    try:
        await client.async_execute(env=os.environ | QUIET | env)
    except (TimeoutError, RuntimeError) as error:  # a cell took too long, or there is no kernel any more
        failed.append((reached[-1], f"{type(error).__name__}: {str(error).splitlines()[0]}"))
    for i, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                message = output.evalue.strip().splitlines() or [""]
                failed.append((i, f"{output.ename}: {message[0]}"))
    return Execution(notebook, time.perf_counter() - started, failed)


async def all_of(tasks, workers: int):
    """The results of coroutine functions as they come, so many at a time."""
    gate = asyncio.Semaphore(workers)

    async def one(task):
        async with gate:
            return await task()  # not before: an interruption would leave coroutines that nobody awaited

    for finished in asyncio.as_completed([asyncio.ensure_future(one(task)) for task in tasks]):
        yield await finished
