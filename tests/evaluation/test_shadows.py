"""Shadow runs: attacks on losses whose best attack is known in closed form, on a model that learned rows by heart."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import norm

import senzai
from senzai.apps.cli import app
from senzai.apps.cli.judge import names
from senzai.core.batch import Batch
from senzai.core.errors import SettingError
from senzai.evaluation import MEASURES, Case, Extras
from senzai.evaluation.auditing import MANY, at_rates, likelihood_ratios
from senzai.evaluation.membership_measure import membership_shadows
from senzai.evaluation.shadows import Shadows, attacked, halves
from senzai.testing import LinearGaussian


def losses(n, shadows, *, gap, sd_in, sd_out, seed=0):
    """Losses that are normal, each row with a middle of its own: under a target and under shadows."""
    rng = np.random.default_rng(seed)
    hard, mine, there = rng.normal(0, 5, n), rng.random(n) < 0.5, halves(n, shadows, seed)

    def drawn(had):
        return hard - gap * had + np.where(had, sd_in, sd_out) * rng.standard_normal(had.shape)

    return drawn(mine), drawn(there), there, mine, hard


@pytest.mark.parametrize("offline", [False, True])
def test_normal_losses_are_attacked_as_well_as_can_be(offline):
    n, gap = 4000, 1.5
    target, shadows, there, mine, _ = losses(n, 200, gap=gap, sd_in=1.0, sd_out=1.0)
    score = likelihood_ratios(target, shadows, there, offline=offline)
    found, k = at_rates(score[mine], score[~mine]), mine.sum()
    assert found["auroc"] == pytest.approx(norm.cdf(gap / np.sqrt(2)), abs=5 / np.sqrt(12 * n / 4))
    best = norm.cdf(gap + norm.ppf(0.01))  # Neyman and Pearson: normals of one spread
    assert found["at_0.01"]["found"] == pytest.approx(best, abs=5 * np.sqrt(best * (1 - best) / k) + 0.03)
    low, high = found["at_0.01"]["interval"]
    assert low < found["at_0.01"]["found"] < high


@pytest.mark.parametrize("shadows", [40, 400])
def test_ratios_are_those_of_the_normals(shadows):
    target, given, there, _, hard = losses(3000, shadows, gap=2.0, sd_in=0.5, sd_out=1.5, seed=1)
    score = likelihood_ratios(target, given, there)
    known = norm.logpdf(target, hard - 2.0, 0.5) - norm.logpdf(target, hard, 1.5)
    assert np.corrcoef(score, known)[0, 1] > 0.9
    if shadows >= MANY:
        assert np.median(np.abs(score - known)) < 0.2


def test_many_shadows_tell_of_each_row_how_much_it_varies():
    rng = np.random.default_rng(0)
    spread, there = np.array([0.1, 10.0]), halves(2, 200, 0)
    given = rng.standard_normal((200, 2)) * spread - there
    few = likelihood_ratios(np.array([-1.0, -1.0]), given[:40], there[:40], offline=True)
    many = likelihood_ratios(np.array([-1.0, -1.0]), given, there, offline=True)
    assert many[0] == pytest.approx(10, rel=0.3)
    assert abs(many[1]) < 1
    assert abs(few[0]) < 1  # one spread for all rows


def test_every_row_is_in_half_of_the_shadows():
    found = halves(101, 6, 3)
    assert (found.sum(0) == 3).all()
    assert (found[::2] ^ found[1::2]).all()
    assert not np.array_equal(found[0], found[2])
    assert not np.array_equal(found, halves(101, 6, 4))


# --- models ---------------------------------------------------------------------------------------------------------
class ByHeart:
    """A model that knows its rows, each to the luck of its training."""

    def __init__(self, rows, seed):
        self.rows, self.seed = set(rows.tolist()), seed


def shadows_by_heart(n_rows=400, n=16):
    numbers = np.arange(n_rows)
    return Shadows(members=numbers[::2], strangers=numbers[1::2], n=n, seconds=0.0, fit=ByHeart,
                   take=lambda at: Batch(np.asarray(at)))


def loss_by_heart(gap):
    hard = np.random.default_rng(7).normal(0, 5, 400)

    def loss(model, rows):
        noise = np.random.default_rng(model.seed % 2**32).standard_normal(400)
        return np.array([hard[i] - gap * (i in model.rows) + noise[i] for i in rows.x])

    return loss


def test_rows_are_kept_apart_through_halves_and_choice():
    shadows = shadows_by_heart()
    found = attacked(shadows, ByHeart(shadows.members, 123), loss_by_heart(4.0), seed=1)
    assert found["online"]["auroc"] > 0.98
    assert found["offline"]["auroc"] > 0.95
    assert found["by_loss"]["auroc"] < 0.8
    assert found["shadows"] == 16
    assert found["online"]["members"] == found["online"]["strangers"] == 200


def test_a_model_that_never_saw_the_rows_is_at_chance():
    shadows = shadows_by_heart()
    found = attacked(shadows, ByHeart(np.array([]), 123), loss_by_heart(4.0), seed=1)
    se = np.sqrt(401 / (12 * 200 * 200))
    for name in ("online", "offline", "by_loss"):
        assert abs(found[name]["auroc"] - 0.5) < 5 * se
        assert found[name]["at_0.01"]["interval"][0] <= 0.01


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A run of few rows, trained until it has learned them by heart."""
    rows = np.random.default_rng(0).standard_normal((120, 30))
    folder = tmp_path_factory.mktemp("shadows")
    np.save(folder / "rows.npy", rows)
    run = senzai.fit(str(folder / "rows.npy"), out=folder / "run", steps=200, batch_size=40, lr=5e-3, n_latent=8,
                     hidden=(64,), network="mlp", schedule="constant", test=0.5, validation=0, progress=False)
    return run, folder


