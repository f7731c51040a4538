from __future__ import annotations

import json
from math import log

import pytest
import torch

from senzai.core.batch import Batch
from senzai.distributions import FullNormalFamily, NormalFamily
from senzai.evaluation import dequantised, elbo, evaluate, log_likelihood

KEYS = {
    *("n", "elbo", "elbo_se", "distortion", "rate", "rate_per_dimension", "notes", "seconds"),
    *("log_likelihood", "log_likelihood_se", "monte_carlo_se", "k", "ess", "ess_low"),
    *("bits_per_dim", "bits_per_dim_se", "active_units", "n_latent"),
    *("mutual_information", "mutual_information_se", "aggregate_gap"),
}


def but_seconds(figures):
    return {name: value for name, value in figures.items() if name != "seconds"}


def test_the_figures_are_those_of_their_own_functions(made, binary):
    model = made()
    found = evaluate(model, binary, k=20, seed=4)
    assert set(found) >= KEYS
    likelihood, split = log_likelihood(model, binary, k=20, seed=4), elbo(model, binary, seed=4)
    assert found["log_likelihood"] == pytest.approx(likelihood.mean)
    assert found["log_likelihood_se"] == pytest.approx(likelihood.se)
    assert found["monte_carlo_se"] == pytest.approx(likelihood.mean_monte_carlo_se)
    assert found["elbo"] == pytest.approx(split.means["elbo"])
    assert sum(found["rate_per_dimension"]) == pytest.approx(found["rate"], rel=1e-5)
    assert found["bits_per_dim"] == pytest.approx(-likelihood.mean / 6 / log(2))
    assert found["bits_per_dim_se"] == pytest.approx(likelihood.se / 6 / log(2))
    assert found["mutual_information"] + found["aggregate_gap"] == pytest.approx(found["rate"], abs=1.0)
    assert 1 <= found["ess_low"] <= found["ess"] <= 20
    assert found["n"] == found["n_given"] == 30


@pytest.mark.parametrize("k", [1, 20])
@pytest.mark.parametrize("n", [1, 2, 30])
def test_json_holds_the_figures(made, binary, n, k):
    found = evaluate(made(q=FullNormalFamily()), binary.take(slice(0, n)), k=k)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["rate_per_dimension"] is None
    assert (found["log_likelihood_se"] is None) == (n == 1)
    assert (found["monte_carlo_se"] is None) == (k == 1)


def test_densities_of_levels_become_masses(made):
    model = made(family=NormalFamily())
    batch = Batch(torch.randint(0, 3, (40, 6)).float())
    plain, found = evaluate(model, batch, k=10), evaluate(model, batch, k=10, discrete_step=1.0)
    assert found["log_likelihood"] == pytest.approx(dequantised(model, batch, 1.0, k=10).mean)
    half = evaluate(model, batch, k=10, discrete_step=0.5)
    assert half["elbo"] == pytest.approx(-half["distortion"] - half["rate"])
    assert any("density" in note for note in plain["notes"])
    assert any("dequantised" in note for note in found["notes"])
    assert found["bits_per_dim"] == pytest.approx(-found["log_likelihood"] / 6 / log(2))


def test_a_discrete_likelihood_needs_no_step(made, binary):
    model = made()
    with_step, without = evaluate(model, binary, k=5, discrete_step=1.0), evaluate(model, binary, k=5)
    assert but_seconds(with_step) == but_seconds(without)


def test_holes_are_not_counted_as_dimensions(made):
    mask = torch.rand(30, 6) < 0.5
    mask[:, 0] = True
    batch = Batch(torch.ones(30, 6), mask=mask)
    model = made()
    found, likelihood = evaluate(model, batch, k=5), log_likelihood(model, batch, k=5)
    assert found["bits_per_dim"] == pytest.approx(-float(likelihood.per_row.sum()) / float(mask.sum()) / log(2))


def test_few_rows_can_be_chosen_at_random(made):
    batch = Batch(torch.arange(100.0).view(-1, 1).expand(-1, 6) / 100)
    found = evaluate(made(family=NormalFamily()), batch, k=5, rows=10)
    assert (found["n"], found["n_given"]) == (10, 100)
    other = evaluate(made(family=NormalFamily()), batch.take(slice(0, 10)), k=5)
    assert found["distortion"] != other["distortion"]


def test_a_poor_posterior_is_pointed_out(linear):
    x = linear.sample(60)
    good, bad = (evaluate(linear.model(shift=s), Batch(x), k=100)["notes"] for s in (0.0, 3.0))
    assert any("raise k" in note for note in bad)
    assert not any("raise k" in note for note in good)


def test_data_outside_the_support_are_pointed_out(linear):
    x = linear.sample(9)
    x[0] = torch.inf
    found = evaluate(linear.model(), Batch(x), k=5)
    assert found["log_likelihood"] is None
    assert any("finite" in note for note in found["notes"])


def test_a_saturated_information_is_pointed_out(made):
    model = made(D=2, family=NormalFamily())
    x = torch.randn(8, 2)
    with torch.no_grad():
        model.posterior.head.weight[2:].zero_()
        model.posterior.head.bias[2:].fill_(-8)
    assert any("ceiling" in note for note in evaluate(model, Batch(x), k=5)["notes"])


def test_the_same_seed_gives_the_same_figures(made, binary):
    model = made()
    a, b = evaluate(model, binary, k=5), evaluate(model, binary, k=5)
    assert but_seconds(a) == but_seconds(b)
    assert a["seconds"] > 0
