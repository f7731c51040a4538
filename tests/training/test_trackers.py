"""What trackers write is what happened: the numbers of the history, read back with the tool they are written for."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import senzai
from senzai.core.errors import MissingExtraError, OutputError, SettingError, UnknownNameError
from senzai.training.listeners import TRACKERS, TrackedRun, tracker
from senzai.training.listeners.trackers import Tolerated

ROWS = pd.DataFrame(np.random.default_rng(0).normal(size=(90, 3)), columns=list("abc"))
TINY = {"steps": 20, "hidden": [6], "n_latent": 2, "log_every": 5, "validate_every": 10}


@pytest.fixture
def mlruns(monkeypatch, tmp_path):
    """MLflow's file store in a folder of this test, and nothing sent anywhere."""
    before = dict(os.environ)
    pytest.importorskip("mlflow.version")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "mlruns"
    for name in set(os.environ) - {*before, "MLFLOW_DISABLE_TELEMETRY", "MLFLOW_TRACKING_URI"}:
        del os.environ[name]  # what libraries set for themselves when MLflow imports them


def read(mlruns):
    """What MLflow's own client reads: runs, and their curves by name."""
    from senzai.training.listeners.mlflow import files_allowed, package

    with files_allowed():
        client = package().MlflowClient(tracking_uri=str(mlruns))
    experiment = client.get_experiment_by_name("senzai")
    runs = client.search_runs([experiment.experiment_id])
    return [(r, {k: client.get_metric_history(r.info.run_id, k) for k in r.data.metrics}) for r in runs]


# --- MLflow ---------------------------------------------------------------------------------------------------------
def test_mlflow_has_the_settings_and_the_very_numbers_of_the_history(mlruns, tmp_path):
    made = senzai.fit(ROWS, out=tmp_path / "run", track="mlflow", **TINY)
    ((run, curves),) = read(mlruns)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "run"
    assert {k: run.data.params[k] for k in ("recipe", "kind", "rows", "hidden", "steps", "n_latent")} == {
        "recipe": "vae", "kind": "table", "rows": "90", "hidden": "[6]", "steps": "20", "n_latent": "2"
    }
    for kind in ("train", "validation"):
        told = [(h["step"], h["loss"]) for h in made.history if h["kind"] == kind]
        assert len(told) >= 2
        assert [(m.step, m.value) for m in curves[f"{kind}/loss"]] == told


def test_a_resumed_run_goes_on_in_the_same_run_of_mlflow(mlruns, tmp_path):
    senzai.fit(ROWS, out=tmp_path / "run", track=["mlflow"], **TINY)
    senzai.resume(tmp_path / "run", data=ROWS, steps=40, track="mlflow")
    ((run, curves),) = read(mlruns)
    assert [m.step for m in curves["validation/loss"]] == [10, 20, 30, 40]
    assert run.info.status == "FINISHED"


def test_two_runs_are_two_runs(mlruns, tmp_path):
    for name in ("a", "b"):
        senzai.fit(ROWS, out=tmp_path / name, track="mlflow", **TINY)
    assert {run.info.run_name for run, _ in read(mlruns)} == {"a", "b"}


def test_a_run_that_fails_is_a_failed_run(mlruns, tmp_path):
    class Ends:
        def on(self, event, training):
            if type(event).__name__ == "Validated":
                raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        senzai.fit(ROWS, track="mlflow", listeners=[Ends()], **TINY)
    ((run, _),) = read(mlruns)
    assert run.info.status == "FAILED"


def test_a_store_of_the_users_is_taken(mlruns, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(tmp_path / "elsewhere"))
    senzai.fit(ROWS, track="mlflow", **TINY)
    assert not mlruns.exists()
    assert len(read(tmp_path / "elsewhere")) == 1


def test_a_run_is_a_model_of_mlflow_without_a_pickle(mlruns, tmp_path):
    from senzai.core.warning_filters import ignore_warnings
    from senzai.runs.mlflow_model import save_model

    made = senzai.fit(ROWS, **TINY)
    folder = save_model(made, tmp_path / "model", verb="score")
    assert {p.suffix for p in folder.rglob("*") if p.is_file()} <= {".txt", "", ".yaml", ".json", ".safetensors", ".md",
                                                                     ".jsonl"}
    with ignore_warnings():
        import mlflow.pyfunc as pyfunc

        again = pyfunc.load_model(str(folder))
        assert (np.asarray(again.predict(ROWS)) == made.score(ROWS)).all()
        pd.testing.assert_frame_equal(again.predict(ROWS, params={"verb": "encode"}), made.encode(ROWS))
        assert len(again.predict(ROWS.head(3), params={"verb": "sample"})) == 3
    with pytest.raises(OutputError, match="does not exist yet"):
        save_model(made, folder)
    with pytest.raises(SettingError, match="takes rows"):
        save_model(made, tmp_path / "other", verb="compare")
    assert not (tmp_path / "other").exists()


