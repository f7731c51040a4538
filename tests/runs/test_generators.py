"""Models without latents go the whole way of a run: fit, sample, evaluate, compare, diagnose, report, save, load."""

from __future__ import annotations

import json
import os
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import senzai
from senzai.core.errors import CombinationError, RunInterrupted, SettingError
from senzai.models import Explicit, Implicit
from senzai.runs import compare
from senzai.runs.kept_rows import kept_rows
from senzai.training.events import Progressed

RECIPES = ("flow", "flow-matching", "gan")
HAS_DENSITY = ("flow",)
SMALL = {
    "flow": {"prior.hidden": (8,), "prior.n_transforms": 2},
    "flow-matching": {"prior.hidden": (16,), "prior.n_steps": 4}, "gan": {"hidden": (16,), "critic_width": 8},
    "vae": {"hidden": (16,), "n_latent": 2},
}
COMMON = {"steps": 60, "batch_size": 64, "log_every": 10, "kind": "array", "progress": False}


def table(n=600, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, 1))
    return np.concatenate([z, 5 * z + rng.normal(size=(n, 1)), 100 + rng.normal(size=(n, 1))], 1).astype("float32")


ROWS = table()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """One saved run of each recipe, and of a VAE beside them."""
    top = tmp_path_factory.mktemp("generators")
    return {r: senzai.fit(ROWS, recipe=r, out=top / r, **SMALL[r], **COMMON) for r in (*RECIPES, "vae")}


@pytest.fixture(scope="module", params=RECIPES)
def run(request, runs):
    return runs[request.param]


def name_of(run):
    return run.spec.recipe


def test_samples_have_the_form_of_the_data_and_follow_the_seed(run):
    made = run.sample(50, seed=3)
    assert made.shape == (50, 3)
    assert made.dtype == ROWS.dtype
    assert np.isfinite(made).all()
    assert np.array_equal(made, run.sample(50, seed=3))
    assert not np.array_equal(made, run.sample(50, seed=4))
    assert run.samplers.chosen == "prior"
    assert "no latents" in run.samplers.why


def test_training_says_what_its_objective_says(run):
    fitted, own = run.metrics["fit"], {"flow": "log_likelihood", "flow-matching": "matching_loss", "gan": "critic_loss"}
    assert np.isfinite(fitted[f"validation_{own[name_of(run)]}"])
    assert fitted["validation_elbo"] is None
    last = [h for h in run.history if h["kind"] == "validation"][-1]
    assert last[own[name_of(run)]] is not None
    assert not {"distortion", "rate", "elbo"} & set(last)


def test_evaluate_takes_what_fits_and_says_why_it_leaves_the_rest(run):
    found = run.evaluate(ROWS)
    assert set(found["measured"]) == {"generation"}
    assert {"ais", "bdmc", "gaps", "map", "dependence", "convergence", "imputation", "uncertainty"} <= set(
        found["not_measured"]
    )
    assert "inference" in found["not_measured"]["map"]
    assert not {"elbo", "rate", "distortion", "k", "ess"} & set(found)
    assert ("log_likelihood" in found) == (name_of(run) in HAS_DENSITY)
    asked = run.evaluate(ROWS, only=["ais", "probes"])
    assert asked["measured"] == {}
    assert "inference" in asked["not_measured"]["ais"]


def test_an_exact_likelihood_is_that_of_the_model(runs):
    run = runs["flow"]
    found = run.evaluate(ROWS)
    index = run.part(ROWS)
    with torch.no_grad():
        log_p = run.model.log_prob(run.dataset(ROWS).batch(index)).double()
    assert found["exact"] is True
    assert found["log_likelihood"] == pytest.approx(float(log_p.mean()), rel=1e-6)
    assert run.log_likelihood(ROWS)[index] == pytest.approx(log_p.numpy(), rel=1e-4, abs=1e-4)


def test_verbs_without_an_inference_say_so_before_they_look_at_the_data(run):
    nowhere = "no/such/file.csv"
    for verb in (
        lambda: run.encode(nowhere), lambda: run.reconstruct(nowhere), lambda: run.interpolate(nowhere, nowhere),
        lambda: run.traverse(nowhere, dim=0), lambda: run.impute(nowhere),
    ):
        with pytest.raises(CombinationError, match="inference"):
            verb()
    with pytest.raises(CombinationError, match="inference"):
        run.score(ROWS)
    if name_of(run) not in HAS_DENSITY:
        with pytest.raises(CombinationError, match="density"):
            run.log_likelihood(nowhere)


def test_densities_are_compared_by_likelihood_and_only_a_bound_is_called_one(runs):
    found = compare({"flow": runs["flow"], "vae": runs["vae"]}, ROWS, k=20, rows=100)
    assert found.judged_by == "log_likelihood"
    assert found.exact == ("flow",)
    assert set(found.elbo) == {"vae"}
    document = found.document()
    assert document["runs"]["flow"]["exact"] is True
    assert "elbo" not in document["runs"]["flow"]
    assert "exact" not in document["runs"]["vae"]
    json.dumps(document)


def test_generators_are_compared_by_their_samples(runs):
    chosen = {name: runs[name] for name in ("gan", "flow", "vae")}
    found = compare(chosen, ROWS, k=20, rows=100)
    assert found.judged_by == "samples"
    assert set(found.samples) == set(chosen)
    assert set(found.log_likelihood) == {"flow", "vae"}
    assert found.samples[found.best].value == min(f.value for f in found.samples.values())
    assert all(f.value >= 0 for f in found.differences.values())
    assert any("gan" in note for note in found.notes)
    json.dumps(found.document())


