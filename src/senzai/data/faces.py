"""Faces, drawn here: small coloured portraits whose factors are known, as many as are asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from senzai.core.errors import InputError

from .face_drawing import portrait

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Pixels = NDArray[np.uint8]

LEAST, MOST = 16, 256
"""Sides in pixels that faces are drawn at."""
SMILES = 0.25
"""Value of the factor ``smile`` from which on a face smiles; below its negative it frowns."""
TAG = 9_051
"""First number of the seed of each face."""


@dataclass(frozen=True, slots=True)
class FaceFactor:
    """One thing that varies.

    Args:
        name: What it is called.
        values: Names of its values; empty for a number.
        odds: How often each is there beside the others; by default all alike.
        low: Least number.
        high: Largest number.
    """

    name: str
    values: tuple[str, ...] = ()
    odds: tuple[int, ...] = ()
    low: float = 0.0
    high: float = 1.0


FACTORS = (
    FaceFactor("skin", ("porcelain", "light", "tan", "olive", "brown", "dark")),
    FaceFactor("hair", ("bald", "short", "parted", "curly", "bob", "long", "bun", "afro")),
    FaceFactor("hair_colour", ("black", "brown", "auburn", "blonde", "grey", "blue")),
    FaceFactor("eye_colour", ("brown", "green", "blue", "grey")),
    FaceFactor("glasses", ("none", "round", "square"), (2, 1, 1)),
    FaceFactor("beard", ("none", "moustache", "full"), (3, 1, 1)),
    FaceFactor("earrings", ("no", "yes"), (2, 1)),
    FaceFactor("freckles", ("no", "yes"), (2, 1)),
    FaceFactor("background", ("sky", "mint", "peach", "lilac", "lemon", "slate")),
    FaceFactor("shirt", ("red", "navy", "white", "green", "mustard")),
    FaceFactor("smile", low=-1.0),
    FaceFactor("mouth_open"),
    FaceFactor("mouth_width"),
    FaceFactor("lips"),
    FaceFactor("face_width"),
    FaceFactor("face_height"),
    FaceFactor("jaw"),
    FaceFactor("eye_size"),
    FaceFactor("eye_spacing"),
    FaceFactor("eyes_open"),
    FaceFactor("gaze_x", low=-1.0),
    FaceFactor("gaze_y", low=-1.0),
    FaceFactor("brow_height"),
    FaceFactor("brow_tilt", low=-1.0),
    FaceFactor("brow_weight"),
    FaceFactor("nose_length"),
    FaceFactor("nose_width"),
    FaceFactor("ears"),
    FaceFactor("hair_volume"),
    FaceFactor("blush"),
    FaceFactor("turn", low=-1.0),
    FaceFactor("nod", low=-1.0),
    FaceFactor("tilt", low=-1.0),
    FaceFactor("light", low=-1.0),
)
"""What varies, in the order of the columns of :func:`factors_of`: first the named values, then the numbers."""
NAMES = tuple(factor.name for factor in FACTORS)
N_NAMED = sum(bool(factor.values) for factor in FACTORS)


def render(factors: object, size: int = 64) -> Pixels:
    """Draw faces from their factors.

    Flat shapes are filled at four times the side and averaged, so that edges are smooth. The same factors give the same
    picture at any time, and the same face at any size.

    Args:
        factors: ``(N, 34)`` as of :func:`factors_of`: numbers of named values, and numbers within their range.
        size: Side in pixels, 16 to 256.

    Returns:
        ``(N, size, size, 3)`` bytes.

    Raises:
        InputError: They are not ``(N, 34)``, or one is out of its range.

    Example:
        >>> faces = render(factors_of([0, 1]), size=32)
        >>> faces.shape, faces.dtype, bool((faces[0] == faces[1]).all())
        ((2, 32, 32, 3), dtype('uint8'), False)
    """
    given = _checked(factors)
    if not (isinstance(size, int | np.integer) and LEAST <= size <= MOST):
        raise InputError(f"Faces are drawn with sides of {LEAST} to {MOST} pixels, but got size={size!r}.")
    found = np.zeros((len(given), size, size, 3), np.uint8)
    for i, row in enumerate(given):
        found[i] = portrait(dict(zip(NAMES, row.tolist(), strict=True)), int(size))
    return found


def factors_of(index: object) -> Floats:
    """Return the factors of faces by their number, ``(N, 34)``: each face has its own, whatever else is drawn.

    All factors are independent: of two faces alike in all but one, both are equally likely. Named values have the odds
    of their factor, numbers are uniform over their range.

    Example:
        >>> factors_of([5, 7])[1].tolist() == factors_of([7])[0].tolist()
        True
    """
    numbers = np.asarray(index)
    if numbers.ndim != 1 or (numbers.size and (numbers.dtype.kind not in "iu" or numbers.min() < 0)):
        raise InputError(f"Faces have whole numbers from 0 on, but got {numbers.dtype} of the shape {numbers.shape}.")
    found = np.zeros((len(numbers), len(FACTORS)))
    for i, number in enumerate(numbers.tolist()):
        u = np.random.default_rng((TAG, number)).random(len(FACTORS))
        found[i] = [_value(factor, share) for factor, share in zip(FACTORS, u, strict=True)]
    return found


def labels_of(factors: Floats) -> dict[str, NDArray[np.str_]]:
    """Return the named values of faces by factor, and ``expression``: frowning, neutral or smiling.

    Example:
        >>> found = labels_of(factors_of(range(4)))
        >>> sorted(found)[:3], found["expression"].shape
        (['background', 'beard', 'earrings'], (4,))
    """
    given = _checked(factors)
    found = {
        factor.name: np.array(factor.values)[given[:, i].astype(int)]
        for i, factor in enumerate(FACTORS) if factor.values
    }
    smile = given[:, NAMES.index("smile")]
    place = np.searchsorted((-SMILES, SMILES), smile)
    return {"expression": np.array(("frowning", "neutral", "smiling"))[place], **found}


def _value(factor: FaceFactor, share: float) -> float:
    if factor.values:
        odds = np.cumsum(factor.odds or (1,) * len(factor.values))
        return float(np.searchsorted(odds / odds[-1], share, side="right"))
    return factor.low + share * (factor.high - factor.low)


def _checked(factors: object) -> Floats:
    given = np.asarray(factors)
    if given.ndim != 2 or given.shape[1] != len(FACTORS) or given.dtype.kind not in "iuf":
        raise InputError(
            f"Factors of faces are numbers (N, {len(FACTORS)}), but got {given.dtype} of the shape {given.shape}. "
            "Make them with `factors_of`."
        )
    given = given.astype(np.float64)
    for i, factor in enumerate(FACTORS):
        column = given[:, i]
        low, high = (0, len(factor.values) - 1) if factor.values else (factor.low, factor.high)
        fits = (column >= low) & (column <= high) & (not factor.values or column == np.round(column))
        if not fits.all():
            what = "whole numbers" if factor.values else "numbers"
            raise InputError(
                f"The factor {factor.name!r} takes {what} from {low:g} to {high:g}, but got {column[~fits][0]:g}."
            )
    return given
