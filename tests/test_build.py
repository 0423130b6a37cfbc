"""``make book``: a chapter that fails shows its error on its page, the others render, and what failed runs again."""

import asyncio
import shutil
from pathlib import Path

import nbformat
import pytest
import yaml

from course_utils import claims
from course_utils.desk import book

ROOT = Path(__file__).parents[1]
SOUND, BROKEN = "print('the answer is', 6 * 7)", "colours = ['red']\ncolours[3]"


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of two small chapters, of which the second fails."""
    monkeypatch.delenv("COURSE_MIRROR", raising=False)
    monkeypatch.setattr(claims, "RECORD", tmp_path / "record.jsonl")
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    del config["bibtex_bibfiles"], config["sphinx"], config["html"]["favicon"]  # large, and no matter here
    (tmp_path / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    toc = {
        "format": "jb-book",
        "root": "book/en/index",
        "chapters": [{"file": f"book/en/0{i}_chapter"} for i in (1, 2)],
    }
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    (tmp_path / "book/en").mkdir(parents=True)
    (tmp_path / "book/en/index.md").write_text("# A book\n", encoding="utf-8")
    for i, source in enumerate((SOUND, BROKEN), 1):
        write_chapter(tmp_path, i, source)
    return tmp_path


def write_chapter(course, number, source):
    cells = [nbformat.v4.new_markdown_cell(f"# Chapter {number}"), nbformat.v4.new_code_cell(source)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), course / f"book/en/0{number}_chapter.ipynb")


def executed_at(course, number):
    return (course / book.EXECUTED / f"book/en/0{number}_chapter.ipynb").stat().st_mtime_ns


def test_a_failing_chapter_shows_its_error_and_the_others_render(course, capsys):
    assert book.build_book(course) == 1
    said = capsys.readouterr().err
    assert "02_chapter, cell 1: IndexError: list index out of range" in said and "01_chapter, cell" not in said
    site = course / "_build/html/book/en"
    assert "the answer is 42" in (site / "01_chapter.html").read_text(encoding="utf-8")
    assert "IndexError" in (site / "02_chapter.html").read_text(encoding="utf-8")
    before = executed_at(course, 1), executed_at(course, 2)
    write_chapter(course, 2, SOUND)
    assert book.build_book(course) == 0
    assert executed_at(course, 1) == before[0] and executed_at(course, 2) > before[1]
    assert "the answer is 42" in (site / "02_chapter.html").read_text(encoding="utf-8")


def test_what_failed_is_executed_again_though_nothing_changed(course):
    into, chapters = course / "out", book.find_chapters(course)
    into.mkdir()
    for _ in range(2):
        failed = asyncio.run(book.execute_into(into, chapters, "bundled"))
        assert set(failed) == {"02_chapter"}


def test_executing_in_place_keeps_a_failing_chapters_outputs(course, capsys):
    before = {path.name: path.read_bytes() for path in book.find_chapters(course)}
    assert book.execute_in_place(book.find_chapters(course)) == 1
    assert "02_chapter, cell 1: IndexError" in capsys.readouterr().err
    after = {path.name: path.read_bytes() for path in book.find_chapters(course)}
    assert [run["made_by"] for run in claims.load_record()] == ["01_chapter"]
    assert before["01_chapter.ipynb"] != after["01_chapter.ipynb"]
    assert before["02_chapter.ipynb"] == after["02_chapter.ipynb"]
    assert not list(course.rglob("*.unfinished"))


@pytest.mark.parametrize(
    ("environment", "source"),
    [
        ({}, "bundled"),
        ({"COURSE_MIRROR": "/a/mirror"}, "auto"),
        ({"COURSE_MIRROR": "/a/mirror", "COURSE_SOURCE": "bundled"}, "bundled"),
        ({"COURSE_SOURCE": "hub"}, "hub"),
    ],
)
def test_where_the_book_takes_data_from_on_a_cpu(monkeypatch, environment, source):
    import torch

    monkeypatch.setattr(book.runtime, "device", lambda: torch.device("cpu"))
    for name in ("COURSE_MIRROR", "COURSE_SOURCE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert book.source_here() == source


def test_the_makefile_names_short_commands():
    lines = (ROOT / "Makefile").read_text(encoding="utf-8").splitlines()
    assert max(map(len, lines)) <= 120


def test_the_course_must_be_where_it_is_run(tmp_path, monkeypatch, capsys):
    from course_utils.__main__ import main

    monkeypatch.chdir(tmp_path)
    shutil.rmtree(tmp_path / "book", ignore_errors=True)
    for command in (["book"], ["book", "--stored"], ["record", "--table"]):
        assert main(command) == 2
        assert "run this in the course's own folder" in capsys.readouterr().err
