"""The checks of the exercises, for somebody who works in a student's copy of a chapter: `check`."""

import dis
import json
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from types import FunctionType

EXERCISES = Path(__file__).with_name("bundled") / "exercises.json"  # made from the chapters' own checks
_wrong = Counter()  # exercise → how often in a row


@cache
def _known() -> dict[str, dict]:
    return json.loads(EXERCISES.read_text(encoding="utf-8"))["exercises"]


def check(name: str, *answers) -> bool:
    """Say whether an answer to an exercise is right; it never stops a notebook, whatever the answer is.

    Wrong once, it says what is wrong; again, where to look; from the third time on, what to read.

    Args:
        name: the exercise, for example ``"03-distance"``.
        answers: what the exercise asks for, as the check's cell hands it over.

    Raises:
        ValueError: there is no such exercise, or it takes another number of answers.
    """
    if name not in _known():
        raise ValueError(f"There is no exercise {name!r}; there are {', '.join(_known())}.")
    exercise = _known()[name]
    if len(answers) != len(exercise["asks"]):
        raise ValueError(f"{name} checks {', '.join(exercise['asks'])}: give check these, in this order.")
    names = {**sys._getframe(1).f_globals, **dict(zip(exercise["asks"], answers, strict=True))}
    title = f"Exercise {exercise['number']}, {exercise['title']}"
    if any(map(_is_empty, answers)):
        print(f"{title}: there is no answer yet.")
        return False
    try:
        exec(compile(exercise["check"], f"<check of {name}>", "exec"), names)
    except Exception as error:
        _wrong[name] += 1
        said = str(error) if isinstance(error, AssertionError) else f"it stops with {type(error).__name__}: {error}"
        more = [f"Where to look: {exercise['pointer']}", f"Read again: the section “{exercise['read']}”."]
        print("\n".join([f"{title}: not yet. {said}", *more[: _wrong[name] - 1]]))
        return False
    _wrong[name] = 0
    print(f"{title}: right.")
    return True


def _is_empty(answer) -> bool:
    """Whether it is three dots, as the copy was handed out, or a function of nothing else."""
    if not isinstance(answer, FunctionType):
        return answer is ...
    steps = [step for step in dis.get_instructions(answer) if step.opname not in ("RESUME", "RETURN_VALUE")]
    return [(step.opname.startswith(("LOAD_CONST", "RETURN_CONST")), step.argval) for step in steps] == [(True, None)]
