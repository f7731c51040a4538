"""The rate taken apart: what a code says of its row, how its dimensions depend, how far each is from the prior."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Literal, NamedTuple, final

import torch
from torch import Tensor
from torch.distributions import Distribution

from ..core.batch import Batch
from ..core.errors import CombinationError, SettingError
from ..core.spec import part
from ..models.base import LatentModel
from .base import Objective, Terms
from .checks import factors_of, need_factors
from .regularised import distortion_and_rate, need_counts, need_weights, raw, total
from .warmup import Constant, Warmup

Sampling = Literal["stratified", "weighted"]
WHAT = "The total correlation of the codes"


@part("objective", "tc")
@final
@dataclass(frozen=True, kw_only=True)
class TotalCorrelation(Objective):
    r"""Distortion plus the three parts of the rate, each with its weight, in nats per row (beta-TC-VAE).

    .. math:: L = \mathbb{E}[-\log p(x|z)] + \alpha I(x; z) + \beta \, w_t\, \mathrm{TC}(z)
        + \gamma \sum_d \mathrm{KL}(q(z_d) \| p(z_d))

    with :math:`I = \log \frac{q(z|x)}{q(z)}`, :math:`\mathrm{TC} = \log \frac{q(z)}{\prod_d q(z_d)}` and the last part
    :math:`\log \frac{\prod_d q(z_d)}{p(z)}` at the draws. The aggregate posterior q(z) is estimated from the batch
    (see :func:`log_aggregate`), so rows mix. With all weights 1 the three add up to the one-draw rate exactly.

    Reference:
        Isolating Sources of Disentanglement in VAEs (Chen et al., 2018). https://arxiv.org/abs/1802.04942

    Args:
        n_rows: Rows of the training data, N.
        beta: Weight of the total correlation.
        information_weight: Weight of the mutual information, the formula's alpha.
        dimension_weight: Weight of the dimension-wise rate, the formula's gamma.
        warmup: How the weight of the total correlation rises over optimisation steps.
        sampling: ``"stratified"`` or ``"weighted"``.
    """

    n_rows: int
    beta: float = 6.0
    information_weight: float = 1.0
    dimension_weight: float = 1.0
    warmup: Warmup = Constant()  # noqa: RUF009 - frozen and without state
    sampling: Sampling = "stratified"

    def __post_init__(self) -> None:
        need_weights(
            beta=self.beta, information_weight=self.information_weight, dimension_weight=self.dimension_weight
        )
        need_counts(n_rows=self.n_rows)
        if self.sampling not in ("stratified", "weighted"):
            raise SettingError(f"`sampling` is stratified or weighted, but got {self.sampling!r}.")

    def check(self, model: LatentModel) -> None:
        """Refuse a model whose posterior has no known one-dimensional marginals."""
        need_factors(model, WHAT)

    def mixes_rows(self, model: LatentModel) -> bool:
        """The aggregate posterior is that of the batch."""
        return True

    def __call__(self, model: LatentModel, batch: Batch, step: int) -> Terms:
        """Return the terms of a batch."""
        seen = model.infer(batch)
        (group,) = seen.groups
        if group.q is None:
            raise CombinationError(f"{WHAT} needs a posterior, but the model has none. Use the elbo.")
        marginals = factors_of(group.q, WHAT)
        aggregate = log_aggregate(group.q, marginals, group.z[0], self.n_rows, self.sampling)
        parts = {
            "distortion": seen.average(-seen.log_lik),
            "mutual_information": self.information_weight * (group.log_q[0] - aggregate.joint),
            "total_correlation": self.beta * self.warmup.factor(step) * aggregate.total_correlation,
            "dimension_wise_rate": self.dimension_weight * (aggregate.by_dimension.sum(-1) - group.log_p[0]),
            **seen.extras,
        }
        watch = {**distortion_and_rate(seen), "raw_total_correlation": aggregate.total_correlation}
        return Terms(total(parts), parts, raw(watch))

    @property
    def settled_after(self) -> int:
        """End of the warm-up."""
        return self.warmup.end


class Aggregate(NamedTuple):
    """Log densities of the aggregate posterior at codes: ``joint`` ``(B,)``, ``by_dimension`` ``(B, d)``."""

    joint: Tensor
    by_dimension: Tensor

    @property
    def total_correlation(self) -> Tensor:
        """``log q(z) - sum_d log q(z_d)`` at each code, ``(B,)``; single values may be negative."""
        return self.joint - self.by_dimension.sum(-1)


def log_aggregate(
    q: Distribution, marginals: Distribution, z: Tensor, n_rows: int, sampling: Sampling = "stratified"
) -> Aggregate:
    r"""Estimate the log density of the aggregate posterior of N rows from a batch of B of them.

    .. math:: q(z_i) = \frac1N \sum_{n=1}^N q(z_i | x_n) \approx \sum_{j=1}^B W_{ij} \, q(z_i | x_j)

    ``"stratified"``: a code's own row counts as the one row of N that it is, :math:`W_{ii} = \frac1N`, and the others
    stand for the rest, :math:`W_{ij} = \frac{N - 1}{N (B - 1)}`. This is unbiased for :math:`q(z_i)` over random
    batches that contain row i, and exact when the batch is the data. (The paper's variant gives one random other row
    a weight of its own; this is its mean over which row that is.) ``"weighted"``: :math:`W_{ij} = \frac{1}{N B}`, the
    paper's minibatch-weighted sampling, a lower bound in expectation.

    Reference:
        Isolating Sources of Disentanglement in VAEs (Chen et al., 2018), appendix C. https://arxiv.org/abs/1802.04942

    Args:
        q: Posterior of the batch, batch shape ``(B,)``.
        marginals: Its one-dimensional marginals, batch shape ``(B, d)``.
        z: One draw per row, ``(B, d)``.
        n_rows: N; a batch larger than that counts as the data.
        sampling: How rows are weighted.
    """
    log_weight = log_weights(len(z), n_rows, sampling).to(z)
    pairs: Tensor = q.log_prob(z.unsqueeze(1))
    each: Tensor = marginals.log_prob(z.unsqueeze(1))
    return Aggregate(
        torch.logsumexp(pairs + log_weight, 1), torch.logsumexp(each + log_weight.unsqueeze(-1), 1)
    )


def log_weights(batch: int, n_rows: int, sampling: Sampling) -> Tensor:
    """Return the log weight of each row j of the batch for the code of each row i, ``(B, B)``.

    Example:
        >>> log_weights(3, 9, "stratified").exp().sum(1)
        tensor([1., 1., 1.])
        >>> log_weights(2, 9, "weighted").exp()[0]
        tensor([0.0556, 0.0556])
    """
    n = max(n_rows, batch)
    if sampling == "weighted":
        return torch.full((batch, batch), -log(n * batch))
    others = log((n - 1) / (n * (batch - 1))) if batch > 1 else 0.0
    weight = torch.full((batch, batch), others)
    return weight.fill_diagonal_(-log(n))
