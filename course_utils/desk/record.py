"""Recording what chapters measure, under several seeds, precisions and instruction sets; the one record's writer."""

import argparse
import asyncio
import json
import math
import os
import platform
import re
import shlex
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path

import nbformat
from filelock import FileLock
from tqdm import tqdm

from course_utils import claims, runtime
from course_utils.desk.chapters import Claim, all_of, claims_in, code_hash, execute, find_chapters

# What makes this CPU compute as an older one would: such a machine has no native bf16, and takes fp32.
INSTRUCTIONS = {
    "native": {},
    "avx512": {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE", "ATEN_CPU_CAPABILITY": "avx512", "COURSE_PRECISION": "fp32"},
    "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "COURSE_PRECISION": "fp32"},
    "sse41": {"ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default", "COURSE_PRECISION": "fp32"},
}
PRECISIONS = ("native", "bf16", "fp16", "fp32")
SOURCES = {"bundled": "bundled", "mirror": "auto", "hub": "hub"}  # → COURSE_SOURCE
PACKAGES = ("torch", "torchvision", "transformers", "accelerate", "scikit-learn")
# Two runs that agree in these are the same run; the later one stands.
KEY = ("made_by", "source", "seed", "precision", "hardware", "versions")


def hardware() -> str:
    """The processor that this process computes on, in words."""
    import torch

    device = runtime.device()
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = torch.cpu.get_capabilities().get("cpu_name") or platform.processor()
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA")
    instructions = torch.backends.cpu.get_cpu_capability() + (f", oneDNN up to {limit}" if limit else "")
    threads = torch.get_num_threads()
    return f"{name}, {threads} thread{'s' * (threads > 1)}, {instructions}"


def circumstances() -> dict:
    """Where, when, with which versions and by which command something is measured here."""
    return {
        "precision": runtime.precision(runtime.device()),
        "hardware": hardware(),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES},
        "date": datetime.now(UTC).date().isoformat(),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def add(runs: list[dict], path: Path | None = None) -> None:
    """Put runs into the record, each in the place of an earlier one with the same key; whole or not at all.

    Raises:
        RecordError: a run does not fit the schema, or the record is damaged.
    """
    path = path or claims.RECORD
    new = [claims.parse(json.dumps(run), "this run") for run in runs]
    unfinished = path.with_suffix(".unfinished")
    with FileLock(f"{path}.lock"):  # two recordings may end at the same time; it stays, for a third may wait at it
        claims._read.cache_clear()
        kept = {_key(run): run for run in claims.load_record(path)} | {_key(run): run for run in new}
        try:
            unfinished.write_text("".join(json.dumps(run, sort_keys=True) + "\n" for run in kept.values()))
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
            claims._read.cache_clear()


def _key(run: dict) -> str:
    return json.dumps([run[name] for name in KEY], sort_keys=True)


@dataclass(frozen=True)
class Setting:
    """One way to run a chapter."""

    chapter: Path
    source: str
    seed: int
    precision: str
    instructions: str

    @property
    def env(self) -> dict[str, str]:
        forced = {} if self.precision == "native" else {"COURSE_PRECISION": self.precision}
        from_where = {"COURSE_SOURCE": SOURCES[self.source], "COURSE_SEED": str(self.seed)}
        return INSTRUCTIONS[self.instructions] | forced | from_where

    @property
    def machine(self) -> tuple[str, str]:
        """What a process must be asked about: the seed does not matter to it."""
        return self.precision, self.instructions

    def __str__(self):
        return f"{self.chapter.stem}, {self.source}, seed {self.seed}, {self.precision}, {self.instructions}"


def settings(chapters, source, seeds, precisions, instructions) -> list[Setting]:
    """All combinations, without those that come to the same."""
    found = {}
    for i, chapter, seed, precision in product(instructions, chapters, seeds, precisions):
        setting = Setting(chapter, source, seed, precision, i)
        found.setdefault((chapter, tuple(sorted(setting.env.items()))), setting)
    return sorted(found.values(), key=lambda s: s.seed)  # all chapters once, before any a second time


@dataclass(frozen=True)
class Outcome:
    """What came of a setting: a line of the record, or None and what went wrong; and the notebook with its outputs."""

    setting: Setting
    run: dict | None
    troubles: list[str]
    notebook: nbformat.NotebookNode


async def run_once(setting: Setting, here: dict, timeout: int, threads: dict | None = None) -> Outcome:
    """Execute one setting; `here` is what `circumstances_with` its environment says."""
    threads = threads or {}
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "notes.jsonl"
        done = await execute(setting.chapter, setting.env | threads | {"COURSE_RECORD": str(notes)}, timeout=timeout)
        noted = [json.loads(line) for line in notes.read_text("utf-8").splitlines()] if notes.exists() else []
    values, troubles = {}, [f"cell {cell}: {error}" for cell, error in done.failed]
    for note in noted:
        if note["claim"] in values:
            troubles.append(f"{note['claim']} was claimed twice in one run")
        if not math.isfinite(note["value"]):
            troubles.append(f"{note['claim']} is {note['value']}, not a number")
        values[note["claim"]] = note["value"]
    number = setting.chapter.name[:2]
    # Public data may lack what a claim of the stand-ins is about, and the chapter asks; with these, all are reached.
    expected = {claim.name for claim in claims_in(done.notebook, number)} if setting.source == "bundled" else set()
    if missing := expected - set(values):
        troubles.append(f"never reached: {', '.join(sorted(missing))}")
    if troubles:
        return Outcome(setting, None, troubles, done.notebook)
    if not threads:  # alone on the machine: how long it took says something
        values[f"{number}-seconds"] = round(done.seconds, 1)
    # what a session uses is known at its end: then every checkpoint has been asked for
    source = noted[-1]["source"] if noted and setting.source != "bundled" else setting.source
    run = {"schema": claims.SCHEMA, "made_by": setting.chapter.stem, "code": code_hash(done.notebook), "values": values}
    run |= {"source": source, "seed": setting.seed, "command": _command()} | here
    return Outcome(setting, run, [], done.notebook)


async def circumstances_with(env: dict[str, str]) -> dict:
    """`circumstances` of a process with this environment: instruction sets are fixed when PyTorch is loaded."""
    code = "import json; from course_utils.desk import record; print(json.dumps(record.circumstances()))"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env=os.environ | env, stdout=asyncio.subprocess.PIPE
    )
    return json.loads((await process.communicate())[0].decode().splitlines()[-1])


