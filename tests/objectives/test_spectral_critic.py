"""The critic of spectrograms in the loss of a codec of waves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import senzai
from senzai.core.batch import Batch
from senzai.core.errors import SettingError
from senzai.objectives.row_critics import log_odds, row_critic
from senzai.objectives.spectral import SpectralCodes, picture

FIT = {
    "kind": "audio", "form": "wave", "rate": 8000, "recipe": "wave-codec", "width": 4, "n_latent": None, "steps": 3,
    "batch_size": 8,
}


@pytest.fixture(scope="module")
def waves():
    rng = np.random.default_rng(0)
    t = np.arange(800) / 8000
    return np.stack([0.3 * np.sin(2 * np.pi * f * t) for f in rng.uniform(200, 2000, 40)]).astype(np.float32)


@pytest.fixture(scope="module")
def trained(waves):
    given = {k: v for k, v in FIT.items() if v is not None}
    return senzai.fit(waves, critic_weight=0.3, start=1, **given)


def test_a_codec_trains_with_a_critic_from_its_step_on(trained):
    objective = SpectralCodes(critic_weight=0.3, start=1)
    assert [objective.plays(step) for step in (0, 1, 2)] == [False, True, True]
    assert not objective.comparable
    assert SpectralCodes().comparable
    assert not SpectralCodes().plays(0)
    assert SpectralCodes(critic_weight=0.3).over(40).start == 20
    assert trained.reconstruct(np.zeros((2, 800), np.float32)).shape == (2, 800)


def equipped(trained, **more):
    objective, model = SpectralCodes(critic_weight=0.3, start=1, critic_width=4, **more), trained.model
    torch.manual_seed(0)
    objective.equip(model)
    return objective, model


def test_the_critic_pulls_as_a_share_of_the_distance(trained, waves):
    objective, model = equipped(trained)
    critic, real = row_critic(model), torch.from_numpy(waves[:4]).unsqueeze(1)
    made = (0.5 * real + 0.05 * torch.randn_like(real)).requires_grad_()
    pull = objective.pull(critic, real, made)

    def slope(value):
        return torch.autograd.grad(value.sum(), made)[0].flatten(1).norm(dim=1)

    spectrum = slope(800 * objective.apart(real, made))
    assert torch.allclose(slope(pull * log_odds(critic, picture(made))), 0.3 * spectrum, rtol=1e-3)
    terms = objective(model, Batch(real), 1)
    assert torch.allclose(terms.loss, sum(terms.parts.values()), rtol=1e-4)
    assert bool((terms.parts["sharp"] != 0).all())
    assert not objective(model, Batch(real), 0).parts["sharp"].any()
    assert "sharp" not in SpectralCodes()(model, Batch(real), 0).parts


def test_the_critic_learns_to_tell_waves_from_reconstructions(trained, waves):
    objective, model = equipped(trained)
    *_, player = objective.players(model)
    batch, optimiser = Batch(torch.from_numpy(waves[:16]).unsqueeze(1)), torch.optim.Adam(player.parameters, 1e-2)
    model.zero_grad()
    losses = []
    for _ in range(30):
        loss = objective.critic_loss(model, batch, 1).loss.mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert {id(p) for p in player.parameters} == {id(p) for p in row_critic(model).parameters()}
    assert all(p.grad is None or not p.grad.any() for p in model.own_parameters())


def test_weights_below_zero_are_refused():
    with pytest.raises(SettingError, match="critic_weight"):
        SpectralCodes(critic_weight=-1.0)
