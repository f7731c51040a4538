"""From data to a run and back: every form of data, saving, loading, resuming, and what is refused."""

from __future__ import annotations

import json
import random

import numpy as np
import pandas as pd
import pytest
import torch

from senzai.core.errors import BundleError, OutputError, RunInterrupted, SettingError, ShapeError, UnknownNameError
from senzai.runs import fit, load, resume
from senzai.runs.training.requests import lengthened, sort_settings
from senzai.training import bundle
from senzai.training.checkpoint import peek, save_tensors
from senzai.training.events import Progressed, Validated
from senzai.training.settings import TrainSettings
from senzai.training.signals import Interrupt

SMALL = {"steps": 6, "hidden": [8], "n_latent": 2, "batch_size": 16, "log_every": 2, "validate_every": 2}
RNG = np.random.default_rng(0)
REAL = RNG.normal(size=(60, 4)).astype(np.float32)
BINARY = (RNG.random((60, 5)) < 0.3).astype(np.int64)
COUNTS = RNG.poisson(200, size=(60, 3)) * RNG.integers(1, 9, size=(60, 1))


@pytest.fixture(scope="module")
def real():
    """A small run on real numbers."""
    return fit(REAL, settings=SMALL)


@pytest.fixture
def saved(tmp_path):
    """The folder of a finished run on real numbers."""
    fit(REAL, settings={**SMALL, "checkpoint_seconds": 0}, out=tmp_path / "run")
    return tmp_path / "run"


def weights(run):
    return torch.cat([v.flatten().double() for v in run.model.state_dict().values()])


# --- what goes in comes out -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("x", [REAL, BINARY, COUNTS], ids=["real", "binary", "count"])
def test_arrays(x):
    run = fit(x, settings=SMALL)
    new, back, z = run.sample(7, seed=0), run.reconstruct(x), run.encode(x)
    assert new.shape == (7, x.shape[1])
    assert back.shape == x.shape
    assert z.shape == (60, 2)
    assert all(isinstance(a, np.ndarray) for a in (new, back, z))
    assert new.dtype == x.dtype
    if x is BINARY:
        assert set(np.unique(new)) <= {0, 1}
    if x is COUNTS:
        assert new.min() >= 0
    scores = run.log_likelihood(x, k=20)
    assert scores.shape == (60,)
    assert np.isfinite(scores).all()


def test_images():
    run = fit("digits", settings={**SMALL, "network": "mlp"})
    assert run.schema.kind == "images"
    new = run.sample(3, seed=0)
    assert new.shape == (3, 8, 8)
    assert new.dtype == np.uint8
    assert run.encode(run.dataset("digits")).shape == (1797, 2)


def test_frames_keep_names_and_index():
    frame = pd.DataFrame(REAL, columns=list("abcd"), index=[f"r{i}" for i in range(60)])
    run = fit(frame, settings=SMALL)
    z, back, new = run.encode(frame), run.reconstruct(frame), run.sample(5, seed=0)
    assert list(z.columns) == ["z0", "z1"]
    assert list(z.index) == list(back.index) == list(frame.index)
    assert list(back.columns) == list(new.columns) == list("abcd")
    shuffled = frame[list("dcba")]
    pd.testing.assert_frame_equal(run.encode(shuffled), z)  # columns are found by name
    with pytest.raises(ShapeError):
        run.encode(frame[["a", "b"]])


def test_tensors():
    x = torch.from_numpy(REAL)
    run = fit(x, settings=SMALL)
    assert isinstance(run.encode(x), torch.Tensor)
    assert isinstance(run.sample(3, seed=0), torch.Tensor)


def test_parts_of_the_data(real):
    parts = {name: real.part(REAL, name) for name in ("train", "validation", "test")}
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(60))
    assert [len(p) for p in parts.values()] == [48, 6, 6]
    assert np.array_equal(real.part(REAL), parts["test"])  # its own data: what it never saw
    assert np.array_equal(real.part(REAL + 1), np.arange(60))  # other data: all of them
    assert len(real.part(REAL, "all")) == 60
    with pytest.raises(SettingError, match="train, validation, test, all"):
        real.part(REAL, "tset")


