"""Handing chapters out as an assignment: ``python -m course_utils assign 03 07 --to DIR``.

DIR gets, for each chapter, the students' copy (and zipped), the instructor's version, and the rubric. ``release.json``
is what ``grade --for DIR`` judges by; like the instructor's versions it stays with you.
"""

import csv
import io
import json
import runpy
import zipfile
from pathlib import Path

import nbformat

from course_utils.desk.chapters import find_chapters
from course_utils.desk.exercises import Exercise, exercises_in, names_in
from course_utils.desk.students import as_bytes, student_copy, write


def overlay_checks(overlay: Path | None, exercises: list[Exercise]) -> dict[str, dict]:
    """Exercise → its hidden check, from a private folder's files such as ``03-distance.py``.

    A first line ``# points: 2`` says what it is worth, 1 where it does not.

    Raises:
        ValueError: the folder is empty or missing, a file names no exercise of these chapters, is no Python, or binds
            the very name that the answer is to bind.
    """
    if overlay is None:
        return {}
    files = sorted(overlay.glob("*.py"))
    if not files:
        raise ValueError(f"There are no hidden checks in {overlay}: put them there as files such as 03-distance.py.")
    known, hidden = {e.name: e for e in exercises}, {}
    for file in files:
        if file.stem not in known:
            raise ValueError(f"{file} belongs to no exercise of these chapters: there are {', '.join(known)}.")
        source = file.read_text(encoding="utf-8")
        try:
            bound = names_in(source)[0]
        except SyntaxError as error:
            raise ValueError(f"{file}, line {error.lineno}: {error.msg}") from None
        if taken := bound & set(known[file.stem].asks):
            raise ValueError(
                f"{file} collides with the answer: both define {', '.join(sorted(taken))}. Rename it there."
            )
        first, _, points = source.partition("\n")[0].partition("points:")
        worth = points.strip() if first.strip() == "#" else "1"
        if not worth.isdigit():
            raise ValueError(f"{file}: {worth!r} is no number of points; write # points: 2")
        hidden[file.stem] = {"check": source, "points": int(worth)}
    return hidden


def instructors_copy(path: Path, root: Path, hidden: dict[str, dict]):
    """The students' copy with its solutions, and its checks between nbgrader's marks for hidden tests."""
    copy = student_copy(path, root)
    exercises = {e.name: e for e in exercises_in(nbformat.read(path, 4))}
    for cell in copy.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if name in exercises:
            cell.source = exercises[name].solution
        elif name.removesuffix("-test") in exercises:
            checks = [exercises[name[:-5]].check] + ([hidden[name[:-5]]["check"]] if name[:-5] in hidden else [])
            cell.source += "\n### BEGIN HIDDEN TESTS\n" + "\n\n".join(checks).rstrip() + "\n### END HIDDEN TESTS"
    return copy


def release_of(chapters: list[Path], root: Path, hidden: dict[str, dict], term: str) -> dict:
    """What grading needs to know, as it stands in ``release.json``."""
    release = {"schema": 1, "term": term, "chapters": {}}
    for path in chapters:
        exercises = {}
        for e in exercises_in(nbformat.read(path, 4)):
            checks = [{"column": e.name, "points": e.points, "check": e.check}]
            if e.name in hidden:
                checks.append({"column": f"{e.name} (hidden)", **hidden[e.name]})
            told = {"title": f"{e.number} {e.title}", "asks": e.asks, "stub": e.stub, "checks": checks}
            exercises[e.name] = told | {"wrong": list(wrong_answers(root, path.name[:2]).get(e.name, {}).values())[:2]}
        handed_out = [cell.source for cell in student_copy(path, root).cells]
        release["chapters"][path.name[:2]] = {"file": path.name, "exercises": exercises, "cells": handed_out}
    return release


def wrong_answers(root: Path, chapter: str) -> dict[str, dict[str, str]]:
    """What the course's tests know of a chapter's usual wrong answers; grading tries them after a right one."""
    file = root / f"tests/wrong_answers/chapter_{chapter}.py"
    return runpy.run_path(str(file))["WRONG_ANSWERS"] if file.is_file() else {}


