"""Assignments and submissions: what is handed out, what is found in what comes back, and what the tables say."""

import csv
import io
import json
import re
import zipfile

import nbformat
import pytest
import submissions
from submissions import ALL, BLANK, EXERCISES, ROOT, notebook

from course_utils.__main__ import main
from course_utils.desk import grade as grading
from course_utils.desk.answers import answers_in, cells_of, chapter_of, find
from course_utils.desk.assign import assign
from course_utils.desk.chapters import find_chapters
from course_utils.desk.exercises import exercises_in
from course_utils.desk.names import names_for
from course_utils.desk.students import as_bytes


@pytest.fixture(scope="module")
def assignment(tmp_path_factory):
    to, overlay = tmp_path_factory.mktemp("assigned") / "out", tmp_path_factory.mktemp("private")
    (overlay / "03-last.py").write_text("# points: 3\nassert last_real.__name__ != 'secret', 'not this'\n")
    assign(ROOT, ["03", "7"], to, term="2027S", overlay=overlay)
    return to


@pytest.fixture(scope="module")
def release(assignment):
    return json.loads((assignment / "release.json").read_text(encoding="utf-8"))


def table(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_an_assignment_has_copies_zips_the_instructors_version_and_a_rubric(assignment):
    students = {path.name for path in (assignment / "students").iterdir()}
    stems = ("03_transfer_learning-2027S", "07_sentiment_finetuning-2027S")
    assert students == {f"{stem}.{kind}" for stem in stems for kind in ("ipynb", "zip")}
    copy = (assignment / f"students/{stems[0]}.ipynb").read_bytes()
    with zipfile.ZipFile(assignment / f"students/{stems[0]}.zip") as archive:
        assert archive.read(f"{stems[0]}.ipynb") == copy
    assert b"secret" not in copy and b"HIDDEN" not in copy and b"SOLUTION" not in copy
    mine = (assignment / "instructors/03_transfer_learning.ipynb").read_text(encoding="utf-8")
    assert "BEGIN SOLUTION" in mine and "### BEGIN HIDDEN TESTS" in mine and "secret" in mine
    rubric = {row["exercise"]: row["points"] for row in table(assignment / "rubric.csv")}
    assert rubric["03-distance"] == "2" and rubric["03-last (hidden)"] == "3" and "03-remember (in words)" in rubric


def test_the_same_assignment_is_the_same_bytes(assignment, tmp_path):
    assign(ROOT, ["03"], tmp_path / "a", term="2027S")
    assign(ROOT, ["03"], tmp_path / "b", term="2027S")
    for path in (tmp_path / "a").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("03-nothing.py", "assert True", "belongs to no exercise of these chapters: there are 03-objective"),
        ("03-last.py", "def last_real(): ...", "collides with the answer: both define last_real"),
        ("03-last.py", "assert (", "03-last.py, line 1"),
        ("03-last.py", "# points: many\n", "'many' is no number of points"),
        ("readme.txt", "", "There are no hidden checks in"),
    ],
)
def test_an_overlay_that_does_not_fit_is_named_and_nothing_written(tmp_path, file, text, said, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / file).write_text(text)
    assert main(["assign", "03", "--to", str(tmp_path / "out"), "--overlay", str(tmp_path / "private")]) == 2
    assert said in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_assign_refuses_unknown_chapters_odd_terms_and_folders_that_are_not_empty(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    (tmp_path / "mine.txt").write_text("mine")
    for arguments, said in [
        (["99", "--to", str(tmp_path / "out")], "There is no chapter 99"),
        (["03", "--to", str(tmp_path)], "is not empty: name another folder, or write into it with --force"),
        (["03", "--to", str(tmp_path / "out"), "--term", "../x"], "cannot stand in a file's name"),
    ]:
        assert main(["assign", *arguments]) == 2
        assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert main(["assign", "03", "--to", str(tmp_path), "--force"]) == 0 and (tmp_path / "mine.txt").exists()


@pytest.mark.parametrize("how", submissions.clumsy())
def test_answers_are_found_in_damaged_notebooks(how, release):
    content, due = submissions.clumsy()[how]
    chapter = release["chapters"]["03"]
    try:
        cells = cells_of(content)
    except ValueError as error:
        assert due is None and len(str(error)) > 7
        return
    found_chapter = chapter_of(cells, release)
    if due is None:
        alone = {"chapters": {"03": chapter}}
        assert chapter_of(cells, alone) == "" or len(content) > 30 * 2**20
        return
    assert found_chapter == "03"
    found, points = answers_in(cells, chapter, set(names_for("03"))), 0
    for name, answer in found.answers.items():
        names = names_for("03")
        try:
            exec(answer, names)
            exec(EXERCISES[name].check, names)
            points += EXERCISES[name].points
        except Exception:
            continue
    assert points == due
    untouched = ("line ends", "metadata", "indent", "output", "commands", "edited", "syntax", "moved")
    if not any(word in how for word in untouched) or how == "metadata lost":
        assert found.repairs or found.missing, "what had to be repaired is listed"


def test_what_was_written_in_words_is_listed(release):
    made = notebook(submissions.RIGHT)
    made.cells[submissions.place(made, "03-remember-words")].source = "Lower the new ones. 因为它们太多"
    found = answers_in(cells_of(as_bytes(made)), release["chapters"]["03"], set())
    assert found.words == [("03-remember", "Lower the new ones. 因为它们太多")] and not found.repairs


def test_submissions_are_found_as_moodle_canvas_and_people_hand_them_over(tmp_path):
    copy = as_bytes(BLANK)
    for name in (
        "Ada Lovelace_123_assignsubmission_file/x.ipynb",
        "lovelaceada_45_678_x.ipynb",
        "grace/deep/er/x.ipynb",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(copy)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("王_9_assignsubmission_file_/x.ipynb", copy)
        archive.writestr("__MACOSX/._x.ipynb", "rubbish")
    (tmp_path / "all.zip").write_bytes(made.getvalue())
    found = {s.student: s for s in find(tmp_path)}
    assert set(found) == {
        "Ada Lovelace_123_assignsubmission_file", "lovelaceada_45_678_x", "grace", "王_9_assignsubmission_file_",
    }  # fmt: skip
    assert all(s.content == copy and not s.trouble for s in found.values())


@pytest.fixture
def graded(monkeypatch):
    """Grading without its sandbox: every answer that was given is right. Returns the notebooks graded."""
    asked = []

    def here(tasks, workers):
        for task in tasks:
            asked.append(task.submission.student)
            found = answers_in(task.cells, task.exercises, set())
            stubs = {name: e["stub"] for name, e in task.exercises["exercises"].items()}
            made = grading.Graded(task.key, task.submission.student, task.submission.path, task.chapter)
            for name, e in task.exercises["exercises"].items():
                given = found.answers.get(name, stubs[name]) != stubs[name]
                made.points |= {check["column"]: check["points"] * given for check in e["checks"]}
            yield json.loads(json.dumps(grading.asdict(made)))

    monkeypatch.setattr(grading, "here", here)
    return asked


def hand_in(folder, **students):
    for student, content in students.items():
        (folder / student).mkdir(parents=True, exist_ok=True)
        (folder / student / "a.ipynb").write_bytes(content)


def test_grades_problems_and_an_interrupted_run_goes_on(assignment, tmp_path, graded):
    right, folder, out = as_bytes(notebook(submissions.RIGHT)), tmp_path / "in", tmp_path / "out"
    hand_in(folder, ada=right, bob=as_bytes(BLANK), eve=b"", dan=right)
    (folder / "dan/b.ipynb").write_bytes(right)
    grading.grade(folder, assignment, out, trusted=True)
    grades = {row["student"]: row for row in table(out / "grades.csv")}
    assert grades["ada"]["total"] == str(ALL + 3) and grades["ada"]["03-last (hidden)"] == "3"
    assert grades["bob"]["total"] == "0" and grades["eve"]["total"] == grades["dan"]["total"] == ""
    problems = [(row["student"], row["problem"]) for row in table(out / "problems.csv")]
    assert ("eve", "not graded: it is empty") in problems
    assert ("dan", "not graded: there are 2 notebooks of chapter 03, dan/a.ipynb, dan/b.ipynb: leave one") in problems
    assert ("ada", "there is no notebook of chapter 07") in problems
    assert graded == ["ada", "bob"]
    with open(out / "graded.jsonl", "a") as journal:
        journal.write('{"key": "cut o')
    hand_in(folder, fay=right)
    grading.grade(folder, assignment, out, trusted=True)
    assert graded == ["ada", "bob", "fay"], "nothing is graded twice"
    assert {row["student"]: row["total"] for row in table(out / "grades.csv")}["fay"] == str(ALL + 3)
    hand_in(folder, ada=as_bytes(BLANK))
    grading.grade(folder, assignment, out, trusted=True)
    assert graded[3:] == ["ada"], "what was handed in anew is graded anew"


def test_a_name_cannot_become_a_formula_a_path_or_a_tag(assignment, tmp_path, graded):
    folder = tmp_path / "in"
    hand_in(folder, **{"=1+1": as_bytes(BLANK), "<b>x": as_bytes(BLANK)})
    grading.grade(folder, assignment, tmp_path / "out", trusted=True)
    assert {row["student"] for row in table(tmp_path / "out/grades.csv")} == {"'=1+1", "<b>x"}
    pages = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "out/feedback").iterdir()}
    assert set(pages) == {"_1_1.html", "_b_x.html"} and "<h1>&lt;b&gt;x</h1>" in pages["_b_x.html"]


