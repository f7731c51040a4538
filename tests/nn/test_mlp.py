from __future__ import annotations

import pytest
import torch

from senzai.core.batch import Batch
from senzai.core.errors import SettingError, ShapeError, UnknownNameError
from senzai.nn import ACTIVATIONS, MLPDecoder, MLPEncoder, Standardise

MASK = torch.tensor([[True, False], [True, True]])


@pytest.mark.parametrize("hidden", [(), (8,), (8, 3)])
def test_widths(hidden):
    encoder, decoder = MLPEncoder((2, 3), hidden), MLPDecoder(4, (2, 2, 3), hidden)
    assert encoder(Batch(torch.zeros(5, 2, 3))).shape == (5, encoder.n_features)
    assert encoder.n_features == (hidden[-1] if hidden else 6)
    for lead in ((), (5,), (7, 5)):
        assert decoder(torch.zeros(*lead, 4)).shape == (*lead, 2, 2, 3)


def test_without_hidden_layers_it_is_linear():
    decoder = MLPDecoder(3, (1, 4), ()).double()
    a, b = torch.randn(2, 3).double()
    torch.testing.assert_close(decoder(a + 2 * b), decoder(a) + 2 * decoder(b) - 2 * decoder(torch.zeros(3).double()))
    encoder = MLPEncoder((3,), ()).double()
    torch.testing.assert_close(encoder(Batch(a.view(1, 3)))[0], a)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("norm", ["none", "layer"])
def test_signals_keep_their_size_through_many_layers(activation, norm):
    encoder = MLPEncoder((64,), (64,) * 8, activation=activation, norm=norm)
    out = encoder(Batch(torch.randn(500, 64)))
    assert 1e-3 < out.square().mean() < 1e2


@pytest.mark.parametrize("wrong", [{"dropout": 1.0}, {"dropout": -0.1}])
def test_dropout_is_a_share(wrong):
    with pytest.raises(SettingError):
        MLPEncoder((2,), **wrong)


def test_names_are_checked_when_it_is_built():
    with pytest.raises(UnknownNameError, match="relu"):
        MLPEncoder((2,), activation="relo")
    with pytest.raises(UnknownNameError):
        MLPDecoder(2, (1, 2), norm="batch")


def test_dropout_acts_in_training_only():
    decoder = MLPDecoder(4, (1, 6), (50,), dropout=0.5)
    z = torch.randn(3, 4)
    assert not torch.equal(decoder(z), decoder(z))
    decoder.eval()
    assert torch.equal(decoder(z), decoder(z))


# --- how data enter -------------------------------------------------------------------------------------------------
def test_columns_are_standardised_one_by_one():
    x = torch.tensor([[0.0, 100.0], [2.0, 300.0], [4.0, 200.0]])
    s = Standardise((2,))
    s.initialise(Batch(x))
    out = s(x)
    torch.testing.assert_close(out.mean(0), torch.zeros(2))
    torch.testing.assert_close(out.std(0, correction=0), torch.ones(2))


def test_images_are_scaled_by_one_number():
    x = torch.rand(50, 1, 4, 4)
    x[:, :, 0] = 0.25  # constant pixels
    s = Standardise((1, 4, 4))
    s.initialise(Batch(x))
    out = s(x)
    assert len(s.scale.unique()) == 1
    assert (out[:, :, 0] == 0).all()
    assert float(out.var(0, correction=0).mean()) == pytest.approx(1)


def test_constant_columns_and_whole_numbers_are_safe():
    s = Standardise((2,))
    s.initialise(Batch(torch.tensor([[3, 1], [3, 2]])))
    assert s(torch.tensor([[3, 1]])).tolist() == [[0.0, -1.0]]


def test_statistics_and_outputs_ignore_holes():
    s = Standardise((2,), masked=True)
    x = torch.tensor([[1.0, float("nan")], [3.0, 5.0]])
    s.initialise(Batch(x, mask=MASK))
    assert s.shift.tolist() == [2.0, 5.0]
    assert s(x, MASK).tolist() == [[-1.0, 0.0, 1.0, 0.0], [1.0, 0.0, 1.0, 1.0]]
    assert s(torch.ones(1, 2)).tolist() == [[-1.0, -4.0, 1.0, 1.0]], "without a mask everything was seen"


def test_other_shapes_are_refused():
    with pytest.raises(ShapeError, match=r"\(3,\)"):
        MLPEncoder((2,))(Batch(torch.zeros(1, 3)))