def test_validation_rows_never_train(tmp_path):
    """What a run sees in training are its training rows: changing others changes no weight."""
    changed = REAL.copy()
    rows = fit(REAL, settings=SMALL).part(REAL, "test")
    changed[rows] += 1
    assert torch.equal(weights(fit(REAL, settings=SMALL)), weights(fit(changed, settings=SMALL)))


# --- seeds ------------------------------------------------------------------------------------------------------------
def test_a_seed_decides_everything():
    a, b, c = (fit(REAL, settings=SMALL, seed=s) for s in (1, 1, 2))
    assert torch.equal(weights(a), weights(b))
    assert not torch.equal(weights(a), weights(c))
    assert np.array_equal(a.part(REAL), c.part(REAL))  # other weights, same rows
    d = fit(REAL, settings=SMALL, split_seed=5)
    assert not np.array_equal(a.part(REAL), d.part(REAL))


def test_points_by_default_draws_with_a_seed(real):
    assert np.array_equal(real.encode(REAL), real.encode(REAL))
    assert np.array_equal(real.encode(REAL, seed=1), real.encode(REAL, seed=1))
    assert not np.array_equal(real.encode(REAL, seed=1), real.encode(REAL, seed=2))
    assert not np.array_equal(real.encode(REAL), real.encode(REAL, seed=1))
    assert np.array_equal(real.sample(4, seed=3), real.sample(4, seed=3))
    assert not np.array_equal(real.sample(4), real.sample(4))


def test_the_caller_s_surroundings_are_left_alone():
    torch.set_grad_enabled(True)
    state = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate(), torch.get_num_threads()
    run = fit(REAL, settings={**SMALL, "dropout": 0.1})
    run.sample(3, seed=0), run.encode(REAL), run.encode(REAL, seed=0), run.reconstruct(REAL)
    run.log_likelihood(REAL, k=3), run.evaluate(REAL, k=5)
    after = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate(), torch.get_num_threads()
    assert torch.equal(state[0], after[0])
    assert state[1:] == after[1:]
    assert not run.model.training
    assert not any(m.training for m in run.model.modules())
    assert all(p.grad is None or p.requires_grad for p in run.model.parameters())


# --- folders ----------------------------------------------------------------------------------------------------------
def test_a_saved_run_is_the_run(real, tmp_path):
    real.save(tmp_path / "run")
    again = load(tmp_path / "run")
    assert np.array_equal(real.encode(REAL), again.encode(REAL))
    assert np.array_equal(real.log_likelihood(REAL, k=10), again.log_likelihood(REAL, k=10))
    assert np.array_equal(real.sample(5, seed=0), again.sample(5, seed=0))
    assert again.metrics == json.loads(json.dumps(real.metrics))
    assert again.spec == real.spec
    with pytest.raises(OutputError, match="does not exist yet"):
        real.save(tmp_path / "run")


def test_what_is_in_a_folder(saved):
    names = {p.relative_to(saved).as_posix() for p in saved.rglob("*") if p.is_file()}
    assert names == {
        "spec.json", "weights.safetensors", "metrics.json", "history.jsonl", "README.md",
        "checkpoints/last.safetensors", "reference.safetensors",
    }
    run = load(saved)
    assert [x["step"] for x in run.history if x["kind"] == "validation"] == [2, 4, 6]
    numbers = run.metrics["fit"]
    assert {
        "out", "recipe", "kind", "epochs", "steps", "seconds", "samples_per_second", "best_step", "validation_elbo",
    } <= set(numbers)
    assert numbers["steps"] == 6
    best = max((x for x in run.history if x["kind"] == "validation"), key=lambda x: x["elbo"])
    assert numbers["best_step"] == best["step"]
    assert numbers["validation_elbo"] == best["elbo"]


def test_a_run_in_memory_equals_one_on_disk(real, saved):
    assert torch.equal(weights(real), weights(load(saved)))


