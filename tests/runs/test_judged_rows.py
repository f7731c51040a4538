"""Which rows are judged, and which they are compared with: every row knows its own number."""

from __future__ import annotations

import numpy as np
import pytest

import senzai
from senzai.runs import sweep
from senzai.runs.verbs import compare as comparing
from senzai.runs.verbs import diagnose as diagnosing
from senzai.runs.verbs import evaluate as judging

N = 600
DATA = np.c_[np.arange(N), np.random.default_rng(0).normal(size=(N, 2))].astype("float32")  # sorted by the first column
SMALL = {"steps": 2, "hidden": [4], "n_latent": 1, "batch_size": 16, "sampler": "none", "test": 0.4}


@pytest.fixture(scope="module")
def run():
    return senzai.fit(DATA, settings=SMALL, progress=False)


@pytest.fixture(scope="module")
def parts(run):
    return {name: set(map(int, rows)) for name, rows in run.dataset(DATA).split_indices().items()}


def numbers(batch):
    return batch.tensor[:, 0].round().long().tolist()


def evaluated(run, monkeypatch):
    heard = []
    monkeypatch.setattr(judging, "measured", lambda model, batch, **o: heard.append((batch, o["extras"])) or
                        {"n": len(batch), "seed": 0})
    run.evaluate(DATA, rows=100, only=["map"], factors=np.c_[np.arange(N)])
    ((batch, extras),) = heard
    assert extras.factors[:, 0].tolist() == numbers(batch), "factors are those of the rows that were drawn"
    return batch


def diagnosed(run, monkeypatch):
    case, _ = diagnosing.case_of(run, run.dataset(DATA), split=None, rows=100, k=4, seed=0)
    return case.rows


def compared(run, monkeypatch):
    dataset, index, _ = comparing.shared_rows({"a": run, "b": run}, DATA, rows=100, seed=0)
    return dataset.batch(index)


def swept(run, monkeypatch):
    heard = []
    monkeypatch.setattr(sweep, "points_of", lambda family, batch, **o: heard.append(batch) or ())
    sweep.rate_distortion(run, DATA, rows=100)
    return heard[0]


VERBS = {"evaluate": evaluated, "diagnose": diagnosed, "compare": compared, "sweep": swept}


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_judged_are_held_out_rows_at_random(run, parts, monkeypatch, verb):
    rows = numbers(VERBS[verb](run, monkeypatch))
    assert len(set(rows)) == len(rows) == 100
    assert set(rows) <= parts["test"]
    assert np.mean(rows) == pytest.approx(N / 2, abs=70), "not one end: 100 of 240 rows"


def test_training_rows_are_training_rows(run, parts, monkeypatch):
    monkeypatch.setattr(judging, "TRAIN_ROWS", 100)
    dataset = run.dataset(DATA)
    rows = numbers(judging.training_rows(run.schema, dataset, lambda: dataset, seed=0))
    assert len(set(rows)) == 100
    assert set(rows) <= parts["train"]
    assert np.mean(rows) == pytest.approx(N / 2, abs=90)
    other = run.dataset(DATA[:50] + 0.5)
    again = judging.training_rows(run.schema, other, lambda: dataset, seed=0)
    assert set(numbers(again)) <= parts["train"], "of other data, the training rows of the run's own"
