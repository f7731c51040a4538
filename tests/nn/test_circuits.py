"""Circuits against a simulation in NumPy written here: probabilities, noise, shots, gates, and what is refused."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from senzai.core.errors import SettingError
from senzai.nn.circuits import Circuit, pennylane

pytest.importorskip("pennylane")


def rotation(phi, theta, omega):
    """RZ(omega) RY(theta) RZ(phi), from the definitions of the two."""

    def z(a):
        return np.diag([np.exp(-0.5j * a), np.exp(0.5j * a)])

    y = np.array([[np.cos(theta / 2), -np.sin(theta / 2)], [np.sin(theta / 2), np.cos(theta / 2)]])
    return z(omega) @ y @ z(phi)


def turned(state, gate, wire):
    return np.moveaxis(np.tensordot(gate, state, axes=(1, wire)), 0, wire)


def flipped(state, control, target):
    out = state.copy()
    one = [slice(None)] * state.ndim
    one[control] = 1
    out[tuple(one)] = np.flip(state[tuple(one)], axis=target - (target > control))
    return out


def simulated(angles):
    """Probabilities of all outcomes for angles ``(layers, n, 3)``; the first qubit is the most significant."""
    layers, n, _ = angles.shape
    state = np.full((2,) * n, 2 ** (-n / 2), dtype=complex)
    for layer in range(layers):
        for wire in range(n):
            state = turned(state, rotation(*angles[layer, wire]), wire)
        if n > 1:
            apart = 1 + layer % (n - 1)
            for wire in range(n):
                state = flipped(state, wire, (wire + apart) % n)
    return (np.abs(state) ** 2).ravel()


def made(n, layers, seed=0, **settings):
    torch.manual_seed(seed)
    return Circuit(n, layers, start="uniform", **settings)


@pytest.mark.parametrize(("n", "layers"), [(1, 2), (2, 1), (3, 4), (5, 3), (8, 2), (14, 1)])
def test_probabilities_are_those_of_a_simulation_in_numpy(n, layers):
    circuit = made(n, layers)
    found = circuit.probs().detach().double().numpy()
    np.testing.assert_allclose(found, simulated(circuit.angles.detach().double().numpy()), atol=1e-6)
    assert found.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("n", [1, 4])
def test_without_layers_every_outcome_is_alike(n):
    torch.testing.assert_close(Circuit(n, 0).probs(), torch.full((2**n,), 2.0**-n))


def test_small_angles_start_near_the_uniform_distribution():
    torch.manual_seed(0)
    near, far = (float(-(c.probs().detach() * 64).log().mean()) for c in (Circuit(6, 3), made(6, 3)))
    assert 0 < near < 0.3 < far


def test_the_gradient_is_that_of_differences():
    circuit = made(3, 2)
    weight = torch.randn(8)
    (circuit.probs() @ weight).backward()
    angles = circuit.angles.detach().double().numpy()
    for place in [(0, 0, 1), (1, 2, 1), (0, 1, 2)]:
        step = np.zeros_like(angles)
        step[place] = 1e-5
        slope = (simulated(angles + step) - simulated(angles - step)) @ weight.double().numpy() / 2e-5
        assert float(circuit.angles.grad[place]) == pytest.approx(slope, abs=1e-5)


def test_shots_estimate_within_binomial_error():
    exact, shots = simulated(made(3, 2).angles.detach().double().numpy()), 4000
    found = made(3, 2, shots=shots).probs().detach().double().numpy()
    error = np.sqrt(exact * (1 - exact) / shots)
    assert (np.abs(found - exact) < 4.5 * error + 1e-9).all()
    assert np.abs(found - exact).max() > 0.05 * error.max()  # and they are no exact numbers
    np.testing.assert_allclose(found * shots, np.round(found * shots), atol=1e-3)


def test_shots_are_those_of_their_seed():
    first, again, other = (made(2, 1, shots=50, seed=seed) for seed in (0, 0, 0))
    torch.testing.assert_close(first.probs(), again.probs())
    assert not torch.equal(first.probs(), other.probs()) or not torch.equal(first.probs(), first.probs())


def test_the_gradient_by_shots_is_near_the_exact_one():
    weight = torch.tensor([1.0, -1.0, 0.5, 0.0])
    exact, by_shots = made(2, 1), made(2, 1, shots=20_000)
    for circuit in (exact, by_shots):
        (circuit.probs() @ weight).backward()
    torch.testing.assert_close(by_shots.angles.grad, exact.angles.grad, atol=0.03, rtol=0)


@pytest.mark.parametrize("p", [0.0, 0.1, 0.75, 1.0])
def test_noise_on_one_qubit_has_its_closed_form(p):
    """A depolarising error shrinks every mean of a Pauli operator by 1 - 4p/3, in each layer."""
    torch.manual_seed(0)
    circuit = Circuit(1, 1, start="uniform", noise=p)
    clean = simulated(circuit.angles.detach().double().numpy())
    torch.testing.assert_close(
        circuit.probs().detach().double().numpy()[0], 0.5 + (1 - 4 * p / 3) * (clean[0] - 0.5), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize(("n", "layers"), [(4, 3), (1, 2), (3, 0)])
def test_gates_are_those_of_the_circuit(n, layers):
    circuit = Circuit(n, layers)
    counted = pennylane().specs(circuit._node)(circuit.angles)["resources"].num_gates
    assert circuit.gates == counted == n + layers * (n + (n if n > 1 else 0))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"n_qubits": 30}, "30 qubits: 1,073,741,824"),
        ({"n_qubits": 0}, "n_qubits >= 1"),
        ({"n_qubits": 8, "noise": 0.1}, "matrix of 4"),
        ({"n_qubits": 2, "noise": 1.5}, "0 to 1"),
        ({"n_qubits": 2, "shots": 0}, "shots >= 1"),
        ({"n_qubits": 2, "layers": -1}, "layers >= 0"),
        ({"n_qubits": 2, "start": "hot"}, "small or uniform"),
        ({"n_qubits": 2, "device": "no.such"}, "no.such"),
    ],
)
def test_what_cannot_be_made_is_refused(settings, words):
    with pytest.raises(SettingError, match=words):
        Circuit(**settings)


def test_a_circuit_can_be_copied():
    circuit = made(2, 1)
    other = copy.deepcopy(circuit)
    with torch.no_grad():
        other.angles.zero_()
    torch.testing.assert_close(other.probs(), torch.full((4,), 0.25))
    assert not torch.allclose(circuit.probs(), other.probs())


def test_a_uniform_start_on_many_qubits_is_a_barren_plateau_and_a_small_one_is_not():
    power = {(n, start): Circuit(n, 4, start=start).gradient_power(6) for n in (2, 8) for start in ("small", "uniform")}
    assert power[8, "uniform"] < 3e-4 < power[8, "small"]
    assert power[2, "uniform"] > 20 * power[8, "uniform"]
    assert Circuit(2, 0).gradient_power() is None


def test_the_size_of_derivatives_on_one_qubit_has_its_closed_form():
    """One turn Rot(a, t, o) of |+>: P(1) = (1 + cos a sin t) / 2 or its mirror, so means of squares are known."""
    found = Circuit(1, 1, start="uniform").gradient_power(400)
    assert found == pytest.approx((1 / 16 + 1 / 16) / 3, rel=0.1)
