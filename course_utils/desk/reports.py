"""What grading leaves behind: grades, problems and repairs, feedback pages, and imports for Moodle and Canvas."""

import csv
import html
import re
from pathlib import Path

from course_utils.desk.answers import CANVAS, MOODLE, who_is

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{student}</title><style>body{{font:1rem/1.5 sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}}
table{{border-collapse:collapse}}
td,th{{text-align:left;vertical-align:top;padding:.3rem .8rem;border-bottom:1px solid #ccc}}
</style><h1>{student}</h1><p>{total} of {most} points</p><table><tr><th>Exercise<th>Points<th>What the check says</tr>
{rows}</table>{more}</html>
"""


def safe(cell):
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t") else cell


def write_table(path: Path, header: list[str], rows: list[list]) -> None:
    """A CSV file, whole or not at all; with the mark by which a spreadsheet knows UTF-8."""
    unfinished = path.with_suffix(".unfinished")
    with open(unfinished, "w", newline="", encoding="utf-8-sig") as file:
        table = csv.writer(file)
        table.writerow(header)
        table.writerows([[safe(cell) for cell in row] for row in rows])
    unfinished.replace(path)


def columns_of(release: dict) -> dict[str, tuple[str, int, str]]:
    """Column → (chapter, points, the exercise's title)."""
    return {
        check["column"]: (number, check["points"], exercise["title"])
        for number, chapter in release["chapters"].items()
        for exercise in chapter["exercises"].values()
        for check in exercise["checks"]
    }


def write_reports(out: Path, release: dict, graded: list) -> int:
    """Write all tables and pages; returns the number of problems."""
    columns = columns_of(release)
    students = {name: [g for g in graded if g.student == name] for name in sorted({g.student for g in graded})}
    problems = [[g.student, g.path, problem] for g in graded for problem in g.problems]
    grades = []
    for student, notebooks in students.items():
        points = {column: n for g in notebooks for column, n in g.points.items()}
        notes = {column: text for g in notebooks for column, text in g.notes.items()}
        for number in release["chapters"]:
            if not any(g.chapter == number for g in notebooks):
                problems.append([student, "", f"there is no notebook of chapter {number}"])
        if not points:  # nothing could be graded: no number that would pass for a grade
            grades.append([student, *[""] * len(columns), "", "not graded: see problems.csv"])
            continue
        row = [points.get(column, "") for column in columns]
        said = "; ".join(f"{column}: {text}" for column, text in notes.items())
        grades.append([student, *row, sum(points.values()), said])
        _feedback(out / "feedback", student, columns, points, notes, notebooks)
    write_table(out / "grades.csv", ["student", *columns, "total", "notes"], grades)
    write_table(out / "problems.csv", ["student", "file", "problem"], problems)
    repairs = [[g.student, name, what] for g in graded for name, what in g.repairs.items()]
    write_table(out / "repairs.csv", ["student", "exercise", "repair"], repairs)
    words = [[g.student, name, text, ""] for g in graded for name, text in g.words]
    write_table(out / "by_hand.csv", ["student", "exercise", "what was written", "points"], words)
    most = sum(points for _, points, _ in columns.values())
    _moodle(out / "moodle.csv", grades, most)
    _canvas(out / "canvas.csv", grades, release, most)
    return len(problems)


def _feedback(folder: Path, student: str, columns, points, notes, notebooks) -> None:
    folder.mkdir(exist_ok=True)
    rows = "".join(
        f"<tr><td>{html.escape(title)}{' (hidden check)' if '(hidden)' in column else ''}"
        f"<td>{points[column]} of {most}<td>{html.escape(notes.get(column, '') or 'right')}</tr>\n"
        for column, (_, most, title) in columns.items()
        if column in points
    )
    repairs = {name: what for g in notebooks for name, what in g.repairs.items()}
    more = "".join(f"<li>{html.escape(f'{name}: {what}')}</li>" for name, what in repairs.items())
    page = PAGE.format(
        student=html.escape(student),
        total=sum(points.values()),
        most=sum(most for column, (_, most, _) in columns.items() if column in points),
        rows=rows,
        more=f"<p>What had to be repaired in the notebook:</p><ul>{more}</ul>" if more else "",
    )
    name = re.sub(r"[^\w. -]", "_", student).strip(". ")[:100] or "student"
    (folder / f"{name}.html").write_text(page, encoding="utf-8")


def _moodle(path: Path, grades: list[list], most: int) -> None:
    """Moodle's grading worksheet; it finds a participant by the number in the folder's name."""
    rows = []
    for student, *_, total, notes in grades:
        if MOODLE.fullmatch(student):
            who, number = who_is(student)
            rows.append([f"Participant {number}", who, total, most, notes])
    if rows:
        write_table(path, ["Identifier", "Full name", "Grade", "Maximum grade", "Feedback comments"], rows)


def _canvas(path: Path, grades: list[list], release: dict, most: int) -> None:
    """Canvas' gradebook import: five columns that it asks for, and one for the assignment."""
    rows = []
    for student, *_, total, _notes in grades:
        if not MOODLE.fullmatch(student) and CANVAS.fullmatch(student):
            who, number = who_is(student)
            rows.append([who, number, "", "", "", total])
    if rows:
        title = f"Chapters {', '.join(release['chapters'])}" + (f" ({release['term']})" if release["term"] else "")
        head = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", title]
        write_table(path, head, [["Points Possible", "", "", "", "", most], *rows])
