"""A family of models from one run: the same weights, trained on with other weights of the rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import fields, is_dataclass, replace
from typing import Any, cast

import torch

from ..core.errors import CombinationError
from ..core.random import derive, forked
from ..data import Dataset
from ..evaluation import RatePoint
from ..evaluation import rate_distortion as points_of
from ..models.base import LatentModel, latent_model
from ..objectives.base import Objective
from ..objectives.warmup import Constant
from ..training.comms import Comms
from ..training.listeners import drive
from ..training.loop import Training
from .run import Run
from .training.feeds import feeds
from .verbs.evaluate import some_rows
from .verbs.registry import verb

BETAS = (0.1, 0.3, 1.0, 3.0, 10.0)


@verb("rate_distortion", group="Judge", takes="own rows", answers="document", steered=False)
def rate_distortion(
    run: Run, data: object = None, *, betas: Sequence[float] = BETAS, steps: int = 300, rows: int = 2000,
    seed: int = 0,
) -> tuple[RatePoint, ...]:
    """Measure distortion against rate: the run is trained on for a few steps with each weight of the rate.

    The run itself stays as it is. Points that were trained on for too little lie above the curve of their family.

    Reference:
        Fixing a Broken ELBO (Alemi et al., 2018). https://arxiv.org/abs/1711.00464

    Args:
        run: A trained run.
        data: Its training data, where they are not where they were.
        betas: Weights of the rate.
        steps: Steps of training for each.
        rows: Held-out rows to judge on at most.
        seed: Seed of rows and draws.

    Returns:
        Rate and distortion with their errors, in order of rising beta.

    Raises:
        CombinationError: The objective of the run has no weight of the rate.

    Example:
        >>> from senzai.runs import fit
        >>> run = fit("digits", steps=30, n_latent=2, network="mlp", hidden=(8,))
        >>> found = rate_distortion(run, betas=(0.1, 10.0), steps=40, rows=50)
        >>> [p.beta for p in found], found[0].rate.value > found[1].rate.value
        ([0.1, 10.0], True)
    """
    dataset = run.dataset(run.source(data))
    batch = some_rows(dataset, run.part(dataset), rows, seed=seed)
    weighted(run.spec.make_objective(), 1.0)  # refuse before training anything

    def family() -> Iterator[tuple[float, LatentModel]]:
        for beta in betas:
            yield float(beta), trained_on(run, dataset, float(beta), steps=steps, seed=derive(seed, "sweep"))

    return points_of(family(), batch, seed=seed)


def weighted(objective: Objective, beta: float) -> Objective:
    """Return an objective with another weight of the rate, in force from the first step.

    Raises:
        CombinationError: It has none.
    """
    names: set[str] = {f.name for f in fields(objective)} if is_dataclass(objective) else set()
    if "beta" not in names:
        raise CombinationError(
            f"A sweep over the weight of the rate needs an objective with `beta`, but {type(objective).__name__} has "
            "none. Train the models yourself and give them to senzai.evaluation.rate_distortion."
        )
    change: dict[str, Any] = {"beta": beta}
    if "warmup" in names:
        change["warmup"] = Constant()
    changed: Objective = replace(cast(Any, objective), **change)
    return changed


def trained_on(run: Run, dataset: Dataset, beta: float, *, steps: int, seed: int) -> LatentModel:
    """Return a copy of a run's model, trained on with another weight of the rate."""
    settings = run.spec.training.model_copy(
        update={"epochs": None, "steps": steps, "patience": None, "seed": seed % 2**31, "ema": None}
    )
    model = latent_model(deepcopy(run.model)).train()
    train, _ = feeds(dataset, settings, torch.device("cpu"), Comms())
    with forked(derive(seed, "beta", str(beta))):
        drive(Training(model, weighted(run.spec.make_objective(), beta), train, settings), [])
    return model.eval()
