"""What the tests of claims, record and figures share: runs that were not made, and chapters of a few lines."""

import json

import nbformat

VERSIONS = {"python": "3.11.7", "torch": "2.11.0"}


def a_run(values, **other):
    """A line of the record; `other` replaces its fields."""
    run = {"schema": 1, "made_by": "03_small", "code": "", "source": "bundled", "seed": 0, "precision": "fp32"}
    run |= {"hardware": "a CPU, AVX2", "versions": VERSIONS, "date": "2026-11-26", "command": "a test"}
    return run | {"values": values} | other


def runs_of(claim, values, **other):
    return [a_run({claim: value}, seed=seed, **other) for seed, value in enumerate(values)]


def write_record(path, runs):
    path.write_text("".join(json.dumps(run) + "\n" for run in runs))
    return path


def write_chapter(root, name, *cells):
    """A chapter of code cells; a nbformat cell stands as it is, such as an exercise or a text."""
    made = [nbformat.v4.new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    path = root / "book/en" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=made), path)
    return path


def exercise(source):
    return nbformat.v4.new_code_cell(source, metadata={"nbgrader": {"grade": False, "solution": True}})
