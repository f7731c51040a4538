"""Learned priors: densities against what they are by definition, draws against densities, and what they start as."""

from __future__ import annotations

from functools import partial
from math import log

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, MultivariateNormal, Normal

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError, SettingError, ShapeError
from senzai.core.random import Noise, using
from senzai.core.spec import from_spec, to_spec
from senzai.distributions import NormalFamily, closed, draw
from senzai.models import Flat
from senzai.nn import ConvEncoder, MLPEncoder
from senzai.parts import (
    AutoregressivePrior,
    ExemplarPrior,
    FlowMatchingPrior,
    FlowPrior,
    FullMixture,
    MixtureOfNormals,
    MovedPrior,
    Posterior,
    ResampledPrior,
    StandardNormal,
    TwoStagePrior,
    VampPrior,
)

FLOWS = {f"flow {kind}": partial(FlowPrior, kind=kind, hidden=(8,)) for kind in ("realnvp", "maf", "nsf")}
CHAIN = partial(AutoregressivePrior, hidden=(16,), n_components=2)
STARTS = {**FLOWS, "lars": partial(ResampledPrior, hidden=(8,)), "matching": partial(FlowMatchingPrior, hidden=(8,))}
SMALL = {**STARTS, "autoregressive": CHAIN}
FREE = {**SMALL, "full mixture": lambda n, **_: FullMixture(n, n_components=3)}
ESTIMATED = {**FREE, "two-stage": partial(TwoStagePrior, hidden=(8,))}


def shaken(prior, size=0.3):
    """Weights away from where they start, and nothing that trains."""
    with torch.no_grad():
        for p in prior.parameters():
            p.add_(size * torch.randn_like(p))
    return prior.double().eval()


def posterior(d=5, n_latent=2, **kwargs):
    return Posterior(MLPEncoder((d,), (8,), **kwargs), NormalFamily(), n_latent)


# --- all of them ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", STARTS)
def test_they_start_as_the_standard_normal(name):
    prior, z = STARTS[name](3).double(), 2 * torch.randn(7, 4, 3).double()
    torch.testing.assert_close(prior().log_prob(z), StandardNormal(3).double()().log_prob(z))


def grid(n=151, reach=12.0):
    x = torch.linspace(-reach, reach, n, dtype=torch.float64)
    return torch.cartesian_prod(x, x), (x[1] - x[0]).item() ** 2


@pytest.mark.parametrize("name", FREE)
def test_a_density_integrates_to_one_and_its_draws_follow_it(name):
    p = shaken(FREE[name](2), 0.2)()
    z, cell = grid(301) if "flow" in name else grid()
    mass = p.log_prob(z).exp().detach() * cell
    assert mass.sum().item() == pytest.approx(1, abs=5e-3 if name == "lars" else 5e-4)
    n = 20_000
    drawn = draw(p, (n,), grad=False, noise=Noise.seeded(0))
    for f in (lambda v: v[:, 0], lambda v: v[:, 1].square(), lambda v: torch.sigmoid(v[:, 0] - 2 * v[:, 1])):
        exact, seen = (mass * f(z)).sum() / mass.sum(), f(drawn)
        assert (seen.mean() - exact).abs() < 5 * seen.std() / n**0.5 + 2e-3


@pytest.mark.parametrize("name", SMALL)
def test_a_condition_belongs_to_its_row(name):
    prior, c = shaken(SMALL[name](2, n_condition=3)), torch.randn(4, 3).double()
    z = torch.randn(6, 4, 2).double()
    p = prior(c)
    assert p.batch_shape == (4,)
    whole = p.log_prob(z)
    for i in range(4):
        torch.testing.assert_close(prior(c[i : i + 1]).log_prob(z[:, i : i + 1])[:, 0], whole[:, i])
    assert (prior(c.flip(0)).log_prob(z) - whole).abs().max() > 1e-3
    assert draw(p, (), grad=False).shape == (4, 2)
    with pytest.raises(ShapeError, match="Give the condition"):
        prior(None)


@pytest.mark.parametrize("name", ESTIMATED)
def test_every_parameter_has_a_gradient_and_a_spec(name):
    prior = shaken(ESTIMATED[name](2)).train()
    prior().log_prob(torch.randn(50, 3, 2).double()).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in prior.parameters())
    again = from_spec(to_spec(prior)).double().eval()
    again.load_state_dict(prior.state_dict())
    z = torch.randn(5, 1, 2).double()
    with using(Noise.seeded(1)):
        first = prior.eval()().log_prob(z)
    with using(Noise.seeded(1)):
        torch.testing.assert_close(again().log_prob(z), first, rtol=0, atol=0)
    assert closed(StandardNormal(2).double()(), prior()) is None


