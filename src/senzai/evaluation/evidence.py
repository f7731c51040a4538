"""What anomaly scores are made from: costs under draws of the latents, and rows and residuals as vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution

from ..core.batch import Batch
from ..core.errors import CombinationError, SettingError
from ..core.random import Noise, using
from ..distributions import Autoregressive, elementwise
from ..distributions.ops import expected
from ..distributions.tokens import TokenPrefix, TokenSequence
from ..models.base import LatentModel
from ..models.modes import judging
from ..nn.inputs import as_float
from .units import Coder, Units
from .vectors import vectors

ROWS = 512
NUMBERS = 4_000_000
"""Numbers that one piece of work may hold: of very many features, fewer rows are scored at once."""


def rows_at_once(width: int) -> int:
    """Return how many rows of so many numbers are worked on at once.

    Example:
        >>> rows_at_once(16), rows_at_once(160_000)
        (512, 25)
    """
    return max(1, min(ROWS, NUMBERS // max(1, width)))


@dataclass(frozen=True)
class SameForAll(Noise):
    """Noise that is the same for every row, so that the result for a row does not depend on its position."""

    def normal(self, shape: tuple[int, ...], *, row_dim: int = 1, **like: Any) -> Tensor:
        """Standard normal numbers, equal along the rows."""
        return self._repeated(torch.randn, tuple(shape), row_dim, **like)

    def uniform(self, shape: tuple[int, ...], *, row_dim: int = 1, **like: Any) -> Tensor:
        """Uniform numbers, equal along the rows."""
        return self._repeated(torch.rand, tuple(shape), row_dim, **like)

    def _repeated(self, make: Any, shape: tuple[int, ...], row_dim: int, **like: Any) -> Tensor:
        one = (*shape[:row_dim], 1, *shape[row_dim + 1 :]) if len(shape) > row_dim else shape
        numbers: Tensor = make(one, generator=self.generator, **like)
        return numbers.expand(shape)


def by_entry(p: Distribution, x: Tensor) -> Tensor:
    """Return terms of log p(x), one for each entry, that add up to it; of a chain, each given those before it."""
    if isinstance(p, Autoregressive | TokenSequence | TokenPrefix):
        return p.terms(x)
    return elementwise(p, x)


@dataclass(frozen=True)
class Drawn:
    """Under draws from the posteriors of rows: expected costs by feature, rate, bound, and costs by importance."""

    costs: Tensor
    rate: Tensor
    nll: Tensor
    weighted: Tensor


@dataclass(frozen=True)
class RowVectors:
    """Rows as vectors, ``(N, D)``, NaN where missing, in the units of the data, and what the model leaves of them."""

    inputs: Tensor
    residuals: Tensor


class Evidence:
    """Bounds and likelihoods of some rows; each half is computed on demand.

    Args:
        model: Trained model.
        batch: Rows.
        units: From the model's numbers to those of the data; ``None`` where they are the same.
        k: Draws per row.
        seed: Seed of the draws.
        coder: Lengths of rows in a lossless code; ``None`` where they have none.

    Raises:
        CombinationError: The model has no likelihood over the features of a row.
    """

    def __init__(
        self, model: LatentModel, batch: Batch, units: Units | None, *, k: int, seed: int, coder: Coder | None = None
    ) -> None:
        family = getattr(getattr(model, "likelihood", None), "family", None)
        if family is None:
            raise CombinationError("Scores by feature need a model with one likelihood over the features of a row.")
        self.model, self.batch, self.units, self.k, self.seed, self.coder = model, batch, units, k, seed, coder
        self.family: Any = family

    @cached_property
    def drawn(self) -> Drawn:
        """What needs draws of the latents."""
        return Drawn(*self._in_pieces(self._draw, self.k))

    @cached_property
    def placed(self) -> RowVectors:
        """What needs the posterior's middle alone."""
        return RowVectors(*self._in_pieces(self._place, 1))

    @cached_property
    def lengths(self) -> Tensor:
        """Lengths of the rows in a lossless code, nats, ``(N,)``; holes are blank, and so cost next to nothing.

        Raises:
            SettingError: Rows like these have no such code.
        """
        if self.coder is None:
            raise SettingError(
                "The score 'complexity' compares likelihoods with a lossless code of the rows, but these have none. "
                "It is for pictures; choose another score."
            )
        x, seen = self.batch.tensor, self.batch.observed
        return self.coder(x if seen is None else torch.where(seen, x, torch.zeros_like(x)))

    @cached_property
    def owner(self) -> Tensor:
        """Feature that each place of a vector belongs to, ``(D,)``."""
        first = self.batch.take(slice(0, 1))
        return vectors(self.family, as_float(first.tensor), first.observed)[1]

    @cached_property
    def n_features(self) -> int:
        """Features of a row."""
        return self.batch.tensor[:1].numel()

    def _in_pieces(self, work: Callable[[Batch], tuple[Tensor, ...]], k: int) -> list[Tensor]:
        rows = rows_at_once(k * self.n_features)
        with judging(self.model):
            found = [work(self.batch.take(slice(i, i + rows))) for i in range(0, len(self.batch), rows)]
        return [torch.cat(parts) for parts in zip(*found, strict=True)]

    def _draw(self, batch: Batch) -> tuple[Tensor, ...]:
        with using(SameForAll.seeded(self.seed, device=batch.device)):
            seen = self.model.infer(batch, self.k)
        costs = -by_entry(seen.likelihood, as_float(batch.tensor)).flatten(2)
        weight = torch.softmax(seen.log_w, 0)
        rate = sum((seen.average(g.rate()) for g in seen.groups), torch.zeros(len(batch)))
        return costs.mean(0), rate, -seen.bound(), (weight.unsqueeze(-1) * costs).sum(0)

    def _place(self, batch: Batch) -> tuple[Tensor, ...]:
        inputs, _ = vectors(self.family, as_float(batch.tensor), batch.observed)
        with using(Noise(point=True)):
            middle = expected(self.model.infer(batch, 1).likelihood)[0]
        back, _ = vectors(self.family, middle, batch.observed)
        if self.units is not None:
            inputs, back = self.units(inputs), self.units(back)
        return inputs, inputs - back
