"""Columns of different types side by side: each with its own distribution, all in one tensor of numbers."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias, final

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Distribution, constraints

from senzai.core.random import Noise, current_noise

from .inflated import Inflated
from .ops import Shape, _draw, point, stand_in
from .steps import Steps

Groups: TypeAlias = list[tuple[Tensor, Distribution]]
"""Columns of each group, ``(d_g,)``, with their elementwise distribution, ``(*lead, d_g)``."""


class Makes(Protocol):
    """A family that knows its columns and can score them without making a distribution of each group."""

    def groups(self, raw: Tensor) -> Groups:
        """Return the distribution of each group of columns."""

    def log_prob(self, raw: Tensor, x: Tensor) -> Tensor:
        """Return the log density of each column."""


@final
class MixedColumns(Distribution):
    r"""Independent columns, groups of which share a type of distribution.

    .. math:: \log p(x) = \sum_g \sum_{j \in g} \log p_g(x_j)

    Positions of categories and steps are stored as numbers. The distribution has an empty event; make it one row's
    with ``Independent(mixed, 1)``.

    Args:
        groups: Columns of each group, ``(d_g,)``, with their elementwise distribution of shape ``(*lead, d_g)``.
        back: For each column, its place when the groups stand one after the other, ``(d,)``.

    What a family makes from raw numbers (:meth:`made`) is scored without its groups, which are made on demand.

    Example:
        >>> from torch.distributions import Bernoulli, Normal
        >>> p = MixedColumns([(torch.tensor([1]), Bernoulli(logits=torch.zeros(3, 1))),
        ...            (torch.tensor([0]), Normal(torch.zeros(3, 1), 1.0))], torch.tensor([1, 0]))
        >>> p.log_prob(torch.tensor([0.0, 1.0]))[0]
        tensor([-0.9189, -0.6931])
    """

    has_rsample = False
    support = constraints.real

    def __init__(
        self, groups: Groups, back: Tensor, *, made: tuple[Makes, Tensor] | None = None
    ) -> None:
        self._groups, self.back, self._made = groups, back, made
        lead = groups[0][1].batch_shape[:-1] if made is None else made[1].shape[:-1]
        super().__init__(torch.Size((*lead, len(back))), validate_args=False)

    @classmethod
    def made(cls, family: Makes, raw: Tensor, back: Tensor) -> MixedColumns:
        """Return what a family makes of raw numbers, ``(*lead, n)``."""
        return cls([], back, made=(family, raw))

    @property
    def groups(self) -> Groups:
        """Columns of each group with their distribution."""
        if not self._groups and self._made is not None:
            self._groups = self._made[0].groups(self._made[1])
        return self._groups

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """Nothing: the groups have their own."""
        return {}

    def _join(self, parts: list[Tensor]) -> Tensor:
        return taken(parts[0] if len(parts) == 1 else torch.cat(parts, -1), self.back)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density or probability of each entry."""
        if self._made is not None:
            return self._made[0].log_prob(self._made[1], value)
        value = value.to(_precision(self.groups[0][1]))
        found = [p.log_prob(taken(value, columns)) for columns, p in self.groups]
        return self._join(found)

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Draw every group from the same noise, one after the other."""
        like = _precision(self.groups[0][1])
        with torch.no_grad():
            return self._join([_draw(p, shape, noise).to(like) for _, p in self.groups])

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw without gradient, with the ambient noise."""
        return self.from_noise(tuple(sample_shape), current_noise())

    @property
    def mean(self) -> Tensor:
        """Not defined: categories have none. See :attr:`mode`."""
        raise NotImplementedError

    @property
    def mode(self) -> Tensor:
        """What stands for each entry: the mean of numbers, the median of steps, the likeliest category."""
        like = _precision(self.groups[0][1])
        return self._join([_representative(p).to(like) for _, p in self.groups])

    def expand(self, batch_shape: Any, _instance: Any = None) -> MixedColumns:
        """Return the same distribution with a larger batch shape."""
        lead = tuple(batch_shape)[:-1]
        if self._made is not None:
            return MixedColumns.made(self._made[0], self._made[1].expand(*lead, -1), self.back)
        return MixedColumns([(c, p.expand((*lead, len(c)))) for c, p in self.groups], self.back)


def taken(x: Tensor, places: Tensor) -> Tensor:
    """Return the entries at some places of the last dimension; where they lie side by side, as a view, not a copy."""
    run = None if torch.compiler.is_compiling() else _run(places)  # what is traced looks at no numbers
    return x.index_select(-1, places) if run is None else x.narrow(-1, *run)


def _run(places: Tensor) -> tuple[int, int] | None:
    """Return first place and length of places that follow each other; found once for each tensor of places."""
    known: tuple[int, int] | bool | None = getattr(places, "_run", False)
    if isinstance(known, bool):
        first, n = int(places[0]), len(places)
        known = (first, n) if torch.equal(places, torch.arange(first, first + n, device=places.device)) else None
        places._run = known  # type: ignore[attr-defined]  # kept with the tensor it is about
    return known


def _representative(p: Distribution) -> Tensor:
    if isinstance(p, Bernoulli):
        return (p.logits > 0).to(p.logits.dtype)
    if isinstance(p, Inflated):
        return torch.where(p.gate > 0, p.at.to(p.gate), _representative(p.inner).to(p.gate))
    return p.mode if isinstance(p, Steps | Categorical) else point_of_numbers(p)


def point_of_numbers(p: Distribution) -> Tensor:
    """Return the mean, or where there is none the mode."""
    mean = p.mean
    return torch.where(torch.isfinite(mean), mean, p.mode)


def _precision(p: Distribution) -> torch.dtype:
    p = p.inner if isinstance(p, Inflated) else p
    first = p.logits if isinstance(p, Bernoulli | Categorical) else getattr(p, "loc", getattr(p, "log_mean", None))
    return torch.float32 if first is None else first.dtype


@_draw.register(MixedColumns)
def _(p: MixedColumns, shape: Shape, noise: Noise) -> Tensor:
    return p.from_noise(shape, noise)


@point.register(MixedColumns)
def _(p: MixedColumns) -> Tensor:
    return p.mode


@stand_in.register(MixedColumns)
def _(p: MixedColumns) -> Tensor:
    return torch.zeros(p.batch_shape, device=p.back.device)
