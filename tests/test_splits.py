"""One's own data: what belongs together stays so, each class is in each split, in any order of the input."""

import io
import random
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from sklearn.model_selection import StratifiedGroupKFold

import course_utils as cu
from course_utils.pictures import Pictures
from course_utils.sources.splits import PARTS
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


def made_up(seed):
    """Rows of text, class and group: few or many of each class, a quarter of them again, nearly."""
    chance = random.Random(seed)
    rows = []
    for name in [f"class {k}" for k in range(chance.choice([2, 3, 6]))]:
        for i in range(chance.choice([3, 7, 35, 120])):
            group = f"{name} {i // 2}" if i > 5 and seed % 2 else f"{name} single {i}"
            rows.append((f"{name}: text {i}.", name, group))
    for text, name, group in chance.sample(rows, len(rows) // 4):
        rows.append((chance.choice([text, text.upper(), text + "!!"]), name, group))
    return rows


def columns(rows):
    return map(list, zip(*rows, strict=True))


@pytest.mark.parametrize("seed", range(30))
def test_whatever_the_data_each_text_is_in_one_split_with_its_kind_and_each_class_has_its_share(seed):
    rows = made_up(seed)
    splits = cu.split(*columns(rows), validation=0.2, test=0.2)
    parts = parts_of(splits)
    assert Counter(text for part in parts for text in part.texts) == Counter(text for text, _, _ in rows)
    name_of, group_of = {text: name for text, name, _ in rows}, {text: group for text, _, group in rows}
    homes, largest = {}, 2 * max(Counter(group for _, _, group in rows).values())
    for part, its, share in zip(PARTS, parts, (0.6, 0.2, 0.2), strict=True):
        for text, label in zip(its.texts, its.labels, strict=True):
            assert its.classes[label] == name_of[text]
            for what in (group_of[text], text_key(text)):
                assert homes.setdefault(what, part) == part, f"{what} is in two splits"
        for label, count in enumerate(Counter(name for _, name, _ in sorted(rows, key=lambda row: row[1])).values()):
            assert its.labels.count(label) >= 1
            assert abs(its.labels.count(label) - share * count) <= largest
    mixed = random.Random(seed).sample(rows, len(rows))
    assert cu.split(*columns(mixed), validation=0.2, test=0.2) == splits, "the order of the rows matters"


def test_the_classes_are_divided_as_evenly_as_scikit_learn_divides_them():
    off = {"ours": 0, "theirs": 0}
    for seed in range(30):
        texts, names, groups = map(np.array, zip(*made_up(seed), strict=True))
        if min(Counter(names).values()) < 5:
            continue  # there scikit-learn has no five folds
        _, theirs = next(StratifiedGroupKFold(5, shuffle=True, random_state=0).split(texts, names, groups))
        ours = np.isin(texts, cu.split(texts, names, groups, validation=0.2, test=0.2).test.texts)
        for who, chosen in (("ours", ours), ("theirs", theirs)):
            off[who] += sum(abs((names[chosen] == name).sum() / (names == name).sum() - 0.2) for name in set(names))
    assert 0 < off["ours"] <= 1.05 * off["theirs"]


@pytest.mark.parametrize(("size", "expected"), [(3, (1, 1, 1)), (4, (2, 1, 1)), (9, (7, 1, 1)), (35, (25, 5, 5))])
def test_a_small_class_beside_a_large_one_is_in_each_split(size, expected):
    texts = [f"eel {i}" for i in range(size)] + [f"cat {i}" for i in range(300)]
    splits = cu.split(texts, ["eel"] * size + ["cat"] * 300)
    assert tuple(part.labels.count(1) for part in parts_of(splits)) == expected
    assert [part.labels.count(0) for part in parts_of(splits)] == [210, 45, 45]


def test_columns_of_pandas_numpy_and_pytorch_are_read_by_place():
    class Column:  # as of a pandas table from which rows were dropped: numbered with gaps, iterated without
        def __init__(self, values):
            self.values = values

        def __len__(self):
            return len(self.values)

        def __iter__(self):
            return iter(self.values)

        def __getitem__(self, number):
            raise KeyError(number)

    texts = [f"text {i}" for i in range(12)]
    plain = cu.split(texts, [0, 1] * 6, [i // 2 for i in range(12)])
    assert cu.split(Column(texts), Column([0, 1] * 6), Column([i // 2 for i in range(12)])) == plain
    assert cu.split(np.array(texts), torch.tensor([0, 1] * 6)) == cu.split(texts, [0, 1] * 6)


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
        (
            {"examples": ["\ufefftext", *"abcdefgh"], "labels": [0, 1, 0] * 3},
            "Text 0 begins with a byte order .*utf-8-sig",
        ),
        ({"examples": [*"abcdefgh", "half \ud83d"], "labels": [0, 1, 0] * 3}, "Text 8 has half a character"),
        ({"labels": ["a", "b", ""] * 10}, "The label of row 2 is empty"),
        ({"labels": ["a"] * 30}, "Every label is a: a classifier needs two"),
        ({"groups": [*range(29), None]}, "row 29 has no group"),
        ({"groups": [float("nan"), *range(29)]}, "row 0 has no group"),
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


def jpeg(picture, quality):
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


def scene(seed):
    small = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8))
    return small.resize((96, 96), Image.Resampling.BICUBIC)


def test_pictures_that_are_alike_by_right_can_be_split():
    pictures = Pictures([jpeg(scene(0), quality) for quality in range(40, 70)], [0, 1, 1] * 10, ["a", "b"])
    with pytest.raises(ValueError, match="a, b: fewer than three examples that do not belong together"):
        cu.split(pictures)
    assert [len(part) for part in parts_of(cu.split(pictures, near=None, validation=0.2, test=0.2))] == [18, 6, 6]


def test_groups_of_pictures_stay_together():
    pictures = Pictures([jpeg(scene(i), 90) for i in range(40)], [0, 1] * 20, ["a", "b"])
    splits = cu.split(pictures, groups=[i // 4 for i in range(40)])
    of = [{int(name.split()[1]) // 4 for name in part.names} for part in parts_of(splits)]
    assert sum(map(len, of)) == 10 == len(set.union(*of))


def test_a_link_that_leads_nowhere_is_left_out_and_a_file_that_may_not_be_read_is_no_damage(
    photos, capsys, monkeypatch
):
    pictures = cu.load_folder(photos)
    pictures.sources[0] = photos / "cat" / "gone.png"
    cu.split(pictures)
    assert "gone.png" in capsys.readouterr().out

    def refused(source):
        raise PermissionError(13, "Permission denied", str(source))

    monkeypatch.setattr("course_utils.sources.splits.read_picture", refused)
    with pytest.raises(PermissionError):
        cu.split(pictures)


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
    ("label", "said"),
    [
        ("pos", "a name: cu.split"),
        (1.0, "not a whole number"),
        (None, "None is"),
        (np.float32(1), "not a whole"),
        (torch.tensor(1.0), "not a whole"),
        (float("nan"), "not a whole"),
    ],
)
def test_tokenize_names_the_row_of_a_label_that_is_no_number(label, said):
    with pytest.raises(TypeError, match=f"The label of row 1 is .*{said}"):
        cu.tokenize(Split(["a", "b"], [0, label]), None)


def test_a_split_needs_no_more_than_texts_and_labels():
    split = Split(["a", "b"], [0, 1])
    assert split.domains == split.difficulties == ["unrated"] * 2
