"""Rows about series, each run by itself: ``python -m benchmarks.run series stock sine taxi known_causes ucr stream``.

``stock``, ``sine``, ``energy``, ``air``: windows of 24 steps by the protocol of TimeGAN. All windows train the
generator, and as many samples as windows are judged, on the scale on which the windows go from 0 to 1. Judge and pupil
are those of ``senzai.evaluation.temporal``: a recurrent layer of half the columns, 2000 and 5000 steps of 128 windows,
Adam. Published (Diffusion-TS, table 1, and TimeVAE): see ``PUBLISHED``; two scales of the predictive score of sines are
in use there, 0.093 and 0.213, and which one a number is on depends on how sines were made.

``taxi``: rides in New York each half hour; the last fifth of the steps is the test, 48 steps are forecast.

``known_causes``: seven series of NAB with known causes. Detectors learn from all windows of 48 steps that begin every
4, without labels; scores of steps are means over windows. A tenth of the windows is held out of ours, for its scores to
be compared with. VUS-PR with buffers to 100 steps, nothing adjusted.

``ucr``: labelled series. A linear probe on codes beside one on whole windows, and 1-NN with as many new windows as
there are of each class.

``stream``: a million steps of eight columns: memory of a fit, and steps a second that are scored.

Settings are what the kind proposes; nothing was chosen by these numbers, but steps of training, which say how long
there was.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import senzai
from senzai.core.batch import only
from senzai.data import open_data
from senzai.evaluation.ranges import volume_under_pr
from senzai.evaluation.temporal import (
    JudgeSettings,
    autocorrelation_distance,
    discriminative_score,
    in_range,
    predictive_score,
    spectrum_distance,
)
from senzai.models import verbs

from .common import need_data, peak_mib

PUBLISHED = {
    "stock": {"TimeGAN": (0.102, 0.038), "TimeVAE": (0.145, 0.039), "Diffusion-TS": (0.067, 0.036)},
    "sine": {"TimeGAN": (0.011, 0.093), "TimeVAE": (0.041, 0.093), "TimeVAE, its paper": (0.021, 0.213)},
    "energy": {"TimeGAN": (0.236, 0.273), "TimeVAE": (0.499, 0.292)},
    "air": {},
}
"""Discriminative and predictive scores."""
STEPS, LAGS = 2000, 12
OPTIONS = {"validation": 0.0, "test": 0.0}
SETS = ("GunPoint", "ItalyPowerDemand", "BasicMotions", "JapaneseVowels")
NAB = (
    "ambient_temperature_system_failure", "cpu_utilization_asg_misconfiguration", "ec2_request_latency_system_failure",
    "machine_temperature_system_failure", "nyc_taxi", "rogue_agent_key_hold", "rogue_agent_key_updown",
)
PEER = """
import sys, numpy as np
from pyod.models.vae import VAE
z = np.load(sys.argv[1])
found = VAE(random_state=int(sys.argv[3]), epoch_num=30, verbose=0).fit(z["x"]).decision_function(z["x"])
np.save(sys.argv[2], found)
"""


# --- windows of 24 ----------------------------------------------------------------------------------------------------
def windows_of(name: str) -> tuple[Any, dict[str, Any]]:
    """Return the source of a set of windows, and how it is opened."""
    if name == "stock":
        return pd.read_csv(need_data("timegan_stock/stock_data.csv")), {"window": 24, **OPTIONS}
    share = {"sine": 20, "energy": 100, "air": 100}[name]
    with np.load(need_data(f"timevae/{name}_subsampled_train_perc_{share}.npz")) as z:
        x = z["data"]
    return np.where(x == -200, np.nan, x) if name == "air" else x, OPTIONS


def windows(name: str) -> Callable[..., dict[str, Any]]:
    """Return what measures a set of windows."""

    def measured(rounds: int, *, quick: bool, steps: int = STEPS) -> dict[str, Any]:
        source, options = windows_of(name)
        course = {"steps": 20} if quick else {}
        found = []
        for seed in range(rounds):
            began = time.perf_counter()
            run = senzai.fit(source, kind="series", seed=seed, steps=20 if quick else steps, schedule="one_cycle",
                             sampler="none" if quick else "mixture", **options)
            fitted = time.perf_counter() - began
            data = open_data(source, kind="series", options=options)
            batch = data.batch()
            x = batch.tensor
            made = only(verbs.sample(run.samplers.apply_to(run.model), len(x), seed=seed)).float()
            if batch.observed is not None:
                made = made.masked_fill(~batch.observed, 0.0)  # holes where the windows have theirs
            real, new = in_range(x, made)
            judged = discriminative_score(real, new, JudgeSettings(seed=seed, **course))
            taught = predictive_score(real, new, JudgeSettings(seed=seed, **course))
            pair = x.double().numpy(), made.double().numpy()
            found.append({
                "seed": seed, "fit_seconds": fitted, "discriminative": judged.document(),
                "predictive": taught.document(), "autocorrelation_distance": autocorrelation_distance(*pair, LAGS),
                "spectrum_distance": spectrum_distance(*pair),
            })
            print(name, found[-1], flush=True)
        mean = {k: float(np.mean([f[k]["value"] for f in found])) for k in ("discriminative", "predictive")}
        return {"windows": len(x), "steps": steps, "seeds": found, "mean": mean, "published": PUBLISHED[name]}

    return measured


# --- forecasts --------------------------------------------------------------------------------------------------------
def taxi(rounds: int, *, quick: bool) -> dict[str, Any]:
    """Return coverage and ranked probability scores of 48 steps, in units of the standardised series."""
    frame = pd.read_csv(need_data("nab/data/realKnownCause/nyc_taxi.csv"))
    found = []
    for seed in range(rounds):
        began = time.perf_counter()
        run = senzai.fit(frame, kind="series", window=96, horizon=48, test=0.2, seed=seed,
                         **({"steps": 20, "sampler": "none"} if quick else {}))
        fitted = time.perf_counter() - began
        told = run.forecast(frame, horizon=48, n=20 if quick else 200, level=0.9, checked=50, seed=seed).attrs
        found.append({"seed": seed, "fit_seconds": fitted, "season": run.kind.season(run.schema), **told})
        print("taxi", found[-1], flush=True)
    return {"seeds": found, "nominal": 0.9}


# --- anomalies --------------------------------------------------------------------------------------------------------
def known_causes(rounds: int, *, quick: bool, peer: str | None = None) -> dict[str, Any]:
    """Return VUS-PR of each series and detector."""
    from sklearn.ensemble import IsolationForest

    marks = json.loads(need_data("nab/labels/combined_windows.json").read_text())
    found: dict[str, Any] = {}
    for name in NAB[:1] if quick else NAB:
        frame = pd.read_csv(need_data(f"nab/data/realKnownCause/{name}.csv"))
        frame = frame.drop_duplicates("timestamp").reset_index(drop=True)
        when = pd.to_datetime(frame["timestamp"])
        y = np.zeros(len(frame), int)
        for a, b in marks[f"realKnownCause/{name}.csv"]:
            y[(when >= pd.Timestamp(a)) & (when <= pd.Timestamp(b))] = 1
        plain = pd.DataFrame({"step": np.arange(len(frame)), "value": frame["value"]})
        options = {"window": 48, "stride": 4, **OPTIONS}
        data = open_data(plain, kind="series", options=options)
        x = data.batch().tensor.flatten(1).double().numpy()

        def along(scores: Any, data: Any = data) -> Any:
            wide = np.repeat(np.asarray(scores)[:, None], 48, axis=1)
            return data.kind.along(wide, data.schema, data.source, name="score")["score"].to_numpy()

        others = ["isolation forest", *(["PyOD's VAE"] if peer else [])]
        rows: dict[str, list[float]] = {name: [] for name in ("senzai", "senzai, own scores of steps", *others)}
        for seed in range(rounds):
            run = senzai.fit(plain, kind="series", seed=seed, steps=20 if quick else 1000, schedule="one_cycle",
                             sampler="none", **{**options, "validation": 0.1})
            for row, of in (("senzai", "windows"), ("senzai, own scores of steps", "steps")):
                scores = run.score_steps(plain, of=of, seed=seed)["score"].to_numpy()
                rows[row].append(volume_under_pr(scores, y))
            forest = IsolationForest(random_state=seed).fit(x)
            rows["isolation forest"].append(volume_under_pr(along(-forest.score_samples(x)), y))
            if peer:
                rows["PyOD's VAE"].append(volume_under_pr(along(peer_scores(peer, x, seed)), y))
        found[name] = rows
        print(name, {k: [round(v, 3) for v in vs] for k, vs in rows.items()}, f"share {y.mean():.3f}", flush=True)
    mean = {k: float(np.mean([np.mean(r[k]) for r in found.values()])) for k in next(iter(found.values()))}
    return {"series": found, "mean": mean, "window": 48, "stride": 4, "longest_buffer": 100}


def peer_scores(python: str, x: Any, seed: int) -> Any:
    """Return scores of PyOD's VAE, which another interpreter has."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder, "x.npz"), Path(folder, "made.npy")
        np.savez(given, x=x)
        subprocess.run([python, "-c", PEER, str(given), str(made), str(seed)], check=True, capture_output=True)
        return np.load(made)


