"""The judge and the answer are two processes: values travel, verdicts do not, whatever the answer does to its own."""

import time

import pytest
from submissions import EXERCISES, HOSTILE
from wrong_answers import WRONG_ANSWERS

from course_utils.desk.judge import Sandbox

pytestmark = pytest.mark.linux  # forks, and sockets that are handed on


@pytest.fixture(scope="module")
def box():
    """Without walls, which only keep an answer from the rest of the machine: see test_sandbox.py."""
    with Sandbox("03", seconds=20, trusted=True) as box:
        yield box


@pytest.mark.parametrize("name", EXERCISES)
def test_solutions_are_right_and_wrong_answers_get_the_checks_own_hint(box, name):
    e = EXERCISES[name]
    assert box.judge(e.solution, e.check, e.asks, list(WRONG_ANSWERS[name].values())).right
    assert not box.judge(e.stub, e.check, e.asks).right
    for answer in WRONG_ANSWERS[name].values():
        verdict = box.judge(answer, e.check, e.asks)
        assert not verdict.right and not verdict.trouble and len(verdict.why) > 20


F = "def f(*args, **kwargs):\n    "
TRAVELS = {  # an answer, and a check that it must pass
    "plain values": (
        F + "return args, kwargs",
        "assert f(1, 'a', x=[None, 2.5, {3: True}]) == ((1, 'a'), {'x': [None, 2.5, {3: True}]})",
    ),
    "numbers that are none": (
        F + "return float('inf'), float('nan')",
        "a, b = f(); assert a == float('inf') and b != b",
    ),
    "sets and bytes": (F + "return {1, 2}, b'xy'", "assert f() == ({1, 2}, b'xy')"),
    "tensors of all kinds": (
        F + "return [a + 1 if a.dtype != torch.bool else ~a for a in args]",
        "kinds = torch.float32, torch.bfloat16, torch.int64, torch.uint8\n"
        "made = f(*[torch.ones(2, 3, dtype=k) for k in kinds], torch.tensor(True), torch.zeros(0, 4))\n"
        "assert [t.dtype for t in made[:4]] == list(kinds) and all((t == 2).all() for t in made[:4])\n"
        "assert not made[4] and made[5].shape == (0, 4)",
    ),
    "arrays and their numbers": (
        F + "return args[0].mean(), args[0] * 2",
        "import numpy as np\nm, a = f(np.arange(6.0).reshape(2, 3))\n"
        "assert isinstance(m, float) and m == 2.5 and a[1, 2] == 10",
    ),
    "pictures": (
        F + "return args[0].rotate(90)",
        "from PIL import Image\np = Image.new('L', (4, 4)); p.putpixel((0, 0), 9)\nassert f(p).getpixel((0, 3)) == 9",
    ),
    "gradients": (
        F + "return (args[0] ** 2).sum() * args[1]",
        "x, y = torch.ones(3, requires_grad=True), torch.tensor(2.0, requires_grad=True)\n(3 * f(x, y)).backward()\n"
        "assert x.grad.tolist() == [12.0] * 3 and y.grad == 9",
    ),
    "gradients that the answer made": (
        F + "args[0](torch.ones(2)).sum().backward()",
        "m = torch.nn.Linear(2, 2)\nf(m); f(m)\nassert m.weight.grad.tolist() == [[2.0, 2.0]] * 2",
    ),
    "changes in place": (
        F + "args[0].append(3); args[1]['a'] = [7]; args[2].add_(1); args[3][0] = 5",
        "import numpy as np\na, b, c, d = [1], {'b': 1}, torch.zeros(2), np.zeros(2)\nf(a, b, c, d)\n"
        "assert a == [1, 3] and 'b' in b and c.tolist() == [1, 1] and d[0] == 5",
    ),
    "functions of the check": (
        F + "return [args[0](i, twice=True) for i in range(3)]",
        "seen = []\ndef g(i, twice):\n    seen.append(i)\n    return torch.tensor(i * (1 + twice))\n"
        "assert [int(v) for v in f(g)] == [0, 2, 4] and seen == [0, 1, 2]",
    ),
    "errors, both ways": (
        F + "return args[0]()",
        "def g(): raise ZeroDivisionError('mine')\ntry:\n    f(g); caught = ''\n"
        "except ZeroDivisionError as error: caught = str(error)\nassert caught == 'mine'",
    ),
    "functions of the answer": (F + "return lambda x: x + 1", "g = f()\nassert g(2) == 3 and callable(g)"),
    "models of the answer": (
        F + "args[0].new = torch.nn.Linear(3, 4); return args[0]",
        "m = f(torch.nn.Linear(2, 2))\nassert m.new.weight.shape == (4, 3) and len(list(m.parameters())) == 4\n"
        "assert m(torch.ones(2)).shape == (2,)",
    ),
    "what is printed": (
        F + "print('hello')",
        "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()) as said: f()\n"
        "assert said.getvalue() == 'hello\\n'",
    ),
    "a text that the check executes, to where it can do no harm": (
        F + "...\ntext = 'import os\\na = os.getpid() + b'",
        "import os\nnames = dict(b=0)\nexec(text, names)\nassert names['a'] > 0 and names['a'] != os.getpid()",
    ),
}


@pytest.mark.parametrize("what", TRAVELS)
def test_it_travels(box, what):
    answer, check = TRAVELS[what]
    verdict = box.judge(answer, check, ["f", "text"] if "exec(text" in check else ["f"])
    assert verdict.right, verdict.why


@pytest.mark.parametrize(
    "how",
    [
        "exits", "exits politely", "exits when it is called", "monkeypatches torch", "a value that equals everything",
        "a tensor that is another class", "walks the frames", "speaks for the judge", "sends rubbish", "sends a pickle",
        "returns lists without end", "recurses", "an exception that lies", "prints 50 MB",
    ],
)  # fmt: skip
def test_it_gains_nothing_and_the_next_answer_is_judged_as_ever(box, how, tmp_path):
    e = EXERCISES["03-distance"]
    verdict = box.judge(HOSTILE[how].replace("{outside}", str(tmp_path)), e.check, e.asks)
    assert not verdict.right and verdict.why
    assert not list(tmp_path.iterdir())
    assert box.judge(e.solution, e.check, e.asks).right


def test_an_answer_has_its_time_and_no_more(box):
    e = EXERCISES["03-distance"]
    quick, started = Sandbox.judge, time.perf_counter()
    box.seconds = 1
    try:
        verdict = quick(box, HOSTILE["endless loop"], e.check, e.asks)
    finally:
        box.seconds = 20
    assert verdict.why == "longer than 1 seconds" and verdict.trouble and time.perf_counter() - started < 10


def test_a_process_that_says_what_the_check_wants_to_hear_is_found_out(box):
    check = "assert f(2) == 4, 'twice two is four'"
    forger = "import gc\nfor t in gc.get_objects():\n    if type(t).__name__ == 'Answer':"
    forger += " type(t).op_call = lambda *_: 4\nf = len"
    assert box.judge(forger, check, ["f"]).right  # hard-coded, as anybody could
    verdict = box.judge(forger, check, ["f"], ["def f(x): return 5"])
    assert not verdict.right and verdict.trouble and "a known wrong answer passes, too" in verdict.why
