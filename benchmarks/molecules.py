"""Molecules of QM9: what comes back, what is new, what the code tells of properties, and a search for better ones.

20,000 different molecules drawn with a fixed seed from 133,247 (what RDKit or SELFIES refuse is left out): 80 % train,
10 % validate, 10 % are the test. Exact reconstruction: the likeliest symbol at each step, from the mean code, gives the
same canonical SMILES. R² is that of a ridge regression from mean codes, fitted to one half of the test rows and judged
on the other. The search spends its calls on the score of the decoded molecule; it is compared with the best of as many
new molecules and of as many training molecules, drawn with the same seed.
"""

from __future__ import annotations

import csv
import random
import statistics
from typing import Any

import numpy as np

from senzai.data import KINDS

from .common import kept_run, need_data

ROWS, CALLS, SAMPLES = 20_000, 500, 10_000
SETTINGS: dict[str, Any] = {
    "n_latent": 56, "beta": 0.05, "bag_weight": 1.0, "placed": True, "free_bits": 0.0, "properties": "logp,qed",
    "steps": 2000, "batch_size": 64, "lr": 3e-3, "schedule": "cosine", "sampler": "mixture", "likelihood.width": 192,
    "likelihood.embedding": 64, "encoder.width": 96, "encoder.embedding": 64,
}


def rows(n: int = ROWS) -> list[str]:
    """Return molecules in a fixed random order."""
    with need_data("qm9/qm9.csv").open(encoding="utf-8", newline="") as file:
        found = [row["smiles"] for row in csv.DictReader(file)]
    random.Random(0).shuffle(found)
    return found[:n]


def trained(smiles: list[str], seed: int, **settings: Any) -> Any:
    """Return a run; with ``SENZAI_RUNS`` set, that of an earlier start, gone on with if it was stopped."""
    given = {**SETTINGS, **settings, "kind": "molecules", "seed": seed, "split_seed": 0, "progress": False}
    return kept_run(f"molecules-{seed}", smiles, given)


def judged(run: Any, data: Any) -> dict[str, Any]:
    """Return what is measured of a run."""
    parts = data.split_indices()
    test = data.take(parts["test"])
    kind = KINDS["molecules"]
    truth, back = kind.decode(test.batch().x, data.schema), run.reconstruct(test)
    found = run.evaluate(data, k=10)
    new = run.sample(SAMPLES, seed=0)
    measured = found["measured"]
    return {
        "exact": float(np.mean([a == b for a, b in zip(truth, back, strict=True)])),
        "rate": found["rate"], "active_units": found["active_units"], "elbo": found["elbo"],
        "valid": float(np.mean([bool(s) for s in new])), "unique_10k": len(set(new)) / len(new),
        "r2": {name: one["value"] for name, one in measured.get("numbers", {}).items() if isinstance(one, dict)},
        "new_rows": {k: v["value"] for k, v in measured["new_rows"].items() if isinstance(v, dict)},
    }


def searched(run: Any, data: Any, seed: int, calls: int) -> dict[str, float]:
    """Return the best QED of a search, of new molecules and of training molecules, at as many calls."""
    kind = KINDS["molecules"]
    best = run.optimise(objective="qed", budget=calls, seed=seed)
    drawn = run.sample(calls, seed=seed)
    train = data.split_indices()["train"]
    chosen = np.random.default_rng(seed).choice(train, calls, replace=False)
    known = kind.decode(data.batch(chosen).x, data.schema)
    return {
        "search": float(best.scores[0]),
        "samples": float(np.nanmax(kind.quantity(drawn, "qed", data.schema))),
        "training": float(np.nanmax(kind.quantity(known, "qed", data.schema))),
    }


def measure(rounds: int, *, quick: bool = False) -> dict[str, Any]:
    """Return medians over seeds of training, and all searches of the first."""
    smiles = rows(300 if quick else ROWS)
    runs, searches = [], []
    for seed in range(1 if quick else rounds):
        run = trained(smiles, seed, **({"steps": 10} if quick else {}))
        data = run.dataset(smiles)
        runs.append({"minutes": run.metrics["fit"]["seconds"] / 60, **judged(run, data)})
        print(runs[-1], flush=True)
        if not seed:
            for i in range(1 if quick else 5):
                searches.append(searched(run, data, i, 20 if quick else CALLS))
                print(searches[-1], flush=True)
    names = [name for name, value in runs[0].items() if isinstance(value, int | float)]
    return {
        "protocol": __doc__, "rows": len(smiles), "settings": SETTINGS, "seeds": len(runs), "runs": runs,
        "median": {name: statistics.median(r[name] for r in runs) for name in names}
        | {f"r2_{name}": statistics.median(r["r2"][name] for r in runs) for name in runs[0]["r2"]},
        "searches": searches, "calls": 20 if quick else CALLS,
        "search_beats_both": sum(s["search"] > max(s["samples"], s["training"]) for s in searches),
    }
