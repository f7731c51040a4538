"""The evidence lower bound, split into distortion and rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.errors import CombinationError
from ..distributions.ops import elementwise
from ..models.base import Group, Inference, LatentModel
from ..models.modes import judging
from ..nn.inputs import as_float
from .chunks import Chunk, chunks
from .statistics import mean_se


@dataclass(frozen=True)
class DistortionAndRate:
    """Distortion and rate in nats, row by row.

    Args:
        distortion: Minus the expected log p(x | z), ``(B,)``, float64.
        rate: KL to the prior, all groups together, ``(B,)``; closed where a closed form is known.
        rate_per_group: Mean rate of each group of latents.
        rate_per_dimension: Mean rate of each latent dimension of the groups whose dimensions are independent.
        distortion_per_feature: Mean distortion of each entry of the data, shaped like one row, where entries are
            independent given z; unobserved entries count as zero, so that the sum is the mean distortion.
    """

    distortion: Tensor
    rate: Tensor
    rate_per_group: Mapping[str, float]
    rate_per_dimension: Mapping[str, Tensor]
    distortion_per_feature: Tensor | None

    @property
    def elbo(self) -> Tensor:
        """Evidence lower bound of each row, ``(B,)``."""
        return evidence_lower_bound(self.distortion, self.rate)

    @property
    def means(self) -> dict[str, float]:
        """Mean over rows of the bound and its two parts."""
        return {name: float(values.mean()) for name, values in self._columns().items()}

    @property
    def ses(self) -> dict[str, float]:
        """Standard errors of those means."""
        return {name: mean_se(values) for name, values in self._columns().items()}

    def _columns(self) -> dict[str, Tensor]:
        return {"elbo": self.elbo, "distortion": self.distortion, "rate": self.rate}


def evidence_lower_bound(distortion: Tensor, rate: Tensor) -> Tensor:
    """Minus distortion, minus rate."""
    return -(distortion + rate)


def elbo(model: LatentModel, batch: Batch, *, n_samples: int = 1, seed: int = 0,
         memory_gb: float = 0.5) -> DistortionAndRate:
    r"""Evidence lower bound of each row, split into distortion and rate.

    .. math:: \log p(x) \ge -\underbrace{\mathbb{E}_{q(z|x)}[-\log p(x|z)]}_{\text{distortion}}
        - \underbrace{\mathrm{KL}(q(z|x) \,\|\, p(z))}_{\text{rate}}

    Reference:
        Fixing a Broken ELBO (Alemi et al., 2018). https://arxiv.org/abs/1711.00464

    Args:
        model: What is judged; its training mode is left as it was.
        batch: Rows.
        n_samples: Draws per row.
        seed: Seed of the draws; the same seed and number of draws give the latents of ``log_likelihood``.
        memory_gb: Most memory for one chunk of work, in GiB.

    Returns:
        Both parts with their details.

    Example:
        >>> from senzai.distributions import NormalFamily, NormalFixedFamily
        >>> from senzai.models import Flat
        >>> from senzai.nn import MLPDecoder, MLPEncoder
        >>> from senzai.parts import Likelihood, Posterior, StandardNormal
        >>> model = Flat(
        ...     StandardNormal(1),
        ...     Posterior(MLPEncoder((2,), (4,)), NormalFamily(), 1),
        ...     Likelihood(MLPDecoder(1, (1, 2), (4,)), NormalFixedFamily(), (2,)),
        ... )
        >>> split = elbo(model, Batch(torch.zeros(3, 2)))
        >>> split.elbo.shape, bool((split.rate >= 0).all()), split.distortion_per_feature.shape
        (torch.Size([3]), True, torch.Size([2]))
    """
    n_samples = 1 if model.deterministic else n_samples
    total = _Totals(len(batch))
    with judging(model):
        for chunk in chunks(model, batch, n_samples, seed=seed, memory_gb=memory_gb):
            total.add(chunk, len(chunk.draws) / n_samples)
    return total.split()


class _Totals:
    """Sums over chunks: per row over draws, and per dimension or feature over rows."""

    def __init__(self, n_rows: int) -> None:
        self.n_rows = n_rows
        self.distortion: list[tuple[slice, Tensor]] = []
        self.rates: dict[str, list[tuple[slice, Tensor]]] = {}
        self.sums: dict[str, Tensor] = {}
        self.features: Tensor | None = None

    def add(self, chunk: Chunk, share: float) -> None:
        """Add some draws of some rows; they are ``share`` of the rows' draws."""
        seen = chunk.seen
        self.distortion.append((chunk.rows, share * seen.average(-seen.log_lik).double()))
        for g in seen.groups:
            self.rates.setdefault(g.name, []).append((chunk.rows, share * seen.average(g.rate()).double()))
            self._add_dimensions(g, seen.log_mix, share)
        per_feature = feature_distortion(seen)
        if per_feature is not None:
            per_feature = share * per_feature
            self.features = per_feature if self.features is None else self.features + per_feature

    def _add_dimensions(self, group: Group, log_mix: Tensor | None, share: float) -> None:
        rate = group.rate_per_dimension(log_mix)
        if rate is not None:
            rate = share * rate.double().sum(0)
            self.sums[group.name] = self.sums[group.name] + rate if group.name in self.sums else rate

    def split(self) -> DistortionAndRate:
        """Return the means."""
        rates = {name: self._rows(pieces) for name, pieces in self.rates.items()}
        return DistortionAndRate(
            self._rows(self.distortion),
            torch.stack(list(rates.values())).sum(0),
            {name: float(rate.mean()) for name, rate in rates.items()},
            {name: total / self.n_rows for name, total in self.sums.items()},
            None if self.features is None else self.features / self.n_rows,
        )

    def _rows(self, pieces: list[tuple[slice, Tensor]]) -> Tensor:
        out = pieces[0][1].new_zeros(self.n_rows)
        for rows, values in pieces:
            out[rows] += values
        return out


def feature_distortion(seen: Inference) -> Tensor | None:
    """Distortion of each entry, averaged over draws and summed over rows; ``None`` if entries are dependent."""
    if not isinstance(seen.x, Tensor):
        return None
    try:
        log_p = elementwise(seen.likelihood, as_float(seen.x))
    except CombinationError:
        return None
    if seen.log_mix is None:
        return -log_p.double().mean(0).sum(0)
    weight = seen.log_mix.exp().double()
    return -(weight.view(*weight.shape, *[1] * (log_p.ndim - 2)) * log_p).sum((0, 1))
