"""Each place of a vector by itself: its spread, its middle, and how frequent its values are."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..nn.statistics import varies

GRID = 512
LEAST = 0.05
"""Least spread, as a share of the usual one."""


def spread_of(x: Tensor, owner: Tensor) -> Tensor:
    """Return the spread of each place, ``(D,)``: of all places of a feature together, so that features count alike.

    A rare category has a place of next to no spread of its own; divided by that it would outshout all other columns.
    """
    variance = (x - x.nanmean(0)).square().nanmean(0).nan_to_num()
    whole = variance.new_zeros(int(owner.max()) + 1).index_add(0, owner, variance)
    sd = whole[owner].sqrt()
    usual = sd[sd > 0].median() if bool((sd > 0).any()) else sd.new_tensor(1.0)
    return sd.clamp_min(LEAST * float(usual))


def quantile(x: Tensor, share: float) -> Tensor:
    """Return a quantile of the observed entries of each place, ``(D,)``; 0 where none is.

    Example:
        >>> quantile(torch.tensor([[3.0], [1.0], [torch.nan], [2.0]]), 0.5)
        tensor([2.])
    """
    seen = (~x.isnan()).sum(0, keepdim=True)
    at = ((seen - 1).clamp_min(0) * share).round().long()
    return x.sort(0).values.gather(0, at).squeeze(0).nan_to_num()


def middle_and_spread(x: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
    """Return median and usual spread of each place, ``(D,)``: by quartiles, unless half the entries are about equal."""
    by_quartiles = (quantile(x, 0.75) - quantile(x, 0.25)) / 1.349
    return quantile(x, 0.5), torch.where(by_quartiles < LEAST * spread, spread, by_quartiles)


@dataclass(frozen=True)
class Marginals:
    r"""How rare the value of each place is by itself: :math:`-\log` of a density, smoothed by a normal kernel.

    Places of one feature that are codes of its categories take the shares of the categories instead. Densities are per
    spread of the place, and one row counts everywhere, so that a value far from all others is as rare as one row.

    Reference:
        Density Estimation for Statistics and Data Analysis (Silverman, 1986), section 3.4: the width of the kernel.

    Args:
        low: Where the grid begins, ``(D,)``.
        step: Distance of its points, ``(D,)``.
        table: What :math:`-\log` of the density is there, ``(D, G)``.
        coded: Whether a place is the code of a category, ``(D,)``.
    """

    low: Tensor
    step: Tensor
    table: Tensor
    coded: Tensor

    @classmethod
    def of(cls, x: Tensor, owner: Tensor) -> Marginals:
        """Learn from rows, ``(M, D)``, NaN where missing."""
        n = (~x.isnan()).sum(0).clamp_min(1)
        mean = x.nanmean(0).nan_to_num()
        sd = (x - mean).square().nanmean(0).nan_to_num().sqrt()
        least = torch.where(mean == 0, 1.0, mean.abs()) * 1e-6  # of a constant: any other value is rare
        sd = torch.where(varies(sd, mean, x.dtype), sd, least)
        _, usual = middle_and_spread(x, sd)
        width = 1.06 * torch.minimum(sd, usual) * n**-0.2
        low, high = quantile(x, 0.0) - 3 * width, quantile(x, 1.0) + 3 * width
        step = (high - low) / (GRID - 1)
        counts = x.new_zeros(GRID, x.shape[1])
        at = ((x.nan_to_num() - low) / step).round().long().clamp(0, GRID - 1)
        counts.scatter_add_(0, at, (~x.isnan()).to(x.dtype))
        density = _smooth(counts.T, width / step) / (n * step).unsqueeze(1)
        table = -torch.log(density * sd.unsqueeze(1) + (1 / n).unsqueeze(1))
        coded = torch.bincount(owner)[owner] > 1
        share = ((x > 0).sum(0) + 1) / (n + torch.bincount(owner)[owner])
        return cls(low, step, torch.where(coded.unsqueeze(1), -share.log().unsqueeze(1), table), coded)

    def __call__(self, x: Tensor) -> Tensor:
        """Return how rare each entry is, ``(N, D)``; 0 where it is missing."""
        at = ((x - self.low) / self.step).nan_to_num().clamp(0, GRID - 1)
        first = at.long().clamp(max=GRID - 2)
        table = self.table.T.to(x.dtype)
        below, above = table.gather(0, first), table.gather(0, first + 1)
        rare = below + (above - below) * (at - first)
        return torch.where(x.isnan() | (self.coded & (x <= 0)), 0.0, rare)


def _smooth(counts: Tensor, width: Tensor) -> Tensor:
    """Return counts, ``(D, G)``, smoothed by a normal kernel of so many grid points, without going round the ends."""
    frequency = torch.fft.rfftfreq(2 * GRID, dtype=counts.dtype)
    kernel = torch.exp(-0.5 * (2 * torch.pi * frequency * width.unsqueeze(1)).square())
    back: Tensor = torch.fft.irfft(torch.fft.rfft(counts, 2 * GRID) * kernel, 2 * GRID)
    return back[:, :GRID].clamp_min(0)
