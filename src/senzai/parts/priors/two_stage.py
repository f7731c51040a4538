"""A prior with latents of its own, and small priors that fitted ones are made of."""

from __future__ import annotations

from math import log, prod
from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, MultivariateNormal
from torch.nn import functional as F

from ...core.errors import SettingError
from ...core.examples import example
from ...core.random import Noise, current_noise
from ...core.spec import part
from ...distributions.mixtures import Mixture
from ...distributions.ops import Shape, _draw
from ...distributions.vectors import HALF_LOG_2PI, Vector, standard_log_prob
from ...nn.layers import hidden_layers, linear_out, with_condition
from ..base import FLOOR, Prior, check_width, condition_of

ESTIMATE = 16
"""Draws of the upper latents that a density is estimated from outside training."""


class Normals(nn.Module):
    """A network from vectors to the location and scale of normals; it starts near the standard normal.

    Args:
        n_in: Width of the input.
        n_out: Width of the output.
        hidden: Widths of the hidden layers.
    """

    def __init__(self, n_in: int, n_out: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.hidden = hidden_layers(n_in, hidden, activation="silu")
        self.out = linear_out((n_in, *hidden)[-1], 2 * n_out)
        with torch.no_grad():
            self.out.weight.mul_(0.1)  # zero would be a saddle: neither network would learn from the other
            self.out.bias[n_out:] = 0.5413  # softplus(0.5413) = 1

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return location and scale."""
        loc, raw = self.out(self.hidden(x)).chunk(2, -1)
        return loc, F.softplus(raw) + FLOOR


class InfiniteMixture(Vector):
    r"""Normals whose location and scale depend on latents above: an infinite mixture without a closed density.

    Args:
        above: p(z | u), from ``(*lead, n_upper)``.
        below: r(u | z), which the estimate draws from.
        c: Condition of each row.
        n_samples: Draws of u per vector.
        n_upper: Width of u.
        n: Width of z.
    """

    def __init__(
        self, above: Normals, below: Normals, c: Tensor | None, n_samples: int, n_upper: int, n: int
    ) -> None:
        self.above, self.below, self.c, self.n_samples, self.n_upper = above, below, c, n_samples, n_upper
        super().__init__(() if c is None else (len(c),), n, above.out.bias)

    def log_prob(self, z: Tensor) -> Tensor:
        r"""Estimate of the log density from ``n_samples`` draws: a lower bound in expectation, by importance weights.

        .. math:: \log \frac1S \sum_s \frac{p(z | u_s)\, p(u_s)}{r(u_s | z)}, \quad u_s \sim r(u | z)
        """
        loc, scale = self.below(with_condition(z, self.c))
        lead, rows = z.shape[:-2], z.shape[-2] if z.ndim > 1 else 1
        shape = (self.n_samples * prod(lead), rows, self.n_upper)
        eps = current_noise().normal(shape, row_dim=1, dtype=z.dtype, device=z.device)
        eps = eps.view(self.n_samples, *loc.shape)
        u: Tensor = loc + scale * eps
        mean, spread = self.above(with_condition(u, self.c))
        log_joint = normal(z, mean, spread) + standard_log_prob(u)
        log_r = (-0.5 * eps.square() - scale.log() - HALF_LOG_2PI).sum(-1)
        log_p: Tensor = (log_joint - log_r).logsumexp(0) - log(self.n_samples)
        return log_p

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Draw u, then z: exact."""
        u = self.numbers(shape, noise, width=(self.n_upper,))
        mean, spread = self.above(with_condition(u, self.c))
        z: Tensor = mean + spread * self.numbers(shape, noise)
        return z


def normal(z: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """Log density of vectors under diagonal normals, summed over the last axis."""
    return (-0.5 * ((z - loc) / scale).square() - scale.log() - HALF_LOG_2PI).sum(-1)


@part("prior", "two_stage")
@final
class TwoStagePrior(Prior):
    r"""A second autoencoder on the latents: a hierarchical prior with a learned hyper-prior.

    .. math:: p(z) = \int p(z \mid u)\, \mathcal N(u; 0, I)\, du

    There is no closed form and none is claimed: ``log_prob`` is an importance-weighted estimate with a learned
    r(u | z), whose weight is unbiased and whose log is a lower bound in expectation, so that bounds stay bounds. Draws
    are exact. Outside training ``ESTIMATE`` draws of u are used.

    Reference:
        Diagnosing and Enhancing VAE Models (Dai and Wipf, 2019). https://arxiv.org/abs/1903.05789
        Learning Hierarchical Priors in VAEs (Klushyn et al., 2019). https://arxiv.org/abs/1905.04982

    Args:
        n_latent: Width of the latent code.
        n_upper: Width of u; by default that of z.
        hidden: Widths of the hidden layers of both networks.
        n_samples: Draws of u per latent in training.
        n_condition: Width of the condition; 0 for p(z).

    Example:
        >>> TwoStagePrior(2)().log_prob(torch.zeros(7, 3, 2)).shape
        torch.Size([7, 3])
    """

    def __init__(
        self, n_latent: int, *, n_upper: int | None = None, hidden: tuple[int, ...] = (128, 128), n_samples: int = 1,
        n_condition: int = 0,
    ) -> None:
        super().__init__()
        if n_samples < 1:
            raise SettingError(f"`n_samples >= 1` must hold, but got {n_samples!r}. More of them estimate closer.")
        self.n_latent, self.n_condition, self.n_samples = check_width(n_latent), n_condition, n_samples
        self.n_upper = check_width(n_latent if n_upper is None else n_upper)
        self.above = Normals(self.n_upper + n_condition, n_latent, tuple(hidden))
        self.below = Normals(n_latent + n_condition, self.n_upper, tuple(hidden))

    def forward(self, c: Tensor | None = None) -> Distribution:
        """Return p(z | c)."""
        s = self.n_samples if self.training else max(self.n_samples, ESTIMATE)
        return InfiniteMixture(self.above, self.below, condition_of(c, self.n_condition), s, self.n_upper,
                               self.n_latent)


@part("prior", "full_mixture")
@final
class FullMixture(Prior):
    r"""A mixture of normals with full covariances, all of it learned.

    .. math:: p(z) = \sum_{j=1}^J \pi_j \, \mathcal N(z; \mu_j, L_j L_j^\top)

    Args:
        n_latent: Width of the latent code.
        n_components: Number of components, J.

    Example:
        >>> FullMixture(2, n_components=3)().log_prob(torch.zeros(5, 2)).shape
        torch.Size([5])
    """

    def __init__(self, n_latent: int, *, n_components: int = 8) -> None:
        super().__init__()
        self.n_latent = check_width(n_latent)
        if n_components < 1:
            raise SettingError(f"`n_components >= 1` must hold, but got {n_components!r}. One is a normal.")
        self.logits = nn.Parameter(torch.zeros(n_components))
        self.loc = nn.Parameter(torch.randn(n_components, n_latent) if n_components > 1 else torch.zeros(1, n_latent))
        self.log_diagonal = nn.Parameter(torch.zeros(n_components, n_latent))
        self.below = nn.Parameter(torch.zeros(n_components, n_latent * (n_latent - 1) // 2))

    def tril(self) -> Tensor:
        """Return the Cholesky factors, ``(J, n_latent, n_latent)``."""
        d = self.n_latent
        rows, columns = torch.tril_indices(d, d, -1, device=self.below.device)
        lower = self.below.new_zeros(len(self.below), d, d)
        lower = lower.index_put((torch.arange(len(lower), device=rows.device).unsqueeze(1), rows, columns), self.below)
        return lower + torch.diag_embed(self.log_diagonal.exp() + FLOOR)

    def forward(self, c: Tensor | None = None) -> Distribution:
        """Return p(z)."""
        components = MultivariateNormal(self.loc, scale_tril=self.tril(), validate_args=False)
        return Mixture(self.logits, components)


class Moved(Vector):
    """A distribution over vectors, scaled and shifted.

    Args:
        base: Distribution of the standardised vectors.
        loc: Shift.
        scale: Factor, positive.
    """

    def __init__(self, base: Distribution, loc: Tensor, scale: Tensor) -> None:
        self.base, self.loc, self.scale = base, loc, scale
        super().__init__(tuple(base.batch_shape), len(loc), loc)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density, ``(*lead,)``."""
        log_p: Tensor = self.base.log_prob((z - self.loc) / self.scale)
        return log_p - self.scale.log().sum()

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Draw from the base, and move."""
        return self.loc + self.scale * _draw(self.base, shape, noise)


@part("prior", "moved")
@example(make=lambda frame: MovedPrior(frame.n_latent, FullMixture(frame.n_latent, n_components=2)))
@final
class MovedPrior(Prior):
    """Another prior in other units: ``z = loc + scale * u`` with u from it, location and scale fixed.

    Args:
        n_latent: Width of the latent code.
        inner: Prior of u.

    Example:
        >>> from senzai.parts import StandardNormal
        >>> MovedPrior(1, StandardNormal(1))().log_prob(torch.zeros(1, 1))
        tensor([-0.9189])
    """

    loc: Tensor
    scale: Tensor

    def __init__(self, n_latent: int, inner: Prior) -> None:
        super().__init__()
        self.n_latent, self.inner = check_width(n_latent), inner
        self.register_buffer("loc", torch.zeros(n_latent))
        self.register_buffer("scale", torch.ones(n_latent))

    @property
    def dear(self) -> bool:
        """That of the inner prior."""
        return self.inner.dear

    def guided(self, weight: float) -> MovedPrior:
        """Return the same with the inner prior guided."""
        found = MovedPrior(self.n_latent, self.inner.guided(weight))
        found.loc, found.scale = self.loc, self.scale
        return found.train(self.training)

    def forward(self, c: Tensor | None = None) -> Distribution:
        """Return p(z | c)."""
        return Moved(self.inner(c), self.loc, self.scale)