@pytest.mark.parametrize("name", ["flow maf", "flow nsf", "flow realnvp", "matching"])
def test_draws_of_a_flow_are_noise_sent_the_way_back(name):
    p = shaken(SMALL[name](3))()
    with using(Noise.seeded(3)):
        z = p.rsample((9,))
    eps = Noise.seeded(3).normal((9, 3), dtype=torch.float64)
    if name != "matching":
        torch.testing.assert_close(p.transform(z), eps, rtol=1e-6, atol=1e-6)
    back = torch.autograd.functional.jacobian(lambda e: back_to(p, e), eps[0])
    log_det = torch.linalg.slogdet(back).logabsdet
    exact = Normal(0.0, 1.0).log_prob(eps[0]).sum() - log_det
    torch.testing.assert_close(p.log_prob(z[0]), exact, rtol=1e-4, atol=1e-4)


def back_to(p, eps):
    p.numbers = lambda shape, noise: eps
    return p.from_noise((), Noise())


# --- one by one -------------------------------------------------------------------------------------------------------
def test_the_density_of_a_chain_is_the_product_of_its_conditionals():
    prior = shaken(CHAIN(3))
    z = torch.randn(4, 3).double()
    total = torch.zeros(4).double()
    for d in range(3):
        known = torch.where(torch.arange(3) < d, z, 100 * torch.randn(4, 3).double())  # what follows cannot matter
        logits, loc, scale = (v[:, d] for v in prior.conditionals(None, known))
        total = total + MixtureSameFamily(Categorical(logits=logits), Normal(loc, scale)).log_prob(z[:, d])
    torch.testing.assert_close(prior().log_prob(z), total)
    with pytest.raises(SettingError):
        AutoregressivePrior(2, n_components=0)


def one_dimensional(n_tries):
    """An accept function of one dimension, exact integrals on a grid, and the density they give."""
    prior = shaken(ResampledPrior(1, hidden=(8,), n_tries=n_tries), 1.0)
    z = torch.linspace(-9, 9, 20_001, dtype=torch.float64).unsqueeze(1)
    pi, a = Normal(0.0, 1.0).log_prob(z[:, 0]).exp(), prior.log_accept(None, z).exp().detach()
    cell = (z[1] - z[0]).item()
    accepted = (pi * a).sum().item() * cell
    alpha = (1 - accepted) ** (n_tries - 1)
    return prior, z, pi * ((1 - alpha) * a / accepted + alpha), accepted, cell


@pytest.mark.parametrize("n_tries", [1, 2, 5, 100])
def test_rejection_sampling_is_exact_in_one_dimension(n_tries):
    prior, z, density, accepted, cell = one_dimensional(n_tries)
    estimate, se = prior.log_z().item(), prior.log_z_se()
    assert 0 < se < 0.02
    assert abs(estimate - log(accepted)) < 5 * se
    assert (density.sum() * cell).item() == pytest.approx(1, abs=1e-6)
    from senzai.distributions.vectors import Resampled

    exact = Resampled(partial(prior.log_accept, None), torch.tensor(accepted).double().log(), n_tries, 1)
    torch.testing.assert_close(exact.log_prob(z).exp().detach(), density, rtol=1e-6, atol=1e-12)
    n = 40_000
    drawn = draw(prior(), (n,), grad=False, noise=Noise.seeded(0))[:, 0]
    for point in (-1.0, 0.0, 0.7):
        cdf = (density[z[:, 0] <= point].sum() * cell).item()
        assert abs((drawn <= point).double().mean().item() - cdf) < 5 * 0.5 / n**0.5


def test_the_normaliser_is_fresh_in_training_only():
    prior = shaken(ResampledPrior(2, hidden=(8,)))
    assert prior.log_z() == prior.log_z()
    prior.train()
    values = torch.stack([prior.log_z() for _ in range(50)])
    assert values.std() > 0
    assert (values.exp().mean() - prior.eval().log_z().exp()).abs() < 5 * values.exp().std() / 50**0.5 + 0.01


def linear_field(prior, matrix):
    """Make a field one linear map of the latents (no hidden layer)."""
    with torch.no_grad():
        weight = prior.field.layers[0].weight.zero_()
        weight[:, : len(matrix)] = matrix
        prior.field.layers[0].bias.zero_()
    return prior


