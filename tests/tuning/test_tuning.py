"""A study finds what is known to be best, goes on where it stopped, and keeps a run that is like any other."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import senzai
from senzai.apps.cli import app
from senzai.core.errors import (
    BundleError,
    InputError,
    MissingExtraError,
    OutputError,
    RunInterrupted,
    SettingError,
    TrainingError,
    UnknownNameError,
)
from senzai.data import open_data
from senzai.recipes import RECIPES
from senzai.tuning import Dimension, propose_space, tune
from senzai.tuning.report import curve, page
from senzai.tuning.study import StudyFacts, best_facts, keep_if_best, opened

pytest.importorskip("optuna")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(160, 3)).astype(np.float32)
FRAME = pd.DataFrame(np.hstack([X, X @ RNG.normal(size=(3, 2)).astype(np.float32)]), columns=list("abcde"))
TINY = {"steps": 25, "hidden": [8], "validate_every": 10}


def study(tmp_path, **options):
    usual = {"trials": 3, "k": 5, "rows": 50, "space": {"n_latent": (1, 4)}, **TINY}
    return tune(FRAME, out=tmp_path / "study", **{**usual, **options})


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    heard = []
    folder = tmp_path_factory.mktemp("tuned") / "study"
    found = tune(
        FRAME, out=folder, trials=8, k=5, rows=50, space={"n_latent": (1, 4), "lr": (1e-5, 3e-2, "log")},
        announce=lambda *words: heard.append(words), **TINY,
    )
    return found, heard


# --- what is found --------------------------------------------------------------------------------------------------
def test_the_best_is_the_best_of_the_finished_trials_and_its_run_has_that_value(tuned):
    found, heard = tuned
    whole = {t["trial"]: t["value"] for t in found.trials if t["state"] == "complete"}
    assert found.value == max(whole.values()) == whole[found.number]
    assert {n: v for n, state, v in heard if state == "complete"} == whole
    assert sorted(n for n, _, _ in heard) == list(range(8))
    run = found.best
    validation = run.dataset(FRAME).batch(run.part(FRAME, "validation"))
    assert 0 < len(validation) <= 50
    from senzai.runs.verbs.compare import scored

    again = scored(run, run.dataset(FRAME), run.part(FRAME, "validation"), k=5, seed=0, sampler="prior")
    assert math.isclose(float(again.log_p.mean()), found.value, rel_tol=1e-5)


def test_the_best_run_has_the_settings_that_were_chosen_and_is_trained_again_by_them(tuned):
    found, _ = tuned
    assert found.best.spec.settings == {"seed": 0, **TINY, **found.settings}
    again = senzai.fit(FRAME, **found.best.spec.settings)
    state = found.best.model.state_dict()
    assert all((state[k] == v).all() for k, v in again.model.state_dict().items())


def test_the_best_run_is_an_ordinary_run(tuned, tmp_path):
    run = tuned[0].best
    assert len(run.sample(5, seed=0)) == 5
    assert run.metrics["fit"]["sampler"]["chosen"]
    assert run.spec.training.sampler == "auto"
    assert senzai.load(run.pack(tmp_path / "a.zip")).schema == run.schema


def test_only_the_study_and_one_run_are_left(tuned):
    assert sorted(os.listdir(tuned[0].folder)) == ["best", "best.json", "journal.log", "report.html", "tune.json"]


def test_test_rows_are_not_looked_at(tmp_path, monkeypatch):
    """What stands in the test rows changes no trial."""
    dataset = open_data(FRAME)
    at = dataset.split_indices()["test"]
    other = FRAME.copy()
    values = other.to_numpy().copy()
    values[at] = values[at[::-1]]
    other = pd.DataFrame(values, columns=other.columns)
    assert not other.equals(FRAME)
    options = {"trials": 2, "k": 5, "space": {"n_latent": (1, 4)}, **TINY}
    one = tune(FRAME, out=tmp_path / "a", **options)
    two = tune(other, out=tmp_path / "b", **options)
    assert [t["value"] for t in one.trials] == [t["value"] for t in two.trials]


def test_a_setting_that_ruins_a_model_is_not_chosen_and_is_what_mattered(tmp_path):
    found = study(tmp_path, trials=8, space={"lr": [0.02, 1e-9], "beta": (0.99, 1.0)}, seed=3)
    assert found.settings["lr"] == 0.02
    assert max(found.importance, key=found.importance.get) == "lr"
    assert sum(found.importance.values()) == pytest.approx(1)


def test_the_first_trial_has_the_defaults_of_the_recipe(tmp_path):
    found = study(tmp_path, trials=2, space=None, hidden=[8])
    space = propose_space(open_data(FRAME), settings=TINY)
    assert found.trials[0]["settings"] == {name: d.default for name, d in space.items()}
    assert found.default == found.trials[0]["value"]


def test_the_same_search_gives_the_same_trials(tmp_path):
    one, two = (tune(FRAME, out=tmp_path / n, trials=3, k=5, space={"n_latent": (1, 4)}, **TINY) for n in "ab")
    assert [t["settings"] for t in one.trials] == [t["settings"] for t in two.trials]
    assert [t["value"] for t in one.trials] == [t["value"] for t in two.trials]


def test_a_figure_of_an_evaluation_can_be_the_measure(tmp_path):
    many = RNG.normal(size=(400, 3)).astype(np.float32)
    labelled = (many, (many[:, 0] > 0).astype(int))
    found = tune(labelled, out=tmp_path / "s", trials=2, measure="probes.linear", maximise=True, k=3,
                 space={"n_latent": (1, 3)}, **TINY)
    assert 0 <= found.value <= 1
    with pytest.raises(TrainingError, match=r"MEASURE\.FIGURE.*linear"):
        tune(labelled, out=tmp_path / "t", trials=1, measure="probes.nothing", maximise=True, k=3,
             space={"n_latent": (1, 3)}, **TINY)


# --- going on -------------------------------------------------------------------------------------------------------
def test_a_study_goes_on_and_keeps_its_best(tmp_path):
    first = study(tmp_path)
    more = study(tmp_path, trials=5)
    assert [t["value"] for t in more.trials[:3]] == [t["value"] for t in first.trials]
    assert len(more.trials) == 5
    assert more.value >= first.value
    assert study(tmp_path, trials=5).trials == more.trials  # nothing is left to do


def test_a_study_goes_on_with_new_draws(tmp_path):
    study(tmp_path, space={"lr": (1e-4, 1e-2, "log")}, trials=2)
    found = study(tmp_path, space={"lr": (1e-4, 1e-2, "log")}, trials=4)
    assert len({t["settings"]["lr"] for t in found.trials}) == 4


@pytest.mark.parametrize("change", [
    {"space": {"n_latent": (1, 3)}}, {"seed": 1}, {"recipe": "iwae"}, {"measure": "elbo"}, {"steps": 30},
])
def test_a_study_about_something_else_is_refused(tuned, change):
    folder = tuned[0].folder
    before = sorted(os.listdir(folder))
    with pytest.raises(SettingError, match="differ"):
        tune(FRAME, out=folder, **{"trials": 9, "k": 5, "rows": 50,
                                   "space": {"n_latent": (1, 4), "lr": (1e-5, 3e-2, "log")}, **TINY, **change})
    assert sorted(os.listdir(folder)) == before


def test_other_data_are_refused(tuned):
    with pytest.raises(SettingError, match="differ: data"):
        tune(FRAME + 1, out=tuned[0].folder, trials=9, k=5, rows=50,
             space={"n_latent": (1, 4), "lr": (1e-5, 3e-2, "log")}, **TINY)


def test_a_database_keeps_the_trials_where_that_is_asked_for(tmp_path):
    pytest.importorskip("sqlalchemy")
    found = study(tmp_path, storage=f"sqlite:///{tmp_path / 'study.db'}")
    assert len(found.trials) == 3
    assert (tmp_path / "study.db").is_file()
    assert "journal.log" not in os.listdir(found.folder)


def test_a_trial_that_a_kill_cut_short_counts_as_failed(tmp_path):
    study(tmp_path)
    folder = tmp_path / "study"
    opened(folder, StudyFacts.read(folder)).ask()  # by somebody who is gone
    found = study(tmp_path, trials=5)
    assert [t["state"] for t in found.trials] == ["complete"] * 3 + ["fail", "complete"]


@pytest.mark.parametrize(("maximise", "best"), [(True, 3.0), (False, 1.0)])
def test_a_worse_run_does_not_take_the_place_of_the_best(tmp_path, maximise, best):
    for number, value in enumerate([2.0, 3.0, 1.0, 3.0, 1.0, 2.0]):
        run = senzai.fit(FRAME, n_latent=number + 1, **TINY)
        keep_if_best(tmp_path, run, number, value, maximise=maximise)
    kept = best_facts(tmp_path)
    assert kept["value"] == best
    assert senzai.load(tmp_path / "best").spec.settings["n_latent"] == kept["trial"] + 1
    assert sorted(os.listdir(tmp_path)) == ["best", "best.json"]


def test_a_stop_keeps_what_was_finished_and_says_how_to_go_on(tmp_path, monkeypatch):
    from senzai.tuning import trials

    judged = trials.judged

    def stopped(run, dataset, about):
        if run.spec.settings["n_latent"] == 2:
            raise RunInterrupted("stopped", signal.SIGTERM)
        return judged(run, dataset, about)

    monkeypatch.setattr(trials, "judged", stopped)
    with pytest.raises(RunInterrupted, match="The same command goes on") as caught:
        study(tmp_path, trials=8, space={"n_latent": [1, 2, 3]})
    assert caught.value.exit_code == 128 + signal.SIGTERM
    monkeypatch.undo()
    found = study(tmp_path, trials=8, space={"n_latent": [1, 2, 3]})
    assert [t["state"] for t in found.trials].count("fail") == 1
    assert len(found.trials) == 8


# --- several processes ----------------------------------------------------------------------------------------------
def test_two_processes_do_each_trial_once(tmp_path):
    heard = []
    found = study(tmp_path, trials=5, processes=2, announce=lambda *words: heard.append(words))
    assert sorted(t["trial"] for t in found.trials) == list(range(5))
    assert sorted(n for n, _, _ in heard) == list(range(5))
    whole = [t["value"] for t in found.trials if t["state"] == "complete"]
    assert found.value == max(whole)
    assert best_facts(found.folder) == {"trial": found.number, "value": found.value}


def test_a_second_search_of_a_folder_is_refused_while_one_is_at_it(tuned):
    from senzai.training.lock import take

    lock = take(tuned[0].folder)
    try:
        with pytest.raises(OutputError, match="One process at a time"):
            tune(FRAME, out=tuned[0].folder, trials=9, k=5, rows=50,
                 space={"n_latent": (1, 4), "lr": (1e-5, 3e-2, "log")}, **TINY)
    finally:
        lock.release()


@pytest.mark.slow
def test_a_killed_search_goes_on(tmp_path):
    FRAME.to_csv(tmp_path / "rows.csv", index=False)
    words = [sys.executable, "-m", "senzai", "tune", str(tmp_path / "rows.csv"), "--out", str(tmp_path / "s"),
             "--trials", "6", "--set", "steps=300", "--set", "hidden=[8]", "--space", "n_latent=1..4"]
    with subprocess.Popen(words, stderr=subprocess.PIPE) as process:
        while b"trial 1" not in process.stderr.readline():
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    done = subprocess.run([*words, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found["trials"]) == 6
    assert senzai.load(found["best"]).schema.n_rows == len(FRAME)


# --- the space ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("recipe", ["vae", "beta-vae", "iwae", "vamp-vae", "factor-vae", "nsf-vae", "bn-vae"])
def test_every_proposed_default_lies_in_its_range(recipe):
    space = propose_space(open_data(FRAME), recipe)
    assert {"lr", "n_latent", "hidden", "dropout"} <= set(space)
    for name, d in space.items():
        assert d.first() is not None, name
        assert d.kind == "choice" or d.low < d.high or name == "n_latent", name


def test_what_is_searched_follows_the_recipe():
    assert "beta" in propose_space(open_data(FRAME), "beta-vae")
    assert propose_space(open_data(FRAME), "beta-vae")["beta"].default == 4.0
    assert "prior.n_components" in propose_space(open_data(FRAME), "vamp-vae")
    assert "tc_weight" in propose_space(open_data(FRAME), "factor-vae")
    assert "prior.n_components" not in propose_space(open_data(FRAME), "vae")


def test_what_is_set_is_not_searched():
    space = propose_space(open_data(FRAME), settings={"lr": 0.01, "hidden": [8]})
    assert not {"lr", "hidden"} & set(space)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", sorted(RECIPES))
def test_every_recipe_that_fits_a_table_has_a_space_of_settings_that_it_knows(recipe):
    from senzai.core.errors import UserError
    from senzai.recipes import names
    from senzai.training.settings import TrainSettings

    try:
        space = propose_space(open_data(FRAME), recipe)
    except UserError:
        return  # it is for other data
    assert "lr" in space
    assert {name.partition(".")[0] for name in space} <= {*names(), *TrainSettings.model_fields}


@pytest.mark.parametrize(("given", "said"), [
    ((1,), "low, high"), ((2, 1), "goes up"), ((0, 1, "log"), "above zero"), ((1, 2, "lin"), "low, high"),
    ([], "at least one"), ("abc", "low, high"), (("a", "b"), "numbers"), ((True, 3), "numbers"),
])
def test_a_range_that_is_none_is_refused(given, said):
    with pytest.raises(SettingError, match=said):
        Dimension.of(given)


# --- what cannot work -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("options", "error", "said"), [
    ({"trials": 0}, SettingError, "at least one"), ({"processes": 0}, SettingError, "at least one"),
    ({"measure": "elbow"}, SettingError, "A measure is"), ({"measure": "probes.x"}, SettingError, "maximise"),
    ({"recipe": "vea"}, UnknownNameError, "vae"), ({"space": {}}, SettingError, "something to search"),
    ({"space": {"steps": (1, 5)}}, SettingError, "both"), ({"lernrate": 1}, SettingError, "Unknown setting"),
])
def test_what_cannot_work_is_refused_before_anything_is_written(tmp_path, options, error, said):
    with pytest.raises(error, match=said):
        study(tmp_path, **options)
    assert os.listdir(tmp_path) == []


def test_data_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(InputError):
        tune(str(tmp_path / "none.csv"), out=tmp_path / "s")
    assert os.listdir(tmp_path) == []


def test_a_folder_with_other_things_is_refused(tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "thesis.tex").touch()
    with pytest.raises(SettingError, match="holds other things"):
        study(tmp_path)
    with pytest.raises(BundleError, match="must be a study"):
        StudyFacts.read(tmp_path / "study")


def test_settings_that_cannot_work_are_failed_trials_with_the_reason(tmp_path):
    found = study(tmp_path, trials=4, space={"network": ["mlp", "no-such-network"]}, seed=1)
    failed = [t for t in found.trials if t["state"] == "fail"]
    assert failed
    assert all("no-such-network" in t["why"] for t in failed)
    assert found.settings == {"network": "mlp"}


def test_a_study_without_a_finished_trial_says_why(tmp_path):
    with pytest.raises(TrainingError, match="no-such-network"):
        study(tmp_path, trials=2, space={"network": ["no-such-network"]})


def test_without_validation_rows_nothing_can_be_judged(tmp_path):
    with pytest.raises(TrainingError, match="none were held out"):
        study(tmp_path, trials=1, validation=0.0)


def test_without_the_package_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"senzai\[tune\]"):
        study(tmp_path)
    assert os.listdir(tmp_path) == []


# --- what is shown --------------------------------------------------------------------------------------------------
def test_the_report_says_what_mattered_and_how_to_train_it_again(tuned):
    found, _ = tuned
    text = found.report.read_text()
    assert "What mattered" in text
    for name, share in found.importance.items():
        assert f"<span>{name}</span>" in text
        assert f"{100 * share:.0f} %" in text
    assert "senzai fit DATA --recipe vae --out RUN --set steps=25" in text
    assert text.count('<tr class="best">') == 1
    assert not re.search(r"(src|href)=\"http", text)


def test_the_report_escapes_what_users_named(tuned):
    from dataclasses import replace

    found = tuned[0]
    bad = replace(found, about=replace(found.about, source="<script>alert(1)</script>"))
    assert "<script>alert" not in page(bad)


def test_the_drawing_has_a_dot_for_each_finished_trial_and_rises():
    drawn = curve([1.0, None, 3.0, 2.0, 5.0], maximise=True)
    assert drawn.count("<circle") == 4
    heights = [float(p.split(",")[1]) for p in re.search(r'points="([^"]+)"', drawn)[1].split()]
    assert heights == sorted(heights, reverse=True)


def test_the_command_line_tunes(tmp_path):
    FRAME.to_csv(tmp_path / "rows.csv", index=False)
    words = ["tune", str(tmp_path / "rows.csv"), "--out", str(tmp_path / "s"), "--trials", "2", "--set", "steps=20",
             "--set", "hidden=[8]", "--space", "n_latent=1..3", "--space", "lr=0.001..0.01:log"]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found["settings"]) == {"n_latent", "lr"}
    assert senzai.load(found["best"]).schema.n_rows == len(FRAME)
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0, shown.stderr
    assert "what mattered" in shown.stdout
    wrong = CliRunner().invoke(app, [*words[:-1], "lr"])
    assert wrong.exit_code == 2
    assert "NAME=RANGE" in wrong.stderr
