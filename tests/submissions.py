"""A hundred made-up submissions to chapter 3, honest, clumsy and hostile, with the score that each must get.

``python tests/submissions.py FOLDER`` writes them.
"""

import copy
import io
import json
import sys
import zipfile
from functools import cache
from pathlib import Path

import nbformat

from course_utils.desk.exercises import exercises_in
from course_utils.desk.students import as_bytes, student_copy

ROOT = Path(__file__).parents[1]
MASTER = ROOT / "book/en/03_transfer_learning.ipynb"
EXERCISES = {e.name: e for e in exercises_in(nbformat.read(MASTER, 4))}
NAMES = list(EXERCISES)
RIGHT = {name: e.solution for name, e in EXERCISES.items()}
ALL = sum(e.points for e in EXERCISES.values())
BLANK = student_copy(MASTER, ROOT)

WRONG = {
    "03-objective": "def objective(logits, labels, weights, strength):\n    return 0",
    "03-last": "def last_real(outputs, attention_mask):\n    return outputs[:, -1]",
    "03-distance": "def distance(model, start):\n    return sum((p ** 2).sum() for p in model.parameters())",
    "03-remember": "def remember(logits):\n    return logits",
}
# Each takes the place of one right answer; where it is put, only that exercise may be lost.
HOSTILE = {
    "endless loop": "def distance(model, start):\n    while True:\n        pass",
    "endless loop in the cell": "while True:\n    pass\ndef distance(model, start): ...",
    "200 processes": (
        "import os, time\nfor _ in range(200):\n    try:\n        if os.fork() == 0:\n            time.sleep(600)\n"
        "    except OSError: pass\ndef distance(model, start):\n    return None"
    ),
    "4 GB": "import torch\nkept = [bytearray(2**28) for _ in range(20)]\ndef distance(model, start):\n    return None",
    "deletes outside": (
        "import shutil, os\nfor place in ('{outside}', '/course', '/usr', os.path.expanduser('~')):\n"
        "    shutil.rmtree(place, ignore_errors=True)\ndef distance(model, start):\n    return None"
    ),
    "writes outside": (
        "for place in ('{outside}/mine', '/course/mine', '/usr/mine', '/mine'):\n"
        "    try:\n        open(place, 'w').write('x')\n    except OSError: pass\ndef distance(model, start):\n"
        "    return 7"
    ),
    "reads the solutions": (
        "import glob, json\n"
        "found = glob.glob('{root}/book/en/*.ipynb') + glob.glob('/**/release.json', recursive=True)\n"
        "cells = [c for p in found for c in json.load(open(p))['cells']]\n"
        "exec(next((''.join(c['source']) for c in cells if 'def distance' in ''.join(c['source'])), 'distance = None'))"
    ),
    "goes out into the network": (
        "import urllib.request\ndistance = urllib.request.urlopen('http://example.org', timeout=2).read()"
    ),
    "exits": "import os\nos._exit(0)\ndef distance(model, start): ...",
    "exits politely": "raise SystemExit\ndef distance(model, start): ...",
    "exits when it is called": "import os\ndef distance(model, start):\n    os._exit(0)",
    "kills everything": "import os, signal\nos.kill(-1, signal.SIGKILL)\ndef distance(model, start): ...",
    "kills the one above": "import os, signal\nos.kill(1, signal.SIGKILL)\ndef distance(model, start): ...",
    "monkeypatches torch": (
        "import torch\ntorch.allclose = lambda *a, **k: True\ntorch.Tensor.item = lambda self: 0\n"
        "def distance(model, start):\n    return torch.zeros(())"
    ),
    "a value that equals everything": (
        "class Yes(float):\n    __eq__ = __ne__ = __lt__ = __gt__ = lambda *_: True\n    __hash__ = float.__hash__\n"
        "    def __sub__(self, other): return 0.0\n    def item(self): return Yes(26)\n    def backward(self): ...\n"
        "def distance(model, start):\n    return Yes(26)"
    ),
    "a tensor that is another class": (
        "import torch\nclass Sly(torch.Tensor):\n    def item(self): return 26\n"
        "def distance(model, start):\n    return torch.zeros(()).as_subclass(Sly)"
    ),
    "walks the frames": (
        "import sys, gc\ndef distance(model, start):\n    frame = sys._getframe()\n    while frame:\n"
        "        frame.f_globals['away'] = frame.f_locals.get('away')\n        frame = frame.f_back\n"
        "    for thing in gc.get_objects():\n        if type(thing).__name__ == 'Answer':\n"
        "            thing.wire.send(thing.connection, dict(kind='done', value=0, tensors=[]))\n    return 26.0"
    ),
    "speaks for the judge": (
        "import gc\nfor thing in gc.get_objects():\n    if type(thing).__name__ == 'Answer':\n"
        "        for _ in range(30):\n"
        "            thing.wire.send(thing.connection, dict(kind='done', value=26.0, tensors=[]))\n"
        "def distance(model, start):\n    return 26.0"
    ),
    "sends rubbish": (
        "import gc\nfor thing in gc.get_objects():\n    if type(thing).__name__ == 'Answer':\n"
        "        thing.connection.sendall(b'\\xff' * 4096)\ndef distance(model, start):\n    return 26.0"
    ),
    "sends a pickle": (
        "import gc, pickle, os\nclass Evil:\n    def __reduce__(self): return os.system, ('touch {outside}/owned',)\n"
        "for thing in gc.get_objects():\n    if type(thing).__name__ == 'Answer':\n"
        "        thing.wire.send(thing.connection, pickle.dumps(Evil()))\ndef distance(model, start):\n    return 26.0"
    ),
    "prints 50 MB": "for _ in range(50):\n    print('x' * 2**20)\ndef distance(model, start):\n    print('y' * 2**25)",
    "returns 1 GB": "import torch\ndef distance(model, start):\n    return torch.zeros(2**28)",
    "returns lists without end": "def distance(model, start):\n    x = []\n    x.append(x)\n    return x",
    "fills the disk": (
        "import os\nfor i in range(99):\n    for place in ('/tmp', '/dev/shm'):\n        try:\n"
        "            open(f'{{place}}/{{i}}', 'wb').write(bytes(2**25))\n        except OSError: pass\n"
        "def distance(model, start):\n    return None"
    ),
    "recurses": "def distance(model, start):\n    return distance(model, start)",
    "catches everything": (
        "def distance(model, start):\n    while True:\n        try:\n            while True: pass\n"
        "        except BaseException: pass"
    ),
    "an exception that lies": (
        "class Mine(BaseException):\n    def __str__(self): raise SystemExit\ndef distance(model, start):\n"
        "    raise Mine"
    ),
    "leaves a process behind": (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n"
        "        time.sleep(600)\n    os._exit(0)\n"
        "def distance(model, start):\n    return None"
    ),
}
STYLES = {  # the same in other words; each is right
    "a loop": (
        "03-distance",
        "import torch\ndef distance(model, start):\n    total = torch.zeros(())\n"
        "    for n, p in model.named_parameters():\n"
        "        if n in start:\n            total = total + (p - start[n]).pow(2).sum()\n    return total",
    ),
    "a lambda": ("03-last", "last_real = lambda o, m: o[torch.arange(len(o)), m.sum(1) - 1]"),
    "gather": (
        "03-last",
        "def last_real(outputs, attention_mask):\n    at = (attention_mask.sum(1) - 1).view(-1, 1, 1)\n"
        "    return outputs.gather(1, at.expand(-1, 1, outputs.shape[2])).squeeze(1)",
    ),
    "a stack": (
        "03-last",
        "def last_real(outputs, attention_mask):\n"
        "    return torch.stack([o[m.bool()][-1] for o, m in zip(outputs, attention_mask)])",
    ),
    "norms": (
        "03-objective",
        "import torch.nn.functional as F\ndef objective(logits, labels, weights, strength):\n"
        "    return F.cross_entropy(logits, labels) + strength * sum(w.norm() ** 2 for w in weights)",
    ),
    "by hand": (
        "03-objective",
        "def objective(logits, labels, weights, strength):\n    log_p = logits.log_softmax(-1)\n"
        "    return -log_p[range(len(labels)), labels].mean() + strength * sum((w * w).sum() for w in weights)",
    ),
    "a constant": (
        "03-remember",
        "def remember(logits):\n    return torch.cat([logits[:, :10], logits[:, 10:] - 8], dim=1)",
    ),
}