def test_the_probability_flow_of_a_known_normal_has_its_density():
    """z' = A z carries N(0, I) to N(0, exp(A) exp(A)^T); sixteen steps are within 1e-6 of it."""
    matrix = 0.5 * torch.randn(3, 3).double()
    prior = linear_field(FlowMatchingPrior(3, hidden=(), n_steps=16).double(), matrix)
    moved = torch.linalg.matrix_exp(matrix)
    exact = MultivariateNormal(torch.zeros(3).double(), moved @ moved.T)
    z = exact.sample((20,))
    torch.testing.assert_close(prior().log_prob(z), exact.log_prob(z), rtol=0, atol=1e-5)
    coarse = linear_field(FlowMatchingPrior(3, hidden=(), n_steps=1).double(), matrix)
    errors = [(p().log_prob(z) - exact.log_prob(z)).abs().max().item() for p in (coarse, prior)]
    assert errors[0] > 100 * errors[1]  # the steps are what is not exact


def test_the_divergence_is_exact():
    field = shaken(FlowMatchingPrior(3, hidden=(8, 8))).field
    z, t = torch.randn(3).double(), torch.tensor(0.3).double()
    jacobian = torch.autograd.functional.jacobian(lambda v: field(v, t), z)
    v, divergence = field.with_divergence(z, t)
    torch.testing.assert_close(divergence, jacobian.trace())
    torch.testing.assert_close(v, field(z, t))


def test_matching_finds_a_normal():
    """The field fitted to a known normal gives its log density within a tenth of a nat."""
    target = MultivariateNormal(torch.tensor([1.0, -0.5]), torch.tensor([[0.5, 0.2], [0.2, 0.3]]))
    prior = FlowMatchingPrior(2, hidden=(32, 32))
    optimiser = torch.optim.Adam(prior.parameters(), 1e-2)
    z = target.sample((4000,))
    for step in range(600):
        for group in optimiser.param_groups:
            group["lr"] = 1e-2 * (1 - step / 600)
        optimiser.zero_grad()
        prior.matching_loss(z[torch.randint(4000, (512,))]).mean().backward()
        optimiser.step()
    test = target.sample((1000,))
    gap = (target.log_prob(test) - prior().log_prob(test)).mean().item()
    assert abs(gap) < 0.1


def test_the_matching_loss_is_the_squared_distance_from_the_straight_way():
    prior = FlowMatchingPrior(2, hidden=())
    z = torch.randn(3, 4, 2)
    with using(Noise.seeded(0)):
        loss = prior.matching_loss(z)
    eps = Noise.seeded(0).normal((3, 4, 2))
    torch.testing.assert_close(loss, (z - eps).square().sum(-1))  # a field of zero


def test_a_two_stage_density_is_unbiased_and_tight_with_the_exact_upper_posterior():
    prior = TwoStagePrior(1, hidden=(), n_samples=1).double()
    slope, scale = 0.8, 0.6
    with torch.no_grad():
        for net, weight, spread in (
            (prior.above, slope, scale),
            (prior.below, slope / (slope**2 + scale**2), scale / (slope**2 + scale**2) ** 0.5),
        ):
            net.out.weight.copy_(torch.tensor([[weight], [0.0]]))
            net.out.bias.copy_(torch.tensor([0.0, log(torch.expm1(torch.tensor(spread - 1e-4)).item())]))
    exact = Normal(0.0, (slope**2 + scale**2) ** 0.5)
    z = torch.randn(5, 7, 1).double()
    torch.testing.assert_close(prior().log_prob(z), exact.log_prob(z[..., 0]))  # r(u | z) is p(u | z): no variance
    with torch.no_grad():
        prior.below.out.bias[1] = 1.0  # too wide: now it is an estimate
    z = z[:1, :1]
    prior.train()
    values = torch.stack([prior().log_prob(z).exp() for _ in range(2000)])
    assert values.std() > 0.01
    assert (values.mean() - exact.log_prob(z[..., 0]).exp()).abs() < 5 * values.std() / 2000**0.5
    assert values.log().mean() < exact.log_prob(z[..., 0])
    drawn = draw(prior(), (20_000,), grad=False)
    assert abs(drawn.std().item() - exact.stddev.item()) < 5 * 0.01


def test_a_full_mixture_is_a_mixture_of_normals():
    prior = shaken(FullMixture(3, n_components=2), 0.5)
    z = torch.randn(6, 3).double()
    parts = torch.stack([
        MultivariateNormal(m, t @ t.T).log_prob(z) for m, t in zip(prior.loc, prior.tril(), strict=True)
    ])
    torch.testing.assert_close(prior().log_prob(z), torch.logsumexp(parts + prior.logits.log_softmax(0)[:, None], 0))