def test_moodle_and_canvas_get_their_columns(assignment, tmp_path, graded):
    """As their manuals ask: Moodle's grading worksheet, Canvas' gradebook import."""
    right, folder = as_bytes(notebook(submissions.RIGHT)), tmp_path / "in"
    hand_in(
        folder, **{"Ada Lovelace_123_assignsubmission_file": right, "Bo Li_7_assignsubmission_file": as_bytes(BLANK)}
    )
    (folder / "lovelaceada_45_678_a.ipynb").write_bytes(right)
    (folder / "libo_LATE_46_679_a.ipynb").write_bytes(as_bytes(BLANK))
    grading.grade(folder, assignment, tmp_path / "out", trusted=True)
    moodle = table(tmp_path / "out/moodle.csv")
    assert [(r["Identifier"], r["Full name"], r["Grade"]) for r in moodle] == [
        ("Participant 123", "Ada Lovelace", str(ALL + 3)),
        ("Participant 7", "Bo Li", "0"),
    ]
    canvas = table(tmp_path / "out/canvas.csv")
    assert list(canvas[0])[:5] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    assert canvas[0]["Student"] == "Points Possible"
    assert {r["ID"]: r["Chapters 03, 07 (2027S)"] for r in canvas[1:]} == {"45": str(ALL + 3), "46": "0"}


