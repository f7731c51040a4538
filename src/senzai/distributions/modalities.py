"""A joint distribution over several modalities that are conditionally independent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from senzai.core.errors import CombinationError, ShapeError
from senzai.core.random import Noise

from .ops import Shape, _draw, _points, expected, marginal, point, stand_in
from .wrapping import Around


@final
class Modalities(Distribution):
    r"""One distribution for each modality: values are dictionaries, log densities add up.

    .. math:: \log p(x) = \sum_m \log p_m(x_m)

    Args:
        parts: Distribution of each modality by name, all with the same batch shape.

    Raises:
        CombinationError: There is none, or their batch shapes differ.

    Example:
        >>> from torch.distributions import Independent, Normal
        >>> one, two = (Independent(Normal(torch.zeros(3, n), 1.0), 1) for n in (1, 2))
        >>> Modalities({"a": one, "b": two}).log_prob({"a": torch.zeros(3, 1), "b": torch.zeros(3, 2)}).shape
        torch.Size([3])
    """

    def __init__(self, parts: Mapping[str, Distribution]) -> None:
        self.parts = dict(parts)
        shapes = {tuple(p.batch_shape) for p in self.parts.values()}
        if len(shapes) != 1:
            raise CombinationError(
                f"Modalities are distributions over the same rows, but got batch shapes {sorted(shapes)}. "
                "Give at least one, and all of them for the same draws and rows."
            )
        super().__init__(torch.Size(shapes.pop()), torch.Size(), validate_args=False)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """Nothing: each part has its own."""
        return {}

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]  # torch: an attribute
        """Whether every draw carries gradients."""
        return all(p.has_rsample for p in self.parts.values())

    @property
    def support(self) -> constraints.Constraint | None:
        """Masses where every modality has them, else ``None``: no one support holds all values."""
        found = [p.support for p in self.parts.values()]
        return found[0] if all(s is not None and s.is_discrete for s in found) else None

    def log_prob(self, x: Mapping[str, Tensor]) -> Tensor:  # type: ignore[override]  # a value has several tensors
        """Sum of the log densities of all modalities, one number per row.

        Raises:
            ShapeError: A modality is missing, or there is one too many.
        """
        if not isinstance(x, Mapping) or set(x) != set(self.parts):
            came = ", ".join(x) if isinstance(x, Mapping) else type(x).__name__
            raise ShapeError(
                f"Rows have the modalities {', '.join(self.parts)}, but got {came}. Where a row has none of one, give "
                "any value there and say so with `present`."
            )
        found: list[Tensor] = [p.log_prob(x[name]) for name, p in self.parts.items()]
        return torch.stack(torch.broadcast_tensors(*found)).sum(0)

    def sample(self, sample_shape: Any = ()) -> Any:
        """Draw every modality."""
        return {name: p.sample(sample_shape) for name, p in self.parts.items()}

    def rsample(self, sample_shape: Any = ()) -> Any:
        """Draw every modality, with gradients."""
        return {name: p.rsample(sample_shape) for name, p in self.parts.items()}


@final
class PresentModalities(Around):
    """A distribution of rows of which some have no value at all: these have the log density zero.

    Args:
        base: Distribution whose last batch axis counts rows.
        rows: Which rows have a value, ``(B,)``.
    """

    def __init__(self, base: Distribution, rows: Tensor) -> None:
        super().__init__(base)
        self.rows = rows

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density of the rows that have a value; the content of other rows has no effect, even if it is NaN."""
        there = self.rows.view(-1, *[1] * len(self.event_shape))
        log_p: Tensor = self.base.log_prob(torch.where(there, x, stand_in(self.base).detach().to(x.dtype)))
        return torch.where(self.rows, log_p, torch.zeros_like(log_p))


# --- open functions -------------------------------------------------------------------------------------------------
@_draw.register(Modalities)
def _(p: Modalities, shape: Shape, noise: Noise) -> Any:
    return {name: _draw(part, shape, noise) for name, part in p.parts.items()}


@_points.register(Modalities)
def _(p: Modalities, shape: Shape) -> Any:
    return {name: _points(part, shape) for name, part in p.parts.items()}


@point.register(Modalities)
def _(p: Modalities) -> Any:
    return {name: point(part) for name, part in p.parts.items()}


@stand_in.register(Modalities)
def _(p: Modalities) -> Any:
    return {name: stand_in(part) for name, part in p.parts.items()}


@expected.register(Modalities)
def _(p: Modalities) -> Any:
    return {name: expected(part) for name, part in p.parts.items()}


@marginal.register(Modalities)
def _(p: Modalities, observed: Mapping[str, Tensor | None]) -> Distribution:
    seen = {name: mask for name, mask in observed.items() if mask is not None}
    return Modalities({k: marginal(q, seen[k]) if k in seen else q for k, q in p.parts.items()})


@point.register(PresentModalities)
def _(p: PresentModalities) -> Tensor:
    return point(p.base)


@stand_in.register(PresentModalities)
def _(p: PresentModalities) -> Tensor:
    return stand_in(p.base)
