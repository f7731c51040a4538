"""Compressors: orthogonal, their error is what the trash holds, never below that of principal components."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import senzai.parts  # noqa: F401  # registers the parts
from senzai.core.batch import Batch
from senzai.core.errors import SettingError
from senzai.nn.compressing import CircuitCompressor, GivensCompressor
from senzai.nn.hybrid import HybridEncoder

pytest.importorskip("pennylane")
BOTH = [CircuitCompressor, GivensCompressor]


def made(cls, n=3, kept=1, layers=3):
    torch.manual_seed(0)
    found = cls((2**n,), n_kept=kept, layers=layers)
    with torch.no_grad():
        found.angles.copy_(torch.randn_like(found.angles))
    return found


def states(n=3, rows=20):
    x = torch.randn(rows, 2**n, generator=torch.Generator().manual_seed(1))
    return x / x.norm(dim=1, keepdim=True)


def circuit_in_numpy(angles):
    """The matrix of layers of rotations about Y and controlled signs around a ring."""
    layers, n = angles.shape
    whole = np.eye(2**n)
    bits = np.arange(2**n)[:, None] >> np.arange(n - 1, -1, -1) & 1
    for layer in range(layers):
        turn = np.eye(1)
        for a in angles[layer]:
            turn = np.kron(turn, [[np.cos(a / 2), -np.sin(a / 2)], [np.sin(a / 2), np.cos(a / 2)]])
        ring = [(i, (i + 1) % n) for i in range(n if n > 2 else 1)]
        signs = np.prod([1 - 2 * bits[:, i] * bits[:, j] for i, j in ring], axis=0)
        whole = signs[:, None] * (turn @ whole)
    return whole


@pytest.mark.parametrize("n", [2, 3, 4])
def test_the_map_is_that_of_the_circuit_in_numpy(n):
    c = made(CircuitCompressor, n)
    expected = circuit_in_numpy(c.angles.detach().double().numpy())
    np.testing.assert_allclose(c.turn().detach().numpy().T, expected, atol=1e-6)


@pytest.mark.parametrize("cls", BOTH)
def test_the_squared_error_is_what_the_trash_holds(cls):
    c, x = made(cls), states()
    torch.testing.assert_close(c.turn() @ c.turn().T, torch.eye(8), atol=1e-5, rtol=0)
    error = (x - c.back(c(Batch(x)))).square().sum(1)
    torch.testing.assert_close(error, 1 - c.fidelity(Batch(x)), atol=1e-5, rtol=0)
    torch.testing.assert_close(c.fidelity(Batch(7 * x)), c.fidelity(Batch(x)))


@pytest.mark.parametrize("cls", BOTH)
def test_no_map_beats_principal_components(cls):
    x = states(rows=60)
    best = torch.linalg.eigvalsh(x.T @ x / len(x))[-2:].sum()
    assert float(made(cls).fidelity(Batch(x)).mean().detach()) <= float(best) + 1e-6


def test_states_that_a_circuit_freed_are_compressed_without_loss():
    c = made(CircuitCompressor)
    kept = torch.randn(5, 2)
    torch.testing.assert_close(c(Batch(c.back(kept))), kept, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(c.fidelity(Batch(c.back(kept))), torch.ones(5), atol=1e-5, rtol=0)


def test_both_have_as_many_parameters():
    assert made(CircuitCompressor).angles.numel() == made(GivensCompressor).angles.numel() == 9


@pytest.mark.parametrize(
    ("event", "kept", "words"),
    [
        ((6,), 1, "power of two"),
        ((2, 2), 1, "power of two"),
        ((8,), 3, "n_kept=2"),
        ((2**12,), 1, "at most 10"),
    ],
)
def test_what_is_no_state_is_refused(event, kept, words):
    with pytest.raises(SettingError, match=words):
        CircuitCompressor(event, n_kept=kept)


def test_a_hybrid_encoder_without_layers_gives_the_sine_of_its_angles():
    """On a qubit at one half a turn by a about Y makes the mean of Z minus the sine of a."""
    torch.manual_seed(0)
    encoder = HybridEncoder((5,), (4,), n_qubits=3, layers=0)
    batch = Batch(torch.randn(7, 5))
    torch.testing.assert_close(encoder(batch), -encoder.angles_of(batch).sin(), atol=1e-5, rtol=0)
    encoder(batch).sum().backward()
    assert encoder.narrow.weight.grad.abs().sum() > 0
