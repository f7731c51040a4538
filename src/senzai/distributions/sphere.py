"""Latents on a sphere: the von Mises-Fisher distribution and the uniform one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.distributions.kl import register_kl
from torch.nn import functional as F

from senzai.core.errors import SettingError
from senzai.core.random import Noise, current_noise
from senzai.core.spec import part

from .bases import open_uniform
from .family import Family, Support, Unit
from .full_normal import one_axis
from .numeric import positive, positive_raw, start_moments
from .ops import Shape, _draw, point
from .spaces import Space, curved, need_inside

_UP = 24
"""Orders to climb before the asymptotic series is used: it is then exact to about 1e-9."""
_TRIES = 24
"""Proposals per draw; two of three are accepted, so that fewer than one draw in 1e11 has none."""
_NODES = 96


# --- Bessel functions -----------------------------------------------------------------------------------------------
def log_bessel(order: float, kappa: Tensor) -> tuple[Tensor, Tensor]:
    r"""Return :math:`\log(I_\nu(\kappa) \kappa^{-\nu})` and :math:`I_{\nu+1}(\kappa) / (\kappa I_\nu(\kappa))`.

    In double precision.

    Debye's uniform series at a high order, then down by the recurrence
    :math:`F_{\nu-1} = \kappa^2 F_{\nu+1} + 2 \nu F_\nu` for :math:`F_\nu = I_\nu \kappa^{-\nu}`, which is stable and
    has no cancellation; both are differentiable and finite at zero.

    Reference:
        NIST Digital Library of Mathematical Functions, sections 10.29 and 10.41. https://dlmf.nist.gov/10.41

    Example:
        >>> log_f, ratio = log_bessel(0.5, torch.tensor(2.0))
        >>> bool((ratio * 2 - (1 / math.tanh(2) - 0.5)).abs() < 1e-12)  # of order one half: coth(k) - 1 / k
        True
    """
    kappa = kappa.double()
    high = order + _UP
    top, above = _debye(high, kappa), _debye(high + 1, kappa)
    log_f, ratio = top, (above - top).exp()
    for i in range(_UP):
        factor = 2 * (high - i) + kappa.square() * ratio
        log_f = log_f + factor.log()
        ratio = 1 / factor
    return log_f, ratio


def _debye(order: float, kappa: Tensor) -> Tensor:
    root = (1 + (kappa / order).square()).sqrt()
    p, p2 = 1 / root, 1 / root.square()
    u1 = p * (3 - 5 * p2) / 24
    u2 = p2 * (81 - 462 * p2 + 385 * p2**2) / 1152
    u3 = p * p2 * (30375 - 369603 * p2 + 765765 * p2**2 - 425425 * p2**3) / 414720
    u4 = p2**2 * (4465125 - 94121676 * p2 + 349922430 * p2**2 - 446185740 * p2**3 + 185910725 * p2**4) / 39813120
    series = torch.log1p(u1 / order + u2 / order**2 + u3 / order**3 + u4 / order**4)
    lead = order * root - order * torch.log1p(root) - order * math.log(order)
    return lead - 0.5 * math.log(2 * math.pi * order) - 0.5 * root.log() + series


def log_area(d: int) -> float:
    """Log of the area of the unit sphere in ``d`` dimensions."""
    return math.log(2) + 0.5 * d * math.log(math.pi) - math.lgamma(0.5 * d)


# --- distributions --------------------------------------------------------------------------------------------------
@final
@dataclass(frozen=True)
class Sphere(Space):
    """Vectors of length one. Decoders see them as they are; paths between them are arcs of great circles."""

    name: ClassVar[str] = "sphere"
    words: ClassVar[str] = "the unit sphere"

    def between(self, a: Tensor, b: Tensor, weight: float) -> Tensor:
        """Go along the great circle; between opposite points along any one of them."""
        angle = 2 * torch.atan2((a - b).norm(dim=-1, keepdim=True), (a + b).norm(dim=-1, keepdim=True))
        sine = torch.sin(angle)
        near = sine < 1e-6
        safe = torch.where(near, torch.ones_like(sine), sine)
        arc = (torch.sin((1 - weight) * angle) * a + torch.sin(weight * angle) * b) / safe
        return torch.where(near, F.normalize(torch.lerp(a, b, weight), dim=-1), arc)

    def steps(self, n: int = 7) -> tuple[float, ...]:
        """From nearly one pole to nearly the other."""
        return tuple(torch.linspace(-0.95, 0.95, n).tolist())

    def with_coordinate(self, z: Tensor, dim: int, value: Tensor) -> Tensor:
        """Set one coordinate and stretch the others to length one."""
        need_inside(value, -1, 1, self.words)
        rest = z.clone()
        rest[..., dim] = 0
        out = F.normalize(rest, dim=-1) * (1 - value.square()).clamp_min(0).sqrt().unsqueeze(-1)
        out[..., dim] = value
        return out


class _OnSphere(Distribution):
    """Draws made from noise."""

    has_rsample = True

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """Nothing."""
        return {}

    @property
    def support(self) -> constraints.Constraint:
        """Real vectors, of length one."""
        return curved

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Return draws ``(*shape, *batch_shape, d)``."""
        raise NotImplementedError

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw differentiably, with the ambient noise."""
        return self.from_noise(tuple(sample_shape), current_noise())

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw without gradient, with the ambient noise."""
        with torch.no_grad():
            return self.rsample(sample_shape)


