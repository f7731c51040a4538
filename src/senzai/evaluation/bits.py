"""Nats to bits, and numbers for discrete data under a continuous density."""

from __future__ import annotations

from dataclasses import replace
from math import log

import torch
from torch import Tensor
from torch.distributions import Distribution

from ..core.batch import Batch, entries
from ..core.errors import SettingError
from ..core.random import derive
from ..models.base import LatentModel
from ..nn.inputs import as_float
from .likelihood import LikelihoodEstimate, log_likelihood


def bits_per_dim(nats: Tensor | float, n_dims: Tensor | int, *, levels_step: float | None = None) -> Tensor | float:
    r"""Turn a negative log-likelihood in nats per row into bits per dimension.

    .. math:: \frac{\text{nats}}{D \log 2} - \log_2(\text{step})

    The second term turns the density of dequantised data on a grid with this step into the mass of a grid point.

    Args:
        nats: Minus the log-likelihood.
        n_dims: Number of entries of a row.
        levels_step: Distance of neighbouring levels, if ``nats`` is a density on data with levels.

    Example:
        >>> bits_per_dim(2 * log(256), 2), bits_per_dim(0.0, 784, levels_step=1 / 256)
        (8.0, 8.0)
    """
    bits = nats / (n_dims * log(2))
    return bits if levels_step is None else bits - log(levels_step) / log(2)


def is_discrete(p: Distribution) -> bool:
    """Whether ``p`` gives masses, which are comparable as they are, and not densities."""
    support = p.support
    return support is not None and bool(support.is_discrete)


def dimensions(batch: Batch) -> Tensor:
    """Number of entries of each row that it has and that were seen, ``(B,)``, float64.

    Sequences count up to their length, several modalities those that a row has.

    Example:
        >>> dimensions(Batch(torch.zeros(2, 3), mask=torch.tensor([[True, True, True], [True, False, False]])))
        tensor([3., 1.], dtype=torch.float64)
    """
    xs = batch.x if isinstance(batch.x, dict) else {"": batch.x}
    total = torch.zeros(len(batch), dtype=torch.float64, device=batch.device)
    for name, seen in batch.seen.items():
        total += entries(xs[name]) if seen is None else seen.flatten(1).sum(1)
    return total


def dequantise(batch: Batch, step: float = 1.0, *, seed: int = 0, centred: bool = False) -> Batch:
    """Return the batch with each level spread evenly over an interval of length ``step``.

    Args:
        batch: Rows whose entries lie on a grid.
        step: Distance of neighbouring levels.
        seed: Seed of the noise.
        centred: Spread to both sides of a level instead of upwards.

    Example:
        >>> x = dequantise(Batch(torch.zeros(100, 1)), 0.5).tensor
        >>> bool(x.min() >= 0), bool(x.max() < 0.5)
        (True, True)
    """
    if not step > 0:
        raise SettingError(f"`step > 0` must hold, but got step={step!r}. Give the distance of neighbouring levels.")
    x = as_float(batch.tensor)
    generator = torch.Generator(x.device)
    generator.manual_seed(derive(seed, "dequantise"))
    u = torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device)
    return replace(batch, x=x + step * (u - 0.5 if centred else u))


def dequantised(
    model: LatentModel, batch: Batch, step: float = 1.0, *, k: int = 500, seed: int = 0, memory_gb: float = 0.5,
    centred: bool = False,
) -> LikelihoodEstimate:
    r"""Lower bound of the log mass of discrete data under a model with a continuous density.

    .. math:: \log P(x) = \log \int_{[0, s)^D} p(x + u) \, du \ge \mathbb{E}_{u}[\log p(x + u)] + D \log s

    A density of data on a grid can be made as high as one likes by peaks on the grid; this number cannot. A discrete
    likelihood needs none of this: use ``log_likelihood``.

    Reference:
        A note on the evaluation of generative models (Theis, van den Oord and Bethge, 2016), section 3.1.
        https://arxiv.org/abs/1511.01844

    Args:
        model: A model with a density.
        batch: Rows whose entries lie on a grid.
        step: Distance of neighbouring levels, s.
        k: Draws per row.
        seed: Seed of the draws and of the noise on the data.
        memory_gb: Most memory for one chunk of work, in GiB.
        centred: Spread each level to both sides instead of upwards.

    Returns:
        Log masses with their errors, row by row.
    """
    estimate = log_likelihood(
        model, dequantise(batch, step, seed=seed, centred=centred), k=k, seed=seed, memory_gb=memory_gb
    )
    return replace(estimate, per_row=estimate.per_row + log_volume(batch, step))


def log_volume(batch: Batch, step: float) -> Tensor:
    """Log volume of the cell of each row on the grid, ``(B,)``: density plus this is mass."""
    return dimensions(batch) * log(step)
