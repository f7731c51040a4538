"""What a run keeps of several evaluations: every number with the rows it is of."""

from __future__ import annotations

import json

import numpy as np
import pytest

import senzai
from senzai.report.judged import sections
from senzai.runs.verbs.evaluate import OF, joined

RNG = np.random.default_rng(0)
REAL = (RNG.normal(size=(300, 4)) + 4 * RNG.integers(2, size=(300, 1))).astype(np.float32)
SMALL = {"steps": 6, "hidden": [8], "n_latent": 3, "batch_size": 16, "sampler": "none"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return senzai.fit(REAL, settings=SMALL, out=tmp_path_factory.mktemp("runs") / "run", progress=False)


def test_part_of_an_evaluation_neither_relabels_nor_drops_what_was_there(run):
    run.metrics.pop("evaluate", None)
    first = run.evaluate(REAL, k=5, seed=3)
    before = json.loads(json.dumps(run.metrics["evaluate"]))
    again = run.evaluate(REAL, k=5, only=["map"], split="train", rows=60, seed=8)
    kept = run.metrics["evaluate"]
    assert again["n"] == 60
    assert set(again["measured"]) == {"map"}
    for name in set(before) - {"measured", "not_measured", "timing"}:
        assert kept[name] == before[name], name
    for name in set(before["measured"]) - {"map"}:
        assert kept["measured"][name] == before["measured"][name]
    of = kept["measured"]["map"].pop("of")
    assert of == {"n": 60, "seed": 8, "split": "train", "rows_available": 240, "data": first["data"]}
    assert kept["measured"]["map"] == again["measured"]["map"]
    assert set(kept["measured"]).isdisjoint(kept["not_measured"])
    assert json.loads((run.folder / "metrics.json").read_text())["evaluate"]["n"] == first["n"]


def test_the_same_rows_need_no_label_and_other_data_have_one(run):
    run.metrics.pop("evaluate", None)
    first = run.evaluate(REAL, k=5)
    run.evaluate(REAL, only=["dependence"])
    assert "of" not in run.metrics["evaluate"]["measured"]["dependence"]
    run.evaluate(REAL[:40] + 1, only=["dependence"])
    of = run.metrics["evaluate"]["measured"]["dependence"]["of"]
    assert (of["n"], of["split"]) == (40, "all")
    assert of["data"] != first["data"]


def test_a_whole_evaluation_has_new_figures_and_keeps_what_it_did_not_take(run):
    run.metrics.pop("evaluate", None)
    run.evaluate(REAL, only=["uncertainty"], seed=1)
    run.evaluate(REAL, k=5, seed=2)
    kept = run.metrics["evaluate"]
    assert kept["seed"] == 2
    assert kept["measured"]["uncertainty"]["of"]["seed"] == 1
    assert "of" not in kept["measured"]["dependence"]
    assert "uncertainty" not in kept["not_measured"]
    run.evaluate(REAL, k=5, seed=1)
    kept = run.metrics["evaluate"]
    assert "of" not in kept["measured"]["uncertainty"], "now of the same rows as the rest"
    assert "dependence" in kept["measured"]


def test_reasons_and_times_belong_to_what_they_are_of():
    def one(measured, missed, times, **facts):
        facts = {"n": 9, "split": "test", **facts}
        return {**facts, "measured": measured, "not_measured": missed, "timing": {"estimated": 1, "measures": times}}

    first = one({"a": {}}, {"b": "not asked for", "c": "no labels"}, {"a": 1.0})
    tried = one({}, {"a": "not asked for", "b": "impossible", "c": "not asked for"}, {"b": 2.0}, n=3)
    kept = joined(first, tried, whole=False)
    assert kept["not_measured"] == {"b": "impossible", "c": "no labels"}
    assert kept["timing"]["measures"] == {"a": 1.0, "b": 2.0}
    assert kept["measured"] == {"a": {}}
    assert joined({}, tried, whole=False)["n"] == 3
    assert all(name in OF for name in ("n", "split", "seed"))


def test_a_page_says_of_which_rows_a_measure_is():
    numbers = {"n": 9, "measured": {"map": {"continuity": {"value": 0.5, "se": 0.1, "n": 60},
                                            "of": {"n": 60, "split": "train"}}}}
    (found,) = sections(numbers)
    assert "60 rows, train" in found.blocks[0].title
