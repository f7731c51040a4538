"""The Rényi bound: from the evidence lower bound over the importance-weighted bound to the best single draw."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isinf, isnan, log
from typing import final

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.errors import SettingError
from ..core.spec import part
from ..models.base import LatentModel
from .base import Objective, Terms
from .regularised import distortion_and_rate, need_counts, raw, total


@part("objective", "renyi")
@final
@dataclass(frozen=True, kw_only=True)
class Renyi(Objective):
    r"""Minus the variational Rényi bound, estimated from K draws, in nats per row.

    .. math:: L_\alpha(x) = -\frac{1}{1 - \alpha} \log \frac1K \sum_{k=1}^K w_k^{1 - \alpha},
        \qquad w = \frac{p(x, z)}{q(z | x)}

    :math:`\alpha \to 1` is the evidence lower bound, 0 the importance-weighted bound, :math:`-\infty` (VR-max) the
    largest single weight. For :math:`\alpha \ge 0` the exact quantity bounds log p(x) from below; for
    :math:`\alpha < 0` it bounds it from above, and the K-draw estimate of it is neither.

    Reference:
        Rényi Divergence Variational Inference (Li and Turner, 2016). https://arxiv.org/abs/1602.02311

    Args:
        order: The formula's alpha; minus infinity is VR-max.
        n_samples: Draws per row, K.
    """

    order: float = 0.5
    n_samples: int = 5

    def __post_init__(self) -> None:
        need_counts(n_samples=self.n_samples)
        if isnan(self.order) or self.order == inf:
            raise SettingError(f"`order` is a number or -inf, but got order={self.order!r}. order=1 is the elbo.")

    def __call__(self, model: LatentModel, batch: Batch, step: int) -> Terms:
        """Return the terms of a batch."""
        seen = model.infer(batch, self.n_samples)
        parts = {"bound": -renyi_bound(seen.log_w, self.order, seen.log_mix), **seen.extras}
        return Terms(total(parts), parts, raw(distortion_and_rate(seen)))


def renyi_bound(log_w: Tensor, order: float, log_mix: Tensor | None = None) -> Tensor:
    """Return the Rényi bound ``(B,)`` of log weights ``(K, B)``; draws weigh the same, or ``exp(log_mix)``.

    Example:
        >>> renyi_bound(torch.tensor([[0.0], [2.0]]), 1.0), renyi_bound(torch.tensor([[0.0], [2.0]]), float("-inf"))
        (tensor([1.]), tensor([2.]))
    """
    if isinf(order):
        return log_w.max(0).values
    mix = torch.full_like(log_w[:, :1], -log(len(log_w))) if log_mix is None else log_mix
    if order == 1:
        return (mix.exp() * log_w).sum(0)
    return torch.logsumexp(mix + (1 - order) * log_w, 0) / (1 - order)
