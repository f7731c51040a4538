"""Latents that are classes or bits: exact where no gradient is needed, relaxed or passed straight through elsewhere."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias, final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.distributions.kl import register_kl

from senzai.core.errors import SettingError
from senzai.core.random import Noise, current_noise
from senzai.core.spec import part

from .bases import open_uniform
from .family import Family, Support, Unit, weighted_mean
from .full_normal import one_axis
from .numeric import need_positive
from .ops import Shape, _draw, point
from .spaces import Space, need_inside

Estimator: TypeAlias = Literal["relaxed", "straight_through"]


@final
@dataclass(frozen=True)
class OneHot(Space):
    """Classes as one-hot vectors, one after another. Between two of them lie mixtures, which a decoder takes as well.

    Args:
        n_categories: Classes of each.
    """

    n_categories: int
    name: ClassVar[str] = "one_hot"
    words: ClassVar[str] = "one-hot classes"

    def steps(self, n: int = 7) -> tuple[float, ...]:
        """From not at all to wholly this class."""
        return tuple(torch.linspace(0, 1, n).tolist())

    def with_coordinate(self, z: Tensor, dim: int, value: Tensor) -> Tensor:
        """Give one class a weight; the others of the same variable share the rest as before, else alike."""
        need_inside(value, 0, 1, self.words)
        n = self.n_categories
        place = dim % z.shape[-1]
        first, own = place - place % n, place % n
        block = z[..., first : first + n].clone()
        block[..., own] = 0
        block = torch.where(block.sum(-1, keepdim=True) > 0, block, torch.ones_like(block))
        block[..., own] = 0
        block = block / block.sum(-1, keepdim=True).clamp_min(1e-30) * (1 - value).unsqueeze(-1)
        block[..., own] = value
        return torch.cat([z[..., :first], block, z[..., first + n :]], -1)


@final
@dataclass(frozen=True)
class Bits(Space):
    """Vectors of zeros and ones. Between two of them lie numbers in between, which a decoder takes as well."""

    name: ClassVar[str] = "bits"
    words: ClassVar[str] = "vectors of bits"

    def steps(self, n: int = 7) -> tuple[float, ...]:
        """From zero to one."""
        return tuple(torch.linspace(0, 1, n).tolist())

    def with_coordinate(self, z: Tensor, dim: int, value: Tensor) -> Tensor:
        """Set one bit."""
        need_inside(value, 0, 1, self.words)
        out = z.clone()
        out[..., dim] = value
        return out


def categories(n_latent: int, n_categories: int | None) -> int:
    """Return how many classes each variable of a code has: as asked, else the least divisor from four up.

    Raises:
        SettingError: The width of the code is no multiple of it.

    Example:
        >>> categories(16, None), categories(5, None), categories(12, 3)
        (4, 5, 3)
    """
    n = n_categories or next((k for k in range(4, n_latent) if n_latent % k == 0), n_latent)
    if n < 2 or n_latent % n:
        raise SettingError(
            f"One-hot classes need `n_categories >= 2` and `n_latent` a multiple of it (that many numbers for each "
            f"variable), but got n_latent={n_latent!r}, n_categories={n_categories!r}."
        )
    return n


# --- distributions --------------------------------------------------------------------------------------------------
class _Code(Distribution):
    """Exact draws without gradients; where gradients are needed relaxed ones, or exact ones with a relaxed gradient."""

    has_rsample = True

    def __init__(self, logits: Tensor, temperature: float, estimator: Estimator) -> None:
        self.logits, self.temperature, self.estimator = logits, temperature, estimator
        super().__init__(logits.shape[:-1], logits.shape[-1:], validate_args=False)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """Nothing."""
        return {}

    @property
    def support(self) -> constraints.Constraint:
        """Zeros and ones."""
        return constraints.independent(constraints.boolean, 1)

    @abstractmethod
    def relaxed(self, u: Tensor) -> Tensor:
        """Return relaxed draws made from uniform numbers of the shape of the draws."""

    @abstractmethod
    def rounded(self, relaxed: Tensor) -> Tensor:
        """Return the exact draws that belong to relaxed ones."""

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Return draws; they are relaxed only where a gradient is needed and ``estimator`` says so."""
        soft = self.relaxed(open_uniform((*shape, *self.logits.shape), noise, row_dim=len(shape), like=self.logits))
        if not torch.is_grad_enabled():
            return self.rounded(soft)
        if self.estimator == "relaxed":
            return soft
        return self.rounded(soft.detach()) + (soft - soft.detach())

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw with gradients, with the ambient noise."""
        return self.from_noise(tuple(sample_shape), current_noise())

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw exactly, with the ambient noise."""
        with torch.no_grad():
            return self.rsample(sample_shape)


