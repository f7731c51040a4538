"""The six sets of HI-VAE with their published mask of 20 % missing entries: what stands in the holes, by method.

Errors are those of that paper, per column on the masked entries: the share of wrong values for categories; root mean
squared error over the column's range for ordered values and numbers. Their mean over columns is a set's figure.
Categories and ordered values are declared as the folder says (codes cannot be told from numbers); types of numbers are
inferred. Sets of more than 8,000 rows are cut to 8,000 random ones, the same for all; forests are fitted on 3,000.
"""

from __future__ import annotations

import csv
import time
import warnings
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, SimpleImputer

import senzai

from .common import need_data

SETS = ("Breast", "Wine", "spam", "letter", "defaultCredit", "Adult")
FOREST_ROWS, TREES, FOREST_ROUNDS = 3000, 20, 3
MOST = 8000
"""Rows of a set that are used."""
Method = Callable[[pd.DataFrame, dict[str, str], int], pd.DataFrame]
NAMES = {"mean_mode": "mean and mode", "iterative": "IterativeImputer", "forests": "forests"}


def read(name: str) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, str]]:
    """Return the rows, the rows with holes, and the type of each column: cat, ordinal, or number."""
    real = pd.read_csv(need_data(f"hivae/{name}/data.csv"), header=None).astype(float)
    with need_data(f"hivae/{name}/data_types.csv").open(newline=None) as file:
        declared = [row["type"] for row in csv.DictReader(file) if row["type"]]
    real.columns = [f"c{i}" for i in range(real.shape[1])]
    kinds = {c: t if t in ("cat", "ordinal") else "number" for c, t in zip(real, declared, strict=True)}
    mask = pd.read_csv(need_data(f"hivae/{name}/Missing20_1.csv"), header=None).to_numpy(dtype=int) - 1
    holes = real.to_numpy().copy()
    holes[mask[:, 0], mask[:, 1]] = np.nan
    return real, pd.DataFrame(holes, columns=real.columns), kinds


def errors(real: pd.DataFrame, holes: pd.DataFrame, made: pd.DataFrame, kinds: dict[str, str]) -> dict[str, float]:
    """Return the error of each column on its masked entries."""
    found = {}
    for name, kind in kinds.items():
        gone = (holes[name].isna() & real[name].notna()).to_numpy()
        if not gone.any():
            continue
        true, said = real[name].to_numpy()[gone], made[name].to_numpy(dtype=float)[gone]
        if kind == "cat":
            found[name] = float((true != said).mean())
        else:
            span = float(real[name].max() - real[name].min())
            found[name] = float(np.sqrt(((true - said) ** 2).mean()) / span) if span else 0.0
    return found


# --- methods ----------------------------------------------------------------------------------------------------------
def ours(holes: pd.DataFrame, kinds: dict[str, str], seed: int) -> pd.DataFrame:
    """Fit a table model on the rows with their holes, and fill them."""
    named = {"cat": "categorical", "ordinal": "ordinal"}
    types = {f"schema.{c}": named[k] for c, k in kinds.items() if k in named}
    run = senzai.fit(holes, progress=False, seed=seed, settings=types, test=0)
    return run.impute(holes, seed=seed)


def mean_mode(holes: pd.DataFrame, kinds: dict[str, str], seed: int) -> pd.DataFrame:
    """Fill in the mean of numbers and ordered values, and the commonest category."""
    made = holes.copy()
    for name, kind in kinds.items():
        how = "most_frequent" if kind == "cat" else "mean"
        made[[name]] = SimpleImputer(strategy=how).fit_transform(holes[[name]])
    return made


def iterative(holes: pd.DataFrame, kinds: dict[str, str], seed: int, coding: str) -> pd.DataFrame:
    """Return what scikit-learn's IterativeImputer says with its defaults."""
    return _coded(holes, kinds, coding, lambda x: IterativeImputer(random_state=seed).fit_transform(x))


def forests(holes: pd.DataFrame, kinds: dict[str, str], seed: int, coding: str) -> pd.DataFrame:
    """Return what trees say in missForest's way: column after column, some rounds."""
    trees = ExtraTreesRegressor(TREES, min_samples_leaf=3, max_features="sqrt", random_state=seed)
    model = IterativeImputer(trees, max_iter=FOREST_ROUNDS, random_state=seed, skip_complete=True)
    rows = np.random.default_rng(seed).permutation(len(holes))[:FOREST_ROWS]
    return _coded(holes, kinds, coding, lambda x: model.fit(x[rows]).transform(x))


