"""Models without latents against closed forms: densities in the units of the data, velocities, a critic at its best."""

from __future__ import annotations

from math import log, pi

import pytest
import torch
from torch import nn
from torch.distributions import Independent, MixtureSameFamily, MultivariateNormal, Normal

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError, SettingError
from senzai.core.random import Noise, forked, using
from senzai.distributions import NormalFamily, NormalFixedFamily
from senzai.evaluation import elbo, evaluate, log_likelihood
from senzai.models import Explicit, Flat, Implicit, verbs
from senzai.models.base import latent_model
from senzai.models.generative import Generative, needs_density, needs_inference
from senzai.nn import MLPDecoder, MLPEncoder
from senzai.nn.inputs import Decoder
from senzai.objectives import ELBO, FlowMatching, MaximumLikelihood, NonSaturating
from senzai.objectives.generators import steepness
from senzai.parts import FlowMatchingPrior, FlowPrior, Likelihood, MixtureOfNormals, Posterior, StandardNormal

MIDDLE, SPREAD = torch.tensor([3.0, -20.0]), torch.tensor([0.2, 7.0])


def rows(n=4000, seed=0):
    with forked(seed):
        z = torch.randn(n, 2)
        return MIDDLE + SPREAD * torch.stack([z[:, 0], 0.6 * z[:, 0] + 0.8 * z[:, 1]], 1)


def explicit(prior, x=None) -> Explicit:
    model = Explicit(prior, (2,))
    model.initialise(Batch(rows() if x is None else x))
    return model.eval()


def jolted(module, by=0.3, seed=1):
    with forked(seed), torch.no_grad():
        for p in module.parameters():
            p.add_(by * torch.randn_like(p))
    return module


# --- densities ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["nsf", "maf", "realnvp"])
@torch.no_grad()
def test_a_flow_integrates_to_one_in_the_units_of_the_data(kind):
    with forked(0):
        model = explicit(jolted(FlowPrior(2, kind=kind, n_transforms=2, hidden=(8,)), 0.15))
    n, wide = 401, 9.0
    along = torch.linspace(-wide, wide, n)
    u = torch.cartesian_prod(along, along)
    x = model.units.shift + model.units.scale * u
    cell = float(model.units.scale.prod()) * (2 * wide / (n - 1)) ** 2
    total = float(model.log_prob(Batch(x)).double().exp().sum()) * cell
    assert total == pytest.approx(1.0, abs=2e-3)


@torch.no_grad()
def test_a_flow_of_affine_steps_is_a_normal_distribution():
    with forked(0):
        prior = jolted(FlowPrior(2, kind="maf", n_transforms=2, hidden=()), 0.4)
    for step in prior.transform.modules():
        if isinstance(hyper := getattr(step, "hyper", None), nn.Sequential):
            layer = next(m for m in hyper.modules() if isinstance(m, nn.Linear))
            layer.weight[1::2] = 0.0  # scales that do not depend on other entries
    model = explicit(prior).double()
    f = prior.transform(None)
    slope = torch.autograd.functional.jacobian(f, torch.zeros(2).double())
    back = torch.linalg.inv(slope)
    loc = model.units.shift - model.units.scale * (back @ f(torch.zeros(2).double()))
    spread = torch.diag(model.units.scale) @ back
    truth = MultivariateNormal(loc, spread @ spread.T)
    x = rows(50, seed=4).double()
    torch.testing.assert_close(model.log_prob(Batch(x)), truth.log_prob(x), rtol=1e-9, atol=1e-9)
    assert float((slope - torch.eye(2)).abs().max()) > 0.2  # it is no identity