def test_the_nearer_samples_win():
    near, far = (SimpleNamespace(value=v, se=0.1, n=9, seed=0) for v in (1.0, 3.0))
    from senzai.runs.verbs.sample_distance import least_distance

    best, further, intervals = least_distance({"far": far, "near": near})
    assert best == "near"
    assert further["far"].value == pytest.approx(2.0)
    assert intervals["far"][0] > 0
    low, high = intervals["far"]
    assert high - low == pytest.approx(2 * 1.959964 * 0.02**0.5, rel=1e-4)


def test_a_diagnosis_skips_what_a_model_does_not_have(run):
    found = run.diagnose(ROWS)
    assert {"posterior_collapse", "holes", "amortisation_gap"} <= set(found.not_judged)
    assert found.facts.elbo is None
    assert (found.facts.log_p is None) == (name_of(run) not in HAS_DENSITY)
    assert found.facts.samples_frechet is not None


def test_a_report_is_written(run, tmp_path):
    page = run.report(tmp_path / "report.html", data=ROWS).read_text(encoding="utf-8")
    assert "distortion + rate" not in page
    assert name_of(run) in page


def test_what_was_saved_is_the_same_model(run, tmp_path):
    again = senzai.load(run.folder)
    assert isinstance(again.model, Implicit if name_of(run) == "gan" else Explicit)
    assert np.array_equal(again.sample(20, seed=1), run.sample(20, seed=1))
    assert again.metrics["fit"] == json.loads(json.dumps(run.metrics["fit"]))
    assert not any(k.startswith("aux.") for k in again.model.state_dict())
    copy = senzai.load(senzai.load(run.folder).save(tmp_path / "copy"))
    assert np.array_equal(copy.sample(20, seed=1), run.sample(20, seed=1))
    card = (tmp_path / "copy" / "README.md").read_text(encoding="utf-8")
    assert "autoencoder" not in card
    assert "encode" not in card


class StopAt:
    """Sends this process the signal that a user sends, after so many steps."""

    def __init__(self, step):
        self.step = step

    def on(self, event, training):
        if isinstance(event, Progressed) and event.step == self.step:
            os.kill(os.getpid(), signal.SIGINT)


def test_a_run_that_was_stopped_ends_as_one_that_was_not(run, tmp_path):
    recipe = name_of(run)
    with pytest.raises(RunInterrupted):
        senzai.fit(ROWS, recipe=recipe, out=tmp_path / "run", listeners=[StopAt(30)], **SMALL[recipe], **COMMON)
    again = senzai.resume(tmp_path / "run", data=ROWS)
    for (name, a), b in zip(run.model.state_dict().items(), again.model.state_dict().values(), strict=True):
        if not name.startswith("aux."):
            assert torch.equal(a, b), name
    assert np.array_equal(again.sample(9, seed=0), run.sample(9, seed=0))


@pytest.mark.parametrize(("recipe", "more", "why"), [
    ("flow", {"values": "levels"}, "real"), ("gan", {"values": "binary"}, "levels"),
    ("flow", {"objective": "elbo"}, "LatentModel"), ("flow", {"prior": "flow_matching"}, "exact density"),
    ("gan", {"sampler": "mixture"}, "sampler=mixture"), ("flow-matching", {"prior": "flow"}, "velocity"),
])
def test_what_cannot_be_is_refused_before_training(recipe, more, why):
    x = ROWS if more.get("values") not in ("levels", "binary") else (ROWS > 0).astype("float32")
    with pytest.raises((CombinationError, SettingError), match=why):
        senzai.fit(x, recipe=recipe, steps=1, kind="array", **more)


@pytest.mark.parametrize("recipe", RECIPES)
def test_rows_with_holes_are_refused(recipe):
    x = ROWS.copy()
    x[3, 1] = np.nan
    with pytest.raises(CombinationError, match="missing"):
        senzai.fit(x, recipe=recipe, steps=1, kind="array", missing="keep")


def test_pictures_with_levels_stay_levels():
    run = senzai.fit("digits", recipe="gan", steps=3, hidden=(16,), critic_width=8, progress=False)
    made = run.sample(4, seed=0)
    assert made.shape == (4, 8, 8)
    assert 0 <= made.min() <= made.max() <= 16


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_the_optimiser_is_a_setting_of_a_run(optimiser, tmp_path):
    own = {"optimiser.momentum": 0.9} if optimiser == "sgd" else {"optimiser.betas": [0.5, 0.9]}
    run = senzai.fit(
        ROWS, recipe="vae", out=tmp_path / "run", steps=3, kind="array", optimiser=optimiser, lr=1e-3, progress=False,
        **own, **SMALL["vae"],
    )
    kept = senzai.load(tmp_path / "run").spec
    assert kept.training.optimiser == optimiser
    assert kept.settings["optimiser"] == optimiser
    assert run.spec.training.optimiser_settings == {k.partition(".")[2]: v if isinstance(v, float) else tuple(v)
                                                    for k, v in own.items()}


def test_what_of_a_run_keeps_training_rows_is_listed(runs):
    kept = kept_rows(runs["vae"])
    assert set(kept) == {"reference.safetensors"}
    assert kept_rows(runs["flow"]) == {}
    vamp = senzai.fit(ROWS, recipe="vamp-vae", steps=2, kind="array", progress=False, **SMALL["vae"])
    assert any(where.startswith("weights.safetensors") for where in kept_rows(vamp))
