"""The encoder of profiles and what recvae is made of: the sparse layer, unit length, turns, the old posterior."""

from __future__ import annotations

import pytest
import torch

from senzai.core import entries
from senzai.core.batch import Batch
from senzai.core.random import Noise, using
from senzai.core.scattered import row_keys, uniform_at
from senzai.data import Choice, Proposal
from senzai.nn.profile import DroppedUnits, ProfileEncoder, SparseInput
from senzai.objectives import ByLength
from senzai.recipes import Frame, Settings, build


def sparse(n, width, density=0.02):
    return torch.where(torch.rand(n, width) < density, 1.0 + torch.rand(n, width), torch.zeros(n, width))


def model(**settings):
    given = Settings({"n_latent": 3, "hidden": (8, 8), **settings})
    return build("recvae", Frame((30,), Proposal(likelihood=Choice("multinomial")), n_rows=10, settings=given))


def test_the_sparse_layer_is_the_dense_one():
    layer, x = SparseInput(400, 7), sparse(20, 400)
    layer(x).square().sum().backward()
    weight, bias = (p.grad.clone() for p in (layer.weight, layer.bias))
    layer.zero_grad()
    dense = x @ layer.weight + layer.bias
    assert torch.allclose(layer(x), dense, atol=1e-5)
    dense.square().sum().backward()
    assert torch.allclose(layer.weight.grad, weight, atol=1e-4)
    assert torch.allclose(layer.bias.grad, bias, atol=1e-4)


def test_rows_without_anything_pass():
    layer = SparseInput(300, 4)
    x = torch.zeros(3, 300)
    x[1, 5] = 2.0
    assert torch.allclose(layer(x), x @ layer.weight + layer.bias)
    assert bool(torch.isfinite(ProfileEncoder((300,), (4,)).eval()(Batch(torch.zeros(2, 300)))).all())


def test_only_the_direction_of_a_row_counts():
    net, x = ProfileEncoder((50,), (6,)).eval(), sparse(4, 50, 0.2)
    assert torch.allclose(net(Batch(x)), net(Batch(5 * x)), atol=1e-6)
    logs = ProfileEncoder((50,), (6,), log=True).eval()
    assert not torch.allclose(logs(Batch(x)), logs(Batch(5 * x)), atol=1e-3)


def test_inputs_are_dropped_in_training_and_keep_their_mean():
    net = ProfileEncoder((40,), (), input_dropout=0.25)
    x = Batch(torch.ones(4000, 40))
    with using(Noise.seeded(0)):
        dropped = net(x)
    share = (dropped == 0).float().mean()
    assert abs(float(share) - 0.25) < 0.01
    assert torch.allclose(dropped.mean(), net.eval()(x).mean(), atol=2e-3)


def test_the_rate_counts_as_much_as_a_row_has():
    made, _ = model()
    x = torch.zeros(2, 30)
    x[0, :2], x[1, :20] = 1, 3
    terms = ByLength(gamma=0.01)(made.eval(), Batch(x), 0)
    assert torch.allclose(terms.parts["rate"], 0.01 * torch.tensor([2.0, 20.0]) * terms.watch["rate"])


def test_encoder_and_decoder_play_in_turns():
    made, objective = model(period=8)
    encoder, decoder = objective.players(made)
    assert [encoder.plays_at(s) for s in range(8)] == [True] * 6 + [False] * 2
    assert [decoder.plays_at(s) for s in range(8)] == [False] * 6 + [True] * 2
    both = {id(p) for p in encoder.parameters} | {id(p) for p in decoder.parameters}
    assert both == {id(p) for p in made.own_parameters()}
    assert not {id(p) for p in encoder.parameters} & {id(p) for p in decoder.parameters}