def _command() -> str:
    return shlex.join(["python", "-m", "course_utils", *sys.argv[1:]])


async def record(wanted: list[Setting], *, workers: int, timeout: int, path: Path | None = None) -> list[str]:
    """Record what is not recorded yet; returns what went wrong, a line each.

    Raises:
        ValueError: a chapter claims something in a form that cannot be read, or the record cannot be.
    """
    add([], path)  # a record that cannot be written is told now, and not after an hour
    hashes = {}
    for chapter in {s.chapter for s in wanted}:
        notebook = nbformat.read(chapter, 4)
        claims_in(notebook, chapter.name[:2])  # its faults are told now, too
        hashes[chapter] = code_hash(notebook)
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // workers))} if workers > 1 else {}
    known = {}
    for setting in wanted:
        if setting.machine not in known:
            known[setting.machine] = await circumstances_with(setting.env | threads)
    done = {(_key(run | {"source": run["source"] == "bundled"}), run["code"]) for run in claims.load_record(path)}
    todo = []
    for s in wanted:
        run = {"made_by": s.chapter.stem, "source": s.source == "bundled", "seed": s.seed} | known[s.machine]
        if (key := (_key(run), hashes[s.chapter])) not in done:
            done.add(key)  # "native" and "fp32" may be the same here
            todo.append(s)
    print(f"{len(wanted)} runs, {len(wanted) - len(todo)} of them recorded already.")
    troubles = []
    with tqdm(total=len(todo), unit="run") as bar:
        async for outcome in all_of([partial(run_once, s, known[s.machine], timeout, threads) for s in todo], workers):
            if outcome.run:
                add([outcome.run], path)
            for trouble in outcome.troubles:
                troubles.append(f"{outcome.setting}: {trouble}")
                bar.write(troubles[-1])
            bar.update()
    return troubles


def table(chapters: list[Path], path: Path | None = None) -> list[str]:
    """One line a claim and source: its values, how often its comparison held, and by how many deviations at least."""
    lines, runs = [], claims.load_record(path)
    for chapter in chapters:
        notebook = nbformat.read(chapter, 4)
        known, code = {claim.name: claim for claim in claims_in(notebook, chapter.name[:2])}, code_hash(notebook)
        own = [run for run in runs if run["made_by"] == chapter.stem]
        for source in claims.SOURCES:
            of_source = [run for run in own if run["source"] == source]
            stale = sum(run["code"] != code for run in of_source)
            if of_source:
                age = f", {stale} of them from before its code changed" if stale else ""
                lines.append(f"{chapter.stem}, {source}: {len(of_source)} runs{age}")
            for name, claim in known.items():
                values = [run["values"][name] for run in of_source if name in run["values"]]
                if values:
                    lines.append(_row(claim, values))
        lines += [f"  {name:40} not recorded" for name in known if not any(name in run["values"] for run in own)]
    return lines


