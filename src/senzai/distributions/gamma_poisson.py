"""Gamma and Poisson variates made from standard noise: a row's draw depends on no other row and no global state."""

from __future__ import annotations

import torch
from torch import Tensor

from senzai.core.random import Noise

from .numeric import poisson_log_prob

ROUNDS = 64
"""Most proposals per variate; three of four are accepted at least, so that fewer than one in 1e38 has none."""
FEW = 10.0
"""Rate from which Poisson variates are made by rejection; below, by counting up."""
FIXED_ROUNDS, FIXED_COUNT = 8, 48
"""As many of both where noise is asked for in a fixed way: at worst one variate in 60 thousand is not accepted."""
LARGEST_RATE = 1e15
"""Rates are cut here: beyond it neighbouring whole numbers are one double."""


def log_gamma_variate(alpha: Tensor, noise: Noise, row_dim: int) -> Tensor:
    """Log of gamma variates of shape ``alpha`` and unit rate, by Marsaglia and Tsang's rejection method.

    All entries are proposed again until every one has been accepted. Axis ``row_dim`` counts rows.

    Reference:
        A Simple Method for Generating Gamma Variables (Marsaglia and Tsang, 2000).
        https://doi.org/10.1145/358407.358414
    """
    own = noise.apart()
    raised = torch.where(alpha < 1, alpha + 1, alpha)  # below one: raised by one, then shrunk
    d = raised - 1 / 3
    log_v, pending = torch.zeros_like(alpha), torch.ones_like(alpha, dtype=torch.bool)
    shrunk = _uniform(alpha, own, row_dim).log() / alpha
    if own.fixed:
        return d.log() + _fixed_cube(d, own, row_dim) + torch.where(alpha < 1, shrunk, torch.zeros_like(alpha))
    for _ in range(ROUNDS):
        x = own.normal(tuple(alpha.shape), row_dim=row_dim, dtype=alpha.dtype, device=alpha.device)
        u = _uniform(alpha, own, row_dim)
        v = (1 + x / (9 * d).sqrt()).pow(3)
        told = v.clamp_min(1e-30).log()
        fine = pending & (v > 0) & (u.log() < 0.5 * x.square() + d - d * v + d * told)
        log_v, pending = torch.where(fine, told, log_v), pending & ~fine
        if not bool(pending.any()):
            break
    return d.log() + log_v + torch.where(alpha < 1, shrunk, torch.zeros_like(alpha))


def _fixed_cube(d: Tensor, noise: Noise, row_dim: int) -> Tensor:
    """Return the first of a fixed number of Marsaglia and Tsang's proposals that is accepted, as a logarithm."""
    x = noise.normal((FIXED_ROUNDS, *d.shape), row_dim=row_dim + 1, dtype=d.dtype, device=d.device)
    u = _uniform(x, noise, row_dim + 1)
    v = (1 + x / (9 * d).sqrt()).pow(3)
    told = v.clamp_min(1e-30).log()
    return _first(told, (v > 0) & (u.log() < 0.5 * x.square() + d - d * v + d * told), torch.zeros_like(d))


def _first(proposed: Tensor, fine: Tensor, otherwise: Tensor) -> Tensor:
    """Return the first of ``(n, ...)`` proposals that is fine."""
    found = proposed.gather(0, fine.int().argmax(0, keepdim=True)).squeeze(0)
    return torch.where(fine.any(0), found, otherwise)


def poisson_variate(rate: Tensor, noise: Noise, row_dim: int) -> Tensor:
    """Poisson variates: small rates count up to a uniform number, large ones are proposed until accepted.

    Reference:
        The transformed rejection method for generating Poisson random variables (Hoermann, 1993), algorithm PTRS.
        https://doi.org/10.1016/0167-6687(93)90997-4
    """
    own, mean = noise.apart(), rate.double().clamp(max=LARGEST_RATE)
    if own.fixed:
        return _fixed_poisson(mean, own, row_dim).to(rate.dtype)
    out, large = torch.zeros_like(mean), mean >= FEW
    u = _uniform(mean, own, row_dim)
    out[~large] = _counted_up(mean[~large], u[~large])
    pending = large
    for _ in range(ROUNDS):
        if not bool(pending.any()):
            break
        u, v = _uniform(mean, own, row_dim), _uniform(mean, own, row_dim)
        k, fine = _proposed(mean[pending], u[pending], v[pending])
        out[pending] = k  # one that is not accepted is overwritten in the next round
        pending = pending.masked_scatter(pending, ~fine)
    return out.to(rate.dtype)


def _fixed_poisson(mean: Tensor, noise: Noise, row_dim: int) -> Tensor:
    """Return Poisson variates by both ways for every rate, with as many numbers whatever these are."""
    large = mean >= FEW
    few, many = torch.where(large, 1.0, mean), torch.where(large, mean, FEW)
    k = torch.arange(FIXED_COUNT, dtype=mean.dtype, device=mean.device)
    log_p = k * few.unsqueeze(-1).clamp_min(1e-300).log() - few.unsqueeze(-1) - torch.lgamma(k + 1)
    counted = (_uniform(mean, noise, row_dim).unsqueeze(-1) > log_p.exp().cumsum(-1)).sum(-1).to(mean.dtype)
    u, v = (_uniform(mean.expand(FIXED_ROUNDS, *mean.shape), noise, row_dim + 1) for _ in range(2))
    proposed, fine = _proposed(many, u, v)
    return torch.where(large, _first(proposed, fine, many.round()), counted)


def _uniform(like: Tensor, noise: Noise, row_dim: int) -> Tensor:
    u = noise.uniform(tuple(like.shape), row_dim=row_dim, dtype=like.dtype, device=like.device)
    return u.clamp_min(torch.finfo(like.dtype).eps / 2)


def _counted_up(mean: Tensor, u: Tensor) -> Tensor:
    """Return how many cumulative probabilities lie below ``u``."""
    p = torch.exp(-mean)
    total, k = p.clone(), torch.zeros_like(mean)
    for i in range(1, ROUNDS):
        below = u > total
        if not bool(below.any()):
            break
        k, p = k + below, p * mean / i
        total = total + p
    return k


def _proposed(mean: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Return a proposal of Hoermann's PTRS made from two uniform numbers, and whether it is accepted."""
    b = 0.931 + 2.53 * mean.sqrt()
    a = -0.059 + 0.02483 * b
    centred = u - 0.5
    side = 0.5 - centred.abs()
    k = torch.floor((2 * a / side + b) * centred + mean + 0.43)
    height = v * (1.1239 + 1.1328 / (b - 3.4)) / (a / side.square() + b)
    quick = (side >= 0.07) & (v <= 0.9277 - 3.6224 / (b - 2))
    out = (k < 0) | ((side < 0.013) & (v > side))
    return k, quick | (~out & (height.log() <= poisson_log_prob(k.clamp_min(0), mean.log())))
