"""Risk where the truth is known, and value at risk of two indices on days that nothing was trained on.

``own``, ``common``: five assets from a CCC-GARCH-t law (GARCH(1,1) for each, a constant correlation, Student t
innovations with six degrees of freedom), 10,000 days to train on. Two laws of innovations: each asset's own, mixed by
the Cholesky factor (``own``), or one chi-squared number for all (``common``, a multivariate t, which has wild days in
all assets at once). Truth is a million days of the law. Paths of each generator are 200 of 1,000 days after 200 to
settle. Settings are what the kind proposes, with 1,000 steps of training; nothing was chosen by these numbers.

``indices``: adjusted closes of S&P 500 and NASDAQ 1999 to 2018, as arch ships them. Filter and model see the days
before the last 1,000, which are forecast one by one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch

import senzai
from senzai.evaluation.stylised import bootstrap, facts

Floats = np.ndarray[Any, Any]
D, FREEDOM, DAYS, SETTLE = 5, 6.0, 10_000, 200
OMEGA, ALPHA, BETA = 0.05, np.linspace(0.06, 0.12, D), 0.86
AIMS = {"var": 0.05, "es": 0.06, "acf_size": 0.03, "correlation": 0.03}
ROWS = ("own", "common", "indices")
STEPS = 1000
"""Steps of training of every model."""


def correlation() -> Floats:
    """Return the true correlation of innovations: five assets on a ring, neighbours closer."""
    at = np.arange(D)
    found = 0.37 + 0.12 * np.cos(2 * np.pi * (at[:, None] - at) / D)
    np.fill_diagonal(found, 1.0)
    return found


def simulated(paths: int, days: int, law: str, seed: int) -> Floats:
    """Return returns in per cent, ``(paths, days, 5)``."""
    rng, mix = np.random.default_rng(seed), np.linalg.cholesky(correlation())
    variance = np.tile(OMEGA / (1 - ALPHA - BETA), (paths, 1))
    made = np.empty((paths, days, D))
    unit = np.sqrt((FREEDOM - 2) / FREEDOM)
    for t in range(-500, days):
        if law == "own":
            draws = rng.standard_t(FREEDOM, size=(paths, D)) * unit
        else:
            draws = rng.normal(size=(paths, D)) * np.sqrt((FREEDOM - 2) / rng.chisquare(FREEDOM, size=(paths, 1)))
        deviation = np.sqrt(variance) * (draws @ mix.T)
        if t >= 0:
            made[:, t] = deviation
        variance = OMEGA + ALPHA * deviation**2 + BETA * variance
    return made


def judged(made: Floats) -> dict[str, Any]:
    """Return the facts that are compared, with every correlation."""
    found = facts(made)
    flat = made.reshape(-1, made.shape[2])
    pairs = np.corrcoef(flat[~np.isnan(flat).any(1)].T)[np.triu_indices(D, 1)] if made.shape[2] == D else []
    return {**found, "correlations": np.asarray(pairs).tolist()}


def missed(found: dict[str, Any], truth: dict[str, Any]) -> dict[str, Any]:
    """Return how far numbers are from the truth: shares of it, or differences, and whether they are near enough."""
    far = {
        "var": found["var"] / truth["var"] - 1, "es": found["es"] / truth["es"] - 1,
        "acf_size": found["acf_size"] - truth["acf_size"],
        "correlation": float(np.abs(np.subtract(found["correlations"], truth["correlations"])).max()),
    }
    return {**far, "within": {k: bool(abs(v) <= AIMS[k]) for k, v in far.items()}}


def fitted(frame: pd.DataFrame, seed: int, quick: bool, **settings: Any) -> tuple[Any, float]:
    """Return a run and the seconds it took."""
    began = time.perf_counter()
    course = {"steps": 20, "sampler": "none"} if quick else {"steps": STEPS}
    run = senzai.fit(frame, kind="series", seed=seed, **course, **settings)
    return run, time.perf_counter() - began


def paths_of(run: Any, frame: pd.DataFrame, n: int, days: int) -> dict[str, Floats]:
    """Return paths of a run's model, and those that draw its residuals again."""
    market = market_case(run, frame)
    steps = -(-(days + SETTLE) // market.window)
    x = run_samples(run, steps * n)
    found = {"model": market.paths(x, n)[:, SETTLE:]}
    if market.again is not None:
        found["again"] = market.again(n, days + SETTLE, 0)[:, SETTLE:]
    return found


def market_case(run: Any, frame: pd.DataFrame) -> Any:
    """Return training returns and the ways to paths."""
    from senzai.runs.verbs.evaluate import market_of

    dataset = run.dataset(frame)
    return market_of(run, dataset, np.arange(len(dataset)))


def run_samples(run: Any, n: int) -> torch.Tensor:
    """Return model values of new windows."""
    from senzai.core.batch import only
    from senzai.models import verbs

    return only(verbs.sample(run.samplers.apply_to(run.model), n, seed=1))


def on_simulations(law: str, seeds: int, quick: bool) -> dict[str, Any]:
    """Return each generator beside the truth of a law."""
    days, n, long = (600, 4, 300) if quick else (DAYS, 200, 1000)
    truth, rounds = judged(simulated(20 if quick else 1000, 1000, law, 99)), []
    for seed in range(seeds):
        train = simulated(1, days, law, seed)[0]
        index = pd.bdate_range("1980-01-01", periods=days)
        frame = pd.DataFrame(train, columns=list("abcde"), index=index)
        shared = {"returns": "given", "test": 0.0}
        run, seconds = fitted(frame, seed, quick, filter="garch", **shared)
        made = paths_of(run, frame, n, long)
        every = {"GARCH filter and VAE": made["model"], "filtered historical simulation": made["again"],
                 "stationary bootstrap": bootstrap(train, n, long, seed)}
        print(law, seed, missed(judged(made["model"]), truth), flush=True)
        plain, more = fitted(frame, seed, quick, filter="none", window=20, **shared)
        every["window VAE"] = paths_of(plain, frame, n, long)["model"]
        told = {name: judged(r) for name, r in every.items()}
        rounds.append({
            "seed": seed, "seconds": {"GARCH filter and VAE": seconds, "window VAE": more}, "facts": told,
            "missed": {name: missed(one, truth) for name, one in told.items()}, "training_days": judged(train[None]),
        })
        print(law, seed, rounds[-1]["missed"], flush=True)
    names = list(rounds[0]["missed"])
    mean = {name: {k: float(np.mean([abs(r["missed"][name][k]) for r in rounds])) for k in AIMS} for name in names}
    return {law: {"aims": AIMS, "days": days, "truth": truth, "rounds": rounds, "mean_absolute_miss": mean,
                  "all_within": {name: all(all(r["missed"][name]["within"].values()) for r in rounds)
                                 for name in names}}}


def indices() -> pd.DataFrame:
    """Return adjusted closes of the two indices."""
    from arch.data import nasdaq, sp500

    both = [m.load()["Adj Close"].rename(n) for m, n in ((sp500, "SPX"), (nasdaq, "NDQ"))]
    return pd.concat(both, axis=1).dropna()


def on_indices(seeds: int, quick: bool) -> dict[str, Any]:
    """Return backtests of the filter with a VAE and of the window VAE on the same days."""
    frame = indices()
    asked = {"days": 50 if quick else 1000, "draws": 1000 if quick else 10_000}
    rounds = []
    for seed in range(seeds):
        one: dict[str, Any] = {"seed": seed}
        for name, settings in {"GARCH filter and VAE": {}, "window VAE": {"filter": "none", "window": 20}}.items():
            run, seconds = fitted(frame, seed, quick, returns="log", test=0.2, **settings)
            began = time.perf_counter()
            told = run.risk(frame, seed=seed, **asked)
            one[name] = {"fit_seconds": seconds, "risk_seconds": time.perf_counter() - began, "first": told["first"],
                         "last": told["last"], "series": {n: v["99"] for n, v in told["forecasts"].items()}}
            short = {n: (v["99"]["hits"], round(v["99"]["var"], 4), *(round(v["99"]["tests"][t]["p_value"], 3)
                         for t in ("kupiec", "independence", "conditional_coverage")))
                     for n, v in told["forecasts"].items()}
            print(seed, name, short, flush=True)
        rounds.append(one)
    return {"indices": {"rounds": rounds, **asked}}


PARTS: dict[str, Callable[[int, bool], dict[str, Any]]] = {
    "own": partial(on_simulations, "own"), "common": partial(on_simulations, "common"), "indices": on_indices,
}


def measure(rows: tuple[str, ...] = ROWS, rounds: int = 3, *, quick: bool = False) -> dict[str, Any]:
    """Return the parts that are asked for, each with its seconds."""
    found: dict[str, Any] = {}
    for name in rows or ROWS:
        began = time.perf_counter()
        found |= PARTS[name](1 if quick else rounds, quick)
        found[name] |= {"steps": STEPS, "seconds": time.perf_counter() - began}
    return found
