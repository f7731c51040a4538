"""Pictures of a pendulum, a light and its shadow, drawn here: four concepts whose causes are known and can be set."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from senzai.core.errors import InputError, SettingError
from senzai.core.registry import suggestion

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]

NAMES = ("angle", "light", "shadow_position", "shadow_length")
"""Angle of the pendulum in degrees, place of the light from -1 to 1, middle and length of the shadow in pixels."""
GRAPH = "angle>shadow_position;angle>shadow_length;light>shadow_position;light>shadow_length"
"""What causes what."""
RANGES = {"angle": (-45.0, 45.0), "light": (-0.9, 0.9), "shadow_position": (-14.0, 14.0), "shadow_length": (1.0, 24.0)}
"""Where each can be drawn."""
SIDE, FINE = 32, 4
MIDDLE = (SIDE - 1) / 2
PIVOT, ROD, GROUND = 8.0, 12.0, 28.5
SLANT = 0.45
"""How far a ray goes aside for each pixel down, at light 1."""
UNEVEN = 0.4
"""Spread of what the ground adds to both ends of the shadow's middle and length, in pixels."""
TAG = 7_201


def mechanism(angle: Floats, light: Floats) -> tuple[Floats, Floats]:
    """Return the middle and the length of the shadow on even ground, in pixels.

    Rays come from the light's side and fall straight: the pivot and the bob each have a place on the ground, and the
    shadow lies between, as wide as the bob at least.

    Example:
        >>> middle, length = mechanism(np.array([0.0]), np.array([0.0]))
        >>> middle.item(), length.item()
        (0.0, 3.0)
    """
    turn = np.deg2rad(angle)
    x, y = ROD * np.sin(turn), PIVOT + ROD * np.cos(turn)
    pivot, bob = -(GROUND - PIVOT) * SLANT * light, x - (GROUND - y) * SLANT * light
    return (pivot + bob) / 2, np.sqrt((pivot - bob) ** 2 + 9.0)


def factors_of(index: object, *, given: Mapping[str, float] | None = None) -> Floats:
    """Return the concepts of pictures by their number, ``(N, 4)`` in the order of :data:`NAMES`.

    Angle and light are uniform and independent; the shadow follows from both and from the ground, which is uneven by a
    normal number for each. What is ``given`` is set: its causes do not matter, its effects follow, and the noise of the
    picture of that number stays, so that this is its counterfactual.

    Raises:
        InputError: Numbers are no whole numbers from 0 on.
        SettingError: What is given is no concept.

    Example:
        >>> once, then = factors_of([3])[0], factors_of([3], given={"angle": 10.0})[0]
        >>> bool(once[1] == then[1]), float(then[0]), bool(once[2] == then[2])
        (True, 10.0, False)
    """
    numbers, set_ = np.asarray(index), dict(given or {})
    if numbers.ndim != 1 or (numbers.size and (numbers.dtype.kind not in "iu" or numbers.min() < 0)):
        raise InputError(
            f"Pictures have whole numbers from 0 on, but got {numbers.dtype} of the shape {numbers.shape}."
        )
    for name in set_:
        if name not in NAMES:
            raise SettingError(f"Concepts are {', '.join(NAMES)}, but got {name!r}.{suggestion(name, list(NAMES))}")
    draws = [np.random.default_rng((TAG, number)) for number in numbers.tolist()]
    noise = np.array([[*rng.random(2), *rng.normal(size=2)] for rng in draws]).reshape(len(draws), 4)
    found = np.zeros((len(draws), 4))
    for i, name in enumerate(NAMES[:2]):
        low, high = RANGES[name]
        found[:, i] = set_.get(name, low + (high - low) * noise[:, i])
    for i, even in enumerate(mechanism(found[:, 0], found[:, 1]), 2):
        low, high = RANGES[NAMES[i]]
        found[:, i] = set_.get(NAMES[i], np.clip(even + UNEVEN * noise[:, i], low, high))
    return found


def render(factors: object) -> Pixels:
    """Draw pictures from their concepts, whatever these have to do with each other.

    The same concepts give the same picture at any time: a disc for the light, a rod with a bob, a bar on the ground,
    drawn at four times the side and averaged.

    Args:
        factors: ``(N, 4)`` as of :func:`factors_of`.

    Returns:
        ``(N, 32, 32)`` bytes, white on black.

    Raises:
        InputError: They are not ``(N, 4)``, or not finite.

    Example:
        >>> render(factors_of(range(2))).shape
        (2, 32, 32)
    """
    given = np.asarray(factors, dtype=np.float32)
    if given.ndim != 2 or given.shape[1] != 4 or not np.isfinite(given).all():
        raise InputError(f"Concepts are finite numbers (N, 4), but got the shape {given.shape}. Use `factors_of`.")
    at = ((np.arange(SIDE * FINE) + 0.5) / FINE - 0.5).astype(np.float32)
    x, y = at[None, None, :] - MIDDLE, at[None, :, None]
    found = np.zeros((len(given), SIDE, SIDE), np.uint8)
    for start in range(0, len(given), 256):
        angle, light, middle, length = (given[start : start + 256, i, None, None] for i in range(4))
        turn = np.deg2rad(angle)
        along, across = x * np.sin(turn) + (y - PIVOT) * np.cos(turn), x * np.cos(turn) - (y - PIVOT) * np.sin(turn)
        disc = (x - 12.0 * light) ** 2 + (y - 2.5) ** 2 <= 2.2**2
        rod = (np.abs(across) <= 0.6) & (along >= 0) & (along <= ROD)
        bob = across**2 + (along - ROD) ** 2 <= 2.2**2
        bar = (np.abs(x - middle) <= length / 2) & (np.abs(y - GROUND) <= 1.5)
        inside = (disc | rod | bob | bar).reshape(-1, SIDE, FINE, SIDE, FINE).mean((2, 4))
        found[start : start + 256] = np.round(255 * inside)
    return found


def read_off(pictures: object) -> Floats:
    """Return the concepts that pictures show, ``(N, 4)``: from the centres and the amount of light in three bands.

    Works on blurred pictures too, such as expected ones. Of drawn pictures the angle is exact to a degree, the light to
    0.01, the shadow to a tenth of a pixel as long as it lies within the picture.

    Args:
        pictures: ``(N, 32, 32)``, bytes or from 0 to 1.

    Example:
        >>> factors = factors_of(range(20))
        >>> bool(np.abs(read_off(render(factors)) - factors)[:, 0].max() < 1)
        True
    """
    x = np.asarray(pictures, dtype=np.float64).reshape(-1, SIDE, SIDE)
    x = x / (255.0 if x.size and x.max() > 1.5 else 1.0)
    across, down = np.arange(SIDE) - MIDDLE, np.arange(SIDE)[:, None] - PIVOT
    sky, air, ground = x[:, :6], x[:, 6:25], x[:, 25:]
    weight = [part.sum((1, 2)) + 1e-9 for part in (sky, air, ground)]
    light = (sky * across).sum((1, 2)) / weight[0] / 12.0
    aside, below = (air * across).sum((1, 2)) / weight[1], (air * down[6:25]).sum((1, 2)) / weight[1]
    middle = (ground * across).sum((1, 2)) / weight[2]
    return np.stack([np.rad2deg(np.arctan2(aside, below)), light, middle, weight[2] / 3.0], 1)
