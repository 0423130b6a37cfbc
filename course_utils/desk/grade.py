"""Grading a folder of submissions: ``python -m course_utils grade SUBMISSIONS --for DIR --out DIR2``.

Answers are taken out of each notebook, run in a sandbox, and judged outside of it by ``DIR/release.json``'s checks.
What is graded stands in ``DIR2/graded.jsonl``: a run that was interrupted goes on there, and grades nothing twice.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path

from tqdm import tqdm

from course_utils.desk import reports
from course_utils.desk.answers import Submission, answers_in, cells_of, chapter_of, find

JOURNAL = "graded.jsonl"


@dataclass
class Graded:
    """What came of one notebook."""

    key: str
    student: str
    path: str
    chapter: str = ""
    points: dict[str, int] = field(default_factory=dict)  # column → points
    notes: dict[str, str] = field(default_factory=dict)  # column → what the check said
    repairs: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    words: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Task:
    """One notebook to grade."""

    key: str
    submission: Submission
    chapter: str
    cells: list[dict]
    exercises: dict  # the chapter's part of release.json
    seconds: float
    trusted: bool


def grade_one(task: Task) -> dict:
    """Grade one notebook: every answer in a process of its own, all of them in one sandbox."""
    from course_utils.desk.judge import Sandbox, missing
    from course_utils.desk.names import names_for

    started = time.perf_counter()
    graded = Graded(task.key, task.submission.student, task.submission.path, task.chapter)
    if not task.trusted and (why := missing()):
        raise RuntimeError(why)
    found = answers_in(task.cells, task.exercises, set(names_for(task.chapter)))
    graded.repairs, graded.words = found.repairs, found.words
    with ExitStack() as stack:
        box = None
        for name, exercise in task.exercises["exercises"].items():
            for check in exercise["checks"]:
                column = check["column"]
                if name in found.missing or found.answers[name] == exercise["stub"]:
                    graded.points[column], graded.notes[column] = 0, found.missing.get(name, "there is no answer")
                    continue
                if box is None or box.ended:
                    box = stack.enter_context(Sandbox(task.chapter, seconds=task.seconds, trusted=task.trusted))
                verdict = box.judge(found.answers[name], check["check"], exercise["asks"], exercise.get("wrong", ()))
                graded.points[column] = check["points"] if verdict.right else 0
                if verdict.why:
                    graded.notes[column] = verdict.why
                if verdict.trouble:
                    graded.problems.append(f"{column}: {verdict.why}")
    graded.seconds = round(time.perf_counter() - started, 2)
    return asdict(graded)


def sort_out(
    submissions: list[Submission], release: dict, seconds: float, trusted: bool
) -> tuple[list[Task], list[Graded]]:
    """Which notebooks can be graded, and what is wrong with the others."""
    tasks, others = {}, []
    version = json.dumps(release, sort_keys=True).encode()
    for submission in submissions:
        key = hashlib.sha256(submission.path.encode() + b"\0" + submission.content + version).hexdigest()[:16]
        trouble, cells = submission.trouble, []
        if not trouble:
            try:
                cells = cells_of(submission.content)
            except ValueError as error:
                trouble = str(error)
        chapter = chapter_of(cells, release) if cells else ""
        if not trouble and not chapter:
            trouble = f"it is of no chapter of this assignment ({', '.join(release['chapters'])})"
        if trouble:
            others.append(Graded(key, submission.student, submission.path, problems=[f"not graded: {trouble}"]))
            continue
        task = Task(key, submission, chapter, cells, release["chapters"][chapter], seconds, trusted)
        tasks.setdefault((submission.student, chapter), []).append(task)
    for same in tasks.values():
        if len(same) > 1:
            paths = ", ".join(task.submission.path for task in same)
            why = f"not graded: there are {len(same)} notebooks of chapter {same[0].chapter}, {paths}: leave one"
            others += [Graded(t.key, t.submission.student, t.submission.path, t.chapter, problems=[why]) for t in same]
    return [same[0] for same in tasks.values() if len(same) == 1], others


def here(tasks: list[Task], workers: int) -> Iterator[dict]:
    """Grade on this machine, so many at a time; a task whose worker dies is tried once more."""
    for last in (False, True):
        left = {task.key: task for task in tasks}
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            futures = {pool.submit(grade_one, task): task for task in tasks}
            for future in as_completed(futures):
                task = futures[future]
                try:
                    yield future.result()
                except BrokenProcessPool:
                    if not last:
                        continue
                    yield _failed(task, "its worker process died twice")
                except Exception as error:
                    yield _failed(task, str(error))
                left.pop(task.key)
        tasks = list(left.values())
        if not tasks:
            return


def _failed(task: Task, why: str) -> dict:
    told = Graded(task.key, task.submission.student, task.submission.path, task.chapter)
    return asdict(told) | {"problems": [f"not graded: {why}"]}


def load_release(folder: Path) -> dict:
    """``release.json`` of an assignment.

    Raises:
        ValueError: there is none.
    """
    try:
        release = json.loads((folder / "release.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ValueError(f"There is no assignment in {folder}: make one with python -m course_utils assign.") from None
    if release.get("schema") != 1:
        raise ValueError(f"{folder}/release.json is of another version of the course: make the assignment again.")
    return release


def journal_in(out: Path, force: bool) -> dict[str, dict]:
    """Key → what was graded in an earlier run.

    Raises:
        ValueError: the folder holds something else than an earlier run.
    """
    journal = out / JOURNAL
    if out.is_dir() and any(out.iterdir()) and not journal.is_file() and not force:
        raise ValueError(f"{out} is not empty, and no earlier run of grade: name another folder, or add --force.")
    out.mkdir(parents=True, exist_ok=True)
    done = {}
    if journal.is_file():
        for line in journal.read_text(encoding="utf-8").splitlines():
            try:
                graded = json.loads(line)
                done[graded["key"]] = graded
            except (ValueError, KeyError):  # the line that a break cut off
                continue
        whole = "".join(json.dumps(graded, ensure_ascii=False) + "\n" for graded in done.values())
        journal.write_text(whole, encoding="utf-8")
    return done


def grade(folder: Path, assignment: Path, out: Path, *, seconds=10.0, workers=0, trusted=False, force=False) -> int:
    """Grade the submissions in a folder; returns how many problems there are.

    Raises:
        ValueError: no submissions, no assignment, no sandbox, or a folder `out` that holds something else.
    """
    release, submissions = load_release(assignment), find(folder)
    if not trusted:
        from course_utils.desk.judge import missing

        if why := missing():
            raise ValueError(f"{why} Or add --trusted: then what students wrote runs as you, with your files.")
    tasks, others = sort_out(submissions, release, seconds, trusted)
    done = journal_in(out, force)
    results = [done[task.key] for task in tasks if task.key in done]
    left = [task for task in tasks if task.key not in done]
    graded = here(left, workers or os.cpu_count() or 1)
    with open(out / JOURNAL, "a", encoding="utf-8") as journal:
        for result in tqdm(graded, total=len(left), unit="submission"):
            results.append(result)
            if result["points"]:  # what could not be graded is tried again the next time
                journal.write(json.dumps(result, ensure_ascii=False) + "\n")
                journal.flush()
    everything = [Graded(**result) for result in results] + others
    return reports.write_reports(out, release, everything)


def add_arguments(command) -> None:
    command.add_argument("submissions", type=Path, help="a folder: a folder, a zip or a notebook for each student")
    command.add_argument("--for", dest="assignment", type=Path, required=True, metavar="DIR", help="what assign wrote")
    command.add_argument("--out", type=Path, required=True, metavar="DIR2", help="grades and feedback; goes on there")
    command.add_argument("--seconds", type=float, default=10.0, help="for one answer and its check (10)")
    command.add_argument("--workers", type=int, default=0, help="submissions at a time; one a core")
    command.add_argument("--trusted", action="store_true", help="without a sandbox: students' code runs as you")
    command.add_argument("--force", action="store_true", help="write into a folder that holds something else")


def run(options) -> int:
    if options.seconds <= 0:
        raise ValueError(f"--seconds {options.seconds:g}: an answer needs some time.")
    how = {"seconds": options.seconds, "workers": options.workers, "trusted": options.trusted, "force": options.force}
    problems = grade(options.submissions, options.assignment, options.out, **how)
    print(f"Grades and feedback: {options.out}. Problems to look at: {problems}.")
    return 0
