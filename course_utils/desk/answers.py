"""Finding the submissions in a folder, and each notebook's answers, even where cells were moved or renamed."""

import ast
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from course_utils.desk.exercises import names_in

LARGEST = 30 * 2**20  # bytes of a notebook
FROM_ZIP = 200 * 2**20
MOODLE = re.compile(r"(?P<who>.+)_(?P<id>\d+)_assignsubmission_file")
CANVAS = re.compile(r"(?P<who>[^_]+)(?:_LATE)?_(?P<id>\d+)_\d+_.+")


@dataclass(frozen=True)
class Submission:
    """One notebook of one student."""

    student: str
    path: str  # below the folder of submissions, for reports
    content: bytes = b""
    trouble: str = ""  # why it cannot be read


def find(folder: Path) -> list[Submission]:
    """The notebooks of a folder, one for each student: in folders of their names, or as files that begin with them.

    What Moodle and Canvas hand out, zipped or not, is understood.

    Raises:
        ValueError: there is no such folder, or no notebook in it.
    """
    if not folder.is_dir():
        raise ValueError(f"There is no folder {folder}.")
    found = [submission for path in sorted(folder.iterdir()) for submission in _in(path, folder)]
    if not found:
        raise ValueError(f"There are no notebooks in {folder}: put each student's into a folder of the student's name.")
    return found


def _in(path: Path, folder: Path) -> Iterator[Submission]:
    where, student = path.relative_to(folder).as_posix(), path.relative_to(folder).parts[0]
    student = student if path.parent != folder or path.is_dir() else path.stem
    if path.is_symlink():
        yield Submission(student, where, trouble="it is a link to elsewhere, which is not followed")
    elif path.is_dir():
        for inner in sorted(path.iterdir()):
            if not inner.name.startswith((".", "__MACOSX")):
                yield from _in(inner, folder)
    elif path.suffix.lower() == ".zip":
        yield from _unzipped(path, student, where)
    elif path.suffix.lower() == ".ipynb":
        large = path.stat().st_size > LARGEST
        trouble = f"it has more than {LARGEST // 2**20} MB: was its output cleared?" if large else ""
        yield Submission(student, where, b"" if large else path.read_bytes(), trouble)


def _unzipped(path: Path, student: str, where: str) -> Iterator[Submission]:
    left = FROM_ZIP
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in sorted(archive.infolist(), key=lambda entry: entry.filename):
                parts = entry.filename.split("/")
                if not entry.filename.lower().endswith(".ipynb") or parts[0] == "__MACOSX" or parts[-1][0] == ".":
                    continue
                who = parts[0] if len(parts) > 1 and path.parent.name != student else student
                with archive.open(entry) as file:  # the size that it names may be a lie
                    content = file.read(min(LARGEST, left) + 1)
                left -= len(content)
                if len(content) > LARGEST or left < 0:
                    yield Submission(
                        who, f"{where}/{entry.filename}", trouble="it unpacks to far too much: a zip bomb?"
                    )
                    return
                yield Submission(who, f"{where}/{entry.filename}", content)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        yield Submission(student, where, trouble=f"this zip cannot be unpacked: {error}")


def who_is(student: str) -> tuple[str, str]:
    """A student's name, and number where Moodle or Canvas put one into the name of the folder or file."""
    for form in (MOODLE, CANVAS):
        if match := form.fullmatch(student):
            return match["who"], match["id"]
    return student, ""


@dataclass
class Found:
    """What a notebook holds for an assignment's chapter."""

    answers: dict[str, str] = field(default_factory=dict)  # exercise → source
    repairs: dict[str, str] = field(default_factory=dict)  # exercise → what had to be done to find it
    missing: dict[str, str] = field(default_factory=dict)  # exercise → why there is none
    words: list[tuple[str, str]] = field(default_factory=list)  # (exercise, what was written)


def cells_of(content: bytes) -> list[dict]:
    """The cells of a notebook.

    Raises:
        ValueError: it is no notebook.
    """
    try:
        notebook = json.loads(content.decode("utf-8-sig")) if content.strip() else None
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise ValueError("it is no notebook: not JSON") from None
    if notebook is None:
        raise ValueError("it is empty")
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise ValueError("it is no notebook of version 4: it has no cells")
    found = []
    for cell in cells:
        source = cell.get("source", "")
        source = "".join(map(str, source)) if isinstance(source, list) else str(source)
        about = cell.get("metadata")
        grader = about.get("nbgrader") if isinstance(about, dict) else None
        name = grader.get("grade_id") if isinstance(grader, dict) else None
        source = source.replace("\r\n", "\n").replace("\r", "\n")
        found.append({"kind": cell.get("cell_type"), "source": source, "name": name if isinstance(name, str) else ""})
    return found


