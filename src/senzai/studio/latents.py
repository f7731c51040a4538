"""Points of the latent space: how rows are placed, what a point decodes to, which directions say something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.batch import Batch
from ..core.errors import CombinationError, SettingError
from ..models import verbs
from ..models.base import Latents, latent_model
from ..report.blocks import Colouring
from ..report.colouring import MISSING
from ..runs import Run
from .shown import drawn

Floats = NDArray[np.float32]
POINTS = 64
"""Points that are decoded at once for the page."""


@dataclass(frozen=True)
class LatentForm:
    """How the latents of one row lie in a list of numbers.

    Args:
        shapes: Shape of each group of latents.
        names: Name of each number.
    """

    shapes: tuple[tuple[int, ...], ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, z: Latents) -> LatentForm:
        """Return the form of some latents, rows first.

        Raises:
            CombinationError: They are codes, which have nothing between them.
        """
        if not all(g.is_floating_point() for g in z):
            raise CombinationError(
                "A map needs latents with a distance, but those of this model are code numbers. "
                "Fit a recipe with continuous latents, such as vae."
            )
        shapes = tuple(tuple(g.shape[1:]) for g in z)
        names = [f"{'' if len(z) == 1 else f'{i}.'}{j}" for i, s in enumerate(shapes) for j in range(prod(s))]
        return cls(shapes, tuple(names))

    @property
    def size(self) -> int:
        """Numbers of a row."""
        return len(self.names)

    def split(self, flat: Tensor) -> Latents:
        """Return lists of numbers ``(n, size)`` as groups of latents."""
        parts = torch.split(flat, [prod(s) for s in self.shapes], dim=1)
        return tuple(p.reshape(len(flat), *s) for p, s in zip(parts, self.shapes, strict=True))


def flat(z: Latents) -> Floats:
    """Return groups of latents as a list of numbers for each row."""
    found: Floats = torch.cat([g.flatten(1) for g in z], 1).float().cpu().numpy()
    return found


def decoded(run: Run, form: LatentForm, points: Any, like: Batch | None = None) -> list[Any]:
    """Return what points of the latent space decode to, as rows are drawn.

    Args:
        run: The run.
        form: The form of its latents.
        points: Numbers ``(n, size)``.
        like: The row whose condition they have, for a model that is conditioned on something.

    Raises:
        SettingError: They have not that many numbers, or one that is not finite.
    """
    values = np.asarray(points, dtype=np.float64)
    fit = values.ndim == 2 and values.shape[1] == form.size and 0 < len(values) <= POINTS
    if not fit or not np.isfinite(values).all():
        raise SettingError(
            f"Points of this latent space are 1 to {POINTS} lists of {form.size} finite numbers, but got an array of "
            f"the shape {values.shape}. Load the map again."
        )
    model = latent_model(run.model)
    with run.lock:
        z = form.split(torch.from_numpy(values).float().to(model.device))
        c = None if like is None else run.model.given(like)
        x = verbs.decode(run.model, z, c=None if c is None else c[:1].expand(len(values), -1))
        return drawn(x, run.schema)


# --- directions -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Attribute:
    """A direction along which something that has a name changes most.

    Args:
        name: What changes: a column, or one level of it.
        level: That level, empty for numbers.
        direction: One unit along it, ``(size,)``.
        share: Share of its variation that the direction explains on the rows of the map, 0 to 1.
    """

    name: str
    level: str
    direction: Floats
    share: float


WEAK = 0.02
"""Share of the variation below which no slider is offered for a name."""


def attributes(codes: Floats, colourings: Sequence[Colouring], most: int = 12) -> list[Attribute]:
    """Return directions for what is known about rows, by least squares; the best explained first.

    Numbers: the direction of their gradient, as long as one standard deviation of them. Levels: from the mean of all
    rows to the mean of those that have the level.

    Example:
        >>> z = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
        >>> from senzai.report.colouring import by_numbers
        >>> found = attributes(z, [by_numbers("height", z[:, 1].astype(float), [f"{v:.1f}" for v in z[:, 1]])])
        >>> found[0].name, bool(abs(found[0].direction[1]) > 20 * abs(found[0].direction[0]))
        ('height', True)
    """
    found = [a for c in colourings for a in (_numbers(codes, c) if c.at else _levels(codes, c))]
    return sorted((a for a in found if a.share > WEAK), key=lambda a: -a.share)[:most]


def _explained(z: Floats, y: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return the gradient of a least-squares plane, and the share of the variation of ``y`` that it explains."""
    centred, rest = z - z.mean(0), y - y.mean()
    gradient = np.linalg.lstsq(centred, rest, rcond=None)[0]
    left = rest - centred @ gradient
    total = float(rest @ rest)
    return gradient, 0.0 if total == 0 else float(1 - (left @ left) / total)


def _numbers(codes: Floats, made: Colouring) -> list[Attribute]:
    there = made.index != MISSING
    if there.sum() < 3 * codes.shape[1]:
        return []
    y = np.asarray(made.at)[made.index[there]]
    gradient, share = _explained(codes[there].astype(np.float64), y)
    length = float(gradient @ gradient)
    if length == 0:
        return []
    return [Attribute(made.name, "", (gradient * y.std() / length).astype(np.float32), share)]


def _levels(codes: Floats, made: Colouring) -> list[Attribute]:
    known = codes[made.index != MISSING]
    found = []
    two = len(made.texts) == 2  # towards one is away from the other
    for level, text in list(enumerate(made.texts))[1 if two else 0 : 12]:
        has = made.index == level
        if not 5 <= has.sum() < len(known):
            continue
        _, share = _explained(known.astype(np.float64), has[made.index != MISSING].astype(np.float64))
        found.append(Attribute(made.name, text, codes[has].mean(0) - known.mean(0), share))
    return found
