"""Distributions over vectors that turn standard noise into draws: bases, flows, chains of conditionals."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from math import log, pi
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from senzai.core.random import Noise, current_noise

from .numeric import broadcast_shapes
from .ops import Shape, _draw

HALF_LOG_2PI = 0.5 * log(2 * pi)


class Vector(Distribution, ABC):
    """A distribution over vectors whose draws are made from the numbers of a noise source.

    Args:
        batch_shape: Rows, or nothing for one distribution that all rows share.
        n: Length of a vector.
        like: A tensor whose dtype and device the draws have.
    """

    def __init__(self, batch_shape: Shape, n: int, like: Tensor) -> None:
        self.like = like
        super().__init__(torch.Size(batch_shape), torch.Size((n,)), validate_args=False)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """Nothing: networks make the numbers."""
        return {}

    @property
    def support(self) -> constraints.Constraint:
        """All vectors."""
        everywhere: constraints.Constraint = constraints.real_vector
        return everywhere

    @abstractmethod
    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Return draws ``(*shape, *batch_shape, n)`` made from the numbers of ``noise``."""

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw differentiably, with the ambient noise."""
        if not self.has_rsample:
            raise NotImplementedError
        return self.from_noise(tuple(sample_shape), current_noise())

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw without gradient, with the ambient noise."""
        with torch.no_grad():
            return self.from_noise(tuple(sample_shape), current_noise())

    def numbers(self, shape: Shape, noise: Noise, *, uniform: bool = False, width: Shape | None = None) -> Tensor:
        """Return standard noise ``(*shape, *batch_shape, *width)``; without a batch no axis counts rows."""
        full = (*shape, *self.batch_shape, *(self.event_shape if width is None else width))
        row_dim = len(shape) if self.batch_shape else len(full)
        make = noise.uniform if uniform else noise.normal
        return make(full, row_dim=row_dim, dtype=self.like.dtype, device=self.like.device)


@_draw.register(Vector)
def _(p: Vector, shape: Shape, noise: Noise) -> Tensor:
    with torch.set_grad_enabled(p.has_rsample and torch.is_grad_enabled()):
        return p.from_noise(shape, noise)


def standard_log_prob(u: Tensor) -> Tensor:
    """Log density of vectors under the standard normal, summed over the last axis.

    Example:
        >>> standard_log_prob(torch.zeros(2))
        tensor(-1.8379)
    """
    return (-0.5 * u.square() - HALF_LOG_2PI).sum(-1)


class Flowed(Vector):
    r"""The distribution that a transform turns into the standard normal.

    .. math:: \log p(z) = \log \mathcal N(f(z); 0, I) + \log |\det \partial f / \partial z|

    Args:
        transform: f, from latents to standard normal vectors: a torch transform with zuko's ``call_and_ladj``.
        batch_shape: Rows of the condition, if there is one.
        n: Length of a vector.
        like: A tensor whose dtype and device the draws have.
    """

    has_rsample = True

    def __init__(self, transform: Any, batch_shape: Shape, n: int, like: Tensor) -> None:
        self.transform = transform
        super().__init__(batch_shape, n, like)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density, ``(*lead,)``."""
        u, log_det = self.transform.call_and_ladj(z)
        log_p: Tensor = standard_log_prob(u) + log_det
        return log_p

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Send standard normal vectors the way back."""
        z: Tensor = self.transform.inv(self.numbers(shape, noise))
        return z


class AutoregressiveMixture(Vector):
    r"""Dimension after dimension, each a mixture of normals given those before it.

    .. math:: p(z) = \prod_d \sum_j \pi_{dj}(z_{<d}) \, \mathcal N(z_d; \mu_{dj}(z_{<d}), \sigma_{dj}^2(z_{<d}))

    Args:
        conditionals: From latents ``(*lead, n)`` to logits, locations and scales, ``(*lead, n, J)`` each; those of a
            dimension depend on earlier dimensions alone.
        batch_shape: Rows of the condition, if there is one.
        n: Length of a vector.
        like: A tensor whose dtype and device the draws have.
    """

    def __init__(
        self, conditionals: Callable[[Tensor], tuple[Tensor, Tensor, Tensor]], batch_shape: Shape, n: int, like: Tensor
    ) -> None:
        self.conditionals = conditionals
        super().__init__(batch_shape, n, like)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density, ``(*lead,)``: all dimensions at once."""
        logits, loc, scale = self.conditionals(z)
        u = (z.unsqueeze(-1) - loc) / scale
        log_p = logits.log_softmax(-1) - 0.5 * u.square() - scale.log() - HALF_LOG_2PI
        return log_p.logsumexp(-1).sum(-1)

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Draw one dimension after the other."""
        eps = self.numbers(shape, noise)
        z = torch.zeros_like(eps)
        for d in range(z.shape[-1]):
            logits, loc, scale = (v[..., d, :] for v in self.conditionals(z))
            lead = broadcast_shapes(logits.shape[:-1], z.shape[:-1])
            chosen = self._component(logits.expand(*lead, -1), shape, noise).unsqueeze(-1)
            mean, spread = (v.expand(*lead, -1).gather(-1, chosen) for v in (loc, scale))
            z = torch.cat([z[..., :d], mean + spread * eps[..., d : d + 1], z[..., d + 1 :]], -1)
        return z

    def _component(self, logits: Tensor, shape: Shape, noise: Noise) -> Tensor:
        tiny = torch.finfo(logits.dtype).eps / 2
        u = self.numbers(shape, noise, uniform=True, width=(logits.shape[-1],)).clamp_min(tiny)
        return (logits - torch.log(-torch.log(u))).argmax(-1)


class Resampled(Vector):
    r"""Standard normal proposals that a learned function accepts, and the last of ``n_tries`` whatever it says.

    .. math:: p(z) = \mathcal N(z; 0, I) \Big[ (1 - \alpha) \frac{a(z)}{Z} + \alpha \Big], \quad
        Z = \mathbb E_{\mathcal N}[a(z)], \quad \alpha = (1 - Z)^{T - 1}

    Args:
        log_accept: log a, from latents ``(*lead, n)`` to ``(*lead,)``, at most zero.
        log_z: log Z, ``batch_shape``.
        n_tries: T.
        n: Length of a vector.
    """

    def __init__(self, log_accept: Callable[[Tensor], Tensor], log_z: Tensor, n_tries: int, n: int) -> None:
        self.log_accept, self.log_z, self.n_tries = log_accept, log_z, n_tries
        super().__init__(tuple(log_z.shape), n, log_z)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log density, ``(*lead,)``."""
        log_alpha = (self.n_tries - 1) * torch.log1p(-self.log_z.exp().clamp(max=1 - 1e-6))
        kept = torch.log(-torch.expm1(log_alpha.clamp(max=-1e-30))) + self.log_accept(z) - self.log_z
        return standard_log_prob(z) + torch.logaddexp(kept, log_alpha.expand_as(kept))

    def from_noise(self, shape: Shape, noise: Noise) -> Tensor:
        """Propose for all, keep what is accepted, and propose again for the others."""
        own = noise.apart()  # how often is proposed depends on the slowest row
        z = self.numbers(shape, own)
        done = torch.zeros(z.shape[:-1], dtype=torch.bool, device=z.device)
        for _ in range(self.n_tries - 1):
            u = self.numbers(shape, own, uniform=True, width=()).clamp_min(torch.finfo(z.dtype).tiny)
            done = done | (u.log() < self.log_accept(z))
            if bool(done.all()):
                break
            z = torch.where(done.unsqueeze(-1), z, self.numbers(shape, own))
        return z
