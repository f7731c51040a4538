"""Time from the call of ``fit`` on ten thousand rows of thirty mixed columns to a run that is ready to use."""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import pandas as pd

import senzai
from senzai.runs.fit import make

from . import bare
from .common import clock
from .turns import beside, in_turns, own_turns

ROWS, SETS_OF_TEN = 10_000, 3


def ten_columns(rng: np.random.Generator, n: int) -> dict[str, Any]:
    """Return ten columns of different types that hang together through two hidden numbers, 3 % of them missing."""
    a, b = rng.standard_normal((2, n))
    noise = rng.standard_normal((6, n))
    columns = {
        "income": np.exp(3 + 0.5 * a + 0.3 * noise[0]).round(2), "balance": 100 * (a + b + noise[1]).round(3),
        "ratio": 1 / (1 + np.exp(-(b + 0.5 * noise[2]))), "age": np.clip(40 + 12 * a + 4 * noise[3], 18, 90).round(),
        "visits": rng.poisson(np.exp(1.5 + 0.5 * b)).astype(float),
        "calls": rng.poisson(np.exp(3 + 0.7 * a)).astype(float),
        "grade": np.digitize(a + 0.5 * noise[4], [-1.5, -0.5, 0.5, 1.5]).astype(float),
        "region": np.array([f"r{i}" for i in range(12)])[np.digitize(b + noise[5], np.linspace(-2, 2, 11))],
        "segment": np.array(list("abcd"))[(rng.random((n, 4)) + np.stack([a, -a, b, -b], 1)).argmax(1)],
        "active": rng.random(n) < 1 / (1 + np.exp(-a)),
    }
    for name in ("income", "visits", "region"):
        columns[name] = pd.Series(columns[name]).mask(rng.random(n) < 0.1)
    return columns


def mixed_frame(n: int = ROWS, seed: int = 0) -> pd.DataFrame:
    """Return a frame of thirty columns."""
    rng = np.random.default_rng(seed)
    sets = [ten_columns(rng, n) for _ in range(SETS_OF_TEN)]
    return pd.DataFrame({f"{name}_{i}": column for i, columns in enumerate(sets) for name, column in columns.items()})


def against_bare(run: Any, frame: pd.DataFrame, rounds: int) -> dict[str, Any]:
    """Milliseconds of processor time a step: of ``fit``, and of a hand-written loop of the same network and loss."""
    dataset, batch_size = run.dataset(frame), run.metrics["fit"]["batch_size"]
    made = make("vae", dataset, {}, 0)
    family, n_latent = made[0].likelihood.family, made[0].prior.n_latent
    by_hand = bare.table_steps(family, dataset.batch(), batch_size=batch_size, n_latent=n_latent)
    return beside(rounds, senzai=own_turns(made, dataset, batch_size=batch_size), bare=in_turns(by_hand))


def measure(rounds: int, *, quick: bool = False) -> dict[str, Any]:
    """Fit with the default settings some times."""
    frame = mixed_frame(500 if quick else ROWS)
    more = {"steps": 5} if quick else {}
    senzai.fit(frame[:500], progress=False, steps=2)  # imports
    runs: list[Any] = []
    seconds = [clock(lambda i=i: runs.append(senzai.fit(frame, progress=False, seed=i, **more))) for i in range(rounds)]
    return {
        "rows": len(frame), "columns": frame.shape[1], "seconds": statistics.median(seconds), "values": seconds,
        "training_seconds": [run.metrics["fit"]["seconds"] for run in runs], "steps": runs[0].metrics["fit"]["steps"],
        "batch_size": runs[0].metrics["fit"]["batch_size"],
        "validation_elbo": [run.metrics["fit"]["validation_elbo"] for run in runs],
        "against_bare": against_bare(runs[0], frame, 2 if quick else 20 * rounds),
        "types": pd.Series([c.type for c in runs[0].schema.details.columns]).value_counts().to_dict(),
    }
