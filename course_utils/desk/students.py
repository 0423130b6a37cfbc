"""Students' copies of the chapters, made from the authors' notebooks: ``python -m course_utils students``.

What shows well on the book's page and badly in Colab and JupyterLab is turned into what shows well everywhere.
"""

import json
import os
import re
from functools import cache
from pathlib import Path

import nbformat

from course_utils.checks import EXERCISES
from course_utils.desk.chapters import find_chapters
from course_utils.desk.exercises import Exercise, exercises_in

CITATION = re.compile(r"\{cite(:t)?\}`([^`]+)`")
LINK = re.compile(  # outside of code and formulas
    r"(?P<as_it_is>(?P<tick>`+).*?(?P=tick)|\$[^$]*\$)|\]\((?!https?:)(?P<page>[^)#\s]*)(?P<section>#[^)\s]*)?\)",
    re.DOTALL,
)
IN_WORDS = "*Your answer in words here, where the exercise asks for one.*"
BORROWED = {"01": ("c01-10", "c01-contest")}  # cells that define what a chapter's checks call


def pages_address(root: Path) -> str:
    """Where GitHub Pages shows this copy of the course."""
    config = (root / "_config.yml").read_text(encoding="utf-8")
    owner, name = re.search(r"url: https://github\.com/([^/\s]+)/(\S+)", config).groups()
    own = name.lower() == f"{owner}.github.io".lower()
    return f"https://{owner.lower()}.github.io/{'' if own else f'{name}/'}book/en/"


@cache
def references(root: Path) -> dict[str, tuple[str, str, str]]:
    """Key → (authors, year, address) of the works that the book cites."""
    found = {}
    for entry in re.split(r"^@", (root / "book/references.bib").read_text(encoding="utf-8"), flags=re.M)[1:]:
        fields = dict(re.findall(r"^\s*(\w+)\s*=\s*\{(.*)\},?$", entry, re.M))
        names = [name.split(",")[0].strip("{} ") for name in fields["author"].split(" and ")]
        several = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
        found[re.match(r"\w+\{([^,]+)", entry)[1]] = (several, fields["year"], fields["url"])
    return found


def readable(text: str, page: Path, root: Path) -> str:
    """Markdown without what only the book's page understands: citations and links between pages become web links."""

    def cite(match):
        works = [references(root)[key.strip()] for key in match[2].split(",")]
        if match[1]:
            return " and ".join(f"[{who} ({year})]({at})" for who, year, at in works)
        return "(" + "; ".join(f"[{who}, {year}]({at})" for who, year, at in works) + ")"

    def link(match):
        if match["as_it_is"]:
            return match[0]
        to = re.sub(r"\.(ipynb|md)$", ".html", match["page"] or page.name)
        return f"]({pages_address(root)}{to}{match['section'] or ''})"

    return LINK.sub(link, CITATION.sub(cite, re.sub(r"<!--claim:.*?-->", "", text)))


def student_copy(path: Path, root: Path):
    """The notebook that a student works in: no solutions, no outputs, nothing that only a page can show."""
    master = nbformat.read(path, 4)
    exercises = exercises_in(master)
    by_name, titles = {e.name: e for e in exercises}, iter(exercises)
    cells = []
    for cell in master.cells:
        if "nbgrader" in cell.metadata:
            exercise = by_name[cell.metadata.nbgrader.grade_id.removesuffix("-test")]
            source = exercise.call if cell.metadata.nbgrader.grade else exercise.stub
            # with this tag JupyterLab's "Run all" goes on past what is wrong in the cell
            about = {"nbgrader": dict(cell.metadata.nbgrader), "tags": ["raises-exception"]}
            cells.append(nbformat.v4.new_code_cell(source, id=cell.id, metadata=about))
            if cell.metadata.nbgrader.grade and exercise.is_open:
                cells.append(_in_words(cell.id, exercise))
        elif cell.cell_type == "code":
            cells.append(nbformat.v4.new_code_cell(cell.source, id=cell.id))
        elif "{exercise-start}" in cell.source:
            asked = next(titles)
            text = f"### Exercise {asked.number} {asked.title}\n\n{readable(asked.text, path, root)}"
            cells.append(nbformat.v4.new_markdown_cell(text, id=cell.id))
        elif "{solution-" not in cell.source:
            cells.append(nbformat.v4.new_markdown_cell(readable(cell.source, path, root), id=cell.id))
    kept = {key: master.metadata[key] for key in ("accelerator", "colab", "kernelspec") if key in master.metadata}
    return nbformat.v4.new_notebook(cells=cells, metadata=kept | {"language_info": {"name": "python"}})


def _in_words(check_id: str, exercise: Exercise):
    """The cell for what an open exercise asks besides code; nbgrader lists it for grading by hand."""
    about = {"grade_id": f"{exercise.name}-words", "grade": True, "solution": True, "locked": False, "points": 0}
    about |= {"schema_version": 3, "task": False}
    return nbformat.v4.new_markdown_cell(IN_WORDS, id=f"{check_id}-words", metadata={"nbgrader": about})


def as_bytes(notebook) -> bytes:
    """A notebook as its file holds it: the same on every machine."""
    return (nbformat.writes(notebook) + "\n").encode()


def checks_of(chapters: list[Path]) -> bytes:
    """What `check` knows of every exercise, as the JSON file that ships with the package."""
    known = {"exercises": {}, "cells": {}}
    for path in chapters:
        notebook = nbformat.read(path, 4)
        for exercise in exercises_in(notebook):
            kept = {key: getattr(exercise, key) for key in ("number", "title", "asks", "check", "pointer", "read")}
            known["exercises"][exercise.name] = kept
        borrowed = [cell.source for cell in notebook.cells if cell.id in BORROWED.get(path.name[:2], ())]
        known["cells"] |= {path.name[:2]: borrowed} if borrowed else {}
    return (json.dumps(known, ensure_ascii=False, indent=1) + "\n").encode()


def write(files: dict[Path, bytes], *, force: bool = False) -> list[Path]:
    """Write files; what is there already and differs may be somebody's work, and needs `force`.

    Raises:
        ValueError: such files are there. Nothing was written.
    """
    changed = [path for path, content in files.items() if not path.is_file() or path.read_bytes() != content]
    there = [path for path in changed if path.exists()]
    if there and not force:
        raise ValueError(
            f"{there[0]} is there already, and differs"
            f"{f', as do {len(there) - 1} more' if len(there) > 1 else ''}: "
            "name another folder, or overwrite with --force."
        )
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{path.name}.unfinished")
        unfinished.write_bytes(files[path])
        os.replace(unfinished, path)
    return changed


def copies(root: Path, to: Path) -> dict[Path, bytes]:
    """Every chapter's student copy, under the path that the chapter has in the course."""
    return {to / path.relative_to(root): as_bytes(student_copy(path, root)) for path in find_chapters(root)}


def add_arguments(command) -> None:
    command.add_argument("--to", type=Path, default=Path("_build/students"), help="the folder (_build/students)")
    command.add_argument("--force", action="store_true", help="overwrite copies that differ, and what was done in them")
    command.add_argument("--checks", action="store_true", help="for authors: only renew the checks that cu.check knows")


def run(options) -> None:
    root = Path.cwd()
    files = {EXERCISES: checks_of(find_chapters(root))} if options.checks else copies(root, options.to)
    for path in write(files, force=options.force or options.checks):
        print(f"wrote {path}")