def test_a_moved_prior_counts_its_volume():
    prior = MovedPrior(2, StandardNormal(2)).double()
    prior.loc.copy_(torch.tensor([1.0, 2.0]))
    prior.scale.copy_(torch.tensor([0.5, 3.0]))
    exact = Independent(Normal(prior.loc, prior.scale), 1)
    z = torch.randn(5, 2).double()
    torch.testing.assert_close(prior().log_prob(z), exact.log_prob(z))
    drawn = draw(prior(), (20_000,), grad=False)
    assert ((drawn.std(0) / prior.scale - 1).abs() < 0.03).all()


def test_a_temperature_narrows_every_mode():
    mixture = MixtureOfNormals(1, n_components=2)
    with torch.no_grad():
        mixture.loc.copy_(torch.tensor([[-5.0], [5.0]]))
    cold = draw(mixture(), (4000,), grad=False, noise=Noise(Noise.seeded(0).generator, spread=0.1))
    assert (cold.abs() - 5).abs().max() < 0.5
    assert 0.45 < (cold > 0).double().mean() < 0.55
    flow = shaken(FlowPrior(2, kind="maf", hidden=(8,)))()
    z = draw(flow, (5,), grad=False, noise=Noise(Noise.seeded(0).generator, spread=0.0))
    torch.testing.assert_close(flow.transform(z), torch.zeros(5, 2).double(), atol=1e-6, rtol=0)
    with pytest.raises(CombinationError, match="its own sampler"):
        draw(torch.distributions.Gamma(1.0, 1.0), (3,), noise=Noise(spread=0.5))


# --- made of the posterior --------------------------------------------------------------------------------------------
def test_a_vamp_prior_on_all_rows_is_the_aggregate_posterior():
    q, x = posterior().double(), torch.randn(30, 5).double()
    prior = VampPrior(2, (5,), q, n_components=30).double()
    prior.initialise(Batch(x))
    z = torch.randn(7, 4, 2).double()
    direct = q(Batch(x)).log_prob(z.unsqueeze(2)).logsumexp(2) - log(30)
    torch.testing.assert_close(prior().log_prob(z), direct)


@pytest.mark.parametrize("kind", [VampPrior, ExemplarPrior])
def test_the_posterior_is_held_and_saved_once(kind):
    q = posterior()
    prior = kind(2, (5,), q)
    model = Flat(prior, q, likelihood())
    assert prior.posterior is model.posterior
    assert not [k for k in model.state_dict() if k.startswith("prior.") and "encoder" in k]
    assert sum(p.numel() for p in model.parameters()) == sum(
        p.numel() for m in (prior, q, model.likelihood) for p in m.parameters()
    )
    again = from_spec(to_spec(model))
    assert again.prior.posterior is again.posterior
    again.load_state_dict(model.state_dict())


def likelihood(d=5):
    from senzai.nn import MLPDecoder
    from senzai.parts import Likelihood

    return Likelihood(MLPDecoder(2, (2, d), (8,)), NormalFamily(), (d,))


def test_pseudo_inputs_learn_and_stay_in_the_range_of_the_data():
    q, x = posterior(), torch.cat([torch.rand(40, 4), torch.full((40, 1), 3.0)], 1)
    prior = VampPrior(2, (5,), q, n_components=50)  # more than there are rows
    prior.initialise(Batch(x))
    u = prior.pseudo_inputs().detach()
    assert len(u.unique(dim=0)) == 50
    prior().log_prob(torch.randn(9, 2)).sum().backward()
    assert prior.unit.grad[:, :4].abs().sum() > 0
    assert all(p.grad.abs().sum() > 0 for p in q.parameters())
    with torch.no_grad():
        prior.unit.add_(5 * torch.randn_like(prior.unit))
    u = prior.pseudo_inputs()
    assert (u >= x.amin(0) - 1e-6).all()
    assert (u <= x.amax(0) + 1e-6).all()
    outside = prior.unit > 1
    (slope,) = torch.autograd.grad(u[:, :4].sum(), prior.unit)  # minimising leads down, back into the range
    assert (slope[:, :4][outside[:, :4]] > 0).all()
    (slope,) = torch.autograd.grad(-prior.pseudo_inputs().sum(), prior.unit)
    assert (slope[outside] == 0).all()


def test_pseudo_inputs_of_images_go_through_convolutions():
    q = Posterior(ConvEncoder((1, 8, 8), width=4), NormalFamily(), 2)
    prior = VampPrior(2, (1, 8, 8), q, n_components=3)
    x = torch.randint(0, 17, (20, 1, 8, 8))
    x[:, :, 0, 0] = 0
    prior.initialise(Batch(x))
    assert prior.low.unique().tolist() == [0.0]  # one range for all pixels
    assert prior.high.unique().tolist() == [16.0]
    assert prior().log_prob(torch.zeros(5, 2)).shape == (5,)


