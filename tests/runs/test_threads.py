"""Draws follow from their seed in any thread, and nothing that others use is moved."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import senzai
from senzai.core.row_noise import RowKeys
from senzai.core.warning_filters import ignore_warnings
from senzai.models.modes import judging
from senzai.testing.looking import GlobalDraws

SMALL = {"steps": 5, "n_latent": 2, "sampler": "none", "hidden": [12]}


@pytest.fixture(scope="module")
def counts():
    return senzai.fit(np.random.default_rng(0).poisson(5, (120, 6)), kind="array", **SMALL)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    f = pd.DataFrame(rng.normal(size=(150, 2)), columns=["a", "b"])
    f["n"], f["g"] = rng.poisson(40, 150), rng.choice(["x", "y", "z"], 150)
    f.loc[::3, "a"] = np.nan
    f.loc[1::4, "g"] = None
    return f


@pytest.fixture(scope="module")
def run(table):
    return senzai.fit(table, schema={"n": "count"}, **SMALL)


def test_eight_threads_draw_what_one_does(counts):
    one = counts.sample(300, seed=1)
    with ThreadPoolExecutor(8) as pool:
        many = list(pool.map(lambda _: counts.sample(300, seed=1), range(24)))
    assert all(np.array_equal(one, m) for m in many)


VERBS = {
    "sample": lambda run, data: run.sample(20, seed=0),
    "sample given": lambda run, data: run.sample(20, seed=0, given={"g": "x"}),
    "encode": lambda run, data: run.encode(data, seed=0),
    "reconstruct": lambda run, data: run.reconstruct(data, seed=0),
    "impute": lambda run, data: run.impute(data, draws=2, k=5, seed=0),
    "score": lambda run, data: run.score(data, seed=0),
    "log_likelihood": lambda run, data: run.log_likelihood(data, k=5, seed=0),
    "evaluate": lambda run, data: run.evaluate(data, k=5, rows=40, seed=0, features=("pca", "random", "denoising")),
    "traverse": lambda run, data: run.traverse(data, dim=0),
    "augment": lambda run, data: run.augment("g", "x", 5, data=data, seed=0),
}


@pytest.mark.parametrize("verb", VERBS)
def test_no_verb_touches_what_is_global(verb, run, table, monkeypatch):
    """Neither torch's generator, not even to put it back, nor numpy's; nor the mode of a module, which is eval."""

    def refuse(*_, **__):
        raise AssertionError("global random state was taken over")

    for name in ("fork_rng", "set_rng_state", "manual_seed"):
        monkeypatch.setattr(torch.random, name, refuse)
    monkeypatch.setattr("senzai.core.random.reseed", refuse)
    before, modes = np.random.get_state()[1].copy(), []
    plain = nn.Module.__setattr__
    monkeypatch.setattr(
        nn.Module, "__setattr__", lambda self, name, value: modes.append(name) or plain(self, name, value)
    )
    with GlobalDraws() as taken:
        VERBS[verb](run, table.iloc[:60])
    assert not taken.names
    assert np.array_equal(before, np.random.get_state()[1])
    assert verb == "evaluate" or "training" not in modes  # networks of features are made, and then judged


def test_a_global_draw_is_noticed():
    with GlobalDraws() as taken, torch.random.fork_rng(devices=[]):
        torch.poisson(torch.ones(3))
    assert taken.names == ["poisson"]


# --- modes ----------------------------------------------------------------------------------------------------------
def test_a_model_goes_back_to_training_when_the_last_thread_leaves():
    model, steps = nn.Sequential(nn.Linear(1, 1), nn.Dropout()), Barrier(2)
    seen = []

    def first():
        with judging(model):
            steps.wait()  # the other is inside as well
            steps.wait()
        steps.wait()  # out again

    def second():
        with judging(model):
            steps.wait()
            steps.wait()
            steps.wait()
            seen.append([m.training for m in model.modules()])

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(first), pool.submit(second)]:
            done.result(timeout=60)
    assert seen == [[False, False, False]]
    assert all(m.training for m in model.modules())
    with judging(model), judging(model[1]):
        assert not model[1].training
    assert all(m.training for m in model.modules())


# --- rows -----------------------------------------------------------------------------------------------------------
def test_what_is_said_of_a_row_does_not_depend_on_its_place(run, table):
    order = np.random.default_rng(1).permutation(len(table))
    turned = table.iloc[order]
    for verb in (
        lambda d: run.impute(d, k=100, seed=3), lambda d: run.impute(d, draws=2, k=100, seed=3)[1],
        lambda d: run.encode(d, seed=3), lambda d: run.reconstruct(d, seed=3),
    ):
        whole = verb(table)
        for other in (verb(turned), verb(table.iloc[[7, 30, 3]])):
            numbers = other.select_dtypes("number")
            np.testing.assert_allclose(numbers, whole.loc[other.index, numbers.columns], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(run.score(turned), run.score(table)[order], rtol=1e-3, atol=1e-4)


def test_rows_that_are_alike_get_draws_of_their_own_and_the_same_mean(run, table):
    alike = pd.concat([table.iloc[[3]]] * 200, ignore_index=True)
    assert run.impute(alike, draws=1, k=50)[0].a.nunique() > 20
    assert run.encode(alike, seed=0).nunique().min() == 200
    assert run.impute(alike, k=50).a.nunique() == 1


def test_keys_go_on_through_several_batches(run, table):
    batch = run.dataset(table).batch()
    whole, keys = RowKeys()(batch), RowKeys()
    assert whole == (*keys(batch.take(slice(0, 50))), *keys(batch.take(slice(50, 150))))
    assert len(set(whole)) == len(table)


# --- warnings -------------------------------------------------------------------------------------------------------
def test_filters_of_warnings_are_put_back_when_the_last_thread_leaves():
    before, steps = list(warnings.filters), [Barrier(2) for _ in range(3)]

    def first():
        with ignore_warnings():
            steps[0].wait(timeout=60)
            steps[1].wait(timeout=60)
        steps[2].wait(timeout=60)

    def second():
        steps[0].wait(timeout=60)
        with ignore_warnings(UserWarning):
            steps[1].wait(timeout=60)
            steps[2].wait(timeout=60)  # the first has left
            warnings.warn("of no use here", stacklevel=1)

    with ThreadPoolExecutor(2) as pool:
        for f in [pool.submit(first), pool.submit(second)]:
            f.result(timeout=120)
    assert list(warnings.filters) == before
