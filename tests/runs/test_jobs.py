"""Jobs that torchrun starts again, and data that one process looks at for all."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from senzai.core.errors import InputError
from senzai.runs import fit, load, worker
from senzai.runs.fit import sort_settings
from senzai.runs.training import jobs
from senzai.runs.training.opening import opened
from senzai.training.bundle import WEIGHTS
from senzai.training.comms import Comms
from senzai.training.places import NEW

ROWS = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 3)), columns=list("abc"))
SETTINGS = {"steps": 4, "n_latent": 1, "hidden": [4], "batch_size": 16, "schedule": "constant", "sampler": "none"}


@pytest.fixture
def job(monkeypatch):
    def called(name):
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", name)

    return called


def test_a_job_knows_its_own_run_alone(tmp_path, job):
    out = tmp_path / "run"
    assert not jobs.began(out)
    job("one")
    assert not jobs.began(out)
    fit(ROWS, settings=SETTINGS, out=out)
    assert jobs.began(out)
    assert jobs.ended(out)
    job("two")
    assert not jobs.began(out)
    job("none")  # what torchrun says where nobody named the job
    assert jobs.job_of_environment() is None
    assert not jobs.began(out)


def test_a_job_that_was_cut_short_goes_on_and_one_that_ended_does_not_train_again(tmp_path, job):
    job("one")
    whole = fit(ROWS, settings={**SETTINGS, "steps": 8}, out=tmp_path / "whole")
    out = tmp_path / "run"
    fit(ROWS, settings=SETTINGS, out=out)
    spec = json.loads((out / "spec.json").read_text())
    spec["training"]["steps"] = 8  # as if a kill had come after the fourth of eight steps
    (out / "spec.json").write_text(json.dumps(spec))
    (out / WEIGHTS).unlink()
    assert not jobs.ended(out)
    again = fit(ROWS, settings={**SETTINGS, "steps": 8}, out=out)
    assert again.metrics["fit"]["steps"] == 8
    for a, b in zip(whole.model.state_dict().values(), again.model.state_dict().values(), strict=True):
        assert (a == b).all()
    weights = (out / WEIGHTS).stat().st_mtime_ns
    fit(ROWS, settings={**SETTINGS, "steps": 8}, out=out)
    assert (out / WEIGHTS).stat().st_mtime_ns == weights
    assert load(out).metrics["fit"]["steps"] == 8


def test_a_run_that_replaces_another_has_not_ended_while_it_trains(tmp_path, job):
    job("one")
    out = tmp_path / "run"
    fit(ROWS, settings=SETTINGS, out=out)
    (out / NEW).mkdir()
    assert not jobs.ended(out)


def test_a_worker_does_not_repeat_what_ended_in_an_error(tmp_path):
    request = tmp_path / "request.json"
    request.with_suffix(".error").write_text(json.dumps({"type": "InputError", "message": "no", "exit_code": 2}))
    assert worker.main(request) == 2


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "shards"
    made.mkdir()
    for i in range(3):
        ROWS[20 * i : 20 * i + 20].to_parquet(made / f"{i}.parquet")
    return made


def test_one_process_looks_at_shards_for_all(folder, monkeypatch):
    request = sort_settings(str(folder), None, {"schema.a": "real", "in_memory": False})
    first = opened(str(folder), request, Comms())
    monkeypatch.setattr(Comms, "gather", lambda self, text: [first.schema.model_dump_json(), text])
    monkeypatch.setattr(type(first.kind), "infer", None)
    other = opened(str(folder), request, Comms(1, 2))
    assert other.schema == first.schema
    assert (other.batch().tensor == first.batch().tensor).all()


def test_a_process_that_sees_other_shards_says_so(folder, monkeypatch):
    request = sort_settings(str(folder), None, {"in_memory": False})
    told = opened(str(folder), request, Comms()).schema.model_dump_json()
    monkeypatch.setattr(Comms, "gather", lambda self, text: [told, text])
    (folder / "2.parquet").unlink()
    with pytest.raises(InputError, match="must read the same data, but this one has 40 rows"):
        opened(str(folder), request, Comms(1, 2))


def test_what_the_first_process_found_wrong_is_said_by_all(folder, monkeypatch):
    request = sort_settings(str(folder), None, {"in_memory": False})
    (folder / "1.parquet").write_bytes(b"PAR1")
    said = []
    monkeypatch.setattr(Comms, "gather", lambda self, text: [said.append(text) or said[0], ""])
    with pytest.raises(InputError, match=r"'1.parquet' cannot be read") as first:
        opened(str(folder), request, Comms(0, 2))
    with pytest.raises(InputError) as second:
        opened(str(folder), request, Comms(1, 2))
    assert str(first.value) == str(second.value)
