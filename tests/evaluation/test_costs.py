"""What a measure is said to cost, against the decoder rows it takes, counted."""

from __future__ import annotations

import pytest
import torch

from senzai.core.batch import Batch
from senzai.evaluation import MEASURES, Annealing, Case, Pace, annealed_log_likelihood, estimated


@pytest.fixture
def counted(made):
    """A model of two latents, and the rows that went through its decoder so far."""
    model, rows = made(), []
    model.likelihood.register_forward_hook(lambda part, given, out: rows.append(given[0].numel() // 2))
    return model, rows


def test_draws_are_counted(counted):
    model, rows = counted
    case = Case(model, Batch((torch.rand(300, 6) < 0.4).float()))
    told = estimated(case, Pace(draw=1.0, row=0.0), ("uncertainty",))["uncertainty"]
    rows.clear()
    MEASURES["uncertainty"].run(case)
    assert sum(rows) == pytest.approx(told, rel=0.02), "a few draws tell how much memory one needs"


@pytest.mark.parametrize(("steps", "leapfrog"), [(100, 5), (60, 1), (60, 2)])
def test_annealing_counts_its_gradients(counted, steps, leapfrog):
    model, rows = counted
    settings = Annealing(steps, 8, leapfrog)
    annealed_log_likelihood(model, Batch((torch.rand(2, 6) < 0.4).float()), settings)
    assert sum(rows) / 2 == pytest.approx(settings.passes, rel=0.03)
