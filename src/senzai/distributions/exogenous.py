r"""Values as functions of their distribution and of noise that does not depend on it, and the noise of given values.

A causal mechanism is :math:`x = f(p, e)`: what is caused enters by the distribution ``p``, everything else by the noise
``e``. For numbers ``f`` is the quantile function, so that a larger ``e`` is a larger ``x``; for categories it is the
largest of logits with Gumbel noise. Where several ``e`` give the same value, one of them is drawn, as they are
distributed given the value.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Distribution, Normal

from .counts import NegativeBinomial
from .inflated import NEAR, Inflated
from .location import StudentT
from .steps import Steps

Uniform: TypeAlias = Callable[[tuple[int, ...]], Tensor]
"""Gives uniform numbers between 0 and 1, both excluded, of a shape."""
TINY = 1e-12


def realise(p: Distribution, e: Tensor) -> Tensor:
    """Return the value that a distribution and noise make.

    Args:
        p: Elementwise distribution, ``(*lead, d)``.
        e: Noise as of :func:`explain`, ``(*lead, d, w)``.

    Raises:
        NotImplementedError: No way is known for this distribution.

    Example:
        >>> realise(Normal(torch.tensor([3.0]), torch.tensor([2.0])), torch.tensor([[0.5]]))
        tensor([4.])
    """
    return _realise(p, e)


def explain(p: Distribution, x: Tensor, uniform: Uniform) -> Tensor:
    """Return noise that makes a value of a distribution, ``(*lead, d, w)``; drawn where several do.

    Args:
        p: Elementwise distribution, ``(*lead, d)``.
        x: Its values, same shape.
        uniform: Where random numbers come from.

    Example:
        >>> p = Categorical(logits=torch.tensor([[0.0, 2.0, -1.0]]))
        >>> e = explain(p, torch.tensor([2.0]), lambda shape: torch.full(shape, 0.3))
        >>> realise(p, e)
        tensor([2.])
    """
    return _explain(p, x, uniform)


@singledispatch
def _realise(p: Distribution, e: Tensor) -> Tensor:
    raise NotImplementedError(type(p).__name__)


@singledispatch
def _explain(p: Distribution, x: Tensor, uniform: Uniform) -> Tensor:
    raise NotImplementedError(type(p).__name__)


def _between(low: Tensor, high: Tensor, uniform: Uniform) -> Tensor:
    u = uniform(tuple(low.shape)).to(low)
    return (low + u * (high - low)).clamp(TINY, 1 - TINY).unsqueeze(-1)


# --- numbers --------------------------------------------------------------------------------------------------------
@_realise.register(Normal)
def _(p: Normal, e: Tensor) -> Tensor:
    return p.loc + p.scale * e[..., 0].to(p.loc)


@_explain.register(Normal)
def _(p: Normal, x: Tensor, uniform: Uniform) -> Tensor:
    return ((x - p.loc) / p.scale).unsqueeze(-1)


@_realise.register(StudentT)
def _(p: StudentT, e: Tensor) -> Tensor:
    import scipy.stats

    t = scipy.stats.t.ppf(e[..., 0].double().cpu().numpy(), p.df.double().cpu().numpy())
    return p.loc + p.scale * torch.from_numpy(np.asarray(t)).to(p.loc)


@_explain.register(StudentT)
def _(p: StudentT, x: Tensor, uniform: Uniform) -> Tensor:
    import scipy.stats

    t = ((x - p.loc) / p.scale).double().cpu().numpy()
    u = torch.from_numpy(np.asarray(scipy.stats.t.cdf(t, p.df.double().cpu().numpy())))
    return u.to(p.loc.device).clamp(TINY, 1 - TINY).unsqueeze(-1)


@_realise.register(NegativeBinomial)
def _(p: NegativeBinomial, e: Tensor) -> Tensor:
    import scipy.stats

    found = scipy.stats.nbinom.ppf(e[..., 0].double().cpu().numpy(), *_nbinom(p))
    return torch.from_numpy(np.asarray(found)).to(p.log_mean)


@_explain.register(NegativeBinomial)
def _(p: NegativeBinomial, x: Tensor, uniform: Uniform) -> Tensor:
    import scipy.stats

    k = x.double().cpu().numpy()
    low, high = (torch.from_numpy(np.asarray(scipy.stats.nbinom.cdf(v, *_nbinom(p)))) for v in (k - 1, k))
    return _between(low.to(p.log_mean.device), high.to(p.log_mean.device), uniform)


def _nbinom(p: NegativeBinomial) -> tuple[Any, Any]:
    r, mean = p.log_dispersion.double().exp().cpu().numpy(), p.log_mean.double().exp().cpu().numpy()
    return r, r / (r + mean)


# --- ordered values and truth ---------------------------------------------------------------------------------------
@_realise.register(Steps)
def _(p: Steps, e: Tensor) -> Tensor:
    return p._count(p.loc + p.scale * torch.logit(e[..., 0]).to(p.loc))


@_explain.register(Steps)
def _(p: Steps, x: Tensor, uniform: Uniform) -> Tensor:
    cuts, k = p.cuts.double(), x.long()
    ends = torch.cat([cuts.new_full((len(cuts), 1), -torch.inf), cuts, cuts.new_full((len(cuts), 1), torch.inf)], 1)
    columns = torch.arange(len(cuts), device=k.device).expand(k.shape)
    low, high = (
        torch.sigmoid((ends[columns, at] - p.loc.double()) / p.scale.double())
        for at in (k, (k + 1).clamp_max(cuts.shape[1] + 1))
    )
    return _between(low, high, uniform)


@_realise.register(Bernoulli)
def _(p: Bernoulli, e: Tensor) -> Tensor:
    return (e[..., 0] > torch.sigmoid(-p.logits.double())).to(p.logits)


@_explain.register(Bernoulli)
def _(p: Bernoulli, x: Tensor, uniform: Uniform) -> Tensor:
    zero = torch.sigmoid(-p.logits.double())
    return _between(torch.where(x > 0.5, zero, 0.0), torch.where(x > 0.5, torch.ones_like(zero), zero), uniform)


# --- categories -----------------------------------------------------------------------------------------------------
@_realise.register(Categorical)
def _(p: Categorical, e: Tensor) -> Tensor:
    return (p.logits.double() + e.double()).argmax(-1).to(p.logits)


@_explain.register(Categorical)
def _(p: Categorical, x: Tensor, uniform: Uniform) -> Tensor:
    """Gumbel noise given which sum is the largest: the maximum is free, the others are cut off at it."""
    logits = p.logits.double()
    logits = logits - logits.logsumexp(-1, keepdim=True)
    u = uniform((*logits.shape[:-1], logits.shape[-1] + 1)).double()
    top = -torch.log(-torch.log(u[..., :1]))
    free = logits - torch.log(-torch.log(u[..., 1:]))
    below = -torch.logaddexp(-top, -free)
    at = x.long().unsqueeze(-1)
    return below.scatter(-1, at, top) - logits


# --- a value with a probability of its own --------------------------------------------------------------------------
@_realise.register(Inflated)
def _(p: Inflated, e: Tensor) -> Tensor:
    inner = _realise(p.inner, e[..., 1:])
    return torch.where(e[..., 0] < torch.sigmoid(p.gate.double()), p.at.to(inner), inner)


@_explain.register(Inflated)
def _(p: Inflated, x: Tensor, uniform: Uniform) -> Tensor:
    own = torch.sigmoid(p.gate.double())
    there = (x - p.at).abs() < NEAR
    spiked = there
    if p.discrete:  # the value may come from either: drawn by their odds
        log_rest = torch.nn.functional.logsigmoid(-p.gate) + p.inner.log_prob(x)
        odds = torch.sigmoid(torch.nn.functional.logsigmoid(p.gate) - log_rest)
        spiked = there & (uniform(tuple(odds.shape)).to(odds) < odds)
    gate = _between(torch.where(spiked, 0.0, own), torch.where(spiked, own, torch.ones_like(own)), uniform)
    fresh = _realise(p.inner, fresh_noise(p.inner, uniform))
    inner = _explain(p.inner, torch.where(spiked, fresh.to(x), x), uniform)
    return torch.cat([gate, inner.double()], -1)


# --- noise of nothing in particular ---------------------------------------------------------------------------------
def fresh_noise(p: Distribution, uniform: Uniform) -> Tensor:
    """Return noise as it is before anything is known, ``(*lead, d, w)``.

    Example:
        >>> fresh_noise(Normal(torch.zeros(2), 1.0), lambda shape: torch.full(shape, 0.5)).flatten().tolist()
        [0.0, 0.0]
    """
    shape = tuple(p.batch_shape)
    if isinstance(p, Inflated):
        return torch.cat([uniform((*shape, 1)).double(), fresh_noise(p.inner, uniform).double()], -1)
    if isinstance(p, Categorical):
        return -torch.log(-torch.log(uniform((*shape, p.logits.shape[-1])).double()))
    u = uniform((*shape, 1)).double()
    return torch.special.ndtri(u) if isinstance(p, Normal) else u
