"""Models around others: what they do not say themselves, the inner model says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from senzai.core.batch import Batch
from senzai.models import Probed

sys.path.insert(0, str(Path(__file__).parent))
import tiny_models as zoo


@pytest.fixture
def model() -> Probed:
    made = zoo.make("m1")
    assert isinstance(made, Probed)
    return made


def test_a_step_reaches_what_follows_rows_inside(model, monkeypatch):
    """A prior that follows rows otherwise than by gradients stood still inside another model."""
    seen = []
    monkeypatch.setattr(model.inner, "after_step", seen.append)
    total = torch.sum
    model.after_step(total)
    assert seen == [total]


def test_what_the_inner_model_refuses_is_refused(model, monkeypatch):
    def refuse() -> None:
        raise ValueError("no")

    monkeypatch.setattr(model.inner, "check", refuse)
    with pytest.raises(ValueError, match="no"):
        model.check()


@pytest.mark.parametrize("name", ["deterministic", "spaces", "mixes_rows"])
def test_properties_are_those_of_the_inner_model(model, monkeypatch, name):
    said = object()
    monkeypatch.setattr(type(model.inner), name, property(lambda self: said))
    assert getattr(model, name) is said


def test_the_inference_is_the_inner_ones_and_its_parameters_leave_the_head_out(model):
    batch = Batch(torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0]], dtype=next(model.parameters()).dtype))
    z = (torch.zeros(1, 2, 2, dtype=batch.tensor.dtype),)
    assert torch.equal(model.infer(batch, z=z).log_w, model.inner.infer(batch, z=z).log_w)
    own, head = {id(p) for p in model.own_parameters()}, {id(p) for p in model.head.parameters()}
    assert own == {id(p) for p in model.inner.parameters()}
    assert head
    assert not own & head
    assert {id(p) for p in model.encoder_parameters()} == {id(p) for p in model.inner.posterior.parameters()}
