"""Data sets that come with the libraries, for demonstrations and tests without a network."""

from __future__ import annotations

from functools import cache, partial

import numpy as np

from senzai.core.extras import need

from .readers import Raw
from .sources import BUILT_IN


@BUILT_IN.add("digits")
def digits() -> Raw:
    """1797 handwritten digits of 8 x 8 pixels with the levels 0 to 16 and their class (scikit-learn's copy of UCI's).

    Example:
        >>> digits().x.shape
        (1797, 8, 8)
    """
    bunch = need("sklearn.datasets", extra="all", to="load the digits").load_digits()
    return Raw(x=bunch.images.astype(np.uint8), y=bunch.target, label_name="digit", label_asked=True)


@BUILT_IN.add("ring")
def ring() -> Raw:
    """5,000 points of 25 normals on a ring, with the number of the normal as the label.

    Example:
        >>> ring().x.shape
        (5000, 2)
    """
    from .ring import draw

    x, mode = draw(5000)
    return Raw(x=x, y=mode, label_name="mode", label_asked=True)


N_FACES = 4_000
"""Faces in the built-in sets; :func:`senzai.data.faces.render` draws as many as are asked for."""


@cache
def faces(size: int = 32) -> Raw:
    """4,000 drawn faces of some size in colour, with their expression as the label and their other factors beside.

    Factors with named values may be the label: ``label=glasses``.

    Example:
        >>> from senzai.data import BUILT_IN
        >>> sorted(BUILT_IN)
        ['digits', 'faces', 'faces-128', 'faces-64', 'pendulum', 'ring']
    """
    from .faces import factors_of, labels_of, render  # they need Pillow

    factors = factors_of(range(N_FACES))
    x = render(factors, size)
    x.flags.writeable = False  # it is kept, and everybody gets the same
    labels = labels_of(factors)
    return Raw(x=x, y=labels["expression"], label_name="expression", label_asked=True, marks=labels)


for _name, _size in {"faces": 32, "faces-64": 64, "faces-128": 128}.items():
    BUILT_IN.add(_name)(partial(faces, _size))


N_PENDULUMS = 4_000
"""Pictures in the built-in set; :func:`senzai.data.pendulum.render` draws as many as are asked for."""


@BUILT_IN.add("pendulum")
@cache
def pendulum() -> Raw:
    """4,000 drawn pictures of a pendulum, a light and its shadow, with their four concepts beside.

    Fit with ``concepts=angle,light,shadow_position,shadow_length``.

    Example:
        >>> pendulum().x.shape
        (4000, 32, 32)
    """
    from .pendulum import NAMES, factors_of, render

    factors = factors_of(range(N_PENDULUMS))
    x = render(factors)
    x.flags.writeable = False
    return Raw(x=x, marks=dict(zip(NAMES, factors.T, strict=True)))
