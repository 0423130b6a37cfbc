"""What chapters measure, beside what was recorded of it on other machines, seeds and precisions: `expect`."""

import json
import math
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from course_utils import runtime

RECORD = Path(__file__).with_name("record.jsonl")
SCHEMA = 1
FIELDS = {  # of a line of record.jsonl, which is one run of a chapter or a benchmark
    "schema": int,
    "made_by": str,  # "03_transfer_learning", or the benchmark's command
    "code": str,  # a hash of the chapter's code cells, without the exercises; "" for a benchmark
    "source": str,  # "bundled", "hub" or "mirror": see `runtime.checkpoints_are`
    "seed": int,
    "precision": str,
    "hardware": str,
    "versions": dict,
    "date": str,
    "command": str,
    "values": dict,  # claim → number
}
SOURCES = {
    "bundled": "with the bundled stand-ins",
    "hub": "with the public checkpoints and data",
    "mirror": "with real data and the checkpoints that were at hand",
}
FEWEST = 4  # runs that a band needs
SPEEDS = ("-as-fast", "-seconds", "-per-second")
OUTSIDE = 0.001  # how often an honest further run falls outside of a band


class RecordError(ValueError):
    """The record cannot be read, or does not hold what is asked of it."""


def expect(claim: str, value: float, *, above: float | None = None, below: float | None = None) -> None:
    """Print a measured value beside what is usual for it; it never stops a reader, whatever the value is.

    What is usual comes from the record that ships with the course: with checkpoints like this session's, else with the
    nearest ones that were recorded. Under ``COURSE_STRICT=1``, as in ``make test``, a value that is unusual, or that
    nobody has recorded, is an error; ``COURSE_RECORD=FILE`` notes it for ``python -m course_utils record`` instead.

    Args:
        claim: its name, which starts with the chapter's number: ``"03-head-60-labels"``.
        value: what was measured.
        above, below: for a comparison: the text leans on the value being larger, or smaller, than this.
    """
    try:
        value = float(value)
    except (TypeError, ValueError, ArithmeticError, RuntimeError):  # a text, a tensor of many numbers
        value = math.nan
    source = runtime.checkpoints_are()
    if file := os.environ.get("COURSE_RECORD"):
        with open(file, "a", encoding="utf-8") as notes:
            notes.write(json.dumps({"claim": claim, "value": value, "source": source}) + "\n")
    said, fits, spread = _beside_the_record(claim, value, source, above, below)
    print(f"{claim}: {number(value, spread)} ({said})")
    if os.environ.get("COURSE_STRICT") == "1" and not file and not fits:
        raise RecordError(f"{claim} is {value:.6g}, {said}. To record it: python -m course_utils record {claim[:2]}")


def _beside_the_record(claim, value, source, above, below) -> tuple[str, bool, float | None]:
    """What the record says of a value, whether the value fits it, and how far the recorded ones spread."""
    try:
        by_source = {name: recorded(claim, name) for name in (source, *reversed(SOURCES))}  # the nearest first
    except (OSError, RecordError) as error:
        return str(error), False, None
    nearest = next((name for name, values in by_source.items() if len(values) >= FEWEST), None)
    if not math.isfinite(value):
        return "this is not a number", False, None
    if nearest is None:
        runs = len(by_source[source])
        return f"recorded in {runs} runs, {FEWEST} are needed" if runs else "not recorded yet", False, None
    usual = band(by_source[nearest])
    is_speed = claim.endswith(SPEEDS)  # depends on what else the machine is doing: shown, never judged
    fits = is_speed or nearest != source or usual.low <= value <= usual.high
    where = "" if nearest == source else f" {SOURCES[nearest]}"
    said = f"{'' if fits else 'unusual; '}usual{where}: {usual.beside(value)}"
    if above is not None or below is not None:
        said = f"{_comparison(value, usual.values, above, below)}; {said}"
    return said, fits, usual.spread


