"""Latents in hyperbolic space, as points of the Poincaré ball: the wrapped normal distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from senzai.core.errors import SettingError
from senzai.core.random import Noise, current_noise
from senzai.core.spec import part

from .family import Family, Support, Unit
from .full_normal import one_axis
from .numeric import need_positive, positive, positive_raw, start_moments
from .ops import Shape, _draw, point
from .spaces import Space, curved

_EDGE = {torch.float64: 1e-12, torch.float32: 1e-6}
_FURTHEST = 6.0  # hyperbolic distance of a posterior's centre from the origin, at curvature one


# --- geometry -------------------------------------------------------------------------------------------------------
@final
@dataclass(frozen=True)
class Ball(Space):
    """The Poincaré ball of radius ``curvature ** -0.5``: hyperbolic space of curvature ``-curvature``.

    Decoders see the logarithmic map at the origin, in orthonormal coordinates: a vector as long as the point is far.

    Args:
        curvature: Minus the sectional curvature, positive.

    Example:
        >>> ball = Ball()
        >>> v = torch.tensor([[0.3, -2.0]])
        >>> bool((ball.as_vector(ball.from_vector(v)) - v).abs().max() < 1e-5)
        True
    """

    curvature: float = 1.0
    name: ClassVar[str] = "ball"
    words: ClassVar[str] = "the Poincaré ball"

    def __post_init__(self) -> None:
        need_positive("curvature", self.curvature)

    def inside(self, z: Tensor) -> Tensor:
        """Pull points that rounding put on the edge, or beyond it, back inside."""
        most = (1 - _EDGE.get(z.dtype, 1e-6)) / math.sqrt(self.curvature)
        pulled: Tensor = z * (most / torch.linalg.vector_norm(z, dim=-1, keepdim=True).clamp_min(most))
        return pulled

    def add(self, a: Tensor, b: Tensor) -> Tensor:
        """Möbius addition: ``b`` seen from the origin, moved to where ``a`` is the origin."""
        c = self.curvature
        ab, aa, bb = ((u * v).sum(-1, keepdim=True) for u, v in ((a, b), (a, a), (b, b)))
        return ((1 + 2 * c * ab + c * bb) * a + (1 - c * aa) * b) / (1 + 2 * c * ab + c * c * aa * bb)

    def from_vector(self, v: Tensor) -> Tensor:
        """Exponential map at the origin of a vector in orthonormal coordinates."""
        root = math.sqrt(self.curvature)
        size = v.norm(dim=-1, keepdim=True).clamp_min(1e-15)
        return self.inside(torch.tanh(0.5 * root * size) * v / (root * size))

    def as_vector(self, z: Tensor) -> Tensor:
        """Logarithmic map at the origin."""
        root = math.sqrt(self.curvature)
        size = torch.linalg.vector_norm(z, dim=-1, keepdim=True).clamp_min(1e-15)
        far = 2 * torch.atanh((root * size).clamp_max(1 - _EDGE.get(z.dtype, 1e-6)))
        vector: Tensor = far * z / (root * size)
        return vector

    def move(self, centre: Tensor, v: Tensor) -> Tensor:
        """Exponential map at ``centre`` of a vector in orthonormal coordinates there."""
        return self.inside(self.add(centre, self.from_vector(v)))

    def seen_from(self, centre: Tensor, z: Tensor) -> Tensor:
        """Logarithmic map at ``centre``, in orthonormal coordinates: as long as ``z`` is far from it."""
        return self.as_vector(self.add(-centre, z))

    def between(self, a: Tensor, b: Tensor, weight: float) -> Tensor:
        """Go along the geodesic."""
        return self.move(a, weight * self.seen_from(a, b))

    def with_coordinate(self, z: Tensor, dim: int, value: Tensor) -> Tensor:
        """Set one coordinate of what decoders see."""
        v = self.as_vector(z).clone()
        v[..., dim] = value
        return self.from_vector(v)

    def check_temperature(self, factor: float) -> None:
        """The origin is the centre."""


# --- distribution ---------------------------------------------------------------------------------------------------
@final
class WrappedNormal(Distribution):
    r"""A normal distribution on the tangent space at a point, wrapped around hyperbolic space.

    .. math:: \log p(z) = \log \mathcal N(v; 0, \mathrm{diag}\,\sigma^2)
        - (d - 1) \log \frac{\sinh(\sqrt c\, |v|)}{\sqrt c\, |v|}, \qquad z = \exp_\mu(v)

    a density with respect to the volume of hyperbolic space (not of the flat ball), on both sides of a rate.

    Reference:
        A Wrapped Normal Distribution on Hyperbolic Space (Nagano et al., 2019). https://arxiv.org/abs/1902.02992
        Continuous Hierarchical Representations with Poincaré VAEs (Mathieu et al., 2019).
        https://arxiv.org/abs/1901.06033

    Args:
        loc: Centre, ``(*batch, d)``, inside the ball.
        scale: Standard deviations in orthonormal coordinates at the centre, same shape.
        ball: The ball.
    """

    has_rsample = True

    def __init__(self, loc: Tensor, scale: Tensor, ball: Ball) -> None:
        self.loc, self.scale, self.ball = loc, scale, ball
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=False)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """Nothing."""
        return {}

    @property
    def support(self) -> constraints.Constraint:
        """Real vectors, inside the ball."""
        return curved

    @property
    def mode(self) -> Tensor:
        """The centre."""
        return self.loc

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density with respect to hyperbolic volume, computed in double precision."""
        v = self.ball.seen_from(self.loc.double(), value.double())
        scale = self.scale.double()
        normal = -(0.5 * (v / scale).square() + scale.log() + 0.5 * math.log(2 * math.pi)).sum(-1)
        far = math.sqrt(self.ball.curvature) * v.norm(dim=-1)
        return (normal - (v.shape[-1] - 1) * log_stretch(far)).to(value.dtype)

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Draw a tangent vector and follow it."""
        full = (*shape, *self.loc.shape)
        eps = noise.normal(full, row_dim=len(shape), dtype=self.loc.dtype, device=self.loc.device)
        return self.ball.move(self.loc, self.scale * eps)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw differentiably, with the ambient noise."""
        return self.from_noise(tuple(sample_shape), current_noise())

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw without gradient, with the ambient noise."""
        with torch.no_grad():
            return self.rsample(sample_shape)


def log_stretch(r: Tensor) -> Tensor:
    """Return ``log(sinh(r) / r)``, by its series near zero.

    Example:
        >>> log_stretch(torch.tensor([0.0, 1.0, 50.0]))
        tensor([ 0.0000,  0.1614, 45.3948])
    """
    small = r < 0.05
    safe = torch.where(small, torch.ones_like(r), r)
    far = safe + torch.log1p(-torch.exp(-2 * safe)) - math.log(2) - safe.log()
    return torch.where(small, r.square() / 6 - r**4 / 180, far)


@_draw.register(WrappedNormal)
def _(p: WrappedNormal, shape: Shape, noise: Noise) -> Tensor:
    return p.from_noise(shape, noise)


@point.register(WrappedNormal)
def _(p: WrappedNormal) -> Tensor:
    return p.loc


# --- family ---------------------------------------------------------------------------------------------------------
@part("family", "wrapped_normal")
@final
@dataclass(frozen=True, kw_only=True)
class WrappedNormalFamily(Family):
    """Points of hyperbolic space; a centre, given by its logarithmic map at the origin, and a scale per direction.

    Args:
        curvature: Minus the curvature of the space.
        floor: Least scale.
    """

    curvature: float = 1.0
    floor: float = 1e-3
    support: ClassVar[Support] = "real"
    usual_prior: ClassVar[str] = "wrapped_normal"

    def __post_init__(self) -> None:
        need_positive("curvature", self.curvature)
        need_positive("floor", self.floor)

    @property
    def raw_names(self) -> tuple[str, ...]:
        """Centre and scale."""
        return ("loc", "scale")

    def raw_shape(self, event: tuple[int, ...]) -> tuple[int, ...]:
        """Two vectors."""
        return (2 * ball_width(event),)

    def space(self, event: tuple[int, ...]) -> Space:
        """The ball."""
        return Ball(self.curvature)

    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return a wrapped normal; centres further out than six radii of curvature are pulled in smoothly."""
        loc, scale = raw.chunk(2, -1)
        ball, most = Ball(self.curvature), _FURTHEST / math.sqrt(self.curvature)
        size = loc.norm(dim=-1, keepdim=True)
        return WrappedNormal(ball.from_vector(loc * most / (most + size)), positive(scale, self.floor), ball)

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Observed mean and spread."""
        mean, sd = start_moments(x, weight)
        return torch.cat([mean, positive_raw(sd + self.floor, self.floor)], -1)


def ball_width(event: tuple[int, ...]) -> int:
    """Return the dimension of the ball."""
    d = one_axis(event)
    if d < 1:
        raise SettingError(f"A ball needs `n_latent >= 1`, but got {d!r}.")
    return d
