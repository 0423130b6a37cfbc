"""One's own texts or pictures in three splits: copies together, each class in each, whatever order they come in."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from PIL import Image

from course_utils.pictures import NOT_THE_PICTURES_FAULT, PictureError, Pictures, PictureSplits, read_picture
from course_utils.texts import Reviews, Split, check_texts, text_key

PARTS = ("train", "validation", "test")
NEAR = 20  # bits of 256 in which the thumbnails of two copies differ at most (chapter 10 measures it)


def split(
    examples: Sequence[str] | Pictures,
    labels: Sequence | None = None,
    groups: Sequence | None = None,
    *,
    validation: float = 0.15,
    test: float = 0.15,
    near: int | None = NEAR,
    name: str = "own",
) -> Reviews | PictureSplits:
    """Divide texts, or the pictures of `load_folder`, into train, validation and test, without a copy across them.

    Texts that repeat each other but for case and punctuation stay in one split, as do pictures that look alike, and
    all of one group. Each class has its share of each split, and at least one example. The same examples give the same
    splits in any order and on any machine; what has two labels, or cannot be read, is listed.

    Args:
        examples: texts, or `Pictures`, which bring their labels.
        labels: of the texts, numbers or names; names are numbered in alphabetical order, see `classes`.
        groups: of each example, what must not be torn apart: its author, its camera, the day.
        validation: share of the examples; what neither split takes is for training.
        test: likewise.
        near: bits of 256 in which the difference hashes (chapter 10) of pictures that look alike differ at most. Where
            all look alike by right, as those of one camera on one spot do, give fewer; None: only equal pixels count.
        name: what the splits are called.

    Returns:
        `Reviews` of texts, `PictureSplits` of pictures; both have `train`, `validation`, `test` and `classes`.

    Raises:
        TypeError: a text that is no string.
        ValueError: not one label and group each, impossible shares, or a class with too few examples; it is named.
    """
    if not (0 < validation < 1 and 0 < test < 1 and validation + test < 1):
        raise ValueError(f"validation={validation} and test={test} must be shares that leave some for training.")
    if isinstance(examples, Pictures):
        kept, keys, copies = _looks(examples, near)
        labels, classes, what = examples.labels, examples.classes, examples.names
        exact = what
    else:
        examples = exact = list(examples)  # of pandas, too, whose rows have kept their numbers
        check_texts(examples)
        what = [f"row {i}" for i in range(len(examples))]
        kept = [i for i, text in enumerate(examples) if text.strip()]
        if len(kept) < len(examples):
            print(f"left out, empty: {', '.join(what[i] for i in sorted(set(range(len(examples))) - set(kept)))}")
        copies = keys = [text_key(examples[i]) or examples[i] for i in kept]
        if labels is None or len(labels) != len(examples):
            given = "no" if labels is None else len(labels)
            raise ValueError(f"{len(examples)} texts but {given} labels: each text needs one label.")
        labels, classes = _numbered(list(labels))
    groups = groups if groups is None else list(groups)
    if groups is not None and len(groups) != len(labels):
        raise ValueError(f"{len(labels)} examples but {len(groups)} groups: each example needs one group.")
    if missing := [what[i] for i, group in enumerate(groups or ()) if group is None or group != group]:
        raise ValueError(f"{missing[0]} has no group: give it one of its own.")
    together = _together([copies, keys] if groups is None else [copies, keys, [str(groups[i]) for i in kept]])
    _report(copies, [labels[i] for i in kept], [what[i] for i in kept])
    digests = [hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest() for key in keys]
    part_of = _assigned(together, digests, [labels[i] for i in kept], classes, (validation, test))
    ordered = sorted(range(len(kept)), key=lambda n: (digests[n], exact[kept[n]]))
    rows = {part: [kept[n] for n in ordered if part_of[n] == part] for part in PARTS}
    print(f"{name}: " + ", ".join(f"{len(chosen)} for {part}" for part, chosen in rows.items()))
    if isinstance(examples, Pictures):
        return PictureSplits(name, **{part: examples.subset(chosen) for part, chosen in rows.items()})
    return Reviews(name, **{
        part: Split([examples[i] for i in chosen], [labels[i] for i in chosen], classes=classes)
        for part, chosen in rows.items()
    })  # fmt: skip


def _looks(pictures: Pictures, near: int | None) -> tuple[list[int], list[str], list]:
    """Of the pictures that can be read: their positions, what is in them to the pixel, and who looks like whom."""
    kept, keys, looks = [], [], []
    for i, source in enumerate(pictures.sources):
        try:
            picture = read_picture(source)
        except (PictureError, OSError) as error:
            if getattr(error, "errno", None) in NOT_THE_PICTURES_FAULT:
                raise
            print(f"left out: {error}")
            continue
        kept.append(i)
        keys.append(hashlib.sha256(repr(picture.size).encode() + picture.tobytes()).hexdigest())
        grey = np.asarray(picture.convert("L").resize((17, 16), Image.Resampling.BICUBIC), dtype=int)
        looks.append((grey[:, 1:] > grey[:, :-1]).ravel())
    if near is None:
        return kept, keys, keys
    signs = np.where(np.array(looks).reshape(-1, 256), 1, -1).astype(np.float32)
    starts = range(0, len(signs), 1000)  # a few rows of the table of all pairs at a time
    pairs = [np.argwhere(signs[i : i + 1000] @ signs.T >= 256 - 2 * near) + np.array([i, 0]) for i in starts]
    return kept, keys, _connected(len(kept), np.concatenate(pairs) if pairs else np.empty((0, 2), int))


def _numbered(labels: Sequence) -> tuple[list[int], list[str]]:
    """Labels as numbers from 0, and the classes' names."""
    if all(isinstance(label, str) for label in labels):
        if "" in labels:
            raise ValueError(f"The label of row {labels.index('')} is empty: give it one, or leave the row out.")
        classes = sorted(set(labels))
        return [classes.index(label) for label in labels], [str(name) for name in classes]
    wrong = [i for i, y in enumerate(labels) if isinstance(y, (bool, np.bool_)) or not hasattr(y, "__index__")]
    if wrong:
        row = min(wrong, key=lambda i: isinstance(labels[i], str))  # a name is the smaller fault
        raise ValueError(
            f"The label of row {row} is {labels[row]!r} ({type(labels[row]).__name__}): give whole numbers from 0, or "
            "only names; nan is an empty cell."
        )
    numbers = [label.__index__() for label in labels]
    if (known := sorted(set(numbers))) != list(range(len(known))):
        raise ValueError(
            f"The labels are {', '.join(map(str, known[:9]))}: number them from 0 without a gap, or name them."
        )
    return numbers, [str(number) for number in known]