def zipped(name: str, content: bytes) -> bytes:
    """A zip of one file: the same bytes on every day."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def rubric_of(release: dict) -> bytes:
    """One line a check: what is asked, and what it is worth."""
    made = io.StringIO()
    rows = csv.writer(made, lineterminator="\n")
    rows.writerow(["chapter", "exercise", "title", "points", "by hand"])
    for number, chapter in release["chapters"].items():
        for name, exercise in chapter["exercises"].items():
            for check in exercise["checks"]:
                rows.writerow([number, check["column"], exercise["title"], check["points"], ""])
            if any(f"{name}-words" in source for source in chapter["words"]):
                rows.writerow([number, f"{name} (in words)", exercise["title"], "", "yes"])
    return made.getvalue().encode("utf-8-sig")  # a spreadsheet then reads it as UTF-8


def assign(
    root: Path, wanted: list[str], to: Path, *, term: str = "", overlay: Path | None = None, force: bool = False
):
    """Write an assignment of some chapters.

    Args:
        root: the course's folder.
        wanted: chapters, by number or name.
        to: the assignment's folder.
        term: goes into the files' names, for example ``2027S``.
        overlay: a private folder of hidden checks.
        force: write into a folder that is not empty.

    Returns:
        The files written.

    Raises:
        ValueError: no such chapter, a folder that is not empty, an overlay that does not fit. Nothing was written.
    """
    chapters = find_chapters(root, wanted)
    if to.is_dir() and any(to.iterdir()) and not force:
        raise ValueError(f"{to} is not empty: name another folder, or write into it with --force.")
    if overlay is not None and overlay.resolve().is_relative_to(to.resolve()):
        raise ValueError(f"The overlay {overlay} lies in {to}, which is handed out: keep it elsewhere.")
    exercises = [e for path in chapters for e in exercises_in(nbformat.read(path, 4))]
    hidden = overlay_checks(overlay, exercises)
    release = release_of(chapters, root, hidden, term)
    files = {}
    for path in chapters:
        copy = student_copy(path, root)
        copy.metadata["course"] = {"chapter": path.name[:2], "term": term}
        release["chapters"][path.name[:2]]["words"] = [
            cell.metadata.nbgrader.grade_id
            for cell in copy.cells
            if cell.metadata.get("nbgrader", {}).get("grade_id", "").endswith("-words")
        ]
        name = f"{path.stem}{f'-{term}' if term else ''}"
        content = as_bytes(copy)
        files[to / "students" / f"{name}.ipynb"] = content
        files[to / "students" / f"{name}.zip"] = zipped(f"{name}.ipynb", content)
        files[to / "instructors" / path.name] = as_bytes(instructors_copy(path, root, hidden))
    files[to / "rubric.csv"] = rubric_of(release)
    files[to / "release.json"] = (json.dumps(release, ensure_ascii=False, indent=1) + "\n").encode()
    return write(files, force=force)


def add_arguments(command) -> None:
    command.add_argument("chapters", nargs="+", metavar="CHAPTER", help="numbers or names")
    command.add_argument("--to", type=Path, required=True, metavar="DIR", help="a new folder for the assignment")
    command.add_argument("--term", default="", help="goes into the files' names, for example 2027S")
    command.add_argument(
        "--overlay", type=Path, metavar="PRIVATE", help="a folder of hidden checks, such as 03-distance.py"
    )
    command.add_argument("--force", action="store_true", help="write into a folder that is not empty")


def run(options) -> None:
    if options.term and not options.term.replace("-", "").isalnum():
        raise ValueError(f"{options.term!r} cannot stand in a file's name: give letters and digits, such as 2027S.")
    how = {"term": options.term, "overlay": options.overlay, "force": options.force}
    for path in assign(Path.cwd(), options.chapters, options.to, **how):
        print(f"wrote {path}")
