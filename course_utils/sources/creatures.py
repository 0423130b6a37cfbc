"""Pictures of invented creatures, drawn by code (chapters 1, 3, 5, 9, 10): they stand in for Pokémon and CIFAR-10.

A creature is a row of `anatomy.SPECIES`: it names a body and what grows on it. Pose, expression, colours, light and
surroundings are drawn at random for each picture: a species has to be known by its shape and its parts.
"""

import colorsys
import hashlib
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from course_utils.pictures import Pictures, PictureSplits
from course_utils.sources.anatomy import (
    BODIES,
    CLOSED,
    CLOUD,
    EYES,
    HEAD,
    HEADGEAR,
    HILL,
    MOUTHS,
    PARTS,
    PATTERNS,
    PUPIL,
    SCENERY,
    SPECIES,
    Species,
)

OVERSAMPLING = 3  # pictures are drawn this much larger, then reduced, which makes edges smooth
Colour = tuple[int, int, int]


@dataclass
class Pen:
    """Fills outlines in a part's own coordinates: it knows where the part is, how far turned and how large."""

    canvas: ImageDraw.ImageDraw
    matrix: np.ndarray  # 2 × 2: from the part's coordinates to pixels
    origin: np.ndarray  # where the part's (0, 0) is, in pixels
    edge: tuple[Colour, int] | None = None  # colour and width of the line around what is filled

    def at(self, x: float, y: float, degrees: float = 0, scale: float = 1, flip: bool = False) -> "Pen":
        """The pen for a part at (x, y) that is mirrored if `flip`, then turned clockwise."""
        c, s = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
        turn = np.array([(-c, -s) if flip else (c, s), (-s, c)])
        return Pen(self.canvas, turn @ self.matrix, (x, y) @ self.matrix + self.origin, self.edge)

    def fill(self, outline: np.ndarray, colour: Colour, *, bend: float = 0, edge: bool = True) -> None:
        if bend:
            outline = outline + outline[:, 1:] ** 2 * (bend, 0)
        points = (outline @ self.matrix + self.origin).ravel().tolist()
        self.canvas.polygon(points, colour)
        if edge and self.edge:
            self.canvas.line(points + points[:4], *self.edge)

    def stamp(self, marks: Sequence[tuple[np.ndarray, str]], tones: dict[str, Colour]) -> None:
        for outline, tone in marks:
            self.fill(outline, tones[tone], edge=False)


def _colour(hue: float, saturation: float, value: float) -> Colour:
    return tuple(round(255 * c) for c in colorsys.hsv_to_rgb(hue / 360 % 1, min(saturation, 1), min(value, 1)))


def _pick(rng, options: Sequence):
    return options[int(rng.random() * len(options))]


def _tones(rng, hue: float) -> dict[str, Colour]:
    """The colours of one creature or one thing around it."""
    saturation, value, other = rng.uniform(0.35, 0.65), rng.uniform(0.75, 0.96), _pick(rng, (-60, 60, 150, 180, 210))
    return {
        "coat": _colour(hue, saturation, value),
        "shade": _colour(hue - 10, saturation * 1.15, value * 0.84),
        "light": _colour(hue + 15, saturation * 0.3, 0.3 + value * 0.7),
        "accent": _colour(hue + other, 0.55, 0.94),
        "dark": _colour(hue - 10, 0.6, 0.26),
        "beak": (250, 180, 70),
        "white": (255, 255, 255),
    }


def draw(species: str, rng: random.Random | np.random.Generator, size: int = 96) -> Image.Image:
    """Draw one picture of a creature, in a pose, light and place of its own.

    Args:
        species: a name in `SPECIES`.
        rng: where all that is random comes from; the same state gives the same picture.
        size: width and height of the picture in pixels, at least 16.

    Returns:
        A PIL picture in mode RGB.

    Raises:
        ValueError: an unknown species, or a size below 16.
    """
    (row,) = _rows([species])
    if size < 16:
        raise ValueError(f"size={size} is too small to tell creatures apart: use at least 16, for example size=96.")
    side = size * OVERSAMPLING
    picture = Image.new("RGB", (side, side))
    world = Pen(ImageDraw.Draw(picture), np.eye(2) * side / 2, np.full(2, side / 2))  # from -1 to 1 both ways
    _surroundings(picture, world, rng)
    scale = rng.uniform(0.5, 0.88)
    x, y = (rng.uniform(-1, 1) * (0.95 - scale) for _ in "xy")
    pen = world.at(x, y, rng.uniform(-32, 32), scale, rng.random() < 0.5)
    squash = rng.uniform(0.88, 1.12)
    pen.matrix = np.array([(squash, 0), (rng.uniform(-0.15, 0.15), 1 / squash)]) @ pen.matrix
    tones = _tones(rng, row.hue + rng.uniform(-60, 60))
    pen.edge = tones["dark"], side // 72
    _creature(pen, rng, row, tones)
    if rng.random() < 0.5:  # something stands in front of a part of it
        angle, far = rng.uniform(0, math.tau), 0.6 * scale
        front = world.at(x + far * math.cos(angle), y + far * math.sin(angle), rng.uniform(-30, 30))
        front.at(0, 0, 0, scale * rng.uniform(0.4, 0.65)).stamp(
            _pick(rng, [*SCENERY.values()]), _tones(rng, rng.uniform(0, 360))
        )
    return _lit(picture.reduce(OVERSAMPLING), rng)


