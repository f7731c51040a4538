"""Dropout is off in every evaluation, also where only a part of the model was in evaluation mode before."""

from __future__ import annotations

import pytest
import torch

from senzai.evaluation import active_units, elbo, evaluate, log_likelihood, mutual_information

FIGURES = {
    "elbo": lambda model, batch: elbo(model, batch).elbo,
    "log_likelihood": lambda model, batch: log_likelihood(model, batch, k=3).per_row,
    "active_units": lambda model, batch: active_units(model, batch).variances["z"],
    "mutual_information": lambda model, batch: torch.tensor(mutual_information(model, batch).rate),
    "evaluate": lambda model, batch: torch.tensor(evaluate(model, batch, k=3)["log_likelihood"]),
}


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_is_dropped(made, binary, name):
    model = made(dropout=0.5).eval()
    expected = FIGURES[name](model, binary)
    model.train()
    model.likelihood.eval()  # the dropout is in the encoder, which stays in training mode
    before = [m.training for m in model.modules()]
    assert torch.equal(FIGURES[name](model, binary), expected)
    assert [m.training for m in model.modules()] == before
