"""Sequences of different lengths in one array, from every form to the model and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import senzai
from senzai.core.errors import InputError, ShapeError
from senzai.data import open_data

LENGTHS = [4, 2, 3, 1, 4, 2]


@pytest.fixture
def x():
    x = np.random.default_rng(0).normal(size=(6, 4, 2))
    for i, n in enumerate(LENGTHS):
        x[i, n:] = np.nan
    return x


def test_nan_behind_the_end_is_padding(x):
    data = open_data(x)
    batch = data.batch()
    assert batch.lengths.tolist() == LENGTHS
    assert batch.mask is None  # what is behind the end is not missing
    assert batch.observed.sum((1, 2)).tolist() == [2 * n for n in LENGTHS]
    assert torch.isfinite(batch.x).all()
    assert any("1 to 4 steps" in r for r in data.schema.reasons)
    assert data.batch([3, 0]).lengths.tolist() == [1, 4]


def test_an_archive_says_its_lengths(tmp_path):
    bits = (np.random.default_rng(0).random((6, 4, 4)) < 0.5).astype(np.uint8)
    np.savez(tmp_path / "rolls.npz", x=bits, lengths=np.array(LENGTHS))
    data = open_data(tmp_path / "rolls.npz")
    assert (data.schema.kind, data.schema.values) == ("array", "binary")
    assert data.batch().lengths.tolist() == LENGTHS
    assert data.schema.event_shape == (4, 4)


def test_padding_changes_nothing_about_what_values_are():
    bits = np.array([[[0.0], [1.0], [np.nan]], [[1.0], [1.0], [0.0]]])
    assert open_data(bits).schema.values == "binary"


def test_holes_inside_are_holes(x):
    x[0, 1, 0] = np.nan
    with pytest.raises(InputError, match="missing='keep'"):
        open_data(x)
    batch = open_data(x, options={"missing": "keep"}).batch()
    assert batch.lengths.tolist() == LENGTHS
    assert not batch.mask[0, 1, 0]
    assert batch.mask[0, 1, 1]


def test_arrays_without_padding_have_no_lengths(x):
    assert open_data(np.nan_to_num(x)).batch().lengths is None
    assert open_data(np.nan_to_num(x)).batch().mask is None


@pytest.mark.parametrize(("lengths", "said"), [([0] * 6, "from 1"), ([9] * 6, "from 1"), ([1, 2], "each of 6")])
def test_lengths_that_cannot_be_are_refused(tmp_path, lengths, said, x):
    np.savez(tmp_path / "a.npz", x=np.nan_to_num(x), lengths=np.array(lengths))
    with pytest.raises(InputError, match=said):
        open_data(tmp_path / "a.npz")


def test_a_row_without_steps_is_refused(x):
    x[2] = np.nan
    with pytest.raises(InputError, match="row 2"):
        open_data(x)


@pytest.mark.parametrize("recipe", ["dmm", "vrnn", "vae"])
def test_runs_take_padding_and_give_it_back(recipe, x, tmp_path):
    small = {"steps": 2, "n_latent": 2, "hidden": [6]} | ({} if recipe == "vae" else {"width": 5})
    rows = np.concatenate([x] * 4)
    run = senzai.fit(rows, recipe=recipe, out=tmp_path / "run", **small)
    run = senzai.load(tmp_path / "run")
    again = run.reconstruct(rows)
    assert np.array_equal(np.isnan(again), np.isnan(rows))
    assert run.encode(rows).shape[0] == run.sample(24, seed=0).shape[0] == 24
    found = run.evaluate(rows, k=3, split="all")
    assert found["steps"] == 4 * sum(LENGTHS)
    assert found["nats_per_step"] == pytest.approx(-found["log_likelihood"] * 24 / found["steps"])
    assert found["elbo_per_step"] == pytest.approx(found["elbo"] * 24 / found["steps"])
    if recipe != "vae":
        short = x[[1, 3, 5], :2]
        wide = np.concatenate([short, np.full((3, 5, 2), np.nan)], 1)
        np.testing.assert_allclose(run.log_likelihood(short, k=3), run.log_likelihood(wide, k=3), rtol=1e-5, atol=1e-5)
    with pytest.raises(ShapeError):
        run.encode(rows[:, :, :1])


def test_sequence_recipes_say_what_they_need():
    for recipe in ("dmm", "vrnn"):
        with pytest.raises(senzai.CombinationError, match="sequences"):
            senzai.fit(np.zeros((9, 3)), recipe=recipe)
    with pytest.raises(senzai.CombinationError, match="dks"):
        senzai.fit(np.random.default_rng(0).normal(size=(9, 3, 2)), recipe="dmm", inference="xx", steps=1)


@pytest.mark.parametrize("inference", ["dks", "st-l", "st-lr", "mf-r", "mf-l", "mf-lr"])
def test_every_way_of_inference_trains(inference, x):
    small = {"steps": 2, "n_latent": 2, "width": 4, "hidden": [5]}
    run = senzai.fit(np.concatenate([x] * 4), recipe="dmm", inference=inference, **small)
    assert np.isfinite(run.metrics["fit"]["validation_elbo"])