@_draw.register(_OnSphere)
def _(p: _OnSphere, shape: Shape, noise: Noise) -> Tensor:
    return p.from_noise(shape, noise)


@final
class UniformSphere(_OnSphere):
    """Every direction alike.

    Args:
        like: A tensor of the dtype and device of draws, shape ``(*batch, d)``.
    """

    def __init__(self, like: Tensor) -> None:
        self.like = like
        super().__init__(like.shape[:-1], like.shape[-1:], validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """Minus the log of the area."""
        return value.new_full(value.shape[:-1], -log_area(value.shape[-1]))

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Directions of normal vectors."""
        g = noise.normal((*shape, *self.like.shape), row_dim=len(shape), dtype=self.like.dtype, device=self.like.device)
        return F.normalize(g, dim=-1)


@final
class VonMisesFisher(_OnSphere):
    r"""A normal distribution's counterpart on the sphere.

    .. math:: p(z) = \frac{\kappa^{d/2 - 1}}{(2\pi)^{d/2} I_{d/2-1}(\kappa)} e^{\kappa \mu^\top z}

    a density with respect to area. Draws are exact (by rejection, a fixed number of proposals per draw), and gradients
    are those of the draw itself by implicit differentiation, so that there is no score-function term.

    Reference:
        Hyperspherical Variational Auto-Encoders (Davidson et al., 2018). https://arxiv.org/abs/1804.00891
        Simulation of the von Mises Fisher distribution (Wood, 1994). https://doi.org/10.1080/03610919408813161

    Args:
        loc: Mean direction, ``(*batch, d)``, of length one, ``d >= 2``.
        kappa: Concentration, ``(*batch,)``, at least zero.

    Example:
        >>> VonMisesFisher(torch.tensor([1.0, 0.0, 0.0]), torch.tensor(0.0)).log_prob(torch.tensor([0.0, 1.0, 0.0]))
        tensor(-2.5310)
    """

    def __init__(self, loc: Tensor, kappa: Tensor) -> None:
        self.loc, self.kappa = loc, kappa
        super().__init__(loc.shape[:-1], loc.shape[-1:], validate_args=False)

    @property
    def d(self) -> int:
        """Dimension of the space around the sphere."""
        return self.loc.shape[-1]

    @property
    def length(self) -> Tensor:
        """Length of the mean vector, between 0 and 1."""
        return (self.kappa.double() * log_bessel(0.5 * self.d - 1, self.kappa)[1]).to(self.kappa.dtype)

    @property
    def mean(self) -> Tensor:
        """Mean vector, inside the sphere."""
        return self.length.unsqueeze(-1) * self.loc

    @property
    def mode(self) -> Tensor:
        """Mean direction."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """Variance of each coordinate."""
        along = 1 - self.length.square() - (self.d - 1) * self._ratio
        across = self._ratio.unsqueeze(-1)
        return across + (along.unsqueeze(-1) - across) * self.loc.square()

    @property
    def _ratio(self) -> Tensor:
        return log_bessel(0.5 * self.d - 1, self.kappa)[1].to(self.kappa.dtype)

    def log_normaliser(self) -> Tensor:
        """Log of the factor before the exponential less kappa, float64: finite however concentrated."""
        return -0.5 * self.d * math.log(2 * math.pi) - log_bessel(0.5 * self.d - 1, self.kappa)[0]

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density with respect to area; distances to the mean direction are squared, not subtracted from one."""
        kappa = self.kappa.double()
        far = (value - self.loc).double().square().sum(-1)  # = 2 - 2 cos
        return (self.log_normaliser() + kappa - 0.5 * kappa * far).to(value.dtype)

    def entropy(self) -> Tensor:
        """Entropy in nats."""
        kappa = self.kappa.double()
        return (-(self.log_normaliser() + kappa.square() * log_bessel(0.5 * self.d - 1, kappa)[1])).to(self.kappa.dtype)

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Draw the height above the equator, then a direction across."""
        full = (*shape, *self.loc.shape)
        u = open_uniform((*full[:-1], 3 * _TRIES), noise, row_dim=len(shape), like=self.loc)
        g = noise.normal(full, row_dim=len(shape), dtype=self.loc.dtype, device=self.loc.device)
        across = g - (g * self.loc).sum(-1, keepdim=True) * self.loc
        across = across - (across * self.loc).sum(-1, keepdim=True) * self.loc  # again: what rounding left along loc
        across = across / across.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(g.dtype).tiny)
        low = below_one(self.kappa.expand(full[:-1]), u, self.d).unsqueeze(-1)  # 1 - height
        z: Tensor = (1 - low) * self.loc + (low * (2 - low)).clamp_min(0).sqrt() * across
        return z


@point.register(VonMisesFisher)
def _(p: VonMisesFisher) -> Tensor:
    return p.loc


@register_kl(VonMisesFisher, UniformSphere)
def _kl_vmf_uniform(q: VonMisesFisher, p: UniformSphere) -> Tensor:
    return log_area(q.d) - q.entropy()


# --- heights --------------------------------------------------------------------------------------------------------
def below_one(kappa: Tensor, u: Tensor, d: int) -> Tensor:
    """Return one minus a height drawn from uniform numbers ``(*kappa.shape, 3 n)``, differentiable in kappa."""
    with torch.no_grad():
        low = wood(kappa.double(), u.double(), d)
    if kappa.requires_grad and torch.is_grad_enabled():
        slope = height_slope(low, kappa.detach().double(), d)
        low = low - slope * (kappa - kappa.detach())
    return low.to(kappa.dtype)


def wood(kappa: Tensor, u: Tensor, d: int) -> Tensor:
    """Wood's rejection sampler for one minus the height: the first accepted of ``n`` proposals."""
    k = kappa.unsqueeze(-1)
    b = (d - 1) / (2 * k + (4 * k.square() + (d - 1) ** 2).sqrt())
    first, turn, accept = u.chunk(3, -1)
    radius = (1 - first.pow(2 / (d - 2))).sqrt() if d > 2 else torch.ones_like(first)
    beta = 0.5 * (1 + radius * torch.cos(2 * math.pi * turn))  # symmetric beta with parameter (d - 1) / 2
    whole = 1 - (1 - b) * beta
    low = 2 * b * beta / whole
    x0 = (1 - b) / (1 + b)
    gain = k * (1 - x0 - low) + (d - 1) * (torch.log1p(-x0 * (1 - low)) - torch.log1p(-x0.square()))
    fine = gain >= accept.log()
    chosen = fine.to(torch.int8).argmax(-1, keepdim=True)
    return low.gather(-1, chosen).squeeze(-1)


def height_slope(low: Tensor, kappa: Tensor, d: int) -> Tensor:
    r"""Derivative of a height in kappa at fixed probability: :math:`-\partial_\kappa F(w) / f(w)`, by quadrature.

    In the angle, over at most twelve widths of the density, on the side of the angle away from its mode.
    """
    theta = 2 * torch.asin((0.5 * low).clamp(0, 1).sqrt())
    mean = kappa * log_bessel(0.5 * d - 1, kappa)[1]
    root = ((d - 2) ** 2 + 4 * kappa.square()).sqrt()
    cosine = 2 * kappa / (d - 2 + root).clamp_min(1e-12)
    mode = torch.acos(cosine.clamp(0, 1)) if d > 2 else torch.zeros_like(kappa)
    width = (kappa * cosine + (0.5 * (d - 2 + root) if d > 2 else 0.0)).clamp_min(0.05).rsqrt()
    inner = theta < mode
    start = torch.where(inner, (theta.minimum(mode) - 12 * width).clamp_min(0), theta)
    stop = torch.where(inner, theta, (theta + 12 * width).clamp_max(math.pi))
    rule = np.polynomial.legendre.leggauss(_NODES)
    nodes, weights = (torch.as_tensor(v, dtype=low.dtype, device=low.device) for v in rule)
    t = start.unsqueeze(-1) + 0.5 * (stop - start).unsqueeze(-1) * (nodes + 1)
    here = torch.sin(theta).clamp_min(1e-30).log().unsqueeze(-1)
    log_ratio = (d - 2) * (torch.sin(t).clamp_min(1e-30).log() - here)
    log_ratio = log_ratio + kappa.unsqueeze(-1) * (torch.cos(t) - torch.cos(theta).unsqueeze(-1))
    moment = (weights * (torch.cos(t) - mean.unsqueeze(-1)) * log_ratio.exp()).sum(-1) * 0.5 * (stop - start)
    # dF/dkappa at the height is the moment of all angles beyond theta, or minus that of those before
    return torch.where(inner, moment, -moment) * torch.sin(theta)


# --- family ---------------------------------------------------------------------------------------------------------
@part("family", "von_mises_fisher")
@final
@dataclass(frozen=True, kw_only=True)
class VonMisesFisherFamily(Family):
    """Directions; a vector that is brought to length one, and a concentration above ``floor``.

    Args:
        floor: Least concentration.

    Example:
        >>> p = VonMisesFisherFamily()(torch.ones(4, 4), (3,))
        >>> p.batch_shape, p.event_shape
        (torch.Size([4]), torch.Size([3]))
    """

    floor: float = 1.0
    support: ClassVar[Support] = "real"
    usual_prior: ClassVar[str] = "uniform_sphere"

    @property
    def raw_names(self) -> tuple[str, ...]:
        """Direction and concentration."""
        return ("loc", "kappa")

    def raw_shape(self, event: tuple[int, ...]) -> tuple[int, ...]:
        """One vector and one number."""
        return (sphere_width(event) + 1,)

    def space(self, event: tuple[int, ...]) -> Space:
        """The sphere."""
        sphere_width(event)
        return Sphere()

    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return a von Mises-Fisher distribution."""
        return VonMisesFisher(F.normalize(raw[..., :-1], dim=-1), positive(raw[..., -1], self.floor))

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Direction of the observed mean, least concentration."""
        mean, sd = start_moments(x, weight)
        return torch.cat([mean, positive_raw(sd[..., :1] + self.floor, self.floor)], -1)


def sphere_width(event: tuple[int, ...]) -> int:
    """Return the dimension of the space around the sphere, two at least."""
    d = one_axis(event)
    if d < 2:
        raise SettingError(f"A sphere needs `n_latent >= 2` (a circle), but got n_latent={d!r}.")
    return d