def chapter_of(cells: list[dict], release: dict) -> str:
    """Which chapter of the assignment a notebook is a copy of; nothing where it is of none."""
    names = {cell["name"] for cell in cells}  # not the cells' texts: the set-up cell is the same in all chapters
    score = {number: len(names & set(chapter["exercises"])) for number, chapter in release["chapters"].items()}
    best = max(score, key=score.get)
    if score[best]:
        return best
    bound = {name for cell in cells if cell["kind"] == "code" for name in _bound(plain(cell["source"]))}
    asked = {
        number: sum(bound >= set(exercise["asks"]) for exercise in chapter["exercises"].values())
        for number, chapter in release["chapters"].items()
    }
    best = max(asked, key=asked.get)
    return best if asked[best] else ""


def _defines(source: str, name: str) -> bool:
    return name in _bound(source)


@cache
def _bound(source: str) -> frozenset[str]:
    """The names that a cell binds; of one that is no Python, those that its lines begin with."""
    try:
        return frozenset(names_in(source)[0])
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset(re.findall(r"^(?:def|class) (\w+)", source, re.M) + re.findall(r"^(\w+) *=", source, re.M))


def answers_in(cells: list[dict], chapter: dict, known: set[str]) -> Found:
    """Each exercise's answer: the cell with its grade id, else the last one that defines what is asked.

    What such a cell needs from other cells of the student's own is put before it; what the chapter gives is `known`.
    """
    found = Found()
    handed_out = set(chapter["cells"])
    code = [cell | {"source": plain(cell["source"])} for cell in cells if cell["kind"] == "code"]
    own = [cell for cell in code if cell["source"] not in handed_out and not cell["source"].startswith("cu.check(")]
    for name, exercise in chapter["exercises"].items():
        marked = [cell for cell in code if cell["name"] == name]
        defining = [cell for cell in code if all(_defines(cell["source"], asked) for asked in exercise["asks"])]
        changed = [cell for cell in defining if cell["source"] != plain(exercise["stub"])]
        if not defining and not marked:
            found.missing[name] = "no cell defines " + ", ".join(exercise["asks"])
            continue
        both = [cell for cell in changed if cell in marked]
        chosen = (both or changed or defining or marked)[-1]
        source, added = completed(chosen["source"], chosen, own, known)
        found.answers[name] = source
        notes = []
        if len(marked) == 1 and chosen is not marked[0]:
            notes.append("not in its own cell: taken from the last that defines it")
        elif not marked:
            notes.append("its cell has lost its metadata: found by the name it defines")
        elif len(marked) > 1:
            notes.append(f"{len(marked)} cells bear its id: the last one that was changed counts")
        if added:
            notes.append(f"{', '.join(sorted(added))} taken from other cells")
        if notes:
            found.repairs[name] = "; ".join(notes)
    at = ""
    for cell in cells:
        if title := re.match(r"#+ Exercise ([\d.]+)", cell["source"]):
            at = next((n for n, e in chapter["exercises"].items() if e["title"].startswith(f"{title[1]} ")), at)
        if cell["kind"] == "markdown" and at and cell["source"].strip() and cell["source"] not in handed_out:
            found.words.append((at, cell["source"].strip()))
    return found


def plain(source: str) -> str:
    """Code without Jupyter's own commands, which only a notebook understands."""
    return re.sub(r"^( *)[%!].*$", r"\1pass", source, flags=re.M)


def completed(source: str, cell: dict, own: list[dict], known: set[str]) -> tuple[str, set[str]]:
    """An answer with the definitions before it that it lacks, from the student's other cells; and their names."""
    try:
        bound, needed = names_in(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source, set()
    statements = []
    for other in own:
        if other is not cell:
            try:
                statements += ast.parse(other["source"]).body
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                continue
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign)
    given = {ast.unparse(s): names_in(ast.unparse(s)) for s in statements if isinstance(s, kinds)}
    taken, added, wanted = [], set(), needed - known
    for text, (binds, needs) in reversed(given.items()):
        if (useful := (binds & wanted) - bound - added) and len(taken) < 200:
            taken.insert(0, text)
            added |= useful
            wanted |= needs
    return "\n".join([*taken, source]), added