def _creature(pen: Pen, rng, row: Species, tones: dict[str, Colour]) -> None:
    """Draw a creature from back to front: what sticks out, the body over it, the face."""
    body = BODIES[row.body]
    x, y, rx, ry = body.middle

    def grow(part: str | None, tone: str, px: float, py: float, degrees: float = 180, size: float = 0.74) -> None:
        if part:
            at = pen.at(px, py, degrees + rng.uniform(-20, 20), size, degrees < 0)
            at.fill(PARTS[part], tones[tone], bend=rng.uniform(-0.3, 0.3))

    grow(row.tail, "coat", *body.tail)
    for i, place in enumerate(body.legs):
        grow(row.legs, "shade" if body.profile and 2 * i < len(body.legs) else "coat", *place)
    if row.back:
        for px, py in body.outline[body.outline[:, 1] < y + 0.25][::2]:
            grow(row.back, "light", px, py, math.degrees(math.atan2(px - x, y - py)), 0.42)
    for place in body.arms:
        grow(row.arms, "shade", *place)
    pen.fill(body.outline, tones["shade"])
    lit = np.array((x - 0.1, y - 0.12))  # the body once more, a little smaller: its lower rim stays in shade
    pen.fill((body.outline - lit) * 0.87 + lit, tones["coat"], edge=False)
    if row.pattern:
        middle = pen.at(x, y, rng.uniform(-12, 12))
        middle.matrix = np.diag((rx, ry)) @ middle.matrix
        middle.stamp(PATTERNS[row.pattern], tones)
    hx, hy, radius = body.head
    _head(pen.at(hx, hy, rng.uniform(-12, 12), radius), rng, row, tones)


def _head(pen: Pen, rng, row: Species, tones: dict[str, Colour]) -> None:
    profile = BODIES[row.body].profile
    for degrees, lean, part, tone, lined in HEADGEAR[row.head] if row.head else ():
        for side in (1, -1) if degrees else (1,):
            a = math.radians(side * degrees)
            ear = pen.at(0.88 * math.sin(a), -0.88 * math.cos(a), side * lean + rng.uniform(-14, 14), 1, side < 0)
            bend = rng.uniform(-0.25, 0.25)
            ear.fill(PARTS[part], tones[tone], bend=bend)
            if lined:
                ear.fill(PARTS[part] * (0.55, 0.7), tones["accent"], bend=bend, edge=False)
    if profile:
        pen.fill(HEAD, tones["coat"])
    face = pen.at(rng.uniform(-0.14, 0.14) + 0.25 * profile, 0)
    face.stamp(MOUTHS[row.mouth], tones)
    closed, gaze = rng.random() < 0.12, (rng.uniform(-0.06, 0.06), rng.uniform(-0.04, 0.08))
    under, over = EYES[row.eyes]
    for side in (-1, 1):
        eye = face.at(side * 0.42, -0.16)
        if closed:
            eye.stamp(CLOSED, tones)
        else:
            eye.stamp(under, tones)
            eye.at(*gaze).stamp(PUPIL, tones)
            eye.stamp(over, tones)


