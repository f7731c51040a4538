"""Normals on a ring: points in the plane whose density is known, and whose modes can be counted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from senzai.core.errors import InputError

Floats = NDArray[np.float64]

MODES, RADIUS, SPREAD = 25, 2.0, 0.06


def centres() -> Floats:
    """Return the middles of the 25 normals, ``(25, 2)``."""
    angle = 2 * np.pi * np.arange(MODES) / MODES
    return RADIUS * np.stack([np.cos(angle), np.sin(angle)], -1)


def draw(n: int, *, seed: int = 0) -> tuple[Floats, NDArray[np.int64]]:
    """Return ``n`` points ``(n, 2)``, and the number of the normal that each came from.

    Example:
        >>> x, mode = draw(5)
        >>> x.shape, bool((np.linalg.norm(x - centres()[mode], axis=1) < 0.3).all())
        ((5, 2), True)
    """
    rng = np.random.default_rng(seed)
    mode = rng.integers(0, MODES, n)
    return centres()[mode] + SPREAD * rng.standard_normal((n, 2)), mode


def log_density(x: object) -> Floats:
    r"""Return the log density of points ``(N, 2)`` in nats.

    .. math:: \log \frac{1}{25} \sum_k \mathcal N(x; \mu_k, \sigma^2 I)

    Raises:
        InputError: They are not in the plane.
    """
    points = np.asarray(x, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise InputError(f"The ring is in the plane, but got points of the shape {points.shape}. Give (N, 2).")
    square = np.square(points[:, None] - centres()).sum(-1)
    log_each = -0.5 * square / SPREAD**2 - np.log(2 * np.pi * SPREAD**2) - np.log(MODES)
    top = log_each.max(1)
    found: Floats = top + np.log(np.exp(log_each - top[:, None]).sum(1))
    return found


def modes_found(x: object) -> tuple[float, float]:
    """Return the share of the 25 modes that samples reach, and the share of samples that are near to one.

    A sample is near within three spreads of a middle; a mode is reached by a fifth of its share of the samples.

    Example:
        >>> modes_found(draw(5000, seed=1)[0])[0], modes_found(np.zeros((10, 2)))
        (1.0, (0.0, 0.0))
    """
    points = np.asarray(x, dtype=np.float64)
    distance = np.linalg.norm(points[:, None] - centres(), axis=-1)
    near = distance.min(1) < 3 * SPREAD
    count = np.bincount(distance.argmin(1)[near], minlength=MODES)
    return float((count >= max(1.0, len(points) / MODES / 5)).mean()), float(near.mean())
