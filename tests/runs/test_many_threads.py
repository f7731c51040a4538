"""Several runs in several threads: answers are those of one call after the other, and nobody waits for ever."""

from __future__ import annotations

import copy
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Thread

import numpy as np
import pandas as pd
import pytest
import torch

import senzai
from senzai.core.random import forked
from senzai.runs import compare

SMALL = {"steps": 5, "n_latent": 2, "sampler": "none", "hidden": [12], "network": "mlp"}
CALLS, THREADS = 600, 16


def frame():
    rng = np.random.default_rng(0)
    f = pd.DataFrame(rng.normal(size=(120, 2)), columns=["a", "b"])
    f["n"], f["g"] = rng.poisson(40, 120), rng.choice(["x", "y", "z"], 120)
    f.loc[::3, "a"] = np.nan
    return f


@pytest.fixture(scope="module")
def runs():
    """A table, counts with and without a fitted sampler, and classes: each with some of its rows."""
    rng = np.random.default_rng(0)
    counts, labelled = rng.poisson(5, (120, 6)), rng.normal(size=(120, 4)).astype("float32")
    classes = np.where(labelled[:, 0] > 0, "high", "low")
    return {
        "table": (senzai.fit(frame(), schema={"n": "count"}, **SMALL), frame().iloc[:40]),
        "counts": (senzai.fit(counts, kind="array", **SMALL), counts[:40]),
        "mixture": (senzai.fit(counts, kind="array", **{**SMALL, "sampler": "mixture", "seed": 3}), counts[:40]),
        "classes": (senzai.fit((labelled, classes), recipe="m2", **SMALL), (labelled[:40], classes[:40])),
    }


EVERYWHERE = {
    "sample": lambda run, data, seed: run.sample(20, seed=seed),
    "encode": lambda run, data, seed: run.encode(data, seed=seed),
    "reconstruct": lambda run, data, seed: run.reconstruct(data, seed=seed),
    "score": lambda run, data, seed: run.score(data, seed=seed, method="elbo"),
    "log_likelihood": lambda run, data, seed: run.log_likelihood(data, k=3, seed=seed),
    "traverse": lambda run, data, seed: run.traverse(data, dim=seed % 2),
    "interpolate": lambda run, data, seed: run.interpolate(data, data, steps=3),
    "info": lambda run, data, seed: run.info()["verbs"],
}
SOME = {
    "impute": ("table", lambda run, data, seed: run.impute(data, draws=2, k=5, seed=seed)),
    "sample given": ("table", lambda run, data, seed: run.sample(20, seed=seed, given={"g": "x"})),
    "augment": ("table", lambda run, data, seed: run.augment("g", "x", 5, data=frame(), seed=seed)),
    "predict": ("classes", lambda run, data, seed: run.predict(data)),
    "evaluate": ("counts", lambda run, data, seed: run.evaluate(
        data, k=3, rows=20, seed=seed, features=("random", "denoising"), only=["generation"]
    )),
    "diagnose": ("counts", lambda run, data, seed: run.diagnose(data, rows=40, k=3, seed=seed).document()),
}
RARELY = ("evaluate", "diagnose", "augment")


def plain(answer):
    """An answer as something that is equal bit for bit or not; without what the clock said."""
    if isinstance(answer, pd.DataFrame):
        return answer.to_csv()
    if isinstance(answer, torch.Tensor | np.ndarray):
        return np.asarray(answer).tobytes()
    if isinstance(answer, list):
        return [plain(a) for a in answer]
    kept = {k: v for k, v in answer.items() if k not in ("seconds", "timing")}
    return json.dumps(kept, default=str, sort_keys=True)


def calls(runs):
    usual = [(name, run, data, verb) for run, data in runs.values() for name, verb in EVERYWHERE.items()]
    usual += [(n, *runs[where], verb) for n, (where, verb) in SOME.items() if n not in RARELY]
    rare = [(n, *runs[where], verb) for n, (where, verb) in SOME.items() if n in RARELY]
    chosen = [usual[i % len(usual)] for i in range(CALLS - 2 * len(rare))] + rare * 2
    order = np.random.default_rng(0).permutation(len(chosen))
    return [(*chosen[i], int(seed)) for seed, i in enumerate(order)]


def test_six_hundred_calls_from_sixteen_threads_answer_as_one_by_one(runs):
    asked = calls(runs)
    assert len(asked) == CALLS
    state = torch.get_rng_state(), np.random.get_state()[1].copy()
    alone = [plain(verb(run, data, seed)) for _, run, data, verb, seed in asked]
    with ThreadPoolExecutor(THREADS) as pool:
        together = list(pool.map(lambda call: plain(call[3](*call[1:3], call[4])), asked))
    differ = [asked[i][0] for i in range(CALLS) if alone[i] != together[i]]
    assert not differ, f"{len(differ)} of {CALLS}: {sorted(set(differ))}"
    assert torch.equal(state[0], torch.get_rng_state())
    assert np.array_equal(state[1], np.random.get_state()[1])


def test_a_sample_without_a_seed_takes_nothing_from_the_global_generator(runs):
    run, _ = runs["counts"]
    before = torch.get_rng_state()
    first = run.sample(30)
    assert torch.equal(before, torch.get_rng_state())
    torch.set_rng_state(before)
    assert not np.array_equal(first, run.sample(30))


