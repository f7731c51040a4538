"""Log-likelihood: exact where a model has a density, else importance-weighted with its error and effective draws."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import log

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.errors import CombinationError
from ..models.base import Inference, LatentModel
from ..models.generative import Generative, needs_density
from ..models.modes import judging
from ..models.verbs import in_pieces
from .chunks import chunks
from .statistics import mean_se


# --- formulas -------------------------------------------------------------------------------------------------------
def log_weights(seen: Inference, share: float) -> Tensor:
    """Log weights of the draws of a chunk, ``(K, B)`` in float64, so that they sum to the estimate over all chunks.

    Args:
        seen: The chunk.
        share: Its share of the draws.
    """
    log_w = seen.log_w.double()
    mix = -log(log_w.shape[0]) if seen.log_mix is None else seen.log_mix.double()
    return log_w + mix + log(share)


def effective_sample_size(log_sum: Tensor, log_sum_squares: Tensor) -> Tensor:
    r"""Return :math:`(\sum_k w_k)^2 / \sum_k w_k^2`, between 1 and the number of draws.

    Reference:
        A note on importance sampling using standardized weights (Kong, 1992), technical report 348, University of
        Chicago.
    """
    return torch.exp(2 * log_sum - log_sum_squares)


def log_estimate_se(ess: Tensor, n: int) -> Tensor:
    r"""Delta-method standard error of the log of a mean of ``n`` weights.

    .. math:: \mathrm{se}(\log \bar w) \approx \frac{s_w}{\bar w \sqrt n}
        = \sqrt{\frac{n}{n - 1} \Big(\frac{1}{\mathrm{ESS}} - \frac1n\Big)}

    NaN for a single draw, which says nothing about its spread.
    """
    if n < 2:
        return torch.full_like(ess, torch.nan)
    return ((1 / ess - 1 / n).clamp_min(0) * (n / (n - 1))).sqrt()


# --- estimate -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class LikelihoodEstimate:
    """Importance-weighted log-likelihoods in nats, or exact ones.

    Two errors are kept apart: ``se`` says how much the mean varies with the rows that happen to be in the data,
    ``monte_carlo_se`` how much a row's number varies with the draws. The estimate is a lower bound in expectation, the
    closer the larger ``ess``.

    Args:
        per_row: Estimate of log p(x) for each row, ``(B,)``, float64.
        ess: Effective sample size of each row, ``(B,)``.
        monte_carlo_se: Standard error of each row's estimate, ``(B,)``.
        k: Draws per row; 0 where nothing was drawn.
        exact: Whether these are the densities themselves, neither bounds nor estimates.
    """

    per_row: Tensor
    ess: Tensor
    monte_carlo_se: Tensor
    k: int
    exact: bool = field(default=False, kw_only=True)

    @cached_property
    def mean(self) -> float:
        """Mean over rows."""
        return float(self.per_row.mean())

    @cached_property
    def se(self) -> float:
        """Standard error of the mean over rows (sample standard deviation over the root of their number)."""
        return mean_se(self.per_row)

    @cached_property
    def mean_monte_carlo_se(self) -> float:
        """Standard error of the mean that is due to the draws alone."""
        return float(self.monte_carlo_se.square().sum().sqrt()) / len(self.per_row)

    @cached_property
    def ess_median(self) -> float:
        """Median effective sample size."""
        return float(self.ess.median())

    @cached_property
    def ess_low(self) -> float:
        """Effective sample size below which one row in twenty lies."""
        return float(self.ess.quantile(0.05))


def log_likelihood(
    model: Generative, batch: Batch, *, k: int = 500, seed: int = 0, memory_gb: float = 0.5, first_row: int = 0,
    precision: torch.dtype | None = None, common: bool = False,
) -> LikelihoodEstimate:
    r"""Importance-weighted estimate of log p(x), row by row; the exact one of a model that has it.

    .. math:: \log \hat p(x) = \log \frac1k \sum_{j=1}^{k} \frac{p(x, z_j)}{q(z_j | x)}, \quad z_j \sim q(z | x)

    The mean of :math:`\hat p` is exact, so that its log is too low in expectation; it rises with ``k``. Weights are
    added up in float64. The noise of a row depends on the seed, its position and ``k``, not on the memory or the
    number of rows, for posteriors that are drawn from standard noise; results then agree up to rounding.

    Reference:
        Importance Weighted Autoencoders (Burda, Grosse and Salakhutdinov, 2016). https://arxiv.org/abs/1509.00519

    Args:
        model: What is judged; its training mode is left as it was.
        batch: Rows.
        k: Draws per row; one where they would all be alike.
        seed: Seed of the draws.
        memory_gb: Most memory for one chunk of work, in GiB.
        first_row: Position of the first row, where a longer table is judged piece by piece.
        precision: Dtype of the networks, e.g. ``torch.bfloat16`` for speed; by default their own. Densities and sums
            stay in single and double precision.
        common: Use the same noise for every row, so that a row's number is the same wherever it stands.

    Returns:
        The estimate with its errors.

    Raises:
        CombinationError: The model has neither an inference nor a density.

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
        >>> estimate = log_likelihood(model, Batch(torch.zeros(3, 2)), k=20)
        >>> estimate.per_row.shape, estimate.k, bool((estimate.ess <= 20).all())
        (torch.Size([3]), 20, True)
    """
    if model.exact:
        return exact_log_likelihood(model, batch, precision=precision)
    if not isinstance(model, LatentModel):
        raise CombinationError(needs_density(model))
    k = 1 if model.deterministic else k
    log_sum = torch.full((len(batch),), -torch.inf, dtype=torch.float64, device=batch.device)
    log_sum_squares = log_sum.clone()
    counted = torch.zeros(len(batch), dtype=torch.long)
    with judging(model, precision):
        for chunk in chunks(model, batch, k, seed=seed, memory_gb=memory_gb, first_row=first_row, common=common):
            log_v = log_weights(chunk.seen, len(chunk.draws) / k)
            rows = chunk.rows
            log_sum[rows] = torch.logaddexp(log_sum[rows], log_v.logsumexp(0))
            log_sum_squares[rows] = torch.logaddexp(log_sum_squares[rows], (2 * log_v).logsumexp(0))
            counted[rows] += log_v.shape[0]
    ess = effective_sample_size(log_sum, log_sum_squares)
    return LikelihoodEstimate(log_sum, ess, log_estimate_se(ess, int(counted[0])), k)


def exact_log_likelihood(
    model: Generative, batch: Batch, *, precision: torch.dtype | None = None
) -> LikelihoodEstimate:
    """Return the log density of each row under a model that has one: no draws, hence no error but that of the rows."""
    found = []
    with judging(model, precision):
        for _, piece in in_pieces(batch):
            log_p = model.log_prob(piece)
            assert log_p is not None  # the model says that it is exact
            found.append(log_p.double())
    per_row = torch.cat(found)
    nothing = torch.zeros_like(per_row)
    return LikelihoodEstimate(per_row, nothing / 0, nothing, 0, exact=True)
