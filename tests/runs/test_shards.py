"""Training from shards: each row once per epoch under kills, resumed within one, with the numbers of one process."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time

import numpy as np
import pandas as pd
import pytest
import torch

from senzai.core.errors import BundleError, InputError
from senzai.data import open_data
from senzai.runs import fit, resume
from senzai.runs.training.feeds import feeds
from senzai.training.comms import Comms
from senzai.training.settings import TrainSettings

SETTINGS = {
    "steps": 12, "batch_size": 16, "lr": 0.02, "hidden": [8], "n_latent": 2, "schedule": "constant", "log_every": 4,
    "validate_every": 6, "sampler": "none", "in_memory": False, "schema.id": "real",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("shards") / "rows"
    made.mkdir()
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": np.arange(400.0) + 0.5, "a": rng.normal(size=400), "b": rng.normal(size=400)})
    for i, (first, end) in enumerate([(0, 90), (90, 100), (100, 300), (300, 400)]):
        frame[first:end].to_parquet(made / f"part-{i}.parquet", row_group_size=40)
    return made


@pytest.fixture(scope="module")
def data(folder):
    return open_data(str(folder), options={"in_memory": False, "schema": {"id": "real"}, "validation": 0, "test": 0})


def train_feed(data, rank, world, **more):
    settings = TrainSettings.parse({"batch_size": 48, "memory_gb": 1e-9, **more})
    return feeds(data, settings, torch.device("cpu"), Comms(rank, world))[0]


def ids(piece):
    """Return what tells the rows of a piece apart: their first column, which no two rows share."""
    return piece.batch.tensor[:, 0].tolist()


def worker(data, rank, world, start, stop, log, last):
    """Write what was read for each step, a line at once, as a checkpoint would follow it; die before ``last`` is."""
    feed = train_feed(data, rank, world)
    with open(log, "a", buffering=1) as out:
        for step, pieces in feed.run(start, stop):
            if step == last:
                os.kill(os.getpid(), signal.SIGKILL)
            out.write(f"{step} {' '.join(repr(v) for p in pieces for v in ids(p))}\n")
            time.sleep(0.002)


def forked(*given):
    """Return the number of a process that is a worker, and ends well only if its work does."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            worker(*given)
            code = 0
        finally:
            os._exit(code)
    return pid


def ended(pid):
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def done(log):
    """Return what was read for each step; a line that a kill cut short does not count."""
    text = log.read_text() if log.exists() else ""
    lines = [line.split() for line in text[: text.rfind("\n") + 1].splitlines()]
    return {int(step): values for step, *values in lines}


@pytest.mark.parametrize("world", [2, 3])
def test_every_row_is_read_once_per_epoch_under_kills(world, data, tmp_path):
    """One worker dies at a random step, and the others with it, wherever they are behind their first.

    All begin again behind the last step that every one of them finished.
    """
    plan = train_feed(data, 0, world).plan
    stop, chance = 3 * plan.steps_per_epoch, random.Random(1)
    logs = [tmp_path / f"log{rank}" for rank in range(world)]
    start, kills, begun = 0, 4, []
    for left in range(kills, -1, -1):
        begun.append(start)
        dying = chance.randrange(world) if left else None
        last = start + chance.randrange(1, stop // kills)  # steps are left for every kill, whatever the clock says
        pids = [
            forked(data, rank, world, start, stop, logs[rank], last if rank == dying else None) for rank in range(world)
        ]
        if dying is not None:
            assert os.waitpid(pids[dying], 0)[1] == signal.SIGKILL
            for rank in set(range(world)) - {dying}:
                while start not in done(logs[rank]) and not ended(pids[rank]):  # so that each time is further
                    time.sleep(0.001)
                os.kill(pids[rank], signal.SIGKILL)
                assert os.waitpid(pids[rank], 0)[1] in (0, signal.SIGKILL)
        else:
            assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * world
        finished = set.intersection(*[set(done(log)) for log in logs])
        start = next(step for step in range(stop + 1) if step not in finished)
    assert start == stop
    assert len(set(begun)) == kills + 1
    assert any(step % plan.steps_per_epoch for step in begun)  # within an epoch
    read = [done(log) for log in logs]
    every = sorted(repr(v) for v in data.batch().tensor[:, 0].tolist())
    assert len(set(every)) == 400
    for epoch in range(3):
        steps = range(epoch * plan.steps_per_epoch, (epoch + 1) * plan.steps_per_epoch)
        found = [v for step in steps for part in read for v in part[step]]
        assert sorted(found) == every


def test_each_process_reads_its_own_share(folder):
    read = []
    for rank in range(2):
        data = open_data(
            str(folder), options={"in_memory": False, "schema": {"id": "real"}, "validation": 0, "test": 0}
        )
        feed = train_feed(data, rank, 2)
        for _ in feed.run(0, 2 * feed.plan.steps_per_epoch):
            pass
        assert set(data.rows.read.values()) == {1}
        read.append(set(data.rows.read))
    assert read[0] | read[1] == set(range(len(data.rows._places)))
    assert len(read[0] & read[1]) <= 8  # a group where two lanes meet is read by both
    assert min(map(len, read)) < len(read[0] | read[1])


def test_a_run_goes_on_in_the_middle_of_an_epoch_to_the_same_weights(folder, tmp_path):
    whole = fit(str(folder), settings=SETTINGS, out=tmp_path / "whole")
    fit(str(folder), settings={**SETTINGS, "steps": 7}, out=tmp_path / "part")
    more = resume(tmp_path / "part", steps=12)
    for a, b in zip(whole.model.state_dict().values(), more.model.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert whole.spec.source == str(folder)


def test_a_run_does_not_go_on_with_other_shards(folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    fit(str(copy), settings={**SETTINGS, "steps": 2}, out=tmp_path / "run")
    (copy / "part-1.parquet").unlink()
    with pytest.raises(BundleError, match="Resuming needs the very data"):
        resume(tmp_path / "run", steps=4)


@pytest.mark.slow
def test_two_processes_give_the_numbers_of_one(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    one = fit(str(folder), settings=SETTINGS, out=tmp_path / "one")
    two = fit(str(folder), settings=SETTINGS, out=tmp_path / "two", devices=2)
    for (name, a), b in zip(one.model.state_dict().items(), two.model.state_dict().values(), strict=True):
        torch.testing.assert_close(b, a, rtol=1e-5, atol=1e-6, msg=name)


def test_the_verbs_read_shards(folder, tmp_path):
    run = fit(str(folder), settings={**SETTINGS, "steps": 2})
    whole = pd.concat([pd.read_parquet(p) for p in sorted(folder.glob("*.parquet"))], ignore_index=True)
    np.testing.assert_allclose(np.asarray(run.score(str(folder))), np.asarray(run.score(whole)), rtol=1e-5)
    with pytest.raises(InputError):
        run.score(str(tmp_path))
