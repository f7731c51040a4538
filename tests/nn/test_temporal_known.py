"""Columns of a condition that lie along the steps of a window."""

from __future__ import annotations

import pytest
import torch

from senzai.core.batch import Batch
from senzai.core.errors import SettingError, ShapeError
from senzai.nn import TemporalDecoder, TemporalEncoder


def test_a_column_reaches_the_steps_near_it_and_no_others():
    decoder = TemporalDecoder(2, (1, 24, 3), width=4, n_condition=2 + 24, known=1)
    z, c = torch.randn(1, 2), torch.randn(1, 26)
    other = c.clone()
    other[0, 2 + 15] += 1.0
    moved = (decoder(z, c) - decoder(z, other)).abs().amax((0, 1, 3)) > 0
    assert moved.nonzero().flatten().tolist() == list(range(11, 20))  # two convolutions of five steps
    other = c.clone()
    other[0, 2] += 1.0  # its first step also sets level and trend
    assert bool(((decoder(z, c) - decoder(z, other)).abs().amax((0, 1, 3)) > 0).all())


def test_draws_share_the_columns_of_their_row():
    decoder = TemporalDecoder(2, (2, 6, 1), width=4, n_condition=6, known=1)
    z, c = torch.randn(5, 3, 2), torch.randn(3, 6)
    assert torch.allclose(decoder(z, c)[4, 2], decoder(z[4, 2:], c[2:])[0], atol=1e-6)


def test_an_encoder_sees_the_columns_beside_the_values():
    encoder = TemporalEncoder((6, 1), width=4, n_condition=1 + 12, known=2)
    x, c = torch.randn(2, 6, 1), torch.randn(2, 13)
    assert encoder.stages[0].in_channels == encoder.inputs.width + 2
    swapped = torch.cat([c[:, :1], c[:, 7:], c[:, 1:7]], 1)
    assert not torch.allclose(encoder(Batch(x, c=c)), encoder(Batch(x, c=swapped)))


def test_columns_need_their_place_in_the_condition():
    with pytest.raises(SettingError, match="known"):
        TemporalDecoder(2, (1, 6, 1), n_condition=11, known=2)
    with pytest.raises(ShapeError, match="no condition"):
        TemporalDecoder(2, (1, 6, 1), n_condition=12, known=2)(torch.zeros(1, 2))
