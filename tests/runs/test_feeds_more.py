"""Which rows train and which validate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from senzai.data import open_data
from senzai.runs.training import feeds as module
from senzai.runs.training.feeds import feeds
from senzai.training.comms import Comms
from senzai.training.settings import TrainSettings

DATA = open_data(np.arange(400.0).reshape(200, 2) + 0.25)


def rows(feed):
    """Row numbers that a feed gives in one pass."""
    pieces = [p for step in range(feed.plan.steps_per_epoch) for p in feed.pieces_of(step)]
    return [int(x) // 2 for p in pieces for x in p.batch.tensor[:, 0]]


@pytest.mark.parametrize("most", [7, 20, 10_000])
@pytest.mark.parametrize("memory_gb", [None, 1e-9], ids=["memory", "streamed"])
def test_a_pass_has_the_rows_of_its_part_once(most, memory_gb):
    settings = TrainSettings(batch_size=32, max_validation_rows=most, memory_gb=memory_gb)
    train, validation = feeds(DATA, settings, torch.device("cpu"), Comms())
    parts = DATA.split_indices()
    assert sorted(rows(train)) == parts["train"].tolist()
    assert rows(train) != sorted(rows(train))
    held = rows(validation)
    assert len(held) == len(set(held)) == min(most, len(parts["validation"]))
    assert set(held) <= set(parts["validation"].tolist())
    assert most > 7 or sorted(held) != parts["validation"][:most].tolist()  # any of them: data are often sorted


def test_without_validation_rows_there_is_no_feed_of_them():
    whole = open_data(np.arange(40.0).reshape(20, 2) + 0.25, options={"validation": 0, "test": 0})
    train, validation = feeds(whole, TrainSettings(), torch.device("cpu"), Comms())
    assert validation is None
    assert sorted(rows(train)) == list(range(20))


def test_rows_stay_on_disk_where_the_process_may_not_have_the_memory(monkeypatch):
    resource = pytest.importorskip("resource")
    if not Path("/proc/self/status").exists():
        pytest.skip("the system does not tell what a process has")
    roomy = module.free_memory()
    used = int(next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmData")).split()[1])
    real = resource.getrlimit
    limit = (1024 * used + 5_000_000, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda what: limit if what == resource.RLIMIT_DATA else real(what))
    assert module.free_memory() < 100e6 < roomy
