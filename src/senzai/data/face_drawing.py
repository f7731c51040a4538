"""How a face is drawn from its factors: flat shapes, back to front."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from .face_hair import back_hair, beard, brows, front_hair, moustache
from .face_pen import CIRCLE, Colour, Pen, Points, arc, loop, mixed
from .face_plan import Face

EYES: tuple[Colour, ...] = ((104, 62, 30), (70, 132, 74), (66, 128, 200), (116, 130, 142))
PAPER: tuple[Colour, ...] = (
    (160, 208, 240), (164, 224, 196), (252, 204, 172), (208, 188, 240), (250, 232, 150), (122, 138, 160),
)
SHIRT: tuple[Colour, ...] = ((210, 70, 66), (48, 68, 116), (242, 242, 238), (74, 142, 98), (226, 168, 56))
WHITE: Colour = (255, 255, 255)
INK: Colour = (44, 34, 40)
NECK = (0.0, 0.62)
"""Where the head turns about when it tilts."""


def portrait(f: Mapping[str, float], size: int) -> NDArray[np.uint8]:
    """Return a face ``(size, size, 3)``; see :func:`senzai.data.faces.render`."""
    face, paper = Face.of(f), PAPER[int(f["background"])]
    pen = Pen(size, paper)
    pen.ellipse(0, 0.05, 0.92, 0.92, mixed(paper, WHITE, 0.35))
    pen.turned(0.16 * f["tilt"], NECK)
    back_hair(pen, face)
    pen.turned(0.0, NECK)
    _shoulders(pen, face)
    pen.turned(0.16 * f["tilt"], NECK)
    _head(pen, face)
    if f["beard"] == 2:
        beard(pen, face)
    _cheeks(pen, face)
    _mouth(pen, face)
    if f["beard"] >= 1:
        moustache(pen, face)
    _nose(pen, face)
    for side in (-1, 1):
        _eye(pen, face, side)
    brows(pen, face)
    front_hair(pen, face)
    _extras(pen, face)
    return _lit(pen.picture(), f["light"])


def _lit(picture: NDArray[np.float64], light: float) -> NDArray[np.uint8]:
    """Brighten the side that the light comes from."""
    across = np.linspace(-1, 1, picture.shape[1])[None, :, None]
    down = np.linspace(-1, 1, picture.shape[0])[:, None, None]
    shining = 1 + 0.13 * light * across - 0.07 * down
    found: NDArray[np.uint8] = np.clip(np.round(picture * shining), 0, 255).astype(np.uint8)
    return found


def _shoulders(pen: Pen, face: Face) -> None:
    shirt = SHIRT[int(face.f["shirt"])]
    body = loop([(-0.9, 1.3), (-0.82, 0.95), (-0.5, 0.80), (0, 0.76), (0.5, 0.80), (0.82, 0.95), (0.9, 1.3)])
    pen.fill(body, shirt)
    pen.ellipse(0, 0.78, 0.27, 0.13, mixed(shirt, INK, 0.18))
    pen.ellipse(0, 0.77, 0.225, 0.10, face.shade)
    pen.fill(loop([(-0.19, 0.35), (0.19, 0.35), (0.2, 0.8), (-0.2, 0.8)]), face.shade)


def _head(pen: Pen, face: Face) -> None:
    size = 0.085 + 0.045 * face.f["ears"]
    for side in (-1, 1):
        x = side * (face.w - 0.005) - 0.4 * face.dx * (side == np.sign(face.dx))
        pen.ellipse(x, face.y + 0.02 + 0.5 * face.dy, size, 1.35 * size, face.skin)
        pen.ellipse(x, face.y + 0.03 + 0.5 * face.dy, 0.5 * size, 0.8 * size, face.shade)
        if face.f["earrings"]:
            pen.ellipse(x + 0.02 * side, face.y + 0.05 + 1.5 * size, 0.042, 0.042, (250, 206, 70))
    pen.fill(face.outline(), face.shade)
    lit = face.outline(0.965) + np.array([0.034 * face.f["light"] * face.w, -0.012])
    pen.fill(lit, face.skin)


def _cheeks(pen: Pen, face: Face) -> None:
    blush = mixed(face.skin, (240, 100, 96), 0.06 + (0.34 - 0.035 * face.f["skin"]) * face.f["blush"])
    x0, y0 = 0.9 * face.dx, face.y + 0.27 * face.h + 0.03 + face.dy
    for side in (-1, 1):
        x = x0 + side * 0.27 * face.w / 0.45
        pen.ellipse(x, y0, 0.095, 0.07, blush)
        for i in range(4 if face.f["freckles"] else 0):
            spot = (x + 0.05 * (i - 1.5), y0 - 0.035 + 0.04 * (i % 2))
            pen.ellipse(*spot, 0.017, 0.017, mixed(face.skin, (128, 62, 34), 0.62))


def _nose(pen: Pen, face: Face) -> None:
    f = face.f
    wide, long = 0.05 + 0.045 * f["nose_width"], 0.12 + 0.09 * f["nose_length"]
    x, top = 1.5 * face.dx, face.y + 0.02 + face.dy
    y = top + long
    side = 1 if f["turn"] >= 0 else -1
    pen.line(arc([(face.dx + 0.01 * side, top + 0.02), (x + side * wide * 0.5, y - 0.03), (x, y)]), 0.03, face.shade)
    pen.fill(loop([(x - wide, y - 0.01), (x - wide * 0.4, y - 0.045), (x + wide * 0.4, y - 0.045), (x + wide, y - 0.01),
                   (x, y + 0.028)]), face.shade)


def _eye(pen: Pen, face: Face, side: int) -> None:
    f = face.f
    x, y = face.eye(side)
    a = (0.092 + 0.035 * f["eye_size"]) * (1 - 0.12 * side * f["turn"])
    b = a * (0.45 + 0.55 * f["eyes_open"])
    pen.ellipse(x, y, a + 0.014, b + 0.014, face.shade)
    pen.ellipse(x, y, a, b, WHITE)
    r = min(0.66 * a, 0.94 * b)
    ix, iy = x + f["gaze_x"] * (a - r) * 0.75, y + f["gaze_y"] * (b - r) * 0.75
    pen.ellipse(ix, iy, r, r, EYES[int(f["eye_colour"])])
    pen.ellipse(ix, iy, 0.55 * r, 0.55 * r, INK)
    pen.ellipse(ix + 0.3 * r, iy - 0.35 * r, 0.28 * r, 0.28 * r, WHITE)
    lash = [(x - 1.1 * a, y - 0.1 * b), (x - 0.6 * a, y - 0.86 * b), (x, y - 1.08 * b), (x + 0.6 * a, y - 0.86 * b),
            (x + 1.1 * a, y - 0.1 * b)]
    pen.line(arc(lash), 0.032, INK)


def _mouth(pen: Pen, face: Face) -> None:
    f = face.f
    x, y = face.mouth
    a = 0.13 + 0.07 * f["mouth_width"] + 0.03 * max(f["smile"], 0)
    lift = 0.105 * f["smile"]  # corners up, middle down
    gap = 0.15 * max(0.0, f["mouth_open"] - 0.35) * (1.15 if f["smile"] > 0 else 0.9)
    lip = mixed(face.skin, (196, 44, 62), 0.55)
    thick = 0.034 + 0.03 * f["lips"]
    left, right = (x - a, y - 0.6 * lift), (x + a, y - 0.6 * lift)
    upper = arc([left, (x - 0.5 * a, y + 0.25 * lift - 0.45 * gap), (x, y + 0.5 * lift - 0.55 * gap),
                 (x + 0.5 * a, y + 0.25 * lift - 0.45 * gap), right])
    lower = arc([right, (x + 0.5 * a, y + 0.3 * lift + 0.6 * gap), (x, y + 0.6 * lift + 0.9 * gap),
                 (x - 0.5 * a, y + 0.3 * lift + 0.6 * gap), left])
    if gap > 0.012:
        pen.fill(np.concatenate([upper, lower]), (112, 26, 40))
        if gap > 0.03:
            teeth = upper[6:-6]
            pen.fill(np.concatenate([teeth, teeth[::-1] + np.array([0, 0.45 * gap])]), (252, 250, 246))
        pen.line(lower, thick, lip)
    pen.line(upper, thick, lip if gap > 0.012 else mixed(lip, INK, 0.15))


def _extras(pen: Pen, face: Face) -> None:
    """Draw glasses."""
    kind = int(face.f["glasses"])
    if not kind:
        return
    frame, r = (52, 48, 60), 0.158
    centres = [face.eye(side) for side in (-1, 1)]
    for (x, y), side in zip(centres, (-1, 1), strict=True):
        shape = CIRCLE * r if kind == 1 else _rounded(r * 1.08, r * 0.82)
        pen.line(shape + np.array([x, y + 0.01]), 0.036, frame, closed=True)
        pen.line(np.array([(x + side * r, y - 0.02), (side * face.w * 0.98, y - 0.03)]), 0.036, frame)
    (x1, y1), (x2, _) = centres
    pen.line(arc([(x1 + r, y1), ((x1 + x2) / 2, y1 - 0.03), (x2 - r, y1)]), 0.036, frame)


def _rounded(a: float, b: float) -> Points:
    """Return a rectangle with round corners."""
    c, s = CIRCLE.T
    return np.stack([a * np.sign(c) * np.abs(c) ** 0.4, b * np.sign(s) * np.abs(s) ** 0.4], -1)
