"""What a model is started from: training rows at random, whatever order they are in."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from senzai.runs import fit

FIT = sys.modules["senzai.runs.training.beginning"]


@pytest.fixture
def seen(monkeypatch):
    """The batches that models are started from."""
    from senzai.models.base import LatentModel

    batches = []
    whole = LatentModel.initialise
    monkeypatch.setattr(LatentModel, "initialise", lambda self, batch: batches.append(batch) or whole(self, batch))
    return batches


def test_of_many_rows_those_that_a_model_is_started_from_are_of_all_kinds(seen, monkeypatch):
    monkeypatch.setattr(FIT, "ROWS_TO_INITIALISE", 200)
    x = (np.repeat(np.arange(5), 300)[:, None] * 10 + np.random.default_rng(0).normal(size=(1500, 2))).astype("float32")
    for _ in range(2):
        fit(x, settings={"steps": 1, "n_latent": 1, "hidden": [4], "sampler": "none"})
    kinds = np.bincount((seen[0].tensor[:, 0] / 10).round().long(), minlength=5) / 200
    np.testing.assert_allclose(kinds, 0.2, atol=0.1)
    assert len({tuple(r) for r in seen[0].tensor.tolist()}) == 200
    assert (seen[0].tensor == seen[1].tensor).all()


def test_observed_parts_that_are_kept_are_of_all_kinds():
    x = (np.repeat(np.arange(4), 150)[:, None] * 10 + np.random.default_rng(0).normal(size=(600, 4))).astype("float32")
    run = fit(x, recipe="cvae-structured", settings={"steps": 1, "n_latent": 1, "hidden": [4]})
    kept = run.model.kept[: run.model.n_kept].flatten(1).amax(1)
    assert len(kept) == 64
    assert set((kept / 10).round().int().tolist()) == {0, 1, 2, 3}