# --- labelled series --------------------------------------------------------------------------------------------------
def ucr(rounds: int, *, quick: bool) -> dict[str, Any]:
    """Return accuracies of probes and of neighbours."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def accuracy(model: Any, train: tuple[Any, Any], test: tuple[Any, Any]) -> float:
        return float(make_pipeline(StandardScaler(), model).fit(*train).score(*test))

    found: dict[str, Any] = {}
    for name in SETS[:1] if quick else SETS:
        stem = f"{name}_eq" if name == "JapaneseVowels" else name
        paths = [need_data(f"ucr/{name}/{stem}_{part}.ts") for part in ("TRAIN", "TEST")]
        rows = []
        for seed in range(rounds):
            run = senzai.fit(paths[0], seed=seed, test=0.0, validation=0.1, steps=20 if quick else 1000,
                             schedule="one_cycle", sampler="none")
            train, test = (run.dataset(path) for path in paths)
            (a, ya), (b, yb) = ((d.batch().tensor.flatten(1).numpy(), d.batch().y.numpy()) for d in (train, test))
            codes = [np.asarray(run.encode(path)) for path in paths]
            new, labels = [], []
            for number, label in enumerate(train.schema.label.classes):
                made = np.asarray(run.augment("label", label, int((ya == number).sum()), data=paths[0], seed=seed))
                again = open_data((made, np.full(len(made), label)), schema=run.schema)
                new.append(again.batch().tensor.flatten(1).numpy())
                labels.append(np.full(len(made), number))
            more = np.concatenate([a, *new]), np.concatenate([ya, *labels])
            rows.append({
                "seed": seed,
                "probe_codes": accuracy(LogisticRegression(max_iter=2000), (codes[0], ya), (codes[1], yb)),
                "probe_windows": accuracy(LogisticRegression(max_iter=2000), (a, ya), (b, yb)),
                "nearest": float(KNeighborsClassifier(1).fit(a, ya).score(b, yb)),
                "nearest_augmented": float(KNeighborsClassifier(1).fit(*more).score(b, yb)),
            })
            print(name, rows[-1], flush=True)
        found[name] = rows
    kept = {n: float(np.mean([r["nearest_augmented"] - r["nearest"] for r in rs])) for n, rs in found.items()}
    return {"sets": found, "gain_of_augmentation": kept}


# --- size -------------------------------------------------------------------------------------------------------------
def stream(rounds: int, *, quick: bool) -> dict[str, Any]:
    """Return memory of a fit and steps scored a second."""
    n, d = (20_000 if quick else 1_000_000), 8
    rng, t = np.random.default_rng(0), np.arange(n)
    noise = rng.normal(size=(n, d)).astype(np.float32)
    frame = pd.DataFrame(10 * np.sin(2 * np.pi * t / 24)[:, None] + noise, columns=[f"c{j}" for j in range(d)])
    frame.insert(0, "step", t)
    before = peak_mib()
    began = time.perf_counter()
    run = senzai.fit(frame, kind="series", window=24, stride=24, steps=20 if quick else 500, sampler="none")
    fitted, after = time.perf_counter() - began, peak_mib()
    began, worked = time.perf_counter(), time.process_time()
    run.score_steps(frame.iloc[: n // 4], k=1)
    seconds, processor = time.perf_counter() - began, time.process_time() - worked
    return {"steps": n, "columns": d, "mib_of_the_frame": frame.memory_usage().sum() / 2**20, "mib_before": before,
            "mib_after_fit": after, "fit_seconds": fitted, "mib_after_score": peak_mib(),
            "steps_scored_a_second": n // 4 / seconds, "steps_scored_a_processor_second": n // 4 / processor,
            "stride": 24}


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    **{name: windows(name) for name in PUBLISHED}, "taxi": taxi, "known_causes": known_causes, "ucr": ucr,
    "stream": stream,
}


def measure(row: str, rounds: int = 3, *, quick: bool = False, peer: str | None = None) -> dict[str, Any]:
    """Return one row, with its seconds."""
    began = time.perf_counter()
    more = {"peer": peer} if row == "known_causes" else {}
    found = PARTS[row](1 if quick else rounds, quick=quick, **more)
    return {"row": row, **found, "seconds": time.perf_counter() - began, "threads": torch.get_num_threads()}