def recorded(claim: str, source: str) -> list[float]:
    """What the recorded runs with such checkpoints found."""
    return [run["values"][claim] for run in load_record() if run["source"] == source and claim in run["values"]]


def _comparison(value: float, values: list[float], above: float | None, below: float | None) -> str:
    bounds = {"above": above, "below": below}
    said = " and ".join(f"{word} {bound:g}" for word, bound in bounds.items() if bound is not None)
    this, *others = (holds(v, above, below) for v in (value, *values))
    return f"{'' if this else 'not '}{said}, {'as' if this else 'unlike'} in {sum(others)} of {len(others)} runs"


def holds(value: float, above: float | None, below: float | None) -> bool:
    return (above is None or value > above) and (below is None or value < below)


@dataclass(frozen=True)
class Band:
    """What is usual: a further run, as honest as those recorded, falls outside once in 1/OUTSIDE times."""

    values: list[float]
    low: float
    high: float
    spread: float

    def beside(self, value: float) -> str:
        low, high = self.low, self.high
        if all(0 <= v <= 1 for v in (value, *self.values)):  # shares: their band may reach further than a share can
            low, high = max(low, 0.0), min(high, 1.0)
        return f"{number(low, self.spread)} to {number(high, self.spread)}, {len(self.values)} runs"


def band(values: list[float]) -> Band | None:
    """The prediction interval of one further value, as if they were normally distributed; None for too few values.

    Its half width is t · s · √(1 + 1/n), with n values of standard deviation s, and t Student's quantile for OUTSIDE. s
    is taken as at least a hundredth of the mean: sixteen equal values do not promise a seventeenth.
    """
    if len(values) < FEWEST:
        return None
    from scipy.special import stdtrit  # comes with scikit-learn; half a second to import

    n, mean = len(values), sum(values) / len(values)
    spread = max(math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1)), abs(mean) / 100)
    half = float(stdtrit(n - 1, 1 - OUTSIDE / 2)) * spread * math.sqrt(1 + 1 / n)
    return Band(list(values), mean - half, mean + half, spread)


def number(value: float, spread: float | None = None) -> str:
    """A number with as many decimals as its spread, or else its size, lets one read; two where it is a share."""
    size = 10 * spread if spread else abs(value)
    if not math.isfinite(value) or not 1e-4 <= size < 1e9:
        return f"{value:z.2g}"
    decimals = 2 if 0.05 <= size < 10 else 1 - math.floor(math.log10(size))
    return f"{value:z,.{max(decimals, 0)}f}"


def load_record(path: Path | None = None) -> list[dict]:
    """All runs that were recorded; a RecordError names the line that is damaged, or does not fit the schema."""
    return _read(path or RECORD)


@cache
def _read(path: Path) -> list[dict]:
    lines = path.read_bytes().splitlines() if path.exists() else []
    return [parse(line, f"{path.name}, line {i}") for i, line in enumerate(lines, 1)]


def parse(line: str | bytes, where: str) -> dict:
    """One line of the record, checked; `where` names it in errors."""
    try:
        run = json.loads(line, parse_constant=lambda name: name)  # NaN and Infinity stay text, and are refused below
    except ValueError:
        raise RecordError(f"{where} is damaged or was cut short: delete it and record that run again.") from None
    schema = run.get("schema") if isinstance(run, dict) else None
    if schema != SCHEMA:
        raise RecordError(f"{where} has schema {schema}, not {SCHEMA}: record that run again, or update the course.")
    wrong = [name for name, kind in FIELDS.items() if not isinstance(run.get(name), kind)]
    wrong += sorted(set(run) - set(FIELDS))
    if wrong := wrong or ["source"] * (run["source"] not in SOURCES):
        raise RecordError(f"{where} has no proper {', '.join(wrong)}: a run has {', '.join(FIELDS)}.")
    for claim, value in run["values"].items():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < math.inf:
            raise RecordError(f"{where}: {claim} is {value!r}, not a number.")
    return run
