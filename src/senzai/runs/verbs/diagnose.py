"""Diagnosis of a run: what is measured, and what is known from its training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...core.errors import SettingError
from ...core.random import derive
from ...data import Dataset
from ...evaluation import Case
from ...evaluation.diagnosis import Diagnosis, Told, examine, gather
from ...objectives.base import Objective
from ...training.trained import Trained
from ..watching import beta_of
from .evaluate import EvaluateSettings, extras_of
from .registry import verb

ROWS, DRAWS = 500, 64


@verb("diagnose", group="Judge", takes="own rows", answers="document", steered=False)
def diagnose(
    run: Trained, data: object = None, *, split: str | None = None, rows: int = ROWS, k: int = DRAWS, seed: int = 0,
    factors: object = None, codes: tuple[Any, int] | None = None,
) -> Diagnosis:
    """Say what is wrong with a run, the root cause first: what was measured, and which setting to change.

    The findings are kept among the run's metrics, from where a report shows them.

    Args:
        run: A trained run.
        data: Its training data, where they are not where they were; or other data (all rows).
        split: Rows to look at instead: ``train``, ``validation``, ``test`` or ``all``.
        rows: Rows to look at, at most.
        k: Draws per row of the likelihood.
        seed: Seed of rows and draws.
        factors: Known factors of all rows, for claims of disentanglement.
        codes: Code numbers of rows, and the size of the code book, for quantised latents.

    Raises:
        InputError: The training data are not here and no others were given.
    """
    dataset = run.dataset(run.source(data))
    case, told = case_of(run, dataset, split=split, rows=rows, k=k, seed=seed, factors=factors)
    found = examine(gather(case, told if codes is None else replace(told, codes=codes)))
    run.keep(lambda kept: {**kept, "diagnosis": found.document()})
    return found


def case_of(
    run: Trained, dataset: Dataset, *, split: str | None, rows: int, k: int, seed: int, factors: object = None
) -> tuple[Case, Told]:
    """Return what is measured, and what is known from training."""
    whole = run.part(dataset, split)
    if not len(whole):
        raise SettingError("A diagnosis needs rows, but the part that was chosen has none. Choose another `split`.")
    index = np.sort(np.random.default_rng(derive(seed, "diagnosed")).permutation(whole)[: dataset.rows.at_once(rows)])
    extras = extras_of(run, dataset, index, EvaluateSettings(factors=factors, features=(), seed=seed))
    case = Case(run.model, dataset.batch(index), run.discrete_step(), k, seed, extras=extras)
    own = dataset.schema.fingerprint == run.schema.fingerprint
    n_train = len(dataset.split_indices()["train"]) if own else (len(extras.train) if extras.train else None)
    return case, told_of(run, n_train)


def told_of(run: Trained, n_train: int | None) -> Told:
    """Return what is known from the training of a run."""
    fitted = run.metrics.get("fit", {})
    steps = fitted.get("steps")
    objective: Objective = run.spec.make_objective()
    if steps:
        planned = run.spec.training.steps or steps
        objective = objective.over(max(planned, steps))
    candidates = run.samplers.candidates.items()
    gains = {name: (float(c["gain"]), float(c.get("gain_se", 0.0))) for name, c in candidates if "gain" in c}
    columns = run.schema.columns or ()
    return Told(
        history=tuple(run.history or run.heard), beta=beta_of(objective), lr=run.spec.training.lr,
        n_samples=int(getattr(objective, "n_samples", 1) or 1) if bounded(objective) else 1,
        objective=type(objective).__name__, settled_after=objective.settled_after if steps else None,
        total_steps=steps, n_train=n_train, gains=gains,
        validated=any(k.startswith("validation_") and v is not None for k, v in fitted.items()),
        sampler=run.samplers.chosen, columns=tuple(columns), bounds=objective.is_bound,
        comparable=objective.comparable, hidden=hidden_of(run.spec.model), given=tuple(run.spec.settings),
    )


def hidden_of(spec: Any) -> tuple[int, ...] | None:
    """Return the widths of the hidden layers of the first encoder in a tree of parts; none if it has no such layers.

    Example:
        >>> hidden_of({"part": "model/flat", "args": {"e": {"part": "encoder/mlp", "args": {"hidden": [8, 4]}}}})
        (8, 4)
    """
    if isinstance(spec, list):
        found = (hidden_of(v) for v in spec)
        return next((f for f in found if f is not None), None)
    if not isinstance(spec, dict):
        return None
    if str(spec.get("part", "")).startswith("encoder/"):
        return tuple(spec["args"].get("hidden") or ())
    return hidden_of(list(spec.values()))


def bounded(objective: Objective) -> bool:
    """Whether more draws make the bound of an objective tighter."""
    return type(objective).__name__ == "ImportanceWeighted"
