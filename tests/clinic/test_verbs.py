"""Warnings while training runs, cures, comparisons: in Python and on the command line."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import senzai
from senzai.apps.cli.door import app
from senzai.core.errors import SenzaiError, SettingError
from senzai.evaluation.diagnosis import Finding, Remedy
from senzai.report.diagnosed import section
from senzai.runs import compare, cure
from senzai.runs.curing import treated
from senzai.runs.verbs.compare import named
from senzai.runs.watching import Watch
from senzai.testing.clinic import USUAL, factors
from senzai.training.events import Progressed, Recovered, Started
from senzai.training.listeners import History, read_history

TINY = {**USUAL, "hidden": (8,), "steps": 60, "n_latent": 2}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("rows") / "rows.npy"
    np.save(path, factors(400))
    return str(path)


@pytest.fixture(scope="module")
def folders(tmp_path_factory, rows):
    place = tmp_path_factory.mktemp("runs")
    for name, more in {"ill": {"beta": 60.0, "steps": 250}, "well": {"steps": 250}, "well2": {"steps": 250, "seed": 1},
                       "other": {"split_seed": 5}}.items():
        senzai.fit(rows, out=place / name, progress=False, **{**TINY, **more})
    return place


class FakeTraining:
    """As much of a training as a watch looks at."""

    class objective:
        settled_after, beta, comparable = 0, 1.0, True

    class settings:
        lr = 0.1

    class progress:
        step = 100


def progressed(step, **more):
    metrics = {"loss": 10.0 + 0.1 * (step % 30), "rate": 4.0, **more}
    return Progressed(step, 0.0, metrics, 0.1, 1.0, 1.0, 1.0)


def watched(watch, events):
    for event in events:
        watch.on(event, FakeTraining)


def test_a_warning_comes_once_and_while_training_runs(tmp_path):
    said = []
    history = History(tmp_path / "history.jsonl")
    watch = Watch(history, emit=said.append)
    watched(watch, [Started(0, 1000, 10, 8, 1, "fp32"), *(progressed(10 * i) for i in range(1, 20))])
    assert said == []
    watched(watch, [progressed(200, loss=900.0), *(progressed(10 * i) for i in range(21, 60))])
    assert len(said) == 1
    assert "lr=" in said[0]
    kept = [h for h in read_history(history.path) if h["kind"] == "warning"]
    assert [h["name"] for h in kept] == ["spikes"]
    assert kept[0]["step"] + 100 >= 200


def test_a_run_that_goes_on_does_not_warn_again(tmp_path):
    history = History(tmp_path / "history.jsonl")
    lines = [{"kind": "warning", "step": 50, "name": "unstable", "sentence": "", "value": 1.0, "threshold": 0.5}]
    for line in lines:
        history.append(line)
    said = []
    watch = Watch(history, emit=said.append)
    watched(watch, [Started(60, 1000, 10, 8, 1, "fp32"), Recovered(70, 60, 2, 0.5, "the term 'rate' is not finite")])
    assert said == []


def test_a_loss_that_is_not_finite_is_warned_of_at_once():
    said = []
    watched(Watch(emit=said.append), [Recovered(70, 60, 2, 0.5, "the term 'rate' is not finite")])
    assert len(said) == 1
    assert "the term 'rate'" in said[0]


def test_a_healthy_run_says_nothing_and_an_ill_one_warns_on_stderr(rows, capfd):
    senzai.fit(rows, progress=False, **TINY)
    assert "Warning" not in capfd.readouterr().err
    ill = {"beta": 60.0, "warmup": "linear", "warmup.steps": 150, "steps": 300}
    run = senzai.fit(rows, progress=False, **{**TINY, **ill})
    assert capfd.readouterr().err.count("Warning: The rate was") == 1
    assert [h["name"] for h in run.heard if h["kind"] == "warning"] == ["rate_vanishes"]


# --- cure -----------------------------------------------------------------------------------------------------------
def test_a_cure_keeps_the_better_and_shows_both(folders, tmp_path):
    run = senzai.load(folders / "ill")
    found = cure(run, out=tmp_path / "second", rows=100, k=16)
    assert found.finding.name == "posterior_collapse"
    assert found.settings["beta"] == 1.0
    assert found.kept == "after"
    assert found.improved
    assert found.run.folder == tmp_path / "second"
    assert found.quantity[0] < 0.1 < found.quantity[1]
    assert found.comparison.best == "after"
    json.dumps(found.document(), allow_nan=False)
    assert run.metrics == senzai.load(folders / "ill").metrics  # the first is left as it is


def test_a_remedy_that_makes_it_worse_is_not_kept(folders):
    run = senzai.load(folders / "well")
    before = run.diagnose(rows=100, k=16)
    wrong = Finding("posterior_collapse", "illness", "rate", before.facts.rate, 0.1, False, "", "",
                    Remedy("", {"beta": 60.0}))
    found = cure(run, before=replace(before, findings=(wrong,)), rows=100, k=16)
    assert found.kept == "before"
    assert found.run is run
    assert not found.improved


def test_nothing_to_cure_is_said(folders):
    run = senzai.load(folders / "well")
    before = replace(run.diagnose(rows=60, k=4), findings=())
    with pytest.raises(SettingError, match="the model is well"):
        cure(run, before=before)


def test_a_remedy_replaces_what_belongs_to_the_part_it_exchanges():
    remedy = Remedy("", {"objective": "iwae", "n_samples": 8, "lr": None})
    finding = Finding("a", "note", "", 1, 1, True, "", "", remedy)
    assert treated({"beta": 4.0, "lr": 1.0, "hidden": (8,)}, finding) == {
        "objective": "iwae", "n_samples": 8, "hidden": (8,),
    }


# --- compare --------------------------------------------------------------------------------------------------------
def test_the_better_run_is_named_with_paired_errors(folders):
    runs = [senzai.load(folders / n) for n in ("ill", "well")]
    found = compare(runs, k=16)
    assert found.best == "well"
    assert found.equal == ()
    assert found.verdict == "well is better than ill."
    gap, both = found.differences["ill"], found.log_likelihood
    assert gap.value == pytest.approx(both["well"].value - both["ill"].value)
    per_row = [r.log_likelihood(factors(400)[r.part(r.source())], k=16) for r in runs]
    assert gap.value == pytest.approx(float((per_row[1] - per_row[0]).mean()), rel=0.05)
    # paired: the error is that of the differences, which are known
    difference = per_row[1] - per_row[0]
    assert gap.se == pytest.approx(difference.std(ddof=1) / len(difference) ** 0.5, rel=0.1)


def test_a_run_is_as_good_as_itself(folders):
    run = senzai.load(folders / "well")
    found = compare({"a": run, "b": run}, k=8)
    assert found.equal
    assert "No run is better" in found.verdict


def test_rows_that_one_run_was_trained_on_are_left_out(folders):
    runs = {n: senzai.load(folders / n) for n in ("well", "other")}
    found = compare(runs, k=4)
    test = set(runs["well"].part(runs["well"].source()).tolist())
    theirs = runs["other"].dataset(runs["other"].source()).split_indices()["train"].tolist()
    assert found.rows == len(test - set(theirs)) < len(test)


def test_what_cannot_be_compared_is_refused(folders):
    run = senzai.load(folders / "well")
    with pytest.raises(SettingError, match="two runs"):
        compare([run])
    digits = senzai.fit("digits", steps=1, n_latent=2, network="mlp", hidden=(4,), sampler="none", progress=False)
    with pytest.raises(SenzaiError, match="shapes"):
        compare([run, digits])


def test_names_of_runs_are_told_apart(folders):
    run = senzai.load(folders / "well")
    assert list(named([run, run])) == ["well (1)", "well (2)"]


# --- command line and page ------------------------------------------------------------------------------------------
def said(*words):
    done = CliRunner().invoke(app, [str(w) for w in words])
    assert done.exit_code == 0, done.output
    return done


def test_diagnose_on_the_command_line(folders, tmp_path):
    document = json.loads(said("diagnose", folders / "ill", "--rows", 60, "--k", 4, "--json").stdout)
    assert document["findings"][0]["name"] == "posterior_collapse"
    assert not document["healthy"]
    text = said("diagnose", folders / "ill", "--rows", 60, "--k", 4).stdout
    assert "1. posterior collapse" in text
    assert "--set beta=1.0" in text
    second = tmp_path / "better"
    cured = json.loads(
        said("diagnose", folders / "ill", "--rows", 60, "--k", 4, "--cure", "--out", second, "--json").stdout
    )
    assert cured["kept"] == "after"
    assert (second / "weights.safetensors").is_file()
    metrics = json.loads((folders / "ill" / "metrics.json").read_text())
    assert metrics["diagnosis"]["findings"][0]["name"] == "posterior_collapse"


def test_compare_on_the_command_line(folders):
    document = json.loads(said("compare", folders / "ill", folders / "well", "--k", 4, "--json").stdout)
    assert document["best"] == "well"
    assert "well is better than ill." in said("compare", folders / "ill", folders / "well", "--k", 4).stdout


def test_the_page_shows_what_was_found_and_what_was_warned_of(folders):
    run = senzai.load(folders / "ill")
    run.diagnose(rows=60, k=4)
    warning = {"kind": "warning", "step": 5, "sentence": "It jumps."}
    shown = str(section(run.metrics, [warning]))
    assert "Posterior collapse (illness)" in shown
    assert "beta=1.0" in shown
    assert "Step 5: It jumps." in shown
    assert "was not diagnosed" in str(section({}, []))


def test_no_column_of_a_table_is_said_to_drown_the_others():
    """Each has a likelihood of its own; the cure of one scale per column would take the categories for numbers."""
    r = np.random.default_rng(0)
    frame = pd.DataFrame({"wide": np.exp(4 * r.normal(size=300)), "a": r.choice(["x", "y"], 300),
                          "b": r.random(300) < 0.5})
    run = senzai.fit(frame, steps=3, n_latent=2, sampler="none", progress=False)
    found = run.diagnose(frame)
    assert "column_dominates" not in [f.name for f in found.findings]
