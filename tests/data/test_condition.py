"""Conditions: a label to its one-hot code in every batch, and back from what a user asks for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from senzai.core.errors import InputError, SettingError, ShapeError
from senzai.data import KINDS, open_data
from senzai.data.schema import Schema
from senzai.runs import fit, load

RNG = np.random.default_rng(0)
LABELS = np.repeat(["low", "mid", "high"], [20, 30, 50])
X = np.stack([np.repeat([-6.0, 0.0, 6.0], [20, 30, 50]), RNG.normal(size=100)], 1).astype(np.float32)
X[:, 0] += RNG.normal(size=100) * 0.1
SMALL = {"steps": 6, "hidden": [8], "n_latent": 2, "batch_size": 16, "log_every": 2, "validate_every": 2}


@pytest.fixture(scope="module")
def conditioned():
    return fit((X, LABELS), condition="label", n_latent=1, hidden=[16], steps=300, lr=0.01)


def test_a_batch_carries_the_one_hot_label():
    data = open_data((X, LABELS), options={"condition": "label"})
    c = data.schema.condition
    assert (c.names, c.width) == (("label",), 3)
    assert [v[0] for v in c.values] == ["high", "low", "mid"]
    assert c.shares == pytest.approx((0.5, 0.2, 0.3))
    batch = data.batch([0, 25, 99])
    assert batch.c.tolist() == [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert Schema.model_validate_json(data.schema.model_dump_json()) == data.schema


def test_a_row_without_a_label_has_no_condition():
    y = np.array(["a", None, "b"], dtype=object)
    data = open_data((X[:3], y), options={"condition": "label"})
    assert data.batch().c.tolist() == [[1, 0], [0, 0], [0, 1]]
    again = open_data((X[:2], np.array(["b", "never"])), schema=data.schema)
    assert again.batch().c.tolist() == [[0, 1], [0, 0]]


def test_images_are_conditioned_alike():
    data = open_data("digits", options={"condition": "digit"})
    assert data.batch([3]).c.argmax().item() == data.batch([3]).y.item()
    assert data.schema.condition.width == 10


def test_samples_follow_what_is_given(conditioned, tmp_path):
    for name, place in (("low", -6), ("mid", 0), ("high", 6)):
        new = conditioned.sample(40, seed=0, given={"label": name})
        assert abs(new[:, 0].mean() - place) < 1
    each = conditioned.sample(3, seed=0, given={"label": ["high", "low", "mid"]})
    assert np.allclose(each[:, 0], [6, -6, 0], atol=3)
    conditioned.save(tmp_path / "run")
    again = load(tmp_path / "run").sample(3, seed=0, given={"label": ["high", "low", "mid"]})
    assert np.array_equal(again, each)


def test_without_anything_given_conditions_are_drawn_as_they_were_seen(conditioned):
    c = KINDS["array"].condition({}, 4000, conditioned.schema, seed=1)
    assert c.mean(0).tolist() == pytest.approx([0.5, 0.2, 0.3], abs=0.04)
    assert torch.equal(c, KINDS["array"].condition({}, 4000, conditioned.schema, seed=1))
    assert (conditioned.sample(300, seed=0)[:, 0] > 3).mean() == pytest.approx(0.5, abs=0.1)


def test_verbs_pass_the_condition_on(conditioned):
    rows = (X[:4], LABELS[:4])
    assert np.allclose(conditioned.reconstruct(rows)[:, 0], -6, atol=1)
    moved = conditioned.traverse((X[90:91], LABELS[90:91]), dim=0)
    assert np.allclose(moved[:, 0], 6, atol=2)
    way = conditioned.interpolate((X[:1], LABELS[:1]), (X[99:], LABELS[99:]), steps=3)
    assert way[0, 0] < -4
    assert way[2, 0] > 4
    assert np.isfinite(conditioned.evaluate(rows, k=5)["elbo"])


def test_what_is_refused(conditioned):
    with pytest.raises(InputError, match="conditioned on the label"):
        conditioned.encode(X)
    with pytest.raises(SettingError, match="high, low, mid"):
        conditioned.sample(2, given={"label": "hihg"})
    with pytest.raises(SettingError, match="conditioned on label"):
        conditioned.sample(2, given={"lable": "high"})
    with pytest.raises(SettingError, match="2 rows, but got 3"):
        conditioned.sample(2, given={"label": ["high"] * 3})
    with pytest.raises(SettingError, match="without a condition"):
        fit(X, settings=SMALL).sample(2, given={"label": "high"})
    with pytest.raises(SettingError, match="needs a label"):
        fit(X, settings=SMALL, condition="label")
    with pytest.raises(SettingError, match="condition=label"):
        fit((X, LABELS), settings=SMALL, condition="a,b")
    with pytest.raises((InputError, ShapeError)):
        conditioned.encode((X[:, :1], LABELS))
