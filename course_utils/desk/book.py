"""Executing chapters and rendering the book: what ``make book``, ``make html`` and ``make execute`` call."""

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from tqdm import tqdm

from course_utils import runtime
from course_utils.desk import record, students
from course_utils.desk.chapters import execute, find_chapters

EXECUTED = Path("_build/executed")


def source_here() -> str:
    """COURSE_SOURCE for executing the book: what is set, else ``auto`` beside a GPU or a mirror, else ``bundled``.

    Without a GPU the chapters train the bundled stand-ins: minutes instead of hours.
    """
    if os.environ.get("COURSE_SOURCE"):
        return runtime.source()
    if runtime.device().type != "cpu" or os.environ.get("COURSE_MIRROR"):
        return "auto"
    return "bundled"


def fingerprint(path: Path, circumstances: str) -> str:
    """Changes when the chapter or what it runs with does: then it is executed again."""
    cells = [(cell.cell_type, cell.source) for cell in nbformat.read(path, 4).cells]
    return hashlib.sha256(json.dumps([cells, circumstances]).encode()).hexdigest()


def circumstances(source: str) -> str:
    """What a chapter runs with: the helper package, the device, and where data come from."""
    digest = hashlib.sha256(f"{source} {os.environ.get('COURSE_MIRROR')} {runtime.device()}".encode())
    for path in sorted(Path(__file__).parents[1].rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(path.read_bytes())
    return digest.hexdigest()


async def execute_into(folder: Path, chapters: list[Path], source: str) -> dict[str, list[tuple[int, str]]]:
    """Execute the chapters that changed, past failing cells, and put them into a folder.

    Returns:
        Chapter → what failed in it: (cell, error). A chapter that failed is executed again the next time.
    """
    failed, around = {}, circumstances(source)
    for path in tqdm(chapters, unit="chapter"):
        target, stamp = folder / path.name, folder / f".{path.stem}.stamp"
        now = fingerprint(path, around)
        if target.exists() and stamp.exists() and stamp.read_text() == now:
            continue
        stamp.unlink(missing_ok=True)
        done = await execute(path, {"COURSE_SOURCE": source})
        nbformat.write(done.notebook, target)
        if done.failed:
            failed[path.stem] = done.failed
        else:
            stamp.write_text(now)
    return failed


def build_book(root: Path) -> int:
    """Execute every chapter on this machine, render them all, and list what failed; 1 if anything did."""
    source, out = source_here(), root / EXECUTED
    mirror = (
        f", data from {os.environ['COURSE_MIRROR']}" if os.environ.get("COURSE_MIRROR") and source != "bundled" else ""
    )
    print(f"Executing the chapters on {str(runtime.device()).upper()}, COURSE_SOURCE={source}{mirror}.", flush=True)
    shutil.copytree(root / "book", out / "book", dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.ipynb", ".*"))
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(root / name, out / name)
    failed = asyncio.run(execute_into(out / "book/en", find_chapters(root), source))
    status = render(out, root)
    for chapter, faults in failed.items():
        for cell, error in faults:
            print(f"{chapter}, cell {cell}: {error}", file=sys.stderr)
    if failed:
        print(f"{len(failed)} chapters failed; their pages show where. make book runs them again.", file=sys.stderr)
    return 1 if failed else status


def render(folder: Path, out: Path) -> int:
    """Render a folder's pages by Jupyter Book to ``out/_build/html``; its exit status.

    What a page's download button gives is the students' copy.
    """
    # not by its command's name: where that lies differs from system to system
    jupyter_book = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()"]
    status = subprocess.run([*jupyter_book, "build", folder, "--path-output", out, "--quiet"]).returncode
    if not status:
        students.write(students.copies(out, out / "_build/html/_sources"), force=True)
        print(f"The book: file://{(out / '_build/html/index.html').resolve()}")
    return status


def execute_in_place(chapters: list[Path]) -> int:
    """For authors: give chapters the outputs that tests compare with, those of a recorded run with the stand-ins."""
    here = asyncio.run(record.circumstances_with({}))
    status = 0
    for path in tqdm(chapters, unit="chapter"):
        setting = record.Setting(path, "bundled", 0, "native", "native")
        done = asyncio.run(record.run_once(setting, here, timeout=3600))
        for trouble in done.troubles:
            print(f"{path.stem}, {trouble}. The notebook keeps its outputs.", file=sys.stderr)
        if not done.run:
            status = 1
            continue
        record.add([done.run])
        unfinished = path.with_suffix(".unfinished")
        nbformat.write(done.notebook, unfinished)
        os.replace(unfinished, path)
    return status


def add_arguments(command) -> None:
    command.add_argument(
        "chapters", nargs="*", metavar="CHAPTER", help="with --in-place: numbers or names; all without"
    )
    how = command.add_mutually_exclusive_group()
    how.add_argument("--stored", action="store_true", help="execute nothing: render the stored outputs")
    how.add_argument("--in-place", action="store_true", help="execute with the stand-ins, store the outputs")


def run(options) -> int:
    root = Path.cwd()
    if options.in_place:
        return execute_in_place(find_chapters(root, options.chapters))
    if options.chapters:
        raise ValueError("Chapters are named with --in-place only: the book is made whole.")
    find_chapters(root)
    return render(root, root) if options.stored else build_book(root)
