"""The decoder of items: what is of facts and what is of the item, and where it starts."""

from __future__ import annotations

import pytest
import torch

from senzai.core.batch import Batch
from senzai.core.errors import ShapeError
from senzai.core.random import Noise, using
from senzai.nn.items import ItemDecoder, ridge, tell_entries


def decoder(**more):
    torch.manual_seed(0)
    net = ItemDecoder(3, (1, 6), **{"hidden": (4,), "n_facts": 2, **more}).to(torch.float64)
    net.tell(torch.tensor([[1.0, 0], [0, 1], [1, 1], [0, 0], [2, 0], [0, 3]], dtype=torch.float64))
    return net


def test_a_score_is_that_of_facts_and_that_of_the_item():
    net, z = decoder().eval(), torch.randn(2, 5, 3, dtype=torch.float64)
    h = net.hidden(z)
    by_facts = (h @ net.by_facts.weight.T + net.by_facts.bias) @ net.facts.T
    assert torch.allclose(net(z).squeeze(-2), by_facts + h @ net.out.weight.T + net.out.bias)
    assert torch.allclose(net.alone_for(z, None, net.facts), by_facts)


def test_some_rows_of_training_are_decoded_from_facts_alone():
    net, z = decoder(alone=0.25).train(), torch.randn(1, 2000, 3, dtype=torch.float64)
    torch.nn.init.ones_(net.out.bias)
    with using(Noise.seeded(1)):
        raw = net(z).squeeze(-2)
    alone = torch.isclose(raw, net.alone_for(z, None, net.facts)).all(-1)
    assert abs(float(alone.double().mean()) - 0.25) < 5 * (0.25 * 0.75 / 2000) ** 0.5
    assert torch.allclose(raw[~alone], net.eval()(z).squeeze(-2)[~alone])
    with using(Noise.seeded(1, offset=500, total=2000)):
        part = net.train()(z[:, 500:700]).squeeze(-2)
    assert torch.allclose(part, raw[:, 500:700])  # it is a row's alone


def test_facts_explain_as_much_of_the_shares_as_they_can_at_the_start():
    net = ItemDecoder(2, (1, 40), (), n_facts=2, alone=0.0).to(torch.float64)
    facts = torch.randn(40, 2, dtype=torch.float64)
    net.tell(facts)
    share = (facts @ torch.tensor([1.0, -0.5], dtype=torch.float64)).softmax(0)
    x = torch.poisson(share.expand(2000, 40) * 50)
    net.initialise(Batch(x))
    at_nothing = torch.zeros(1, 2, dtype=torch.float64)
    assert torch.allclose(net(at_nothing).flatten().softmax(0), (x.sum(0) + 0.5) / (x.sum() + 20))
    found = net.alone_for(at_nothing, None, facts).flatten().softmax(0)
    assert float((found / share).log().abs().max().detach()) < 0.05
    assert float(net.out.bias.std().detach()) < 0.05


def test_a_ridge_regression_solves_its_normal_equations():
    x, y, w = torch.randn(20, 3), torch.randn(20), torch.rand(20)
    found = ridge(x, y, w)
    slope = -2 * x.T @ (w * (y - x @ found)) + 2 * found
    assert torch.allclose(slope, torch.zeros(3), atol=1e-6)


def test_without_facts_it_is_a_perceptron_and_facts_have_their_shape():
    net = ItemDecoder(3, (1, 6), (4,)).train()
    z = torch.randn(1, 5, 3)
    assert torch.equal(net(z).squeeze(-2), net.out(net.hidden(z)))
    with pytest.raises(ShapeError, match=r"\(6, 0\), .* but got \(6, 2\)"):
        net.tell(torch.zeros(6, 2))
    two = ItemDecoder(3, (2, 6), n_facts=1)
    with pytest.raises(ShapeError, match="one raw number for each item"):
        two.tell(torch.zeros(6, 1))
    before = two.out.bias.clone()
    two.initialise(Batch(torch.ones(2, 6)))
    assert torch.equal(two.out.bias, before)


def test_every_decoder_inside_a_model_is_told():
    net = torch.nn.ModuleDict({"a": ItemDecoder(2, (1, 3), n_facts=1)})
    tell_entries(net, torch.tensor([[1.0], [2.0], [3.0]]).float())
    assert net["a"].facts.flatten().tolist() == [1, 2, 3]
    tell_entries(net, None)
    assert net["a"].facts.flatten().tolist() == [1, 2, 3]