def notebook(answers: dict[str, str]):
    """A students' copy with answers put in."""
    made = copy.deepcopy(BLANK)
    for cell in made.cells:
        if (name := cell.metadata.get("nbgrader", {}).get("grade_id")) in answers:
            cell.source = answers[name]
    return made


def place(made, name: str) -> int:
    return next(i for i, c in enumerate(made.cells) if c.metadata.get("nbgrader", {}).get("grade_id") == name)


@cache
def clumsy() -> dict[str, tuple[bytes, int | None]]:
    """Notebooks that were damaged without ill will: name → (file, score); None: not graded, but reported."""
    found = {}

    def case(name, made, score=ALL):
        found[name] = (made if isinstance(made, bytes) else as_bytes(made), score)

    lost = notebook(RIGHT)
    for cell in lost.cells:
        cell.metadata = {}
    case("metadata lost", lost)
    forged = notebook(RIGHT)
    for cell in forged.cells:
        if (g := cell.metadata.get("nbgrader")) and g.grade:
            g.points, cell.source = 100, "assert True"
    case("checks edited and points forged", forged)
    swapped = notebook(RIGHT)
    a, b = place(swapped, "03-last"), place(swapped, "03-distance")
    swapped.cells[a].metadata, swapped.cells[b].metadata = swapped.cells[b].metadata, swapped.cells[a].metadata
    case("ids swapped", swapped)
    split = notebook(RIGHT)
    at = place(split, "03-remember")
    first, _, second = split.cells[at].source.partition("# BEGIN SOLUTION")
    before, _, after = second.partition("def remember")
    split.cells[at].source = "def remember" + after
    split.cells.insert(at, nbformat.v4.new_code_cell(first + before))
    case("a cell split", split)
    merged = notebook(RIGHT)
    a, b = place(merged, "03-objective"), place(merged, "03-last")
    merged.cells[a].source += "\n\n" + merged.cells.pop(b).source
    case("cells merged", merged)
    twice = notebook(RIGHT)
    at = place(twice, "03-last")
    extra = nbformat.v4.new_code_cell(EXERCISES["03-last"].stub, metadata=copy.deepcopy(twice.cells[at].metadata))
    twice.cells.insert(at + 1, extra)
    case("a cell duplicated, the copy empty", twice)
    moved = notebook(RIGHT)
    moved.cells.insert(3, moved.cells.pop(place(moved, "03-distance")))
    case("a cell moved", moved)
    elsewhere = notebook(RIGHT | {"03-last": EXERCISES["03-last"].stub})
    elsewhere.cells.append(nbformat.v4.new_code_cell(RIGHT["03-last"]))
    case("answered in a cell of its own", elsewhere)
    helper = notebook(
        RIGHT | {"03-last": "def last_real(outputs, attention_mask):\n    return pick(outputs, attention_mask)"}
    )
    source = RIGHT["03-last"].replace("last_real", "pick")
    helper.cells.insert(3, nbformat.v4.new_code_cell(source))
    case("a helper far above", helper)
    case("a cell deleted", _without(notebook(RIGHT), "03-last"), ALL - 1)
    case(
        "a syntax error", notebook(RIGHT | {"03-last": "def last_real(outputs, attention_mask:\n    return 7"}), ALL - 1
    )
    magic = notebook(RIGHT | {"03-last": "%matplotlib inline\n!ls\n" + RIGHT["03-last"]})
    case("Jupyter's own commands", magic)
    case("Windows line ends", as_bytes(notebook(RIGHT)).replace(b"\\n", b"\\r\\n"))
    case(
        "Windows line ends in the file, with a mark",
        b"\xef\xbb\xbf" + as_bytes(notebook(RIGHT)).replace(b"\n", b"\r\n"),
    )
    colab = notebook(RIGHT)
    colab.metadata["colab"] |= {"name": "Copy of 03", "toc_visible": True}
    for i, cell in enumerate(colab.cells):
        cell.metadata["id"], cell.metadata["outputId"] = f"x{i}", "a"
        cell.metadata["colab"] = {"base_uri": "https://localhost:8080/"}
    case("Colab's metadata", colab)
    vscode = notebook(RIGHT)
    for cell in vscode.cells:
        cell.metadata["vscode"] = {"languageId": "python"}
        cell.pop("id", None)
    case("VS Code's metadata", json.dumps(vscode).encode())
    lists = json.loads(as_bytes(notebook(RIGHT)))
    case("another indent", json.dumps(lists, indent=4).encode())
    large = notebook(RIGHT)
    large.cells[4].outputs = [nbformat.v4.new_output("stream", text="x" * 5 * 2**20)]
    case("5 MB of output", large)
    huge = notebook(RIGHT)
    huge.cells[4].outputs = [nbformat.v4.new_output("stream", text="x" * 50 * 2**20)]
    case("50 MB of output", huge, None)
    case(
        "wrong chapter",
        (lambda p: as_bytes(student_copy(p, ROOT)))(ROOT / "book/en/07_sentiment_finetuning.ipynb"),
        None,
    )
    case("empty", b"", None)
    case("not JSON", b"# my answers\n", None)
    case("JSON, no notebook", b'{"a": [1, 2]}', None)
    case("cut off", as_bytes(notebook(RIGHT))[:-500], None)
    case("cells that are no cells", json.dumps({"cells": [1, None], "nbformat": 4}).encode(), None)
    case("deep JSON", b"[" * 100_000, None)
    return found


