"""How torch's own distributions are drawn from a noise source; a posterior's normals are in ``ops``."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Laplace

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
    return p.loc + p.scale * laplace_quantile(u)


def laplace_quantile(u: Tensor) -> Tensor:
    """Quantile of the standard Laplace distribution, ``0 < u < 1``."""
    side = u - 0.5
    return -side.sign() * torch.log1p(-2 * side.abs())