def test_nothing_is_overwritten_unasked(saved, tmp_path):
    with pytest.raises(OutputError, match="--overwrite"):
        fit(REAL, settings=SMALL, out=saved)
    fit(REAL, settings={**SMALL, "steps": 2}, out=saved, overwrite=True)
    assert load(saved).metrics["fit"]["steps"] == 2
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").touch()
    with pytest.raises(BundleError, match=r"spec\.json"):
        fit(REAL, settings=SMALL, out=mine, overwrite=True)
    assert (mine / "thesis.txt").exists()
    fit(REAL, settings=SMALL, out=tmp_path / "new", overwrite=True)


def test_a_folder_that_is_no_run_is_refused(saved, tmp_path):
    with pytest.raises(BundleError, match=r"has none\. Give the folder"):
        load(tmp_path)
    spec = json.loads((saved / "spec.json").read_text())
    for change, what in (
        ({"format": 99}, "Update senzai"),
        ({"format": 1, "colour": 1}, "colour"),
        ({"model": {"type": "os.system"}}, "names a part"),
    ):
        (saved / "spec.json").write_text(json.dumps({**spec, **change}))
        with pytest.raises(BundleError, match=what):
            load(saved)
    (saved / "spec.json").write_text("{")
    with pytest.raises(BundleError, match="damaged"):
        load(saved)


def test_weights_of_another_model_are_refused(saved):
    save_tensors(saved / "weights.safetensors", {"a": torch.zeros(2)}, {})
    with pytest.raises(BundleError, match="do not fit"):
        load(saved)
    (saved / "weights.safetensors").write_bytes(b"{}")
    with pytest.raises(BundleError, match=r"weights\.safetensors"):
        load(saved)
    (saved / "weights.safetensors").unlink()
    with pytest.raises(BundleError, match="not trained to its end"):
        load(saved)


# --- stopping and going on --------------------------------------------------------------------------------------------
class Signal:
    """Raises a signal's flag at a step."""

    def __init__(self, step, number=2):
        self.step, self.number = step, number

    def on(self, event, training):
        if isinstance(event, Progressed | Validated) and event.step == self.step:
            training.interrupt.signal = self.number


def test_an_interrupted_run_is_resumed_to_the_same_weights(saved, tmp_path):
    with pytest.raises(RunInterrupted, match="senzai resume") as caught:
        fit(REAL, settings=SMALL, out=tmp_path / "b", listeners=[Signal(4, 15)])
    assert caught.value.exit_code == 143
    with pytest.raises(BundleError, match="Finish it with"):
        load(tmp_path / "b")
    run = resume(tmp_path / "b", data=REAL)
    assert torch.equal(weights(run), weights(load(saved)))
    with pytest.raises(BundleError, match="is finished"):
        resume(tmp_path / "b", data=REAL)


def test_a_kill_between_the_last_checkpoint_and_the_weights_is_resumed(saved):
    before = weights(load(saved))
    for name in ("weights.safetensors", "README.md", "metrics.json"):
        (saved / name).unlink()
    run = resume(saved, data=REAL)
    assert torch.equal(weights(run), before)
    assert load(saved).metrics["fit"]["steps"] == 6


def test_a_kill_before_the_first_checkpoint_is_resumed(saved):
    before = weights(load(saved))
    for name in ("weights.safetensors", "history.jsonl", "checkpoints/last.safetensors"):
        (saved / name).unlink()
    assert torch.equal(weights(resume(saved, data=REAL)), before)


def test_a_longer_run_goes_on_from_where_the_short_one_ended(tmp_path):
    settings = {**SMALL, "schedule": "constant", "lr": 0.1}
    whole = fit(REAL, settings={**settings, "steps": 12}, out=tmp_path / "whole")
    fit(REAL, settings=settings, out=tmp_path / "short")
    longer = resume(tmp_path / "short", data=REAL, steps=12)
    assert torch.equal(weights(longer), weights(whole))
    assert load(tmp_path / "short").spec.training.steps == 12
    times = ("seconds", "samples_per_second")
    timeless = [[{k: v for k, v in x.items() if k not in times} for x in run.history] for run in (whole, longer)]
    assert timeless[0] == timeless[1]


