"""Scores of steps that come one after the other are those of the whole series, bit for bit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import senzai
from senzai.core.errors import CombinationError, InputError, ShapeError

FIT = {"kind": "series", "width": 4, "n_latent": 2, "sampler": "none", "steps": 2}
N, L = 90, 8


def frame(n=N, seed=0):
    rng, t = np.random.default_rng(seed), np.arange(n)
    when = pd.date_range("2024-01-01", periods=n, freq="h")
    v = (100 + 10 * np.sin(2 * np.pi * t / 24) + rng.normal(size=n)).round(2)
    return pd.DataFrame({"when": when, "v": v, "w": rng.normal(size=n).round(3)})


def holed(n=N):
    data = frame(n)
    data.loc[[20, 21, 85], "v"] = np.nan
    data.loc[50 : 50 + L + 2, ["v", "w"]] = np.nan  # windows without any value
    return data


def bits(scores):
    return np.asarray(scores["score"] if hasattr(scores, "columns") else scores).view(np.int64).tolist()


def streamed(run, data, sizes=(1,), **how):
    """Return the scores of the pushes, put together, and how many each gave."""
    stream, found, at = run.stream(**how), [], 0
    for i in range(len(data)):
        size = sizes[i % len(sizes)]
        if at >= len(data):
            break
        part = data.iloc[at : at + size] if hasattr(data, "iloc") else data[at : at + size]
        found.append(stream.push(part))
        at += size
    found.append(stream.finish())
    counts = [len(f) for f in found]
    return (pd.concat(found, ignore_index=True) if hasattr(data, "iloc") else np.concatenate(found)), counts


@pytest.fixture(scope="module")
def run():
    return senzai.fit(holed(), window=L, columns="v,w", **FIT)


@pytest.mark.parametrize("sizes", [(1,), (1, 50, 3), (N,)])
def test_a_stream_has_the_bits_of_one_go(run, sizes):
    for data in (frame(seed=3), holed()):
        whole = run.score_steps(data, k=2, seed=5)
        found, _ = streamed(run, data, sizes, k=2, seed=5)
        assert found["when"].tolist() == whole["when"].tolist()
        assert bits(found) == bits(whole)


def test_a_score_comes_when_its_last_window_is_complete(run):
    _, counts = streamed(run, frame())
    assert counts == [*[0] * (L - 1), *[1] * (N - L + 1), L - 1]


def test_a_step_that_did_not_come_is_a_hole(run):
    data = frame().drop(index=[30, 31, 77])
    assert bits(streamed(run, data)[0]) == bits(run.score_steps(data))
    assert len(streamed(run, data)[0]) == N


@pytest.mark.parametrize(("n", "stride"), [(45, 3), (46, 3), (48, 8), (90, 20), (L, 5)])
def test_windows_that_begin_now_and_then(n, stride):
    made = senzai.fit(frame(), window=L, stride=stride, columns="v", **FIT)
    whole = made.score_steps(frame(n))
    found, counts = streamed(made, frame(n))
    assert bits(found) == bits(whole)
    assert max(counts[:-1], default=0) == (1 if n > L else 0)
    assert counts[-1] == min(n, L)


def test_records_arrays_and_columns_beside():
    data = frame()
    made = senzai.fit(data, window=L, columns="v", exogenous="w", condition="hour", **FIT)
    whole = made.score_steps(data)
    stream = made.stream()
    found = [stream.push(record) for record in data.to_dict(orient="records")]
    assert bits(pd.concat([*found, stream.finish()])) == bits(whole)
    with pytest.raises(InputError, match="needs its 'w'"):
        stream.push({"when": "2030-01-01", "v": 1.0, "w": None})
    x = frame()[["v", "w"]].to_numpy()
    made = senzai.fit(x, window=L, level="start", **FIT)
    assert bits(streamed(made, x)[0]) == bits(made.score_steps(x))
    stream = made.stream()
    assert bits(np.concatenate([*(stream.push(row) for row in x), stream.finish()])) == bits(made.score_steps(x))


def test_memory_does_not_grow_with_the_steps(run):
    stream = run.stream()
    whole = frame(600)
    for start in range(0, 600, 20):
        stream.push(whole.iloc[start : start + 20])
    assert len(stream._steps._kept.times) < 8 * L
    assert len(stream._total) < 2 * L


def test_labels_that_were_conditioned_on():
    data = frame().assign(regime=np.where(np.arange(N) % 40 < 20, "calm", "crisis"))
    made = senzai.fit(data, window=L, columns="v", label="regime", condition="label", **FIT)
    assert bits(streamed(made, data)[0]) == bits(made.score_steps(data))


def test_what_cannot_come_is_refused(run):
    stream = run.stream()
    stream.push(frame().iloc[:5])
    with pytest.raises(InputError, match="order of their times"):
        stream.push(frame().iloc[4:5])
    with pytest.raises(ShapeError, match="5 came"):
        stream.finish()
    with pytest.raises(ShapeError, match="lacks w"):
        stream.push(frame()[["when", "v"]].iloc[5:6])
    prices = pd.DataFrame({"when": pd.date_range("2020-01-01", periods=90), "p": 100 + np.arange(90.0) % 7})
    returns = senzai.fit(prices, returns="log", filter="none", window=4, **FIT)
    with pytest.raises(CombinationError, match="in one go"):
        returns.stream()
    other = senzai.fit(np.random.default_rng(0).normal(size=(40, 3)), steps=1)
    with pytest.raises(CombinationError, match="whole rows"):
        other.stream()
