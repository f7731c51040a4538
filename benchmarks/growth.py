"""How the cost of two verbs grows: `score` with the number of rows, `impute` with the number of columns.

A cost that grows no faster than the data has ratios of about one: processor seconds per row or cell, beside the same of
the smallest size of the same run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

import senzai

ROWS = (1_000, 10_000, 100_000)
COLUMNS = (100, 300, 1_000)
N_IMPUTED = 3_000


def frame(rows: int, columns: int) -> pd.DataFrame:
    """Return normal columns that hang together through four hidden numbers."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(rows, 4)) @ rng.normal(size=(4, columns)) + 0.3 * rng.normal(size=(rows, columns))
    return pd.DataFrame(values, columns=[f"c{j}" for j in range(columns)])


def seconds(work: Callable[[], Any]) -> float:
    """Return the processor seconds of some work."""
    began = time.process_time()
    work()
    return time.process_time() - began


def scoring(sizes: tuple[int, ...], steps: int) -> dict[str, Any]:
    """Score ever more rows of 20 columns, and one row again and again."""
    data = frame(sizes[-1], 20)
    run = senzai.fit(data.head(20_000), steps=steps, seed=0)
    run.score(data.head(10))  # what is read once
    found = {n: seconds(partial(run.score, data.head(n))) for n in sizes}
    one = min(seconds(partial(run.score, data.head(1))) for _ in range(9))
    return {"seconds": found, "one_row_ms": 1000 * one, "ratio_per_row": _growth(found)}


def imputing(sizes: tuple[int, ...], rows: int, steps: int) -> dict[str, Any]:
    """Fill in a fifth of the cells of ever wider tables."""
    found = {}
    for columns in sizes:
        data = frame(rows, columns)
        data = data.mask(np.random.default_rng(1).random(data.shape) < 0.2)
        run = senzai.fit(data, steps=steps, seed=0)
        found[columns] = seconds(partial(run.impute, data))
    return {"rows": rows, "seconds": found, "ratio_per_cell": _growth(found)}


def _growth(found: dict[int, float]) -> dict[int, float]:
    first, *_ = found
    return {n: found[n] / n / (found[first] / first) for n in found}


def measure(*, quick: bool = False) -> dict[str, Any]:
    """Return processor seconds by size, and what a row or a cell costs beside the smallest size."""
    if quick:
        return {"score": scoring((100, 1_000), 20), "impute": imputing((5, 20), 100, 20)}
    return {"score": scoring(ROWS, 300), "impute": imputing(COLUMNS, N_IMPUTED, 200)}