def test_a_kill_before_the_weights_of_the_longer_run_is_no_end(tmp_path):
    run = fit(REAL, settings=SMALL, out=tmp_path / "run")
    old = (tmp_path / "run" / bundle.WEIGHTS).read_bytes()
    longer = resume(tmp_path / "run", data=REAL, steps=12)
    (tmp_path / "run" / bundle.WEIGHTS).write_bytes(old)  # as if the process had died after its last checkpoint
    again = resume(tmp_path / "run", data=REAL)
    assert torch.equal(weights(again), weights(longer))
    assert not torch.equal(weights(again), weights(run))
    assert torch.equal(weights(load(tmp_path / "run")), weights(longer))
    with pytest.raises(BundleError, match="is finished"):
        resume(tmp_path / "run", data=REAL)


def test_a_longer_run_that_is_stopped_remembers_how_long_it_should_be(tmp_path, monkeypatch):
    fit(REAL, settings={**SMALL, "log_every": 1}, out=tmp_path / "run")
    monkeypatch.setattr(Interrupt, "requested", lambda self, comms: 2)
    with pytest.raises(RunInterrupted):
        resume(tmp_path / "run", data=REAL, steps=10)
    monkeypatch.undo()
    assert peek(tmp_path / "run" / bundle.CHECKPOINT).step == 7
    assert resume(tmp_path / "run", data=REAL).metrics["fit"]["steps"] == 10


def test_resuming_needs_the_data_of_the_run(saved):
    with pytest.raises(BundleError, match="which is not here"):
        resume(saved, steps=8)
    with pytest.raises(BundleError, match="needs the very data"):
        resume(saved, data=REAL + 1, steps=8)
    with pytest.raises(SettingError, match=r"only epochs and steps can be raised, and shard_model set, but got lr"):
        resume(saved, data=REAL, lr=1.0)
    with pytest.raises(SettingError, match="longer, not shorter"):
        resume(saved, data=REAL, steps=3)


def test_a_run_gets_longer_in_its_own_unit_or_another():
    assert lengthened(TrainSettings(epochs=5), {"epochs": "9"}).epochs == 9
    other = lengthened(TrainSettings(steps=5), {"epochs": 9})
    assert (other.epochs, other.steps) == (9, None)
    same = TrainSettings(steps=5)
    assert lengthened(same, {}) is same


def test_built_in_data_are_found_again(tmp_path):
    with pytest.raises(RunInterrupted):
        fit("digits", settings={**SMALL, "network": "mlp"}, out=tmp_path / "run", listeners=[Signal(2)])
    assert resume(tmp_path / "run").metrics["fit"]["steps"] == 6


# --- settings ---------------------------------------------------------------------------------------------------------
def test_unknown_settings_are_suggested():
    with pytest.raises(SettingError, match="Did you mean 'n_latent'"):
        fit(REAL, n_latnt=3)
    with pytest.raises(SettingError, match="'lr'"):
        fit(REAL, lr=-1)
    with pytest.raises(UnknownNameError, match="Did you mean 'vae'"):
        fit(REAL, recipe="vea")
    with pytest.raises(SettingError, match="no use for"):
        fit(REAL, settings={**SMALL, "warmup.steps": 3})


def test_settings_find_their_owner():
    request = sort_settings(REAL, None, {"seed": 3, "split_seed": 4, "warmup.steps": 5, "validation": 0.2})
    assert request.training.seed == 3
    assert request.data == {"seed": 4, "validation": 0.2}
    assert request.model == {"warmup.steps": 5}


def test_a_warm_up_that_would_not_finish_leaves_no_run_behind(tmp_path):
    with pytest.raises(SettingError, match="must finish during training"):
        fit(REAL, settings={**SMALL, "warmup": "linear", "warmup.steps": 7}, out=tmp_path / "run")


def test_without_validation_rows_no_bound_is_claimed(tmp_path):
    run = fit(REAL, settings={**SMALL, "validation": 0, "test": 0}, out=tmp_path / "run")
    assert run.metrics["fit"]["validation_elbo"] is None
    assert load(tmp_path / "run").metrics["fit"]["validation_elbo"] is None
