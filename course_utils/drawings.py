"""Pictures of invented creatures, drawn by code: they stand in for Pokémon and CIFAR-10 where there is no network.

A creature is a row of `SPECIES`: it names a body and what grows on it. Each of these parts is an outline in a table, so
that a new ear is a line, and a new species too. Pose, expression, colours, light and surroundings are drawn at random
for each picture: a species has to be known by its shape and its parts.
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

OVERSAMPLING = 3  # pictures are drawn this much larger, then reduced, which makes edges smooth
Colour = tuple[int, int, int]

# ---------------------------------------------------------------------- outlines: arrays of (x, y), y pointing down


def _curve(*points: tuple[float, float], both: bool = False) -> np.ndarray:
    """A smooth closed curve (Catmull-Rom); a point given twice is a corner. `both`: the points are its right half."""
    p = np.array(points + tuple((-x, y) for x, y in reversed(points) if x) if both else points)
    t = np.arange(0, 1, 0.25)[:, None]
    weights = (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2)
    return sum(w * np.roll(p, 1 - i, 0)[:, None] for i, w in enumerate(weights)).reshape(-1, 2) / 2


def _arc(x, y, rx, ry, start: float = 15, end: float = 165, shrink: float = 0) -> np.ndarray:
    """Points of an oval from one angle to another, in degrees clockwise from its right; `shrink` makes it a spiral."""
    steps = np.linspace(0, 1, round(abs(end - start) / 18) + 1)
    angles = np.radians(start + (end - start) * steps)
    return (x, y) + (1 - shrink * steps[:, None]) * np.stack([rx * np.cos(angles), ry * np.sin(angles)], 1)


def _oval(x: float, y: float, rx: float, ry: float | None = None) -> np.ndarray:
    return _arc(x, y, rx, ry or rx, 0, 360)


def _tube(line: Sequence[tuple[float, float]], start: float, end: float | None = None) -> np.ndarray:
    """A thick line with a round end; its half width goes from `start` to `end`."""
    line, end = np.array(line, float), end or start
    along = np.gradient(line, axis=0)
    along /= np.hypot(*along.T)[:, None]
    across = along[:, ::-1] * (1, -1)
    width = np.linspace(start, end, len(line))[:, None]
    turn = np.linspace(0, math.pi, 7)[1:-1, None]
    tip = line[-1] + end * (np.cos(turn) * across[-1] + np.sin(turn) * along[-1])
    return np.concatenate([line + width * across, tip, (line - width * across)[::-1]])


def _moved(outline: np.ndarray, x: float, y: float, degrees: float = 0, scale: float = 1) -> np.ndarray:
    c, s = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    return outline @ np.array([(c, s), (-s, c)]) + (x, y)


# ------------------------------------------------------------------------------------ the tables: add your own line
# fmt: off

# Parts grow upwards from (0, 0): y is negative at their tips. The body is about 1.6 high, a head has radius 1.
PARTS = {
    "round": _curve((0.3, 0.1), (0.38, -0.2), (0, -0.5), both=True),
    "tall": _curve((0.17, 0.15), (0.27, -0.6), (0, -1.2), both=True),
    "point": _curve((0.36, 0.2), (0.27, -0.25), (0, -0.8), (0, -0.8), both=True),
    "floppy": _curve((-0.16, 0.05), (-0.32, -0.5), (-0.05, -0.95), (0.27, -0.7), (0.18, 0.05)),
    "horn": _curve((-0.18, 0.1), (-0.14, -0.3), (0.16, -0.75), (0.16, -0.75), (0.15, -0.3), (0.2, 0.1)),
    "feeler": _curve((0.05, 0.1), (0.05, -0.55), (0.17, -0.78), (0, -0.95), both=True),
    "leaf": _curve((0.04, 0.1), (0.06, -0.1), (0.3, -0.45), (0, -1), (0, -1), both=True),
    "antler": _curve((-0.08, 0.1), (-0.1, -0.35), (-0.36, -0.62), (-0.28, -0.72), (-0.07, -0.52), (-0.05, -0.95),
                     (0.06, -0.97), (0.1, -0.52), (0.34, -0.75), (0.4, -0.66), (0.13, -0.3), (0.08, 0.1)),
    "frill": _curve((0.2, 0.1), (0.5, -0.5), (0.5, -0.5), (0.2, -0.4), (0, -0.75), (0, -0.75), both=True),
    "bushy": _curve((0.08, 0.1), (0.1, -0.2), (0.38, -0.6), (0.22, -1.05), (0, -1.2), both=True),
    "tuft": _curve((0.06, 0.1), (0.05, -0.55), (0.17, -0.75), (0, -1.05), (0, -1.05), both=True),
    "paddle": _curve((0.13, 0.1), (0.13, -0.2), (0.33, -0.5), (0.3, -0.85), (0, -0.98), both=True),
    "taper": _curve((0.3, 0.2), (0.2, -0.4), (0, -1), (0, -1), both=True),
    "fluke": _curve((0.14, 0.15), (0.1, -0.2), (0.6, -0.6), (0.6, -0.6), (0.2, -0.62), (0, -0.5), both=True),
    "curl": _tube([(0, 0.1), *_arc(0.34, -0.3, 0.34, 0.34, 180, 650, 0.8)], 0.13, 0.07),
    "paw": _curve((0.15, 0.15), (0.14, -0.2), (0.2, -0.4), (0, -0.52), both=True),
    "stilt": _curve((0.06, 0.1), (0.06, -0.5), (0.2, -0.62), (0.2, -0.68), (0, -0.64), both=True),
    "flipper": _curve((-0.12, 0.1), (-0.22, -0.3), (-0.05, -0.78), (0.1, -0.72), (0.2, -0.3), (0.14, 0.1)),
    "wing": _curve((-0.1, 0.1), (-0.3, -0.4), (-0.12, -0.95), (0.08, -0.8), (0.08, -0.8), (0.22, -0.74), (0.25, -0.55),
                   (0.25, -0.55), (0.36, -0.42), (0.32, -0.2), (0.12, 0.1)),
    "tentacle": _tube([(0.08 * math.sin(i / 2), 0.1 - i / 15) for i in range(13)], 0.13, 0.06),
    "wool": _oval(0, 0, 0.42),
}
# What a head wears: (degrees from its top, lean of the part, part, colour, has a lining). Both sides but at 0 degrees.
HEADGEAR = {
    "bear": ((42, 30, "round", "coat", True),),
    "hare": ((20, 12, "tall", "coat", True),),
    "cat": ((38, 26, "point", "coat", True),),
    "hound": ((58, 145, "floppy", "shade", False),),
    "bull": ((48, 40, "horn", "light", False),),
    "snail": ((24, 14, "feeler", "coat", False),),
    "moth": ((26, 30, "leaf", "accent", False),),
    "stag": ((34, 26, "antler", "light", False),),
    "frill": ((78, 75, "frill", "accent", False),),
    "crest": ((18, 24, "leaf", "accent", False), (0, 0, "leaf", "accent", False)),
    "sprout": ((0, 8, "leaf", "accent", False),),
    "unicorn": ((0, 4, "point", "light", False),),
    "lure": ((0, 30, "feeler", "accent", False),),
}
# Marks are (outline, colour). A pattern lies in the unit circle, which is laid over the middle of the body ...
PATTERNS = {
    "belly": ((_oval(0, 0.1, 1), "light"),),
    "spots": tuple((_oval(x, y, 0.2), "light")
                   for x, y in ((0, 0), (-0.6, 0.4), (0.5, 0.5), (-0.3, -0.7), (0.7, -0.4))),
    "stripes": tuple((_moved(_curve((0, -1), (0.12, -0.3), (0, 0.9), (-0.12, -0.3)), x, 0, 0, 1 - x * x / 2), "dark")
                     for x in (-0.9, -0.3, 0.3, 0.9)),
    "patch": ((_oval(-0.45, -0.35, 0.5, 0.45), "shade"), (_oval(0.5, 0.1, 0.38, 0.5), "shade"),
              (_oval(-0.2, 0.65, 0.33, 0.25), "shade")),
    "shell": ((_oval(0, 0, 1.3), "dark"), (_oval(0, 0, 1.22), "accent"),
              (_tube(_arc(0, 0, 0.85, 0.85, 180, 880, 0.85), 0.09, 0.06), "dark")),
}
# ... and a mouth belongs to a head of radius 1.
_SMILE = (_tube(_arc(0, 0.2, 0.27, 0.22), 0.045), "dark")
_HAIRS = [[(s * 0.5, y), (s * 0.75, y - 0.03), (s, y * 1.5 - 0.12)] for s in (-1, 1) for y in (0.18, 0.34)]
MOUTHS = {
    "smile": (_SMILE,),
    "snout": ((_oval(0, 0.36, 0.42, 0.3), "light"), (_oval(0, 0.22, 0.14, 0.1), "dark"),
              (_tube(_arc(0, 0.34, 0.2, 0.16), 0.04), "dark")),
    "beak": ((_curve((0.26, 0.14), (0, 0.54), (0, 0.54), both=True), "dark"),
             (_curve((0, 0.04), (0.22, 0.14), (0, 0.48), (0, 0.48), both=True), "beak")),
    "bill": ((_oval(0, 0.38, 0.56, 0.24), "dark"), (_oval(0, 0.37, 0.51, 0.19), "beak"),
             (_tube(_arc(0, 0.3, 0.38, 0.1), 0.03), "dark")),
    "fangs": (*((_moved(PARTS["point"], x, 0.4, 180, 0.3), "white") for x in (-0.2, 0.2)),
              (_tube(_arc(0, 0.24, 0.45, 0.16, 0, 180), 0.045), "dark")),
    "whiskers": ((_oval(0, 0.17, 0.12, 0.08), "dark"), _SMILE, *((_tube(hair, 0.025), "dark") for hair in _HAIRS)),
}
PUPIL = ((_oval(0, 0, 0.14, 0.17), "dark"), (_oval(0.05, -0.06, 0.05), "white"))
CLOSED = ((_tube(_arc(0, 0.06, 0.18, 0.18, 190, 350), 0.05), "dark"),)
_WHITE = ((_oval(0, 0, 0.27, 0.31), "dark"), (_oval(0, 0, 0.23, 0.27), "white"))
EYES = {  # (what lies under the pupil, what lies over it)
    "round": (_WHITE, ()),
    "bead": ((), ()),
    "sleepy": (_WHITE, ((_curve((0.27, -0.04), (0.2, -0.26), (0, -0.33), both=True), "shade"),)),
}
HEAD = _oval(0, 0, 1.04, 0.96)
HILL = _curve((-2.5, 3), (-1.8, 0.2), (-1, 0), (-0.4, 0.1), (0.2, -0.1), (0.9, 0.1), (1.8, 0), (2.5, 3))
CLOUD = tuple((_oval(x, -0.1 + x * x / 2, 0.4 - abs(x) / 5), "light") for x in (-0.5, 0, 0.5))
SCENERY = {  # what stands about, and in front
    "plant": tuple((_moved(PARTS["leaf"], 0, 0.4, degrees, 1.1), tone)
                   for degrees, tone in ((-50, "shade"), (50, "shade"), (-18, "coat"), (22, "coat"))),
    "stone": ((_curve((-0.8, 0.5), (-0.6, -0.2), (0, -0.5), (0.55, -0.3), (0.8, 0.5)), "shade"),
              (_curve((-0.6, 0.2), (-0.45, -0.2), (0, -0.42), (0.4, -0.25), (0.1, 0)), "coat")),
    "bush": ((_oval(-0.5, 0.2, 0.4), "shade"), (_oval(0.5, 0.2, 0.4), "shade"), (_oval(0, 0, 0.45, 0.6), "coat")),
    "mushroom": ((_curve((0.16, -0.1), (0.2, 0.6), (0, 0.66), both=True), "light"),
                 (_curve((0, -0.6), (0.5, -0.4), (0.65, 0.05), (0.3, 0), both=True), "accent"),
                 (_oval(-0.25, -0.25, 0.12), "light"), (_oval(0.2, -0.32, 0.15), "light")),
    "flower": ((_tube([(0, 0), (0.06, 0.4), (0, 0.9)], 0.05), "shade"),
               *((_moved(PARTS["round"], 0.2 * math.cos(a), 0.2 * math.sin(a), math.degrees(a) + 90), "accent")
                 for a in (0, 1.26, 2.51, 3.77, 5.03)), (_oval(0, 0, 0.2), "light")),
    "tree": ((_tube([(0, 0.9), (0, 0.4), (0, 0)], 0.12), "dark"), (_oval(0, -0.3, 0.55, 0.6), "shade"),
             (_oval(-0.08, -0.38, 0.42), "coat")),
    "ball": ((_oval(0, 0, 0.5), "shade"), (_oval(-0.06, -0.06, 0.42), "coat"), (_oval(-0.2, -0.2, 0.1), "light")),
}


@dataclass(frozen=True)
class Body:
    """An outline, and where things grow on it: (x, y) or (x, y, degrees clockwise from upright)."""

    outline: np.ndarray
    head: tuple[float, float, float]  # centre and radius
    middle: tuple[float, float, float, float]  # an oval well inside of it, for patterns: centre and radii
    tail: tuple[float, float, float]
    arms: tuple[tuple[float, float, float], ...]
    legs: tuple[tuple[float, float], ...] = ()
    profile: bool = False  # seen from its right side, with a head of its own


BODIES = {
    "ball": Body(_oval(0, 0.12, 0.7, 0.66), (0, -0.02, 0.6), (0, 0.36, 0.38, 0.32), (0.5, 0.4, 75),
                 ((-0.62, 0.2, -95), (0.62, 0.2, 95)), ((-0.3, 0.66), (0.3, 0.66))),
    "pear": Body(_curve((0, -0.68), (0.4, -0.52), (0.5, -0.1), (0.66, 0.4), (0.42, 0.78), (0, 0.82), both=True),
                 (0, -0.2, 0.5), (0, 0.4, 0.42, 0.32), (0.5, 0.5, 70),
                 ((-0.5, 0.2, -105), (0.5, 0.2, 105)), ((-0.32, 0.72), (0.32, 0.72))),
    "egg": Body(_curve((0, -0.8), (0.36, -0.62), (0.44, 0), (0.46, 0.5), (0, 0.78), both=True),
                (0, -0.36, 0.42), (0, 0.32, 0.3, 0.36), (0.34, 0.6, 95),
                ((-0.42, 0, -105), (0.42, 0, 105)), ((-0.2, 0.7), (0.2, 0.7))),
    "loaf": Body(_curve((-0.8, 0.1), (-0.5, -0.16), (0.2, -0.12), (0.5, 0.15), (0.3, 0.5), (-0.5, 0.52)),
                 (0.46, -0.26, 0.4), (-0.22, 0.16, 0.44, 0.25), (-0.7, 0.1, -55),
                 (), ((-0.34, 0.4), (0.34, 0.38), (-0.58, 0.4), (0.1, 0.42)), True),
    "fish": Body(_curve((-0.78, 0.08), (-0.4, -0.28), (0.2, -0.46), (0.7, -0.05), (0.35, 0.46), (-0.35, 0.36)),
                 (0.28, 0, 0.42), (-0.3, 0.05, 0.3, 0.26), (-0.66, 0.08, -90), ((-0.1, 0.3, -140), (-0.2, -0.3, -40))),
    "bird": Body(_curve((-0.78, 0), (-0.3, -0.02), (0.2, -0.25), (0.52, 0.12), (0.22, 0.58), (-0.36, 0.45)),
                 (0.34, -0.36, 0.36), (0.1, 0.25, 0.3, 0.25), (-0.62, 0.1, -75),
                 ((-0.05, 0, -40),), ((-0.1, 0.5), (0.15, 0.52)), True),
    "dome": Body(_curve((0, -0.7), (0.48, -0.5), (0.64, 0), (0.66, 0.32), (0.4, 0.24), (0.2, 0.36), (0, 0.26),
                        both=True), (0, -0.12, 0.5), (0, -0.46, 0.36, 0.15), (0.5, 0.2, 85), (),
                 tuple((x, 0.2) for x in (-0.5, -0.25, 0, 0.25, 0.5))),
    "worm": Body(_tube([(-0.85, 0.54), (-0.65, 0.6), (-0.45, 0.58), (-0.25, 0.6), *_arc(-0.12, 0.28, 0.36, 0.34, 90, 0),
                        (0.27, 0.05), (0.3, -0.3)], 0.06, 0.21),
                 (0.32, -0.38, 0.38), (0.25, 0.18, 0.13, 0.17), (-0.8, 0.56, -80), (), (), True),
    "slug": Body(_curve((-0.95, 0.72), (-0.3, 0.5), (0.2, 0.4), (0.4, -0.1), (0.66, 0.1), (0.6, 0.6), (0.2, 0.76)),
                 (0.54, -0.12, 0.32), (-0.2, 0.12, 0.44, 0.44), (-0.86, 0.7, -80), (), (), True),
    "giraffe": Body(_curve((-0.7, 0.12), (-0.3, -0.02), (0.12, 0), (0.26, -0.55), (0.5, -0.55), (0.46, 0.1),
                           (0.26, 0.46), (-0.5, 0.46)), (0.42, -0.6, 0.32), (-0.14, 0.2, 0.4, 0.2), (-0.62, 0.14, -45),
                    (), ((-0.3, 0.36), (0.32, 0.34), (-0.52, 0.36), (0.08, 0.38)), True),
}


@dataclass(frozen=True)
class Species:
    """What a creature is made of: each field but `hue` names a line of a table above."""

    name: str
    body: str
    hue: float  # of its coat, in degrees; several species share one, so that colour does not tell them apart
    head: str | None = None  # one of HEADGEAR
    tail: str | None = None  # one of PARTS, as are arms, legs and back
    arms: str | None = None
    legs: str | None = None
    pattern: str | None = None
    back: str | None = None  # set all along the upper outline
    eyes: str = "round"
    mouth: str = "smile"


SPECIES = (
    Species("murrel", "pear", 25, "bear", "bushy", "paw", "paw", "belly", eyes="bead", mouth="snout"),
    Species("tofin", "fish", 200, "sprout", "fluke", "flipper", None, "spots"),
    Species("quobble", "ball", 25, "hare", "curl", None, "paw", "patch", mouth="whiskers"),
    Species("nerrit", "loaf", 25, "stag", "tuft", None, "paw", "spots", eyes="bead", mouth="snout"),
    Species("lundo", "egg", 200, "crest", None, "flipper", "paw", "belly", mouth="beak"),
    Species("ossip", "dome", 285, None, None, None, "tentacle", "spots"),
    Species("wemmet", "worm", 110, "frill", "leaf", None, None, "stripes", mouth="fangs"),
    Species("pilku", "slug", 285, "snail", None, None, None, "shell", eyes="sleepy"),
    Species("yarrok", "loaf", 110, "unicorn", "taper", None, "paw", "stripes", "point", mouth="fangs"),
    Species("tindle", "giraffe", 200, "snail", "tuft", None, "stilt", "patch", eyes="sleepy", mouth="snout"),
    Species("gorrin", "ball", 25, "bull", "tuft", None, "paw", None, "wool", mouth="snout"),
    Species("havvo", "loaf", 285, "hound", "bushy", None, "paw", "patch", eyes="bead", mouth="snout"),
    Species("sulka", "fish", 25, "lure", "taper", "flipper", None, "stripes", eyes="sleepy", mouth="fangs"),
    Species("dorrip", "bird", 110, "crest", "paddle", "wing", "stilt", "belly", mouth="bill"),
    Species("mekki", "egg", 285, "moth", "tuft", "wing", "paw", "stripes", eyes="bead"),
    Species("rusko", "egg", 200, "cat", "curl", "paw", "paw", "stripes", mouth="whiskers"),
    Species("bompo", "ball", 110, "hound", "paddle", "flipper", "paw", "belly", "point", mouth="bill"),
    Species("velli", "dome", 200, "snail", "curl", None, "paw", "belly", eyes="sleepy"),
)
# fmt: on

# ------------------------------------------------------------------------------------------------------- drawing


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