def _row(claim: Claim, values: list[float]) -> str:
    usual = claims.band(values)
    mean = sum(values) / len(values)
    row = f"  {claim.name:40} {mean:10.4g}  in {min(values):.4g} to {max(values):.4g}"
    if usual:
        row += f", usual {usual.low:.4g} to {usual.high:.4g}"
    if claim.is_comparison:
        held = sum(claims.holds(v, claim.above, claim.below) for v in values)
        row += f", held {held} of {len(values)}"
        if usual:
            row += f", smallest margin {smallest_margin(claim, values):.1f} sd"
    return row


def smallest_margin(claim: Claim, values: list[float]) -> float:
    """How far the worst value is from the bound, in standard deviations; negative where it is on the wrong side."""
    above = [v - claim.above for v in values] if claim.above is not None else []
    below = [claim.below - v for v in values] if claim.below is not None else []
    return min(above + below) / (claims.band(values).spread or math.ulp(0.0))  # only zeros spread by nothing


def stale(root: Path, path: Path | None = None) -> list[str]:
    """Which chapters have runs from before their code changed, or claims that nobody recorded; a line each."""
    lines, runs = [], claims.load_record(path)
    for chapter in find_chapters(root):
        notebook = nbformat.read(chapter, 4)
        own = [run for run in runs if run["made_by"] == chapter.stem]
        old = sum(run["code"] != code_hash(notebook) for run in own)
        if old:
            lines.append(f"{chapter.stem}: {old} of {len(own)} runs are from before its code changed")
        known = claims_in(notebook, chapter.name[:2])
        missing = [c.name for c in known if not any(c.name in run["values"] for run in own)]
        if missing:
            lines.append(f"{chapter.stem}: nobody has recorded {', '.join(missing)}")
    return lines


def _numbers(text: str) -> list[int]:
    ends = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    numbers = list(range(int(ends[1]), int(ends[2] or ends[1]) + 1)) if ends else []
    if not numbers:
        raise argparse.ArgumentTypeError(f"{text!r} is no range of seeds: write 0-3, or 2 for one.")
    return numbers


def add_arguments(command) -> None:
    command.add_argument("chapters", nargs="*", metavar="CHAPTER", help="numbers or names; all without any")
    command.add_argument("--seeds", type=_numbers, default=[0], help="for example 0-3")
    command.add_argument("--precisions", default="native", help=f"{', '.join(PRECISIONS)}, separated by commas")
    command.add_argument("--instructions", default="native", help=f"{', '.join(INSTRUCTIONS)}, separated by commas")
    command.add_argument("--source", default="bundled", choices=SOURCES)
    command.add_argument("--workers", type=int, default=1, help="runs side by side; with one, their seconds are kept")
    command.add_argument("--timeout", type=int, default=900, help="seconds for one cell")
    command.add_argument("--table", action="store_true", help="only print what is recorded")


def run(options) -> int:
    chapters = find_chapters(Path.cwd(), options.chapters)
    troubles = []
    if not options.table:
        precisions, instructions = options.precisions.split(","), options.instructions.split(",")
        for given, allowed in ((precisions, PRECISIONS), (instructions, INSTRUCTIONS)):
            if unknown := set(given) - set(allowed):
                raise ValueError(f"{', '.join(sorted(unknown))}: choose from {', '.join(allowed)}.")
        for name in ("workers", "timeout"):
            if (value := getattr(options, name)) < 1:
                raise ValueError(f"--{name} {value}: at least 1 is needed.")
        wanted = settings(chapters, options.source, options.seeds, precisions, instructions)
        try:
            troubles = asyncio.run(record(wanted, workers=options.workers, timeout=options.timeout))
        except KeyboardInterrupt:
            print("\nInterrupted: what was finished is recorded, and the same command goes on.", file=sys.stderr)
            return 130
    print("\n".join(table(chapters)))
    if troubles:
        print("\nNot recorded:\n" + "\n".join(troubles), file=sys.stderr)
    return 1 if troubles else 0
