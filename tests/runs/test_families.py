"""Five families on a ring whose density is known: the measures are told what they are, and failures are counted."""

import json

import numpy as np
import pytest

import senzai
from senzai.core.errors import InputError, SettingError, TrainingError
from senzai.data.ring import MODES, SPREAD, centres, draw, log_density, modes_found
from senzai.report.families_page import families_page
from senzai.runs import families
from senzai.runs.families import FAMILIES, Judge, compare_families, summary, task_of
from senzai.runs.family_words import words_about


def test_the_ring_has_the_density_it_says():
    """It integrates to one, and its mean over draws is the entropy that a grid gives."""
    side = np.linspace(-2.5, 2.5, 401)
    points = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    log_p, cell = log_density(points), (side[1] - side[0]) ** 2
    p = np.exp(log_p)
    assert abs(p.sum() * cell - 1) < 1e-3
    drawn = log_density(draw(8_000, seed=3)[0])
    assert abs(drawn.mean() - (p * log_p).sum() * cell) < 5 * drawn.std() / 8_000**0.5


def test_modes_are_counted():
    x, mode = draw(5000, seed=2)
    assert modes_found(x) == (1.0, pytest.approx(1 - np.exp(-4.5), abs=0.01))
    half = x[mode < 10]
    assert modes_found(half)[0] == 10 / MODES
    assert modes_found(x + 4 * SPREAD * np.sign(x))[1] < 0.2
    assert modes_found(np.repeat(centres()[:1], 50, 0)) == (1 / MODES, 1.0)
    with pytest.raises(InputError, match="plane"):
        log_density([[1.0, 2.0, 3.0]])


@pytest.fixture(scope="module", autouse=True)
def small():
    """Fewer rows and draws, so that it is quick."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"MOST_ROWS": 1500, "JUDGED": 250, "K": 30, "TRIED": 10}.items():
            patch.setattr(families, name, value)
        yield


@pytest.fixture(scope="module")
def found(small):
    return compare_families("ring", minutes=0.01, seeds=1, only=("vae", "gan", "flow"))


def test_every_family_is_trained_and_measured_on_the_same_rows(found):
    assert list(found["families"]) == ["vae", "gan", "flow"]
    json.dumps(found, allow_nan=False)
    for name, one in found["families"].items():
        assert one["summary"]["runs"] == 1
        assert [r["faster"] for r in one["runs"]] == [False, True]
        usual = one["runs"][0]
        assert usual["failed"] is None, name
        assert usual["steps"] >= 20
        assert 0 <= usual["recall"] <= 1
        assert usual["seconds_per_1000_samples"] > 0
    assert found["floor"]["modes"] == 1.0
    assert found["floor"]["precision"] > 0.9
    assert abs(found["floor"]["told_apart"] - 0.5) < 0.1


def test_a_likelihood_is_never_a_number_under_another_name(found):
    told = {name: one["runs"][0]["likelihood"] for name, one in found["families"].items()}
    assert told["flow"]["is"] == "exact"
    assert "draws" not in told["flow"]
    assert told["vae"]["is"] == "bound"
    assert told["vae"]["gap_to_one_draw"] >= 0
    assert told["gan"]["value"] is None
    truth = found["floor"]["log_likelihood"]
    for name in ("flow", "vae"):
        assert told[name]["value"] < truth + 5 * told[name]["se"], "nothing beats the truth on average"


def test_an_exact_likelihood_is_that_of_the_rows_in_their_own_units():
    """A flow that is a normal at the start: its log density is the normal's with the moments of the training rows."""
    task = task_of("ring")
    still = {"steps": 1, "lr": 1e-9, "values": "real", "test": 0.2}
    run = senzai.fit(task.x, recipe="flow", kind="array", settings=still)
    judge = Judge.of(task, run)
    said = judge.likelihood(run, FAMILIES["flow"])
    train, test = task.x[judge.train], task.x[judge.test]
    z = (test - train.mean(0)) / train.std(0)
    normal = (-0.5 * z**2 - np.log(train.std(0)) - 0.5 * np.log(2 * np.pi)).sum(1)
    assert said["value"] == pytest.approx(normal.mean(), abs=0.05)


def test_only_models_with_codes_have_latent_structure(found):
    told = {name: one["runs"][0]["latents"] for name, one in found["families"].items()}
    assert told["vae"]["is"] == "2 numbers"
    assert 0 <= told["vae"]["probe"] <= 1
    assert told["vae"]["round_trip_error"] > 0
    assert told["gan"]["is"].startswith("none")
    assert "probe" not in told["flow"]


def run_of(frechet, faster=False, failed=None):
    return {"faster": faster, "failed": failed, "frechet": frechet, "recall": 0.5, "latents": {"is": "none"},
            "likelihood": {"is": "exact", "value": 1.0}}


