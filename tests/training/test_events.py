"""What a run tells, in which order, and who listens."""

from __future__ import annotations

import importlib.util
import io
import json

import pytest
import torch
from rich.console import Console

from senzai.core.errors import MissingExtraError
from senzai.training.events import Failed, Finished, Interrupted, Progressed, Reached, Recovered, Started, Validated
from senzai.training.listeners import Checkpointer, EarlyStopping, History, TensorBoard, read_history
from senzai.training.progress_bar import ProgressBar


def test_the_order_of_events(make, train):
    tape = train(make(steps=12, log_every=5, validate_every=4))
    assert [(type(e).__name__, e.step) for e in tape.events] == [
        ("Started", 0),
        ("Validated", 4), ("Reached", 4), ("Progressed", 5), ("Reached", 5),
        ("Validated", 8), ("Reached", 8), ("Progressed", 10), ("Reached", 10),
        ("Progressed", 12), ("Validated", 12), ("Reached", 12),
        ("Finished", 12),
    ]


def test_the_content_of_events(make, train):
    training = make(steps=12, log_every=6, validate_every=6)
    tape = train(training)
    started, progressed, validated = tape.of(Started)[0], tape.of(Progressed)[0], tape.of(Validated)[0]
    n = sum(p.numel() for p in training.model.parameters())
    assert started == Started(0, 12, 5, 16, n, "fp32")
    assert set(progressed.metrics) == {"loss", "distortion", "rate"}
    assert progressed.epoch == pytest.approx(6 / 5)
    assert progressed.grad_norm > 0
    assert progressed.samples_per_second > 0
    assert set(validated.metrics) == {"loss", "distortion", "rate", "elbo"}
    assert validated.best
    assert validated.best_step == 6
    assert validated.since_best == 0
    seconds = [e.seconds for e in tape.events if hasattr(e, "seconds")]
    assert seconds == sorted(seconds)
    assert not training.model.training
    assert training.progress.rows == 2 * 70 + 2 * 16


def test_progress_is_a_mean_over_the_rows_of_its_steps(make, train):
    one, five = (train(make(steps=5, log_every=k)).of(Progressed) for k in (1, 5))
    rows = [16, 16, 16, 16, 6]
    mean = sum(n * e.metrics["loss"] for n, e in zip(rows, one, strict=True)) / 70
    assert five[0].metrics["loss"] == pytest.approx(mean, rel=1e-5)


def test_stopping_takes_effect_after_the_step_with_all_its_events(make, train, tape):
    def stop(event, training):
        if isinstance(event, Progressed):
            training.stop_early = True

    seen = train(make(log_every=4, validate_every=4), tape(act=stop))
    assert [type(e).__name__ for e in seen.events] == ["Started", "Progressed", "Validated", "Reached", "Finished"]
    assert seen.of(Finished)[0].early


def test_early_stopping_needs_patience(make, train):
    seen = train(make(steps=300, lr=0.5, validate_every=2, schedule="constant"), EarlyStopping(4))
    counts = [e.since_best for e in seen.of(Validated)]
    assert counts[-1] == 4
    assert max(counts[:-1]) == 3


def test_a_listener_that_raises_ends_the_run_and_the_others_hear_of_it(make, train, tape):
    def fail(event, training):
        if isinstance(event, Progressed):
            raise OSError("disk full")

    first, second = tape(), tape(act=fail)
    with pytest.raises(OSError, match="disk full"):
        train(make(log_every=5), first, second)
    assert first.events[-1] == second.events[-1] == Failed(5, "disk full")


def test_a_checkpointer_keeps_its_interval(make, train, tmp_path, monkeypatch):
    saved = []
    place = "senzai.training.listeners.basic.save_checkpoint"
    monkeypatch.setattr(place, lambda t, path: saved.append(t.progress.step))
    train(make(log_every=5), Checkpointer(tmp_path / "a", 1000))
    assert saved == [0, 20]
    saved.clear()
    train(make(log_every=5, validate_every=7), Checkpointer(tmp_path / "a", 0))
    assert saved == [0, 5, 7, 10, 14, 15, 20, 20]


def test_the_history_has_every_number(make, train, tmp_path):
    path = tmp_path / "history.jsonl"
    tape = train(make(log_every=5, validate_every=10), History(path))
    lines = [json.loads(x) for x in path.read_text().splitlines()]
    assert lines == read_history(path)
    assert [(x["kind"], x["step"]) for x in lines] == [
        ("train", 5), ("train", 10), ("validation", 10), ("train", 15), ("train", 20), ("validation", 20),
    ]
    assert lines[2]["elbo"] == tape.of(Validated)[0].metrics["elbo"]
    assert {"lr", "grad_norm", "samples_per_second", "seconds", "epoch", "rate", "distortion"} <= set(lines[0])


def test_the_bar_shows_rate_and_distortion_apart(make, train):
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=160, color_system=None)
    seen = train(make(log_every=10, validate_every=10), ProgressBar(console))
    text, m = out.getvalue(), seen.of(Progressed)[-1].metrics
    assert f"distortion {m['distortion']:.2f} + rate {m['rate']:.2f} nats" in text
    assert f"validation ELBO {seen.of(Validated)[-1].metrics['elbo']:.2f}" in text
    assert "20/20" in text
    assert "rows/s" in text


def test_the_bar_says_what_was_rescued_and_closes_when_something_fails():
    out = io.StringIO()
    bar = ProgressBar(Console(file=out, force_terminal=False, width=200))
    bar.on(Started(0, 10, 5, 16, 3, "fp32"), None)
    bar.on(Recovered(4, 2, 1, 0.5, "the term 'rate' is [not] finite"), None)
    assert bar.bar.live.is_started
    bar.on(Failed(4, "no"), None)
    assert not bar.bar.live.is_started
    said = "step 4: the term 'rate' is [not] finite. Back to step 2, learning rate x 0.5 (1 tries left)."
    assert said in out.getvalue()


def test_reached_and_interrupted_are_not_for_the_bar():
    bar = ProgressBar(Console(file=io.StringIO()))
    bar.on(Reached(3), None)
    bar.on(Interrupted(3, 2), None)


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="the extra tensorboard is not installed")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_gets_the_same_numbers(make, train, tmp_path):
    tape = train(make(log_every=10, validate_every=10), TensorBoard(tmp_path))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(tmp_path))
    log.Reload()
    assert {f"{k}/{m}" for k in ("train", "validation") for m in ("loss", "rate", "distortion")} <= set(
        log.Tags()["scalars"]
    )
    rates = [e.value for e in log.Scalars("validation/rate")]
    assert rates == pytest.approx([e.metrics["rate"] for e in tape.of(Validated)])


def test_tensorboard_names_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtraError, match="tensorboard"):
        TensorBoard(tmp_path)


def test_training_leaves_the_caller_s_random_state_and_threads_alone(make, train):
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    train(make(dropout=0.1, accumulate=2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