def _without(made, name):
    made.cells.pop(place(made, name))
    return made


def write_all(folder: Path, outside: Path) -> dict[str, int | None]:
    """Write the submissions; student → the score that is due, None where it cannot be graded and must be reported."""
    due = {}

    def hand_in(student, content, score):
        (folder / student).mkdir(parents=True)
        (folder / student / "03_transfer_learning.ipynb").write_bytes(content)
        due[student] = score

    for i, (how, (name, answer)) in enumerate(STYLES.items()):
        hand_in(f"right {i}, {how}", as_bytes(notebook(RIGHT | {name: answer})), ALL)
    for student in ("王小明", "Zoë Ångström", "Ольга", "أحمد", "=1+1", 'O\'Brien, "Bo"'):
        hand_in(student, as_bytes(notebook(RIGHT)), ALL)
    hand_in("nothing", as_bytes(BLANK), 0)
    hand_in("all wrong", as_bytes(notebook(WRONG)), 0)
    for name, e in EXERCISES.items():
        hand_in(f"half, {name} wrong", as_bytes(notebook(RIGHT | {name: WRONG[name]})), ALL - e.points)
        hand_in(f"half, only {name}", as_bytes(notebook({name: RIGHT[name]})), e.points)
    for how, source in HOSTILE.items():
        answer = (
            source.replace("{{", "{").replace("}}", "}").replace("{outside}", str(outside)).replace("{root}", str(ROOT))
        )
        hand_in(f"hostile, {how}", as_bytes(notebook(RIGHT | {"03-distance": answer})), ALL - 2)
    for how, (content, score) in clumsy().items():
        hand_in(f"clumsy, {how}", content, score)
    hand_in("two files", as_bytes(notebook(RIGHT)), None)
    (folder / "two files/again.ipynb").write_bytes(as_bytes(notebook(WRONG)))
    (folder / "a link").symlink_to(outside)
    due["a link"] = None
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("03.ipynb", b" " * 60 * 2**20)
    (folder / "a zip bomb.zip").write_bytes(bomb.getvalue())
    due["a zip bomb"] = None
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("03_transfer_learning.ipynb", as_bytes(notebook(RIGHT)))
    (folder / "a zip.zip").write_bytes(zipped.getvalue())
    due["a zip"] = ALL
    (folder / "a broken zip.zip").write_bytes(zipped.getvalue()[:-100])
    due["a broken zip"] = None
    i = 0
    while len(due) < 100:  # the rest of the class, between the others in order
        hand_in(f"{'abcdefghijklmnopqrstuvwxyz'[i % 26]} honest {i}", as_bytes(notebook(RIGHT)), ALL)
        i += 1
    return due


if __name__ == "__main__":
    target = Path(sys.argv[1])
    print(f"wrote {len(write_all(target, Path('/tmp/outside')))} submissions into {target}")