def test_the_old_posterior_follows_now_and_then():
    made, _ = model(period=3)
    made.train()
    batch = Batch(sparse(5, 30, 0.3))
    with torch.no_grad():
        for p in made.posterior.parameters():
            p.add_(1.0)
    old = [p.clone() for p in made.prior.before.parameters()]
    seen = []
    for _ in range(3):
        made.after_step(lambda t: t)
        seen.append(all(torch.equal(a, b) for a, b in zip(old, made.prior.before.parameters(), strict=True)))
    assert seen == [True, True, False]
    made.posterior.eval()
    made.prior.before.eval()
    assert torch.allclose(made.prior.before(batch).mean, made.posterior(batch).mean)


def test_the_old_posterior_stands_in_the_prior_in_training_alone():
    made, _ = model()
    batch = Batch(sparse(5, 30, 0.3))
    assert made.train().prior.of(batch).log_prob(torch.zeros(5, 3)).shape == (5,)
    assert made.eval().prior.of(batch).batch_shape == ()
    assert not any(p.requires_grad for p in made.prior.before.parameters())


@pytest.mark.parametrize("settings", [
    {}, {"log": True, "total": True}, {"n_condition": 2, "total": True}, {"dense": True, "hidden": (5, 5)},
])
@pytest.mark.parametrize("training", [False, True])
def test_what_is_there_gives_the_features_of_whole_rows(monkeypatch, settings, training):
    torch.manual_seed(0)
    net = ProfileEncoder((400,), **{"hidden": (6,), **settings}).train(training)
    x = torch.where(torch.rand(9, 400) < 0.02, torch.randint(1, 4, (9, 400)), 0).to(torch.uint8)
    x[3] = 0
    batch = Batch(x, c=torch.rand(9, 2))
    found = []
    for density in (0.05, 0.0):  # by what is there; whole rows
        monkeypatch.setattr(entries, "DENSITY", density)
        with using(Noise.seeded(4)):
            found.append(net(batch))
    assert torch.allclose(*found, atol=1e-6)
    assert not torch.equal(*found) or not training  # two ways were taken


def test_what_a_row_loses_is_a_rows_alone():
    net = ProfileEncoder((400,), (6,))
    batch = Batch(sparse(8, 400))
    with using(Noise.seeded(2, total=8)):
        whole = net(batch)
    with using(Noise.seeded(2, offset=5, total=8)):
        part = net(batch.take(slice(5, 8)))
    assert torch.allclose(whole[5:], part, atol=1e-6)
    assert not torch.allclose(whole, net.eval()(batch), atol=1e-2)


def test_places_are_those_of_nonzero_whatever_the_bytes():
    for kind in (torch.uint8, torch.bool, torch.float32, torch.float64, torch.int64):
        for width in (16, 7):
            x = sparse(5, width, 0.3).ceil().to(kind)
            x[0, 0] = -0.0 if kind.is_floating_point else 0
            assert torch.equal(entries.places_of(x), x.flatten().nonzero().squeeze(1))
            assert torch.equal(entries.places_of(x[1:]), x[1:].flatten().nonzero().squeeze(1))


def test_scattered_numbers_are_uniform_and_follow_from_row_and_column():
    keys = row_keys(Noise.seeded(0), 200)
    u = uniform_at(keys[:, None], torch.arange(500)).double()
    assert 0 <= float(u.min()) <= float(u.max()) < 1
    counts = torch.bincount((u.flatten() * 20).long(), minlength=20).double()
    assert float(((counts - 5000) ** 2 / 5000).sum()) < 19 + 5 * 38**0.5
    between = torch.corrcoef(torch.cat([u[:, :20].T, u[:, 20:40].T]))
    assert float((between - torch.eye(40)).abs().max()) < 5 / 200**0.5
    rows = torch.corrcoef(u[:40])
    assert float((rows - torch.eye(40)).abs().max()) < 5 / 500**0.5


def test_dropped_units_are_as_many_as_asked_and_the_others_keep_the_mean():
    layer, x = DroppedUnits(0.25).train(), torch.ones(400, 50)
    with using(Noise.seeded(0)):
        once, again = layer(x), layer(x)
    assert once.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert abs(float((once == 0).float().mean()) - 0.25) < 4 * (0.25 * 0.75 / x.numel()) ** 0.5
    assert not torch.equal(once, again)
    assert torch.equal(layer.eval()(x), x)
