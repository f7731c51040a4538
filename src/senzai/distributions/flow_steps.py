"""Planar, radial, Sylvester and affine steps: invertible for any parameters, with exact inverses."""

from __future__ import annotations

from dataclasses import dataclass
from math import e, log
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor

from .flow import Step
from .numeric import broadcast_shapes

_SHIFT = log(e - 1)  # softplus(_SHIFT) = 1: raw numbers of zero are the identity
_MOST = 1 - 1e-4  # so that no determinant is rounded to zero in single precision
_BISECTIONS = 60


def above_minus_one(raw: Tensor) -> Tensor:
    """Map any number to one clearly above -1, and zero to zero."""
    return _MOST * (F.softplus(raw + _SHIFT) - 1)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner product over the last axis, which stays with length one."""
    return (a * b).sum(-1, keepdim=True)


def solve_tanh(y: Tensor, r: Tensor, t: Tensor, a: Tensor) -> Tensor:
    """Return the only ``v`` with ``v + r tanh(t v + a) = y``, for ``r t > -1``.

    Bisection between ``y - |r|`` and ``y + |r|``, where the left side rises; a last Newton step carries the gradients.

    Example:
        >>> one = torch.ones(())
        >>> solve_tanh(one + torch.tanh(one), one, one, 0 * one)
        tensor(1.)
    """
    with torch.no_grad():
        half = r.abs().expand(broadcast_shapes(y.shape, r.shape, t.shape, a.shape))
        low, high = y - half, y + half
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            below = middle + r * torch.tanh(t * middle + a) < y
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        v = 0.5 * (low + high)
    h = torch.tanh(t * v + a)
    slope = 1 + r * t * (1 - h.square())
    return v - (v + r * h - y) / slope.detach().clamp_min(1e-6)


@final
@dataclass(frozen=True)
class Affine(Step):
    r""":math:`f(z) = \mu + \sigma z`.

    Args:
        loc: :math:`\mu`, ``(B, d)``.
        scale: :math:`\sigma > 0`, same shape.
    """

    loc: Tensor
    scale: Tensor

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Stretch and shift."""
        return torch.addcmul(self.loc, self.scale, z), self.scale.log().sum(-1).expand(z.shape[:-1])

    def inverse(self, y: Tensor) -> Tensor:
        """Shift back and shrink."""
        return (y - self.loc) / self.scale


