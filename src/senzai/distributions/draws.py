"""How torch's own distributions are drawn from a noise source; a posterior's normals are in ``ops``."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Laplace, MixtureSameFamily

from senzai.core.random import Noise

from .bases import open_uniform, pick
from .ops import Shape, _draw


@_draw.register(Bernoulli)
def _(p: Bernoulli, shape: Shape, noise: Noise) -> Tensor:
    probs = p.probs
    u = noise.uniform((*shape, *probs.shape), row_dim=len(shape), dtype=probs.dtype, device=probs.device)
    return (u < probs).to(probs.dtype)


@_draw.register(Categorical)
def _(p: Categorical, shape: Shape, noise: Noise) -> Tensor:
    return pick(p.logits, shape, noise)


@_draw.register(Laplace)
def _(p: Laplace, shape: Shape, noise: Noise) -> Tensor:
    u = open_uniform((*shape, *p.loc.shape), noise, row_dim=len(shape), like=p.loc)
    return p.loc + noise.spread * p.scale * laplace_quantile(u)


@_draw.register(MixtureSameFamily)
def _(p: MixtureSameFamily, shape: Shape, noise: Noise) -> Tensor:
    """Draw from every component, and keep the one that was chosen."""
    with torch.no_grad():
        chosen = _draw(p.mixture_distribution, shape, noise)
        drawn = _draw(p.component_distribution, shape, noise)
        at = chosen.reshape(*chosen.shape, *[1] * (1 + len(p.event_shape)))
        return drawn.gather(chosen.ndim, at.expand(*chosen.shape, 1, *p.event_shape)).squeeze(chosen.ndim)


def laplace_quantile(u: Tensor) -> Tensor:
    """Quantile of the standard Laplace distribution, ``0 < u < 1``."""
    side = u - 0.5
    return -side.sign() * torch.log1p(-2 * side.abs())
