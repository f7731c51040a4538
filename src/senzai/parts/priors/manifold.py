"""Priors on spaces other than all real vectors: sphere, ball, simplex, one-hot classes, bits."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Dirichlet, Distribution, MultivariateNormal

from ...core.examples import example
from ...core.spec import part
from ...distributions.ball import Ball, WrappedNormal
from ...distributions.codes import BitCode, Bits, ClassCode, OneHot, categories
from ...distributions.numeric import need_positive
from ...distributions.simplex import LogisticNormal, Simplex, simplex_width
from ...distributions.softmax_normal import SoftmaxNormal
from ...distributions.spaces import Space
from ...distributions.sphere import Sphere, UniformSphere, sphere_width
from ..base import Prior, check_width


@part("prior", "uniform_sphere")
@final
class UniformSpherePrior(Prior):
    """Every direction alike.

    Args:
        n_latent: Dimension of the space around the sphere, two at least.

    Example:
        >>> UniformSpherePrior(3)().log_prob(torch.tensor([[1.0, 0.0, 0.0]]))
        tensor([-2.5310])
    """

    lives_on = "sphere"
    like: Tensor

    def __init__(self, n_latent: int) -> None:
        super().__init__()
        self.n_latent = sphere_width((check_width(n_latent),))
        self.register_buffer("like", torch.zeros(n_latent))

    @property
    def space(self) -> Space:
        """The sphere."""
        return Sphere()

    def forward(self, c: Tensor | None = None) -> Distribution:
        """Return p(z)."""
        return UniformSphere(self.like)


@part("prior", "wrapped_normal")
@final
class WrappedNormalPrior(Prior):
    """The wrapped normal around the origin of the Poincaré ball.

    Args:
        n_latent: Dimension of the ball.
        curvature: Minus the curvature of the space.
        scale: Standard deviation in every direction.
    """

    lives_on = "ball"
    loc: Tensor

    def __init__(self, n_latent: int, *, curvature: float = 1.0, scale: float = 1.0) -> None:
        super().__init__()
        need_positive("scale", scale)
        self.n_latent, self.ball, self.scale = check_width(n_latent), Ball(curvature), scale
        self.register_buffer("loc", torch.zeros(n_latent))

    @property
    def space(self) -> Space:
        """The ball."""
        return self.ball

    def forward(self, c: Tensor | None = None) -> Distribution:
        """Return p(z)."""
        return WrappedNormal(self.loc, torch.full_like(self.loc, self.scale), self.ball)


@example(settings={"prior": "dirichlet", "posterior": "dirichlet"})
@part("prior", "dirichlet")
@final
class DirichletPrior(Prior):
    """The symmetric Dirichlet distribution.

    Args:
        n_latent: Number of shares, two at least.
        concentration: Below one shares are sparse, at one all vectors of shares are alike.
    """

    lives_on = "simplex"
    alpha: Tensor

    def __init__(self, n_latent: int, *, concentration: float = 0.98) -> None:
        super().__init__()
        need_positive("concentration", concentration)
        self.n_latent = simplex_width((check_width(n_latent),))
        self.register_buffer("alpha", torch.full((n_latent,), concentration))

    @property
    def space(self) -> Space:
        """The simplex."""
        return Simplex()

    def forward(self, c: Tensor | None = None) -> Distribution:
        """Return p(z)."""
        return Dirichlet(self.alpha, validate_args=False)


@part("prior", "logistic_normal")
@final
class LogisticNormalPrior(Prior):
    r"""The logistic normal that treats all shares alike: log ratios of independent normals of this scale.

    With :math:`\sigma^2 = 1 / \alpha` it is near the symmetric Dirichlet distribution with concentration alpha.

    Args:
        n_latent: Number of shares, two at least.
        scale: sigma.
    """

    lives_on = "simplex"
    tril: Tensor

    def __init__(self, n_latent: int, *, scale: float = 1.0) -> None:
        super().__init__()
        need_positive("scale", scale)
        self.n_latent = simplex_width((check_width(n_latent),))
        covariance = scale**2 * (torch.eye(n_latent - 1, dtype=torch.float64) + 1)
        self.register_buffer("tril", torch.linalg.cholesky(covariance).to(torch.get_default_dtype()))

    @property
    def space(self) -> Space:
        """The simplex."""
        return Simplex()

    def forward(self, c: Tensor | None = None) -> Distribution:
        """Return p(z)."""
        zero = self.tril.new_zeros(self.n_latent - 1)
        return LogisticNormal(MultivariateNormal(zero, scale_tril=self.tril, validate_args=False))


@part("prior", "softmax_normal")
@final
class SoftmaxNormalPrior(Prior):
    r"""The softmax of as many independent normals as there are shares.

    With a ``concentration`` it is Laplace's approximation of the symmetric Dirichlet distribution in the basis of the
    softmax, :math:`\sigma^2 = (1 - 1 / d) / \alpha`.

    Reference:
        Autoencoding Variational Inference for Topic Models (Srivastava and Sutton, 2017), section 3.2.
        https://arxiv.org/abs/1703.01488

    Args:
        n_latent: Number of shares, two at least.
        concentration: alpha; below one shares are sparse.

    Example:
        >>> SoftmaxNormalPrior(4, concentration=0.75)().scale
        tensor([1., 1., 1., 1.])
    """

    lives_on = "simplex"
    loc: Tensor
    scale: Tensor

    def __init__(self, n_latent: int, *, concentration: float = 1.0) -> None:
        super().__init__()
        need_positive("concentration", concentration)
        self.n_latent = simplex_width((check_width(n_latent),))
        self.register_buffer("loc", torch.zeros(n_latent))
        self.register_buffer("scale", torch.full((n_latent,), ((1 - 1 / n_latent) / concentration) ** 0.5))

    @property
    def space(self) -> Space:
        """The simplex."""
        return Simplex()

    def forward(self, c: Tensor | None = None) -> Distribution:
        """Return p(z)."""
        return SoftmaxNormal(self.loc, self.scale)


@part("prior", "categorical")
@final
class CategoricalPrior(Prior):
    """Independent classes as one-hot vectors.

    Args:
        n_latent: Width of the code, a multiple of ``n_categories``.
        n_categories: Classes of each variable; by default the least divisor of the width from four up.
        learned: Whether probabilities are learned; else all classes are alike.
    """

    lives_on = "one_hot"

    def __init__(self, n_latent: int, *, n_categories: int | None = None, learned: bool = False) -> None:
        super().__init__()
        self.n_latent = check_width(n_latent)
        self.n_categories = categories(n_latent, n_categories)
        self.logits = nn.Parameter(torch.zeros(n_latent), requires_grad=learned)

    @property
    def space(self) -> Space:
        """One-hot classes."""
        return OneHot(self.n_categories)

    def forward(self, c: Tensor | None = None) -> Distribution:
        """Return p(z)."""
        return ClassCode(self.logits, self.n_categories)


@part("prior", "bernoulli")
@final
class BernoulliPrior(Prior):
    """Independent bits.

    Args:
        n_latent: Number of bits.
        learned: Whether probabilities are learned; else they are one half.
    """

    lives_on = "bits"

    def __init__(self, n_latent: int, *, learned: bool = False) -> None:
        super().__init__()
        self.n_latent = check_width(n_latent)
        self.logits = nn.Parameter(torch.zeros(n_latent), requires_grad=learned)

    @property
    def space(self) -> Space:
        """Bits."""
        return Bits()

    def forward(self, c: Tensor | None = None) -> Distribution:
        """Return p(z)."""
        return BitCode(self.logits)
