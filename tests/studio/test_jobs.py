"""Jobs: begun, watched, stopped, found again, and told apart from what was killed."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest
from fastapi.testclient import TestClient

from senzai.core.errors import SettingError
from senzai.serving.problems import RequestError
from senzai.studio import child
from senzai.studio.api import create_studio
from senzai.studio.jobs import OUTCOME, REQUEST, Jobs
from senzai.studio.workspace import Workspace
from senzai.training.lock import attempt

from .conftest import TOKEN

LONG = {"steps": 400_000, "n_latent": 2, "network": "mlp", "hidden": [8], "validate_every": 50, "sampler": "none"}


@pytest.fixture
def space(tmp_path) -> Workspace:
    return Workspace.of(tmp_path / "w")


def until(condition, seconds: float = 240.0):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.1)
    return found


def made(space: Workspace, name: str, **asked) -> None:
    folder = space.own("jobs", name)
    folder.mkdir()
    (folder / REQUEST).write_text(json.dumps({"what": "fit", "run": "x", "root": str(space.root), **asked}))


def test_a_job_without_a_process_and_without_an_end_is_lost(space):
    made(space, "a")
    jobs = Jobs(space)
    assert jobs.about("a")["state"] == "lost"
    assert "root" not in jobs.about("a")
    (space.own("jobs", "a") / OUTCOME).write_text(json.dumps({"state": "done", "answer": 3}))
    assert jobs.about("a")["answer"] == 3
    with pytest.raises(RequestError, match="no job 'b'"):
        jobs.about("b")


def test_a_job_of_an_earlier_studio_is_found_by_its_lock(space):
    made(space, "a")
    lock = attempt(space.own("jobs", "a"))
    assert Jobs(space).about("a")["state"] == "working"
    lock.release()
    assert Jobs(space).about("a")["state"] == "lost"


def test_one_job_works_on_a_run_and_few_at_once(space, monkeypatch):
    made(space, "a", run="x")
    lock = attempt(space.own("jobs", "a"))
    with pytest.raises(SettingError, match="'x' is being worked on"):
        Jobs(space).start("fit", "x", source="digits", settings={})
    made(space, "b", run="y")
    other = attempt(space.own("jobs", "b"))
    with pytest.raises(SettingError, match="jobs work at the same time"):
        Jobs(space).start("fit", "z", source="digits", settings={})
    lock.release()
    other.release()


def test_a_child_says_how_it_ended(space):
    made(space, "bad", settings={"steps": 2, "nonsense": 1}, source="digits")
    assert child.main(space.own("jobs", "bad")) == 2
    found = Jobs(space).about("bad")
    assert found["state"] == "failed"
    assert "nonsense" in found["words"]
    made(space, "good", run="tiny", settings={"steps": 2, "n_latent": 2, "sampler": "none"}, source="digits")
    assert child.main(space.own("jobs", "good")) == 0
    found = Jobs(space).about("good")
    assert (found["state"], found["progress"]["step"], found["progress"]["total"]) == ("done", 2, 2)
    assert len(found["progress"]["samples"]) == child.SAMPLES
    assert (space.root / "tiny" / "weights.safetensors").is_file()
    made(space, "more", what="resume", run="tiny", settings={"steps": 4})
    assert child.main(space.own("jobs", "more")) == 0
    assert Jobs(space).about("more")["answer"]["steps"] == 4


def test_a_child_that_is_interrupted_says_so(space, monkeypatch):
    def stopped(folder, asked):
        raise KeyboardInterrupt

    made(space, "a")
    monkeypatch.setitem(child.DOES, "fit", stopped)
    assert child.main(space.own("jobs", "a")) == 130
    assert Jobs(space).about("a")["state"] == "stopped"


def test_a_stop_whose_signal_was_swallowed_still_stops(space, monkeypatch):
    """While libraries are imported, an interrupt may end in code that drops it; the request to stop stays."""
    from types import SimpleNamespace

    from senzai.studio import jobs
    from senzai.training.events import Progressed

    made(space, "a")
    folder = space.own("jobs", "a")
    cards, training = child.Postcards(folder / jobs.PROGRESS), SimpleNamespace(
        interrupt=SimpleNamespace(signal=0), total_steps=9)
    cards.on(Progressed(1, 0.1, {}, 1e-3, 1.0, 1.0, 1.0), training)
    assert training.interrupt.signal == 0
    (folder / jobs.STOP).touch()
    cards.on(Progressed(2, 0.2, {}, 1e-3, 1.0, 1.0, 1.0), training)
    assert training.interrupt.signal == 2
    monkeypatch.setitem(child.DOES, "fit", lambda folder, asked: pytest.fail("it began"))
    assert child.main(folder) == 130
    assert Jobs(space).about("a")["state"] == "stopped"


def test_training_is_stopped_found_again_continued_and_stopped_by_closing(tmp_path):
    """A studio begins to train and is closed; what it trained is there, and the next studio goes on with it."""
    headers = {"authorization": f"Bearer {TOKEN}"}

    def studio():
        return TestClient(create_studio(tmp_path / "w", token=TOKEN), base_url="http://localhost", headers=headers)

    with studio() as client:
        run = client.post("/api/runs", json={"data": "digits", "name": "long", "settings": LONG}).json()
        assert client.get("/api/runs/long").json()["state"] in ("starting", "training")
        until(lambda: client.get(f"/api/jobs/{run['job']}").json()["progress"].get("samples"))
        history = client.get("/api/runs/long/history").json()
        assert history["total"] > 0
        assert client.get("/api/runs/long").json()["state"] == "training"
        assert client.get("/api/runs/long/map").status_code >= 400  # not before it is finished
    with studio() as client:  # closing the first one stopped it, and nothing is lost
        found = client.get("/api/runs/long").json()
        assert (found["state"], found["job"]["state"]) == ("unfinished", "stopped")
        before = client.get("/api/runs/long/history").json()["total"]
        assert before >= history["total"]
        job = client.post("/api/runs/long/resume", json={}).json()["job"]
        until(lambda: client.get("/api/runs/long/history").json()["total"] > before)
        again = client.post(f"/api/jobs/{job}/stop").json()
        assert again["state"] in ("working", "stopped")
        until(lambda: client.get(f"/api/jobs/{job}").json()["state"] == "stopped")
        lines = client.get("/api/runs/long/history").json()["lines"]
        steps = [line["step"] for line in lines if line["kind"] == "train"]
        assert steps == sorted(set(steps))  # it went on where it was


def test_a_process_that_was_killed_is_lost_and_says_so(space):
    jobs = Jobs(space)
    name = jobs.start("fit", "killed", source="digits", settings=LONG)
    process = jobs._processes[name]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert jobs.about(name)["state"] == "lost"
