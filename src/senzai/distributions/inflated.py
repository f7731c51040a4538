"""A point mass at one value, mixed with any distribution of numbers or of ordered values."""

from __future__ import annotations

from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution, constraints

from senzai.core.random import Noise, current_noise

from .bases import open_uniform
from .ops import Shape, _draw, stand_in

NEAR = 1e-6
"""Numbers so near to the value are the value."""


def inflated_log_prob(value: Tensor, inner: Tensor, gate: Tensor, at: Tensor, discrete: bool | Tensor) -> Tensor:
    """Log probability at the value, log density elsewhere.

    Args:
        value: What is scored, ``(*batch,)``.
        inner: Its log density under the inner distribution, same shape.
        gate: Log odds of the value with a probability of its own, same shape.
        at: That value, ``(d,)``.
        discrete: Whether the inner distribution can give the value too; for all, or one answer for each of ``d``.
    """
    own, rest = F.logsigmoid(gate), F.logsigmoid(-gate) + inner
    there = own if discrete is False else torch.logaddexp(own, rest)
    if isinstance(discrete, Tensor):
        there = torch.where(discrete, there, own)
    return torch.where((value - at).abs() < NEAR, there, rest)


@final
class Inflated(Distribution):
    r"""A value :math:`v` with a probability of its own.

    .. math:: p(x) = \pi\,[x = v] + (1 - \pi)\,q(x)\,[x \ne v] + (1 - \pi)\,q(v)\,[x = v, q \text{ discrete}]

    Where :math:`q` is a density, what is given at :math:`v` is the probability :math:`\pi` and elsewhere a density: one
    with respect to Lebesgue's measure and a point mass at :math:`v`.

    Reference:
        Zero-inflated Poisson regression (Lambert, 1992). https://doi.org/10.2307/1269547

    Args:
        inner: :math:`q`, elementwise, of shape ``(*batch,)``.
        gate: Log odds of the value, same shape.
        at: The value, ``(d,)``, where ``d`` is the last axis of the batch.
        discrete: Whether ``inner`` gives probabilities, so that it can give the value too.

    Example:
        >>> from torch.distributions import Normal
        >>> p = Inflated(Normal(torch.zeros(1), 1.0), torch.zeros(1), torch.tensor([-3.0]), discrete=False)
        >>> p.log_prob(torch.tensor([[-3.0], [0.0]])).exp().flatten()
        tensor([0.5000, 0.1995])
    """

    has_rsample = False
    support = constraints.real

    def __init__(self, inner: Distribution, gate: Tensor, at: Tensor, *, discrete: bool) -> None:
        self.inner, self.gate, self.at, self.discrete = inner, gate, at, discrete
        super().__init__(inner.batch_shape, validate_args=False)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """The gate is any number; the inner distribution has its own."""
        return {"gate": constraints.real}

    def log_prob(self, value: Tensor) -> Tensor:
        """Log probability at the value, log density elsewhere, elementwise."""
        return inflated_log_prob(value, self.inner.log_prob(value), self.gate, self.at, self.discrete)

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Draw from the inner distribution, and put the value in its place as often as it should be."""
        with torch.no_grad():
            u = open_uniform((*shape, *self.batch_shape), noise, row_dim=len(shape), like=self.gate)
            drawn = _draw(self.inner, shape, noise).to(self.gate)
            return torch.where(u < torch.sigmoid(self.gate), self.at.to(drawn), drawn)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw without gradient, with the ambient noise."""
        return self.from_noise(tuple(sample_shape), current_noise())

    @property
    def mean(self) -> Tensor:
        """Mean, the value included."""
        share = torch.sigmoid(self.gate)
        return share * self.at + (1 - share) * self.inner.mean

    @property
    def mode(self) -> Tensor:
        """The value where it is the likelier half, else what stands for the inner distribution."""
        return torch.where(self.gate > 0, self.at.to(self.gate), self.inner.mode.to(self.gate))

    def expand(self, batch_shape: Any, _instance: Any = None) -> Inflated:
        """Return the same distribution with a larger batch shape."""
        gate, inner = self.gate.expand(*batch_shape), self.inner.expand(batch_shape)
        return Inflated(inner, gate, self.at, discrete=self.discrete)


@_draw.register(Inflated)
def _(p: Inflated, shape: Shape, noise: Noise) -> Tensor:
    return p.from_noise(shape, noise)


@stand_in.register(Inflated)
def _(p: Inflated) -> Tensor:
    return stand_in(p.inner)
