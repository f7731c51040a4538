"""Six rows: every verb answers, or says in a sentence why not, and never that data are absent which were given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from senzai.core.errors import InputError, SenzaiError
from senzai.evaluation.scores import METHODS
from senzai.runs import fit, load

TINY = {"steps": 3, "hidden": [8], "n_latent": 2}
ABSENT = ("not here", "not at hand", "in memory")


def some(kind, n):
    rng = np.random.default_rng(n)
    return {
        "table": lambda: pd.DataFrame({"a": rng.normal(size=n), "b": (["x", "y"] * n)[:n]}),
        "array": lambda: rng.normal(size=(n, 4)).astype(np.float32),
        "images": lambda: rng.integers(0, 255, (n, 8, 8)).astype(np.uint8),
    }[kind]()


def answered(run, data):
    """Ask every verb; return what was refused."""
    asked = {
        "encode": lambda: run.encode(data), "reconstruct": lambda: run.reconstruct(data),
        "sample": lambda: run.sample(3, seed=0), "likelihood": lambda: run.log_likelihood(data, k=3),
        "evaluate": lambda: run.evaluate(data, k=3), "impute": lambda: run.impute(data, k=3),
        "diagnose": lambda: run.diagnose(data, k=3), "way": lambda: run.interpolate(data[:1], data[1:2]),
        "traverse": lambda: run.traverse(data, dim=0), "flags": lambda: run.score(data, k=3, contamination=0.2),
        "shares": lambda: run.score(data, k=3, shares=True),
        **{f"score {m}": lambda m=m: run.score(data, method=m, k=3) for m in METHODS},
    }
    refused = {}
    for name, ask in asked.items():
        try:
            ask()
        except SenzaiError as err:
            refused[name] = str(err)
    return refused


@pytest.mark.parametrize("n", [6, 19, 20])
@pytest.mark.parametrize("kind", ["table", "array", "images"])
def test_every_verb_answers(kind, n, tmp_path):
    data = some(kind, n)
    run = fit(data, settings={**TINY, **({"network": "mlp"} if kind == "images" else {})}, progress=False)
    refused = answered(run, data)
    assert not [text for text in refused.values() if any(words in text for words in ABSENT)]
    assert set(refused) <= {"impute"}, refused
    run.save(tmp_path / "run")
    assert len(load(tmp_path / "run").score(data, k=3)) == n


@pytest.mark.parametrize("kind", ["table", "array"])
def test_where_no_row_was_held_out_scores_say_so(kind):
    data = some(kind, 6)
    run = fit(data, settings={**TINY, "validation": 0, "test": 0}, progress=False)
    with pytest.raises(InputError, match=r"none were. Fit with validation=0.1"):
        run.score(data)
    assert len(run.score(data, method="elbo")) == 6


def test_few_rows_are_scored_by_a_run_that_was_loaded(tmp_path):
    data = some("table", 6)
    fit(data, settings=TINY, out=tmp_path / "run")
    assert len(load(tmp_path / "run").score(data.head(2), k=3)) == 2


def test_pictures_in_memory_are_compared_with_themselves_and_remembered(tmp_path):
    """Pictures are not kept with a run; those that are given for scoring are the training data."""
    data = some("images", 12)
    run = fit(data, settings={**TINY, "network": "mlp"}, out=tmp_path / "run")
    assert len(run.score(data, method="knn", k=3)) == 12
    with pytest.raises(InputError, match="not here"):
        load(fit(data, settings={**TINY, "network": "mlp"}, out=tmp_path / "other").folder).score(data[:3], k=3)
