"""Every recipe on one small task, the built-in digits: ``python -m benchmarks.run zoo [RECIPE ...]``.

It shows that each recipe does what it says, with the same numbers for all: bound, log-likelihood, rate,
reconstructions. It is no comparison of methods: nothing was tuned, the steps are few, and there is one seed.
"""

from __future__ import annotations

import json
import shlex
import time
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from senzai.evaluation import evaluate
from senzai.recipes import RECIPES
from senzai.runs import Run, fit

from .common import RESULTS

SHARED: dict[str, Any] = {"n_latent": 8, "hidden": [128], "steps": 1000, "sampler": "none"}
K, KNOWN = 500, 100


@dataclass(frozen=True)
class Case:
    """How one recipe is run.

    Args:
        settings: What it changes of the shared settings; ``None`` leaves one out.
        rows: ``digits``; ``sequences``: a picture as eight steps of eight pixels; ``few_labels``: 100 labels.
        note: What its numbers are, where they are something else.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    rows: str = "digits"
    note: str = ""


NO_WIDTHS = {"n_latent": None, "hidden": None}
CODES = Case(NO_WIDTHS, note="The rate is that of the codes under the learned prior.")
STEPS = Case({}, "sequences", "Each picture is a sequence of eight steps, one row of pixels each.")
LABELS = Case({}, "few_labels", f"{KNOWN} training rows have a label.")
CASES: dict[str, Case] = {
    "cvae": Case({"condition": "label"}, note="All densities are given the label."),
    "cvae-structured": Case(note="Densities are those of the lower half of a picture, given the upper one."),
    "m1": LABELS, "m2": LABELS, "m1-m2": LABELS, "dmm": STEPS, "vrnn": STEPS,
    "vdvae": Case(NO_WIDTHS), "vq-vae": CODES, "vq-vae-2": Case({**NO_WIDTHS, "network": "conv"}, note=CODES.note),
    "residual-vq-vae": CODES, "fsq-vae": CODES, "lfq-vae": CODES,
}
VARIANTS: dict[str, dict[str, Any]] = {
    "iwae": {"gradient": "dreg"}, "dip-vae": {"dip": "i"},
    "ladder-vae": {"warmup": "constant"}, "sa-vae": {"posterior.differentiable": True},
}
"""Settings of a second run of a recipe, shown beside the first."""


def settings_of(name: str) -> dict[str, Any]:
    """Return the settings of a recipe's run."""
    both = {**SHARED, **CASES.get(name, Case()).settings}
    return {k: v for k, v in both.items() if v is not None}


def command(name: str) -> str | None:
    """Return what to type for the same run, where the rows are the built-in ones."""
    if CASES.get(name, Case()).rows != "digits":
        return None
    told = [f"{k}={str(v).replace(' ', '')}" for k, v in settings_of(name).items()]
    options = " ".join(f"--set {shlex.quote(t)}" for t in told)
    return f"senzai fit digits --out runs/{name} --recipe {name} {options}"


def rows_of(kind: str) -> Any:
    """Return what is trained on."""
    if kind == "digits":
        return "digits"
    x, y = load_digits(return_X_y=True)
    x = x.astype(np.uint8)
    if kind == "sequences":
        return x.reshape(-1, 8, 8)
    hidden = np.random.default_rng(0).permutation(len(y))[round(KNOWN * len(y) / 1437):]
    return x.reshape(-1, 8, 8), np.where(np.isin(np.arange(len(y)), hidden), -1, y)


def figures_of(name: str, run: Run, data: Any) -> dict[str, Any]:
    """Return the figures of the test rows."""
    dataset = run.dataset(data)
    index = dataset.split_indices()["test"]
    batch = dataset.batch(index)
    found = evaluate(run.model, batch, k=K, discrete_step=run.discrete_step())
    keys = ("log_likelihood", "log_likelihood_se", "elbo", "distortion", "rate", "bits_per_dim", "active_units")
    kept = {k: found[k] for k in keys if found.get(k) is not None}
    x, y = batch.tensor.numpy(), load_digits().target[index]
    again = np.asarray(run.reconstruct((x, y) if name == "cvae" else x), dtype=float)
    kept["squared_error"] = float(np.square(again.reshape(len(index), -1) - x.reshape(len(index), -1)).mean())
    if CASES.get(name) is LABELS:
        kept["right"] = float((run.predict(x).argmax(1) == y).mean())
    return {**kept, "rows": len(index), "notes": found["notes"]}


def measure_one(name: str, *, quick: bool = False, **more_settings: Any) -> dict[str, Any]:
    """Train one recipe, and judge it."""
    case = CASES.get(name, Case())
    data = rows_of(case.rows)
    more = {"kind": "array"} if case.rows == "sequences" else {}
    start = time.perf_counter()
    settings = {**settings_of(name), **more_settings, **({"steps": 20} if quick else {})}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = fit(data, recipe=name, progress=False, seed=0, **more, **settings)
        seconds = time.perf_counter() - start
        found = figures_of(name, run, data)
    return {**found, "k": K, "seconds": seconds, "settings": settings, "command": command(name), "note": case.note}


def measure(names: tuple[str, ...] = (), *, quick: bool = False) -> dict[str, Any]:
    """Return the figures of recipes, all by default, beside those there are of others."""
    path = RESULTS / "zoo.json"
    found = json.loads(path.read_text(encoding="utf-8"))["recipes"] if names and path.exists() else {}
    for name in names or tuple(RECIPES):
        found[name] = measure_one(name, quick=quick)
        if name in VARIANTS:
            found[name]["variant"] = measure_one(name, quick=quick, **VARIANTS[name])
        print(name, {k: round(v, 2) for k, v in found[name].items() if isinstance(v, float)}, flush=True)
    return {"recipes": {name: found[name] for name in RECIPES if name in found}}