def test_failed_and_diverged_runs_are_counted_and_kept_out_of_means():
    failed = run_of(0.0, failed="the loss was not finite")
    runs = [run_of(0.2), run_of(0.4), run_of(500.0), failed, run_of(0.9, faster=True)]
    told = summary(runs, {"frechet": 0.01, "variance": 2.0})
    assert (told["runs"], told["failed"]) == (4, 2)
    assert told["frechet"] == {"mean": pytest.approx(0.3), "spread": pytest.approx(0.1)}
    assert told["at_ten_times_the_rate"] == {"diverged": 0, "frechet_ratio": pytest.approx(3.0)}
    assert summary([run_of(float("nan"))], {"variance": 2.0})["failed"] == 1
    wild = summary([run_of(0.1), run_of(99.0, faster=True)], {"variance": 2.0})
    assert wild["at_ten_times_the_rate"]["diverged"] == 1


def test_a_run_that_fails_is_told_and_others_go_on(monkeypatch):
    real = families.fit

    def failing(x, **how):
        if how["recipe"] == "gan" and how["settings"].get("sampler") != "none":
            raise TrainingError("The loss is nan after step 3.")
        return real(x, **how)

    monkeypatch.setattr(families, "fit", failing)
    found = compare_families("ring", minutes=0.01, seeds=1, only=("gan", "flow"))
    assert found["families"]["gan"]["summary"] == {"runs": 1, "failed": 1}
    assert found["families"]["flow"]["summary"]["failed"] == 0
    page = families_page(found, "ring")
    assert "The loss is nan after step 3." in page
    assert "1 of 1" in page


def claims(**changes):
    def one(frechet, seconds, value, is_):
        return {"summary": {
            "runs": 3, "failed": 0, "frechet": {"mean": frechet, "spread": 0.1}, "recall": {"mean": 0.5},
            "seconds_per_1000_samples": {"mean": seconds}, "likelihood": {"is": is_, "value": value}}}

    told = {"vae": one(1.0, 1, -3.0, "bound"), "gan": one(0.5, 1, None, "none"), "flow": one(0.4, 1, -2.0, "exact"),
            "flow matching": one(0.3, 9, None, "none"), **changes}
    return {c["claim"]: c for c in words_about(told, {"log_likelihood": -1.5})}


def test_words_say_what_the_numbers_say():
    told = claims()
    assert told["A VAE's samples are the farthest from the data."]["holds"]
    assert told["Diffusion is the closest to the data."]["holds"]
    assert told["Diffusion is the slowest to sample from."]["holds"]
    likelihood = told["A flow's exact likelihood is higher than the bound of a VAE."]
    assert likelihood["holds"]
    assert "known truth -1.500" in likelihood["because"]
    assert "A GAN is the least stable to train." in told
    once = claims(gan={"summary": {**claims_of("gan"), "runs": 1, "frechet": {"mean": 1.0, "spread": 0.0}}})
    assert "A GAN is the least stable to train." not in once, "one run has no spread"
    good = {"summary": {**claims_of("vae"), "frechet": {"mean": 0.01, "spread": 0.0}}}
    assert not claims(vae=good)["A VAE's samples are the farthest from the data."]["holds"]


def claims_of(name):
    return {"runs": 3, "failed": 0, "recall": {"mean": 0.5}, "seconds_per_1000_samples": {"mean": 1.0},
            "likelihood": {"is": "bound", "value": -3.0}, "name": name}


def test_tables_give_their_numbers_and_levels_become_continuous():
    import pandas as pd

    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=300), "word": ["x", "y", "z"] * 100, "b": rng.normal(size=300)})
    task = task_of(frame)
    assert task.x.shape == (300, 2)
    assert any("word" in note for note in task.notes)
    digits = task_of("digits")
    assert digits.x.shape == (1500, 64)
    assert any("1,500 rows" in note for note in digits.notes)
    assert digits.y is not None
    assert 0 <= digits.x.min() < digits.x.max() <= 17
    assert not (digits.x == np.round(digits.x)).any()


@pytest.mark.parametrize(
    ("how", "what"),
    [({"minutes": 0}, "minutes > 0"), ({"seeds": 0}, "seeds >= 1"), ({"only": ("vea",)}, "Unknown family")],
)
def test_settings_are_checked(how, what):
    with pytest.raises(SettingError, match=what):
        compare_families("ring", **how)


def test_too_few_rows_are_refused():
    with pytest.raises(InputError, match="200 rows or more"):
        compare_families(np.random.default_rng(0).normal(size=(50, 3)))


def test_the_page_names_what_every_number_is(found):
    page = families_page(found, "ring & <others>")
    assert "ring &amp; &lt;others&gt;" in page
    for word in ("exact", "bound", "variational autoencoder", "floor: real rows", "known modes reached", "pca-2"):
        assert word in page
    assert "http" not in page
