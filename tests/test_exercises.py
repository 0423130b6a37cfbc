"""Every exercise accepts its solution and refuses the empty answer and the usual wrong ones, with a hint."""

import re
from pathlib import Path

import nbformat
import pytest
import torch
from wrong_answers import NAMES, WRONG_ANSWERS

NOTEBOOKS = sorted((Path(__file__).parents[1] / "book").glob("**/*.ipynb"))


def exercises():
    """grade_id → (solution, test) of every chapter."""
    found = {}
    for path in NOTEBOOKS:
        cells = {
            c.metadata.nbgrader.grade_id: c.source for c in nbformat.read(path, 4).cells if "nbgrader" in c.metadata
        }
        found |= {name: (source, cells[f"{name}-test"]) for name, source in cells.items() if not name.endswith("-test")}
    return found


EXERCISES = exercises()


def stub(solution):
    """What a student is handed: the solution's region replaced as nbgrader does."""
    return re.sub(
        r"^( *)# BEGIN SOLUTION.*?# END SOLUTION",
        r"\1raise NotImplementedError()",
        solution,
        flags=re.DOTALL | re.MULTILINE,
    )


def grade(name, answer):
    """Run an answer and the exercise's test as a notebook would, with what the chapter defines before it."""
    names = {"torch": torch, **NAMES[name[:2]]}
    exec(answer, names)
    exec(EXERCISES[name][1], names)


def test_each_exercise_has_a_list_of_wrong_answers():
    assert set(EXERCISES) == set(WRONG_ANSWERS)
    assert all(len(answers) >= 3 for answers in WRONG_ANSWERS.values())


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_is_accepted(name):
    solution, _ = EXERCISES[name]
    assert "# BEGIN SOLUTION" in solution and "# END SOLUTION" in solution
    grade(name, solution)


@pytest.mark.parametrize("name", EXERCISES)
def test_the_empty_answer_is_refused(name):
    with pytest.raises((NotImplementedError, NameError)):
        grade(name, stub(EXERCISES[name][0]))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # a wrong answer may take the mean of nothing
@pytest.mark.parametrize(("name", "why"), [(name, why) for name, answers in WRONG_ANSWERS.items() for why in answers])
def test_a_wrong_answer_is_refused_with_a_hint(name, why):
    with pytest.raises((AssertionError, IndexError)) as refusal:  # an answer may crash by itself, too
        grade(name, WRONG_ANSWERS[name][why])
    assert len(str(refusal.value)) > 20
