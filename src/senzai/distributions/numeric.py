"""Small formulas that must not overflow, cancel or divide by zero, and the moments that families start from."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from senzai.core.errors import SettingError, ShapeError

from .family import weighted_mean

LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)
STIRLING_FROM = 20.0
LEAST_SD = 1e-2
"""Standard deviation that a start gives to a column that does not vary."""


# --- settings -------------------------------------------------------------------------------------------------------
def need_positive(name: str, value: float) -> None:
    """Refuse a setting that is not a positive finite number."""
    if not (value > 0 and math.isfinite(value)):
        raise SettingError(f"`{name}` must be a positive number, but got {name}={value!r}. Give one above zero.")


def need_at_least(name: str, value: int, least: int) -> None:
    """Refuse a setting that is not a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SettingError(
            f"`{name}` must be a whole number of at least {least}, but got {name}={value!r}. Give {least} or more."
        )


# --- raw numbers ----------------------------------------------------------------------------------------------------
def positive(raw: Tensor, floor: float) -> Tensor:
    """Map any number to one above ``floor``: softplus plus the floor."""
    return F.softplus(raw) + floor


def positive_raw(value: Tensor, floor: float) -> Tensor:
    """Undo :func:`positive`, for values clearly above the floor."""
    y = (value - floor).clamp_min(1e-2 * floor)
    return y + torch.log(-torch.expm1(-y))


def tame(raw: Tensor, limit: float) -> Tensor:
    """Leave numbers up to ``limit`` as they are, and let larger ones grow like a logarithm.

    For raw numbers that are exponentiated: ``exp(tame(r, c))`` is ``exp(r)`` up to ``c`` and continues as a straight
    line with the same slope, so that no start overflows and no gradient vanishes.

    Example:
        >>> tame(torch.tensor([3.0, -3.0, 1e4]), 10.0)
        tensor([ 3.0000, -3.0000, 19.2094])
    """
    inside = raw.clamp(-limit, limit)
    beyond = raw - inside
    return inside + beyond.sign() * torch.log1p(beyond.abs())


# --- log densities --------------------------------------------------------------------------------------------------
def log_one_minus_exp(d: Tensor) -> Tensor:
    """Return ``log(1 - exp(-d))`` for ``d > 0``."""
    return torch.log(-torch.expm1(-d))


def log_logistic_mass(lower: Tensor, upper: Tensor, width: Tensor, first: Tensor, last: Tensor) -> Tensor:
    r"""Log of the standard logistic mass between two cuts, exact however far out they are.

    .. math:: \sigma(b) - \sigma(a) = \sigma(b)\,\sigma(-a)\,(1 - e^{-(b - a)})

    Args:
        lower: Cut ``a``; not read where ``first``.
        upper: Cut ``b``; not read where ``last``.
        width: ``b - a``, handed in because the difference of two large cuts is not exact.
        first: True where the interval has no lower end.
        last: True where the interval has no upper end.
    """
    zero = torch.zeros((), dtype=lower.dtype, device=lower.device)
    below = torch.where(last, zero, F.logsigmoid(upper))
    above = torch.where(first, zero, F.logsigmoid(-lower))
    between = torch.where(first | last, zero, log_one_minus_exp(width))
    return below + above + between


def log_rising(a: Tensor, x: Tensor) -> Tensor:
    r"""Return :math:`\log \Gamma(a + x) - \log \Gamma(a)` for ``x >= 0`` without cancellation for large ``a``.

    From ``a = 20`` on the difference of two Stirling series is taken term by term (error below 1e-12).

    Reference:
        NIST Digital Library of Mathematical Functions, 5.11.1. https://dlmf.nist.gov/5.11
    """
    large = a > STIRLING_FROM
    small_a = torch.where(large, torch.ones_like(a), a)
    return torch.where(large, _stirling_rise(a.clamp_min(STIRLING_FROM), x), _gamma_rise(small_a, x))


def _gamma_rise(a: Tensor, x: Tensor) -> Tensor:
    return torch.lgamma(a + x) - torch.lgamma(a)


