"""What the creatures of chapters 1, 3, 5, 9 and 10 are made of: outlines in tables, bodies, and a row for each species.

A new ear is a line here, and so is a new species. `creatures` draws them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

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
