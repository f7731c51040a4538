"""Total correlation: how dependent the latent dimensions are over all rows."""

from __future__ import annotations

from math import log

import torch
from torch import Tensor
from torch.distributions import Distribution

from ..core.batch import Batch
from ..core.errors import CombinationError
from ..distributions.ops import factors
from ..models.base import Group, LatentModel
from ..models.modes import judging
from .chunks import chunks
from .latents import aggregate_log_prob, pick_group
from .results import Figure, Floats
from .statistics import mean_se


def total_correlation(
    model: LatentModel, batch: Batch, *, n_samples: int = 1, seed: int = 0, group: str | None = None,
    memory_gb: float = 0.5,
) -> Figure:
    r"""Total correlation of the aggregate posterior, in nats: zero where the latents are independent over all rows.

    .. math:: \mathrm{TC} = \mathrm{KL}\Big(q(z) \,\Big\|\, \prod_d q(z_d)\Big), \qquad
        q(z) = \frac1N \sum_{n=1}^N q(z | x_n)

    Both mixtures are taken exactly over the rows given. The minibatch estimators that objectives use are biased; this
    one is exact for the rows given, up to the noise of the draws, but has the same ceiling as the mutual information:
    of few rows with narrow posteriors it is too high.

    Reference:
        Isolating Sources of Disentanglement in Variational Autoencoders (Chen et al., 2018).
        https://arxiv.org/abs/1802.04942

    Args:
        model: What is judged.
        batch: Rows; time grows with the square of their number.
        n_samples: Draws per row.
        seed: Seed of the draws.
        group: Name of the group of latents; by default the first with a posterior.
        memory_gb: Most memory for one chunk of work, in GiB.

    Raises:
        CombinationError: The posteriors have no one-dimensional marginals, or depend on another group's draw.
    """
    codes: list[tuple[Group, slice, bool]] = []
    with judging(model):
        for chunk in chunks(model, batch, n_samples, seed=seed, memory_gb=memory_gb):
            codes.append((pick_group(chunk.seen.groups, group), chunk.rows, chunk.draws.start == 0))
        parts = [g.q for g, _, fresh in codes if fresh and g.q is not None]
        single = [_marginals(q, len(batch), g) for q, g in zip(parts, (g for g, _, f in codes if f), strict=True)]
        total = torch.zeros(len(batch), dtype=torch.float64, device=batch.device)
        for g, rows, _ in codes:
            joint = aggregate_log_prob(parts, g.z, memory_gb)
            total[rows] += (joint - marginal_log_prob(single, g.z, memory_gb).sum(-1)).sum(0) / n_samples
    return Figure(float(total.mean()), mean_se(total), len(batch), seed, "total correlation")


def _marginals(q: Distribution, n: int, group: Group) -> Distribution:
    found = factors(q) if q.batch_shape[0] <= n and len(q.batch_shape) == 1 else None
    if found is None:
        raise CombinationError(
            f"Total correlation needs one-dimensional marginals of one posterior per row, but the group "
            f"{group.name!r} has none. Use the mutual information, or `gaussian_total_correlation` of codes."
        )
    return found


def marginal_log_prob(parts: list[Distribution], z: Tensor, memory_gb: float = 0.5) -> Tensor:
    """Log density of each dimension of ``z`` ``(K, B, d)`` under the mixture of all rows, ``(K, B, d)``, float64."""
    n, flat = sum(q.batch_shape[0] for q in parts), z.flatten(0, 1)
    widest = max(q.batch_shape[0] for q in parts) * flat.shape[1]
    out = []
    for block in flat.split(max(1, int(memory_gb * 2**30 / (32 * widest)))):
        mixture = torch.full(block.shape, -torch.inf, dtype=torch.float64, device=z.device)
        for q in parts:
            mixture = torch.logaddexp(mixture, q.log_prob(block.unsqueeze(1)).double().logsumexp(1))
        out.append(mixture - log(n))
    return torch.cat(out).view(*z.shape)


def gaussian_total_correlation(codes: Floats) -> float:
    r"""Total correlation that codes would have if they were normal with their own covariance, in nats.

    .. math:: \tfrac12 \Big(\sum_d \log \Sigma_{dd} - \log\det\Sigma\Big)

    Reference:
        Challenging Common Assumptions in the Unsupervised Learning of Disentangled Representations
        (Locatello et al., 2019), section 5.1. https://arxiv.org/abs/1811.12359

    Args:
        codes: Rows by dimensions.

    Returns:
        The number; infinite where a dimension follows from the others, NaN where one is constant.
    """
    covariance = torch.as_tensor(codes, dtype=torch.float64).T.cov().reshape(codes.shape[1], -1)
    return float(0.5 * (covariance.diagonal().log().sum() - torch.logdet(covariance)))
