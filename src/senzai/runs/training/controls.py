"""Controls: what a run with a part from elsewhere is compared with, trained in the same way on the same rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn

from ...core.controls import control_of
from ...core.local_random import locally_seeded
from ...core.random import derive
from ...core.spec import from_spec, name_of
from ...data import Dataset
from ...models.base import LatentModel, latent_model
from ...models.generative import Generative
from ...nn.costs import costs_of
from ...training.bundle import Spec
from ..run import Run
from .beginning import first_rows

MOST_ROWS = 1000
SURE = 2.0
"""Standard errors between two bounds before one of them is said to be better."""

Train = Callable[[Generative, Spec], Run]


def compared(run: Run, dataset: Dataset, train: Train) -> dict[str, Any] | None:
    """Train the control of a run, and return both side by side; ``None`` where no part of the run has a control.

    Args:
        run: The finished run.
        dataset: What it was trained on.
        train: Trains a model as the run was trained.
    """
    tree, replaced = control_of(run.spec.model)
    if not replaced:
        return None
    seed = run.spec.training.seed
    with locally_seeded(derive(seed, "weights")):
        model: Generative = from_spec(tree)
        model.initialise(first_rows(dataset, seed))
    other = train(model, run.spec.model_copy(update={"model": tree}))
    rows = [facts_of(one, side) for one, side in ((run, [a for a, _ in replaced]), (other, [b for _, b in replaced]))]
    return {"rows": rows, **judged(run, other, dataset)}


def facts_of(run: Run, names: list[str]) -> dict[str, Any]:
    """Return one line of the table: parameters of the parts that differ, time, and what the parts cost."""
    fit = run.metrics["fit"]
    parts = [m for m in run.model.modules() if name_of(m) in names]
    cost: dict[str, Any] = {"gates": 0, "shots": 0, "circuits": 0}
    for _, one in costs_of(run.model):
        cost = {k: (cost[k] or 0) + (one.get(k) or 0) for k in cost}
    heads = {k: v for k, v in fit.items() if k.startswith("validation_") and v is not None}
    return {
        "part": ", ".join(names),
        "parameters": sum(map(trained, parts)),
        "seconds": fit["seconds"],
        **cost,
        **heads,
    }


def trained(module: nn.Module) -> int:
    """Return how many numbers of a module are learned."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def judged(run: Run, other: Run, dataset: Dataset) -> dict[str, Any]:
    """Return the difference of the two bounds on the same held-out rows, its error, and what follows from it."""
    from ...evaluation.bounds import elbo  # a run that is used needs none of it
    from ...evaluation.statistics import mean_se

    if not (isinstance(run.model, LatentModel) and isinstance(other.model, LatentModel)):
        return {}
    if not run.spec.make_objective().is_bound:
        return {}
    parts = dataset.split_indices()
    name = "validation" if len(parts["validation"]) else "train"
    rng = np.random.default_rng(derive(run.spec.training.seed, "control"))
    batch = dataset.batch(np.sort(rng.permutation(parts[name])[: dataset.rows.at_once(MOST_ROWS)]))
    ours, theirs = (elbo(latent_model(one.model), batch, seed=0).elbo for one in (run, other))
    gain, se = float((ours - theirs).mean()), mean_se(ours - theirs)
    better = "neither" if abs(gain) <= SURE * se else "the run" if gain > 0 else "the control"
    return {"gain": gain, "gain_se": se, "judged_on": name, "better": better}


def words(document: dict[str, Any]) -> dict[str, str]:
    """Return the comparison as lines for people, by what stands before them."""
    found = {}
    for row, who in zip(document["rows"], ("this run", "its control"), strict=True):
        told = [f"{v:.2f} {k.removeprefix('validation_')}" for k, v in row.items() if k.startswith("validation_")]
        quantum = f"{row['gates']} gates, {row['shots'] or 'no'} shots, {row['circuits']:,} circuits"
        found[who] = ", ".join(
            [row["part"], f"{row['parameters']} parameters", f"{row['seconds']:.1f} s", quantum, *told]
        )
    if "gain" in document:
        found["better"] = (
            f"{document['better']}: bound of the run minus the control's {document['gain']:+.2f} ± "
            f"{document['gain_se']:.2f} nats a row ({document['judged_on']} rows, one seed)"
        )
    return found
