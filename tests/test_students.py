"""Students' copies: no solution and no output in them, readable everywhere, and the check after each answer tells."""

import ast
import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from wrong_answers import WRONG_ANSWERS

import course_utils as cu
from course_utils import checks
from course_utils.__main__ import main
from course_utils.desk import book, students
from course_utils.desk.chapters import execute, find_chapters
from course_utils.desk.exercises import exercises_in, names_in
from course_utils.desk.names import names_for

ROOT = Path(__file__).parents[1]
MASTERS = {path.name[:2]: path for path in find_chapters(ROOT)}
COPIES = {number: students.student_copy(path, ROOT) for number, path in MASTERS.items()}
EXERCISES = {e.name: e for path in MASTERS.values() for e in exercises_in(nbformat.read(path, 4))}
each_chapter = pytest.mark.parametrize("number", MASTERS)
each_exercise = pytest.mark.parametrize("name", EXERCISES)


def text_of(notebook, kind):
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == kind)


@each_chapter
def test_a_copy_holds_no_solution_no_check_and_no_output(number):
    copy, exercises = COPIES[number], exercises_in(nbformat.read(MASTERS[number], 4))
    everything = students.as_bytes(copy).decode()
    assert "SOLUTION" not in everything and "{solution-" not in everything
    inner = [line for e in exercises for line in e.check.splitlines() if line.startswith("assert")]
    assert inner and not any(line in everything for line in inner)
    code = [cell for cell in copy.cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code) and "widgets" not in copy.metadata
    regions = [region for e in exercises for region in re.findall(r"BEGIN SOLUTION\n(.*?)# END", e.solution, re.DOTALL)]
    given = "".join(cell.source for cell in nbformat.read(MASTERS[number], 4).cells if "nbgrader" not in cell.metadata)
    solved = [
        line for region in regions for line in region.splitlines() if len(line) > 25 and line.strip() not in given
    ]
    assert solved and not [line for line in solved if line in everything]


@each_chapter
def test_a_copy_reads_well_outside_of_the_page(number):
    text = text_of(COPIES[number], "markdown")
    assert not re.search(r"\{[a-z:-]+\}`|^[`:]{3,}\{|^:label:|<!--claim", text, re.M)
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"\$[^$]*\$|`[^`]*`", "", text))
    assert links and all(link.startswith("https://") for link in links)
    titles = [e for e in EXERCISES.values() if e.name.startswith(number)]
    assert [f"### Exercise {e.number} {e.title}" in text for e in titles] == [True] * len(titles)


def test_citations_and_links_become_web_links_and_formulas_stay():
    page = MASTERS["03"]
    said = students.readable(
        "{cite:t}`pan2010` and {cite}`alain2016`; a [token](glossary.md#token), [above](#x), $f[i](x)$, `a[i](b)`",
        page,
        ROOT,
    )
    at = students.pages_address(ROOT)
    assert said == (
        "[Pan and Yang (2010)](https://doi.org/10.1109/TKDE.2009.191) and "
        f"([Alain and Bengio, 2016](https://arxiv.org/abs/1610.01644)); a [token]({at}glossary.html#token), "
        f"[above]({at}03_transfer_learning.html#x), $f[i](x)$, `a[i](b)`"
    )


@each_chapter
def test_a_copy_keeps_the_lesson_the_set_up_cell_and_what_nbgrader_needs(number):
    master, copy = nbformat.read(MASTERS[number], 4), COPIES[number]
    nbformat.validate(copy)
    lesson = [c.source for c in master.cells if c.cell_type == "code" and "nbgrader" not in c.metadata]
    assert [c.source for c in copy.cells if c.cell_type == "code" and "nbgrader" not in c.metadata] == lesson
    assert lesson[0].startswith("COURSE = ") and copy.metadata["accelerator"] == "GPU"
    assert copy.metadata["colab"]["gpuType"] == "T4"
    kept = {c.metadata.nbgrader.grade_id: c.metadata.nbgrader for c in copy.cells if "nbgrader" in c.metadata}
    for cell in master.cells:
        if "nbgrader" in cell.metadata:
            assert kept.pop(cell.metadata.nbgrader.grade_id) == cell.metadata.nbgrader
    assert all(name.endswith("-words") for name in kept)


