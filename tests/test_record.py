"""Chapters are recorded under several circumstances: past what fails, again where it stopped, whole or not at all."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap

import nbformat
import pytest
from small_course import a_run, exercise, runs_of, write_chapter, write_record

from course_utils import claims
from course_utils.__main__ import main
from course_utils.claims import RecordError, load_record
from course_utils.desk import record
from course_utils.desk.chapters import Execution, claims_in, code_hash, find_chapters

CU = "import course_utils as cu"
SOUND = 'cu.expect("01-a-share", 0.5)\ncu.expect("01-ahead", 0.2, above=0)'


def notebook_of(*sources):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])


def settings_of(root, **other):
    chosen = {"source": "bundled", "seeds": [0], "precisions": ["native"], "instructions": ["native"]} | other
    return record.settings(find_chapters(root), **chosen)


def recorded(root, path, **other):
    return asyncio.run(record.record(settings_of(root, **other), workers=1, timeout=60, path=path))


@pytest.fixture(autouse=True)
def not_the_courses_own(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "RECORD", tmp_path / "own.jsonl")


# --- executing chapters


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A sound chapter, one with every fault that leaves the kernel alive, one whose kernel dies; and their record."""
    root = tmp_path_factory.mktemp("course")
    write_chapter(root, "01_sound", nbformat.v4.new_markdown_cell("A text."), CU, SOUND, exercise("answer = ..."))
    loop = "for _ in range(2):\n    cu.expect('02-loop', 1)"
    faults = [
        "1 / 0",
        "half a line (",
        loop,
        "cu.expect('02-nan', float('nan'))",
        "if 0:\n    cu.expect('02-never', 1)",
    ]
    write_chapter(root, "02_faulty", CU, *faults)
    dead = write_chapter(root, "03_dead", "import os", "os._exit(1)", "cu.expect('03-after', 1)")
    stored = nbformat.read(dead, 4)
    stored.cells[2].outputs = [nbformat.v4.new_output("error", ename="OldError", evalue="of long ago", traceback=[])]
    nbformat.write(stored, dead)
    troubles = recorded(root, root / "record.jsonl")
    return root, troubles


def test_a_sound_chapter_is_recorded_with_all_its_circumstances(course):
    (run,) = load_record(course[0] / "record.jsonl")
    assert run["values"]["01-a-share"] == 0.5 and run["values"]["01-ahead"] == 0.2
    assert 0 < run["values"].pop("01-seconds") < 60 and len(run["values"]) == 2
    assert (run["made_by"], run["source"], run["seed"]) == ("01_sound", "bundled", 0)
    assert run["code"] == code_hash(nbformat.read(course[0] / "book/en/01_sound.ipynb", 4))
    assert {name: run[name] for name in ("precision", "hardware")} == {
        name: record.circumstances()[name] for name in ("precision", "hardware")
    }
    assert run["versions"]["torch"] and run["command"].startswith("python -m course_utils")


@pytest.mark.parametrize(
    "said",
    [
        "cell 1: ZeroDivisionError: division by zero",
        "cell 2: SyntaxError",
        "02-loop was claimed twice in one run",
        "02-nan is nan, not a number",
        "never reached: 02-never",
    ],
)
def test_what_fails_is_listed_with_chapter_cell_and_error_and_the_rest_goes_on(course, said):
    assert any(line.startswith("02_faulty, bundled, seed 0, native, native: " + said) for line in course[1])


def test_a_dead_kernel_is_listed_with_its_cell_and_no_old_error(course):
    about = [line.partition("native: ")[2] for line in course[1] if line.startswith("03_dead")]
    assert about == ["cell 1: DeadKernelError: Kernel died", "never reached: 03-after"]


def test_the_chapters_themselves_stay_as_they_are(course):
    assert "OldError" in (course[0] / "book/en/03_dead.ipynb").read_text()