# --- locks ----------------------------------------------------------------------------------------------------------
def test_one_verb_at_a_time_uses_a_run(runs):
    run, _ = runs["counts"]
    inside, go, done = Event(), Event(), []

    def hold():
        with run.lock:
            inside.set()
            go.wait(timeout=60)
            done.append("held")

    def sample():
        run.sample(2, seed=0)
        done.append("sampled")

    first, second = Thread(target=hold), Thread(target=sample)
    first.start()
    inside.wait(timeout=60)
    second.start()
    second.join(timeout=0.3)
    runs["table"][0].sample(2, seed=0)  # another run is free
    assert second.is_alive()
    go.set()
    first.join(timeout=60)
    second.join(timeout=60)
    assert done == ["held", "sampled"]


def test_two_comparisons_of_the_same_runs_the_other_way_round_do_not_wait_for_each_other(runs):
    (a, data), (b, _) = runs["counts"], runs["mixture"]
    begin = Barrier(2)

    def turn(first, second):
        begin.wait(timeout=60)
        return [compare([first, second], data, rows=20, k=2).best and first.compare(second, data, rows=20, k=2).rows
                for _ in range(5)]

    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(turn, a, b), pool.submit(turn, b, a)]
        assert [f.result(timeout=120) for f in found] == [[20] * 5, [20] * 5]


def test_a_run_is_copied_and_pickled_without_its_lock(runs):
    run, data = runs["counts"]
    for again in (copy.deepcopy(run), pickle.loads(pickle.dumps(run))):
        assert again.lock is not run.lock
        assert np.array_equal(again.encode(data), run.encode(data))


# --- training -------------------------------------------------------------------------------------------------------
DATA = np.random.default_rng(1).normal(size=(200, 5)).astype("float32")
DROPPING = {"hidden": [16, 16], "n_latent": 2, "dropout": 0.3, "network": "mlp"}


def trained(seed, **more):
    run = senzai.fit(DATA, steps=60, seed=seed, sampler="none", progress=False, **{**DROPPING, **more})
    return {k: v.clone() for k, v in run.model.state_dict().items()}


def same(a, b):
    return all(torch.equal(a[k], b[k]) for k in a)


def test_dropout_is_on_in_these_trainings():
    assert not same(trained(0), trained(0, dropout=0.0))


def test_training_and_sampling_in_two_threads_are_what_they_are_alone(runs, tmp_path):
    run, _ = runs["counts"]
    alone, one, saved = trained(0), run.sample(50, seed=1), copy.deepcopy(run).save(tmp_path / "run")
    begin, over, drawn = Barrier(2), Event(), []

    def train():
        begin.wait(timeout=60)
        try:
            return trained(0)
        finally:
            over.set()

    def use():
        begin.wait(timeout=60)
        while not over.is_set():
            drawn.append(run.sample(50, seed=1))
            drawn.append(senzai.load(saved).sample(50, seed=1))

    with ThreadPoolExecutor(2) as pool:
        made, used = pool.submit(train), pool.submit(use)
        used.result(timeout=300)
        assert same(made.result(timeout=300), alone)
    assert len(drawn) > 2
    assert all(np.array_equal(x, one) for x in drawn)


def test_trainings_in_several_threads_are_what_they_are_alone():
    alone = [trained(seed) for seed in range(3)]
    before = torch.get_rng_state()
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(trained, range(3)))
    assert all(same(a, b) for a, b in zip(alone, together, strict=True))
    assert torch.equal(before, torch.get_rng_state()), "the last that leaves puts the global generator back"


def test_blocks_of_two_threads_that_overlap_leave_the_generator_as_it_was():
    before, steps = torch.get_rng_state(), [Barrier(2) for _ in range(3)]

    def first():
        with forked(1):
            steps[0].wait(timeout=60)
            steps[1].wait(timeout=60)
        steps[2].wait(timeout=60)

    def second():
        steps[0].wait(timeout=60)
        with forked(2):
            steps[1].wait(timeout=60)
            steps[2].wait(timeout=60)  # the first has left

    with ThreadPoolExecutor(2) as pool:
        for f in [pool.submit(first), pool.submit(second)]:
            f.result(timeout=120)
    assert torch.equal(before, torch.get_rng_state())
    with forked(1):
        a = torch.rand(1)
        with forked(2):
            torch.rand(1)
        b = torch.rand(1)
    with forked(1):
        assert torch.equal(torch.cat([a, b]), torch.rand(2))


# --- numbers that are kept --------------------------------------------------------------------------------------------
def test_evaluations_and_diagnoses_at_once_lose_nothing(tmp_path):
    senzai.fit(DATA, out=tmp_path / "run", **SMALL)
    copies = [senzai.load(tmp_path / "run") for _ in range(6)]  # as many processes would have
    measures = ["generation", "probes", "map", "dependence", "gaps"]

    def judge(i):
        if i == 5:
            return copies[i].diagnose(DATA, rows=40, k=2)
        return copies[i].evaluate(DATA, rows=30, k=2, only=[measures[i]])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(judge, range(6)))
    kept = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert {"fit", "evaluate", "diagnosis"} <= set(kept)
    seen = {*kept["evaluate"]["measured"], *kept["evaluate"]["not_measured"]}
    assert set(measures) <= seen
    assert not list((tmp_path / "run").glob(".senzai-metrics*"))
