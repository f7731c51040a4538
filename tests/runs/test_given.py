"""What is given stays with its row, and a temperature means one thing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import senzai
from senzai.core.errors import SettingError
from senzai.core.random import Noise, using
from senzai.core.spec import registry
from senzai.data.conditioning import row_by_row
from senzai.distributions import draw
from senzai.testing import subjects

SMALL = {"steps": 150, "n_latent": 2, "sampler": "none", "hidden": [24]}


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(0)
    n = 1500
    g, w = rng.integers(0, 2, n), rng.integers(0, 2, n)
    east = np.where(rng.random(n) < 0.8, w, 1 - w)  # the rich live in the east
    return pd.DataFrame({
        "sex": np.where(g, "M", "F"), "side": np.where(east, "east", "west"),
        "height": np.where(g, 180, 150) + 3 * rng.normal(size=n), "wealth": np.where(w, "rich", "poor"),
        "income": np.where(w, 90, 10) + rng.normal(size=n),
    })


@pytest.fixture(scope="module")
def run(people):
    return senzai.fit(people, condition=["sex", "side"], **SMALL)


def test_conditions_stay_with_their_rows_beside_a_further_column(run):
    told = {"sex": ["M", "F"] * 40, "wealth": "rich"}
    made = run.sample(80, seed=1, given=told)
    assert made.sex.tolist() == told["sex"]
    assert (made.wealth == "rich").all()
    mean = made.groupby("sex").height.mean()
    assert mean["M"] - mean["F"] > 15


def test_every_row_may_be_given_its_own_values_of_any_column(run):
    told = {"sex": ["M", "F"] * 40, "wealth": ["rich", "rich", "poor", "poor"] * 20}
    made = run.sample(80, seed=1, given=told)
    assert made.wealth.tolist() == told["wealth"]
    mean = made.groupby("wealth").income.mean()
    assert mean["rich"] - mean["poor"] > 10
    with pytest.raises(SettingError, match="one for each of 80 rows"):
        run.sample(80, seed=1, given={"wealth": ["rich"] * 3})


def test_a_condition_that_is_not_given_follows_what_is(run, people):
    """Given that someone is rich, they live in the east more often than people do."""
    share = (run.sample(600, seed=2, given={"sex": "M", "wealth": "rich"}).side == "east").mean()
    assert share > (people.side == "east").mean() + 0.08


def test_values_row_by_row():
    assert row_by_row("a", "xy", 2) == ["xy", "xy"]
    assert row_by_row("a", np.array([1, 2]), 2) == [1, 2]


# --- temperature ----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def moved():
    rng = np.random.default_rng(0)
    f = pd.DataFrame({"a": rng.normal(size=300), "b": rng.normal(size=300), "g": rng.choice(["x", "y"], 300)})
    run = senzai.fit(f, prior="mixture", **{**SMALL, "steps": 5})
    with torch.no_grad():
        run.model.prior.loc.fill_(5.0)
        run.model.prior.raw_scale.fill_(-3.0)
    return run


def test_a_temperature_narrows_around_the_modes_whether_or_not_something_is_given(moved, monkeypatch):
    seen = []
    plain = type(moved.model).generate
    monkeypatch.setattr(type(moved.model), "generate", lambda self, z, c=None: seen.append(z[0]) or plain(self, z, c))
    for given in (None, {"g": "x"}):
        spreads = []
        for temperature in (1.0, 0.5):
            moved.sample(200, seed=0, temperature=temperature, given=given)
            spreads.append(float(seen[-1].std()))
            assert abs(float(seen[-1].mean()) - 5) < 0.1
        assert spreads[1] / spreads[0] == pytest.approx(0.5, rel=0.15)


@pytest.mark.parametrize("name", [n for n, made in sorted(registry("prior").items()) if made.lives_on == "real"])
def test_a_temperature_narrows_every_prior_of_real_vectors(name):
    (subject, *_) = subjects(f"prior/{name}")
    model = subject.fresh()[0].eval()

    def width(temperature):
        with torch.no_grad(), using(replace(Noise.seeded(0), spread=temperature)):
            (z, *_) = model.sample_prior(400, subject.batch(400).c)
        return float((z - z.median(0).values).abs().mean())

    assert width(0.05) < 0.95 * width(1.0)


@pytest.mark.parametrize("family", ["laplace", "student_t", "normal"])
def test_a_temperature_narrows_draws_that_are_made_from_uniform_numbers(family):
    made = registry("family")[family]()
    p = made(torch.zeros(4000, len(made.raw_names), 1), (1,))
    wide, narrow = (draw(p, grad=False, noise=Noise(torch.Generator().manual_seed(1), spread=s)) for s in (1.0, 0.25))
    torch.testing.assert_close(narrow, 0.25 * wide)


def test_resampling_is_refused_where_sampling_is(run):
    with pytest.raises(SettingError, match="temperature > 0"):
        run.sample(5, given={"wealth": "rich"}, temperature=0.0)
