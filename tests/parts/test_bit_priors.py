"""Priors over few bits: exact rates, partition functions, draws, reductions, and what is refused."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch
from scipy.linalg import expm

import senzai.parts  # noqa: F401  # registers the priors
from senzai.core.errors import SettingError
from senzai.core.random import Noise
from senzai.core.spec import from_spec, make, to_spec
from senzai.distributions import closed, draw
from senzai.distributions.bit_table import BitTable, all_bits, index_of, mean_over_bits
from senzai.distributions.codes import BitCode

PRIORS = {
    "bit_table": {},
    "bit_made": {"n_hidden": 5},
    "rbm": {"n_hidden": 5},
    "quantum_boltzmann": {},
    "born": {"layers": 2},
}


def prior(name, n=4, seed=0, **settings):
    """A prior whose weights are anything."""
    torch.manual_seed(seed)
    found = make(f"prior/{name}", n_latent=n, **{**PRIORS[name], **settings})
    with torch.no_grad():
        for p in found.parameters():
            p.copy_(torch.randn_like(p)) if p.requires_grad else None
    return found


# --- tables ---------------------------------------------------------------------------------------------------------
def test_all_bits_count_upwards_and_are_found_again():
    every = all_bits(4, torch.zeros(1))
    assert [tuple(row) for row in every.int().tolist()] == list(product((0, 1), repeat=4))
    assert index_of(every).tolist() == list(range(16))


def test_the_exact_rate_is_the_sum_over_all_vectors():
    torch.manual_seed(0)
    q, p = BitCode(torch.randn(5, 4)), BitTable(torch.randn(16))
    by_hand = torch.zeros(5)
    for k, b in enumerate(product((0.0, 1.0), repeat=4)):
        log_q = q.log_prob(torch.tensor(b).expand(5, 4))
        by_hand += log_q.exp() * (log_q - p.log_probs[k])
    torch.testing.assert_close(closed(q, p), by_hand)


def test_the_rate_to_the_uniform_table_is_that_to_fair_bits():
    q = BitCode(torch.randn(6, 3))
    torch.testing.assert_close(closed(q, BitTable(torch.zeros(8))), closed(q, BitCode(torch.zeros(3))))


def test_means_over_bits_are_exact_and_at_corners_the_values():
    values = torch.randn(8)
    torch.testing.assert_close(mean_over_bits(values, all_bits(3, values)), values)
    probs = torch.rand(3)
    weights = [
        math.prod(float(p if b else 1 - p) for b, p in zip(row, probs, strict=True))
        for row in product((0, 1), repeat=3)
    ]
    torch.testing.assert_close(mean_over_bits(values, probs), (values * torch.tensor(weights)).sum())


def test_a_gradient_reaches_the_bits():
    p, bits = BitTable(torch.randn(8)), torch.tensor([[1.0, 0.0, 1.0]], requires_grad=True)
    (slope,) = torch.autograd.grad(p.log_prob(bits).sum(), bits)
    expected = [p.log_probs[5] - p.log_probs[1], p.log_probs[7] - p.log_probs[5], p.log_probs[5] - p.log_probs[4]]
    torch.testing.assert_close(slope[0], torch.stack(expected))
    torch.testing.assert_close(p.log_prob(bits), p.log_prob(bits.detach()))


def test_moments_and_draws_are_those_of_the_probabilities():
    torch.manual_seed(0)
    p = BitTable(torch.randn(8))
    z = draw(p, (20_000,), noise=Noise.seeded(0), grad=False)
    share = torch.bincount(index_of(z), minlength=8) / len(z)
    error = (p.log_probs.exp() / len(z)).sqrt()
    assert ((share - p.log_probs.exp()).abs() < 4.5 * error).all()
    assert ((z.mean(0) - p.mean).abs() < 4.5 * (p.variance / len(z)).sqrt()).all()
    assert float(p.entropy()) == pytest.approx(float(-p.log_prob(z).mean()), abs=0.03)


def test_an_outcome_of_no_probability_is_never_drawn():
    p = BitTable(torch.tensor([-torch.inf, 0.0, -torch.inf, 0.0]))
    assert set(index_of(draw(p, (500,), noise=Noise.seeded(1), grad=False)).tolist()) == {1, 3}


# --- priors ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", PRIORS)
def test_probabilities_add_up_and_every_parameter_is_moved(name):
    p = prior(name)
    table = p()
    assert float(table.log_prob(p.every).detach().exp().sum()) == pytest.approx(1, abs=1e-5)
    closed(BitCode(torch.randn(3, 4)), table).sum().backward()
    assert all(w.grad is not None and w.grad.abs().sum() > 0 for w in p.parameters() if w.requires_grad)


def test_the_partition_of_an_rbm_is_that_of_brute_force():
    p = prior("rbm", 4)
    b, c, w = (x.detach().double().numpy() for x in (p.visible, p.hidden, p.weight))
    joint = {
        v: sum(math.exp(b @ v + c @ h + h @ w @ v) for h in product((0, 1), repeat=len(c)))
        for v in product((0, 1), repeat=4)
    }
    expected = np.log(np.array(list(joint.values())) / sum(joint.values()))
    np.testing.assert_allclose(p().log_probs.detach().numpy(), expected, atol=1e-5)


def test_a_masked_network_makes_a_chain():
    p = prior("bit_made", 4)
    base = p.out(torch.tanh(p.inner(2 * p.every - 1)))
    for i in range(4):
        changed = p.every.clone()
        changed[:, i:] = 1 - changed[:, i:]
        moved = p.out(torch.tanh(p.inner(2 * changed - 1)))
        torch.testing.assert_close(moved[:, : i + 1], base[:, : i + 1])
    assert not torch.allclose(moved[:, 3], p.out(torch.tanh(p.inner(1 - 2 * p.every)))[:, 3])


@pytest.mark.parametrize("n", [1, 3])
def test_the_quantum_boltzmann_machine_is_the_thermal_state(n):
    p = prior("quantum_boltzmann", n)
    x, z, one = np.array([[0, 1], [1, 0]]), np.diag([1, -1]), np.eye(2)

    def on(gates):
        out = np.eye(1)
        for i in range(n):
            out = np.kron(out, gates.get(i, one))
        return out

    minus_h = sum(float(p.bias[i].detach()) * on({i: z}) + float(p.fields[i].detach()) * on({i: x}) for i in range(n))
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    for (i, j), w in zip(pairs, p.couplings.tolist(), strict=True):
        minus_h = minus_h + w * on({i: z, j: z})
    thermal = expm(minus_h)
    np.testing.assert_allclose(p().log_probs.exp().detach().numpy(), thermal.diagonal() / thermal.trace(), atol=1e-6)


def test_without_a_field_the_quantum_machine_is_the_classical_one():
    quantum, classical = prior("quantum_boltzmann"), prior("quantum_boltzmann", transverse=False)
    with torch.no_grad():
        quantum.fields.zero_()
        classical.bias.copy_(quantum.bias)
        classical.couplings.copy_(quantum.couplings)
    torch.testing.assert_close(quantum().log_probs, classical().log_probs, atol=1e-5, rtol=1e-5)


def test_strong_couplings_do_not_overflow():
    p = prior("quantum_boltzmann")
    with torch.no_grad():
        p.couplings.mul_(200)
    assert torch.isfinite(p().log_probs).all()


def test_a_born_machine_without_layers_is_the_uniform_prior():
    torch.testing.assert_close(prior("born", layers=0)().log_probs, torch.full((16,), -4 * math.log(2)))


def test_what_shots_never_saw_is_not_impossible():
    p = prior("born", shots=5)
    found = p().log_probs.detach().exp()
    assert float(found.min()) == pytest.approx(0.5 / (5 + 8), rel=1e-4)
    assert float(found.sum()) == pytest.approx(1, abs=1e-5)


def test_a_born_machine_is_measured_again_when_its_angles_move():
    p = prior("born")
    with torch.no_grad():
        before, again = p().log_probs, p().log_probs
        assert p.circuit.used["circuits"] == 1
        p.circuit.angles.add_(0.5)
        after = p().log_probs
    torch.testing.assert_close(before, again)
    assert not torch.allclose(before, after)


@pytest.mark.parametrize("name", PRIORS)
def test_thirty_bits_are_refused_with_the_reason(name):
    with pytest.raises(SettingError, match=r"30 (bits|qubits): 1,073,741,824"):
        make(f"prior/{name}", n_latent=30)


def test_eleven_qubits_are_too_many_for_the_thermal_state():
    with pytest.raises(SettingError, match="at most 10"):
        make("prior/quantum_boltzmann", n_latent=11)


@pytest.mark.parametrize("name", PRIORS)
def test_a_prior_comes_back_from_its_spec(name):
    p = prior(name)
    other = from_spec(to_spec(p))
    other.load_state_dict(p.state_dict())
    torch.testing.assert_close(other().log_probs, p().log_probs)
