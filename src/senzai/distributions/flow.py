"""A distribution transformed by invertible steps, whose draws come with their density."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from senzai.core.random import Noise, current_noise

from .ops import Shape, _draw, draw, draw_scored, point


class Step(ABC):
    """One invertible transformation of the last axis, its parameters one set per row."""

    @abstractmethod
    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``f(z)``, shape of ``z``, and ``log|det df/dz|``, shape ``z.shape[:-1]``."""

    @abstractmethod
    def inverse(self, y: Tensor) -> Tensor:
        """Return the ``z`` with ``f(z) = y``."""


class Flow(Distribution):
    r"""The distribution of :math:`z = f_T(\dots f_1(\epsilon))` with :math:`\epsilon` from a base.

    .. math:: \log q(z) = \log q_0(\epsilon) - \sum_t \log \Big|\det \frac{\partial f_t}{\partial z_{t-1}}\Big|

    Its own draws are scored on the way (``draw_scored``); any other value is pulled back through the inverse steps, so
    the density is known everywhere. Its point is the image of the base's point.

    Reference:
        Variational Inference with Normalizing Flows (Rezende and Mohamed, 2015). https://arxiv.org/abs/1505.05770

    Args:
        base: Distribution with batch shape ``(B,)`` and event shape ``(d,)``.
        steps: The transformations in the order in which they are applied to a draw.
    """

    has_rsample = True

    def __init__(self, base: Distribution, steps: Sequence[Step]) -> None:
        self.base, self.steps = base, tuple(steps)
        super().__init__(base.batch_shape, base.event_shape, validate_args=False)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """Nothing: base and steps have their own."""
        return {}

    @property
    def support(self) -> constraints.Constraint:
        """Real vectors."""
        return constraints.real_vector

    def push(self, start: Tensor) -> tuple[Tensor, Tensor]:
        """Return where a value of the base ends, and the log determinant of the whole way."""
        z, total = start, start.new_zeros(start.shape[:-1])
        for step in self.steps:
            z, log_det = step.forward(z)
            total = total + log_det
        return z, total

    def pull(self, z: Tensor) -> Tensor:
        """Return the value of the base that ends at ``z``."""
        for step in reversed(self.steps):
            z = step.inverse(z)
        return z

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density of any value, through the inverse, which may be in a higher precision than the value."""
        start = self.pull(value)
        _, log_det = self.push(start)
        log_q: Tensor = self.base.log_prob(start)
        return (log_q - log_det).to(value.dtype)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw differentiably, with the ambient noise."""
        return self.push(_draw(self.base, tuple(sample_shape), current_noise()))[0]

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw without gradient, with the ambient noise."""
        with torch.no_grad():
            return self.rsample(sample_shape)


@_draw.register(Flow)
def _(p: Flow, shape: Shape, noise: Noise) -> Tensor:
    return p.push(_draw(p.base, shape, noise))[0]


@point.register(Flow)
def _(p: Flow) -> Tensor:
    return p.push(point(p.base))[0]


@draw_scored.register(Flow)
def _(
    p: Flow, sample_shape: Shape = (), *, grad: bool = True, noise: Noise | None = None
) -> tuple[Tensor, Tensor | None]:
    start = draw(p.base, sample_shape, grad=grad, noise=noise)
    z, log_det = p.push(start)
    return z, p.base.log_prob(start) - log_det