def _surroundings(picture: Image.Image, world: Pen, rng) -> None:
    hue = rng.uniform(0, 360)
    top = np.array(_colour(hue, rng.uniform(0.1, 0.4), rng.uniform(0.75, 1)))
    bottom = np.array(_colour(hue + rng.uniform(-60, 60), rng.uniform(0.1, 0.35), rng.uniform(0.8, 1)))
    steps = np.linspace(0, 1, picture.height)[:, None]
    column = Image.fromarray((top + (bottom - top) * steps).astype(np.uint8)[:, None])
    picture.paste(column.resize(picture.size, Image.Resampling.NEAREST))
    if rng.random() < 0.3:  # a wallpaper
        mark, tone = PARTS[_pick(rng, ("leaf", "wool", "paw", "fluke"))], _colour(hue, 0.3, rng.uniform(0.7, 1))
        paper = world.at(0, 0, rng.uniform(-45, 45), rng.uniform(0.2, 0.35))
        for i in range(49):
            paper.at(2 * (i % 7 - 3), 2 * (i // 7 - 3)).fill(mark, tone)
    horizon, hue = rng.uniform(-0.4, 0.8), rng.uniform(0, 360)
    for i in range(int(rng.uniform(0, 4))):
        tone = _colour(hue + 12 * i, rng.uniform(0.25, 0.5), 0.9 - 0.1 * i)
        world.at(rng.uniform(-0.8, 0.8), horizon + 0.2 * i, rng.uniform(-8, 8)).fill(HILL, tone)
    for y in sorted(rng.uniform(-1, 1.1) for _ in range(int(rng.uniform(4, 13)))):  # what is lower is nearer
        pen = world.at(rng.uniform(-1, 1), y, rng.uniform(-15, 15), rng.uniform(0.2, 0.32) + 0.08 * y)
        marks = CLOUD if y < horizon and rng.random() < 0.5 else _pick(rng, [*SCENERY.values()])
        pen.stamp(marks, _tones(rng, rng.uniform(0, 360)))


def _lit(picture: Image.Image, rng) -> Image.Image:
    """The picture in light that comes from one side, and has a colour and strength of its own."""
    steps = np.linspace(-1, 1, picture.width, dtype=np.float32)
    light = 1 + rng.uniform(-0.18, 0.18) * steps[:, None] + rng.uniform(-0.18, 0.18) * steps
    tint = np.array([rng.uniform(0.88, 1.06) for _ in range(3)]) * rng.uniform(0.75, 1.06)
    pixels = np.asarray(picture) * (light[..., None] * tint).astype(np.float32)
    return Image.fromarray(np.minimum(pixels, 255).astype(np.uint8))


def creatures(
    per_class: int = 72,
    *,
    validation: int = 24,
    test: int = 24,
    species: int | Sequence[str] = 10,
    size: int = 96,
    seed: int = 0,
) -> PictureSplits:
    """Draw a set of pictures of creatures in three splits, the same ones each time.

    Each picture has a generator of its own, so that more pictures a class keep the earlier ones as they were.

    Args:
        per_class: training pictures of each species.
        validation: validation pictures of each species; may be 0.
        test: test pictures of each species.
        species: how many of `SPECIES`, from its beginning, or their names.
        size: width and height in pixels, at least 16.
        seed: another seed gives other pictures.

    Returns:
        `PictureSplits` whose classes are the species' names.

    Raises:
        ValueError: an unknown species, or a number out of range.
    """
    if isinstance(species, int):
        if not 1 <= species <= len(SPECIES):
            raise ValueError(f"species={species}: there are {len(SPECIES)} species, so ask for 1 to {len(SPECIES)}.")
        species = [row.name for row in SPECIES[:species]]
    names = [row.name for row in _rows(species)]
    counts = {"per_class": per_class, "validation": validation, "test": test}
    for option, count in counts.items():
        least = 0 if option == "validation" else 1
        if count < least:
            raise ValueError(f"{option}={count}: at least {least} of each species, for example {option}=24.")

    def split(option: str) -> Pictures:
        places = [(i, label) for i in range(counts[option]) for label in range(len(names))]  # classes take turns
        pictures = [draw(names[label], _generator(seed, option, names[label], i), size) for i, label in places]
        return Pictures(pictures, [label for _, label in places], names)

    return PictureSplits("creatures drawn by this course", *map(split, counts))


def _rows(names: Sequence[str]) -> list[Species]:
    table = {row.name: row for row in SPECIES}
    unknown = [name for name in names if name not in table]
    if unknown or not len(names) or len(set(names)) < len(names):
        what = f"unknown species {', '.join(map(repr, unknown))}" if unknown else f"species={list(names)!r}"
        raise ValueError(f"{what}: name each species that you want once. There are {', '.join(table)}.")
    return [table[name] for name in names]


def _generator(*key) -> random.Random:
    """A generator for one picture: `hash()` would differ from run to run, neighbouring seeds would be alike."""
    return random.Random(int.from_bytes(hashlib.sha256("/".join(map(str, key)).encode()).digest()[:8], "big"))