def test_what_is_recorded_does_not_run_again_until_its_code_changes(course, tmp_path, capsys):
    """Not even where "fp32" is asked for, and native comes to the same."""
    chapter = write_chapter(tmp_path, "01_sound", CU, SOUND)
    notes = []

    async def execute(path, env, **_):
        with open(env["COURSE_RECORD"], "w") as file:
            file.write(
                "".join(
                    json.dumps({"claim": f"01-{name}", "value": 0.5, "source": "hub"}) + "\n"
                    for name in ("a-share", "ahead")
                )
            )
        notes.append(env)
        return Execution(nbformat.read(path, 4), 1.0, [])

    async def circumstances(env):
        return {"precision": "fp32", "hardware": "a CPU", "versions": {"python": "3"}, "date": "2026-11-26"}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record, "execute", execute)
        patch.setattr(record, "circumstances_with", circumstances)
        for seeds, precisions, new in (([0], ["native"], 1), ([0], ["native"], 0), ([0, 1], ["native", "fp32"], 1)):
            before = len(notes)
            assert recorded(tmp_path, tmp_path / "record.jsonl", seeds=seeds, precisions=precisions) == []
            assert len(notes) - before == new
        assert "4 runs, 3 of them recorded already." in capsys.readouterr().out
        write_chapter(tmp_path, "01_sound", CU, SOUND + "  # changed")
        recorded(tmp_path, tmp_path / "record.jsonl")
        assert len(notes) == 3 and len(load_record(tmp_path / "record.jsonl")) == 2  # in the place of the old one
        # with public data, what a session used is known by what it noted
        recorded(tmp_path, tmp_path / "record.jsonl", source="mirror")
        assert [run["source"] for run in load_record(tmp_path / "record.jsonl")] == ["bundled", "bundled", "hub"]
        assert notes[-1]["COURSE_SOURCE"] == "auto"
    assert chapter.exists()


def test_public_data_may_lack_what_a_claim_is_about(tmp_path):
    asks = f"{CU}\nif 'a stand-in' == 'used':\n    cu.expect('01-only-there', 1)"
    write_chapter(tmp_path, "01_asks", asks, "cu.expect('01-everywhere', 1)")
    assert recorded(tmp_path, tmp_path / "record.jsonl") == [
        "01_asks, bundled, seed 0, native, native: never reached: 01-only-there"
    ]
    assert recorded(tmp_path, tmp_path / "record.jsonl", source="mirror") == []
    (run,) = load_record(tmp_path / "record.jsonl")
    assert run["values"].keys() == {"01-everywhere", "01-seconds"}