def test_a_vamp_prior_with_a_condition():
    q = posterior(n_condition=3).double()
    prior = VampPrior(2, (5,), q, n_components=4, n_condition=3).double()
    c, z = torch.eye(3).double()[[0, 2, 0, 1, 1]], torch.randn(6, 5, 2).double()
    found = prior(c).log_prob(z)
    for i in range(5):
        u = Batch(prior.pseudo_inputs(), c=c[i].expand(4, 3))
        torch.testing.assert_close(found[:, i], q(u).log_prob(z[:, i].unsqueeze(1)).logsumexp(1) - log(4))


def exemplars(n=12, **kwargs):
    q, x = posterior().double(), torch.randn(n, 5).double()
    prior = ExemplarPrior(2, (5,), q, n_exemplars=n, **kwargs).double()
    prior.initialise(Batch(x))
    return prior, q, x


def test_an_exemplar_prior_is_a_kernel_density_on_posterior_means():
    prior, q, x = exemplars()
    with torch.no_grad():
        prior.log_scale.fill_(-0.5)
    z = torch.randn(6, 2).double()
    kernels = Normal(q(Batch(x)).mean, torch.tensor(-0.5).exp().double()).log_prob(z.unsqueeze(1)).sum(-1)
    torch.testing.assert_close(prior.eval()().log_prob(z), kernels.logsumexp(1) - log(12))
    torch.testing.assert_close(prior.of(Batch(x)).log_prob(z), prior().log_prob(z))


def test_a_row_is_no_exemplar_of_itself_in_training():
    prior, q, x = exemplars(n_subset=12)
    z, rows = torch.randn(3, 5, 2).double(), x[[3, 0, 7, 7, 1]]
    rows[4] += 1  # no row of the data: it has all of them
    found = prior.train().of(Batch(rows)).log_prob(z)
    kernels = Normal(q(Batch(x)).mean, 1.0).log_prob(z.unsqueeze(2)).sum(-1)
    for i, left in enumerate(([3], [0], [7], [7], [])):
        kept = [n for n in range(12) if n not in left]
        torch.testing.assert_close(found[:, i], kernels[:, i, kept].logsumexp(-1) - log(len(kept)))
    same, _, y = exemplars(n_subset=12)
    same.prints.copy_(same.fingerprint(Batch(y[:1])).expand(12))  # nothing but the row itself
    assert same.train().of(Batch(y[:1])).log_prob(z[:, :1]).isfinite().all()


def test_each_step_looks_at_other_exemplars():
    prior, _, x = exemplars(n_subset=4)
    prior.train()
    z, batch = torch.randn(1, 3, 2).double(), Batch(x[:3] + 1)
    values = []
    for seed in (0, 0, 1):
        with using(Noise.seeded(seed)):
            values.append(prior.of(batch).log_prob(z))
    assert torch.equal(values[0], values[1])
    assert not torch.equal(values[0], values[2])
    assert prior.of(batch).component_distribution.batch_shape == (3, 4)
    loss = -prior.of(batch).log_prob(z).sum()
    loss.backward()
    assert all(p.grad.abs().sum() > 0 for p in [*prior.parameters(), *prior.posterior.parameters()])


def test_rows_with_holes_count_as_themselves():
    prior, _, x = exemplars(n_subset=12)
    mask = torch.rand(12, 5) > 0.3
    x[~mask] = torch.nan
    prior.initialise(Batch(x, mask=mask))
    assert prior.rows.isfinite().all()
    own = prior.fingerprint(Batch(x, mask=mask))
    assert (own.unsqueeze(1) - prior.prints).abs().min(1).values.max() < 1e-12


@pytest.mark.parametrize("kind", [VampPrior, ExemplarPrior])
def test_what_a_borrowed_prior_cannot_be(kind):
    with pytest.raises(CombinationError, match="has their latents"):
        kind(3, (5,), posterior())
    with pytest.raises(CombinationError, match="one tensor of fixed size"):
        kind(2, (5,), posterior()).initialise(Batch({"a": torch.zeros(3, 5)}))
    with pytest.raises(SettingError):
        kind(2, (5,), posterior(), **{"n_components" if kind is VampPrior else "n_exemplars": 0})


def test_flows_leave_the_checks_of_torch_alone():
    FlowPrior(2)
    with pytest.raises(ValueError, match="scale"):
        Normal(torch.zeros(1), -torch.ones(1))