@final
@dataclass(frozen=True)
class Planar(Step):
    r"""A push along one direction: :math:`f(z) = z + \hat u \tanh(w^\top z + b)`.

    .. math:: \det = 1 + (1 - \tanh^2(w^\top z + b))\, w^\top \hat u, \qquad
        \hat u = u + \big(m(w^\top u) - w^\top u\big) \frac{w}{\|w\|^2}, \quad m(s) > -1

    so that :math:`w^\top \hat u > -1` and the step is invertible whatever the parameters; ``u = 0`` is the identity.

    Reference:
        Variational Inference with Normalizing Flows (Rezende and Mohamed, 2015), section 4.1 and appendix A.1.
        https://arxiv.org/abs/1505.05770

    Args:
        u: ``(B, d)``.
        w: ``(B, d)``.
        b: ``(B, 1)``.
    """

    u: Tensor
    w: Tensor
    b: Tensor

    def push(self) -> tuple[Tensor, Tensor]:
        """Return the push and its inner product with ``w``, above -1 also where rounding would lose it."""
        along = dot(self.w, self.u)
        size = self.w.square().sum(-1, keepdim=True)
        change = above_minus_one(along) - along
        whole = size.clamp_min(1e-12)
        moved = torch.where(size > 1e-12, above_minus_one(along), along + change * size / whole)
        return self.u + change * self.w / whole, moved

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Push."""
        u, along = self.push()
        h = torch.tanh(dot(z, self.w) + self.b)
        return z + u * h, torch.log1p((1 - h.square()) * along).squeeze(-1)

    def inverse(self, y: Tensor) -> Tensor:
        """Solve for the inner product, then pull back."""
        u, along = self.push()
        start = solve_tanh(dot(y, self.w), along, torch.ones_like(self.b), self.b)
        return y - u * torch.tanh(start + self.b)


@final
@dataclass(frozen=True)
class Radial(Step):
    r"""A push away from, or towards, a centre: :math:`f(z) = z + \beta\, \frac{z - c}{\alpha + \|z - c\|}`.

    .. math:: \det = \Big(1 + \frac{\beta}{\alpha + r}\Big)^{d - 1} \Big(1 + \frac{\alpha \beta}{(\alpha + r)^2}\Big),
        \qquad r = \|z - c\|, \quad \alpha > 0, \quad \beta > -\alpha

    Reference:
        Variational Inference with Normalizing Flows (Rezende and Mohamed, 2015), appendix A.2.
        https://arxiv.org/abs/1505.05770

    Args:
        centre: ``(B, d)``.
        raw_alpha: Any numbers, ``(B, 1)``.
        raw_beta: Any numbers, ``(B, 1)``; zero is the identity.
    """

    centre: Tensor
    raw_alpha: Tensor
    raw_beta: Tensor

    @property
    def alpha(self) -> Tensor:
        """Positive."""
        return F.softplus(self.raw_alpha) + 1e-3

    @property
    def beta(self) -> Tensor:
        """Above minus alpha."""
        return self.alpha * above_minus_one(self.raw_beta)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Push."""
        away = z - self.centre
        r = torch.linalg.vector_norm(away, dim=-1, keepdim=True)
        share = self.beta / (self.alpha + r)
        inner = self.alpha * share / (self.alpha + r)
        log_det = (z.shape[-1] - 1) * torch.log1p(share) + torch.log1p(inner)
        return z + share * away, log_det.squeeze(-1)

    def inverse(self, y: Tensor) -> Tensor:
        """Solve a quadratic for the radius before the push."""
        away = y - self.centre
        far = torch.linalg.vector_norm(away, dim=-1, keepdim=True)
        half = 0.5 * (self.alpha + self.beta - far)
        root = (half.square() + self.alpha * far).sqrt()
        r = torch.where(half > 0, self.alpha * far / (half + root), root - half)
        return self.centre + away / (1 + self.beta / (self.alpha + r))


@final
@dataclass(frozen=True)
class Sylvester(Step):
    r"""Pushes along several directions at once: :math:`f(z) = z + Q R \tanh(\tilde R Q^\top z + b)`.

    .. math:: \det = \prod_i \big(1 + (1 - h_i^2)\, R_{ii} \tilde R_{ii}\big)

    with orthonormal columns Q and triangular R, whose diagonals lie in (-1, 1), so that no factor vanishes.

    Reference:
        Sylvester Normalizing Flows for Variational Inference (van den Berg et al., 2018).
        https://arxiv.org/abs/1803.05649

    Args:
        q: Q, ``(B, d, m)``, or ``(d, m)`` for all rows.
        r: R, upper triangular, ``(B, m, m)``.
        r_tilde: The other one, same shape.
        b: ``(B, m)``.
    """

    q: Tensor
    r: Tensor
    r_tilde: Tensor
    b: Tensor

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Push."""
        h = torch.tanh(_apply(self.r_tilde, _apply(self.q.mT, z)) + self.b)
        diagonal = self.r.diagonal(dim1=-2, dim2=-1) * self.r_tilde.diagonal(dim1=-2, dim2=-1)
        log_det = torch.log1p((1 - h.square()) * diagonal).sum(-1)
        return z + _apply(self.q, _apply(self.r, h)), log_det

    def inverse(self, y: Tensor) -> Tensor:
        """Solve the triangular system from its last line up, then pull back."""
        target = _apply(self.q.mT, y)
        m = target.shape[-1]
        v, h = [torch.zeros_like(target[..., 0])] * m, [torch.zeros_like(target[..., 0])] * m
        for i in reversed(range(m)):
            inner, outer = self.b[..., i], target[..., i]
            for j in range(i + 1, m):
                inner = inner + self.r_tilde[..., i, j] * v[j]
                outer = outer - self.r[..., i, j] * h[j]
            v[i] = solve_tanh(outer, self.r[..., i, i], self.r_tilde[..., i, i], inner)
            h[i] = torch.tanh(self.r_tilde[..., i, i] * v[i] + inner)
        return y - _apply(self.q, _apply(self.r, torch.stack(h, -1)))


def _apply(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector.unsqueeze(-1)).squeeze(-1)
