"""Recommendation on Last.fm (implicit): recipes with five seeds beside popularity, item-kNN, EASE and ALS, one split.

Settings are chosen by NDCG@100 on validation users with seed 0; test users are looked at once for each seed.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import senzai
from senzai.data import Dataset, open_data
from senzai.data.histories import Histories
from senzai.data.sparse import Sparse, entries
from senzai.evaluation.ranking import Ranked, figures
from senzai.evaluation.recommending import beside, expected_items, judged
from senzai.evaluation.users import Users

from .common import RESULTS, machine, need_data, peak_mib

GRID: dict[str, tuple[dict[str, Any], ...]] = {
    "mult-vae": (
        {"beta": 0.2, "hidden": [200], "n_latent": 64}, {"beta": 0.5, "hidden": [200], "n_latent": 64},
        {"beta": 0.2, "hidden": [], "n_latent": 100},
    ),
    "recvae": (
        {"gamma": 0.005, "hidden": [200, 200], "n_latent": 64}, {"gamma": 0.002, "hidden": [200, 200], "n_latent": 64},
    ),
    "mult-dae": ({"hidden": [200], "n_latent": 64},),
}
STEPS = {"mult-vae": 400, "recvae": 500, "mult-dae": 300}
TRAINING: dict[str, Any] = {"lr": 2e-3, "batch_size": 200, "sampler": "none", "progress": False}
CRITERION = "ndcg_at_100"


def users_of(data: Dataset) -> Users:
    parts = data.split_indices()
    test, validation = (data.kind.histories(data.rows, data.schema, parts[p]) for p in ("test", "validation"))
    assert test is not None
    return Users(test, entries(data.rows, parts["train"]), validation)


def found_by(run: Any, users: Histories | None) -> Ranked:
    assert users is not None
    return judged(lambda seen, _: expected_items(run.model, seen), users)


def measure(seeds: int, *, quick: bool, path: Path | None = None) -> dict[str, Any]:
    """Return the figures; what is there already is written after every run."""
    torch.set_num_threads(1)
    path = path or need_data("lastfm/listens.csv")
    users = users_of(open_data(path))
    result: dict[str, Any] = {"machine": machine(), "split": users.judged.how, "test_users": len(users.judged.judged)}

    def keep() -> None:
        if not quick:
            (RESULTS / "recommend.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")

    def fit(recipe: str, seed: int, own: dict[str, Any]) -> tuple[Any, float]:
        began = time.process_time()
        steps = 5 if quick else STEPS[recipe]
        run = senzai.fit(path, recipe=recipe, steps=steps, seed=seed, **TRAINING, **own)
        return run, time.process_time() - began

    runs: dict[str, list[Ranked]] = {}
    for recipe, grid in GRID.items():
        tried, best = [], None
        for own in grid:
            run, seconds = fit(recipe, 0, own)
            gain = float(found_by(run, users.validation).per_user[CRITERION].mean())
            tried.append({**own, f"validation_{CRITERION}": gain, "processor_seconds": seconds})
            if best is None or gain > best[0]:
                best = (gain, own, run)
            result[recipe] = {"tried": tried}
            keep()
        assert best is not None
        runs[recipe] = [found_by(best[2], users.judged)]
        for seed in range(1, 2 if quick else seeds):
            runs[recipe].append(found_by(fit(recipe, seed, best[1])[0], users.judged))
            result[recipe] = {"tried": tried, "chosen": best[1], **over_seeds(runs[recipe], users)}
            keep()
    every = runs["mult-vae"]
    mean = Ranked({n: np.mean([r.per_user[n] for r in every], 0) for n in every[0].per_user}, every[0].lists)
    found = beside(users, mean, seed=0)  # users, each with the mean of the seeds
    result["beside"] = {n: drop(v) for n, v in found.items()}
    result["mult-vae"]["better_than"] = {n: v["model_is_better_by"] for n, v in found.items() if "ndcg_at_100" in v}
    keep()
    return result


def over_seeds(every: list[Ranked], users: Users) -> dict[str, Any]:
    """Means over seeds, with the deviation between seeds, and the standard error over users."""
    told = [figures(r, users.train, seed=0) for r in every]
    names = [n for n in told[0] if not n.endswith("_se")]
    return {
        "seeds": len(every),
        **{n: {
            "mean": float(np.mean([t[n] for t in told])), "sd_of_seeds": float(np.std([t[n] for t in told], ddof=1)),
            "se_of_users": float(np.mean([t[f"{n}_se"] for t in told])),
        } for n in names},
    }


def drop(found: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in found.items() if k != "model_is_better_by"}


def made_up(users: int, items: int, per_user: int, *, seed: int = 0) -> Sparse:
    """Make users of twenty tastes, of whom most has to do with items of the own taste; popular items go first."""
    rng, tastes = np.random.default_rng(seed), 20
    share = 1 / (np.arange(items // tastes) + 20.0) ** 0.8
    ends = np.cumsum(share / share.sum())
    indptr, pieces = [np.zeros(1, np.int64)], []
    for start in range(0, users, 4096):
        n = min(4096, users - start)
        rank = np.minimum(np.searchsorted(ends, rng.random((n, per_user))), len(ends) - 1)
        own = rng.random(rank.shape) < 0.7
        taste = np.where(own, rng.integers(tastes, size=n)[:, None], rng.integers(tastes, size=rank.shape))
        chosen = np.sort(rank * tastes + taste, 1)
        new = np.diff(chosen, axis=1, prepend=-1) > 0
        pieces.append(chosen[new].astype(np.int32))
        indptr.append(indptr[-1][-1] + np.cumsum(new.sum(1)))
    return Sparse(np.concatenate(indptr), np.concatenate(pieces), None, items)


def scale(users: int, items: int, per_user: int, *, steps: int) -> dict[str, Any]:
    """Fit made-up interactions that lie on disk, and return speed, memory, and the time of a recommendation.

    A rate of users per processor second is told with and without what a run costs before its first step: the second is
    from the difference of a short run and one of three times as many steps. The decoder is linear, as in RecVAE.
    """
    from tempfile import TemporaryDirectory

    rng = np.random.default_rng(0)
    given: dict[str, Any] = {
        "kind": "interactions", "hidden": [200], "decoder.hidden": [], "n_latent": 64, "batch_size": 500,
        "sampler": "none", "progress": False,
    }

    def fit(steps: int, **own: Any) -> tuple[Any, float, float]:
        began, wall = time.process_time(), time.perf_counter()
        run = senzai.fit(Path(folder) / "m", steps=steps, **given, **own)
        return run, time.process_time() - began, time.perf_counter() - wall

    with TemporaryDirectory() as folder:
        matrix = made_up(users, items, per_user)
        there = len(matrix.indices)
        matrix.save(Path(folder) / "m")
        del matrix
        before = peak_mib() / 1024
        run, fitted, wall = fit(steps)
        peak = peak_mib() / 1024
        few = max(1, steps // 8)
        (_, short, _), (_, longer, _) = (fit(n, validation=0, test=0) for n in (few, 3 * few))
    took, seconds = [], []
    for _ in range(30):
        began, first = time.process_time(), time.perf_counter()
        run.recommend(items=[str(i) for i in rng.choice(run.schema.columns[:1000], 20, replace=False)], k=10)
        took.append(1000 * (time.process_time() - began))
        seconds.append(1000 * (time.perf_counter() - first))
    speeds = [line["samples_per_second"] for line in run.heard if line.get("kind") == "train"]
    return {
        "users": users, "items": len(run.schema.columns), "interactions": there, "steps": steps,
        "precision": run.metrics["fit"]["precision"],
        "users_per_second_steady": float(np.median(speeds)),
        "users_per_second_of_training": run.metrics["fit"]["samples_per_second"],
        "users_per_second_of_fit": steps * given["batch_size"] / wall,
        "users_per_processor_second_steady": 2 * few * given["batch_size"] / (longer - short),
        "users_per_processor_second_of_fit": steps * given["batch_size"] / fitted,
        "fit_seconds": wall, "fit_processor_seconds": fitted, "load_of_the_machine": os.getloadavg()[1],
        "recommend_ms_median": float(np.median(seconds)), "recommend_processor_ms_median": float(np.median(took)),
        "recommend_processor_ms_worst": float(max(took)), "peak_gib_before": before, "peak_gib": peak,
    }
