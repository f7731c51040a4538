"""Fewer rows than columns: how much of the correlations is in samples, beside factor analysis and nothing at all.

Columns hang together through five hidden numbers. A pair trend is one minus half the mean absolute difference of the
correlations of two tables, over all pairs of columns; samples are compared with 1,000 rows that no method saw.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import FactorAnalysis

import senzai

N_TRAIN, N_HELD, N_COLUMNS, N_HIDDEN = 60, 1_000, 200, 5
Floats = np.ndarray[Any, Any]


def rows(seed: int, columns: int) -> tuple[Floats, Floats]:
    """Return training rows and held-out ones."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(N_HIDDEN, columns)) * rng.gamma(1, 1, size=(N_HIDDEN, 1)) / N_HIDDEN**0.5
    n = N_TRAIN + N_HELD
    x = rng.normal(size=(n, N_HIDDEN)) @ weights + rng.normal(size=(n, columns))
    return x[:N_TRAIN], x[N_TRAIN:]


def pair_trend(a: Floats, b: Floats) -> float:
    """Return how alike the correlations of two tables are, 0 to 1."""
    pairs = np.triu_indices(a.shape[1], 1)
    return float(1 - np.abs(np.corrcoef(a.T)[pairs] - np.corrcoef(b.T)[pairs]).mean() / 2)


def measure(rounds: int, *, quick: bool = False) -> dict[str, Any]:
    """Return pair trends with held-out rows, a number for each seed."""
    found: dict[str, list[float]] = {k: [] for k in ("training_rows", "independent", "factor_analysis", "senzai")}
    columns = 20 if quick else N_COLUMNS
    for seed in range(rounds):
        train, held = rows(seed, columns)
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame(train, columns=[f"c{j}" for j in range(columns)])
        run = senzai.fit(frame, seed=seed, progress=False, **({"steps": 20} if quick else {}))
        factors = FactorAnalysis(N_HIDDEN).fit(train)
        made = {
            "training_rows": train, "independent": np.stack([rng.permutation(c) for c in train.T], 1),
            "factor_analysis": rng.multivariate_normal(factors.mean_, factors.get_covariance(), N_HELD),
            "senzai": run.sample(N_HELD, seed=0).to_numpy(),
        }
        for name, x in made.items():
            found[name].append(pair_trend(x, held))
    return {"rows": N_TRAIN, "columns": columns, "seeds": rounds, "pair_trend": found}
