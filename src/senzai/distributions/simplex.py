"""Latents that are shares: Dirichlet and logistic-normal distributions on the simplex."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, cast, final

import torch
from torch import Tensor
from torch.distributions import Dirichlet, Distribution, constraints
from torch.distributions.kl import kl_divergence, register_kl

from senzai.core.errors import SettingError
from senzai.core.random import Noise, current_noise
from senzai.core.spec import part

from .continuous import NormalFamily
from .family import Family, Support, Unit, weighted_mean
from .full_normal import one_axis
from .gamma_poisson import log_gamma_variate
from .numeric import need_positive, positive, positive_raw
from .ops import Shape, _draw, point
from .spaces import Space, need_inside

LEAST = -85.0  # log of the smallest share: below it single precision would give zero, whose density is no number


@final
@dataclass(frozen=True)
class Simplex(Space):
    """Positive shares that add up to one. Decoders see them as they are; paths between them are straight lines."""

    name: ClassVar[str] = "simplex"
    words: ClassVar[str] = "the simplex"

    def steps(self, n: int = 7) -> tuple[float, ...]:
        """From nearly nothing to nearly all."""
        return tuple(torch.linspace(0.02, 0.98, n).tolist())

    def with_coordinate(self, z: Tensor, dim: int, value: Tensor) -> Tensor:
        """Set one share; the others keep their proportions."""
        need_inside(value, 0, 1, self.words)
        rest = z.clone()
        rest[..., dim] = 0
        out = rest / rest.sum(-1, keepdim=True).clamp_min(1e-30) * (1 - value).unsqueeze(-1)
        out[..., dim] = value
        return out


# --- Dirichlet ------------------------------------------------------------------------------------------------------
class _Shares(torch.autograd.Function):
    """Shares that were drawn, with torch's own implicit derivative in the concentrations."""

    @staticmethod
    def forward(ctx: Any, shares: Tensor, concentration: Tensor) -> Tensor:
        """Return the shares."""
        ctx.save_for_backward(shares, concentration)
        return shares.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        """As torch.distributions.dirichlet has it."""
        x, alpha = ctx.saved_tensors
        total = alpha.sum(-1, True).expand_as(alpha)
        slope = torch._dirichlet_grad(x, alpha, total)
        return None, slope * (gradient - (x * gradient).sum(-1, True))


@_draw.register(Dirichlet)
def _(p: Dirichlet, shape: Shape, noise: Noise) -> Tensor:
    """Normalised gamma variates."""
    alpha = p.concentration.expand(*shape, *p.concentration.shape)
    with torch.no_grad():
        log_gamma = log_gamma_variate(alpha.detach(), noise, len(shape))
        shares = log_gamma.log_softmax(-1).clamp_min(LEAST).exp()
        shares = shares / shares.sum(-1, keepdim=True)
    if not (alpha.requires_grad and torch.is_grad_enabled()):
        return shares
    return cast(Tensor, _Shares.apply(shares, alpha))  # type: ignore[no-untyped-call]  # torch's


@part("family", "dirichlet")
@final
@dataclass(frozen=True, kw_only=True)
class DirichletFamily(Family):
    """Shares; one concentration per share, above ``floor``.

    Draws are differentiable by torch's implicit reparameterisation.

    Reference:
        Dirichlet Variational Autoencoder (Joo et al., 2019). https://arxiv.org/abs/1901.02739
        Implicit Reparameterization Gradients (Figurnov, Mohamed and Mnih, 2018). https://arxiv.org/abs/1805.08498

    Args:
        floor: Least concentration.
    """

    floor: float = 0.1
    support: ClassVar[Support] = "real"
    usual_prior: ClassVar[str] = "dirichlet"

    def __post_init__(self) -> None:
        need_positive("floor", self.floor)

    @property
    def raw_names(self) -> tuple[str, ...]:
        """Concentration."""
        return ("concentration",)

    def raw_shape(self, event: tuple[int, ...]) -> tuple[int, ...]:
        """One number per share."""
        return (simplex_width(event),)

    def space(self, event: tuple[int, ...]) -> Space:
        """The simplex."""
        simplex_width(event)
        return Simplex()

    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return a Dirichlet distribution."""
        return Dirichlet(positive(raw, self.floor), validate_args=False)

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Concentrations in proportion to the observed means."""
        return positive_raw(weighted_mean(x, weight).clamp_min(1e-3) * x.shape[-1] + self.floor, self.floor)


