"""Curves: a bound against its number of draws, and distortion against rate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.errors import CombinationError, SettingError
from ..models.base import LatentModel
from ..models.modes import judging
from .bounds import elbo
from .chunks import chunks
from .results import Figure
from .statistics import mean_se


# --- bound against draws --------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Convergence:
    """The importance-weighted bound at growing numbers of draws, all from the same draws.

    Args:
        ks: Draws per row, rising by factors of two.
        bounds: The bound at each.
        tail_slope: Rise of the bound over the last doubling, in nats, with its standard error; well above zero, the
            log-likelihood is still rising and more draws are needed.
        seed: Seed of the draws.
    """

    ks: tuple[int, ...]
    bounds: tuple[Figure, ...]
    tail_slope: Figure
    seed: int


def log_weight_table(model: LatentModel, batch: Batch, k: int, *, seed: int = 0, memory_gb: float = 0.5) -> Tensor:
    """All log importance weights, ``(k, B)`` in float64: for tests and curves on few rows.

    Raises:
        CombinationError: Draws are enumerated or stratified, so that they cannot be taken apart.
    """
    table = torch.empty(k, len(batch), dtype=torch.float64, device=batch.device)
    with judging(model):
        for chunk in chunks(model, batch, k, seed=seed, memory_gb=memory_gb):
            if chunk.seen.log_mix is not None:
                raise CombinationError(
                    "A curve over draws needs draws that are alike, but this model weighs them. Compare several k."
                )
            table[chunk.draws.start : chunk.draws.stop, chunk.rows] = chunk.seen.log_w.double()
    return table


def convergence(
    model: LatentModel, batch: Batch, *, k: int = 512, seed: int = 0, memory_gb: float = 0.5
) -> Convergence:
    r"""Bounds :math:`L_1 \le L_2 \le L_4 \dots \le L_k` from one table of draws.

    Each :math:`L_j` averages over disjoint groups of j draws, so that it is unbiased for its own j and the curve is
    smooth where the draws are few.

    Reference:
        Importance Weighted Autoencoders (Burda, Grosse and Salakhutdinov, 2016), theorem 1.
        https://arxiv.org/abs/1509.00519

    Args:
        model: What is judged.
        batch: Rows; the table of weights holds 8 bytes for each draw of each.
        k: Most draws per row; the largest power of two below is used.
        seed: Seed of the draws.
        memory_gb: Most memory for one chunk of work, in GiB.
    """
    if k < 2:
        raise SettingError(f"A curve over draws needs `k >= 2`, but got k={k!r}. Give 64 or more.")
    top = 2 ** int(log(k, 2) + 1e-9)
    table = log_weight_table(model, batch, top, seed=seed, memory_gb=memory_gb)
    ks = tuple(2**i for i in range(top.bit_length()))
    rows = [grouped_bound(table, j) for j in ks]
    named = zip(rows, ks, strict=True)
    bounds = tuple(Figure(float(r.mean()), mean_se(r), len(batch), seed, f"L_{j}") for r, j in named)
    rise = rows[-1] - rows[-2]
    return Convergence(ks, bounds, Figure(float(rise.mean()), mean_se(rise), len(batch), seed, "last doubling"), seed)


def grouped_bound(log_w: Tensor, k: int) -> Tensor:
    """Mean over disjoint groups of ``k`` draws of the log of their mean weight: ``(K, B)`` to ``(B,)``."""
    groups = log_w[: len(log_w) // k * k].unflatten(0, (-1, k))
    bound: Tensor = (groups.logsumexp(1) - log(k)).mean(0)
    return bound


# --- rate against distortion ----------------------------------------------------------------------------------------
@dataclass(frozen=True)
class RatePoint:
    """Rate and distortion of one member of a family, in nats per row.

    Args:
        beta: Weight of the rate it was trained with.
        rate: Mean rate.
        distortion: Mean distortion.
    """

    beta: float
    rate: Figure
    distortion: Figure


def rate_distortion(
    family: Iterable[tuple[float, LatentModel]], batch: Batch, *, n_samples: int = 1, seed: int = 0,
    memory_gb: float = 0.5,
) -> tuple[RatePoint, ...]:
    r"""Rate and distortion of models that were trained with different weights of the rate.

    Points of one family lie on a falling convex curve; at each, :math:`\partial D / \partial R = -\beta`. The line
    :math:`D + R = H` bounds them from below, H being the entropy of the data.

    Reference:
        Fixing a Broken ELBO (Alemi et al., 2018). https://arxiv.org/abs/1711.00464

    Args:
        family: Pairs of a weight and a model; may be a generator that makes each model on demand.
        batch: Rows to judge all of them on, with the same draws.
        n_samples: Draws per row.
        seed: Seed of the draws.
        memory_gb: Most memory for one chunk of work, in GiB.

    Returns:
        Points in order of rising beta.
    """
    points = []
    for beta, model in family:
        split = elbo(model, batch, n_samples=n_samples, seed=seed, memory_gb=memory_gb)
        means, ses, n = split.means, split.ses, len(batch)
        rate, distortion = (Figure(means[x], ses[x], n, seed, x) for x in ("rate", "distortion"))
        points.append(RatePoint(beta, rate, distortion))
    return tuple(sorted(points, key=lambda p: p.beta))