def test_grade_says_what_it_cannot_do(assignment, tmp_path, capsys, monkeypatch, graded):
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for arguments, said in [
        ([str(tmp_path / "no"), "--for", str(assignment)], "There is no folder"),
        ([str(folder), "--for", str(assignment)], "There are no notebooks in"),
        ([str(folder), "--for", str(folder)], "make one with python -m course_utils assign"),
    ]:
        assert main(["grade", *arguments, "--out", str(out), "--trusted"]) == 2
        assert said in capsys.readouterr().err
    hand_in(folder, ada=as_bytes(BLANK))
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    assert main(["grade", str(folder), "--for", str(assignment), "--out", str(out), "--trusted"]) == 2
    assert "is not empty, and no earlier run of grade" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["mine.txt"] and graded == []


def test_without_bubblewrap_it_refuses_and_names_the_way_out(assignment, tmp_path, capsys, monkeypatch, graded):
    hand_in(tmp_path / "in", ada=as_bytes(BLANK))
    monkeypatch.setattr("course_utils.desk.judge.shutil.which", lambda name: None)
    arguments = ["grade", str(tmp_path / "in"), "--for", str(assignment), "--out", str(tmp_path / "out")]
    assert main(arguments) == 2
    assert "Or add --trusted: then what students wrote runs as you" in capsys.readouterr().err
    assert graded == [] and not (tmp_path / "out").exists()


def test_links_and_zip_bombs_are_named_and_not_followed(tmp_path):
    (tmp_path / "secret.ipynb").write_text("mine")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.ipynb").symlink_to(tmp_path / "secret.ipynb")
    with zipfile.ZipFile(tmp_path / "in/b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("b.ipynb", b" " * 40 * 2**20)
    (tmp_path / "in/c.zip").write_bytes(b"PK nothing")
    found = find(tmp_path / "in")
    said = ["a link to elsewhere", "a zip bomb?", "cannot be unpacked"]
    assert [s.content for s in found] == [b""] * 3
    assert all(text in s.trouble for text, s in zip(said, found, strict=True))


def test_the_instructors_version_is_sound(assignment):
    for path in (assignment / "instructors").iterdir():
        nbformat.validate(nbformat.read(path, 4))


def test_the_points_that_the_instructors_page_names_are_the_exercises_own():
    page = (ROOT / "book/en/instructors.md").read_text(encoding="utf-8")
    named = {int(n): (int(e), int(p)) for n, e, p in re.findall(r"^\| (\d+) .*\| (\d+) \| (\d+) \|$", page, re.M)}
    there = {}
    for path in find_chapters(ROOT):
        points = [e.points for e in exercises_in(nbformat.read(path, 4))]
        there[int(path.name[:2])] = len(points), sum(points)
    assert named == there
