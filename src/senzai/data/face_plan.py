"""Where the parts of a drawn face are, and what colours they have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .face_pen import CIRCLE, Colour, Points, mixed

SKIN: tuple[Colour, ...] = (
    (255, 226, 205), (246, 205, 172), (226, 174, 128), (193, 139, 96), (148, 96, 62), (99, 62, 44),
)
HAIR: tuple[Colour, ...] = (
    (38, 32, 38), (92, 58, 38), (152, 66, 34), (232, 190, 98), (176, 178, 184), (66, 108, 190),
)


@dataclass(frozen=True, slots=True)
class Face:
    """Where things are and what colours they have.

    Args:
        f: The factors by name.
        w: Half the width of the head.
        h: Half its height.
        y: Height of its middle.
        dx: How far to the right things on its front are, because it is turned.
        dy: How far down, because it nods.
        skin: Colour of the skin.
        shade: Colour of skin in the shade.
        hair: Colour of the hair.
    """

    f: Mapping[str, float]
    w: float
    h: float
    y: float
    dx: float
    dy: float
    skin: Colour
    shade: Colour
    hair: Colour

    @staticmethod
    def of(f: Mapping[str, float]) -> Face:
        """Work out the geometry."""
        skin = SKIN[int(f["skin"])]
        return Face(
            f, 0.43 + 0.10 * f["face_width"], 0.52 + 0.09 * f["face_height"], -0.02, 0.10 * f["turn"],
            0.06 * f["nod"], skin, mixed(skin, (96, 30, 40), 0.20), HAIR[int(f["hair_colour"])],
        )

    def outline(self, grow: float = 1.0) -> Points:
        """Return the outline of the head, from its right side on."""
        wide = 2.0 + 1.1 * self.f["jaw"]
        c, s = CIRCLE.T
        power = np.where(s > 0, 2 / wide, 1.0)
        x = self.w * np.sign(c) * np.abs(c) ** power
        taper = 1 - (0.26 - 0.16 * self.f["jaw"]) * np.clip(s, 0, 1) ** 2
        y = self.h * np.sign(s) * np.abs(s) ** np.where(s > 0, 1.9 / wide + 0.05, 1.0)
        return np.stack([grow * x * taper, self.y + grow * y], -1)

    def eye(self, side: int) -> tuple[float, float]:
        """Return the middle of an eye: -1 the one on the left of the picture."""
        apart = 0.185 + 0.05 * self.f["eye_spacing"]
        return self.dx + side * apart * (1 - 0.08 * side * self.f["turn"]), self.y - 0.03 + self.dy

    @property
    def mouth(self) -> tuple[float, float]:
        """The middle of the mouth."""
        return 1.1 * self.dx, self.y + 0.54 * self.h + 0.9 * self.dy
