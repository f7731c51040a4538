"""Whether a likelihood fits the data: the type of the values, errors of predictions, and the share of each column."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...core.batch import Batch, only
from ...core.random import derive, using
from ...core.row_noise import RowNoise
from ...distributions import MixedFamily
from ...distributions.ops import draw, elementwise
from ...models import verbs
from ...models.modes import judging
from ...nn.inputs import as_float
from ..catalogue import Case
from ..results import Floats
from ..statistics import random_rows
from .facts import Told

ROWS, CODES, DRAWS = 300, 4, 32
MEDIAN = 0.4549
"""Median of the square of a standard normal."""
FAR = 5.0


def values(case: Case, train: Batch) -> dict[str, Any]:
    """What all values have in common, and whether the likelihood is a density."""
    x = seen(case.rows)
    x = x[np.isfinite(x)]
    if not len(x):
        return {}
    whole = bool((x == np.round(x)).all())
    low, high = float(x.min()), float(x.max())
    if whole and low >= 0 and high <= 1:
        name = "binary"
    elif whole and low >= 0:
        name = "count"
    elif low >= 0 and high <= 1:
        name = "unit"
    else:
        name = "real"
    return {"values": name, "density": not case.discrete}


def seen(batch: Batch) -> Floats:
    """Observed entries of all rows."""
    x = as_float(batch.tensor).double()
    mask = batch.observed
    found: Floats = (x if mask is None else x[mask.expand_as(x)]).flatten().cpu().numpy()
    return found


@torch.no_grad()
def predictive(case: Case, train: Batch) -> dict[str, Any]:
    r"""Squared errors over the variance that the likelihood gives them, and draws outside the range of the data.

    .. math:: \mathbb{E}_{q(z|x)}\left[\frac{(x - \mu(z))^2}{\sigma^2(z)}\right] = 1

    where model and posterior are right; mean and variance are those of draws, so that every family has them.
    """
    chosen = random_rows(len(train), ROWS, derive(case.seed, "predicted rows"))
    some = train if chosen is None else train.take(chosen)
    x = as_float(some.tensor).double()
    noise = RowNoise.of(derive(case.seed, "predictive"), CODES, range(len(some)), range(CODES), device=some.device)
    with judging(case.model), using(noise):
        p = case.latent.infer(some, CODES).likelihood
        everything = torch.stack([draw(p, grad=False).double() for _ in range(DRAWS + 1)])  # (draws, codes, rows, ...)
    drawn, other = everything[1:], everything[0]
    mask = torch.ones_like(x, dtype=torch.bool) if some.observed is None else some.observed.expand_as(x)
    variance = drawn.var(0)
    kept = mask & torch.isfinite(x) & (variance > 0)
    if not bool(kept.any()):
        return {}
    # The mean of draws is off by 1 / DRAWS, and one over their variance is too large on average.
    fair = (DRAWS - 3) / (DRAWS - 1) / (1 + 1 / DRAWS)
    squared = ((x - drawn.mean(0)).square() / variance)[kept] * fair
    data = torch.from_numpy(seen(train))
    low, high = data.min(), data.max()
    margin = 0.01 * (high - low)
    outside = ((drawn < low - margin) | (drawn > high + margin)).double().mean(0)[kept].mean()
    return {
        "dispersion": float(squared.mean()), "bulk": float(squared.median()) / MEDIAN,
        "tails": max(0.0, far_out(x, drawn, kept) - far_out(other, drawn, kept)), "outside": float(outside),
    }


def far_out(x: Tensor, drawn: Tensor, kept: Tensor) -> float:
    """Share of entries more than five robust deviations of the draws away; heavy tails do not widen those."""
    middle = drawn.median(0).values
    scale = 1.4826 * (drawn - middle).abs().median(0).values
    return float(((x - middle).abs() > FAR * scale)[kept].double().mean())


@torch.no_grad()
def columns(case: Case, train: Batch, told: Told) -> dict[str, Any]:
    """Correlations that reconstructions leave, and the column in which most of the loss varies."""
    x = as_float(train.tensor).double()
    found: dict[str, Any] = {}
    if train.observed is None:
        left = (x - only(verbs.reconstruct(case.model, train)).double()).flatten(1).cpu().numpy()
        found["structure"] = structure(left)
    family = getattr(getattr(case.model, "likelihood", None), "family", None)
    if isinstance(family, MixedFamily):  # each column has a scale of its own, and densities stand beside masses
        return found
    with judging(case.model), using(RowNoise.of(case.seed, 1, range(len(train)), range(1), device=train.device)):
        p = case.latent.infer(train).likelihood
        cost = -elementwise(p, as_float(train.tensor))[0].double().flatten(1)
    if train.observed is not None:
        cost = cost.where(train.observed.expand_as(train.tensor).flatten(1), torch.nan)
    return {**found, **dominating(cost, told)}


def dominating(cost: Tensor, told: Told) -> dict[str, Any]:
    """Share of the column whose distortion varies most, and its name; nothing for fewer than three columns.

    What is not observed costs NaN, and does not count.
    """
    if cost.shape[1] < 3:
        return {}
    middle = cost.nanmedian(0).values
    moves = ((cost - middle).abs().nanmean(0) + (middle - middle.nanmedian()).abs()).nan_to_num()
    share = moves / moves.sum().clamp_min(1e-300)
    worst = int(share.argmax())
    name = str(told.columns[worst]) if len(told.columns) == len(share) else str(worst)
    return {"column_share": float(share[worst]), "column": name}


def structure(residuals: Floats) -> float:
    """Largest eigenvalue of the correlations of residuals, over the largest that pure noise has.

    The edge of noise is (1 + sqrt(D / n))^2 (Marchenko and Pastur, 1967).

    Example:
        >>> noise = np.random.default_rng(0).normal(size=(500, 10))
        >>> 0.8 < structure(noise) < 1.2, structure(noise + 2 * noise[:, :1]) > 4
        (True, True)
    """
    spread = residuals.std(0)
    kept = residuals[:, spread > 1e-9 * np.abs(residuals).max(initial=0.0)]
    if kept.shape[1] < 2:
        return 1.0
    n, d = kept.shape
    values = np.linalg.eigvalsh(np.corrcoef(kept, rowvar=False))
    return float(values[-1] / (1 + np.sqrt(d / n)) ** 2)
