"""The exchange rate of distortion and rate at an encoder: 1 where the bound itself is at its maximum."""

from __future__ import annotations

import torch
from torch.distributions import Independent, Normal

from ...core.batch import Batch
from ...core.errors import CombinationError
from ...core.random import derive, using
from ...core.row_noise import RowNoise
from ...models.base import LatentModel
from ...models.modes import judging

DRAWS, STEP = 8, 0.1
LEAST = 0.05
"""Nats of rate below which there is nothing to price."""


@torch.no_grad()
def price_of_rate(model: LatentModel, batch: Batch, *, draws: int = DRAWS, seed: int = 0) -> float:
    r"""Return the exchange rate of distortion and rate under a common factor s on all posterior scales.

    .. math:: \hat\beta = -\frac{d D / d s}{d R / d s}\Big|_{s = 1}, \qquad z = \mu + s \, \sigma \epsilon

    An encoder that minimises :math:`D + \beta R` is optimal where :math:`\hat\beta = \beta`, whatever beta is called:
    loss scales, reductions and wrong likelihood scales included. It is a central difference with common draws.

    Reference:
        Fixing a Broken ELBO (Alemi et al., 2018), beta as the slope of the rate-distortion curve.
        https://arxiv.org/abs/1711.00464

    Args:
        model: One group of latents with a diagonal normal posterior.
        batch: Rows.
        draws: Draws per row.
        seed: Seed of the draws.

    Raises:
        CombinationError: The posterior is another, or carries nothing.
    """
    noise = RowNoise.of(derive(seed, "price"), draws, range(len(batch)), range(draws), device=batch.device)
    with judging(model):
        with using(noise):
            seen = model.infer(batch, draws)
        q = seen.groups[0].q
        if len(seen.groups) != 1 or not isinstance(q, Independent) or not isinstance(q.base_dist, Normal):
            raise CombinationError("The price of a nat is known for one group of diagonal normal latents only.")
        loc, spread = q.base_dist.loc, seen.groups[0].z - q.base_dist.loc
        n = spread[0, 0].numel()

        def at(s: float) -> tuple[float, float]:
            there = model.infer(batch, draws, z=(loc + s * spread,))
            log_p = there.groups[0].log_p.double().mean()
            entropy = n * float(torch.tensor(s).log())
            return -float(there.log_lik.double().mean()), -float(log_p) - entropy

        low, high = at(1 - STEP), at(1 + STEP)
    distortion, rate = ((b - a) / (2 * STEP) for a, b in zip(low, high, strict=True))
    if -rate < LEAST:
        raise CombinationError("The rate is so small that it has no price.")
    return distortion / -rate