def _together(columns: Sequence[Sequence]) -> list[int]:
    """A number for each example, equal where two share what a column says, directly or through others."""
    edges = []
    for column in columns:
        first = {}
        edges += [(i, first.setdefault(value, i)) for i, value in enumerate(column)]
    return _connected(len(columns[0]), np.array(edges).reshape(-1, 2))


def _connected(size: int, pairs: np.ndarray) -> list[int]:
    from scipy.sparse import coo_array  # comes with scikit-learn
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(size, size))
    return connected_components(graph, directed=False)[1].tolist()


def _report(copies: Sequence, labels: list[int], what: list[str]) -> None:
    alike = defaultdict(list)
    for i, which in enumerate(copies):
        alike[which].append(i)
    repeated = [members for members in alike.values() if len(members) > 1]
    if repeated:
        print(f"{sum(map(len, repeated))} examples are copies of one another, or nearly: they stay together.")
    for members in repeated:
        if len({labels[i] for i in members}) > 1:
            print(f"two labels for the same: {', '.join(what[i] for i in members)}. Correct one, or leave them out.")


def _assigned(together, digests, labels, classes, shares) -> list[str]:
    """The part of each example: sets of examples, the large ones first, go where they are missing most.

    So goes iterative stratification (Sechidis et al., 2011), here of groups.
    """
    sets = defaultdict(list)
    for i, which in enumerate(together):
        sets[which].append(i)
    counts = {
        which: np.bincount([labels[i] for i in members], minlength=len(classes)) for which, members in sets.items()
    }
    if not classes:
        raise ValueError("There is nothing to split.")
    if len(classes) == 1:
        raise ValueError(f"Every label is {classes[0]}: a classifier needs two classes to choose from.")
    few = [name for c, name in enumerate(classes) if sum(count[c] > 0 for count in counts.values()) < len(PARTS)]
    if few:
        raise ValueError(
            f"{', '.join(few)}: fewer than three examples that do not belong together, and each of the three splits "
            "needs one. Add some, or leave the class out."
        )
    of_class = sum(counts.values())
    wanted = np.outer((1 - sum(shares), *shares), of_class)
    have, part_of = np.zeros_like(wanted), {}
    for which in sorted(sets, key=lambda w: (-(counts[w] / of_class).max(), min(digests[i] for i in sets[w]))):
        # As if half of it were there already, so that shares are rounded, not cut; before all, a part without any.
        lacking = (1 - (have + counts[which] / 2) / wanted + 9 * (have == 0)) @ counts[which]
        part = int(lacking.round(9).argmax())  # rounded, so that all machines see the same ties
        have[part] += counts[which]
        part_of[which] = PARTS[part]
    if missing := [f"{classes[c]} in {PARTS[p]}" for p, c in np.argwhere(have == 0)]:
        raise ValueError(f"No {', '.join(missing)}: too many examples of it belong together. Use smaller groups.")
    return [part_of[which] for which in together]
