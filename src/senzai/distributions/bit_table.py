"""A distribution over vectors of bits that is known whole: the probability of each of the 2^n vectors."""

from __future__ import annotations

from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution, constraints
from torch.distributions.kl import register_kl

from senzai.core.errors import CombinationError, SettingError
from senzai.core.random import Noise, current_noise

from .codes import BitCode
from .ops import Shape, _draw, point, stand_in

MOST_BITS = 14
"""2^14 numbers for each row of a batch are looked at in every step."""


def check_bits(n: int, most: int = MOST_BITS, *, what: str = "A table of all vectors of bits") -> int:
    """Return a number of bits of which all vectors can be counted.

    Raises:
        SettingError: There are too many vectors.

    Example:
        >>> check_bits(30)
        Traceback (most recent call last):
        ...
        senzai.core.errors.SettingError: A table of all vectors of bits needs at most 14 bits, because all 2^n vectors \
are counted exactly, but got 30 bits: 1,073,741,824 vectors. Set n_latent=14 or less, or take prior=bernoulli.
    """
    if n > most:
        raise SettingError(
            f"{what} needs at most {most} bits, because all 2^n vectors are counted exactly, but got {n} bits: "
            f"{2**n:,} vectors. Set n_latent={most} or less, or take prior=bernoulli."
        )
    return n


def all_bits(n: int, like: Tensor) -> Tensor:
    """Return every vector of ``n`` bits, ``(2^n, n)``, counted upwards with the first bit the most significant.

    Example:
        >>> all_bits(2, torch.zeros(1)).tolist()
        [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
    """
    places = torch.arange(n - 1, -1, -1, device=like.device)
    return (torch.arange(2**n, device=like.device).unsqueeze(-1) >> places & 1).to(like.dtype)


def index_of(bits: Tensor) -> Tensor:
    """Return the place of vectors of bits ``(..., n)`` in :func:`all_bits`.

    Example:
        >>> index_of(torch.tensor([[1.0, 0.0, 1.0]]))
        tensor([5])
    """
    places = torch.arange(bits.shape[-1] - 1, -1, -1, device=bits.device)
    return ((bits > 0.5).long() << places).sum(-1)


def mean_over_bits(values: Tensor, probs: Tensor) -> Tensor:
    r"""Return the exact mean of a function of bits under independent bits, one bit after the other.

    .. math:: \sum_{b} f(b) \prod_i \pi_i^{b_i} (1 - \pi_i)^{1 - b_i}

    At corners (each probability 0 or 1) it is f itself; between them it is f's multilinear interpolation.

    Args:
        values: f of every vector of bits in the order of :func:`all_bits`, ``(2^n,)``.
        probs: Probabilities of a one, ``(*batch, n)``.

    Returns:
        Shape ``batch``.

    Example:
        >>> mean_over_bits(torch.tensor([0.0, 1.0, 2.0, 3.0]), torch.tensor([[1.0, 0.5]]))
        tensor([2.5000])
    """
    left: Tensor = values.expand(*probs.shape[:-1], -1)
    for one in probs.unbind(-1):
        zero_half, one_half = left.chunk(2, dim=-1)
        left = zero_half + one.unsqueeze(-1) * (one_half - zero_half)
    return left.squeeze(-1)


@final
class BitTable(Distribution):
    """Vectors of bits with a probability each.

    Args:
        log_weights: Log weights of every vector in the order of :func:`all_bits`, up to a constant, ``(2^n,)``.

    Example:
        >>> p = BitTable(torch.tensor([0.1, 0.2, 0.3, 0.4]).log())
        >>> p.log_prob(torch.tensor([1.0, 0.0])).exp(), p.mean
        (tensor(0.3000), tensor([0.7000, 0.6000]))
    """

    has_rsample = False

    def __init__(self, log_weights: Tensor) -> None:
        self.log_probs = log_weights.log_softmax(-1)
        n = log_weights.shape[-1].bit_length() - 1
        super().__init__(torch.Size(), torch.Size((n,)), validate_args=False)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """Nothing."""
        return {}

    @property
    def support(self) -> constraints.Constraint:
        """Zeros and ones."""
        return constraints.independent(constraints.boolean, 1)

    @property
    def every(self) -> Tensor:
        """Every vector, ``(2^n, n)``."""
        return all_bits(self.event_shape[0], self.log_probs)

    @property
    def mean(self) -> Tensor:
        """Probability of a one, bit by bit."""
        return self.log_probs.exp() @ self.every

    @property
    def variance(self) -> Tensor:
        """Variance of each bit."""
        return self.mean * (1 - self.mean)

    @property
    def mode(self) -> Tensor:
        """The likeliest vector."""
        return self.every[self.log_probs.argmax(-1)]

    def log_prob(self, value: Tensor) -> Tensor:
        """Log probability; where a gradient reaches the bits, its multilinear interpolation, the same at bits."""
        if value.requires_grad and torch.is_grad_enabled():
            return mean_over_bits(self.log_probs, value)
        return self.log_probs[index_of(value)]

    def entropy(self) -> Tensor:
        """Entropy in nats."""
        return -(self.log_probs.exp() * self.log_probs).sum(-1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw with the ambient noise."""
        return _draw(self, tuple(sample_shape), current_noise())


@_draw.register(BitTable)
def _(p: BitTable, shape: Shape, noise: Noise) -> Tensor:
    if noise.spread != 1.0:
        raise CombinationError("A table of bits has no temperature. Leave the temperature at 1.")
    ends = p.log_probs.detach().double().exp().cumsum(-1)
    u = noise.uniform((*shape, 1), row_dim=max(0, len(shape) - 1), dtype=ends.dtype, device=ends.device)
    place = torch.searchsorted(ends, u.squeeze(-1) * ends[-1], right=True).clamp_max(len(ends) - 1)
    return p.every[place]


@point.register(BitTable)
def _(p: BitTable) -> Tensor:
    return p.mode


@stand_in.register(BitTable)
def _(p: BitTable) -> Tensor:
    return torch.zeros_like(p.every[0])


@register_kl(BitCode, BitTable)
def _kl_bits_table(q: BitCode, p: BitTable) -> Tensor:
    one, zero = F.logsigmoid(q.logits), F.logsigmoid(-q.logits)
    log_q = (q.mean * one + (1 - q.mean) * zero).sum(-1)
    return log_q - mean_over_bits(p.log_probs, q.mean)
