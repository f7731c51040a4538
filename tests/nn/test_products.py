"""The product of a linear layer by oneDNN is that of torch's own layer, with its gradients and theirs."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from senzai.nn import products
from senzai.nn.layers import hidden_layers
from senzai.nn.products import Linear, linear

available = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
pytestmark = pytest.mark.skipif(not available, reason="this build of torch has no oneDNN")


@pytest.fixture
def onednn(monkeypatch):
    """Take oneDNN for everything, whatever the processor prefers; count how often it is called."""
    calls = []
    real = products._Product.apply
    monkeypatch.setattr(products, "prefers_onednn", lambda: True)
    monkeypatch.setattr(products, "SMALL", 0)
    monkeypatch.setattr(products._Product, "apply", lambda *a: (calls.append(1), real(*a))[1])
    return calls


def drawn(*lead, n_in=5, n_out=7, bias=True):
    g = torch.Generator().manual_seed(0)
    tensors = [torch.randn(s, generator=g, dtype=torch.float32) for s in ((*lead, n_in), (n_out, n_in), (n_out,))]
    return [t.requires_grad_() for t in (tensors if bias else tensors[:2])]


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("lead", [(3,), (2, 3), (2, 1, 3), (1,), ()])
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients(onednn, lead, bias):
    ours, theirs = drawn(*lead, bias=bias), drawn(*lead, bias=bias)
    out, expected = linear(*ours), F.linear(*theirs)
    assert out.shape == expected.shape
    close(out, expected)
    slope = torch.linspace(-1, 1, out.numel(), dtype=torch.float32).view_as(out)
    out.backward(slope), expected.backward(slope)
    for a, b in zip(ours, theirs, strict=True):
        close(a.grad, b.grad)
    assert len(onednn) == 3  # forward, and two products of the gradient


def test_gradients_of_gradients(onednn):
    def penalty(product):
        x, weight, bias = drawn(3)
        (slope,) = torch.autograd.grad(torch.tanh(product(x, weight, bias)).sum(), x, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), (x, weight, bias))

    for a, b in zip(penalty(linear), penalty(F.linear), strict=True):
        close(a, b)


def test_no_gradient_is_computed_that_nobody_asked_for(onednn):
    x, weight, bias = drawn(3)
    linear(x.detach(), weight, bias).sum().backward()
    assert x.grad is None
    assert len(onednn) == 2


def test_rows_of_other_dtypes_and_small_ones_take_torchs_layer(onednn, monkeypatch):
    x, weight, bias = drawn(3)
    linear(x.double(), weight.double(), bias.double())
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(x, weight, bias).dtype is torch.bfloat16
    monkeypatch.setattr(products, "SMALL", 1000)
    linear(x, weight, bias)
    assert not onednn


def test_transforms_of_functions_take_torchs_layer(onednn):
    x, weight, bias = (t.detach() for t in drawn(3))
    each = torch.func.vmap(torch.func.grad(lambda w, row: linear(row, w, bias).sum()), (None, 0))(weight, x)
    close(each, x.unsqueeze(1).expand(3, 7, 5))
    assert not onednn


def test_networks_are_made_of_these_layers():
    assert all(isinstance(m, Linear) for m in hidden_layers(3, (4, 5)) if isinstance(m, torch.nn.Linear))


def test_the_choice_depends_on_the_machine_alone():
    products.prefers_onednn.cache_clear()
    first = products.prefers_onednn()
    products.prefers_onednn.cache_clear()
    assert first is products.prefers_onednn()
