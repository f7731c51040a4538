"""Five families of generative models on one data set: the same loop and seconds for each, and the same measures."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..core.errors import InputError, SenzaiError, SettingError
from ..core.random import derive
from ..data import Dataset, open_data
from ..evaluation.features import Features, pca_features
from ..evaluation.probes import probe
from ..evaluation.samples import classifier_two_sample_test, frechet_distance, precision_recall_density_coverage
from .family_words import words_about
from .fit import fit
from .run import Run

Floats = NDArray[np.float64]
MOST_ROWS, MOST_NUMBERS, LEAST_ROWS, JUDGED = 20_000, 1_024, 200, 1_000
FEWEST_STEPS, MOST_STEPS, TRIED = 20, 50_000, 30
SHARE = 0.7
"""Share of the time that goes into training; the rest measures."""
K = 200
"""Draws of the importance-weighted bound."""
DIVERGED = 10.0
"""Times the variance of the data from which on a Fréchet distance counts as a run that diverged."""
WARMING = 0.5
"""Share of a variational autoencoder's steps in which the weight of its rate rises."""


@dataclass(frozen=True)
class GeneratorFamily:
    """One of the five.

    Args:
        title: What it is called.
        recipe: Recipe that stands for it.
        settings: Its settings beside the recipe's defaults.
        likelihood: ``exact``, ``bound``, or why there is none.
    """

    title: str
    recipe: str
    likelihood: str
    settings: Mapping[str, Any] = field(default_factory=dict)


FAMILIES: Mapping[str, GeneratorFamily] = {
    "vae": GeneratorFamily("variational autoencoder", "sigma-vae", "bound", {"warmup": "linear"}),
    "gan": GeneratorFamily("generative adversarial network", "gan", "none: rows have no density under a generator"),
    "autoencoder": GeneratorFamily(
        "autoencoder and a mixture on its codes", "autoencoder", "none: codes without a rate bound nothing",
        {"sampler": "mixture"},
    ),
    "flow": GeneratorFamily("normalising flow", "flow", "exact"),
    "flow matching": GeneratorFamily(
        "diffusion, as flow matching", "flow-matching", "none: the path is followed in steps, its density is not exact"
    ),
}


@dataclass(frozen=True)
class Task:
    """Rows as numbers, divided once for all families.

    Args:
        x: Rows, ``(N, d)``.
        y: Their classes, where there are any.
        truth: Name of a built-in data set whose density is known.
        notes: What was done to the data, in sentences.
    """

    x: Floats
    y: NDArray[np.int64] | None
    truth: str | None
    notes: tuple[str, ...]


def compare_families(
    data: object, *, minutes: float = 10.0, seeds: int = 3, only: tuple[str, ...] = (),
    announce: Callable[[str], None] = lambda said: None,
) -> dict[str, Any]:
    """Train each family for the same seconds with several seeds, and measure six aspects of each.

    Every family gets the same numbers: rows flattened, whole numbers made continuous by uniform noise (the density of
    the result bounds the probability of the levels), the same training and test rows. A further run of each family at
    ten times its learning rate tells how much it depends on it. Steps are measured on a few first, so that the
    training of each family takes as long; what it took in fact is in the answer.

    Args:
        data: Arrays, tables (their numeric columns are used), small images, or a built-in name.
        minutes: Time for everything together.
        seeds: Runs of each family.
        only: Names of families, instead of all.
        announce: Told what is done next.

    Returns:
        Plain values: for each family its runs and their summary, the floor, the words, and what was done to the data.

    Raises:
        SettingError: A setting is out of range or a family is unknown.
        InputError: The data are no numbers, or too few or too wide.
    """
    if not 0 < minutes < math.inf or seeds < 1:
        raise SettingError(f"`minutes > 0` and `seeds >= 1` must hold, but got minutes={minutes!r}, seeds={seeds!r}.")
    if unknown := [name for name in only if name not in FAMILIES]:
        raise SettingError(f"Unknown family {unknown[0]!r}. Known: {', '.join(FAMILIES)}.")
    names = only or tuple(FAMILIES)
    task = task_of(data)
    budget = SHARE * 60 * minutes / (len(names) * (seeds + 1))
    found: dict[str, Any] = {}
    judge: Judge | None = None
    for name in names:
        steps = affordable_steps(task, FAMILIES[name], budget)
        runs = []
        for seed in range(seeds + 1):
            faster = seed == seeds
            announce(f"{name}: {'ten times the learning rate' if faster else f'seed {seed}'}, {steps} steps")
            run, facts = trained(task, FAMILIES[name], steps, seed=0 if faster else seed, faster=faster)
            if run is not None:
                judge = Judge.of(task, run) if judge is None else judge
                facts |= judge.measured(run, FAMILIES[name], seed)
            runs.append(facts | {"faster": faster})
        found[name] = {"title": FAMILIES[name].title, "recipe": FAMILIES[name].recipe, "runs": runs}
    floor = {} if judge is None else judge.floor()
    for one in found.values():
        one["summary"] = summary(one["runs"], floor)
    return {
        "rows": len(task.x), "numbers": task.x.shape[1], "minutes": minutes, "seeds": seeds, "notes": list(task.notes),
        "seconds_a_run": budget, "floor": floor, "families": found, "words": words_about(found, floor),
    }


