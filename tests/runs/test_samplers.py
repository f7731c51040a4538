"""A run fits what it samples from, says so, keeps it, and evaluates under it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from senzai.core.errors import CombinationError, SettingError, UnknownNameError
from senzai.core.random import Noise, using
from senzai.runs import fit, load, resume
from senzai.training.samplers import FILE

SMALL = {"steps": 6, "hidden": [8], "n_latent": 2, "batch_size": 16, "sampler": "mixture", "checkpoint_seconds": 0}
RNG = np.random.default_rng(0)
REAL = (RNG.normal(size=(80, 4)) + 4 * RNG.integers(2, size=(80, 1))).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run whose samples come from a mixture."""
    path = tmp_path_factory.mktemp("runs") / "run"
    fit(REAL, settings=SMALL, out=path)
    return path


def files(folder):
    return {p.name for p in folder.iterdir()}


def test_a_run_says_and_keeps_what_it_samples_from(folder):
    run = load(folder)
    assert FILE in files(folder)
    assert not [name for name in files(folder) if name.endswith(".tmp")]
    assert run.samplers.chosen == "mixture"
    assert run.metrics["fit"]["sampler"] == run.samplers.facts()
    assert run.samplers.why in (folder / "README.md").read_text(encoding="utf-8")
    auto, named, prior = (run.sample(9, seed=0, sampler=s) for s in ("auto", "mixture", "prior"))
    assert np.array_equal(auto, named)
    assert np.array_equal(auto, run.sample(9, seed=0))
    assert not np.array_equal(auto, prior)
    with pytest.raises(UnknownNameError, match="has no sampler 'flow'"):
        run.sample(1, sampler="flow")


def test_evaluation_gives_the_likelihood_under_it_too(folder):
    run = load(folder)
    found = run.evaluate(REAL, k=20)
    assert found["sampler"]["name"] == "mixture"
    assert found["sampler"]["log_likelihood"] != found["log_likelihood"]
    rows = run.part(REAL)
    direct = run.log_likelihood(REAL[rows], k=20, sampler="auto")
    assert found["sampler"]["log_likelihood"] == pytest.approx(direct.mean(), abs=1e-6)
    assert run.log_likelihood(REAL[rows], k=20).mean() == pytest.approx(found["log_likelihood"], abs=1e-6)
    json.dumps(found)


def test_a_saved_run_samples_the_same(folder, tmp_path):
    run = load(folder)
    run.save(tmp_path / "again")
    again = load(tmp_path / "again")
    assert np.array_equal(run.sample(7, seed=3), again.sample(7, seed=3))
    assert (tmp_path / "again" / FILE).read_bytes() == (folder / FILE).read_bytes()


def test_a_kill_before_the_weights_is_finished_to_the_same_samplers(folder, tmp_path):
    fit(REAL, settings=SMALL, out=tmp_path / "b")
    before = (tmp_path / "b" / FILE).read_bytes()
    assert before == (folder / FILE).read_bytes()
    for name in ("weights.safetensors", FILE, "metrics.json"):
        (tmp_path / "b" / name).unlink()
    resume(tmp_path / "b", data=REAL)
    assert (tmp_path / "b" / FILE).read_bytes() == before


def test_a_longer_run_has_samplers_of_its_new_weights(tmp_path):
    fit(REAL, settings=SMALL, out=tmp_path / "run")
    old = (tmp_path / "run" / FILE).read_bytes()
    weights = (tmp_path / "run" / "weights.safetensors").read_bytes()
    resume(tmp_path / "run", data=REAL, steps=12)
    assert (tmp_path / "run" / FILE).read_bytes() != old
    assert load(tmp_path / "run").samplers.chosen == "mixture"
    (tmp_path / "run" / "weights.safetensors").write_bytes(weights)  # as a kill between the two would leave them
    assert load(tmp_path / "run").samplers.chosen == "prior"


def test_few_rows_and_the_wish_not_to_are_respected(tmp_path):
    run = fit(REAL, settings={**SMALL, "sampler": "auto"}, out=tmp_path / "few")
    assert run.samplers.chosen == "prior"
    assert "64 and 8" in run.samplers.why
    assert FILE not in files(tmp_path / "few")
    assert "sampler" not in run.evaluate(REAL, k=3)
    assert "sampler=none" in fit(REAL, settings={**SMALL, "sampler": "none"}).samplers.why


def test_samplers_are_reproducible_and_change_no_weight():
    a, b, c = (fit(REAL, settings={**SMALL, "sampler": s}) for s in ("mixture", "mixture", "none"))
    assert np.array_equal(a.sample(5, seed=0), b.sample(5, seed=0))
    state, other = a.model.state_dict(), c.model.state_dict()
    assert all(torch.equal(v, other[k]) for k, v in state.items())


def test_what_cannot_be_is_refused_before_training(tmp_path):
    with pytest.raises(CombinationError, match="sampler=aggregate is impossible here"):
        fit(REAL, settings={**SMALL, "sampler": "aggregate", "posterior": "full_normal"}, out=tmp_path / "run")
    with pytest.raises(SettingError, match="sampler"):
        fit(REAL, settings={**SMALL, "sampler": "gmm"}, out=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_condition_stays_a_condition():
    y = RNG.integers(2, size=80)
    x = (RNG.normal(size=(80, 4)) + 3 * y[:, None]).astype(np.float32)
    run = fit((x, y), settings={**SMALL, "condition": "label", "prior": "flow", "prior.hidden": [8]})
    assert run.samplers.chosen == "mixture"
    assert run.sample(4, seed=0, given={"label": 1}).shape == (4, 4)
    assert run.sample(4, seed=0, given={"label": 1}, sampler="prior").shape == (4, 4)


# --- several levels -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("recipe", "groups"), [("hvae-2", 2), ("iwae-2", 2), ("ladder-vae", 3)])
def test_hierarchies_have_a_sampler_of_their_topmost_latents(recipe, groups, tmp_path):
    run = fit(REAL, recipe=recipe, settings=SMALL, out=tmp_path / "run")
    fitted = run.samplers.fitted["mixture"]
    assert {"gain", "gain_se"} <= set(run.samplers.candidates["mixture"])
    other = run.model.with_prior(fitted)
    assert other.top_prior is fitted
    assert run.model.top_prior is not fitted
    with torch.no_grad(), using(Noise.seeded(0)):
        z = other.sample_prior(5)
    assert len(z) == groups
    assert z[0].shape == (5, fitted.n_latent)
    again = load(tmp_path / "run")
    assert (again.sample(4, seed=1, sampler="mixture") == run.sample(4, seed=1, sampler="mixture")).all()
    assert (run.sample(4, seed=1, sampler="mixture") != run.sample(4, seed=1, sampler="prior")).any()