def _coded(
    holes: pd.DataFrame, kinds: dict[str, str], coding: str, fill: Callable[[np.ndarray], np.ndarray]
) -> pd.DataFrame:
    """Give a method numbers, and turn its answer back.

    A category becomes its code (``codes``), or a column for every level but the commonest (``one_hot``): with all of
    them a level would follow from the others, which are missing with it.
    """
    parts, places = [], []
    for name, kind in kinds.items():
        column = holes[name].to_numpy()
        levels, counts = np.unique(column[~np.isnan(column)], return_counts=True)
        if kind == "cat":
            if coding == "one_hot":
                levels = np.r_[levels[counts.argmax()], np.delete(levels, counts.argmax())]
            part = (column[:, None] == levels[1:] if coding == "one_hot" else np.searchsorted(levels, column)[:, None])
            part = part.astype(float)
            part[np.isnan(column)] = np.nan
            places.append(levels)
        else:
            places.append((np.nanmean(column), np.nanstd(column) or 1.0))
            part = ((column - places[-1][0]) / places[-1][1])[:, None]
        parts.append(part)
    filled = fill(np.concatenate(parts, 1))
    made, start = holes.copy(), 0
    for (name, kind), part, place in zip(kinds.items(), parts, places, strict=True):
        block, start = filled[:, start : start + part.shape[1]], start + part.shape[1]
        gone = holes[name].isna().to_numpy()
        made.loc[gone, name] = _back(block, kind, coding, place)[gone]
    return made


def _back(block: np.ndarray, kind: str, coding: str, place: Any) -> np.ndarray:
    if kind != "cat":
        return block[:, 0] * place[1] + place[0]
    if coding == "codes":
        return place[np.clip(np.rint(block[:, 0]), 0, len(place) - 1).astype(int)]
    return place[np.c_[1 - block.sum(1), block].argmax(1)]


METHODS: dict[str, Method] = {
    "mean_mode": mean_mode, "iterative": partial(iterative, coding="one_hot"),
    "iterative_codes": partial(iterative, coding="codes"), "forests": partial(forests, coding="codes"), "senzai": ours,
}


# --- all of it --------------------------------------------------------------------------------------------------------
def timed(fill: Method, holes: pd.DataFrame, kinds: dict[str, str], seed: int) -> tuple[pd.DataFrame, float]:
    """Return filled rows and the seconds they took."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fill(holes, kinds, seed), time.perf_counter() - start


def judged(
    real: pd.DataFrame, holes: pd.DataFrame, kinds: dict[str, str], runs: list[tuple[pd.DataFrame, float]]
) -> dict[str, Any]:
    """Return the error of a method, by seed and by type of column."""
    found = [errors(real, holes, made, kinds) for made, _ in runs]
    by_seed = [float(np.mean(list(f.values()))) for f in found]
    every = {k: [v for f in found for c, v in f.items() if kinds[c] == k] for k in sorted(set(kinds.values()))}
    return {
        "error": float(np.mean(by_seed)), "by_seed": by_seed, "seconds": float(np.median([s for _, s in runs])),
        "by_kind": {k: float(np.mean(v)) for k, v in every.items() if v},
    }


def measure(names: tuple[str, ...], seeds: int, *, quick: bool = False) -> dict[str, Any]:
    """Fill the holes of some sets by every method; seeds count for senzai only."""
    found: dict[str, Any] = {}
    for name in names:
        real, holes, kinds = read(name)
        if quick:
            real, holes = real[:300], holes[:300]
        if len(real) > MOST:
            some = np.sort(np.random.default_rng(0).choice(len(real), MOST, replace=False))
            real, holes = real.iloc[some].reset_index(drop=True), holes.iloc[some].reset_index(drop=True)
        row: dict[str, Any] = {"rows": len(real), "columns": len(kinds), "kinds": dict(Counter(kinds.values()))}
        for method, fill in METHODS.items():
            many = seeds if method == "senzai" else 1
            row[method] = judged(real, holes, kinds, [timed(fill, holes, kinds, seed) for seed in range(many)])
            print(name, method, row[method], flush=True)
        found[name] = row
    forest = {"trees": TREES, "rows": FOREST_ROWS, "rounds": FOREST_ROUNDS}
    return {"sets": found, "forest": forest, "most_rows": MOST}

