"""Distributions whose entries are drawn one after another, each given those before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, final

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from senzai.core.errors import CombinationError
from senzai.core.random import Noise, current_noise

from .family import Family
from .numeric import broadcast_shapes
from .ops import Shape, _draw, first_steps, point, prefix, stand_in
from .wrapping import Around

Conditionals: TypeAlias = Callable[[Tensor], Tensor]
"""From values ``(*lead, *event)`` to the raw numbers of every entry given those before it."""

Entry: TypeAlias = Callable[[Tensor, int], Tensor]
"""The same for the entry at one place of the flat row only, ``(*lead, n_raw, 1)``: a short cut for draws."""


@final
class Autoregressive(Distribution):
    r"""A chain of conditionals, entry after entry in a fixed order.

    .. math:: \log p(x) = \sum_i \log p(x_{o(i)} \mid x_{o(1)}, \dots, x_{o(i - 1)})

    ``log_prob`` looks at all entries at once (teacher forcing); a draw takes one pass of the network for each entry.
    Its ``mode`` is the greedy one: each entry takes the likeliest value given those before it, which need not be the
    likeliest row. There is no mean: ``expected`` and ``point`` give that mode.

    Args:
        conditionals: From values to raw numbers ``(*lead, n_raw, *event)``; those of an entry must not depend on the
            entry itself or on later ones.
        family: What the raw numbers of one entry mean; a discrete elementwise one.
        lead: Batch shape.
        event: Shape of one row.
        order: Position in the flat row of the first, second, … entry that is drawn.
        entry: Raw numbers of one entry, where that is less work than those of all.

    Example:
        >>> from senzai.distributions import BernoulliFamily
        >>> def repeat(x: Tensor) -> Tensor:  # the second bit is very likely what the first was
        ...     return torch.stack([torch.zeros_like(x[..., 0]), 20 * x[..., 0] - 10], -1).unsqueeze(-2)
        >>> p = Autoregressive(repeat, BernoulliFamily(), (), (2,), torch.arange(2))
        >>> p.log_prob(torch.tensor([[1.0, 1.0], [1.0, 0.0]]))
        tensor([ -0.6932, -10.6932])
    """

    def __init__(
        self, conditionals: Conditionals, family: Family, lead: Shape, event: Shape, order: Tensor,
        entry: Entry | None = None,
    ) -> None:
        self.conditionals, self.family, self.order = conditionals, family, order
        self.entry = entry or self._from_all
        super().__init__(torch.Size(lead), torch.Size(event), validate_args=False)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """Nothing: the raw numbers are what they are."""
        return {}

    @property
    def support(self) -> constraints.Constraint:
        """That of the family."""
        kinds = {"binary": constraints.boolean, "levels": constraints.nonnegative_integer}
        found: constraints.Constraint = kinds.get(self.family.support, constraints.nonnegative_integer)
        return found

    def raw(self, x: Tensor) -> Tensor:
        """Return the raw numbers of all entries, each given those of ``x`` before it."""
        return self.conditionals(self._whole(x))

    def _from_all(self, x: Tensor, i: int) -> Tensor:
        raw = self.conditionals(x)
        return raw.flatten(raw.ndim - len(self.event_shape))[..., i : i + 1]

    def _whole(self, x: Tensor) -> Tensor:
        n = len(self.event_shape)
        lead = broadcast_shapes(x.shape[: x.ndim - n], self.batch_shape)
        return x.expand(*lead, *self.event_shape)

    def terms(self, x: Tensor) -> Tensor:
        """Return the log probability of each entry given those before it, ``(*lead, *event)``; they add up."""
        p: Any = self.family(self.raw(x), tuple(self.event_shape))
        log_p: Tensor = p.base_dist.log_prob(self._whole(x))
        return log_p

    def log_prob(self, value: Tensor) -> Tensor:
        """Log probability of whole rows."""
        log_p = self.terms(value)
        return log_p.flatten(log_p.ndim - len(self.event_shape)).sum(-1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw entry after entry with the ambient noise."""
        return _draw(self, tuple(sample_shape), current_noise())

    @property
    def mode(self) -> Tensor:
        """The greedy mode."""
        return self.decode((), point)

    @torch.no_grad()
    def decode(self, shape: Shape, choose: Callable[[Distribution], Tensor], *, start: Tensor | None = None,
               first: int = 0) -> Tensor:
        """Return rows made entry by entry.

        Args:
            shape: Leading axes to add.
            choose: From the distribution of one entry, batch shape ``(*shape, *lead)`` and event shape ``(1,)``, to
                its value.
            start: Rows to go on from; by default there is nothing in them.
            first: How many entries, in their order, are kept of ``start``.
        """
        if torch.compiler.is_compiling():
            raise CombinationError(
                "A graph makes a row in one go, but this distribution makes it entry by entry, each from those before. "
                "Use the run itself, or fit another one."
            )
        n = len(self.order)
        rows = (*shape, *self.batch_shape)
        x = torch.zeros(*rows, n, device=self.order.device) if start is None else start.expand(
            *rows, *self.event_shape).flatten(len(rows)).clone()
        for i in self.order.tolist()[first:]:
            one = self.entry(x.view(*rows, *self.event_shape), i)
            x[..., i : i + 1] = choose(self.family(one, (1,))).to(x.dtype)
        return x.view(*rows, *self.event_shape)


@_draw.register(Autoregressive)
def _(p: Autoregressive, shape: Shape, noise: Noise) -> Tensor:
    return p.decode(shape, lambda one: _draw(one, (), noise))


@point.register(Autoregressive)
def _(p: Autoregressive) -> Tensor:
    return p.mode


@stand_in.register(Autoregressive)
def _(p: Autoregressive) -> Tensor:
    return torch.zeros(*p.batch_shape, *p.event_shape, device=p.order.device)


@final
class Begun(Around):
    """The first steps of each row under a chain that goes through the steps in their order; draws are whole rows.

    Args:
        base: The chain.
        lengths: Steps of each row, ``(B,)``.
    """

    base: Autoregressive

    def __init__(self, base: Autoregressive, lengths: Tensor) -> None:
        super().__init__(base)
        self.lengths = lengths

    def log_prob(self, x: Tensor) -> Tensor:
        """Log probability of the steps that a row has; what stands behind them changes nothing."""
        inside = first_steps(self.base, self.lengths)
        log_p = self.base.terms(torch.where(inside, x, torch.zeros_like(x)))
        log_p = torch.where(inside, log_p, torch.zeros_like(log_p))
        return log_p.flatten(log_p.ndim - len(self.event_shape)).sum(-1)


@prefix.register(Autoregressive)
def _(p: Autoregressive, lengths: Tensor) -> Distribution:
    per_step = len(p.order) // max(1, p.event_shape[0])
    steps = p.order.div(per_step, rounding_mode="floor")
    if bool((steps.diff() < 0).any()):
        raise CombinationError(
            "The first steps of a row have a density of their own where a chain goes through the steps in order, but "
            "this one does not. Use an elementwise likelihood, or `made`."
        )
    return Begun(p, lengths)


@point.register(Begun)
def _(p: Begun) -> Tensor:
    return point(p.base)


@stand_in.register(Begun)
def _(p: Begun) -> Tensor:
    return stand_in(p.base)
