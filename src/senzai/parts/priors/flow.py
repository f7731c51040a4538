"""Priors that are flows, exact densities both ways."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor
from torch.distributions import Distribution

from ...core.spec import part
from ...distributions.vectors import Flowed
from ...nn.flows import Flow, invertible
from ..base import Prior, check_width, condition_of


@part("prior", "flow")
@final
class FlowPrior(Prior):
    r"""The standard normal seen through a learned invertible network; it starts as the standard normal.

    .. math:: \log p(z \mid c) = \log \mathcal N(f(z; c); 0, I) + \log |\det \partial f / \partial z|

    Density and draws are exact. Its rate has no closed form and is estimated from the draws.

    Reference:
        Density estimation using Real NVP (Dinh et al., 2017). https://arxiv.org/abs/1605.08803
        Masked Autoregressive Flow (Papamakarios et al., 2017). https://arxiv.org/abs/1705.07057
        Neural Spline Flows (Durkan et al., 2019). https://arxiv.org/abs/1906.04032
        as a prior: Variational Lossy Autoencoder (Chen et al., 2017). https://arxiv.org/abs/1611.02731

    Args:
        n_latent: Width of the latent code.
        kind: ``realnvp``, ``maf`` or ``nsf``.
        n_transforms: How many transforms follow each other.
        hidden: Widths of the hidden layers of each.
        n_condition: Width of the condition; 0 for p(z).

    Example:
        >>> FlowPrior(2, kind="realnvp")().log_prob(torch.zeros(5, 2))
        tensor([-1.8379, -1.8379, -1.8379, -1.8379, -1.8379], grad_fn=...)
    """

    exact = True

    like: Tensor

    def __init__(
        self, n_latent: int, *, kind: Flow = "nsf", n_transforms: int = 3, hidden: tuple[int, ...] = (64, 64),
        n_condition: int = 0,
    ) -> None:
        super().__init__()
        self.n_latent, self.n_condition = check_width(n_latent), n_condition
        self.transform = invertible(
            kind, n_latent, n_condition=n_condition, n_transforms=n_transforms, hidden=tuple(hidden)
        )
        self.register_buffer("like", torch.zeros(0), persistent=False)

    def forward(self, c: Tensor | None = None) -> Distribution:
        """Return p(z | c)."""
        given = condition_of(c, self.n_condition)
        rows = () if given is None else (len(given),)
        return Flowed(self.transform(given), rows, self.n_latent, self.like)
