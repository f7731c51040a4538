"""Posteriors whose rate cannot vanish: it has a floor in every row, or in the mean over the batch."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn import functional as F

from ...core.batch import Batch
from ...core.errors import CombinationError, SettingError
from ...core.spec import part
from ...nn.inputs import Encoder
from ...nn.layers import linear_out
from ...nn.precision import network_precision
from ..base import AnyPosterior, Prior, check_width, diagonal, full_precision
from ..priors.normal import StandardNormal

_FLOOR = 1e-4


class _NormalNumbers(AnyPosterior):
    """An encoder and a head that gives two numbers per latent dimension; subclasses make a normal of them."""

    def __init__(self, encoder: Encoder, n_latent: int) -> None:
        super().__init__()
        self.encoder, self.event = encoder, (check_width(n_latent),)
        self.head = linear_out(encoder.n_features, 2 * n_latent)

    def numbers(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return two tensors ``(B, n_latent)``, in single precision at least."""
        with network_precision(self.head.weight.device):
            raw: Tensor = self.head(self.encoder(batch))
        first, second = full_precision(raw).chunk(2, dim=-1)
        return first, second

    def example(self) -> Distribution:
        """Return a normal with independent dimensions."""
        one = self.head.weight.new_ones(1, *self.event)
        return diagonal(one, one)


def need_standard_normal(prior: Prior, what: str) -> None:
    """Refuse another prior.

    Raises:
        CombinationError: The prior is not the standard normal.
    """
    if not isinstance(prior, StandardNormal):
        raise CombinationError(
            f"{what} holds the rate against the standard normal, but the prior is a {type(prior).__name__}. "
            "Use prior=standard_normal, or another posterior."
        )


@part("posterior", "committed")
@final
class CommittedNormal(_NormalNumbers):
    r"""A diagonal normal whose rate is more than delta in every dimension of every row (delta-VAE).

    With raw numbers a and b and the two roots :math:`s_l < 1 < s_u` of :math:`2\delta + 1 + \log s^2 - s^2 = 0`:

    .. math:: \sigma = s_l + (s_u - s_l)\, \mathrm{sigmoid}(b), \qquad
        \mu = \sqrt{2\delta + 1 + \log \sigma^2 - \sigma^2 + \mathrm{softplus}(a)}

    so that :math:`\mathrm{KL}(q \| \mathcal N(0, 1)) = \delta + \tfrac12 \mathrm{softplus}(a)` exactly. Means are
    positive, so that codes do not fill the prior: fit a density to the codes for sampling.

    Reference:
        Preventing Posterior Collapse with delta-VAEs (Razavi et al., 2019). https://arxiv.org/abs/1901.03416

    Args:
        encoder: Network from a batch to features.
        n_latent: Width of the latent code.
        delta: Least rate per dimension, in nats.

    Example:
        >>> from senzai.nn import MLPEncoder
        >>> CommittedNormal(MLPEncoder((5,), (8,)), 2, delta=0.3)(Batch(torch.zeros(3, 5))).event_shape
        torch.Size([2])
    """

    def __init__(self, encoder: Encoder, n_latent: int, *, delta: float = 0.1) -> None:
        super().__init__(encoder, n_latent)
        if not 0 < delta < 50:
            raise SettingError(f"`0 < delta < 50` must hold, but got delta={delta!r}. It is a rate per dimension.")
        self.delta = delta
        self.least, self.most = scale_bounds(delta)

    def forward(self, batch: Batch) -> Distribution:
        """Return q(z | x)."""
        a, b = self.numbers(batch)
        scale = self.least + (self.most - self.least) * torch.sigmoid(b)
        room = 2 * self.delta + 1 + 2 * scale.log() - scale.square()
        return diagonal((room.clamp_min(0) + F.softplus(a) + 1e-12).sqrt(), scale)

    def check_prior(self, prior: Prior) -> None:
        """Refuse any prior but the standard normal."""
        need_standard_normal(prior, "The committed posterior")


def scale_bounds(delta: float) -> tuple[float, float]:
    """Return the two scales at which a normal with mean 0 has the rate ``delta``.

    Example:
        >>> [round(s, 4) for s in scale_bounds(0.1)]
        [0.7023, 1.3313]
    """

    def excess(s: float) -> float:
        t = torch.tensor(s, dtype=torch.float64)
        return float(0.5 * (t.square() - 1) - t.log()) - delta

    return _root(excess, 1e-30, 1.0), _root(excess, 1.0, 1.0 + 4 * (delta + 1))


def _root(f: Callable[[float], float], a: float, b: float) -> float:
    """Return where ``f`` changes its sign between ``a`` and ``b``."""
    rising = f(b) > 0
    for _ in range(200):
        middle = sqrt(a * b)
        a, b = (a, middle) if (f(middle) > 0) == rising else (middle, b)
    return sqrt(a * b)


@part("posterior", "batch_normed")
@final
class BatchNormedNormal(_NormalNumbers):
    r"""A diagonal normal whose means have a fixed spread over the batch in every dimension (BN-VAE).

    .. math:: \mu = \gamma \, \frac{a - \bar a}{\mathrm{sd}(a)} + c, \qquad
        \overline{\mathrm{KL}} \ge \tfrac12 \sum_d (\gamma^2 + c_d^2)

    with moments over the rows of the batch in training (so rows mix) and running ones afterwards; the shift c is
    learned, gamma is not. The mean rate cannot fall below the bound.

    Reference:
        A Batch Normalized Inference Network Keeps the KL Vanishing Away (Zhu et al., 2020).
        https://arxiv.org/abs/2004.12585

    Args:
        encoder: Network from a batch to features.
        n_latent: Width of the latent code.
        gamma: Standard deviation of the means.
        momentum: How fast running moments follow.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, encoder: Encoder, n_latent: int, *, gamma: float = 0.5, momentum: float = 0.1) -> None:
        super().__init__(encoder, n_latent)
        if not gamma > 0 or not 0 < momentum <= 1:
            raise SettingError(
                f"`gamma > 0` and `0 < momentum <= 1` must hold, but got gamma={gamma!r}, momentum={momentum!r}."
            )
        self.gamma, self.momentum = gamma, momentum
        self.shift = nn.Parameter(torch.zeros(n_latent))
        self.register_buffer("running_mean", torch.zeros(n_latent))
        self.register_buffer("running_var", torch.ones(n_latent))

    def forward(self, batch: Batch) -> Distribution:
        """Return q(z | x)."""
        a, b = self.numbers(batch)
        mean, var = self._moments(a)
        loc = self.gamma * (a - mean) * torch.rsqrt(var + 1e-8) + self.shift
        return diagonal(loc, F.softplus(b) + _FLOOR)

    def _moments(self, a: Tensor) -> tuple[Tensor, Tensor]:
        if not self.training:
            return self.running_mean, self.running_var
        mean, var = a.mean(0), a.var(0, correction=0)
        with torch.no_grad():
            self.running_mean.lerp_(mean.to(self.running_mean), self.momentum)
            self.running_var.lerp_(var.to(self.running_var), self.momentum)
        return mean, var

    @property
    def mixes_rows(self) -> bool:
        """Moments are over the rows of the batch."""
        return True

    def check_prior(self, prior: Prior) -> None:
        """Refuse any prior but the standard normal."""
        need_standard_normal(prior, "The batch-normed posterior")
