"""Conditionals of sequences: from one step's latent to the next, and what the data add."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn import functional as F

from ..core.arguments import at_least
from ..core.examples import example
from ..core.spec import part
from ..nn.layers import hidden_layers
from ..nn.precision import network_precision
from ..nn.products import Linear
from .base import check_width, diagonal, full_precision
from .conditionals import AnyConditional

FLOOR = 1e-4


@example(recipe="dmm", data="sequences", settings={})
@part("conditional", "gated")
@final
class GatedTransition(AnyConditional):
    r"""A step that is partly linear: a gate chooses, entry by entry, between a linear step and a network.

    .. math:: \mu = (1 - g(z)) \odot (W z + b) + g(z) \odot h(z), \qquad \sigma = \mathrm{softplus}(V \max(h(z), 0) + v)

    W starts as the identity: a latent stays what it is until something is learned.

    Reference:
        Structured Inference Networks for Nonlinear State Space Models (Krishnan et al., 2017), equation 6.
        https://arxiv.org/abs/1609.09869

    Args:
        n_latent: Width of the latent of one step.
        hidden: Widths of the hidden layers of both networks.

    Example:
        >>> GatedTransition(3, (8,))(torch.zeros(7, 5, 3)).batch_shape
        torch.Size([7, 5])
    """

    def __init__(self, n_latent: int, hidden: tuple[int, ...] = (64,)) -> None:
        super().__init__()
        self.event = (check_width(n_latent),)
        wide = hidden[-1] if hidden else n_latent
        self.gate, self.step = (
            nn.Sequential(hidden_layers(n_latent, tuple(hidden)), Linear(wide, n_latent)) for _ in range(2)
        )
        self.linear, self.scale = Linear(n_latent, n_latent), Linear(n_latent, n_latent)
        with torch.no_grad():
            self.linear.weight.copy_(torch.eye(n_latent))
            self.linear.bias.zero_()

    def forward(self, *given: Tensor) -> Distribution:
        """Return p(z_t | z_{t-1})."""
        (z,) = given
        with network_precision(self.linear.weight.device):
            gate, step = torch.sigmoid(self.gate(z)), self.step(z)
            loc, raw = (1 - gate) * self.linear(z) + gate * step, self.scale(F.relu(step))
        return diagonal(full_precision(loc), F.softplus(full_precision(raw)) + FLOOR)


@example(recipe="dmm", data="sequences", settings={})
@part("conditional", "combined")
@final
class Combined(AnyConditional):
    r"""What the data say, and where the last step was: their mean, then a linear head.

    .. math:: q(z_t | z_{t-1}, h_t): \quad u = \tfrac12 \left(\tanh(W z_{t-1} + b) + h_t\right)

    Reference:
        Structured Inference Networks for Nonlinear State Space Models (Krishnan et al., 2017), equation 7.
        https://arxiv.org/abs/1609.09869

    Args:
        n_latent: Width of the latent of one step.
        n_features: Width of what the data say.

    Example:
        >>> Combined(3, 8)(torch.zeros(7, 5, 3), torch.zeros(5, 8)).batch_shape
        torch.Size([7, 5])
    """

    def __init__(self, n_latent: int, n_features: int) -> None:
        at_least(1, n_features=n_features)
        super().__init__()
        at_least(1, n_features=n_features)
        self.event = (check_width(n_latent),)
        self.enter, self.head = Linear(n_latent, n_features), Linear(n_features, 2 * n_latent)

    def forward(self, *given: Tensor) -> Distribution:
        """Return q(z_t | z_{t-1}, h_t)."""
        z, h = given
        with network_precision(self.head.weight.device):
            raw = self.head(0.5 * (torch.tanh(self.enter(z)) + h))
        loc, scale = full_precision(raw).chunk(2, -1)
        return diagonal(loc, F.softplus(scale) + FLOOR)