def test_rows_learned_by_heart_are_found_far_better_than_by_chance(fitted):
    run, folder = fitted
    before = {k: v.clone() for k, v in run.model.state_dict().items()}
    found = run.evaluate(str(folder / "rows.npy"), k=4, only=["membership_shadows"], shadows=8)["measured"]
    found = found["membership_shadows"]
    assert found["online"]["auroc"] > 0.9
    assert found["online"]["at_0.01"]["interval"][0] > 0.1
    assert found["rows_of_a_shadow"] == 60
    assert found["online"]["members"] == 60
    assert all((run.model.state_dict()[k] == v).all() for k, v in before.items())


def test_a_model_of_other_rows_gives_nobody_away(fitted):
    """The shadows are real trainings, and the attacked model saw none of these rows."""
    run, _ = fitted
    from senzai.runs.shadows import shadows_of

    other = np.random.default_rng(5).standard_normal((200, 30))
    dataset = run.dataset(other)
    real = shadows_of(run, dataset, np.arange(100, 200), 4)
    shadows = Shadows(np.arange(100), real.strangers, real.take, real.fit, 4, 0.0)
    case = Case(run.model, dataset.batch(np.arange(100, 200)), k=4,
                extras=Extras(train=dataset.batch(np.arange(100)), held_out=True, shadows=shadows))
    found, se = membership_shadows(case), np.sqrt(201 / (12 * 100 * 100))
    assert abs(found["online"]["auroc"] - 0.5) < 5 * se
    assert found["online"]["at_0.01"]["interval"][0] <= 0.01


def test_shadows_are_trained_as_the_run_was_and_each_by_a_seed_of_its_own(fitted):
    from senzai.runs.shadows import shadows_of

    run, folder = fitted
    shadows = shadows_of(run, run.dataset(str(folder / "rows.npy")), np.arange(20), 4)
    assert len(shadows.members) == 60
    assert shadows.seconds == run.metrics["fit"]["seconds"]
    one, same, other = (shadows.fit(np.arange(30), seed) for seed in (1, 1, 2))
    states = [m.state_dict() for m in (one, same, other)]
    assert all((states[0][k] == states[1][k]).all() for k in states[0])
    assert any((states[0][k] != states[2][k]).any() for k in states[0])


# --- asking for it --------------------------------------------------------------------------------------------------
def test_it_is_asked_for_by_name_alone(fitted, capsys):
    run, folder = fitted
    assert MEASURES["membership_shadows"].trains
    assert "membership_shadows" not in names("all")
    assert "membership" in names("all")
    assert names("membership_shadows") == ("membership_shadows",)
    words = ["evaluate", str(run.folder), "--k", "4", "--only", "membership_shadows", "--shadows"]
    with pytest.raises(SystemExit) as left:
        app([*words, "5"])
    assert left.value.code == 2
    assert "come in pairs" in capsys.readouterr().err
    with pytest.raises(SystemExit) as left:
        app([*words, "4", "--json"])
    out, err = capsys.readouterr()
    assert left.value.code == 0
    assert "This takes about" in err
    assert json.loads(out)["measured"]["membership_shadows"]["shadows"] == 4
    with pytest.raises(SettingError, match="even number from 4"):
        run.evaluate(str(folder / "rows.npy"), k=4, only=["membership_shadows"], shadows=2)


def test_without_the_runs_own_data_it_says_why(fitted):
    run, _ = fitted
    found = run.evaluate(np.ones((50, 30)), k=4, only=["membership_shadows"])
    assert "held-out" in found["not_measured"]["membership_shadows"]


def test_its_cost_is_that_of_the_trainings(fitted):
    from senzai.evaluation import Pace

    case = Case(LinearGaussian.random(4, 2, seed=0).model(), Batch(np.zeros((3, 4))))
    shadows = Shadows(np.arange(2), np.arange(2), case.rows.take, ByHeart, 10, 3.0)
    costed = Case(case.model, case.rows, extras=Extras(shadows=shadows))
    assert MEASURES["membership_shadows"].cost(costed, Pace(0.0, 0.0)) == 30.0
