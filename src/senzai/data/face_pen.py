"""A pen that fills smooth shapes: curves through points, thick lines, mirrored pairs, at several times the size."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import cos, pi, sin

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Colour = tuple[int, int, int]
Points = NDArray[np.float64]

FINER = 4
"""How much larger than the picture is drawn, before it is averaged."""


def _circle(n: int) -> Points:
    angle = np.linspace(0, 2 * pi, n, endpoint=False)
    return np.stack([np.cos(angle), np.sin(angle)], -1)


CIRCLE, SMALL_CIRCLE = _circle(48), _circle(20)


def mixed(a: Colour, b: Colour, share: float) -> Colour:
    """Return a colour on the way from ``a`` to ``b``.

    Example:
        >>> mixed((0, 0, 0), (200, 100, 50), 0.5)
        (100, 50, 25)
    """
    red, green, blue = (round(x + share * (y - x)) for x, y in zip(a, b, strict=True))
    return red, green, blue


def arc(points: Sequence[tuple[float, float]], n: int = 10) -> Points:
    """Return a smooth open curve through points (Catmull-Rom), ``n`` pieces between two.

    Example:
        >>> arc([(0, 0), (1, 0), (2, 0)], n=2).tolist()
        [[0.0, 0.0], [0.4375, 0.0], [1.0, 0.0], [1.5625, 0.0], [2.0, 0.0]]
    """
    p = [points[0], *points, points[-1]]
    return np.concatenate([_through(np.array(p, float), n), np.array(points[-1:], float)])


def loop(points: Sequence[tuple[float, float]], n: int = 8) -> Points:
    """Return a smooth closed curve through points."""
    return _through(np.array([points[-1], *points, *points[:2]], float), n)


def _through(p: Points, n: int) -> Points:
    """Return curves between all points but the first and the last, without their end."""
    windows = np.stack([p[:-3], p[1:-2], p[2:-1], p[3:]])
    found: Points = np.tensordot(_basis(n), windows, 1).transpose(1, 0, 2).reshape(-1, 2)
    return found


@cache
def _basis(n: int) -> Points:
    """Return the weights of four neighbouring points at ``n`` places between the middle two, ``(n, 4)``."""
    t = np.linspace(0, 1, n, endpoint=False)
    return 0.5 * np.stack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2], -1)


class Pen:
    """Draws in units of half the picture: (-1, -1) is the corner at the upper left, (1, 1) the one at the lower right.

    Args:
        size: Side in pixels.
        paper: Colour of the ground.
    """

    def __init__(self, size: int, paper: Colour) -> None:
        self.size, self.half = size, size * FINER / 2
        self.sheet = Image.new("RGB", (size * FINER, size * FINER), paper)
        self.draw = ImageDraw.Draw(self.sheet)
        self.turned(0.0, (0.0, 0.0))

    def turned(self, angle: float, about: tuple[float, float]) -> None:
        """Turn everything that follows by an angle in radians about a point."""
        turn = np.array([[cos(angle), sin(angle)], [-sin(angle), cos(angle)]])
        centre = np.array(about)
        self.onto = turn * self.half
        self.shift = (centre - centre @ turn + 1) * self.half - 0.5

    def placed(self, points: Points) -> list[float]:
        """Return points of the sheet: x and y in turn."""
        turned = np.asarray(points) @ self.onto + self.shift
        found: list[float] = turned.ravel().tolist()
        return found

    def fill(self, points: Points, colour: Colour) -> None:
        """Fill a shape."""
        self.draw.polygon(self.placed(points), fill=colour)

    def ellipse(self, x: float, y: float, a: float, b: float, colour: Colour) -> None:
        """Fill an ellipse of half axes ``a`` and ``b``."""
        self.fill((CIRCLE if a > 0.12 else SMALL_CIRCLE) * (a, b) + (x, y), colour)

    def line(self, points: Points, width: float, colour: Colour, *, closed: bool = False) -> None:
        """Draw a line with round ends."""
        p = np.concatenate([points, points[:1]]) if closed else np.asarray(points)
        placed = self.placed(p)
        thick = max(1.0, width * self.half)
        self.draw.line(placed, fill=colour, width=round(thick), joint="curve")
        r = round(thick) / 2
        for x, y in () if closed else (placed[:2], placed[-2:]):
            self.draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    def picture(self) -> NDArray[np.float64]:
        """Return the picture ``(size, size, 3)``, averaged."""
        return np.asarray(self.sheet.reduce(FINER), np.float64)