def _stirling_rise(a: Tensor, x: Tensor) -> Tensor:
    top = a + x
    return (a - 0.5) * torch.log1p(x / a) + x * top.log() - x + _stirling_tail(top) - _stirling_tail(a)


def _stirling_tail(a: Tensor) -> Tensor:
    inverse = a.reciprocal()
    square = inverse.square()
    return inverse * (1 / 12 - square * (1 / 360 - square / 1260))


def poisson_log_prob(x: Tensor, log_rate: Tensor) -> Tensor:
    r"""Log probability of counts with the rate :math:`\mu = e^\eta`, in Loader's saddle-point form.

    .. math:: \log p(x) = -\delta(x) - x \big(d + e^{-d} - 1\big) - \tfrac12 \log 2 \pi x, \quad d = \log x - \eta

    with Stirling's error :math:`\delta`; nothing large cancels. Computed in double precision, given in that of
    ``log_rate``: at a count of ten million single precision alone is wrong by several nats.

    Reference:
        Fast and Accurate Computation of Binomial Probabilities (Loader, 2000).

    Example:
        >>> poisson_log_prob(torch.tensor([0.0, 1e7]), torch.tensor([0.0, 1e7]).clamp_min(1.0).log())
        tensor([-1.0000, -8.9780])
    """
    dtype, x, log_rate = log_rate.dtype, x.double(), log_rate.double()
    none = x == 0
    safe = torch.where(none, torch.ones_like(x), x)
    d = safe.log() - log_rate
    some = -stirling_error(safe) - safe * (d + torch.expm1(-d)) - 0.5 * (2 * math.pi * safe).log()
    return torch.where(none, -log_rate.exp(), some).to(dtype)


def stirling_error(x: Tensor) -> Tensor:
    r"""Return :math:`\log x! - (x + \tfrac12) \log x + x - \tfrac12 \log 2 \pi` for ``x > 0``, in double precision."""
    x = x.double()
    large = x > STIRLING_FROM
    small = torch.where(large, torch.ones_like(x), x)
    exact = torch.lgamma(small + 1) - (small + 0.5) * small.log() + small - LOG_SQRT_2PI
    return torch.where(large, _stirling_tail(x.clamp_min(STIRLING_FROM)), exact)


# --- moments of observed data ---------------------------------------------------------------------------------------
def weighted_moments(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance over rows of the observed entries; zero where nothing was observed."""
    mean = weighted_mean(x, weight)
    return mean, weighted_mean((x - mean).square(), weight)


def start_moments(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Observed mean and standard deviation, the latter not below ``LEAST_SD``."""
    mean, variance = weighted_moments(x, weight)
    return mean, variance.sqrt().clamp_min(LEAST_SD)


def half_count(weight: Tensor) -> Tensor:
    """Half an observation among all: the least frequency that a start believes in."""
    return 0.5 / (weight.sum(0) + 1.0)


def between(value: Tensor, least: Tensor | float, most: Tensor | float) -> Tensor:
    """Clamp between bounds of any kind."""
    low = torch.as_tensor(least, dtype=value.dtype, device=value.device)
    high = torch.as_tensor(most, dtype=value.dtype, device=value.device)
    return torch.minimum(torch.maximum(value, low), high)


# --- shapes ---------------------------------------------------------------------------------------------------------
def broadcast_shapes(*shapes: tuple[int, ...]) -> torch.Size:
    """Return the shape that all broadcast to; ``torch.broadcast_shapes`` loads SymPy, half a second, for the same.

    Raises:
        ShapeError: They do not fit each other.

    Example:
        >>> broadcast_shapes((2,), (3, 1), ())
        torch.Size([3, 2])
    """
    found = [1] * max(map(len, shapes))
    for shape in shapes:
        for i, size in enumerate(reversed(shape), 1):
            if size != 1 and found[-i] not in (1, size):
                raise ShapeError(f"Shapes must broadcast, but got {', '.join(str(tuple(s)) for s in shapes)}.")
            found[-i] = found[-i] if size == 1 else size
    return torch.Size(found)
