"""Anomalies in twenty sets of ADBench: ``score`` with its defaults beside PyOD's detectors, on the same rows.

Every method is fitted on all rows of a set and scores them; labels only judge. Sets of more than 2,000 rows are cut to
2,000 random ones, the same for all. Halves are every other set in the order of their names. ``fresh`` are sets made of
classes of the digits of scikit-learn.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.metrics import average_precision_score, roc_auc_score

import senzai

from .common import need_data

MOST = 2000
OTHERS = Path(__file__).with_name("others.py")
NAMES = {"vae": "PyOD VAE", "pca": "PCA", "ecod": "ECOD", "iforest": "isolation forest", "knn": "kNN"}


def sets(*, quick: bool = False) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield name, rows and labels (1 is an anomaly)."""
    paths = sorted(need_data("adbench").glob("*.npz"))
    for path in paths[:2] if quick else paths:
        with np.load(path) as z:
            x, y = z["X"].astype(np.float64), z["y"].astype(int)
        if len(x) > MOST:
            some = np.sort(np.random.default_rng(0).choice(len(x), MOST, replace=False))
            x, y = x[some], y[some]
        yield path.stem, x, y


def fresh(share: float = 0.05) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield the digits with one class each time rare: so many of its rows that they are a share of all."""
    x, digit = load_digits(return_X_y=True)
    for rare in (0, 1, 8):
        rng = np.random.default_rng(rare)
        normal, strange = np.flatnonzero(digit != rare), np.flatnonzero(digit == rare)
        kept = np.sort(np.r_[normal, rng.choice(strange, int(share * len(normal) / (1 - share)), replace=False)])
        yield f"digits_{rare}", x[kept], (digit[kept] == rare).astype(int)


def ours(x: np.ndarray, seed: int) -> tuple[np.ndarray, float]:
    """Return scores of the rows a table model was fitted on, and the processor seconds of both."""
    frame = pd.DataFrame(x, columns=[f"c{i}" for i in range(x.shape[1])])
    start = time.process_time()
    run = senzai.fit(frame, progress=False, seed=seed)
    return run.score(frame), time.process_time() - start


def theirs(rows: dict[str, np.ndarray], seeds: int, python: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the scores of the other detectors by set, and the versions of their packages."""
    with tempfile.TemporaryDirectory() as folder:
        for name, x in rows.items():
            np.savez(Path(folder, f"{name}.rows.npz"), x=x)
        subprocess.run([python, str(OTHERS), "detectors", folder, str(seeds)], check=True, capture_output=True)
        found = {name: dict(np.load(Path(folder, f"{name}.scores.npz"))) for name in rows}
        return found, json.loads(Path(folder, "versions.json").read_text())


def judged(y: np.ndarray, scores: list[np.ndarray], seconds: list[float]) -> dict[str, Any]:
    """Return AUROC, average precision and processor time of each seed."""
    return {
        "auroc": [float(roc_auc_score(y, s)) for s in scores],
        "ap": [float(average_precision_score(y, s)) for s in scores], "seconds": [float(s) for s in seconds],
    }


def compare(given: list[tuple[str, np.ndarray, np.ndarray]], seeds: int, python: str) -> dict[str, Any]:
    """Judge all methods on some sets."""
    found: dict[str, Any] = {}
    others, versions = theirs({name: x for name, x, _ in given}, seeds, python)
    for name, x, y in given:
        runs = [ours(x, seed) for seed in range(seeds)]
        row = {"senzai": judged(y, [s for s, _ in runs], [t for _, t in runs])}
        for other in NAMES:
            own = [k for k in others[name] if k.startswith(f"{other}.") and k.count(".") == 1]
            row[other] = judged(y, [others[name][k] for k in own], [others[name][f"{k}.seconds"] for k in own])
        found[name] = {"rows": len(x), "columns": x.shape[1], "anomalies": float(y.mean()), **row}
        print(name, x.shape, {m: round(float(np.mean(row[m]["auroc"])), 3) for m in row}, flush=True)
    halves = {h: means({n: found[n] for n in half(list(found), h)}) for h in HALVES if len(found) > 1}
    return {"sets": found, "versions": versions, "mean": means(found), "halves": halves}


HALVES = ("first", "second")


def half(names: list[str], which: str) -> list[str]:
    """Return every other set in the order of names, from the first or from the second on."""
    return sorted(names)[HALVES.index(which) :: 2]


def means(found: dict[str, Any]) -> dict[str, Any]:
    """Return means over sets, the spread of that mean over seeds, and our leads with their standard errors over sets.

    A lead in AUROC is ``lead``, one in average precision ``lead_ap``.
    """
    def over(method: str, what: str) -> np.ndarray:
        return np.array([np.mean(r[method][what]) for r in found.values()])

    out: dict[str, Any] = {}
    for method in ("senzai", *NAMES):
        n = min(len(r[method]["auroc"]) for r in found.values())
        by_seed = [float(np.mean([r[method]["auroc"][i] for r in found.values()])) for i in range(n)]
        out[method] = {
            "auroc": float(over(method, "auroc").mean()), "ap": float(over(method, "ap").mean()), "by_seed": by_seed,
            "seconds": float(over(method, "seconds").mean()),
        }
        for what, lead in {"auroc": "lead", "ap": "lead_ap"}.items():
            gap = over("senzai", what) - over(method, what)
            error = gap.std(ddof=1) / len(gap) ** 0.5 if len(gap) > 1 else 0.0
            out[method] |= {lead: float(gap.mean()), f"{lead}_error": float(error)}
    return out


def measure(seeds: int, python: str, *, quick: bool = False) -> dict[str, Any]:
    """Judge everything."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = compare(list(sets(quick=quick)), seeds, python)
        other = compare(list(fresh())[: 1 if quick else None], seeds, python)
        return {"most_rows": MOST, "seeds": seeds, **known, "fresh": other}
