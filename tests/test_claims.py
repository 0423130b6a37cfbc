"""`expect` shows a value beside the record, never stops a reader, and is strict under test; the record is checked."""

import json
import math
from itertools import chain

import numpy as np
import pytest
import torch
from small_course import a_run, runs_of, write_record

import course_utils as cu
from course_utils import claims, runtime
from course_utils.claims import RecordError, band, load_record, number

SPREAD_OUT = [0.30, 0.34, 0.36, 0.40]  # of mean 0.35


@pytest.fixture(autouse=True)
def a_reader(tmp_path, monkeypatch):
    """A session that is neither tested nor recorded, with a record of its own."""
    monkeypatch.delenv("COURSE_STRICT", raising=False)
    monkeypatch.delenv("COURSE_RECORD", raising=False)
    monkeypatch.setattr(claims, "RECORD", tmp_path / "record.jsonl")


@pytest.fixture
def record(tmp_path):
    """Writes what is recorded."""
    return lambda *runs: write_record(tmp_path / "record.jsonl", runs)


@pytest.fixture
def strict(monkeypatch):
    monkeypatch.setenv("COURSE_STRICT", "1")


def checkpoints_from(monkeypatch, source):
    monkeypatch.setattr(runtime, "_chosen", {"bert": (source, "bert", "")})


def test_a_reader_sees_the_value_what_is_usual_and_in_how_many_runs(record, capsys):
    record(*runs_of("03-head", SPREAD_OUT))
    cu.expect("03-head", 0.37)
    assert capsys.readouterr().out == "03-head: 0.37 (usual: 0.00 to 0.95, 4 runs)\n"


WHATEVER = [0.1, 12, -math.inf, math.nan, None, "high", "0.1", True, 10**400, 1e-300, [1.0], 2j]
WHATEVER += [torch.tensor(0.4), torch.tensor([0.1, 0.2]), torch.tensor([]), np.float32(0.4), np.array("high"), object()]


@pytest.mark.parametrize("value", WHATEVER, ids=lambda value: repr(value)[:30])
@pytest.mark.parametrize("claim", ["03-head", "03-nobody-claims-this", "", "ünïcode\u2028名字"])
def test_no_value_stops_a_reader_and_each_gets_one_line(record, capsys, claim, value):
    record(*runs_of("03-head", SPREAD_OUT))
    cu.expect(claim, value, above=0)
    printed = capsys.readouterr().out
    assert printed.startswith(f"{claim}: ") and printed.count("\n") == 1 and len(printed) < 200


@pytest.mark.parametrize("value", [math.nan, math.inf, "high", torch.tensor([0.1, 0.2]), None])
def test_what_is_no_number_is_called_so(record, capsys, value):
    record(*runs_of("03-head", SPREAD_OUT))
    cu.expect("03-head", value)
    assert capsys.readouterr().out.endswith("(this is not a number)\n")


def test_without_a_record_nothing_is_usual(capsys):
    cu.expect("03-head", 0.37)
    assert capsys.readouterr().out == "03-head: 0.37 (not recorded yet)\n"


def test_a_few_runs_are_too_few(record, capsys):
    record(*runs_of("03-head", SPREAD_OUT[:3]))
    cu.expect("03-head", 0.37)
    assert capsys.readouterr().out == "03-head: 0.37 (recorded in 3 runs, 4 are needed)\n"


@pytest.mark.parametrize("damage", [b'{"schema": 1, "made', b"\xff\xfe", b"<<<<<<< HEAD\n"])
def test_a_damaged_record_does_not_stop_a_reader_either(tmp_path, capsys, monkeypatch, damage):
    (tmp_path / "record.jsonl").write_bytes(damage)
    cu.expect("03-head", 0.37)
    assert "03-head: 0.37 (record.jsonl, line 1 is damaged or was cut short: delete it" in capsys.readouterr().out
    monkeypatch.setenv("COURSE_STRICT", "1")
    with pytest.raises(RecordError, match="record.jsonl, line 1"):
        cu.expect("03-head", 0.37)


def test_a_record_that_is_a_folder_does_not_stop_a_reader_either(tmp_path, capsys):
    (tmp_path / "record.jsonl").mkdir()
    cu.expect("03-head", 0.37)
    assert "03-head: 0.37 (" in capsys.readouterr().out


def test_a_value_outside_is_unusual(record, capsys):
    record(*runs_of("03-head", [0.9] * 16))
    cu.expect("03-head", 0.8)
    assert capsys.readouterr().out.startswith("03-head: 0.80 (unusual; usual: 0.86 to 0.94")