@_draw.register(_Code)
def _(p: _Code, shape: Shape, noise: Noise) -> Tensor:
    return p.from_noise(shape, noise)


@point.register(_Code)
def _(p: _Code) -> Tensor:
    return p.mode


@final
class ClassCode(_Code):
    """Independent classes as one-hot vectors.

    Args:
        logits: Log weights, ``(*batch, n_variables * n_categories)``.
        n_categories: Classes of each variable.
        temperature: Of relaxed draws: near zero almost one-hot, with gradients of large variance.
        estimator: What is drawn where gradients are needed.
    """

    def __init__(
        self, logits: Tensor, n_categories: int, temperature: float = 1.0, estimator: Estimator = "relaxed"
    ) -> None:
        self.n_categories = n_categories
        blocks: Tensor = logits.unflatten(-1, (-1, n_categories))
        self.log_probs = blocks.log_softmax(-1).flatten(-2)
        super().__init__(logits, temperature, estimator)

    def _blocks(self, values: Tensor) -> Tensor:
        blocks: Tensor = values.unflatten(-1, (-1, self.n_categories))
        return blocks

    @property
    def mean(self) -> Tensor:
        """Probabilities."""
        probs: Tensor = self.log_probs.exp()
        return probs

    @property
    def variance(self) -> Tensor:
        """Variance of each entry."""
        return self.mean * (1 - self.mean)

    @property
    def mode(self) -> Tensor:
        """Likeliest classes."""
        return self.rounded(self.log_probs)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log probability; of a relaxed value the same sum, which is the density of nothing."""
        log_p: Tensor = (value * self.log_probs).sum(-1)
        return log_p

    def relaxed(self, u: Tensor) -> Tensor:
        """Softmax of log weights plus Gumbel noise, by temperature."""
        scores = self._blocks(self.log_probs - torch.log(-torch.log(u)))
        return (scores / self.temperature).softmax(-1).flatten(-2)

    def rounded(self, relaxed: Tensor) -> Tensor:
        """The largest of each variable."""
        best = self._blocks(relaxed).argmax(-1)
        return F.one_hot(best, self.n_categories).to(relaxed.dtype).flatten(-2)


@register_kl(ClassCode, ClassCode)
def _kl_classes(q: ClassCode, p: ClassCode) -> Tensor:
    return (q.log_probs.exp() * (q.log_probs - p.log_probs)).sum(-1)


@final
class BitCode(_Code):
    """Independent bits.

    Args:
        logits: Log odds, ``(*batch, n)``.
        temperature: Of relaxed draws.
        estimator: What is drawn where gradients are needed.
    """

    def __init__(self, logits: Tensor, temperature: float = 1.0, estimator: Estimator = "relaxed") -> None:
        super().__init__(logits, temperature, estimator)

    @property
    def mean(self) -> Tensor:
        """Probabilities of a one."""
        return torch.sigmoid(self.logits)

    @property
    def variance(self) -> Tensor:
        """Variance of each bit."""
        return self.mean * (1 - self.mean)

    @property
    def mode(self) -> Tensor:
        """Likelier values."""
        return (self.logits > 0).to(self.logits.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log probability; of a relaxed value the same sum, which is the density of nothing."""
        return (value * self.logits + F.logsigmoid(-self.logits)).sum(-1)

    def relaxed(self, u: Tensor) -> Tensor:
        """Sigmoid of log odds plus logistic noise, by temperature."""
        return torch.sigmoid((self.logits + u.log() - torch.log1p(-u)) / self.temperature)

    def rounded(self, relaxed: Tensor) -> Tensor:
        """The nearer of zero and one."""
        return (relaxed > 0.5).to(relaxed.dtype)