@torch.no_grad()
def test_a_mixture_as_a_density_is_the_mixture_in_the_units_of_the_data():
    with forked(0):
        prior = jolted(MixtureOfNormals(2, n_components=3))
    model, x = explicit(prior), rows(20, seed=3)
    p = prior()
    assert isinstance(p, MixtureSameFamily)
    normals = p.component_distribution.base_dist
    there = Independent(Normal(model.units.shift + model.units.scale * normals.loc,
                               model.units.scale * normals.scale), 1)
    truth = MixtureSameFamily(p.mixture_distribution, there)
    torch.testing.assert_close(model.log_prob(Batch(x)), truth.log_prob(x), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_draws_follow_the_density():
    model = explicit(StandardNormal(2))
    x = verbs.sample(model, 20_000, seed=0)
    se = SPREAD / len(x) ** 0.5
    assert bool(((x.mean(0) - model.units.shift).abs() < 5 * se).all())
    assert torch.allclose(x.std(0), model.units.scale, rtol=0.05)
    cold = verbs.sample(model, 20_000, seed=0, temperature=0.5)
    assert torch.allclose(cold.std(0), 0.5 * model.units.scale, rtol=0.05)


def test_a_model_of_the_right_density_has_the_likelihood_of_its_data():
    x = rows(4000)
    model = explicit(StandardNormal(2), x)
    truth = Normal(x.mean(0), x.std(0, correction=0)).log_prob(x).sum(1)
    found = log_likelihood(model, Batch(x), k=999)
    torch.testing.assert_close(found.per_row, truth.double(), rtol=1e-4, atol=1e-4)
    assert found.exact
    assert found.k == 0
    assert found.mean_monte_carlo_se == 0.0


def test_evaluate_gives_an_exact_likelihood_without_draws_and_without_a_bound():
    x = rows(200)
    model = explicit(FlowPrior(2, n_transforms=1, hidden=(4,)), x)
    figures = evaluate(model, Batch(x), k=50)
    with torch.no_grad():
        mean = float(model.log_prob(Batch(x)).mean())
    assert figures["log_likelihood"] == pytest.approx(mean, rel=1e-5)
    assert figures["exact"] is True
    assert figures["bits_per_dim"] == pytest.approx(-mean / 2 / log(2), rel=1e-5)
    assert not {"k", "ess", "monte_carlo_se", "elbo", "rate", "distortion"} & set(figures)
    assert "inference" in figures["not_measured"]["ais"]


def test_a_density_that_is_met_by_levels_is_not_called_exact():
    with forked(0):
        x = torch.randint(0, 5, (100, 2)).float()
    figures = evaluate(explicit(StandardNormal(2), x), Batch(x), discrete_step=1.0)
    assert figures["exact"] is False
    assert any("dequantised" in note for note in figures["notes"])


@pytest.mark.parametrize("prior", [FlowMatchingPrior(2, hidden=(8,), n_steps=2)])
def test_a_density_that_ends_a_numerical_path_is_not_given_as_exact(prior):
    model = explicit(prior)
    assert not model.exact
    assert model.log_prob(Batch(rows(5))) is None
    with pytest.raises(CombinationError, match="density"):
        log_likelihood(model, Batch(rows(5)))
    figures = evaluate(model, Batch(rows(50)))
    assert "log_likelihood" not in figures
    assert any("samples" in note for note in figures["notes"])


# --- flow matching --------------------------------------------------------------------------------------------------
class Best(nn.Module):
    """The velocity that carries standard normal noise to standard normal rows with the least matching loss."""

    def forward(self, z, t, c=None):
        return ((2 * t - 1) / (2 * t * t - 2 * t + 1)).unsqueeze(-1) * z


def test_the_least_matching_loss_of_normal_rows_is_half_pi_a_dimension():
    """E Var(u - eps | u_t) is the integral of 2 / (1 + w^2) over w from -1 to 1 halved: pi / 2."""
    prior = FlowMatchingPrior(3, hidden=(4,))
    prior.field = Best()
    model = Explicit(prior, (3,))
    with forked(0), using(Noise.seeded(7)):
        loss = FlowMatching()(model, Batch(torch.randn(200_000, 3)), 0).loss
    assert float(loss.mean()) == pytest.approx(3 * pi / 2, abs=5 * float(loss.std()) / len(loss) ** 0.5)


def test_flow_matching_learns_a_normal_distribution():
    model, x = explicit(FlowMatchingPrior(2, hidden=(32, 32), n_steps=8)), rows(4000)
    fit(model, FlowMatching(), x, steps=1500, lr=5e-3)
    made = verbs.sample(model, 20_000, seed=1)
    u, v = ((y - x.mean(0)) / x.std(0) for y in (x, made))
    assert bool((v.mean(0).abs() < 0.06).all())
    assert torch.allclose(torch.cov(v.T), torch.cov(u.T), atol=0.08)


def fit(model, objective, x, *, steps, lr, which=0, size=256):
    with forked(0):
        objective.equip(model)
        player = objective.players(model.train())[which]
        optimiser = torch.optim.Adam(player.parameters, lr)
        for step in range(steps):
            for group in optimiser.param_groups:
                group["lr"] = lr * (1 - step / steps)
            batch = Batch(x[torch.randint(len(x), (size,))])
            optimiser.zero_grad()
            player.loss(model, batch, step).loss.mean().backward()
            optimiser.step()
    model.eval()


# --- a critic at its best -------------------------------------------------------------------------------------------
class Same(Decoder):
    """Gives the noise as it is, moved by a little."""

    raw_shape = (1, 1)

    def __init__(self, by=0.0):
        super().__init__()
        self.by = nn.Parameter(torch.tensor(by))

    def forward(self, z, c=None):
        return (z + self.by).unsqueeze(-2)


def normal_rows(n=20_000, seed=5):
    with forked(seed):
        return torch.randn(n, 1)


def game(by, **settings):
    """Return the mean loss, without penalty, of a critic that was trained against draws of N(by, 1)."""
    model, x = Implicit(Same(by), (1,), 1), normal_rows()
    objective = NonSaturating(critic_width=32, critic_depth=2, **settings)
    fit(model, objective, x, steps=1000, lr=3e-3, which=1)
    with forked(1), torch.no_grad():
        terms = objective.held_out(objective)(model, Batch(normal_rows(seed=6)), 0)
    return terms.watch["critic_loss"]


def at_best(by):
    """Return the loss of the best critic, by summing over a fine grid: 2 log 2 - 2 JSD."""
    x = torch.linspace(-12, 12, 20_001, dtype=torch.float64)
    p, q = (Normal(m, 1.0).log_prob(x).exp() for m in (0.0, by))
    inner = p * torch.log(p / (p + q)) + q * torch.log(q / (p + q))
    return -float(inner.sum() * (x[1] - x[0]))


def test_a_critic_that_knows_nothing_loses_two_tosses_of_a_coin():
    model, objective = Implicit(Same(), (1,), 1), NonSaturating(critic_width=4, critic_depth=1)
    objective.equip(model)
    with torch.no_grad():
        for p in model.aux.parameters():
            p.zero_()
    terms = objective.critic_loss(model, Batch(normal_rows(9)), 0)
    torch.testing.assert_close(terms.loss, torch.full((9,), 2 * log(2)))
    torch.testing.assert_close(objective(model, Batch(normal_rows(9)), 0).loss, torch.full((9,), log(2)))


def test_the_best_critic_of_equal_distributions_loses_twice_log_two():
    assert at_best(0.0) == pytest.approx(2 * log(2))
    told = game(0.0)
    assert float(told.mean()) == pytest.approx(2 * log(2), abs=5e-3)


def test_the_best_critic_of_different_distributions_loses_what_their_divergence_leaves():
    assert at_best(1.5) < 1.1
    told = game(1.5, r1_weight=0.0)
    se = float(told.std()) / len(told) ** 0.5
    assert float(told.mean()) == pytest.approx(at_best(1.5), abs=5 * se + 0.01)


def test_the_penalty_is_the_squared_slope_of_each_row():
    w = torch.tensor([2.0, -1.0])
    x = torch.randn(7, 2, requires_grad=True)
    torch.testing.assert_close(steepness(x @ w, x), torch.full((7,), 5.0))
    torch.testing.assert_close(steepness(0.5 * x.square().sum(1), x), x.detach().square().sum(1))


def test_a_critic_is_kept_from_moving_the_generator():
    model, objective = Implicit(Same(), (1,), 1), NonSaturating(critic_width=4, critic_depth=1)
    objective.equip(model)
    objective.critic_loss(model, Batch(normal_rows(9)), 0).loss.mean().backward()
    assert model.decoder.by.grad is None
    assert all(p.grad is not None for p in model.aux.parameters())


def test_bounded_rows_stay_between_the_least_and_the_largest():
    x = torch.tensor([[0.0, 16.0], [3.0, 5.0], [16.0, 2.0]])
    with forked(0):
        model = Implicit(jolted(MLPDecoder(2, (1, 2), (8,)), 3.0), (2,), 2, scaling="range")
    model.initialise(Batch(x))
    made = verbs.sample(model, 500, seed=0)
    assert 0.0 <= float(made.min()) < 2
    assert 14 < float(made.max()) <= 16.0


# --- what is asked of whom ------------------------------------------------------------------------------------------
def vae() -> Flat:
    with forked(0):
        return Flat(
            StandardNormal(2), Posterior(MLPEncoder((2,), (8,)), NormalFamily(), 2),
            Likelihood(MLPDecoder(2, (1, 2), (8,)), NormalFixedFamily(), (2,)),
        )


def generators() -> dict[str, Generative]:
    return {
        "flow": explicit(FlowPrior(2, n_transforms=1, hidden=(4,))),
        "velocity": explicit(FlowMatchingPrior(2, hidden=(4,), n_steps=1)),
        "gan": Implicit(MLPDecoder(2, (1, 2), (8,)), (2,), 2),
    }


def test_predicates_say_what_a_model_can_do():
    found = generators()
    assert [needs_inference(m) is None for m in (vae(), *found.values())] == [True, False, False, False]
    assert [needs_density(m) is None for m in (vae(), *found.values())] == [True, True, False, False]
    assert vae().log_prob(Batch(rows(3))) is None  # a bound is no density


@pytest.mark.parametrize("name", sorted(generators()))
def test_verbs_of_latents_are_refused_with_the_reason(name):
    model, batch = generators()[name], Batch(rows(4))
    for verb in (
        lambda: verbs.encode(model, batch), lambda: verbs.reconstruct(model, batch),
        lambda: verbs.interpolate(model, batch, batch), lambda: verbs.traverse(model, batch, dim=0),
        lambda: verbs.posterior_scales(model, batch), lambda: verbs.classify(model, batch),
        lambda: latent_model(model), lambda: elbo(latent_model(model), batch),
    ):
        with pytest.raises(CombinationError, match=r"without one|classifier"):
            verb()


@pytest.mark.parametrize(("objective", "name"), [
    (ELBO(), "flow"), (MaximumLikelihood(), "velocity"), (MaximumLikelihood(), "gan"), (FlowMatching(), "flow"),
    (FlowMatching(), "gan"), (NonSaturating(), "flow"), (ELBO(), "gan"),
])
def test_objectives_refuse_models_they_cannot_train(objective, name):
    with pytest.raises(CombinationError):
        objective.admit(generators()[name])


def test_objectives_of_generators_refuse_a_vae():
    for objective in (MaximumLikelihood(), FlowMatching(), NonSaturating()):
        with pytest.raises(CombinationError):
            objective.admit(vae())


def test_a_density_needs_a_prior_over_as_many_real_numbers():
    with pytest.raises(CombinationError, match="3 numbers"):
        Explicit(StandardNormal(2), (3,))


def test_a_generator_needs_one_number_for_each_entry():
    with pytest.raises(SettingError, match="one raw number"):
        Implicit(MLPDecoder(2, (2, 5), (8,)), (5,), 2)


@pytest.mark.parametrize(("means", "said"), [
    ({"distortion": 3.0, "rate": 1.0, "loss": 9.0}, ("elbo", -4.0)), ({"loss": 2.0}, ("loss", 2.0)),
    ({"distortion": 3.0, "loss": 9.0}, ("loss", 9.0)), ({"rate": 1.0, "loss": 9.0}, ("loss", 9.0)),
])
def test_the_headline_is_the_bound_where_there_is_one(means, said):
    assert ELBO().headline(means) == said
