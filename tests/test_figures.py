"""Figures in the text are written from the record, in the form in which they stand; what cannot be written is told."""

import nbformat
import pytest
from small_course import a_run, runs_of, write_chapter, write_record

from course_utils import claims
from course_utils.__main__ import main
from course_utils.desk import figures

VALUES = [0.30, 0.35, 0.37, 0.42]  # mean 0.36, standard deviation 0.0497


@pytest.fixture(autouse=True)
def course(tmp_path, monkeypatch):
    """A course of one chapter, with a record, and here."""
    other = runs_of("03-head", [0.9], precision="bf16", hardware="NVIDIA H100 80GB HBM3, 16 cores")
    runs = [*runs_of("03-head", VALUES), *other, a_run({"pictures-speed": 12345.6}, made_by="b", source="mirror")]
    runs += [*runs_of("03-ahead", [0.2, 0.1, -0.1], made_by="c"), *runs_of("03-below", [-0.25, -0.35], made_by="d")]
    runs += runs_of("03-narrow", [0.5, 0.5002], made_by="e")
    monkeypatch.setattr(claims, "RECORD", write_record(tmp_path / "record.jsonl", runs))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text("# A course\n")
    write_chapter(tmp_path, "03_small", "cu.expect('03-ahead', 1, above=0)\ncu.expect('03-head', 1)")
    return tmp_path


def written(course, text, name="index.md"):
    """What becomes of a page's text, and what is told."""
    page = course / "book/en" / name
    page.write_text(text, encoding="utf-8")
    told = figures.update(course, write=True)
    return page.read_text(encoding="utf-8"), told


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("0.11<!--claim:03-head@bundled:AVX2-->", "0.36"),
        ("0.100<!--claim:03-head@bundled:AVX2-->", "0.360"),
        ("0<!--claim:03-head@bundled:AVX2-->", "0"),
        ("0.1 ± 0.9<!--claim:03-head@bundled:AVX2-->", "0.4 ± 0.05"),
        ("0.11 ± 0.99<!--claim:03-head@bundled:AVX2-->", "0.36 ± 0.05"),
        ("0.1 to 0.9<!--claim:03-head@bundled:AVX2-->", "0.3 to 0.4"),
        ("0.11 to 0.99<!--claim:03-head@bundled-->", "0.30 to 0.90"),
        ("5 of 5<!--claim:03-ahead@bundled-->", "2 of 3"),
        ("0.1<!--claim:03-head@bundled:H100 bf16-->", "0.9"),
        ("0.1 ± 0.1<!--claim:03-head@bundled:bf16-->", "0.9 ± 0.0"),  # one run has no spread
        ("1,234<!--claim:pictures-speed@mirror-->", "12,346"),
        ("1.5<!--claim:pictures-speed@mirror-->", "12,345.6"),
        ("0.15<!--claim:03-below@bundled-->", "−0.30"),
        ("−0.15 to 0.25<!--claim:03-below@bundled-->", "−0.35 to −0.25"),
        ("-0.15 ± 0.25<!--claim:03-below@bundled-->", "−0.30 ± 0.07"),
        ("0.11 ± 0.01<!--claim:03-narrow@bundled-->", "0.50 ± 0.0001"),  # no spread is rounded to nothing
    ],
)
def test_each_form_is_written_as_it_stands_and_only_once(course, before, after):
    comment = before[before.index("<") :]
    for text, expected in ((before, after + comment), (f"| of {before} |", f"| of {after}{comment} |")):
        page, told = written(course, text)
        assert page == expected and told == []
        assert written(course, page) == (page, [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "0.1<!--claim:03-other@bundled-->",
            "03-other is not recorded with bundled checkpoints. To record it: python -m course_utils record 03",
        ),
        ("0.1<!--claim:03-head@hub-->", "03-head is not recorded with hub checkpoints."),
        ("0.1<!--claim:03-head@bundled:TPU-->", "03-head is not recorded with bundled checkpoints on TPU."),
        (
            "0.1<!--claim:pictures-other@mirror-->",
            "To record it: python benchmarks/pictures_accuracy.py --record",
        ),
        ("1 of 2<!--claim:03-head@bundled-->", "03-head is no comparison"),
        # comments before which no figure stands
        ("<!--claim:03-head@bundled-->", "no figure stands right before the comment of 03-head@bundled"),
        ("75 seconds<!--claim:03-head@bundled-->", "but '75 seconds'"),
        ("0.36 <!--claim:03-head@bundled-->", "but '0.36 '"),
        ("35 %<!--claim:03-head@bundled-->", "but '35 %'"),
        ("**0.36**<!--claim:03-head@bundled-->", "but '**0.36**'"),
        ("0.36±0.01<!--claim:03-head@bundled-->", "but '0.36±0.01'"),
        ("0.3-0.4<!--claim:03-head@bundled-->", "but '0.3-0.4'"),
        ("0.3–0.4<!--claim:03-head@bundled-->", "but '0.3–0.4'"),
        ("0,35<!--claim:03-head@bundled-->", "but '0,35'"),
        ("0.36<!--claim:03-head-->", "no figure stands right before the comment of 03-head"),
        ("0.36<!--claim:名字@bundled-->", "名字 is not recorded"),
        ("0.36<!--claim:03-head@bundled", "03-head@bundled"),
    ],
)
def test_what_cannot_be_written_is_told_with_its_page_and_stays(course, text, said):
    page, told = written(course, f"A text\n{text}\nand a line.\n")
    assert page == f"A text\n{text}\nand a line.\n"
    assert len(told) == 1 and told[0].startswith("book/en/index.md: ") and said in told[0]


