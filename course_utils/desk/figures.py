"""Figures in the text: ``0.96 ± 0.01<!--claim:NAME@SOURCE-->`` is written, and kept true, from the record.

The figure before the comment says how it is to be written: a mean with so many decimals; ``a ± b``, with the standard
deviation; ``a to b``, the smallest and the largest; ``k of n``, how often a comparison held. After SOURCE may stand
``:words``: then only runs whose hardware and precision contain these words count.
"""

import os
import re
import statistics
from pathlib import Path

import nbformat

from course_utils import claims
from course_utils.desk.chapters import claims_in, find_chapters

NUMBER = r"[\d,]*\d(?:\.\d+)?"
FIGURE = re.compile(rf"({NUMBER})(?:( ± | to | of )({NUMBER}))?<!--claim:([\w.-]+)@(\w+)(?::([^>]*?))?-->")
BENCHMARKS = {  # how a claim begins → what records it; a chapter's begin with its number
    "pictures": "benchmarks/pictures_accuracy.py --record",
    "reviews": "benchmarks/reviews_accuracy.py --record",
    "bert-mini": "benchmarks/bert_mini.py --record",
    "bert-base-chinese": "benchmarks/bert_mini.py --only speed --record",
    "bert-base-uncased": "benchmarks/finetune_text.py --record",
    "text": "benchmarks/finetune_text.py --record",
    "vision": "benchmarks/finetune_vision.py --record",
}


def command_for(claim: str) -> str:
    """The command that records a claim."""
    if claim[:2].isdigit():
        return f"python -m course_utils record {claim[:2]}"
    return next((f"python {command}" for start, command in BENCHMARKS.items() if claim.startswith(start)), "no command")


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
        and (words or "") in f"{run['hardware']} {run['precision']}"
    ]
    if not values or (form == " of " and claim not in comparisons):
        what = f"not recorded with {source} checkpoints" if not values else "no comparison: it has no above= or below="
        raise LookupError(f"{claim} is {what}. To record it: {command_for(claim)}")
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
    # no spread is rounded to nothing
    return f"{mean} ± {_number(deviation, decimals + (0 < deviation < 0.5 * 10**-decimals))}"


def _number(value: float, decimals: int) -> str:
    return f"{value:,.{decimals}f}"


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
        for claim in claims_in(nbformat.read(chapter, 4))
        if claim.is_comparison
    }
    wrong = []
    for page in pages(root):

        def corrected(figure, page=page):
            as_written = figure.group().partition("<")[0]
            try:
                right = written(figure, comparisons)
            except LookupError as error:
                wrong.append(f"{page.relative_to(root)}: {error}")
                return figure.group()
            if right != as_written and not write:
                wrong.append(f"{page.relative_to(root)}: {as_written} stands for {figure[4]}, the record has {right}")
            return figure.group().replace(as_written, right, 1)

        if page.suffix == ".md":
            before = page.read_text(encoding="utf-8")
            after = FIGURE.sub(corrected, before)
        else:
            notebook = nbformat.read(page, 4)
            before = nbformat.writes(notebook) + "\n"
            for cell in notebook.cells:
                if cell.cell_type == "markdown":
                    cell.source = FIGURE.sub(corrected, cell.source)
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
