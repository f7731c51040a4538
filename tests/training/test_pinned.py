"""Small things of training, each pinned to its value: a change of any went unnoticed once."""

from __future__ import annotations

import io
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn

from senzai.core.random import forked
from senzai.objectives import ELBO
from senzai.training.comms import Comms, process_group
from senzai.training.events import Finished, Progressed, Started
from senzai.training.feed import Piece
from senzai.training.progress_bar import ProgressBar
from senzai.training.settings import TrainSettings
from senzai.training.signals import Interrupt
from senzai.training.step import Stepper


# --- several processes ------------------------------------------------------------------------------------------------
class Averaging(nn.Module):
    """Stands for the module that averages gradients: it keeps in which calls it would have."""

    def __init__(self, inner):
        super().__init__()
        self.inner, self.held, self.calls = inner, False, []

    def forward(self, *given):
        self.calls.append(not self.held)
        return self.inner(*given)

    @contextmanager
    def no_sync(self):
        self.held = True
        yield
        self.held = False


class Two(Comms):
    """One of two processes, the other of which says what this one says."""

    def wrap(self, module):
        return Averaging(module)

    def sum(self, values):
        return 2 * values


def stepped(make_model, comms, pieces):
    model = make_model(3)
    player = ELBO().players(model)[0]
    stepper = Stepper(model, player, TrainSettings(), device=torch.device("cpu"), comms=comms, dtype=None)
    with forked(0):
        _, norm, fine = stepper(pieces, 0, True)
    return stepper, float(norm), bool(fine)


def test_gradients_are_averaged_once_a_step_when_the_last_piece_is_in(make_model, make_rows):
    batch = make_rows(12).take(np.arange(12))
    pieces = [Piece(batch.take(torch.arange(i, i + 4)), i, 12) for i in (0, 4, 8)]
    _, alone, _ = stepped(make_model, Comms(), pieces)
    stepper, both, fine = stepped(make_model, Two(rank=1, world=2), pieces)
    assert stepper.module.calls == [False, False, True]
    assert fine
    assert both == pytest.approx(2 * alone, rel=1e-5), "what is averaged over two was doubled before"


def test_one_process_alone_needs_no_group(monkeypatch):
    monkeypatch.setattr("torch.distributed.init_process_group", lambda *given: pytest.fail("a group of one was made"))
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    with process_group() as comms:
        assert comms == Comms()


# --- the bar ----------------------------------------------------------------------------------------------------------
def test_the_bar_stays_when_training_has_ended():
    out = io.StringIO()
    bar = ProgressBar(Console(file=out, force_terminal=True, width=120))
    bar.on(Started(0, 10, 5, 4, 100, "fp32"), None)
    training = SimpleNamespace(headline=ELBO().headline)
    bar.on(Progressed(10, 2.0, {"distortion": 3.25, "rate": 1.5}, 0.1, 1.0, 1234.0, 1.0), training)
    bar.on(Finished(10, 10, False, 1.0), training)
    assert "1,234 rows/s" in out.getvalue()
    last = out.getvalue().rpartition("1,234 rows/s")[2]
    assert "\x1b[2K" not in last, "the line was taken away again"


# --- signals ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("mine", "other", "found"), [(0, 0, 0), (2, 0, 2), (15, 0, 15), (0, 2, 2), (0, 15, 15), (15, 2, 2), (2, 15, 2)]
)
def test_processes_agree_on_the_signal_that_any_received(monkeypatch, mine, other, found):
    told = torch.tensor([float(other == 2), float(other == 15)])
    monkeypatch.setattr(Two, "sum", lambda self, values: values + told)
    interrupt = Interrupt()
    interrupt.signal = mine
    assert interrupt.requested(Two(world=2)) == found
    assert interrupt.answered == (found > 0)
