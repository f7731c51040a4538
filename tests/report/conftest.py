"""Runs for reports: tiny models, barely trained, without a face."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from senzai.core.random import forked
from senzai.data import Dataset, Schema, open_data
from senzai.models.base import LatentModel
from senzai.recipes import Frame, Settings, build
from senzai.training import bundle
from senzai.training.samplers import Samplers
from senzai.training.settings import TrainSettings


@dataclass
class FakeRun:
    """What a report asks of a run."""

    spec: bundle.Spec
    model: LatentModel
    schema: Schema
    metrics: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    folder: Path | None = None
    samplers: Samplers = field(default_factory=Samplers)


def _make_run(
    data: object, *, options: dict[str, Any] | None = None, n_latent: int = 3, recipe: str = "vae",
    source: str = "memory", **more: Any,
):
    """Return an untrained run and its data."""
    dataset: Dataset = data if isinstance(data, Dataset) else open_data(data, options=options)
    settings = {"n_latent": n_latent}
    with forked(0):
        first = dataset.batch(np.arange(min(len(dataset), 100)))
        frame = Frame(
            dataset.schema.event_shape, dataset.propose(), masked=first.mask is not None, settings=Settings(settings),
        )
        model, objective = build(recipe, frame)
        model.initialise(first)
    spec = bundle.new_spec(
        recipe=recipe, settings=settings, training=TrainSettings(), data_schema=dataset.schema.model_dump(mode="json"),
        source=source, model=model, objective=objective,
    )
    return FakeRun(spec, model.eval(), dataset.schema, **more), dataset


def _history(steps: int = 6) -> list[dict[str, Any]]:
    """Return a short history, as a run writes it."""
    lines = []
    for i in range(1, steps + 1):
        terms = {"loss": 100.0 / i, "distortion": 90.0 / i, "rate": 10.0 / i}
        lines.append({"kind": "train", **terms, "step": 50 * i, "epoch": float(i)})
        lines.append({"kind": "validation", **terms, "step": 50 * i, "best": True, "best_step": 50 * i})
    return lines


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def make_run():
    """Make an untrained run and its data."""
    return _make_run


@pytest.fixture
def history():
    """Make a short history."""
    return _history()