def test_the_band_that_is_shown_never_contradicts_the_verdict(record, capsys):
    """Among shares it ends at 0 and 1; a loss of 1.1, or a difference of -0.1, shows that these are no shares."""
    record(*runs_of("03-loss", [0.8, 0.9, 0.85, 0.95]))
    for value, shown in ((0.9, "1.00"), (1.1, "1.81")):
        cu.expect("03-loss", value)
        printed = capsys.readouterr().out
        assert f"to {shown}" in printed and "unusual" not in printed


def test_a_comparison_says_whether_it_held_now_and_how_often_before(record, capsys):
    record(*runs_of("03-ahead", [0.2, 0.1, 0.1, -0.1]))
    cu.expect("03-ahead", 0.15, above=0)
    assert "03-ahead: 0.15 (above 0, as in 3 of 4 runs; usual" in capsys.readouterr().out
    cu.expect("03-ahead", -0.05, above=0)
    assert "03-ahead: -0.05 (not above 0, unlike in 3 of 4 runs; usual" in capsys.readouterr().out
    cu.expect("03-ahead", 0.05, above=0, below=0.15)
    assert "(above 0 and below 0.15, as in 2 of 4 runs; usual" in capsys.readouterr().out
    cu.expect("03-ahead", 0.0, above=0)
    assert "(not above 0, " in capsys.readouterr().out


@pytest.mark.parametrize("source", claims.SOURCES)
def test_what_is_usual_is_told_with_the_nearest_checkpoints(record, capsys, monkeypatch, source):
    """Colab has the Hub's BERT, and its reader wants to see something before anybody recorded that."""
    by_nearness = {"hub": ["hub", "mirror", "bundled"], "mirror": ["mirror", "hub", "bundled"]}
    by_nearness["bundled"] = ["bundled", "mirror", "hub"]
    checkpoints_from(monkeypatch, source)
    recorded = {name: runs_of("03-head", SPREAD_OUT, source=name) for name in claims.SOURCES}
    while recorded:
        record(*chain(*recorded.values()))
        claims._read.cache_clear()
        cu.expect("03-head", 0.37)
        nearest = next(name for name in by_nearness[source] if name in recorded)
        assert ("usual:" if nearest == source else f"usual {claims.SOURCES[nearest]}:") in capsys.readouterr().out
        del recorded[nearest]


def test_only_runs_with_the_same_checkpoints_make_a_value_unusual(record, capsys, monkeypatch, strict):
    record(*runs_of("03-head", [0.5] * 4))
    checkpoints_from(monkeypatch, "hub")
    cu.expect("03-head", 0.9)
    assert "unusual" not in capsys.readouterr().out
    checkpoints_from(monkeypatch, "bundled")
    with pytest.raises(RecordError, match="unusual"):
        cu.expect("03-head", 0.9)


def test_under_test_a_usual_value_passes(record, capsys, strict):
    record(*runs_of("03-head", SPREAD_OUT))
    cu.expect("03-head", 0.37)
    cu.expect("03-head", torch.tensor(0.37))


@pytest.mark.parametrize(
    ("claim", "value", "said"),
    [
        ("03-head", 3.0, "03-head is 3, unusual; usual:"),
        ("03-head", math.nan, "03-head is nan, this is not a number"),
        ("03-head", "high", "03-head is nan, this is not a number"),
        ("03-nobody-claims-this", 0.37, "03-nobody-claims-this is 0.37, not recorded yet"),
    ],
)
def test_under_test_anything_else_is_an_error_that_names_the_command(record, capsys, strict, claim, value, said):
    record(*runs_of("03-head", SPREAD_OUT))
    with pytest.raises(RecordError) as caught:
        cu.expect(claim, value)
    assert said in str(caught.value)
    assert str(caught.value).endswith("To record it: python -m course_utils record 03")
    assert capsys.readouterr().out.startswith(f"{claim}: ")  # the line is printed all the same


def test_while_recording_values_are_noted_and_nothing_is_strict(tmp_path, monkeypatch, strict):
    notes = tmp_path / "notes.jsonl"
    monkeypatch.setenv("COURSE_RECORD", str(notes))
    cu.expect("03-head", 0.123456789)
    checkpoints_from(monkeypatch, "hub")
    cu.expect("03-head", math.nan)
    first, second = map(json.loads, notes.read_text().splitlines())
    assert first == {"claim": "03-head", "value": 0.123456789, "source": "bundled"}
    assert second["source"] == "hub" and math.isnan(second["value"])


def test_an_honest_seventeenth_run_falls_outside_once_in_a_thousand_times():
    """200,000 times sixteen normally distributed runs and one more, as `band` would judge it."""
    rng = np.random.default_rng(0)
    many = 200_000
    recorded, further = rng.normal(10, 1, (many, 16)), rng.normal(10, 1, many)
    usual = band(list(recorded[0]))
    half = (usual.high - usual.low) / 2 / usual.spread  # the same for every sixteen values
    assert math.isclose((usual.high + usual.low) / 2, recorded[0].mean())
    assert math.isclose(usual.spread, recorded[0].std(ddof=1))
    outside = np.abs(further - recorded.mean(1)) > half * recorded.std(1, ddof=1)
    assert 0.0008 < outside.mean() < 0.0012


