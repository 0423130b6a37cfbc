"""One's own data: what belongs together stays so, each class is in each split, in any order of the input."""

import random
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

import course_utils as cu
from course_utils.splits import PARTS
from course_utils.texts import Split, text_key


def parts_of(splits):
    return [getattr(splits, part) for part in PARTS]


def texts(n, seed=0):
    """Texts of three uneven classes, some of which repeat each other but for case and punctuation."""
    draw = random.Random(seed)
    rows = [(f"text number {i}", draw.choices(["bad", "good", "odd"], [6, 3, 1])[0]) for i in range(n)]
    rows += [(f"Text, number {i}!", label) for i, (_, label) in enumerate(rows[: n // 10])]
    draw.shuffle(rows)
    return [text for text, _ in rows], [label for _, label in rows]


@pytest.mark.parametrize("seed", range(10))
def test_a_split_of_texts_is_whole_stratified_and_without_leaks(seed):
    own, labels = texts(random.Random(seed).choice([60, 200, 701]), seed)
    splits = cu.split(own, labels)
    assert sorted(text for part in parts_of(splits) for text in part.texts) == sorted(own)
    keys = [{text_key(text) for text in part.texts} for part in parts_of(splits)]
    assert not keys[0] & keys[1] and not keys[0] & keys[2] and not keys[1] & keys[2]
    assert splits.classes == ["bad", "good", "odd"]
    for part, share in zip(parts_of(splits), (0.7, 0.15, 0.15), strict=True):
        for label, name in enumerate(splits.classes):
            found = part.labels.count(label)
            assert found >= 1 and abs(found - share * labels.count(name)) <= 2
        assert all(labels[own.index(t)] == splits.classes[y] for t, y in zip(part.texts, part.labels, strict=True))


def test_the_order_of_the_input_does_not_matter():
    own, labels = texts(200)
    order = random.Random(1).sample(range(len(own)), len(own))
    again = cu.split([own[i] for i in order], [labels[i] for i in order])
    assert [part.texts for part in parts_of(again)] == [part.texts for part in parts_of(cu.split(own, labels))]


@pytest.mark.parametrize("seed", range(5))
def test_what_is_of_one_group_stays_together(seed):
    own, labels = texts(300, seed)
    authors = [random.Random(text_key(text)).randrange(60) for text in own]
    splits = cu.split(own, labels, authors, validation=0.2, test=0.2)
    of = [{authors[own.index(text)] for text in part.texts} for part in parts_of(splits)]
    assert not of[0] & of[1] and not of[0] & of[2] and not of[1] & of[2]
    for part, share in zip(parts_of(splits), (0.6, 0.2, 0.2), strict=True):
        assert abs(len(part) - share * len(own)) <= 0.05 * len(own)


def test_a_class_of_35_is_in_each_split():
    labels = ["rare"] * 35 + ["common"] * 465
    splits = cu.split([f"text {i}" for i in range(500)], labels)
    assert [part.labels.count(1) for part in parts_of(splits)] == [25, 5, 5]
    assert [len(part) for part in parts_of(splits)] == [350, 75, 75]


def test_names_become_numbers_that_a_model_can_say_by_name():
    splits = cu.split([f"text {i}" for i in range(30)], ["pos", "neg", "neg"] * 10)
    assert splits.id2label == {0: "neg", 1: "pos"} and splits.label2id == {"neg": 0, "pos": 1}
    assert cu.split(list("abcdefghi"), np.array([0, 1, 2] * 3)).classes == ["0", "1", "2"]
    assert cu.load_reviews().classes == ["negative", "positive"]


def test_what_has_two_labels_is_listed_and_stays_together(capsys):
    own = [f"text {i}" for i in range(40)] + ["TEXT 3!"]
    splits = cu.split(own, ["a", "b"] * 20 + ["a"])
    said = capsys.readouterr().out
    assert "2 examples are copies of one another, or nearly: they stay together." in said
    assert "two labels for the same: row 3, row 40. Correct one, or leave them out." in said
    assert sum({"text 3", "TEXT 3!"} <= set(part.texts) for part in parts_of(splits)) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"labels": ["a", "b"]}, "30 texts but 2 labels: each text needs one label"),
        ({"labels": None}, "30 texts but no labels"),
        ({"groups": [1]}, "30 examples but 1 groups"),
        ({"labels": ["a"] * 28 + ["b"] * 2}, "b: fewer than three examples that do not belong together"),
        ({"groups": [0] * 15 + [1] * 15}, "a, b, c: fewer than three examples that do not belong together"),
        ({"labels": [1, 2, 3] * 10}, "The labels are 1, 2, 3: number them from 0 without a gap, or name them"),
        ({"labels": [0, 1.0, 1] * 10}, "The label of row 1 is 1.0 .float.: give whole numbers from 0, or only names"),
        ({"labels": ["a", None, "b"] * 10}, "The label of row 1 is None"),
        ({"labels": [0, float("nan"), 1] * 10}, "The label of row 1 is nan .*nan is an empty cell"),
        ({"labels": [True, False, True] * 10}, "The label of row 0 is True"),
        ({"validation": 0.5, "test": 0.5}, "must be shares that leave some for training"),
        ({"validation": 0}, "must be shares"),
        ({"examples": [], "labels": []}, "There is nothing to split"),
    ],
)
def test_what_cannot_be_split_is_told_in_a_sentence(arguments, said):
    given = {"examples": [f"text {i}" for i in range(30)], "labels": ["a", "b", "c"] * 10} | arguments
    with pytest.raises(ValueError, match=said):
        cu.split(given.pop("examples"), given.pop("labels"), **given)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Scenes of two classes; of some a darker, smaller copy, one in the other class too, and a broken file."""
    folder = tmp_path_factory.mktemp("photos")
    for i in range(24):
        scene = Image.fromarray(np.random.default_rng(i).integers(0, 256, (6, 8, 3), np.uint8))
        scene = scene.resize((160, 120), Image.Resampling.BICUBIC)
        name = ("cat", "dog")[i % 2]
        (folder / name).mkdir(exist_ok=True)
        scene.save(folder / name / f"{i}.png")
        if i < 6:
            ImageEnhance.Brightness(scene).enhance(0.8).resize((100, 75)).save(folder / name / f"{i} copy.jpg")
    Image.open(folder / "cat/0.png").save(folder / "dog/cat.png")
    (folder / "dog/broken.png").write_bytes(b"no picture")
    return folder


def test_a_folder_is_split_with_near_copies_together_and_faults_listed(photos, capsys):
    pictures = cu.load_folder(photos)
    splits = cu.split(pictures, name="pets")
    said = capsys.readouterr().out
    assert "broken.png will not decode" in said and said.count("two labels for the same:") == 1
    assert "13 examples are copies of one another, or nearly" in said and "cat.png" in said
    names = [{name for name in part.names} for part in parts_of(splits)]
    assert sum(map(len, names)) == len(pictures) - 1
    for i in range(6):
        stem = f"{('cat', 'dog')[i % 2]}/{i}"
        assert (
            sum(any(n.endswith(f"{stem}.png") for n in of) and any(f"{stem} copy" in n for n in of) for of in names)
            == 1
        )
    assert splits.name == "pets" and splits.classes == ["cat", "dog"]
    assert all({0, 1} == set(part.labels) for part in parts_of(splits))
    order = random.Random(0).sample(range(len(pictures)), len(pictures))
    again = cu.split(pictures.subset(order))
    assert [part.names for part in parts_of(again)] == [part.names for part in parts_of(splits)]
    assert splits.train.in_memory(64).names == splits.train.names


def test_the_pages_listing_for_ones_own_data_runs(photos, tmp_path, monkeypatch, capsys):
    page = (Path(__file__).parents[1] / "book/en/faq.md").read_text(encoding="utf-8")
    (listing,) = re.findall(
        r"```python\n(.*?)```", page.partition("## How do I train on texts or photos")[2], re.DOTALL
    )[:1]
    rows = "".join(f"text {i},{('bad', 'good')[i % 2]}\n" for i in range(40))
    (tmp_path / "mine.csv").write_text("text,label\n" + rows, encoding="utf-8-sig")
    (tmp_path / "photos").symlink_to(photos)
    monkeypatch.chdir(tmp_path)
    exec(listing, {"cu": cu})
    said = capsys.readouterr().out
    assert "['bad', 'good'] 28 6 6" in said and "['cat', 'dog'] ['photos/" in said


@pytest.mark.parametrize(
    ("label", "said"), [("pos", "a name: cu.split"), (1.0, "not a whole number"), (None, "None is")]
)
def test_tokenize_names_the_row_of_a_label_that_is_no_number(label, said):
    with pytest.raises(TypeError, match=f"The label of row 1 is .*{said}"):
        cu.tokenize(Split(["a", "b"], [0, label]), None)


def test_a_split_needs_no_more_than_texts_and_labels():
    split = Split(["a", "b"], [0, 1])
    assert split.domains == split.difficulties == ["unrated"] * 2
