"""Priors over latents: ``prior(c=None) -> p(z)``."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn import functional as F

from ...core.errors import SettingError
from ...core.spec import part
from ...distributions.mixtures import Mixture
from ..base import FLOOR, Prior, check_width, diagonal


@part("prior", "standard_normal")
@final
class StandardNormal(Prior):
    """The normal with mean zero and unit covariance.

    Args:
        n_latent: Width of the latent code.

    Example:
        >>> StandardNormal(2)().log_prob(torch.zeros(1, 2))
        tensor([-1.8379])
    """

    exact = True

    loc: Tensor
    scale: Tensor

    def __init__(self, n_latent: int) -> None:
        super().__init__()
        self.n_latent = check_width(n_latent)
        self.register_buffer("loc", torch.zeros(n_latent))
        self.register_buffer("scale", torch.ones(n_latent))

    def forward(self, c: Tensor | None = None) -> Distribution:
        """Return p(z)."""
        return diagonal(self.loc, self.scale)


@part("prior", "learned_normal")
@final
class LearnedNormal(Prior):
    """A normal whose mean and diagonal scale are learned; it starts as the standard normal.

    Args:
        n_latent: Width of the latent code.
    """

    exact = True

    def __init__(self, n_latent: int) -> None:
        super().__init__()
        self.n_latent = check_width(n_latent)
        self.loc = nn.Parameter(torch.zeros(n_latent))
        self.log_scale = nn.Parameter(torch.zeros(n_latent))

    def forward(self, c: Tensor | None = None) -> Distribution:
        """Return p(z)."""
        return diagonal(self.loc, self.log_scale.exp().clamp_min(FLOOR))


@part("prior", "mixture")
@final
class MixtureOfNormals(Prior):
    r"""A mixture of diagonal normals, all of it learned.

    .. math:: p(z) = \sum_{j=1}^J \pi_j \, \mathcal{N}(z; \mu_j, \mathrm{diag}\,\sigma_j^2)

    Its rate has no closed form and is estimated from the draws. The components start spread over the standard normal.

    Args:
        n_latent: Width of the latent code.
        n_components: Number of components, J.

    Example:
        >>> MixtureOfNormals(2, n_components=3)().log_prob(torch.zeros(5, 2)).shape
        torch.Size([5])
    """

    exact = True

    def __init__(self, n_latent: int, *, n_components: int = 16) -> None:
        super().__init__()
        self.n_latent = check_width(n_latent)
        if n_components < 1:
            raise SettingError(f"`n_components >= 1` must hold, but got {n_components!r}. One is a learned normal.")
        self.logits = nn.Parameter(torch.zeros(n_components))
        spread = torch.randn(n_components, n_latent) if n_components > 1 else torch.zeros(1, n_latent)
        self.loc = nn.Parameter(spread)
        self.raw_scale = nn.Parameter(torch.full((n_components, n_latent), 0.5413))  # softplus(0.5413) = 1

    def forward(self, c: Tensor | None = None) -> Distribution:
        """Return p(z)."""
        components = diagonal(self.loc, F.softplus(self.raw_scale) + FLOOR)
        return Mixture(self.logits, components)