@register_kl(BitCode, BitCode)
def _kl_bits(q: BitCode, p: BitCode) -> Tensor:
    one = q.mean * (F.logsigmoid(q.logits) - F.logsigmoid(p.logits))
    zero = (1 - q.mean) * (F.logsigmoid(-q.logits) - F.logsigmoid(-p.logits))
    return (one + zero).sum(-1)


# --- families -------------------------------------------------------------------------------------------------------
def check_estimator(temperature: float, estimator: str) -> None:
    """Refuse a temperature that is not positive, or an unknown estimator."""
    need_positive("temperature", temperature)
    if estimator not in ("relaxed", "straight_through"):
        raise SettingError(f"`estimator` is relaxed or straight_through, but got {estimator!r}.")


@part("family", "class_codes")
@final
@dataclass(frozen=True, kw_only=True)
class ClassCodeFamily(Family):
    r"""Classes as one-hot vectors, with Gumbel-softmax gradients.

    Without gradients (validation, evaluation, every verb) draws are exact and the rate is that between categorical
    distributions: the bound is one of the discrete model. In training, ``"straight_through"`` has the same value as
    that bound and a biased gradient; ``"relaxed"`` puts relaxed draws into the decoder beside the discrete rate, which
    bounds nothing, and is what Jang et al. do.

    Reference:
        Categorical Reparameterization with Gumbel-Softmax (Jang, Gu and Poole, 2017).
        https://arxiv.org/abs/1611.01144
        Estimating or Propagating Gradients Through Stochastic Neurons (Bengio et al., 2013).
        https://arxiv.org/abs/1308.3432

    Args:
        n_categories: Classes of each variable; by default the least divisor of the width from four up.
        temperature: Of relaxed draws.
        estimator: ``"relaxed"`` or ``"straight_through"``.
    """

    n_categories: int | None = None
    temperature: float = 0.67
    estimator: Estimator = "relaxed"
    support: ClassVar[Support] = "category"
    usual_prior: ClassVar[str] = "categorical"

    def __post_init__(self) -> None:
        check_estimator(self.temperature, self.estimator)

    @property
    def raw_names(self) -> tuple[str, ...]:
        """Log weights."""
        return ("logits",)

    def raw_shape(self, event: tuple[int, ...]) -> tuple[int, ...]:
        """One number per entry."""
        categories(one_axis(event), self.n_categories)
        return event

    def space(self, event: tuple[int, ...]) -> Space:
        """One-hot classes."""
        return OneHot(categories(one_axis(event), self.n_categories))

    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return independent classes."""
        return ClassCode(raw, categories(one_axis(event), self.n_categories), self.temperature, self.estimator)

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Log of the observed shares."""
        return weighted_mean(x, weight).clamp_min(1e-3).log()


@part("family", "bit_codes")
@final
@dataclass(frozen=True, kw_only=True)
class BitCodeFamily(Family):
    """Bits, with gradients as :class:`ClassCodeFamily` has them and the same two bounds.

    Reference:
        The Concrete Distribution (Maddison, Mnih and Teh, 2017). https://arxiv.org/abs/1611.00712

    Args:
        temperature: Of relaxed draws.
        estimator: ``"relaxed"`` or ``"straight_through"``.
    """

    temperature: float = 0.67
    estimator: Estimator = "relaxed"
    support: ClassVar[Support] = "binary"
    usual_prior: ClassVar[str] = "bernoulli"

    def __post_init__(self) -> None:
        check_estimator(self.temperature, self.estimator)

    @property
    def raw_names(self) -> tuple[str, ...]:
        """Log odds."""
        return ("logits",)

    def raw_shape(self, event: tuple[int, ...]) -> tuple[int, ...]:
        """One number per bit."""
        return (one_axis(event),)

    def space(self, event: tuple[int, ...]) -> Space:
        """Bits."""
        return Bits()

    def distribution(self, raw: Tensor, event: tuple[int, ...], unit: Unit | None = None) -> Distribution:
        """Return independent bits."""
        return BitCode(raw, self.temperature, self.estimator)

    def start(self, x: Tensor, weight: Tensor) -> Tensor:
        """Log odds of the observed means."""
        return torch.logit(weighted_mean(x, weight).clamp(1e-3, 1 - 1e-3))
