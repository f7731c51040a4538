"""The registry of verbs: what fits which run, verbs of other packages, and one path for all."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import torch

import senzai
from senzai.core.errors import CombinationError, SettingError, UnknownNameError
from senzai.runs import Run
from senzai.runs.verbs.registry import INPUTS, VERBS, every_verb, fitting, hold, verb, verb_named

SMALL = {"steps": 2, "n_latent": 2, "sampler": "none", "hidden": [8], "network": "mlp"}


@pytest.fixture(scope="module")
def pictures():
    return senzai.fit("digits", recipe="vae", **SMALL)


@pytest.fixture(scope="module")
def array():
    return senzai.fit(np.random.default_rng(0).normal(size=(60, 3)).astype("float32"), **SMALL)


@pytest.fixture
def added():
    """Verbs that a test registers are gone after it."""
    before = dict(every_verb())
    yield
    for name in set(VERBS) - set(before):
        del VERBS[name]


# --- what there is --------------------------------------------------------------------------------------------------
def test_every_verb_says_what_it_is():
    for name, found in every_verb().items():
        assert name == found.name
        assert found.summary[0].isupper()
        assert found.summary.endswith(".")
        assert "``" not in found.summary
        assert len(found.inputs) == INPUTS[found.takes]
        assert found.package == "senzai"


def test_methods_have_the_settings_of_their_verbs():
    """A typed method and what it calls cannot drift apart."""
    for name, found in every_verb().items():
        method = inspect.signature(getattr(Run, name)).parameters if hasattr(Run, name) else None
        if method is None or any(p.kind is p.VAR_KEYWORD for p in method.values()):
            continue
        mine = {n: p.default for n, p in method.items() if n != "self"}
        theirs = {p.name: p.default for p in (*found.inputs, *found.parameters)}
        assert set(mine) == set(theirs), name
        settings = {p.name for p in found.parameters if p.default is not p.empty}
        assert {n: mine[n] for n in settings} == {n: theirs[n] for n in settings}, name


def test_only_the_module_of_a_verb_is_loaded(tmp_path):
    import subprocess
    import sys

    code = (
        "import sys; from senzai.runs.verbs.registry import verb_named; verb_named('encode'); "
        "print([m for m in ('senzai.evaluation', 'senzai.report', 'senzai.runs.fit') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "senzai.evaluation" not in done.stdout
    assert "senzai.report" not in done.stdout


def test_an_unknown_verb_is_neither_attribute_nor_verb(array):
    with pytest.raises(AttributeError, match="Did you mean 'encode'"):
        array.encoed  # noqa: B018
    with pytest.raises(UnknownNameError, match="Did you mean 'encode'"):
        array.do("encoed")
    assert not hasattr(array, "_repr_latex_")
    assert not hasattr(array, "__array__")


# --- what fits ------------------------------------------------------------------------------------------------------
SOME = np.zeros((2, 3), "float32")
UNFIT = {
    "predict": ((SOME,), "m1, m2"), "augment": (("a", 1, 5), "have a label"), "forecast": ((SOME,), "Fit on dated"),
    "optimise": ((), "Fit molecules"), "restore": ((SOME,), "pictures and volumes"),
    "cross": ((SOME,), "several"), "counterfactual": ((SOME,), "graph of causes"),
    "effect": ((SOME,), "treatment"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_verb_that_does_not_fit_says_so_before_any_work(name, array, monkeypatch):
    inputs, way_out = UNFIT[name]

    def refuse(*_, **__):
        raise AssertionError("work was done")

    monkeypatch.setattr(type(array), "dataset", refuse)
    monkeypatch.setattr(type(array), "source", refuse)
    with pytest.raises(CombinationError, match=way_out):
        getattr(array, name)(*inputs)


def test_a_run_lists_which_verbs_fit_it_and_why_others_do_not(pictures):
    found = pictures.info()["verbs"]
    assert set(found) == set(every_verb())
    assert {n for n, why in found.items() if why is not None} == {
        "predict", "recommend", "reasons", "similar", "forecast", "score_steps", "scenarios", "risk", "topics",
        "normalised", "differential", "optimise", "cross", "do", "counterfactual", "effect",
    }
    labelled = np.random.default_rng(0).normal(size=(60, 3)).astype("float32"), np.arange(60) % 2
    other = senzai.fit(labelled, recipe="m2", **SMALL)
    assert fitting(other.schema, other.model)["predict"] is None
    table = senzai.fit(pd.DataFrame({"a": np.arange(40.0), "b": ["x", "y"] * 20}), **SMALL)
    assert fitting(table.schema, table.model)["augment"] is None


# --- verbs of others ------------------------------------------------------------------------------------------------
def test_a_verb_from_outside_is_a_method(added, array):
    @verb("suggest", group="Shop", takes="rows", answers="scores", unfit=lambda s, m: None)
    def suggest(run, data, *, top: int = 3, seed: int = 0):
        """Recommend something."""
        return run.encode(data)[:, :1].repeat(top, axis=1)

    data = np.zeros((5, 3), "float32")
    assert array.suggest(data, top=4).shape == (5, 4)
    assert array.suggest.__doc__ == "Recommend something."
    assert VERBS["suggest"].package == __name__.partition(".")[0]
    with pytest.raises(SettingError, match="is registered"):
        verb("suggest", group="Shop", takes="rows", answers="scores")(suggest)


def test_a_verb_from_outside_that_does_not_fit_is_refused(added, array):
    done = []

    @verb("price", group="Shop", takes="nothing", answers="document", unfit=lambda s, m: "Only shops. Fit a shop.")
    def price(run):
        done.append(run)

    with pytest.raises(CombinationError, match="Fit a shop"):
        array.price()
    assert not done


def test_global_draws_of_a_verb_from_outside_follow_its_seed_and_move_nothing(added, array):
    @verb("dice", group="Play", takes="number", answers="rows")
    def dice(run, n: int, *, seed: int | None = None):
        """Throw."""
        return torch.randint(6, (n,))

    before = torch.get_rng_state()
    one, again, other, free = array.dice(50, seed=1), array.dice(50, seed=1), array.dice(50, seed=2), array.dice(50)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert not torch.equal(free, array.dice(50))


def test_settings_may_be_one_object(added, array):
    @dataclass(frozen=True, kw_only=True)
    class Asked:
        k: int = 2

        def __post_init__(self):
            if self.k < 1:
                raise SettingError("`k >= 1` must hold, but got less. Give more.")

    @verb("count", group="Look", takes="nothing", answers="document", settings=Asked)
    def count(run, asked):
        """Count."""
        return {"k": asked.k}

    assert array.count() == {"k": 2}
    assert array.count(k=5) == {"k": 5}
    assert [p.name for p in VERBS["count"].parameters] == ["k"]
    with pytest.raises(SettingError, match="k >= 1"):
        array.count(k=0)


def test_what_cannot_be_a_verb_is_refused():
    with pytest.raises(SettingError, match="2 arguments"):
        verb("way", group="Use", takes="two rows", answers="rows")(lambda run, a: a)
    with pytest.raises(SettingError, match="name of Python"):
        verb("_hidden", group="Use", takes="nothing", answers="rows")(lambda run: run)
    assert "way" not in VERBS


def test_locks_are_taken_in_one_order_and_once_each(array, pictures, monkeypatch):
    taken = []

    class Noting:
        def __init__(self, run):
            self.run = run

        def __enter__(self):
            taken.append(id(self.run))

        def __exit__(self, *error):
            taken.append(-id(self.run))

    for run in (array, pictures):
        monkeypatch.setattr(run, "lock", Noting(run))
    low, high = sorted(map(id, (array, pictures)))
    for runs in ([array, pictures], [pictures, array, pictures]):
        taken.clear()
        with hold(runs):
            pass
        assert taken == [low, high, -high, -low]
    assert verb_named("encode").name == "encode"
