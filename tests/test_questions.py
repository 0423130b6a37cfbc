"""The questions of chapter 6: each answer is where its row says, and no statement is in both splits."""

import csv
from importlib.resources import files

import pytest


@pytest.fixture(scope="module")
def rows():
    with (files("course_utils") / "bundled/questions_zh.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_answer_stands_once_in_its_statement_at_the_place_that_is_named(rows):
    assert set(rows[0]) == {"split", "statement", "question", "answer", "start"}
    for row in rows:
        statement, answer, start = row["statement"], row["answer"], int(row["start"])
        assert answer and statement.count(answer) == 1 and statement[start:].startswith(answer), row


def test_no_statement_is_in_both_splits_and_none_asks_the_same_twice(rows):
    train, test = ({r["statement"] for r in rows if r["split"] == split} for split in ("train", "test"))
    assert len(train) >= 100 and len(test) >= 30 and not train & test
    assert len({(r["statement"], r["question"]) for r in rows}) == len(rows)
    assert len({(r["statement"], r["answer"]) for r in rows}) == len(rows)


def test_the_place_does_not_give_the_answer_away(rows):
    thirds = [min(2, int(3 * (int(r["start"]) + len(r["answer"]) / 2) / len(r["statement"]))) for r in rows]
    assert max(map(thirds.count, range(3))) < 0.45 * len(rows)