@each_exercise
def test_what_is_handed_out_says_where_the_answer_goes_and_runs_without_one(name, capsys):
    exercise, names = EXERCISES[name], names_for(name[:2])
    assert "# Your answer here" in exercise.stub
    exec(exercise.stub, names)
    exec(exercise.call, names)
    assert f"Exercise {exercise.number}, {exercise.title}: there is no answer yet." in capsys.readouterr().out


@each_exercise
def test_the_copys_check_accepts_the_solution_and_refuses_wrong_answers_ever_more_helpfully(name, capsys):
    exercise = EXERCISES[name]
    said = {}
    for i, answer in enumerate([*list(WRONG_ANSWERS[name].values())[:3], exercise.solution]):
        names = names_for(name[:2])
        exec(answer, names)
        capsys.readouterr()
        names_before = set(names)
        exec(exercise.call, names)
        assert set(names) == names_before, "what a check needs must not get among the learner's names"
        said[i] = capsys.readouterr().out.splitlines()
    title = f"Exercise {exercise.number}, {exercise.title}"
    assert all(said[i][0].startswith(f"{title}: not yet. ") and len(said[i][0]) > len(title) + 20 for i in range(3))
    assert not any("Where to look" in line for line in said[0])
    assert f"Where to look: {exercise.pointer}" in said[1] and not any("Read again" in line for line in said[1])
    assert f"Read again: the section “{exercise.read}”." in said[2]
    assert said[3] == [f"{title}: right."]


@each_exercise
def test_a_pointer_leads_to_a_section_of_the_chapter(name):
    exercise = EXERCISES[name]
    sections = re.findall(r"^##+ (.*)$", text_of(COPIES[name[:2]], "markdown"), re.M)
    assert exercise.read in sections and len(exercise.pointer) > 40


def test_check_names_what_it_was_not_given(monkeypatch):
    with pytest.raises(ValueError, match=r"no exercise '03-nothing'; there are 01-memory"):
        cu.check("03-nothing")
    with pytest.raises(ValueError, match="02-gap checks gap, other, word: give check these"):
        cu.check("02-gap", "one [MASK]")


def test_no_answer_stops_the_notebook(capsys):
    def exits(*_):
        raise RecursionError("too deep")

    assert cu.check("03-last", exits) is False
    assert cu.check("03-last", 7) is False
    assert "it stops with RecursionError: too deep" in capsys.readouterr().out
    for nothing in (lambda x: ..., lambda x: None):
        assert checks._is_empty(nothing) == (nothing(0) is None)
    assert not checks._is_empty(lambda x: x) and checks._is_empty(...) and not checks._is_empty(None)


def test_the_checks_that_ship_are_the_chapters_own():
    """`python -m course_utils students --checks` renews them."""
    assert students.checks_of(list(MASTERS.values())) == checks.EXERCISES.read_bytes()


@each_chapter
def test_the_authors_notebooks_fold_their_solutions(number):
    for cell in nbformat.read(MASTERS[number], 4).cells:
        if cell.metadata.get("nbgrader", {}).get("solution"):
            assert cell.metadata.jupyter.source_hidden and cell.metadata.cellView == "form"


def test_nothing_of_a_lesson_needs_an_answer():
    """A wrong or empty answer must not change what a later cell does."""
    for number, path in MASTERS.items():
        asked, lesson_after = set(), []
        for cell in nbformat.read(path, 4).cells:
            if cell.metadata.get("nbgrader", {}).get("solution"):
                asked |= set(EXERCISES[cell.metadata.nbgrader.grade_id].asks)
            elif cell.cell_type == "code" and "nbgrader" not in cell.metadata and asked:
                lesson_after.append(cell.source)
        for source in lesson_after:
            assert not names_in(source)[1] & asked, f"chapter {number}: {source}"