# --- Weights & Biases -----------------------------------------------------------------------------------------------
@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="the extra wandb is not installed")
@pytest.mark.filterwarnings("default")  # of wandb's own
def test_weights_and_biases_writes_offline_into_the_run(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    before = dict(os.environ)
    senzai.fit(ROWS, out=tmp_path / "run", track="wandb", **TINY)
    for name in set(os.environ) - set(before):
        del os.environ[name]  # what wandb sets for its own processes
    (file,) = (tmp_path / "run").glob("wandb/offline-run-*/run-*.wandb")
    assert file.stat().st_size > 500
    raw = file.read_bytes()
    for text in (b"validation/loss", b"n_latent", b"senzai"):
        assert text in raw


# --- all ------------------------------------------------------------------------------------------------------------
def test_the_trackers_are_in_one_registry():
    assert set(TRACKERS) >= {"tensorboard", "mlflow", "wandb"}


@pytest.mark.parametrize(("name", "module"), [
    ("mlflow", "mlflow"), ("wandb", "wandb"), ("tensorboard", "torch.utils.tensorboard"),
])
def test_a_package_that_is_missing_is_named_before_training(tmp_path, monkeypatch, name, module):
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"senzai\[{name}\]"):
        senzai.fit(ROWS, out=tmp_path / "run", track=name, **TINY)
    assert os.listdir(tmp_path) == []


def test_a_name_that_is_none_is_refused_before_anything_is_read():
    with pytest.raises(UnknownNameError, match="mlflow"):
        senzai.fit("no such file.csv", track="mlfow")


def test_tensorboard_needs_a_folder():
    with pytest.raises(SettingError, match="folder of a run"):
        senzai.fit(ROWS, track="tensorboard", **TINY)


@pytest.fixture
def witness():
    heard = []

    @tracker("witness")
    def make(run: TrackedRun):
        class Witness:
            def on(self, event, training):
                heard.append((run, type(event).__name__))

        return Witness()

    yield heard
    del TRACKERS["witness"]


def test_a_tracker_of_somebody_else_hears_everything(witness, tmp_path):
    senzai.fit(ROWS, out=tmp_path / "run", track="witness", **TINY)
    names = [name for _, name in witness]
    assert names[0] == "Started"
    assert names[-1] == "Finished"
    assert {"Progressed", "Validated"} <= set(names)
    told = witness[0][0]
    assert (told.name, told.folder, told.settings["steps"]) == ("run", tmp_path / "run", 20)
    assert str(tmp_path) not in json.dumps({k: str(v) for k, v in told.settings.items()})


def test_it_is_asked_for_on_the_command_line(witness, tmp_path):
    from typer.testing import CliRunner

    from senzai.apps.cli import app

    ROWS.to_csv(tmp_path / "rows.csv", index=False)
    words = ["fit", str(tmp_path / "rows.csv"), "--out", str(tmp_path / "run"), "--track", "witness", "--no-report"]
    done = CliRunner().invoke(app, [*words, *(w for k, v in TINY.items() for w in ("--set", f"{k}={json.dumps(v)}"))])
    assert done.exit_code == 0, done.stderr
    assert witness[-1][1] == "Finished"


def test_a_tracker_that_fails_ends_nothing_but_itself():
    calls = []

    class Broken:
        def on(self, event, training):
            calls.append(event)
            raise ConnectionError("the server is away")

    @tracker("broken")
    def make(run):
        return Broken()

    try:
        with pytest.warns(UserWarning, match="training goes on"):
            made = senzai.fit(ROWS, track="broken", **TINY)
    finally:
        del TRACKERS["broken"]
    assert made.metrics["fit"]["steps"] == 20
    assert len(calls) == 1


def test_what_a_user_has_to_know_passes():
    class Refuses:
        def on(self, event, training):
            raise SettingError("no")

    with pytest.raises(SettingError):
        Tolerated("x", Refuses()).on(None, None)


def test_nothing_is_written_where_nothing_was_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    senzai.fit(ROWS, **TINY)
    assert list(Path().iterdir()) == []
