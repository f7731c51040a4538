"""Hair of drawn faces: what hangs behind the head, what lies on it, brows and beards."""

from __future__ import annotations

import numpy as np

from .face_pen import Pen, Points, arc, loop, mixed
from .face_plan import Face

BALD, SHORT, PARTED, CURLY, BOB, LONG, BUN, AFRO = range(8)
DARK = (30, 22, 30)

FRINGES = {
    SHORT: ((0.9, 0.06), (0.55, 0.0), (0.0, -0.03), (-0.55, 0.0), (-0.9, 0.06)),
    PARTED: ((0.92, 0.06), (0.45, -0.10), (-0.2, 0.03), (-0.85, 0.14)),
    BOB: ((0.86, 0.12), (0.5, 0.1), (0.0, 0.08), (-0.5, 0.1), (-0.86, 0.12)),
    LONG: ((0.84, 0.12), (0.52, -0.04), (0.0, -0.17), (-0.52, -0.04), (-0.84, 0.12)),
    BUN: ((0.92, 0.06), (0.52, -0.1), (0.0, -0.13), (-0.52, -0.1), (-0.92, 0.06)),
    AFRO: ((0.9, 0.06), (0.55, 0.0), (0.0, -0.03), (-0.55, 0.0), (-0.9, 0.06)),
}
"""The line of the hair across the forehead: shares of half the width, and how far below where it usually is."""


def back_hair(pen: Pen, face: Face) -> None:
    """Draw what is seen behind the head."""
    style, more = int(face.f["hair"]), 0.10 * face.f["hair_volume"]
    dark = mixed(face.hair, DARK, 0.22)
    w, top = face.w, face.y - face.h
    if style in (BOB, LONG):
        end = 0.52 if style == BOB else 1.0
        wide = w + 0.10 + more
        pen.fill(loop([
            (0, top - 0.10 - more), (0.75 * wide, top + 0.04 - more), (wide, face.y - 0.1),
            (wide + 0.02, 0.5 * end + 0.1),
            (wide - 0.03, end), (0.55 * wide, end + 0.06), (-0.55 * wide, end + 0.06), (-wide + 0.03, end),
            (-wide - 0.02, 0.5 * end + 0.1), (-wide, face.y - 0.1), (-0.75 * wide, top + 0.04 - more),
        ]), dark)
    elif style == BUN:
        pen.ellipse(0.3 * face.dx, top - 0.12 - 0.5 * more, 0.19 + more, 0.17 + more, dark)
    elif style == AFRO:
        pen.ellipse(0, face.y - 0.22, w + 0.20 + more, 0.56 + more, dark)
    elif style == CURLY:
        for angle in np.linspace(np.pi, 2 * np.pi, 9):
            x, y = np.cos(angle), np.sin(angle)
            pen.ellipse((w + 0.01) * x, face.y - 0.10 + (face.h - 0.06) * y, 0.14 + more, 0.14 + more, dark)


def front_hair(pen: Pen, face: Face) -> None:
    """Draw what lies on the head."""
    style, more = int(face.f["hair"]), 0.08 * face.f["hair_volume"]
    if style == BALD:
        shine = mixed(face.skin, (255, 255, 255), 0.45)
        pen.fill(loop([(-0.2 + face.dx, face.y - 0.76 * face.h), (-0.05 + face.dx, face.y - 0.86 * face.h),
                       (0.03 + face.dx, face.y - 0.82 * face.h), (-0.08 + face.dx, face.y - 0.75 * face.h)]), shine)
    elif style == CURLY:
        _curls(pen, face, more)
    else:
        pen.fill(_cap(face, more, _fringe(face, style)), face.hair)
        _gloss(pen, face, more)