@pytest.fixture
def written(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main(["students", "--to", str(tmp_path / "a")]) == 0
    return tmp_path / "a"


def test_same_input_same_bytes_on_another_day_and_in_another_process(written, tmp_path):
    env = {"PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT), "PATH": ""}
    command = [sys.executable, "-m", "course_utils", "students", "--to", str(tmp_path / "b")]
    subprocess.run(command, check=True, cwd=ROOT, env=env, capture_output=True)
    files = sorted(path.relative_to(written) for path in written.rglob("*.ipynb"))
    assert len(files) == len(MASTERS)
    assert all((written / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)


def test_what_a_student_did_in_a_copy_is_not_overwritten_unless_forced(written, capsys):
    mine = written / MASTERS["03"].relative_to(ROOT)
    other = written / MASTERS["04"].relative_to(ROOT)
    mine.write_text("my work")
    other.unlink()
    assert main(["students", "--to", str(written)]) == 2
    assert "differs: name another folder, or overwrite with --force" in capsys.readouterr().err
    assert mine.read_text() == "my work" and not other.exists()
    assert main(["students", "--to", str(written), "--force"]) == 0
    assert json.loads(mine.read_text())["nbformat"] == 4 and other.exists()
    assert not list(written.rglob("*.unfinished"))


def test_every_button_opens_a_copy_that_exists(written):
    """The link in a chapter, and the theme's rocket, which is made of the settings."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["repository"]
    branch = config["branch"].split()[0]
    pushed = yaml.safe_load((ROOT / ".github/workflows/pages.yml").read_text(encoding="utf-8"))["jobs"]["students"]
    assert f'GITHUB_REPOSITORY" {branch}\n' in pushed["steps"][1]["run"]
    for path in MASTERS.values():
        address = re.search(r"\[Open this chapter in Colab\]\(([^)]+)\)", nbformat.read(path, 4).cells[0].source)[1]
        there = address.removeprefix(f"https://colab.research.google.com/github/{config['url'][19:]}/blob/{branch}/")
        assert (written / there).is_file()
        assert there == path.relative_to(ROOT).as_posix()  # what the rocket opens, too


def test_a_pages_download_button_gives_the_copy(tmp_path, monkeypatch):
    monkeypatch.setattr(book.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0))
    monkeypatch.setattr(book.students, "copies", lambda root, to: {to / "book/en/03.ipynb": b"a copy"})
    assert book.render(tmp_path, tmp_path) == 0
    assert (tmp_path / "_build/html/_sources/book/en/03.ipynb").read_bytes() == b"a copy"


def test_each_stub_is_python_that_binds_what_is_asked():
    for exercise in EXERCISES.values():
        ast.parse(exercise.stub)
        assert set(exercise.asks) <= names_in(exercise.stub)[0] and exercise.asks


@pytest.mark.hard
@pytest.mark.parametrize("answered", [False, True], ids=["nothing put in", "solutions put in"])
@each_chapter
def test_a_copy_runs_from_top_to_bottom(number, answered, tmp_path):
    copy = COPIES[number].copy()
    for cell in copy.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name in EXERCISES and answered:
            cell.source = EXERCISES[name].solution
    path = tmp_path / MASTERS[number].name
    path.write_bytes(students.as_bytes(copy))
    done = asyncio.run(execute(path, {"COURSE_SOURCE": "bundled"}))
    assert done.failed == []
    printed = "\n".join(o.get("text", "") for cell in done.notebook.cells for o in cell.get("outputs", []))
    verdicts = re.findall(r"^Exercise [\d.]+, .*: (right|there is no answer yet)\.$", printed, re.M)
    asked = [name for name in EXERCISES if name.startswith(number)]
    assert verdicts == ["right" if answered else "there is no answer yet"] * len(asked)
