"""Posteriors that look at the model's own joint density: Hamiltonian, Riemannian, semi-amortised."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import MultivariateNormal

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError, SettingError
from senzai.core.random import Noise, using
from senzai.distributions import NormalFixedFamily
from senzai.evaluation import elbo, mutual_information
from senzai.models import Flat
from senzai.nn import MLPDecoder, MLPEncoder
from senzai.parts import HamiltonianPosterior, Likelihood, RiemannianPosterior, SemiAmortisedPosterior, StandardNormal
from senzai.parts.base import diagonal
from senzai.parts.posteriors.gradients import slopes
from senzai.parts.posteriors.hamiltonian import log_momentum

B, D, LATENT = 3, 4, 2


def encoder():
    return MLPEncoder((D,), (5,), activation="tanh")


def joint(z):
    """A bent, narrow log density."""
    return -0.5 * (z[..., 0].square() + 4 * (z[..., 1] - z[..., 0].square()).square())


def moved(posterior, state):
    """Where one step without cooling takes latents and momenta, side by side."""
    z, momentum = state.chunk(2, -1)
    return torch.cat(posterior.leap(joint, z, momentum, posterior.force(joint, z))[:2], -1)


MADE = {
    "hamiltonian": lambda **s: HamiltonianPosterior(encoder(), LATENT, step_size=0.1, **s).double(),
    "riemannian": lambda **s: RiemannianPosterior(
        encoder(), LATENT, step_size=0.1, n_centres=4, n_fixed=40, **s
    ).double(),
}


@pytest.fixture(params=sorted(MADE))
def made(request):
    return MADE[request.param]


@pytest.fixture
def linear():
    """A model whose evidence is exact, with any posterior; and its evidence."""

    def make(posterior):
        likelihood = Likelihood(MLPDecoder(LATENT, (1, D), ()), NormalFixedFamily(scale=0.7), (D,))
        model = Flat(StandardNormal(LATENT), posterior, likelihood).double().eval()
        W = likelihood.decoder.out.weight.detach()
        return model, MultivariateNormal(torch.zeros(D).double(), W @ W.T + 0.49 * torch.eye(D).double())

    return make


# --- leapfrog -------------------------------------------------------------------------------------------------------
def test_a_step_keeps_volumes(made):
    posterior, state = made(), torch.randn(1, B, 2 * LATENT).double()
    for row in state.unbind(1):
        J = torch.autograd.functional.jacobian(lambda s: moved(posterior, s.unsqueeze(0)), row).reshape(4, 4)
        torch.testing.assert_close(torch.linalg.det(J), torch.ones(()).double(), rtol=0, atol=1e-8)


def test_a_step_runs_backwards(made):
    posterior, state = made(), torch.randn(7, B, 2 * LATENT).double()
    sign = torch.tensor([1.0, 1.0, -1.0, -1.0]).double()
    there = moved(posterior, state)
    torch.testing.assert_close(moved(posterior, there * sign) * sign, state, rtol=1e-8, atol=1e-8)
    assert (there - state).abs().min() > 1e-6


def test_small_steps_keep_the_energy(made):
    posterior = made()
    with torch.no_grad():
        posterior.raw_step.fill_(-7.0)  # a hundredth of the usual step
    z, noise = torch.randn(2, 5, B, LATENT).double()
    momentum = posterior.momentum(z, noise)
    before = joint(z) + posterior.log_momentum(z, momentum)
    state = torch.cat([z, momentum], -1)
    for _ in range(5):
        state = moved(posterior, state)
    z, momentum = state.chunk(2, -1)
    change = (joint(z) + posterior.log_momentum(z, momentum) - before).abs().max()
    assert change < 1e-4


@pytest.mark.parametrize("tempering", ["none", "fixed", "free"])
def test_cooling_shrinks_volumes_as_much_as_the_start_had_grown(made, tempering):
    posterior = made(n_steps=3, tempering=tempering)
    factors = posterior.cooling()
    assert factors.shape == (3,)
    assert ((factors > 0) & (factors <= 1)).all()
    z = torch.randn(1, 1, LATENT).double()
    noise = torch.randn(1, 1, LATENT).double()

    def whole(start):
        place, momentum = start.chunk(2, -1)
        return torch.cat(posterior.move(joint, place, momentum / factors.prod(), factors), -1)

    J = torch.autograd.functional.jacobian(whole, torch.cat([z, noise], -1)).reshape(4, 4)
    torch.testing.assert_close(torch.linalg.det(J).abs(), torch.ones(()).double(), rtol=0, atol=1e-7)


def test_the_path_of_temperatures_is_the_quadratic_one():
    posterior = MADE["hamiltonian"](n_steps=4, tempering="fixed")
    root = torch.sigmoid(posterior.raw_cooling)  # of the first inverse temperature
    hot = [1 / ((1 - 1 / root) * k**2 / 16 + 1 / root) for k in range(5)]
    expected = torch.cat([hot[k] / hot[k + 1] for k in range(4)])
    torch.testing.assert_close(posterior.cooling(), expected)
    torch.testing.assert_close(posterior.cooling().prod(), root[0])


# --- bounds ---------------------------------------------------------------------------------------------------------
def test_no_step_at_all_is_the_ordinary_bound(made, linear):
    posterior = made(n_steps=0)
    model, exact = linear(posterior)
    batch = Batch(exact.sample((B,)))
    with using(Noise.seeded(3)):
        seen = model.infer(batch, 6)
    g = seen.groups[0]
    q = posterior(batch)
    expected = seen.log_lik + model.prior().log_prob(g.z) - q.log_prob(g.z)
    torch.testing.assert_close(seen.log_w, expected, rtol=1e-9, atol=1e-9)


def test_the_identity_as_metric_is_the_hamiltonian_posterior(linear):
    flat, bent = (MADE[n](n_steps=3) for n in ("hamiltonian", "riemannian"))
    bent.load_state_dict({**bent.state_dict(), **flat.state_dict()})
    with torch.no_grad():
        bent.factors.zero_()
    bent.floor = 1.0
    batch = Batch(torch.randn(B, D).double())
    found = []
    for posterior in (flat, bent):
        with using(Noise.seeded(1)):
            found.append(posterior.propose(batch, joint, 4))
    torch.testing.assert_close(found[0].z, found[1].z, rtol=1e-9, atol=1e-9)
    for a, b in ((found[0].log_q, found[1].log_q), (found[0].log_r, found[1].log_r)):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_learned_cooling_tightens_the_bound_which_stays_below_the_evidence(linear):
    """Exact dynamics keep the gap of the pair as it is; what closes it is the cooling."""
    posterior = MADE["hamiltonian"](n_steps=5, tempering="free")
    model, _ = linear(posterior)
    W = torch.eye(D, LATENT).double()
    with torch.no_grad():
        model.likelihood.decoder.out.weight.copy_(W)
        posterior.head.weight.zero_()
        posterior.raw_step.fill_(-0.8)
    exact = MultivariateNormal(torch.zeros(D).double(), W @ W.T + 0.49 * torch.eye(D).double())
    batch = Batch(exact.sample((60,)))
    truth = exact.log_prob(batch.tensor).mean()
    optimiser = torch.optim.Adam([posterior.raw_step, posterior.raw_cooling], lr=0.1)
    found = []
    for _ in range(40):
        loss = -model.infer(batch, 4).log_w.mean()
        found.append(float(-loss.detach() - truth))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert max(found) < 0.1
    assert sum(found[-5:]) / 5 > found[0] + 0.3


def test_without_cooling_small_steps_keep_the_bound(made, linear):
    posterior = made(n_steps=3, tempering="none")
    model, exact = linear(posterior)
    batch = Batch(exact.sample((B,)))
    with torch.no_grad():
        posterior.raw_step.fill_(-9.0)
    weights = []
    for n_steps in (0, 3):
        posterior.n_steps = n_steps
        with using(Noise.seeded(3)):
            weights.append(model.infer(batch, 5).log_w)
    torch.testing.assert_close(weights[1], weights[0], rtol=1e-4, atol=1e-4)
    assert (weights[1] != weights[0]).any()


def test_latents_have_no_density_and_figures_say_so(made, linear):
    model, exact = linear(made())
    batch = Batch(exact.sample((B,)))
    with pytest.raises(CombinationError, match="momenta"):
        mutual_information(model, batch)
    assert model.posterior.example() is not None


def test_momenta_follow_the_metric():
    posterior = MADE["riemannian"]()
    z = torch.randn(LATENT).double().expand(40_000, LATENT)
    metric = torch.linalg.inv(posterior.inverse_metric(z[0]))
    momentum = posterior.momentum(z, torch.randn(40_000, LATENT).double())
    torch.testing.assert_close(momentum.T.cov(), metric, rtol=0.05, atol=0.05)
    expected = MultivariateNormal(torch.zeros(LATENT).double(), metric).log_prob(momentum[:5])
    torch.testing.assert_close(log_momentum(torch.linalg.inv(metric), momentum[:5]), expected)


# --- semi-amortised -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("differentiable", [True, False])
def test_refinement_raises_the_bound(linear, differentiable):
    found = []
    for n_steps in (0, 4, 30):
        torch.manual_seed(3)
        model, exact = linear(SemiAmortisedPosterior(encoder(), LATENT, n_steps=n_steps, differentiable=differentiable))
        x = Batch(exact.sample((100,)))
        split = elbo(model, x, n_samples=10)
        found.append(float(split.elbo.mean()))
        assert split.elbo.mean() < exact.log_prob(x.tensor).mean() + 5 * split.ses["elbo"]
    assert found[0] + 0.5 < found[1] < found[2] + 0.05


def test_refinement_finds_the_best_diagonal_normal(linear):
    posterior = SemiAmortisedPosterior(encoder(), LATENT, n_steps=40, rate=0.3, n_draws=400)
    model, _ = linear(posterior)
    W = torch.eye(D, LATENT).double()
    with torch.no_grad():
        model.likelihood.decoder.out.weight.copy_(W)
    x = torch.randn(B, D).double()
    q = model.infer(Batch(x), 1).groups[0].q
    precision = 1 + 1 / 0.49
    torch.testing.assert_close(q.mean, x[:, :LATENT] / 0.49 / precision, rtol=0, atol=0.02)
    torch.testing.assert_close(q.stddev, torch.full((B, LATENT), precision**-0.5).double(), rtol=0.12, atol=0)


@pytest.mark.parametrize(("n_steps", "higher"), [(1, False), (4, True)])
def test_refinement_never_leads_down(n_steps, higher):
    """Steep for its scale, so that a whole step goes far over the top: L = -500 (m - 1)^2 - 500 s^2 + ln s."""
    posterior = SemiAmortisedPosterior(encoder(), 1, n_steps=n_steps)
    start = diagonal(torch.zeros(3, 1).double(), torch.ones(3, 1).double())
    q = posterior.refined(start, lambda z: -500.0 * (z - 1).square().sum(-1))
    bound = -500 * (q.mean - 1).square() - 500 * q.stddev.square() + q.stddev.log()
    assert ((bound > -990) if higher else (bound == -1000)).all()


def test_training_and_evaluation_may_take_different_steps(linear):
    posterior = SemiAmortisedPosterior(encoder(), LATENT, n_steps=5, train_steps=0)
    model, exact = linear(posterior)
    batch = Batch(exact.sample((B,)))
    model.train()
    torch.testing.assert_close(model.infer(batch).groups[0].q.mean, posterior(batch).mean)
    model.eval()
    assert (model.infer(batch).groups[0].q.mean != posterior(batch).mean).all()


def test_detached_steps_pass_the_gradient_straight_to_the_encoder():
    posterior = SemiAmortisedPosterior(encoder(), LATENT, n_steps=3, differentiable=False).double()
    batch = Batch(torch.randn(B, D).double())
    direct = torch.autograd.grad(posterior(batch).mean.sum(), posterior.head.weight)
    with using(Noise.seeded(0)):
        passed = torch.autograd.grad(posterior.refined(posterior(batch), joint).mean.sum(), posterior.head.weight)
    torch.testing.assert_close(passed, direct)


def test_slopes_are_partial_derivatives():
    z = torch.randn(3, 2).double().requires_grad_()
    other = 2 * z  # moves with z, but is held fixed
    (slope,) = slopes(lambda v: (v * other).sum(-1), z)
    torch.testing.assert_close(slope, other)
    with torch.no_grad():
        (free,) = slopes(lambda v: (v * other).sum(-1), z)
    assert not free.requires_grad
    torch.testing.assert_close(free, other.detach())


@pytest.mark.parametrize(
    "make",
    [
        lambda: HamiltonianPosterior(encoder(), 2, n_steps=-1),
        lambda: HamiltonianPosterior(encoder(), 2, tempering="hot"),
        lambda: RiemannianPosterior(encoder(), 2, floor=0.0),
        lambda: SemiAmortisedPosterior(encoder(), 2, n_draws=3),
        lambda: SemiAmortisedPosterior(encoder(), 2, rate=0.0),
    ],
)
def test_settings_that_cannot_work_are_refused(make):
    with pytest.raises(SettingError):
        make()
