"""The sandbox keeps an answer from the machine, from the network and from other submissions."""

import ast
import csv
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
import submissions
from submissions import EXERCISES, HOSTILE, ROOT

from course_utils.desk.assign import assign
from course_utils.desk.grade import grade
from course_utils.desk.judge import Sandbox

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def boxes():
    """One sandbox for many answers; a new one where an answer used up the memory of the old one, as in `grade`."""
    with ExitStack() as stack:
        kept = []

        def box():
            if not kept or kept[-1].ended:
                kept.append(stack.enter_context(Sandbox("03", seconds=30)))
            return kept[-1]

        yield box


@pytest.fixture
def box(boxes):
    return boxes()


def tried(box, source):
    """What a piece of code finds inside."""
    e = box.judge(f"found = (lambda: {source})()", "assert False, repr(found)", ["found"])
    return e.why


def test_it_sees_no_network_no_home_no_solutions_and_no_other_process(box):
    home, python = Path.home(), (Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve())
    ways_to_python = {path.relative_to(home).parts[0] for path in python if path.is_relative_to(home)}
    seen = tried(
        box, f"[n for n in [{str(home)!r}] if __import__('os').path.isdir(n) for n in __import__('os').listdir(n)]"
    )
    assert set(ast.literal_eval(seen)) <= ways_to_python
    assert "Error" in tried(box, f"open({str(ROOT / 'book/en/03_transfer_learning.ipynb')!r}).read()")
    assert "Error" in tried(box, "__import__('socket').create_connection(('1.1.1.1', 53), 1)")
    assert (
        tried(box, "sorted(__import__('os').environ.get(n, '') for n in ('PATH', 'AWS_SECRET', 'GH_TOKEN'))[:2]")
        == "['', '']"
    )
    processes = tried(box, "[n for n in __import__('os').listdir('/proc') if n.isdigit()]")
    assert len(eval(processes)) <= 3  # bubblewrap's own, the one that forks, and the answer


def test_it_writes_nowhere_but_in_a_small_place_of_its_own(box):
    for place in ("/x", "/usr/x", "/course/x", "/dev/x", str(ROOT / "x")):
        assert "Error" in tried(box, f"open({place!r}, 'w')")
    assert tried(box, "open('/tmp/x', 'w').write('mine')") == "4"


def test_its_files_are_gone_with_the_next_sandbox(box):
    with Sandbox("03", seconds=30) as other:
        assert "Error" in tried(other, "open('/tmp/x').read()")


@pytest.mark.parametrize("how", ["kills everything", "200 processes", "leaves a process behind", "deletes outside"])
def test_it_loses_that_answer_alone_and_leaves_no_process(boxes, how, tmp_path):
    (tmp_path / "keep").write_text("kept")
    e, box = EXERCISES["03-distance"], boxes()
    before = _descendants()
    verdict = box.judge(HOSTILE[how].replace("{outside}", str(tmp_path)), e.check, e.asks)
    assert not verdict.right and (tmp_path / "keep").read_text() == "kept"
    assert _descendants() <= before
    assert boxes().judge(e.solution, e.check, e.asks).right


def _descendants() -> set[int]:
    return {process.pid for process in psutil.Process().children(recursive=True)}


@pytest.mark.hard
def test_a_hundred_submissions_get_their_score_or_a_line_and_nothing_is_left(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "keep").write_text("kept")
    due = submissions.write_all(tmp_path / "in", outside)
    assert len(due) == 100
    assign(ROOT, ["03"], tmp_path / "assignment")
    temporary, started = set(os.listdir("/tmp")), time.time()
    grade(tmp_path / "in", tmp_path / "assignment", tmp_path / "out", seconds=30)
    with open(tmp_path / "out/grades.csv", encoding="utf-8-sig", newline="") as file:
        totals = {row["student"].lstrip("'"): row["total"] for row in csv.DictReader(file)}
    with open(tmp_path / "out/problems.csv", encoding="utf-8-sig", newline="") as file:
        reported = {row["student"].lstrip("'") for row in csv.DictReader(file)}
    assert {s: totals[s] for s in due} == {s: "" if points is None else str(points) for s, points in due.items()}
    assert {student for student, points in due.items() if points is None} <= reported
    assert [path.name for path in outside.iterdir()] == ["keep"]
    ours = [p for p in psutil.process_iter(["cmdline", "create_time"]) if p.info["create_time"] > started]
    assert not [p for p in ours if any(Path(part).name == "inside.py" for part in p.info["cmdline"] or [])]
    assert {name for name in set(os.listdir("/tmp")) - temporary if "course" in name or "sandbox" in name} == set()
