"""Importance-weighted bounds: IWAE, MIWAE, CIWAE, PIWAE in one, with plain or doubly reparameterised gradients."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log
from typing import Literal, final

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.errors import CombinationError, SettingError
from ..core.examples import example
from ..core.spec import part
from ..models.base import Inference, LatentModel
from .base import Objective, Player, Terms
from .checks import need_reparameterised
from .regularised import distortion_and_rate, need_counts, raw, total


@part("objective", "iwae")
@example(settings={"objective": "iwae", "n_samples": 3})
@example(settings={"objective": "iwae", "n_samples": 3, "n_groups": 2, "elbo_share": 0.5, "gradient": "dreg"})
@final
@dataclass(frozen=True, kw_only=True)
class ImportanceWeighted(Objective):
    r"""The mean over M groups of a K-sample importance-weighted bound, mixed with the evidence lower bound.

    .. math:: L(x) = -(1 - \beta) \frac1M \sum_{m=1}^M \log \frac1K \sum_{k=1}^K w_{mk}
        - \beta \frac1{MK} \sum_{m,k} \log w_{mk}, \qquad w = \frac{p(x, z)}{q(z | x)}

    IWAE is M = 1; MIWAE is M > 1, CIWAE :math:`\beta > 0`. With ``partial`` (PIWAE) the decoder minimises the bound
    with all M K draws in one group, the encoder that with M groups: two players. K = 1, or :math:`\beta = 1`, is the
    evidence lower bound estimated from M K draws.

    ``gradient="dreg"`` (doubly reparameterised) leaves the value as it is and drops the score term of the encoder's
    gradient, which is zero in expectation once the weights are squared:
    :math:`\sum_k \tilde w_k^2 \, \partial_z \log w_k \, \partial_\phi z`, with :math:`\tilde w` the normalised weights.
    It is unbiased, has less variance, and unlike the plain gradient does not lose its signal as K grows. It needs draws
    that can be differentiated, but no particular posterior: the score is taken off as the gradient of
    :math:`\log q(z)` at a fixed z.

    Reference:
        Importance Weighted Autoencoders (Burda et al., 2016). https://arxiv.org/abs/1509.00519
        Tighter Variational Bounds are Not Necessarily Better (Rainforth et al., 2018): MIWAE, CIWAE, PIWAE.
        https://arxiv.org/abs/1802.04537
        Doubly Reparameterized Gradient Estimators (Tucker et al., 2019). https://arxiv.org/abs/1810.04152

    Args:
        n_samples: Draws in a group, K.
        n_groups: Groups, M.
        elbo_share: Weight of the evidence lower bound, the formula's beta.
        partial: Let the decoder use all draws in one group (PIWAE).
        gradient: ``"plain"`` or ``"dreg"``.

    Example:
        >>> ImportanceWeighted(n_samples=8, n_groups=4).n_draws
        32
    """

    n_samples: int = 5
    n_groups: int = 1
    elbo_share: float = 0.0
    partial: bool = False
    gradient: Literal["plain", "dreg"] = "plain"

    def __post_init__(self) -> None:
        need_counts(n_samples=self.n_samples, n_groups=self.n_groups)
        if not 0 <= self.elbo_share <= 1:
            raise SettingError(f"`0 <= elbo_share <= 1` must hold, but got elbo_share={self.elbo_share!r}.")
        if self.gradient not in ("plain", "dreg"):
            raise SettingError(f"`gradient` is plain or dreg, but got {self.gradient!r}.")

    @property
    def n_draws(self) -> int:
        """All draws per row, M K."""
        return self.n_samples * self.n_groups

    def check(self, model: LatentModel) -> None:
        """Refuse the doubly reparameterised gradient where a draw has none."""
        if self.gradient == "dreg":
            need_reparameterised(model, "The doubly reparameterised gradient")

    def players(self, model: LatentModel) -> tuple[Player, ...]:
        """One player; partially importance-weighted: the decoder, whose bound is the tighter one, then the encoder."""
        if not self.partial:
            return super().players(model)
        encoder = {id(p) for p in model.encoder_parameters()}
        own, mixes = model.own_parameters(), self.mixes_rows(model)
        return (
            Player("decoder", tuple(p for p in own if id(p) not in encoder), self, mixes),
            Player("encoder", tuple(p for p in own if id(p) in encoder), replace(self, partial=False), mixes),
        )

    def __call__(self, model: LatentModel, batch: Batch, step: int) -> Terms:
        """Return the terms of a batch."""
        groups = 1 if self.partial else self.n_groups
        seen = model.infer(batch, self.n_draws)
        if groups > 1 and seen.log_mix is not None:
            raise CombinationError(
                f"Groups of draws need draws that weigh the same, but this model weighs them. Set n_groups=1 "
                f"instead of {groups}."
            )
        bound = self._doubly(seen, groups) if self.gradient == "dreg" else self._plain(seen, groups)
        parts = {"bound": -bound, **seen.extras}
        return Terms(total(parts), parts, raw(distortion_and_rate(seen)))

    def _plain(self, seen: Inference, groups: int) -> Tensor:
        return self._value(seen, seen.log_w, groups)

    def _value(self, seen: Inference, log_w: Tensor, groups: int) -> Tensor:
        tight = grouped_bound(log_w, seen.log_mix, groups)
        return tight if self.elbo_share == 0 else torch.lerp(tight, seen.average(log_w), self.elbo_share)

    def _doubly(self, seen: Inference, groups: int) -> Tensor:
        (latent,) = seen.groups
        q, z = latent.q, latent.z
        score = torch.zeros_like(latent.log_q) if q is None else q.log_prob(z.detach())
        log_w = seen.log_w + (score - score.detach())  # the value stays; the direct gradient of log q is gone
        with torch.no_grad():
            value = self._value(seen, log_w, groups)
            tilde = normalised(log_w, seen.log_mix, groups)
            even = torch.full_like(tilde, 1 / len(tilde)) if seen.log_mix is None else seen.log_mix.exp() + 0 * tilde
            direct = torch.lerp(tilde / groups, even, self.elbo_share)
            along = torch.lerp(tilde.square() / groups, even, self.elbo_share)
        if z.requires_grad:  # what reaches the encoder through z counts by the squared weight
            factor = (along / direct.clamp_min(torch.finfo(direct.dtype).tiny)).unflatten(1, (-1, *[1] * (z.ndim - 2)))
            z.register_hook(lambda g: g * factor)
        surrogate = (direct * log_w).sum(0)
        return value + (surrogate - surrogate.detach())


def grouped_bound(log_w: Tensor, log_mix: Tensor | None, groups: int) -> Tensor:
    """Return the mean over groups of the importance-weighted bound, ``(B,)``, from log weights ``(M K, B)``.

    Example:
        >>> grouped_bound(torch.tensor([[0.0], [2.0]]), None, groups=2)
        tensor([1.])
    """
    if log_mix is not None:
        return torch.logsumexp(log_mix + log_w, 0)
    by_group = log_w.unflatten(0, (groups, -1))
    bounds: Tensor = torch.logsumexp(by_group, 1) - log(by_group.shape[1])
    return bounds.mean(0)


def normalised(log_w: Tensor, log_mix: Tensor | None, groups: int) -> Tensor:
    """Return importance weights that add up to one within each group, ``(M K, B)``."""
    weighed = log_w if log_mix is None else log_mix + log_w
    by_group: Tensor = weighed.unflatten(0, (groups, -1))
    return by_group.softmax(1).flatten(0, 1)