# --- data -----------------------------------------------------------------------------------------------------------
def task_of(data: object) -> Task:
    """Return the rows of any data as numbers."""
    dataset = open_data(data)
    x, notes = numbers_of(dataset)
    y = dataset.rows.targets.y
    classes = None if y is None or dataset.rows.targets.known is not None else y.numpy().astype(np.int64)
    whole = np.isfinite(x).all(1)
    if not whole.all():
        notes.append(f"{int((~whole).sum())} rows with missing entries were left out.")
    chosen = np.flatnonzero(whole)
    if len(chosen) > MOST_ROWS:
        chosen = np.sort(np.random.default_rng(0).permutation(chosen)[:MOST_ROWS])
        notes.append(f"{MOST_ROWS:,} rows were drawn from {int(whole.sum()):,}.")
    x = x[chosen]
    if len(x) < LEAST_ROWS or not 1 <= x.shape[1] <= MOST_NUMBERS:
        raise InputError(
            f"Families are compared on {LEAST_ROWS} rows or more of 1 to {MOST_NUMBERS} numbers, but got {len(x)} of "
            f"{x.shape[1]}. Give more rows, or smaller ones."
        )
    if (x == np.round(x)).all():
        x = x + np.random.default_rng(1).random(x.shape)
        notes.append("Whole numbers were made continuous by uniform noise from 0 to 1.")
    truth = "ring" if isinstance(data, str) and data == "ring" else None
    return Task(x, None if classes is None else classes[chosen], truth, tuple(notes))


def numbers_of(dataset: Dataset) -> tuple[Floats, list[str]]:
    """Return rows in the user's units, ``(N, d)``: of a table its numeric columns."""
    decoded = dataset.decode(dataset.batch().x)
    if hasattr(decoded, "select_dtypes"):
        numeric = decoded.select_dtypes("number")
        left = [str(c) for c in decoded.columns if c not in set(numeric.columns)]
        notes = [f"Columns that are no numbers were left out: {', '.join(left)}."] if left else []
        decoded = numeric
    else:
        notes = []
    try:
        x = np.asarray(decoded, dtype=np.float64)
    except (TypeError, ValueError) as err:
        raise InputError(f"Families are compared on numbers, but these rows are none ({err}).") from err
    return x.reshape(len(x), -1), notes