@pytest.mark.linux
def test_ctrl_c_keeps_what_was_finished_and_begins_nothing_more(tmp_path):
    write_chapter(tmp_path, "01_sound", CU, SOUND)
    write_chapter(tmp_path, "02_long", "open('reached', 'w').write('x')\nimport time\ntime.sleep(600)")
    write_chapter(tmp_path, "03_later", "open('later', 'w')")
    os.mkfifo(tmp_path / "book/en/reached")
    code = f"""
        import sys
        from pathlib import Path
        from course_utils import claims
        from course_utils.__main__ import main
        claims.RECORD = Path({str(tmp_path / "record.jsonl")!r})
        sys.exit(main(["record"]))
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:
        (tmp_path / "book/en/reached").read_text()  # waits for chapter 2
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    assert "\nInterrupted: what was finished is recorded, and the same command goes on.\n" in said
    assert "Warning" not in said
    assert [run["made_by"] for run in load_record(tmp_path / "record.jsonl")] == ["01_sound"]
    assert not (tmp_path / "book/en/later").exists()


# --- what is told before anything runs


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("cu.expect('02-x', 1)", "chapter 01, cell 1: '02-x' is no name for a claim: begin with 01-, and go on with"),
        ("cu.expect('head', 1)", "'head' is no name for a claim"),
        ("cu.expect('01-Kopf', 1)", "'01-Kopf' is no name for a claim"),
        ("cu.expect('01-名字', 1)", "'01-名字' is no name for a claim"),
        ("cu.expect(1, 1)", "1 is no name for a claim"),
        ("cu.expect('01-x', 1)\ncu.expect('01-x', 2)", "01-x is claimed in cell 1 already: give it another name."),
        ("cu.expect(f'01-{n}', 1)", "needs its name and bounds written out, not computed"),
        ("cu.expect('01-x', 1, above=chance)", "needs its name and bounds written out, not computed"),
        ("cu.expect('01-x', 1, higher=0)", "needs its name and bounds written out, not computed"),
        ("cu.expect('01-x', 1, **bounds)", "needs its name and bounds written out, not computed"),
        ("cu.expect()", "needs its name and bounds written out, not computed"),
    ],
)
def test_a_claim_that_cannot_be_read_is_told_with_its_cell_before_anything_runs(tmp_path, source, said):
    write_chapter(tmp_path, "01_small", CU, source)
    with pytest.raises(ValueError) as caught:
        recorded(tmp_path, tmp_path / "record.jsonl")
    assert str(caught.value).startswith("chapter 01, cell 1: ") and said in str(caught.value)


def test_claims_are_found_however_they_are_written():
    cells = "%matplotlib inline\nif True:\n    cu.expect('01-a', value=x, above=-0.5)", "expect('01-b', f(1), below=2)"
    first, second = claims_in(notebook_of(*cells, "!ls", "half a line ("), "01")
    assert (first.name, first.cell, first.above, first.below) == ("01-a", 0, -0.5, None)
    assert (second.name, second.cell, second.above, second.below) == ("01-b", 1, None, 2)
    assert first.is_comparison


def test_a_record_that_cannot_be_written_is_told_before_anything_runs(tmp_path):
    write_chapter(tmp_path, "01_small", CU, SOUND)
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        recorded(tmp_path, tmp_path / "file/record.jsonl")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["11"], "There is no chapter 11: there are 01_sound, 02_faulty, 03_dead."),
        (["chapter one"], "There is no chapter chapter one"),
        (["--precisions", "native,fp8"], "fp8: choose from native, bf16, fp16, fp32."),
        (["--instructions", "avx1024"], "avx1024: choose from native, avx512, avx2, sse41."),
        (["--workers", "0"], "--workers 0: at least 1 is needed."),
        (["--timeout", "-1"], "--timeout -1: at least 1 is needed."),
        (["--seeds", "x"], "'x' is no range of seeds: write 0-3, or 2 for one."),
        (["--seeds", "3-1"], "'3-1' is no range of seeds"),
        (["--seeds", "0-"], "'0-' is no range of seeds"),
        (["--seeds", ""], "'' is no range of seeds"),
        (["--source", "internet"], "invalid choice: 'internet'"),
    ],
)
def test_a_wrong_argument_gets_one_sentence(course, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(course[0])
    try:
        code = main(["record", *arguments])
    except SystemExit as left:  # argparse
        code = left.code
    assert code == 2 and said in capsys.readouterr().err.splitlines()[-1]


def test_seeds_are_one_or_a_range():
    assert record._numbers("0-3") == [0, 1, 2, 3] and record._numbers("2") == [2]


def test_chapters_are_named_by_number_or_file(course):
    root = course[0]
    assert [path.stem for path in find_chapters(root, ["2", "01", "book/en/01_sound.ipynb"])] == [
        "01_sound",
        "02_faulty",
    ]


def test_what_comes_to_the_same_runs_once_and_each_chapter_before_any_twice(course):
    wanted = settings_of(course[0], seeds=[0, 1], precisions=["native", "fp32"], instructions=["native", "avx2"])
    assert len(wanted) == 3 * 2 * 3  # an old processor computes in fp32 anyway
    assert [setting.seed for setting in wanted] == [0] * 9 + [1] * 9
    old = next(setting for setting in wanted if setting.instructions == "avx2")
    assert old.env == {
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "ATEN_CPU_CAPABILITY": "avx2",
        "COURSE_PRECISION": "fp32",
        "COURSE_SOURCE": "bundled",
        "COURSE_SEED": "0",
    }


# --- the record's writer


def test_a_run_takes_the_place_of_the_one_with_its_key_and_leaves_the_others(tmp_path):
    path = write_record(tmp_path / "record.jsonl", runs_of("03-head", [0.1, 0.2, 0.3]))
    new = a_run({"03-other": 0.9}, seed=1, code="changed", date="2026-12-01")
    others = [a_run({"03-head": 0.4}, seed=1, hardware="another"), a_run({"03-head": 0.5}, seed=1, source="hub")]
    record.add([new, *others], path)
    assert load_record(path) == [a_run({"03-head": 0.1}), new, a_run({"03-head": 0.3}, seed=2), *others]
    assert {entry.name for entry in tmp_path.iterdir()} == {"record.jsonl", "record.jsonl.lock"}


def test_a_first_run_makes_the_record(tmp_path):
    odd = a_run({"03-head": 0.5}, command="a\u2028b\x85c\ud800 名字")
    record.add([odd], tmp_path / "record.jsonl")
    assert load_record(tmp_path / "record.jsonl") == [odd]


@pytest.mark.parametrize("bad", [{"values": {"03-head": float("nan")}}, {"schema": 2}, {"source": "x"}, {"seed": None}])
def test_a_run_that_does_not_fit_leaves_the_record_alone(tmp_path, bad):
    path = write_record(tmp_path / "record.jsonl", runs_of("03-head", [0.1]))
    with pytest.raises(RecordError, match="this run"):
        record.add([a_run({"03-head": 0.2}, seed=1), a_run({"03-head": 0.3}) | bad], path)
    assert load_record(path) == runs_of("03-head", [0.1])


def test_a_damaged_record_is_told_and_not_written_over(tmp_path):
    path = write_record(tmp_path / "record.jsonl", runs_of("03-head", [0.1, 0.2]))
    path.write_text(path.read_text()[:-9])
    before = path.read_bytes()
    with pytest.raises(RecordError, match="record.jsonl, line 2 is damaged or was cut short"):
        record.add([a_run({"03-head": 0.3})], path)
    assert path.read_bytes() == before


def test_a_write_that_fails_leaves_the_old_record_and_nothing_half_written(tmp_path, monkeypatch):
    path = write_record(tmp_path / "record.jsonl", runs_of("03-head", [0.1]))

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(record.os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        record.add([a_run({"03-head": 0.2}, seed=1)], path)
    assert load_record(path) == runs_of("03-head", [0.1])
    assert not list(tmp_path.glob("*.unfinished"))


def test_processes_that_add_at_once_lose_nothing(tmp_path):
    code = """
        import sys
        from pathlib import Path
        from small_course import a_run
        from course_utils.desk import record
        for seed in range(40):
            record.add([a_run({"03-head": 0.5}, seed=seed, hardware=sys.argv[1])], Path(sys.argv[2]))
    """
    path, here = tmp_path / "record.jsonl", {"PYTHONPATH": os.path.dirname(__file__)}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    processes = [subprocess.Popen([*command, name, path], env=os.environ | here) for name in ("one", "two", "three")]
    assert [process.wait(timeout=120) for process in processes] == [0, 0, 0]
    assert len(load_record(path)) == 3 * 40


# --- what is told of the record


def test_the_code_of_a_chapter_is_its_lesson():
    lesson = notebook_of("a = 1", "b = 2")
    before = code_hash(lesson)
    lesson.cells.append(exercise("answer = ..."))
    lesson.cells.insert(1, nbformat.v4.new_markdown_cell("A text."))
    lesson.cells[0].outputs = [nbformat.v4.new_output("stream", text="1")]
    assert code_hash(lesson) == before
    lesson.cells[0].source += "0"
    assert code_hash(lesson) != before
    assert code_hash(notebook_of("a", "b")) != code_hash(notebook_of("b", "a")) != code_hash(notebook_of("ab"))


@pytest.fixture
def small(tmp_path):
    """A chapter with two claims, of which one is recorded: the chapter, and a function that writes its runs."""
    chapter = write_chapter(tmp_path, "03_small", CU, "cu.expect('03-head', 1, above=0.1)\ncu.expect('03-new', 1)")
    code = code_hash(nbformat.read(chapter, 4))
    path = tmp_path / "record.jsonl"

    def write(values, code=code):
        path.unlink(missing_ok=True)
        record.add(runs_of("03-head", values, code=code), path)
        return path

    return chapter, write


def test_runs_from_before_the_code_changed_are_stale_and_claims_without_runs_are_told(small, tmp_path):
    chapter, write = small
    missing = "03_small: nobody has recorded 03-new"
    path = write([0.1, 0.2])
    assert record.stale(tmp_path, path) == [missing]
    lesson = nbformat.read(chapter, 4)
    lesson.cells += [exercise("answer = ..."), nbformat.v4.new_markdown_cell("A text.")]
    nbformat.write(lesson, chapter)
    assert record.stale(tmp_path, path) == [missing]
    lesson.cells[0].source += "\n# another line"
    nbformat.write(lesson, chapter)
    assert record.stale(tmp_path, path) == ["03_small: 2 of 2 runs are from before its code changed", missing]


def test_the_table_tells_how_often_a_comparison_held_and_its_smallest_margin(small):
    chapter, write = small
    head, row, new = record.table([chapter], write([0.2, 0.3, 0.4, 0.5]))
    assert head == "03_small, bundled: 4 runs" and new.split() == ["03-new", "not", "recorded"]
    assert "held 4 of 4, smallest margin 0.8 sd" in row and "in 0.2 to 0.5" in row
    head, row, _ = record.table([chapter], write([0.05, 0.3, 0.4, 0.5], code="old"))
    assert head == "03_small, bundled: 4 runs, 4 of them from before its code changed"
    assert "held 3 of 4, smallest margin -0.3 sd" in row


def test_the_table_survives_few_runs_and_none_and_equal_zeros(small, tmp_path):
    chapter, write = small
    assert "held 1 of 1" in record.table([chapter], write([0.2]))[1]
    assert "held 0 of 4, smallest margin -inf sd" in record.table([chapter], write([0.0] * 4))[1]
    assert len(record.table([chapter], tmp_path / "nothing.jsonl")) == 2
