"""Every optimiser takes the steps of torch's own, decays weights alike, and goes on from a checkpoint bit for bit."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from senzai.core.errors import SettingError
from senzai.core.random import forked
from senzai.training.adamw import ParameterGroup
from senzai.training.checkpoint import load_checkpoint, save_checkpoint
from senzai.training.events import Reached
from senzai.training.optimisers import CLASSES, SETTINGS, FromTorch, checked, optimiser_of
from senzai.training.settings import TrainSettings

OWN = {
    "adamw": {}, "adam": {"optimiser.betas": (0.8, 0.9)}, "sgd": {"optimiser.momentum": 0.9},
    "rmsprop": {"optimiser.momentum": 0.5, "optimiser.alpha": 0.9}, "adamax": {"optimiser.eps": 1e-6},
}


def stepped(optimiser, w, gradients):
    for g in gradients:
        w.grad = g.clone()
        optimiser.step()
    return w.detach().clone()


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_steps_are_those_of_torch(name):
    settings = checked(name, {k.partition(".")[2]: v for k, v in OWN[name].items()})
    gradients = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    ours, theirs = (nn.Parameter(torch.ones(3)) for _ in range(2))
    plain = getattr(torch.optim, CLASSES[name])([theirs], lr=0.1, **settings)
    assert torch.equal(
        stepped(FromTorch([ParameterGroup([ours], 0.1)], name, settings), ours, gradients), stepped(plain, theirs,
                                                                                                    gradients)
    )


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_weights_decay_in_proportion_to_the_rate_and_not_through_the_gradient(name):
    w = nn.Parameter(torch.full((2,), 3.0))
    optimiser = optimiser_of([ParameterGroup([w], 0.1, weight_decay=0.5)], name, {})
    assert torch.allclose(stepped(optimiser, w, [torch.zeros(2)] * 2), torch.full((2,), 3.0 * 0.95**2))


def test_nothing_moves_where_a_number_was_not_finite():
    w = nn.Parameter(torch.ones(2))
    w.grad = torch.ones(2)
    optimiser = FromTorch([ParameterGroup([w], 0.1, weight_decay=0.5)], "sgd", {})
    optimiser.step(broken=torch.tensor(1.0))
    assert w.tolist() == [1.0, 1.0]
    optimiser.step(broken=torch.tensor(0.0))
    assert w.tolist() == pytest.approx([0.85, 0.85])


def test_the_rate_is_the_group_s_at_every_step():
    w = nn.Parameter(torch.zeros(1))
    optimiser = FromTorch([ParameterGroup([w], 0.1)], "sgd", {})
    w.grad = torch.ones(1)
    for rate in (0.1, 0.02):
        optimiser.groups[0].lr = rate
        optimiser.step()
    assert w.item() == pytest.approx(-0.12)


@pytest.mark.parametrize("name", sorted(OWN))
def test_a_run_goes_on_bit_for_bit_with_every_optimiser(make, tmp_path, name):
    def training():
        return make(optimiser=name, **OWN[name], weight_decay=0.01, lr=0.02, steps=20, schedule="cosine")

    def run(one, to, save=None):
        with forked(0):
            for event in one.events():
                if isinstance(event, Reached) and event.step == save:
                    save_checkpoint(one, tmp_path / "checkpoint")
                one.stop_early = one.progress.step >= to

    def log(one):
        return {k: v.clone() for k, v in one.model.state_dict().items()}

    whole = training()
    run(whole, 20, save=None)
    first = make(optimiser=name, **OWN[name], weight_decay=0.01, lr=0.02, steps=20, schedule="cosine", log_every=8)
    run(first, 8, save=8)
    again = training()
    with forked(99):
        load_checkpoint(again, tmp_path / "checkpoint")
    assert again.progress.step == 8
    assert {k.partition(".")[2] for k in again.steppers[0].optimiser.tensors()} == remembered(name)
    run(again, 20)
    assert all(torch.equal(a, b) for a, b in zip(log(whole).values(), log(again).values(), strict=True))


def remembered(name):
    return {
        "adamw": {"step", "exp_avg", "exp_avg_sq"}, "adam": {"step", "exp_avg", "exp_avg_sq"},
        "sgd": {"momentum_buffer"}, "rmsprop": {"step", "square_avg", "momentum_buffer"},
        "adamax": {"step", "exp_avg", "exp_inf"},
    }[name]


@pytest.mark.parametrize(("settings", "said"), [
    ({"optimiser": "sgdd"}, "optimiser"),
    ({"optimiser": "sgd", "optimiser.momentun": 0.9}, "Did you mean 'momentum'"),
    ({"optimiser.momentum": 0.9}, "adamw takes no settings"),
    ({"optimiser": "sgd", "optimiser.momentum": "much"}, "optimiser.momentum"),
    ({"optimiser": "sgd", "optimiser.momentum": -1.0}, "cannot have these settings"),
    ({"optimiser": "sgd", "optimiser.nesterov": True}, "cannot have these settings"),
    ({"optimiser": "adam", "optimiser.betas": [0.9]}, "optimiser.betas"),
])
def test_settings_that_an_optimiser_cannot_have_are_refused(settings, said):
    with pytest.raises(SettingError, match=said):
        TrainSettings.parse(settings)


def test_settings_survive_being_written_down():
    made = TrainSettings.parse({"optimiser": "adam", "optimiser.betas": [0.5, 0.9]})
    again = TrainSettings.model_validate_json(made.model_dump_json())
    assert checked(again.optimiser, again.optimiser_settings) == made.optimiser_settings == {"betas": (0.5, 0.9)}


def test_optimisers_differ(make):
    ends = {}
    for name in SETTINGS:
        one = make(optimiser=name, steps=5)
        with forked(0):
            for _ in one.events():
                pass
        ends[name] = torch.cat([p.detach().flatten() for p in one.model.parameters()])
    for (a, x), (b, y) in itertools.combinations(ends.items(), 2):
        assert {a, b} == {"adam", "adamw"} or not torch.allclose(x, y, atol=1e-6), (a, b)
