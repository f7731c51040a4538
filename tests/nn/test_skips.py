"""Latents given to every layer of a decoder, and weights whose largest singular value is one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from senzai.core.spec import from_spec, to_spec
from senzai.nn import ConvDecoder, MLPDecoder

EVENT = (1, 1, 12, 10)


def decoders(**more):
    return {
        "mlp": MLPDecoder(2, EVENT, (6, 5), **more), "linear": MLPDecoder(2, EVENT, (), **more),
        "glu": MLPDecoder(2, EVENT, (6, 5), activation="glu", n_condition=1, norm="layer", **more),
        "conv": ConvDecoder(2, EVENT, width=4, **more),
    }


def given(name):
    z, c = torch.randn(3, 2), torch.randn(3, 1) if name == "glu" else None
    return z, c


@pytest.mark.parametrize("name", ["mlp", "glu", "conv"])
def test_latents_reach_the_output_when_the_first_layer_lost_them(name):
    for skip in (False, True):
        net = decoders(skip=skip)[name]
        first = net.start[0] if name == "conv" else net.hidden[0]
        nn.init.zeros_(first.weight)
        z, c = given(name)
        out = net(z, c)
        assert bool((out[0] != out[1]).any()) == skip


def test_the_layers_of_an_mlp_get_them_by_hand():
    net = decoders(skip=True)["mlp"].double()
    z = torch.randn(7, 3, 2).double()
    a, b = net.again
    h = torch.relu(net.hidden[0](z))
    h = torch.relu(net.hidden[2](h) + a(z))
    torch.testing.assert_close(net(z), (net.out(h) + b(z)).reshape(7, 3, *EVENT))


def test_a_linear_decoder_has_nothing_to_skip():
    assert len(decoders(skip=True)["linear"].again) == 0
    assert len(decoders()["mlp"].again) == len(decoders()["conv"].again) == 0


@pytest.mark.parametrize("name", ["mlp", "glu", "conv", "linear"])
def test_largest_singular_values_are_one(name):
    net = decoders(spectral=True, skip=True)[name]
    z, c = given(name)
    for _ in range(100):  # power iteration follows in training
        net(z, c)
    net.eval()
    layers = [m for m in net.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert layers
    for m in layers:
        assert float(torch.linalg.matrix_norm(m.weight.detach().flatten(1), 2)) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("name", ["mlp", "glu", "conv"])
def test_they_are_made_again_with_the_same_numbers(name):
    net = decoders(spectral=True, skip=True)[name].eval()
    twin = from_spec(to_spec(net)).eval()
    twin.load_state_dict(net.state_dict())
    z, c = given(name)
    assert torch.equal(net(z, c), twin(z, c))
    assert net(z, c).shape == (3, *EVENT)