# --- training -------------------------------------------------------------------------------------------------------
def settings_of(family: GeneratorFamily, steps: int, seed: int) -> dict[str, Any]:
    """Return the settings of a run."""
    usual = {"steps": steps, "seed": seed, "test": 0.2, "validate_every": max(1, steps // 4), "network": "mlp"}
    own = dict(family.settings)
    if "warmup" in own:
        own["warmup.steps"] = max(1, int(WARMING * steps))
    free = {k: v for k, v in usual.items() if k != "network" or family.recipe not in ("flow", "flow-matching")}
    return {**free, "values": "real", **own}


def affordable_steps(task: Task, family: GeneratorFamily, budget: float) -> int:
    """Return how many steps fit into some seconds, by a short run; the first one loads what is loaded once."""
    for steps in (2, TRIED):
        settings = {**settings_of(family, steps, 0), "sampler": "none", "validate_every": steps}
        run = fit(task.x, recipe=family.recipe, kind="array", progress=False, settings=settings)
    a_step = run.metrics["fit"]["seconds"] / TRIED
    return int(min(MOST_STEPS, max(FEWEST_STEPS, budget / a_step)))


def trained(
    task: Task, family: GeneratorFamily, steps: int, *, seed: int, faster: bool
) -> tuple[Run | None, dict[str, Any]]:
    """Train one run; return it, or ``None`` where it failed, and what is known of it."""
    settings = settings_of(family, steps, seed)
    began = time.perf_counter()
    try:
        if faster:
            settings["lr"] = 10 * usual_rate(task)
        run = fit(task.x, recipe=family.recipe, kind="array", settings=settings, progress=False)
    except SenzaiError as err:
        return None, {"seed": seed, "failed": str(err), "seconds": time.perf_counter() - began}
    return run, {
        "seed": seed, "failed": None, "steps": steps, "seconds": time.perf_counter() - began,
        "recoveries": run.metrics["fit"]["recoveries"], "parameters": sum(p.numel() for p in run.model.parameters()),
    }


def usual_rate(task: Task) -> float:
    """Return the learning rate that runs on these rows have by default."""
    from ..training.settings import TrainSettings

    settings = TrainSettings()
    n_train = int(len(task.x) * 0.7)
    rate = settings.resolved(settings.chosen_batch_size(n_train)).lr
    assert rate is not None  # it was resolved
    return rate


# --- measures -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Judge:
    """What all runs are compared in: features of the training rows, and the held-out rows.

    Args:
        task: The rows.
        train: Numbers of training rows.
        test: Numbers of held-out rows.
        features: Principal components of standardised rows.
        scale: Mean and standard deviation of each number.
    """

    task: Task
    train: NDArray[np.int64]
    test: NDArray[np.int64]
    features: Features
    scale: tuple[Floats, Floats]

    @classmethod
    def of(cls, task: Task, run: Run) -> Judge:
        """Take the division of a run, which all others share."""
        train, test = run.part(task.x, "train"), run.part(task.x, "test")
        mean, spread = task.x[train].mean(0), task.x[train].std(0)
        spread = np.where(spread > 0, spread, 1.0)
        features = pca_features(torch.from_numpy((task.x[train] - mean) / spread))
        return cls(task, train, test[:JUDGED], features, (mean, spread))

    def read(self, x: Floats) -> Floats:
        """Return the features of rows."""
        return self.features(torch.from_numpy((np.asarray(x, dtype=np.float64) - self.scale[0]) / self.scale[1]))

    def floor(self) -> dict[str, Any]:
        """Return what training rows get in place of samples."""
        rows = np.random.default_rng(0).permutation(self.train)[: len(self.test)]
        found = self._quality(self.task.x[rows])
        variance = float(self.read(self.task.x[self.test]).var(0).sum())
        return {**found, "log_likelihood": self._truth(), "features": self.features.name, "rows": len(self.test),
                "variance": variance}

    def _truth(self) -> float | None:
        if self.task.truth is None:
            return None
        from ..data.ring import log_density

        return float(log_density(self.task.x[self.test]).mean())

    def _quality(self, made: Floats) -> dict[str, Any]:
        real, fake, name = self.read(self.task.x[self.test]), self.read(made), self.features.name
        fidelity = precision_recall_density_coverage(real, fake, features=name)
        found = {
            "frechet": frechet_distance(real, fake, features=name, repeats=0).value,
            "told_apart": classifier_two_sample_test(real, fake, features=name).value,
            **{k: v.value for k, v in fidelity.items()},
        }
        if self.task.truth is not None:
            from ..data.ring import modes_found

            found["modes"], found["near_a_mode"] = modes_found(made)
        return found

    def measured(self, run: Run, family: GeneratorFamily, seed: int) -> dict[str, Any]:
        """Return what one run is worth."""
        began = time.perf_counter()
        made = np.asarray(run.sample(len(self.test), seed=derive(seed, "families"), noise=True), dtype=np.float64)
        sampling = (time.perf_counter() - began) * 1000 / len(self.test)
        if not np.isfinite(made).all():
            return {"failed": "its samples are not finite", "seconds_per_1000_samples": sampling}
        return {
            "seconds_per_1000_samples": sampling, **self._quality(made), "likelihood": self.likelihood(run, family),
            "latents": self.latents(run),
        }

    def likelihood(self, run: Run, family: GeneratorFamily) -> dict[str, Any]:
        """Return log p of held-out rows under what samples are drawn from, under the name of what it is."""
        if family.likelihood not in ("exact", "bound"):
            return {"is": family.likelihood, "value": None}
        rows = self.task.x[self.test]
        values = run.log_likelihood(rows, k=K, sampler="auto")
        se = float(values.std(ddof=1) / math.sqrt(len(values)))
        found = {"is": family.likelihood, "value": float(values.mean()), "se": se}
        if family.likelihood == "bound":
            one_draw = float(run.log_likelihood(rows, k=1, sampler="auto").mean())
            found |= {"draws": K, "gap_to_one_draw": float(values.mean()) - one_draw}
        return found

    def latents(self, run: Run) -> dict[str, Any]:
        """Return what the codes know: classes by a linear probe, the way back, and how even the way between rows is."""
        if not run.model.infers:
            return {"is": "none: it infers no code of a row"}
        rows = self.task.x[self.test]
        codes, again = np.asarray(run.encode(rows), np.float64), np.asarray(run.reconstruct(rows), np.float64)
        missed = np.square((again - rows) / self.scale[1]).mean()
        found: dict[str, Any] = {"is": f"{codes.shape[1]} numbers", "round_trip_error": float(missed)}
        if self.task.y is not None and len(np.unique(self.task.y[self.test])) > 1:
            found["probe"] = probe(codes, self.task.y[self.test]).value
        ways = [np.asarray(run.interpolate(rows[i : i + 1], rows[i + 1 : i + 2], steps=9)) for i in range(0, 16, 2)]
        steps = [np.linalg.norm(np.diff((w - self.scale[0]) / self.scale[1], axis=0), axis=1) for w in ways]
        found["unevenness"] = float(np.mean([s.max() / max(s.mean(), 1e-12) for s in steps]))
        return found


def summary(runs: list[dict[str, Any]], floor: Mapping[str, Any]) -> dict[str, Any]:
    """Return means and spreads over seeds, failures, and what ten times the learning rate does."""
    usual, faster = [r for r in runs if not r["faster"]], [r for r in runs if r["faster"]]
    most = DIVERGED * float(floor.get("variance", math.inf))
    least = max(float(floor.get("frechet") or 0.0), 1e-6)

    def diverged(r: Mapping[str, Any]) -> bool:
        return r.get("failed") is not None or not r["frechet"] < most

    fine = [r for r in usual if not diverged(r)]
    found: dict[str, Any] = {"runs": len(usual), "failed": len(usual) - len(fine)}
    keys = ("frechet", "told_apart", "precision", "recall", "density", "coverage", "modes", "near_a_mode", "seconds",
            "seconds_per_1000_samples", "parameters")
    for key in keys:
        values = [r[key] for r in fine if r.get(key) is not None]
        if values:
            found[key] = {"mean": float(np.mean(values)), "spread": float(np.std(values))}
    if fine:
        found["likelihood"] = averaged([r["likelihood"] for r in fine])
        found["latents"] = averaged([r["latents"] for r in fine])
        bad = [diverged(r) for r in faster]
        told = [r["frechet"] / max(found["frechet"]["mean"], least) for r, b in zip(faster, bad, strict=True) if not b]
        found["at_ten_times_the_rate"] = {"diverged": sum(bad), "frechet_ratio": float(np.mean(told)) if told else None}
    return found


def averaged(many: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the means of numbers that several runs have under the same names; words are those of the first."""
    found = dict(many[0])
    for key, value in many[0].items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            found[key] = float(np.mean([one[key] for one in many if one.get(key) is not None]))
    return found
