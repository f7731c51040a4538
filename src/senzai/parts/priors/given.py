"""A mixture of normals that is told a condition: whose components are likely, and where they lie."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, MultivariateNormal
from torch.nn import functional as F

from ...core.errors import SettingError
from ...core.spec import part
from ...distributions.mixtures import Mixture
from ..base import FLOOR, Prior, check_width, condition_of, diagonal


@part("prior", "given_mixture")
@final
class GivenMixture(Prior):
    r"""A mixture of normals given a condition.

    .. math:: p(z | c) = \sum_{j=1}^J \pi_j(c) \, \mathcal N(z; \mu_j + S c, L_j L_j^\top), \qquad
        \log \pi_j(c) = a_j + (G c)_j + \mathrm{const}

    With the code of a class for c, G gives each class components of its own, and S moves them all.

    Args:
        n_latent: Width of the latent code.
        n_components: Number of components, J.
        n_condition: Width of the condition; 0 for p(z).
        full: Whether covariances are full; else diagonal.

    Example:
        >>> GivenMixture(2, n_components=3, n_condition=4)(torch.zeros(5, 4)).log_prob(torch.zeros(7, 5, 2)).shape
        torch.Size([7, 5])
    """

    exact = True

    def __init__(self, n_latent: int, *, n_components: int = 8, n_condition: int = 0, full: bool = False) -> None:
        super().__init__()
        self.n_latent, self.n_condition, self.full = check_width(n_latent), n_condition, full
        if n_components < 1:
            raise SettingError(f"`n_components >= 1` must hold, but got {n_components!r}. One is a normal.")
        self.logits = nn.Parameter(torch.zeros(n_components))
        self.loc = nn.Parameter(torch.randn(n_components, n_latent) if n_components > 1 else torch.zeros(1, n_latent))
        self.raw_scale = nn.Parameter(torch.full((n_components, n_latent), 0.5413))  # softplus(0.5413) = 1
        below = torch.zeros(n_components, n_latent * (n_latent - 1) // 2)
        self.below = nn.Parameter(below) if full else None
        self.gates = nn.Parameter(torch.zeros(n_components, n_condition)) if n_condition else None
        self.shift = nn.Parameter(torch.zeros(n_latent, n_condition)) if n_condition else None

    def scales(self) -> Tensor:
        """Return the standard deviations ``(J, n_latent)``, or the Cholesky factors ``(J, n_latent, n_latent)``."""
        scale = F.softplus(self.raw_scale) + FLOOR
        if self.below is None:
            return scale
        rows, columns = torch.tril_indices(self.n_latent, self.n_latent, -1, device=self.below.device)
        lower = self.below.new_zeros(len(self.below), self.n_latent, self.n_latent)
        lower = lower.index_put((torch.arange(len(lower), device=rows.device).unsqueeze(1), rows, columns), self.below)
        return lower + torch.diag_embed(scale)

    def forward(self, c: Tensor | None = None) -> Distribution:
        """Return p(z | c), one for each row of the condition."""
        given = condition_of(c, self.n_condition)
        logits: Tensor = self.logits
        loc: Tensor = self.loc
        scale = self.scales()
        if given is not None and self.gates is not None and self.shift is not None:
            given = given.to(loc.dtype)
            logits = logits + given @ self.gates.T
            loc = loc + (given @ self.shift.T).unsqueeze(-2)
            scale = scale.expand(*given.shape[:-1], *scale.shape)
        if self.full:
            return Mixture(logits, MultivariateNormal(loc, scale_tril=scale, validate_args=False))
        return Mixture(logits, diagonal(loc, scale))
