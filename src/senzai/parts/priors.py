"""Priors over latents: ``prior(c=None) -> p(z)``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal
from torch.nn import functional as F

from ..core.batch import Batch
from ..core.errors import SettingError, ShapeError
from ..core.spec import part
from ..dist.mixtures import Mixture
from ..dist.spaces import Real, Space

_FLOOR = 1e-4


class Prior(nn.Module, ABC):
    """A distribution over latents, possibly given a condition."""

    n_latent: int
    lives_on: ClassVar[str] = "real"
    """Name of its space."""

    @property
    def space(self) -> Space:
        """Where its latents live."""
        return Real()

    @abstractmethod
    def forward(self, c: Tensor | None = None) -> Distribution:
        """Return p(z | c) with ``event_shape == (n_latent,)``."""

    def of(self, batch: Batch) -> Distribution:
        """Return the prior that the rows of a batch are scored under; it may only differ from p(z | c) in training."""
        p: Distribution = self(batch.c)
        return p


def check_width(n_latent: int) -> int:
    """Return ``n_latent`` if it is a positive whole number."""
    if not isinstance(n_latent, int) or isinstance(n_latent, bool) or n_latent < 1:
        raise SettingError(f"`n_latent >= 1` must hold, but got n_latent={n_latent!r}. Give a whole number.")
    return n_latent


def needed(c: Tensor | None, n_condition: int) -> Tensor | None:
    """Return the condition of a prior that has one, ``(B, n_condition)``, and ``None`` for one that has not.

    Raises:
        ShapeError: It has another width, or is missing.
    """
    if not n_condition:
        return None
    if c is None or c.shape[-1] != n_condition:
        came = "nothing" if c is None else f"the shape {tuple(c.shape)}"
        raise ShapeError(f"This prior is p(z | c) with c of width {n_condition}, but got {came}. Give the condition.")
    return c


def diagonal(loc: Tensor, scale: Tensor) -> Distribution:
    """Return a normal with independent entries over the last axis."""
    return Independent(Normal(loc, scale, validate_args=False), 1, validate_args=False)


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

    def __init__(self, n_latent: int) -> None:
        super().__init__()
        self.n_latent = check_width(n_latent)
        self.loc = nn.Parameter(torch.zeros(n_latent))
        self.log_scale = nn.Parameter(torch.zeros(n_latent))

    def forward(self, c: Tensor | None = None) -> Distribution:
        """Return p(z)."""
        return diagonal(self.loc, self.log_scale.exp().clamp_min(_FLOOR))


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
        components = diagonal(self.loc, F.softplus(self.raw_scale) + _FLOOR)
        return Mixture(self.logits, components)
