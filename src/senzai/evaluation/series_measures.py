"""Measures of the catalogue for rows along time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.random import derive
from ..nn.inputs import as_float
from .catalogue import Case, measure
from .context import contrastive_features
from .holes import filled, middle_of, with_same_holes
from .measures import at_random, rows_of
from .results import Floats
from .samples import frechet_distance
from .statistics import random_rows
from .temporal import (
    JudgeSettings,
    autocorrelation,
    autocorrelation_distance,
    discriminative_score,
    in_range,
    predictive_score,
    spectrum,
    spectrum_distance,
)

WINDOWS = 2000


def holed(batch: Batch) -> Floats:
    """Return windows with NaN where nothing was observed."""
    x, seen = as_float(batch.tensor).double(), batch.observed
    return (x if seen is None else x.masked_fill(~seen, torch.nan)).cpu().numpy()


def both(case: Case, most: int) -> tuple[Batch, Tensor]:
    """Return judged rows and as many samples."""
    n = rows_of(case, most)
    chosen = random_rows(len(case.rows), n, derive(case.seed, "windows"))
    return case.rows if chosen is None else case.rows.take(chosen), case.samples(n)


@measure(
    "autocorrelation", "autocorrelations of samples beside those of windows", usual=True,
    needs=("steps", "samples", "rows"), cost=lambda c, p: p.row * rows_of(c, WINDOWS) + 0.1,
)
def autocorrelations(case: Case) -> Mapping[str, Any]:
    """The distance of samples to held-out rows, and that of training rows to them."""
    rows, made = both(case, WINDOWS)
    real, lags = holed(rows), max(1, rows.tensor.shape[1] // 2)
    floor = None if case.extras.train is None else autocorrelation_distance(real, holed(case.extras.train), lags)
    new = made.double().cpu().numpy()
    return {"distance": autocorrelation_distance(real, new, lags), "floor": floor, "lags": lags, "rows": len(rows),
            "real": autocorrelation(real, lags), "made": autocorrelation(new, lags)}


@measure(
    "spectrum", "spectra of samples beside those of windows", usual=True, needs=("steps", "samples", "rows"),
    cost=lambda c, p: p.row * rows_of(c, WINDOWS) + 0.1,
)
def spectra(case: Case) -> Mapping[str, Any]:
    """The distance of samples to held-out rows, and that of training rows to them."""
    rows, made = both(case, WINDOWS)
    real, new = holed(rows), made.double().cpu().numpy()
    floor = None if case.extras.train is None else spectrum_distance(real, holed(case.extras.train))
    return {"distance": spectrum_distance(real, new), "floor": floor, "rows": len(rows), "real": spectrum(real),
            "made": spectrum(new)}


@measure(
    "context_frechet", "how far samples are from windows in features of windows that are learned without labels",
    needs=("steps", "samples", "rows", "train"), cost=lambda c, p: p.row * rows_of(c, WINDOWS) + 4,
)
def context_frechet(case: Case) -> Mapping[str, Any]:
    """The Fréchet distance of samples to held-out rows in contrastive features, and that of training rows to them.

    The encoder sees training rows alone. All sets are of one size and have the same holes.
    """
    train = case.extras.train
    assert train is not None  # it was asked for
    n = min(rows_of(case, WINDOWS), len(train))
    seed = derive(case.seed, "context")
    held, made, known, _ = with_same_holes(
        at_random(case.rows, n, seed=case.seed), case.samples(n), at_random(train, n, seed=case.seed),
        middle=middle_of(train), seed=case.seed,
    )
    features = contrastive_features(filled(train), seed=seed)
    real, new, floor = (features(x) for x in (held, made, known))
    return {
        "features": features.name, "rows": n,
        "distance": frechet_distance(real, new, features=features.name, seed=seed),
        "floor": frechet_distance(real, floor, features=features.name, seed=seed),
    }


@measure(
    "discriminative", "how well a recurrent judge tells windows from samples (0 is best, 0.5 worst)",
    needs=("steps", "samples", "rows"), cost=lambda c, p: p.row * rows_of(c, WINDOWS) + 20,
)
def discriminative(case: Case) -> Mapping[str, Any]:
    """The discriminative score on held-out rows."""
    rows, made = both(case, WINDOWS)
    real, new = in_range(torch.from_numpy(np.nan_to_num(holed(rows))).float(), made.float().cpu())
    return {"score": discriminative_score(real, new, JudgeSettings(seed=derive(case.seed, "judge")))}


@measure(
    "predictive", "how well a pupil that learned from samples predicts windows",
    needs=("steps", "samples", "rows"), cost=lambda c, p: p.row * rows_of(c, WINDOWS) + 60,
)
def predictive(case: Case) -> Mapping[str, Any]:
    """The predictive score on held-out rows."""
    rows, made = both(case, WINDOWS)
    real, new = in_range(torch.from_numpy(np.nan_to_num(holed(rows))).float(), made.float().cpu())
    return {"score": predictive_score(real, new, JudgeSettings(seed=derive(case.seed, "pupil")))}
