"""Whatever a run knows in memory it knows after it was saved and loaded: every answer before and after."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

import senzai
from senzai.core.errors import SenzaiError
from senzai.runs import fit, load, train_on
from senzai.runs.run import Run

TINY = {"steps": 40, "hidden": [8], "n_latent": 2, "batch_size": 32, "log_every": 10, "validate_every": 10}
RNG = np.random.default_rng(3)
REAL = RNG.normal(size=(120, 4)).astype(np.float32)
BITS = (RNG.random((120, 6)) < 0.4).astype(np.int64)
LABELS = RNG.integers(0, 3, 120)
PICTURES = RNG.integers(0, 255, size=(80, 8, 8)).astype(np.uint8)
HOLES = np.where(RNG.random((120, 4)) < 0.1, np.nan, REAL)
TABLE = pd.DataFrame({
    "a": RNG.normal(size=120), "b": RNG.choice(["x", "y", "z"], 120), "c": RNG.poisson(3, 120),
    "d": np.where(RNG.random(120) < 0.2, np.nan, RNG.normal(size=120)),
})
CASES = {
    "array, mixture": (REAL, {"sampler": "mixture"}),
    "array, aggregate": (REAL, {"sampler": "aggregate", "recipe": "iwae"}),
    "bits, vamp": (BITS, {"recipe": "vamp-vae"}),
    "array with holes": (HOLES, {"missing": "keep"}),
    "pictures": (PICTURES, {"network": "mlp", "recipe": "beta-vae"}),
    "pictures, codes": (PICTURES, {"network": "mlp", "recipe": "vq-vae", "n_latent": None, "hidden": None}),
    "labels": ((REAL, LABELS), {"recipe": "m2"}),
    "condition": ((REAL, LABELS), {"recipe": "cvae", "condition": "label"}),
    "table": (TABLE, {}),
    "tensor, nothing held out": (torch.from_numpy(REAL), {"validation": 0, "test": 0}),
    "ill": (REAL, {"beta": 60.0, "warmup": "linear", "warmup.steps": 150, "steps": 300, "validate_every": None}),
}


def answers(run: Run, data: object, *, diagnosed: bool = False) -> dict[str, object]:
    """Ask everything; what is refused is an answer too. A diagnosis takes as long as all the rest."""
    questions = {
        "codes": lambda: run.encode(data), "draws": lambda: run.encode(data, seed=1),
        "again": lambda: run.reconstruct(data), "new": lambda: run.sample(5, seed=0),
        "from the prior": lambda: run.sample(5, seed=0, sampler="prior"), "classes": lambda: run.predict(data),
        "likelihood": lambda: run.log_likelihood(data, k=3), "filled": lambda: run.impute(data, k=3),
        "under the sampler": lambda: run.log_likelihood(data, k=3, sampler="auto"),
        "way": lambda: run.traverse(data, dim=0), "scores": lambda: run.score(data, k=3),
        "flags": lambda: run.score(data, k=3, false_alarm=0.5), "judged": lambda: run.evaluate(data, k=3),
        **({"diagnosis": lambda: run.diagnose(data, rows=50, k=3).document()} if diagnosed else {}), "info": run.info,
        "history": lambda: run.history, "samplers": run.samplers.facts, "names": lambda: run.samplers.names,
        "schema": lambda: run.schema.model_dump(mode="json"), "text": lambda: repr(run),
        "test rows": lambda: run.part(data), "types": lambda: [str(v.dtype) for v in run.model.state_dict().values()],
    }
    found: dict[str, object] = {}
    for name, ask in questions.items():
        try:
            found[name] = plain(ask())
        except SenzaiError as err:
            found[name] = str(err)
    return found


def plain(value: object) -> object:
    """An answer as text, without what a clock says."""
    if isinstance(value, pd.DataFrame):
        return value.to_json(double_precision=15)
    if isinstance(value, np.ndarray | torch.Tensor):
        return np.asarray(value).tolist().__repr__()
    return json.dumps(timeless(value), default=str)


def timeless(value: object) -> object:
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if k not in ("seconds", "samples_per_second", "timing", "out")}
    return [timeless(v) for v in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("case", CASES)
def test_every_answer_is_the_same_after_saving_and_loading(case, tmp_path):
    data, more = CASES[case]
    settings = {k: v for k, v in {**TINY, **more}.items() if v is not None and k != "recipe"}
    run = fit(data, recipe=more.get("recipe", "vae"), settings=settings, progress=False)
    assert_survives(run, data, tmp_path, diagnosed=case in ("array, mixture", "ill"))
    if case == "ill":
        assert "warning" in {h["kind"] for h in run.history}  # what was heard is kept as well


def assert_survives(run, data, tmp_path, *, diagnosed):
    run.save(tmp_path / "first")
    before = answers(run, data, diagnosed=diagnosed)
    again = load(tmp_path / "first")
    after = answers(again, data, diagnosed=diagnosed)
    assert [k for k in before if before[k] != after[k]] == []
    assert (again.reference is None) == (run.reference is None)


def test_a_run_without_a_folder_has_a_history():
    run = fit(REAL, settings=TINY, progress=False)
    assert [(h["kind"], h["step"]) for h in run.history][-2:] == [("train", 40), ("validation", 40)]


def test_a_run_from_a_folder_is_saved_elsewhere_with_all_it_has(tmp_path):
    fit(REAL, settings={**TINY, "sampler": "mixture"}, out=tmp_path / "run")
    first, copy = load(tmp_path / "run"), load(tmp_path / "run")
    copy.save(tmp_path / "copy")
    assert load(tmp_path / "copy").history == first.history != []
    own = {"spec.json", "weights.safetensors", "metrics.json", "history.jsonl", "README.md", "reference.safetensors",
           "samplers.safetensors"}
    assert {p.name for p in (tmp_path / "copy").iterdir()} == own
    assert answers(load(tmp_path / "copy"), REAL) == answers(first, REAL)
    one, other = (train_on(r, REAL, steps=2, seed=0) for r in (first, copy))
    assert np.array_equal(one.encode(REAL), other.encode(REAL))


def test_a_run_in_double_precision_stays_so(tmp_path):
    run = fit(REAL, settings={**TINY, "sampler": "mixture"}, progress=False)
    run.model.double()
    run.save(tmp_path / "run")
    again = load(tmp_path / "run")
    assert {v.dtype for v in again.model.state_dict().values()} == {torch.float64}
    assert again.samplers.facts() == run.samplers.facts()
    assert np.array_equal(again.encode(REAL), run.encode(REAL))


def test_the_run_of_an_estimator_keeps_its_sampler(tmp_path):
    from senzai.estimators import VAETransformer

    made = VAETransformer(n_latent=2, steps=40, settings={"sampler": "mixture"}, random_state=0)
    made.fit(REAL)
    made.run_.save(tmp_path / "run")
    assert senzai.load(tmp_path / "run").samplers.facts() == made.run_.samplers.facts()
    assert made.run_.samplers.chosen == "mixture"
