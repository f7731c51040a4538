"""Runs with quantum parts: trained, saved, loaded, judged, and compared with their controls."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch

from senzai.core.controls import control_of
from senzai.core.errors import BundleError
from senzai.evaluation.bounds import elbo
from senzai.runs import fit, load
from senzai.runs.training.controls import judged

pytest.importorskip("pennylane")
SMALL = {"steps": 4, "hidden": [8], "n_latent": 3, "batch_size": 16, "sampler": "none", "prior.layers": 2}
RNG = np.random.default_rng(0)
BITS = (RNG.random((80, 6)) < 0.2 + 0.6 * RNG.integers(2, size=(80, 1))).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run with a Born machine."""
    path = tmp_path_factory.mktemp("runs") / "born"
    fit(BITS, recipe="born-vae", settings=SMALL, out=path)
    return path


def test_a_run_is_saved_without_pickle_and_draws_again(folder):
    run, again = load(folder), load(folder)
    assert not {p.suffix for p in folder.rglob("*")} & {".pkl", ".pt", ".bin", ".pickle"}
    np.testing.assert_array_equal(run.sample(5, seed=1), again.sample(5, seed=1))
    assert set(np.unique(run.encode(BITS))) <= {0.0, 1.0}
    assert run.evaluate(BITS, k=20)


def test_the_rate_of_a_run_is_the_sum_over_all_codes(folder):
    run = load(folder)
    batch = run.dataset(BITS).batch(np.arange(10))
    with torch.no_grad():
        q = run.model.eval().posterior(batch)
        p = run.model.prior()
        every = p.every.unsqueeze(1)
        log_q = q.log_prob(every.expand(-1, 10, -1))
        by_hand = (log_q.exp() * (log_q - p.log_probs.unsqueeze(-1))).sum(0)
    torch.testing.assert_close(elbo(run.model, batch, seed=0).rate.float(), by_hand, atol=1e-5, rtol=1e-5)


def test_a_run_has_its_control_beside_it(folder):
    found = json.loads((folder / "metrics.json").read_text())["fit"]["control"]
    ours, theirs = found["rows"]
    assert (ours["part"], theirs["part"]) == ("prior/born", "prior/rbm")
    assert ours["parameters"] == 18
    assert abs(theirs["parameters"] - 18) <= 2  # a hidden unit has four
    assert ours["gates"] == 3 + 2 * 6
    assert theirs["gates"] == theirs["circuits"] == 0 < ours["circuits"]
    assert ours["seconds"] > 0 < theirs["seconds"]
    assert found["better"] in ("neither", "the run", "the control")
    assert (found["better"] == "neither") == (abs(found["gain"]) <= 2 * found["gain_se"])


def test_all_but_the_controlled_part_is_the_same(folder):
    run = load(folder)
    tree, replaced = control_of(run.spec.model)
    assert replaced == [("prior/born", "prior/rbm")]
    assert {k: v for k, v in tree["args"].items() if k != "prior"} == {
        k: v for k, v in run.spec.model["args"].items() if k != "prior"
    }


def test_a_run_without_such_parts_trains_nothing_else():
    run = fit(BITS, recipe="rbm-vae", settings={k: v for k, v in SMALL.items() if k != "prior.layers"})
    assert "control" not in run.metrics["fit"]


def test_shots_are_counted(folder):
    run = fit(BITS, recipe="born-vae", settings={**SMALL, "steps": 1, "prior.shots": 20, "validation": 0.2})
    ours = run.metrics["fit"]["control"]["rows"][0]
    assert ours["shots"] == 20
    assert ours["circuits"] >= 1 + 2 * 18


def test_a_run_says_what_it_needs_where_pennylane_is_not(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pennylane", None)
    with pytest.raises(BundleError, match=r"senzai\[quantum\]"):
        load(folder).sample(2)


def test_a_run_says_who_won_only_beyond_the_error(folder):
    run = load(folder)
    found = judged(run, run, run.dataset(BITS))
    assert found["better"] == "neither"
    assert found["gain"] == 0
    other = load(folder)
    with torch.no_grad():
        other.model.posterior.head.bias.add_(torch.tensor([0.05, -0.05, 0.02]))
    near = judged(run, other, run.dataset(BITS))
    assert near["gain"] != 0
    assert (near["better"] == "neither") == (abs(near["gain"]) <= 2 * near["gain_se"])