def _cap(face: Face, more: float, fringe: list[tuple[float, float]]) -> Points:
    """Return hair between the crown and a line across the forehead, given from right to left."""
    w, top = face.w + 0.025, face.y - face.h - 0.035 - more
    low = fringe[0][1]
    a, b = 0.78 * w + 0.3 * more, w + 0.01 + 0.3 * more
    right = [(0.4 * w, top + 0.03), (a, top + 0.17), (b, face.y - 0.25), (w, low)]
    crown = arc([*((-x, y) for x, y in right[::-1]), (0, top), *right], 6)
    return np.concatenate([crown, arc(fringe, 6)])


def _fringe(face: Face, style: int) -> list[tuple[float, float]]:
    """Return the line across the forehead, from right to left; what is near its middle turns with the face."""
    w, line = face.w + 0.02, face.y - 0.56 * face.h + face.dy
    side = face.y - (0.02 if style in (BOB, LONG) else 0.16)
    inner = [(x * w + face.dx * (abs(x) < 0.5), line + up) for x, up in FRINGES[style]]
    return [(w, side), *inner, (-w, side)]


def _gloss(pen: Pen, face: Face, more: float) -> None:
    top = face.y - face.h - 0.02 - 0.6 * more
    shine = mixed(face.hair, (255, 250, 235), 0.22)
    pen.line(arc([(-0.58 * face.w, top + 0.17), (-0.3 * face.w, top + 0.075), (-0.02, top + 0.055)]), 0.045, shine)


def _curls(pen: Pen, face: Face, more: float) -> None:
    line = face.y - 0.60 * face.h + face.dy
    for row, y in enumerate((line - 0.26, line - 0.12, line)):
        wide = face.w * (0.62, 0.86, 0.94)[row]
        for i, x in enumerate(np.linspace(-wide, wide, 6 + row)):
            y0 = y + 0.16 * (x / face.w) ** 2 + 0.02 * (i % 2)
            colour = mixed(face.hair, (255, 250, 235), 0.12 * ((i + row) % 2))
            pen.ellipse(x, y0, 0.105 + 0.5 * more, 0.105 + 0.5 * more, colour)


def brows(pen: Pen, face: Face) -> None:
    """Draw both brows."""
    f = face.f
    colour = mixed(face.hair, DARK, 0.35)
    for side in (-1, 1):
        x, y = face.eye(side)
        y -= 0.16 + 0.06 * f["brow_height"] + 0.03 * f["eye_size"]
        rise = 0.05 * f["brow_tilt"]  # inner ends up: worried; down: cross
        inner, outer = x - 0.10 * side, x + 0.115 * side
        hairs = arc([(inner, y - rise), (x, y - 0.025), (outer, y + 0.6 * rise + 0.01)])
        pen.line(hairs, 0.03 + 0.035 * f["brow_weight"], colour)


def beard(pen: Pen, face: Face) -> None:
    """Draw a full beard, from one ear to the other."""
    outline = face.outline(1.03)
    low = outline[(outline[:, 1] > face.y + 0.06)]
    low = low[np.argsort(-low[:, 0])]
    x, y = face.mouth
    ends = [(0.62 * face.w, y - 0.12), (0.86 * face.w, face.y + 0.1)]
    inner = arc([*((-a, b) for a, b in ends[::-1]), (x - 0.1, y - 0.13), (x, y - 0.12), (x + 0.1, y - 0.13), *ends], 6)
    pen.fill(np.concatenate([low, inner]), mixed(face.hair, DARK, 0.10))
    pen.ellipse(x, y + 0.01, 0.2, 0.08, mixed(face.skin, (172, 38, 56), 0.12))


def moustache(pen: Pen, face: Face) -> None:
    """Draw a moustache below the nose."""
    x, y = face.mouth
    top = y - 0.10
    right = [(0.11, -0.03), (0.21, 0.055), (0.1, 0.055)]
    shape = [(0, -0.02), *right, (0, 0.03), *((-a, b) for a, b in right[::-1])]
    pen.fill(loop([(x + a, top + b) for a, b in shape]), mixed(face.hair, DARK, 0.12))
