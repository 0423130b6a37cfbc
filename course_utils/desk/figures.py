"""Figures in the text: ``0.96 ± 0.01<!--claim:NAME@SOURCE-->`` is written, and kept true, from the record.

The figure before the comment says how it is to be written: a mean with so many decimals; ``a ± b``, with the standard
deviation; ``a to b``, the smallest and the largest; ``k of n``, how often a comparison held. After SOURCE may stand
``:words``: then only runs whose hardware and precision contain these words count.
"""

import math
import os
import re
import statistics
from pathlib import Path

import nbformat

from course_utils import claims
from course_utils.desk.chapters import claims_in, find_chapters

NUMBER = r"[-−]?\d+(?:,\d{3})*(?:\.\d+)?"
# What stands before belongs to no figure: in "1.5", "3-5" or "1±0.1" the last number alone is none.
FIGURE = re.compile(
    rf"(?<![\w.,±–−-])({NUMBER})(?:( ± | to | of )({NUMBER}))?<!--claim:([\w.-]+)@(\w+)(?::([^>]*?))?-->"
)
CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)  # there a reader sees the comment, as an example
MARKER = re.compile(r"(.{0,20})<!--claim:(.*?)(?:-->|$)", re.MULTILINE)
BENCHMARKS = {  # how a claim begins → what records it; a chapter's begin with its number
    "pictures": "benchmarks/pictures_accuracy.py --record",
    "reviews": "benchmarks/reviews_accuracy.py --record",
    "bert-mini": "benchmarks/bert_mini.py --record",
    "bert-base-chinese": "benchmarks/bert_mini.py --only speed --record",
    "bert-base-uncased": "benchmarks/finetune_text.py --record",
    "text": "benchmarks/finetune_text.py --record",
    "vision": "benchmarks/finetune_vision.py --record",
    "inference": "benchmarks/inference.py --record",
    "growth": "benchmarks/growth.py --record",
}


def command_for(claim: str) -> str:
    """The command that records a claim."""
    if claim[:2].isdigit():
        return f"python -m course_utils record {claim[:2]}"
    known = (f"python {command}" for start, command in BENCHMARKS.items() if claim.startswith(start))
    return next(known, "a benchmark with --record")


def written(figure: re.Match, comparisons: dict, path: Path | None = None) -> str:
    """A figure as the record has it, in the form in which it is written.

    Raises:
        LookupError: the claim is not recorded, or not a comparison; says which command records it.
    """
    first, form, _, claim, source, words = figure.groups()
    values = [
        run["values"][claim]
        for run in claims.load_record(path)
        if run["source"] == source
        and claim in run["values"]
        and all(word in f"{run['hardware']} {run['precision']}" for word in (words or "").split())
    ]
    if not values:
        on = f" on {words}" if words else ""
        raise LookupError(f"{claim} is not recorded with {source} checkpoints{on}. To record it: {command_for(claim)}")
    if form == " of " and claim not in comparisons:
        raise LookupError(f"{claim} is no comparison: no chapter gives it above= or below=.")
    decimals = len(first.partition(".")[2])
    if form == " of ":
        bound = comparisons[claim]
        return f"{sum(claims.holds(v, bound.above, bound.below) for v in values)} of {len(values)}"
    if form == " to ":
        return f"{_number(min(values), decimals)} to {_number(max(values), decimals)}"
    mean = _number(statistics.mean(values), decimals)
    if form != " ± ":
        return mean
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    if 0 < deviation <= 0.5 * 10**-decimals:  # no spread is rounded to nothing
        decimals = -math.floor(math.log10(deviation))
    return f"{mean} ± {_number(deviation, decimals)}"


def _number(value: float, decimals: int) -> str:
    return f"{value:z,.{decimals}f}".replace("-", "−")


def pages(root: Path) -> list[Path]:
    return [root / "README.md", *sorted(root.glob("book/en/*.md")), *find_chapters(root)]


def update(root: Path, *, write: bool) -> list[str]:
    """Compare every cited figure with the record, and correct it if `write`.

    Returns:
        What is wrong, a line each: figures that differ (unless they were corrected), claims that are not recorded.
    """
    comparisons = {
        claim.name: claim
        for chapter in find_chapters(root)
        for claim in claims_in(nbformat.read(chapter, 4), chapter.name[:2])
        if claim.is_comparison
    }
    wrong = []
    for page in pages(root):
        where = page.relative_to(root)

        def corrected(figure, where=where):
            as_written = figure.group().partition("<")[0]
            try:
                right = written(figure, comparisons)
            except LookupError as error:
                wrong.append(f"{where}: {error}")
                return figure.group()
            if right != as_written and not write:
                wrong.append(f"{where}: {as_written} stands for {figure[4]}, the record has {right}")
            return figure.group().replace(as_written, right, 1)

        def corrected_text(text, where=where, corrected=corrected):
            parts = CODE.split(text)
            for before, claim in MARKER.findall(FIGURE.sub("", "".join(parts[::2]))):
                wrong.append(f"{where}: no figure stands right before the comment of {claim}, but {before!r}")
            parts[::2] = [FIGURE.sub(corrected, part) for part in parts[::2]]
            return "".join(parts)

        if page.suffix == ".md":
            before = page.read_text(encoding="utf-8")
            after = corrected_text(before)
        else:
            notebook = nbformat.read(page, 4)
            before = nbformat.writes(notebook) + "\n"
            for cell in notebook.cells:
                if cell.cell_type == "markdown":
                    cell.source = corrected_text(cell.source)
            after = nbformat.writes(notebook) + "\n"
        if write and after != before:
            unfinished = page.with_suffix(".unfinished")
            unfinished.write_text(after, encoding="utf-8")
            os.replace(unfinished, page)
    return wrong


def add_arguments(command) -> None:
    command.add_argument("--check", action="store_true", help="change nothing; exit with 1 where a figure differs")


def run(options) -> int:
    wrong = update(Path.cwd(), write=not options.check)
    print("\n".join(wrong) if wrong else "Every cited figure is as recorded.")
    return 1 if wrong else 0
