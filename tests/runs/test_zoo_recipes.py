"""Recipes of several groups, of labels and of parts of rows, from data to every verb."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import senzai
from senzai.core.errors import CombinationError, UserError
from senzai.data import KINDS
from senzai.data.options import names_of
from senzai.recipes import names
from senzai.training.settings import TrainSettings

SMALL = {"steps": 3, "n_latent": 2, "hidden": [12], "batch_size": 64}
RECIPES = {
    "hvae-2": SMALL, "iwae-2": SMALL, "ladder-vae": SMALL, "m1": SMALL, "m2": SMALL, "m1-m2": SMALL,
    "cvae": {**SMALL, "condition": "label"}, "cvae-structured": {**SMALL, "observed": "quarter"},
    "vdvae": {"steps": 3, "width": 8, "channels": 2, "batch_size": 64, "network": "conv", "n_blocks": 1},
}


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return x[:300].reshape(-1, 8, 8).astype(np.uint8), y[:300]


@pytest.mark.parametrize("name", RECIPES)
def test_every_verb_works_and_a_saved_run_says_the_same(name, digits, tmp_path):
    run = senzai.fit(digits, recipe=name, out=tmp_path / "run", **RECIPES[name])
    again = senzai.load(tmp_path / "run")
    few = (digits[0][:5], digits[1][:5])
    for r in (run, again):
        assert r.reconstruct(few).shape == r.sample(5, seed=0).shape == (5, 8, 8)
    assert np.array_equal(run.encode(few), again.encode(few))
    assert np.array_equal(run.sample(4, seed=1), again.sample(4, seed=1))
    assert np.array_equal(run.log_likelihood(few, k=4), again.log_likelihood(few, k=4))
    found = run.evaluate(digits, k=4, rows=20)
    assert np.isfinite([found["elbo"], found["log_likelihood"], found["rate"]]).all()
    groups = found["rate_per_group"]
    assert groups is None or sum(groups.values()) == pytest.approx(found["rate"])


@pytest.mark.parametrize("name", ["m1", "cvae-structured", "made-vae", "m1-m2"])
def test_arrays_in_memory_train_whether_or_not_their_scores_have_features(name, digits):
    """Runs of such arrays keep rows that others are compared with, where a model has one likelihood over features."""
    x, y = digits
    rows = (x.reshape(len(x), -1) > 7).astype(np.uint8)
    run = senzai.fit((rows, y) if name.startswith("m1") else rows, recipe=name, **SMALL)
    assert (run.reference is None) == (name == "cvae-structured")


def test_no_option_of_data_hides_a_setting_of_a_recipe_or_of_training():
    for kind in KINDS.values():
        options = set(names_of(kind.options)) - {"seed"}
        assert not options & ({*names(), *TrainSettings.model_fields} - {"seed"})


def test_the_weights_that_are_kept_are_good_for_both_layers(digits):
    """The lower layer does not move once the upper one learns: judged by it alone, the first weights would be kept."""
    run = senzai.fit(digits, recipe="m1-m2", **{**SMALL, "steps": 60, "validate_every": 10}, start=20)
    assert run.metrics["fit"]["best_step"] > 30


@pytest.mark.parametrize("name", ["m1", "m2", "m1-m2"])
def test_classes_are_predicted_from_partly_labelled_rows(name, digits):
    x, y = digits
    hidden = np.where(np.arange(len(y)) % 3 == 0, y, -1)
    run = senzai.fit((x, hidden), recipe=name, **SMALL)
    assert run.schema.label.classes == tuple(range(10))
    p = run.predict(x[:7])
    assert p.shape == (7, 10)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    assert np.array_equal(p, run.predict((x[:7], y[:7])))  # labels are not looked at
    found = run.evaluate((x, hidden), k=2, split="all", rows=None)
    assert found["n_labelled"] == (hidden >= 0).sum()
    assert 0 <= found["accuracy"] <= 1
    unlabelled = run.evaluate((x[:50], np.full(50, -1)), k=2)
    assert unlabelled.get("accuracy") is None


def test_what_is_judged_does_not_depend_on_labels(digits):
    run = senzai.fit(digits, recipe="m2", **SMALL)
    x, y = digits[0][:9], digits[1][:9]
    a = run.log_likelihood((x, y), k=3)
    assert np.array_equal(a, run.log_likelihood((x, (y + 1) % 10), k=3))
    assert np.array_equal(a, run.log_likelihood(x, k=3))


def test_rows_of_a_class_are_drawn(digits):
    run = senzai.fit(digits, recipe="m2", **SMALL)
    a, b = (run.sample(20, seed=0, given={"label": v}, noise=False) for v in (3, 4))
    assert a.shape == (20, 8, 8)
    assert (a != b).any()
    with pytest.raises(UserError, match="classes"):
        run.sample(2, given={"label": 77})


def test_the_observed_part_is_kept_and_the_rest_filled_in(digits):
    run = senzai.fit(digits, recipe="cvae-structured", observed="quarter", **SMALL)
    x = digits[0][:6]
    for seed in (None, 3):
        assert np.array_equal(run.predict(x, seed=seed)[:, 4:, :4], x[:, 4:, :4])
    assert np.array_equal(run.reconstruct(x)[:, 4:, :4], x[:, 4:, :4])
    found = run.evaluate(digits, k=2, rows=20)
    assert found["bits_per_dim"] == pytest.approx(-found["log_likelihood"] / (48 * np.log(2)))


def test_a_condition_reaches_the_prior(digits):
    run = senzai.fit(digits, recipe="cvae", **RECIPES["cvae"])
    a, b = (run.model.prior(torch.eye(10)[[i]]).mean for i in (0, 1))
    assert (a != b).all()


def test_progress_shows_the_rate_of_each_group(digits, tmp_path):
    run = senzai.fit(digits, recipe="hvae-2", out=tmp_path / "run", **SMALL)
    seen = [h for h in run.history if "rate_z2" in str(h)]
    assert seen


def test_the_lower_prior_of_two_levels_has_all_hidden_layers(digits):
    run = senzai.fit(digits, recipe="hvae-2", **SMALL | {"hidden": [8, 6], "n_latent": 3, "n_lower": 2})
    (rung,) = run.model.rungs

    def widths(net):
        return [layer.out_features for layer in net.hidden.modules() if isinstance(layer, torch.nn.Linear)]

    assert (widths(rung.transition), widths(rung.recognition)) == ([8, 6], [8])


@pytest.mark.parametrize(("name", "settings", "data"), [
    ("cvae", {}, "labelled"), ("m2", {}, "bare"), ("m1", {}, "bare"), ("m2", {"condition": "label"}, "labelled"),
    ("m2", {"prior": "vamp"}, "labelled"), ("m2", {"likelihood": "normal_optimal"}, "labelled"),
    ("iwae-2", {"prior": "vamp"}, "labelled"), ("m1-m2", {"prior": "vamp"}, "labelled"),
])
def test_what_cannot_work_is_refused_when_it_is_built(name, settings, data, digits):
    given = digits if data == "labelled" else digits[0]
    with pytest.raises(CombinationError):
        senzai.fit(given, recipe=name, **{**SMALL, **settings})


@pytest.mark.parametrize("settings", [
    {"recipe": "hvae-2", "prior": "vamp", "prior.n_components": 4}, {"recipe": "hvae-2", "objective": "iwae"},
    {"recipe": "ladder-vae", "prior": "mixture"}, {"recipe": "m2", "objective": "iwae"},
    {"recipe": "m1-m2", "objective": "elbo"}, {"recipe": "iwae-2", "objective": "iwae"},
    {"recipe": "hvae-2", "free_bits": 0.1}, {"recipe": "m2", "free_bits": 0.1},
], ids=str)
def test_parts_combine(settings, digits):
    run = senzai.fit(digits, **{**SMALL, **settings})
    assert np.isfinite(run.metrics["fit"]["validation_elbo"])