def test_equal_values_do_not_promise_an_equal_one():
    usual = band([0.5] * 16)
    assert math.isclose(usual.spread, 0.005) and usual.low < 0.49 and usual.high > 0.51
    assert band([-0.5] * 16).low < -0.51
    assert (band([0.0] * 16).low, band([0.0] * 16).high) == (0, 0)


def test_more_runs_make_a_narrower_band_and_fewer_than_four_none():
    few, many = band(SPREAD_OUT), band(SPREAD_OUT * 4)
    assert many.high - many.low < few.high - few.low
    assert [band(SPREAD_OUT[:n]) for n in range(4)] == [None] * 4


@pytest.mark.parametrize(
    ("value", "spread", "written"),
    [
        (0.0, None, "0"),
        (1e-5, None, "1e-05"),
        (0.000123, None, "0.00012"),
        (0.0123, None, "0.012"),
        (0.123, None, "0.12"),
        (1.0, None, "1.00"),
        (12.3, None, "12"),
        (1234.5, None, "1,234"),
        (1e300, None, "1e+300"),
        (-0.123, None, "-0.12"),
        (-1234.5, None, "-1,234"),
        (math.nan, None, "nan"),
        (0.123, 0.02, "0.12"),
        (0.123, 0.0012, "0.123"),  # the spread lets one read the third
        (-0.001, 0.02, "0.00"),  # and not "-0.00"
        (0.9, 12.0, "1"),
        (0.0, 0.0, "0"),
    ],
)
def test_a_number_has_the_decimals_that_mean_something(value, spread, written):
    assert number(value, spread) == written


def test_no_record_is_an_empty_record(tmp_path):
    assert load_record(tmp_path / "nothing.jsonl") == []


def test_the_record_of_the_course_is_sound():
    from course_utils.desk.record import _key

    runs = load_record(claims.Path(claims.__file__).with_name("record.jsonl"))
    assert runs and len({_key(run) for run in runs}) == len(runs)


SOUND = a_run({"03-head": 0.5})
LESS = {name: value for name, value in SOUND.items() if name != "seed"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (json.dumps(SOUND | {"schema": 2}), "has schema 2, not 1: record that run again, or update the course."),
        (json.dumps(SOUND)[:-20], "is damaged or was cut short: delete it and record that run again."),
        ("", "is damaged or was cut short"),
        ("[1, 2]", "has schema None, not 1"),
        (json.dumps(SOUND | {"values": {"03-head": math.nan}}), "03-head is 'NaN', not a number."),
        (json.dumps(SOUND | {"values": {"03-head": 0.1}}).replace("0.1", "1e999"), "03-head is inf, not a number."),
        (json.dumps(SOUND | {"values": {"03-head": "high"}}), "03-head is 'high', not a number."),
        (json.dumps(SOUND | {"values": {"03-head": True}}), "03-head is True, not a number."),
        (json.dumps(LESS), "has no proper seed: a run has schema, made_by, code,"),
        (json.dumps(SOUND | {"seed": "0"}), "has no proper seed"),
        (json.dumps(SOUND | {"colour": "red"}), "has no proper colour"),
        (json.dumps(SOUND | {"source": "internet"}), "has no proper source"),
        (json.dumps(SOUND | {"source": ["hub"]}), "has no proper source"),
    ],
)
def test_what_is_wrong_with_a_record_is_said_with_file_and_line(tmp_path, line, said):
    path = tmp_path / "record.jsonl"
    path.write_text(f"{json.dumps(SOUND)}\n{line}\n")
    with pytest.raises(RecordError) as caught:
        load_record(path)
    assert str(caught.value).startswith("record.jsonl, line 2") and said in str(caught.value)


def test_a_line_ends_where_the_line_ends(tmp_path):
    """Not at what Unicode calls a line's end too."""
    odd = a_run({"03-head": 0.5}, command="a\u2028b\x85c 名字")
    (tmp_path / "record.jsonl").write_text(json.dumps(odd, ensure_ascii=False) + "\n", encoding="utf-8")
    assert load_record(tmp_path / "record.jsonl") == [odd]


def test_a_speed_is_shown_and_never_judged(record, strict, capsys):
    record(*runs_of("03-cached-as-fast", SPREAD_OUT))
    cu.expect("03-cached-as-fast", 200.0)
    assert "unusual" not in capsys.readouterr().out
