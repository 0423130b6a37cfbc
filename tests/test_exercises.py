"""Every exercise accepts its solution and refuses the empty answer and the usual wrong ones, with a hint."""

from pathlib import Path

import nbformat
import pytest
from right_answers import RIGHT_ANSWERS
from wrong_answers import WRONG_ANSWERS

from course_utils.desk.exercises import exercises_in
from course_utils.desk.names import names_for

NOTEBOOKS = sorted((Path(__file__).parents[1] / "book").glob("**/*.ipynb"))


EXERCISES = {exercise.name: exercise for path in NOTEBOOKS for exercise in exercises_in(nbformat.read(path, 4))}


def grade(name, answer):
    """Run an answer and the exercise's test as a notebook would, with what the chapter defines before it."""
    names = names_for(name[:2])
    exec(answer, names)
    exec(EXERCISES[name].check, names)


def test_each_exercise_has_a_list_of_wrong_answers():
    assert set(EXERCISES) == set(WRONG_ANSWERS)
    assert all(len(answers) >= 3 for answers in WRONG_ANSWERS.values())


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_is_accepted(name):
    solution = EXERCISES[name].solution
    assert "# BEGIN SOLUTION" in solution and "# END SOLUTION" in solution
    grade(name, solution)


@pytest.mark.parametrize(("name", "i"), [(name, i) for name in RIGHT_ANSWERS for i in range(len(RIGHT_ANSWERS[name]))])
def test_a_right_answer_of_another_style_is_accepted(name, i):
    grade(name, RIGHT_ANSWERS[name][i])


def test_each_exercise_has_right_answers_of_several_styles():
    assert set(EXERCISES) == set(RIGHT_ANSWERS) and {len(a) for a in RIGHT_ANSWERS.values()} == {2}  # and the solution


@pytest.mark.parametrize("name", EXERCISES)
def test_the_empty_answer_is_refused(name):
    with pytest.raises((AssertionError, AttributeError, TypeError)):
        grade(name, EXERCISES[name].stub)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # a wrong answer may take the mean of nothing
@pytest.mark.parametrize(("name", "why"), [(name, why) for name, answers in WRONG_ANSWERS.items() for why in answers])
def test_a_wrong_answer_is_refused_with_a_hint(name, why):
    with pytest.raises((AssertionError, IndexError)) as refusal:  # an answer may crash by itself, too
        grade(name, WRONG_ANSWERS[name][why])
    assert len(str(refusal.value)) > 20
