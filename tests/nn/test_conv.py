from __future__ import annotations

import pytest
import torch

from senzai.core.batch import Batch
from senzai.core.errors import SettingError
from senzai.nn import ConvDecoder, ConvEncoder
from senzai.nn.conv import group_norm, halvings

EVENTS = [(1, 1, 1), (1, 1, 9), (2, 5, 7), (1, 28, 20), (3, 64, 48), (1, 33, 2)]


@pytest.mark.parametrize("event", EVENTS, ids=str)
@pytest.mark.parametrize("residual", [False, True])
def test_any_size_goes_in_and_comes_out(event, residual):
    options = {"width": 4, "residual": residual}
    encoder = ConvEncoder(event, n_features=10, **options)
    decoder = ConvDecoder(3, (2, *event), **options)
    features = encoder(Batch(torch.randn(2, *event)))
    raw = decoder(torch.randn(5, 2, 3))
    assert features.shape == (2, 10)
    assert raw.shape == (5, 2, 2, *event)
    assert features.isfinite().all()
    assert raw.isfinite().all()


@pytest.mark.parametrize("n_stages", [0, 1, 3, None])
def test_any_number_of_stages(n_stages):
    encoder = ConvEncoder((1, 13, 10), width=4, n_stages=n_stages)
    decoder = ConvDecoder(3, (1, 1, 13, 10), width=4, n_stages=n_stages)
    assert encoder(Batch(torch.randn(2, 1, 13, 10))).shape == (2, 256)
    assert decoder(torch.randn(2, 3)).shape == (2, 1, 1, 13, 10)


def test_sizes_halve_and_round_up():
    assert halvings(28, 28, None) == [(14, 14), (7, 7), (4, 4)]
    assert halvings(1, 1, None) == [(1, 1)]
    assert halvings(5, 100, 2) == [(3, 50), (2, 25), (1, 13)]


@pytest.mark.parametrize("event", [(1, 6, 5), (2, 9, 9)], ids=str)
def test_every_pixel_is_seen_and_made(event):
    encoder, decoder = ConvEncoder(event, width=4).double(), ConvDecoder(3, (1, *event), width=4).double()
    x = torch.randn(1, *event).double().requires_grad_()
    encoder(Batch(x)).square().sum().backward()
    assert (x.grad != 0).all()
    z = torch.randn(1, 3).double()
    J = torch.autograd.functional.jacobian(decoder, z).flatten(0, -3).abs().sum((-2, -1))
    assert (J > 0).all()


@pytest.mark.parametrize("residual", [False, True])
def test_rows_do_not_mix(residual):
    encoder = ConvEncoder((2, 9, 7), width=32, residual=residual).double()
    decoder = ConvDecoder(3, (1, 2, 9, 7), width=32, residual=residual).double()
    x, z = torch.randn(4, 2, 9, 7).double(), torch.randn(4, 3).double()
    torch.testing.assert_close(encoder(Batch(x))[1:2], encoder(Batch(x[1:2])), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(decoder(z)[1:2], decoder(z[1:2]), rtol=1e-12, atol=1e-12)
    J = torch.autograd.functional.jacobian(lambda x: encoder(Batch(x)).sum(-1), x).flatten(2).abs().sum(-1)
    assert (J[~torch.eye(4, dtype=torch.bool)] == 0).all()
    assert (J.diagonal() > 0).all()


@pytest.mark.parametrize("channels", [1, 3, 16, 24, 32, 33, 128])
def test_groups_divide_the_channels(channels):
    norm = group_norm(channels)
    assert channels % norm.num_groups == 0
    assert norm(torch.randn(2, channels, 3, 3)).shape == (2, channels, 3, 3)


def test_a_mask_and_a_condition_are_used():
    encoder = ConvEncoder((1, 6, 6), width=4, masked=True, n_condition=2)
    x, c, mask = torch.randn(1, 1, 6, 6), torch.zeros(1, 2), torch.rand(1, 1, 6, 6) < 0.5
    base = encoder(Batch(x, c=c, mask=mask))
    assert not torch.equal(base, encoder(Batch(x, c=c + 1, mask=mask)))
    assert not torch.equal(base, encoder(Batch(x, c=c, mask=~mask)))
    assert torch.equal(base, encoder(Batch(torch.where(mask, x, torch.nan), c=c, mask=mask)))
    decoder = ConvDecoder(3, (1, 1, 6, 6), width=4, n_condition=2)
    z = torch.randn(7, 1, 3)
    assert not torch.equal(decoder(z, c), decoder(z, c + 1))


@pytest.mark.parametrize("event", [(5,), (1, 0, 3), (3, 4)])
def test_other_data_are_refused(event):
    with pytest.raises(SettingError, match="mlp"):
        ConvEncoder(event)
    with pytest.raises(SettingError, match="mlp"):
        ConvDecoder(2, (1, *event))