def test_an_example_in_code_is_no_figure(course):
    example = "`0.1<!--claim:NAME@SOURCE-->` and\n```\n0.1 %<!--claim:x-->\n```\n"
    page, told = written(course, f"{example} 0.99<!--claim:03-head@bundled:AVX2--> {example}")
    assert page == f"{example} 0.36<!--claim:03-head@bundled:AVX2--> {example}" and told == []


def test_figures_that_are_right_stay_beside_one_that_is_not(course):
    comment = "<!--claim:03-head@bundled:AVX2-->"
    page, told = written(course, f"0.36{comment} and 0.1<!--claim:03-no@hub--> and 0.99{comment}, 0.99")
    assert page == f"0.36{comment} and 0.1<!--claim:03-no@hub--> and 0.36{comment}, 0.99"
    assert len(told) == 1 and "03-no" in told[0]


def chapter_with_figures(course):
    text = nbformat.v4.new_markdown_cell(
        "# Text — 名字\n\n0.99<!--claim:03-head@bundled:AVX2-->", metadata={"tags": ["a"]}
    )
    code = nbformat.v4.new_code_cell("x = '0.99<!--claim:03-head@bundled-->'", metadata={"nbgrader": {"grade": True}})
    code.outputs = [nbformat.v4.new_output("stream", text="0.99<!--claim:03-head@bundled-->")]
    return write_chapter(course, "03_small", "cu.expect('03-ahead', 1, above=0)", text, code)


def test_in_a_chapter_nothing_but_the_figure_changes(course):
    path = chapter_with_figures(course)
    before = path.read_text(encoding="utf-8")
    assert figures.update(course, write=True) == []
    after = path.read_text(encoding="utf-8")
    assert after == before.replace("\\n0.99", "\\n0.36").replace(
        '"0.99<!--claim:03-head@bundled:AVX2', '"0.36<!--claim:03-head@bundled:AVX2'
    )
    assert figures.update(course, write=True) == [] and path.read_text(encoding="utf-8") == after
    assert not list(course.rglob("*.unfinished"))


def test_checking_tells_every_page_and_changes_none(course, capsys):
    chapter, readme = chapter_with_figures(course), course / "README.md"
    readme.write_text("0.99<!--claim:03-head@bundled:AVX2-->\n")
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (chapter, readme)}
    assert main(["figures", "--check"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said == [
        f"{page}: 0.99 stands for 03-head, the record has 0.36" for page in ("README.md", "book/en/03_small.ipynb")
    ]
    assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (chapter, readme)}
    assert main(["figures"]) == 0 == main(["figures", "--check"])
    assert capsys.readouterr().out == "Every cited figure is as recorded.\n" * 2


def test_a_record_that_is_damaged_is_one_sentence_and_changes_nothing(course, capsys):
    chapter = chapter_with_figures(course)
    before = chapter.read_bytes()
    (course / "record.jsonl").write_text('{"schema": 1, "made')
    assert main(["figures"]) == 2
    assert capsys.readouterr().err.startswith("record.jsonl, line 1 is damaged or was cut short")
    assert chapter.read_bytes() == before


def test_elsewhere_it_says_where_to_run_it(tmp_path, monkeypatch, capsys):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["figures"]) == 2
    assert "run this in the course's own folder" in capsys.readouterr().err
