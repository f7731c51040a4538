"""Real processes, really killed: what is left on disk is whole, and the end is the same to the last bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from senzai.runs import load
from senzai.training.bundle import CHECKPOINT, METRICS
from senzai.training.checkpoint import load_tensors
from senzai.training.listeners import read_history

CLOCK = ("seconds", "samples_per_second", "out")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """Folders of runs that were stopped in all sorts of ways, and what happened."""
    top = tmp_path_factory.mktemp("stopped")
    script = Path(__file__).with_name("stopping.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", script, top], capture_output=True, text=True, timeout=3600, env=environment
    )
    assert done.returncode == 0, done.stderr
    return top, json.loads(done.stdout)


def timeless(lines):
    return [{k: v for k, v in line.items() if k not in CLOCK} for line in lines]


def assert_same_run(a: Path, b: Path):
    first, second = load(a), load(b)
    state, other = first.model.state_dict(), second.model.state_dict()
    assert [k for k in state if not torch.equal(state[k], other[k])] == []
    assert timeless(first.history) == timeless(second.history)
    numbers, others = (json.loads((f / METRICS).read_text())["fit"] for f in (a, b))
    assert timeless([numbers]) == timeless([others])
    tensors, others = (load_tensors(f / CHECKPOINT)[0] for f in (a, b))
    assert tensors.keys() == others.keys()
    assert [k for k in tensors if not torch.equal(tensors[k], others[k])] == []


def test_ten_kills_change_nothing(stopped):
    top, facts = stopped
    assert sum(facts["kills"]) >= 10
    assert max(facts["kills"]) >= 3  # several of the same run
    for name in facts["killed"]:
        assert_same_run(top / "whole", top / name)


def test_the_run_used_everything_that_has_to_survive(stopped):
    top, _ = stopped
    history = read_history(top / "whole" / "history.jsonl")
    rates = [x["lr"] for x in history if x["kind"] == "train"]
    assert min(rates[2:]) < max(rates)  # the plateau schedule did act
    best = json.loads((top / "whole" / METRICS).read_text())["fit"]["best_step"]
    assert best >= 20
    assert {k.split("/")[1] for k in load_tensors(top / "whole" / CHECKPOINT)[0]} >= {"average", "model", "optimiser0"}


def test_a_kill_before_any_renaming_leaves_one_whole_run_and_going_on_ends_with_the_new(stopped):
    top, facts = stopped
    then = [state for state, _ in facts["replaced"]]
    assert then == sorted(then, reverse=True)  # first the old run, and from one renaming on the new one
    assert set(then) == {"old", "new"}
    assert len(then) >= 15
    whole = sorted(p.relative_to(top / "whole_new").as_posix() for p in (top / "whole_new").rglob("*") if p.is_file())
    assert all(files == sorted([*whole, "notes.txt"]) for _, files in facts["replaced"])


@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143)])
def test_a_signal_ends_a_process_with_its_code_and_everything_saved(stopped, number, code):
    top, facts = stopped
    assert facts["signals"][str(number)] == [code, True]
    assert_same_run(top / "whole", top / f"signal{number}")