def simplex_width(event: tuple[int, ...]) -> int:
    """Return the number of shares, two at least."""
    d = one_axis(event)
    if d < 2:
        raise SettingError(f"Shares need `n_latent >= 2`, but got n_latent={d!r}.")
    return d


# --- logistic normal ------------------------------------------------------------------------------------------------
@final
class LogisticNormal(Distribution):
    r"""The distribution of :math:`z = \mathrm{softmax}(h_1, \dots, h_{d-1}, 0)` with normal :math:`h`.

    .. math:: \log p(z) = \log p_h\big(\log (z_i / z_d)\big) - \sum_{i=1}^{d} \log z_i

    KLs between two of them are those of the normals.

    Args:
        base: Distribution of h: batch shape ``(*batch,)``, event shape ``(d - 1,)``.
    """

    has_rsample = True

    def __init__(self, base: Distribution) -> None:
        self.base = base
        super().__init__(base.batch_shape, torch.Size((base.event_shape[0] + 1,)), validate_args=False)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """Nothing."""
        return {}

    @property
    def support(self) -> constraints.Constraint:
        """The simplex."""
        return constraints.simplex

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density with respect to the first ``d - 1`` shares."""
        log_z = value.clamp_min(torch.finfo(value.dtype).tiny).log()
        log_p: Tensor = self.base.log_prob(log_z[..., :-1] - log_z[..., -1:])
        return log_p - log_z.sum(-1)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw differentiably, with the ambient noise."""
        return to_shares(_draw(self.base, tuple(sample_shape), current_noise()))

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw without gradient, with the ambient noise."""
        with torch.no_grad():
            return self.rsample(sample_shape)


def to_shares(h: Tensor) -> Tensor:
    """Append a zero and take the softmax, no share below what can be scored."""
    logits = torch.cat([h, torch.zeros_like(h[..., :1])], -1)
    return logits.log_softmax(-1).clamp_min(LEAST).exp()


@_draw.register(LogisticNormal)
def _(p: LogisticNormal, shape: Shape, noise: Noise) -> Tensor:
    return to_shares(_draw(p.base, shape, noise))


@point.register(LogisticNormal)
def _(p: LogisticNormal) -> Tensor:
    return to_shares(point(p.base))


@register_kl(LogisticNormal, LogisticNormal)
def _kl_logistic_normals(q: LogisticNormal, p: LogisticNormal) -> Tensor:
    kl: Tensor = kl_divergence(q.base, p.base)
    return kl


@part("family", "logistic_normal")
@final
@dataclass(frozen=True, kw_only=True)
class LogisticNormalFamily(Family):
    """Shares; a diagonal normal over the log ratios to the last share.

    Reference:
        Autoencoding Variational Inference for Topic Models (Srivastava and Sutton, 2017).
        https://arxiv.org/abs/1703.01488
    """

    support: ClassVar[Support] = "real"
    usual_prior: ClassVar[str] = "logistic_normal"

    @property
    def raw_names(self) -> tuple[str, ...]:
        """Location and scale of the log ratios."""
        return ("loc", "scale")

    def raw_shape(self, event: tuple[int, ...]) -> tuple[int, ...]:
        """Two numbers for each share but the last."""
        return (2, simplex_width(event) - 1)

    def space(self, event: tuple[int, ...]) -> Space:
        """The simplex."""
        simplex_width(event)
        return Simplex()

    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return a logistic normal."""
        return LogisticNormal(NormalFamily()(raw, (simplex_width(event) - 1,)))

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Log ratios of the observed means, unit scale."""
        log_z = weighted_mean(x, weight).clamp_min(1e-3).log()
        loc = log_z[..., :-1] - log_z[..., -1:]
        return torch.stack([loc, positive_raw(torch.ones_like(loc), 1e-4)])
