"""The drawn pictures: the same ones each time, no two alike, balanced, and not to be told apart by colour alone."""

import random
from itertools import pairwise

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from course_utils.sources.creatures import SPECIES, creatures, draw

NAMES = [species.name for species in SPECIES]


def pixels(pictures) -> list[bytes]:
    return [picture.tobytes() for picture, _ in pictures]


@pytest.fixture(scope="module")
def splits():
    return creatures(12, validation=3, test=8)


def test_the_same_call_draws_the_same_pictures():
    once, again = (creatures(2, validation=1, test=1, species=3, size=32) for _ in range(2))
    for split in ("train", "validation", "test"):
        assert pixels(getattr(once, split)) == pixels(getattr(again, split))


def test_more_pictures_a_class_keep_the_earlier_ones_and_the_other_splits():
    few, many = (creatures(n, validation=2, test=2, species=3, size=32) for n in (2, 5))
    assert pixels(many.train)[: len(few.train)] == pixels(few.train)
    assert pixels(many.validation) == pixels(few.validation)
    assert pixels(many.test) == pixels(few.test)


def test_a_picture_does_not_depend_on_which_other_species_there_are():
    alone = creatures(2, validation=1, test=1, species=["quobble"], size=32)
    among = creatures(2, validation=1, test=1, species=5, size=32)
    quobble = among.classes.index("quobble")
    assert pixels(alone.train) == [picture.tobytes() for picture, label in among.train if label == quobble]


def test_another_seed_draws_other_pictures():
    first, other = (creatures(2, validation=1, test=1, species=3, size=32, seed=seed) for seed in (0, 1))
    assert not set(pixels(first.train)) & set(pixels(other.train))


def test_no_picture_comes_twice_in_any_split(splits):
    all_pictures = [*pixels(splits.train), *pixels(splits.validation), *pixels(splits.test)]
    assert len(set(all_pictures)) == len(all_pictures)


def test_each_class_has_as_many_pictures_as_asked_for(splits):
    assert splits.classes == NAMES[:10]
    for split, count in ((splits.train, 12), (splits.validation, 3), (splits.test, 8)):
        assert np.bincount(split.labels).tolist() == [count] * 10
        assert split.classes == splits.classes


def test_species_may_be_chosen_by_name():
    assert creatures(1, validation=1, test=1, species=["ossip", "murrel"], size=16).classes == ["ossip", "murrel"]


@pytest.mark.parametrize("name", NAMES)
def test_every_species_can_be_drawn_in_rgb_at_any_size(name):
    for size in (16, 45, 96):
        picture = draw(name, random.Random(0), size)
        assert picture.mode == "RGB" and picture.size == (size, size)
        assert np.asarray(picture).std() > 10, "a picture shows something"


def test_a_numpy_generator_will_do_and_repeats_too():
    once, again = (draw("tofin", np.random.default_rng(3), 32).tobytes() for _ in range(2))
    assert once == again


def test_names_are_unique_and_there_are_fifteen_or_more():
    assert len(set(NAMES)) == len(NAMES) >= 15


def test_no_two_species_share_all_their_parts():
    def parts(species):
        return [value for field, value in vars(species).items() if field not in ("name", "hue")]

    assert all(a != b for a, b in pairwise(sorted(map(str, map(parts, SPECIES)))))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"species": ["murrel", "quoble"]}, "'quoble'.*murrel, tofin"),
        ({"species": ["murrel", "murrel"]}, "once"),
        ({"species": []}, "murrel, tofin"),
        ({"species": 0}, f"species=0.*1 to {len(NAMES)}"),
        ({"species": len(NAMES) + 1}, f"1 to {len(NAMES)}"),
        ({"per_class": 0}, "per_class=0.*at least 1"),
        ({"validation": -1}, "validation=-1"),
        ({"test": 0}, "test=0"),
        ({"size": 15}, "size=15.*at least 16"),
    ],
)
def test_a_wrong_option_is_refused_with_what_is_allowed(options, message):
    with pytest.raises(ValueError, match=message):
        creatures(**{"per_class": 1, "validation": 1, "test": 1, "size": 16} | options)


def test_a_species_that_does_not_exist_is_refused_with_the_names_that_do():
    with pytest.raises(ValueError, match=f"'tofinn'.*{', '.join(NAMES)}"):
        draw("tofinn", random.Random(0))


def test_colour_alone_does_not_tell_the_species_apart(splits):
    def histograms(pictures):
        bins = [np.asarray(picture).reshape(-1, 3) // 32 @ (64, 8, 1) for picture, _ in pictures]
        return np.sqrt([np.bincount(b, minlength=512) / len(b) for b in bins])

    model = LogisticRegression(C=10, max_iter=500).fit(histograms(splits.train), splits.train.labels)
    assert model.score(histograms(splits.test), splits.test.labels) < 0.5
