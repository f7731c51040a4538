"""A prior over one latent dimension after the other."""

from __future__ import annotations

from functools import partial
from typing import final

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.nn import functional as F

from ...core.errors import SettingError
from ...core.spec import part
from ...distributions.vectors import AutoregressiveMixture
from ...nn.layers import initialise_weights, linear_out, with_condition
from ...nn.masked import MaskedLinear, degrees
from ..base import FLOOR, Prior, check_width, condition_of


@part("prior", "autoregressive")
@final
class AutoregressivePrior(Prior):
    r"""Each latent dimension a mixture of normals given the earlier ones, by one masked network.

    .. math:: p(z \mid c) = \prod_d p(z_d \mid z_1, \dots, z_{d-1}, c)

    The density is exact and takes one pass, a draw takes one pass per dimension. Its rate is estimated from the draws.

    Reference:
        MADE: Masked Autoencoder for Distribution Estimation (Germain et al., 2015). https://arxiv.org/abs/1502.03509
        as a prior: Variational Lossy Autoencoder (Chen et al., 2017). https://arxiv.org/abs/1611.02731

    Args:
        n_latent: Width of the latent code.
        hidden: Widths of the hidden layers.
        n_components: Normals per dimension.
        n_condition: Width of the condition; 0 for p(z).

    Example:
        >>> AutoregressivePrior(3)().log_prob(torch.zeros(5, 3)).shape
        torch.Size([5])
    """

    exact = True

    like: Tensor

    def __init__(
        self, n_latent: int, *, hidden: tuple[int, ...] = (64, 64), n_components: int = 4, n_condition: int = 0
    ) -> None:
        super().__init__()
        if n_components < 1:
            raise SettingError(f"`n_components >= 1` must hold, but got {n_components!r}. One is a normal.")
        self.n_latent, self.n_components, self.n_condition = check_width(n_latent), n_components, n_condition
        widths = (n_latent + n_condition, *hidden)
        inputs = torch.cat([torch.arange(n_latent), torch.full((n_condition,), -1)])
        outputs = torch.arange(n_latent).repeat_interleave(3 * n_components)
        orders = [inputs, *(degrees(width, n_latent) for width in hidden)]
        self.hidden = torch.nn.ModuleList(
            MaskedLinear(widths[i], widths[i + 1], orders[i + 1].unsqueeze(1) >= orders[i]) for i in range(len(hidden))
        )
        initialise_weights(self.hidden, "relu")
        self.out = MaskedLinear(widths[-1], len(outputs), outputs.unsqueeze(1) > orders[-1])
        self.out.load_state_dict(linear_out(widths[-1], len(outputs)).state_dict(), strict=False)
        with torch.no_grad():  # components start apart, and together about as wide as a standard normal
            start = self.out.bias.view(n_latent, 3, n_components)
            start[:, 1] = 0.5 * torch.randn(n_latent, n_components) if n_components > 1 else 0.0
            start[:, 2] = 0.5413
        self.register_buffer("like", torch.zeros(0), persistent=False)

    def conditionals(self, c: Tensor | None, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits, locations and scales of every dimension given those before it, ``(*lead, n_latent, J)``."""
        h = with_condition(z, c)
        for layer in self.hidden:
            h = layer(h).relu()
        raw = self.out(h).unflatten(-1, (self.n_latent, 3, self.n_components))
        logits, loc, scale = raw.unbind(-2)
        return logits, loc, F.softplus(scale) + FLOOR

    def forward(self, c: Tensor | None = None) -> Distribution:
        """Return p(z | c)."""
        given = condition_of(c, self.n_condition)
        rows = () if given is None else (len(given),)
        return AutoregressiveMixture(partial(self.conditionals, given), rows, self.n_latent, self.like)
