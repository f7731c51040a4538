"""What samples are drawn from: fitted to latents, chosen on held-out rows, a density model of its own, kept on disk."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal

from senzai.core.batch import Batch
from senzai.core.errors import BundleError, CombinationError, SettingError, UnknownNameError
from senzai.core.random import Noise
from senzai.distributions import FullNormalFamily, NormalFamily, NormalFixedFamily, draw
from senzai.distributions.numeric import positive_raw
from senzai.evaluation import likelihood_figures, log_likelihood
from senzai.models import Flat
from senzai.models.verbs import sample
from senzai.nn import MLPDecoder, MLPEncoder
from senzai.parts import FlowPrior, FullMixture, Likelihood, MixtureOfNormals, MovedPrior, Posterior, StandardNormal
from senzai.training import densities, mixtures, samplers
from senzai.training.checkpoint import save_tensors
from senzai.training.samplers import Samplers, codes_of, decide, fit_samplers, load_samplers, save_samplers
from senzai.training.settings import TrainSettings

SIGMA, SPREAD = 0.5, 0.1


def linear(spread=SPREAD, scale=SIGMA, d=2):
    """q(z | x) = N(x, spread²) and p(x | z) = N(z, scale²): the latents are the data."""
    family = NormalFamily()
    q = Posterior(MLPEncoder((d,), ()), family, d)
    p = Likelihood(MLPDecoder(d, (1, d), ()), NormalFixedFamily(scale=scale), (d,))
    with torch.no_grad():
        q.head.weight.copy_(torch.cat([torch.eye(d), torch.zeros(d, d)]))
        q.head.bias.copy_(torch.cat([torch.zeros(d), positive_raw(torch.full((d,), spread), family.floor)]))
        p.decoder.out.weight.copy_(torch.eye(d))
        p.decoder.out.bias.zero_()
    return Flat(StandardNormal(d), q, p).eval()


def clusters(n):
    centres = torch.tensor([[-2.0, 0.0], [2.0, 1.0], [0.0, -2.0]])
    return Batch(centres[torch.randint(3, (n,))] + 0.2 * torch.randn(n, 2))


def standard(n):
    return Batch((1 - SPREAD**2) ** 0.5 * torch.randn(n, 2))  # plus the posterior's own noise: N(0, 1)


def fixed(loc, covariance):
    """A full mixture of one component, set by hand."""
    prior = FullMixture(len(loc), n_components=1)
    tril = torch.linalg.cholesky(covariance)
    with torch.no_grad():
        prior.loc.copy_(loc)
        prior.log_diagonal.copy_((tril.diagonal() - 1e-4).log())
        rows, columns = torch.tril_indices(len(loc), len(loc), -1)
        prior.below.copy_(tril[rows, columns])
    return prior


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Short fits."""
    whole = densities.descend
    monkeypatch.setattr(densities, "descend", lambda *a, **k: whole(*a, **{**k, "steps": min(k["steps"], 100)}))


# --- choosing ---------------------------------------------------------------------------------------------------------
def test_clusters_choose_a_mixture_and_a_standard_normal_keeps_the_prior():
    model = linear()
    found = fit_samplers(model, clusters(1500), clusters(300), seed=1)
    assert found.chosen == "mixture"
    assert set(found.candidates) == {"prior", "mixture", "flow"}
    assert set(found.fitted) == {"mixture", "flow"}
    z = clusters(5000).tensor + SPREAD * torch.randn(5000, 2)
    parts = torch.stack([
        Normal(m, (0.2**2 + SPREAD**2) ** 0.5).log_prob(z).sum(-1)
        for m in torch.tensor([[-2.0, 0.0], [2.0, 1.0], [0.0, -2.0]])
    ])
    exact = (parts.logsumexp(0) - torch.tensor(3.0).log()).mean().item()
    assert found.fitted["mixture"]().log_prob(z).mean().item() == pytest.approx(exact, abs=0.1)
    assert found.candidates["mixture"]["log_density"] == pytest.approx(exact, abs=0.2)
    assert found.candidates["prior"]["log_density"] == pytest.approx(
        Normal(0.0, 1.0).log_prob(z).sum(-1).mean().item(), abs=0.3
    )
    assert "mixture" in found.why
    same = fit_samplers(model, standard(1500), standard(300), seed=1)
    assert same.chosen == "prior"
    assert "nothing fitted was clearly better" in same.why
    assert same.apply_to(model) is model


def test_a_gain_must_be_clear():
    facts = {"prior": {"gain": 0.0, "gain_se": 0.0}, "flow": {"gain": 1.0, "gain_se": 0.4}}
    assert decide(facts)[0] == "flow"
    assert decide({**facts, "mixture": {"gain": 1.1, "gain_se": 0.6}})[0] == "flow"  # larger, but not clear
    assert decide({**facts, "mixture": {"gain": 1.1, "gain_se": 0.5}})[0] == "mixture"
    assert decide({"prior": {"gain": 0.0, "gain_se": 0.0}, "flow": {"gain": -1.0, "gain_se": 0.1}})[0] == "prior"


@pytest.mark.parametrize(
    ("n", "held", "steps", "said"),
    [(99, 300, 500, "99 and 300"), (600, 19, 500, "600 and 19"), (600, 60, 199, "after 200 steps")],
)
def test_what_is_not_worth_while_is_said(n, held, steps, said):
    found = fit_samplers(linear(), clusters(n), clusters(held), steps=steps)
    assert said in found.why
    assert not found.fitted
    assert fit_samplers(linear(), clusters(9), None, sampler="none").names == ("prior",)


def test_few_rows_choose_between_the_prior_and_a_mixture():
    found = fit_samplers(linear(), clusters(240), clusters(30), seed=1)
    assert (found.chosen, set(found.fitted)) == ("mixture", {"mixture"})
    assert "a flow is tried from 500 training rows on" in found.why
    assert fit_samplers(linear(), standard(240), standard(30), seed=1).chosen == "prior"


def test_a_flow_is_held_in_proportion_to_the_training(monkeypatch):
    """Steps of the flow by the budget; too few are none, which is said; asked for by name it is fitted in full."""
    steps = []
    monkeypatch.setattr(densities, "descend", lambda *a, **k: steps.append(k["steps"]))
    model, train, held = linear(), clusters(600), clusters(60)
    price = 8e-3 + 2 * 8e-4
    for share in (100, 10, 1e9):
        found = fit_samplers(model, train, held, work=price * share / 0.3 * 1.001)
        assert ("would take too long" in found.why) == (share == 10)
    fit_samplers(model, train, held, work=0.0, sampler="flow")
    assert steps == [100, 150, 150]
    n = sum(p.numel() for p in model.parameters())
    assert samplers.training_work(model, 64, 1000) == pytest.approx(1000 * (2e-3 + 2e-10 * 64 * n))


def test_a_fit_ends_when_held_out_codes_gain_nothing(monkeypatch):
    """Looks at which the score no longer falls: the fit ends after two of them and keeps the best weights."""
    looked = []

    def loss(prior, codes):
        if not prior.training:
            looked.append(prior.logits[0].item())
        return (prior.logits[0] + len(looked)) * torch.ones(len(codes))  # falls by steps, rises by looks

    prior = MixtureOfNormals(2, n_components=2)
    densities.descend(prior, loss, codes_of(linear(), clusters(60), seed=0), seed=0, steps=80, lr=0.01)
    assert len(looked) == 3  # the first is the best
    assert prior.logits[0].item() == looked[0]


def test_more_components_are_tried_as_long_as_they_help(monkeypatch):
    tried, whole = [], mixtures.em

    def em(z, n, form, seed, start=None):
        tried.append((n, form, start is not None))
        return whole(z, n, form, seed, start)

    monkeypatch.setattr(mixtures, "em", em)
    z = torch.randn(2000, 2, generator=torch.Generator().manual_seed(0))
    prior = densities.fitted("mixture", densities.PosteriorDraws(z), 0)
    form = "full" if isinstance(prior, FullMixture) else "diag"
    assert tried[-1] == (len(prior.logits), form, True)  # the winner goes on from where it was
    assert (40, "diag", False) not in tried  # of one normal, many parts are no better
    gain = prior().log_prob(z).mean() - Normal(0.0, 1.0).log_prob(z).sum(-1).mean()
    assert -0.02 < gain.item() < 0.05


def test_one_that_was_asked_for_is_taken():
    found = fit_samplers(linear(), clusters(60), None, sampler="mixture", steps=1)
    assert found.chosen == "mixture"
    assert "asked for" in found.why
    aggregate = fit_samplers(linear(), batch := clusters(50), batch, sampler="aggregate")
    z = torch.randn(7, 2)
    direct = linear().posterior(batch).log_prob(z.unsqueeze(1)).logsumexp(1) - torch.tensor(50.0).log()
    torch.testing.assert_close(aggregate.fitted["aggregate"]().log_prob(z), direct, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["flow", "flow_matching", "two_stage"])
def test_every_fit_finds_a_normal_and_is_the_same_again(name):
    codes = densities.PosteriorDraws(5 + torch.randn(600, 2) * torch.tensor([0.5, 3.0]))
    one, again = (densities.fitted(name, codes, 3) for _ in range(2))
    other = densities.PosteriorDraws(5 + torch.randn(2000, 2) * torch.tensor([0.5, 3.0]))
    exact = Normal(torch.tensor([5.0, 5.0]), torch.tensor([0.5, 3.0])).log_prob(other.z).sum(-1)
    with torch.no_grad():
        found, twice = (densities.rows_of_log_prob(p, other) for p in (one, again))
    assert torch.equal(found, twice)
    assert (found - exact).mean().abs() < 0.15
    assert isinstance(one, MovedPrior)


def test_a_flow_is_told_the_condition():
    c = torch.eye(2)[torch.randint(2, (800,))]
    codes = densities.PosteriorDraws(c @ torch.tensor([[-3.0], [3.0]]) + 0.3 * torch.randn(800, 1), c)
    prior = densities.fitted("flow", codes, 0)
    drawn = draw(prior(torch.eye(2)[[0] * 50 + [1] * 50]), (), grad=False)
    assert (drawn[:50] < 0).double().mean() > 0.95
    assert (drawn[50:] > 0).double().mean() > 0.95


def test_the_search_decides_form_and_number():
    noise = torch.randn(900, 2)
    tilted = densities.PosteriorDraws(torch.stack([noise[:, 0], 0.95 * noise[:, 0] + 0.3 * noise[:, 1]], 1))
    assert isinstance(densities.fitted("mixture", tilted, 0), FullMixture)
    prior = densities.fitted("mixture", densities.PosteriorDraws(clusters(900).tensor), 0)
    assert 3 <= len(prior.logits) <= 10
    flat = densities.PosteriorDraws(torch.cat([noise, torch.ones(900, 1)], 1))  # a latent that never moves
    assert densities.fitted("mixture", flat, 0)().log_prob(flat.z).isfinite().all()


# --- a density model --------------------------------------------------------------------------------------------------
def test_the_likelihood_under_a_sampler_is_that_of_its_own_model():
    """With p_new(z) = N(m, S) the evidence is N(x; m, S + σ²), whatever the posterior proposes."""
    model = linear(spread=0.6, scale=0.5)
    loc, covariance = torch.tensor([1.0, -0.5]), torch.tensor([[1.5, 0.4], [0.4, 0.6]])
    other = model.with_prior(fixed(loc, covariance))
    exact = MultivariateNormal(loc, covariance + 0.25 * torch.eye(2))
    batch = Batch(exact.sample((200,)))
    estimate = log_likelihood(other, batch, k=4000, seed=0)
    gap = estimate.per_row - exact.log_prob(batch.tensor)
    assert gap.abs().max() < 0.2
    assert gap.mean().abs() < 5 * estimate.mean_monte_carlo_se + 1e-3
    figures = likelihood_figures(other, batch, k=4000, seed=0)
    assert figures["log_likelihood"] == pytest.approx(estimate.mean, abs=1e-9)
    assert figures["elbo"] < figures["log_likelihood"]
    assert figures["log_likelihood"] - log_likelihood(model, batch, k=4000).mean > 0.1  # the prior is another model
    drawn = sample(other, 20_000, seed=0)
    assert ((drawn.mean(0) - loc).abs() < 5 * drawn.std(0) / 20_000**0.5).all()
    torch.testing.assert_close(torch.cov(drawn.T), covariance + 0.25 * torch.eye(2), rtol=0, atol=0.06)


def test_a_fitted_mixture_is_the_exact_aggregate_posterior_of_normal_data():
    model = linear()
    tilt = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    found = fit_samplers(model, Batch(1 + torch.randn(4000, 2) @ tilt), None, sampler="mixture", seed=0)
    exact = MultivariateNormal(torch.ones(2), tilt.T @ tilt + SPREAD**2 * torch.eye(2))
    z = exact.sample((3000,))
    gap = exact.log_prob(z) - found.fitted["mixture"]().log_prob(z)
    assert gap.mean().abs() < 0.03


def test_posterior_and_likelihood_are_shared_and_widths_checked():
    model = linear()
    other = model.with_prior(MixtureOfNormals(2))
    assert other.posterior is model.posterior
    assert other.likelihood is model.likelihood
    assert not other.training
    with pytest.raises(CombinationError, match="latents of the shape"):
        model.with_prior(StandardNormal(3))





def test_latents_that_are_no_real_vectors_are_left_alone(monkeypatch):
    model = linear()
    assert samplers.is_real(model.posterior(clusters(2)))
    assert samplers.is_real(FlowPrior(2)())
    assert not samplers.is_real(torch.distributions.Beta(torch.ones(2), torch.ones(2)))
    monkeypatch.setattr(samplers, "is_real", lambda q: False)
    with pytest.raises(CombinationError, match="another support"):
        codes_of(model, clusters(3), seed=0)
    found = fit_samplers(model, clusters(600), clusters(60))
    assert found.chosen == "prior"
    assert "another support" in found.why


def test_what_cannot_be_fitted_is_said(monkeypatch):
    def broken(codes, seed, **how):
        raise CombinationError("it did not stay finite. Never mind.")

    monkeypatch.setitem(densities.SAMPLERS, "flow", broken)
    found = fit_samplers(linear(), clusters(600), clusters(60))
    assert found.chosen == "mixture"
    assert "flow could not be fitted: it did not stay finite" in found.why
    forced = fit_samplers(linear(), clusters(600), clusters(60), sampler="flow")
    assert forced.chosen == "prior"
    assert "could not be fitted" in forced.why
    codes = densities.PosteriorDraws(torch.zeros(9, 2))
    with pytest.raises(CombinationError, match="finite"):
        densities.descend(FlowPrior(2), lambda p, c: torch.full((len(c),), torch.nan), codes, seed=0, steps=2, lr=1)


# --- on disk ----------------------------------------------------------------------------------------------------------
def made(sampler="mixture"):
    model = linear()
    return model, fit_samplers(model, clusters(600), clusters(60), sampler=sampler, seed=0)


def test_what_is_saved_is_what_is_loaded(tmp_path):
    model, found = made("auto")
    save_samplers(tmp_path, found, model)
    again = load_samplers(tmp_path, model)
    assert again.facts() == found.facts()
    assert again.names == found.names
    z = torch.randn(9, 2)
    for name in ("mixture", "flow"):
        assert torch.equal(again.fitted[name]().log_prob(z), found.fitted[name]().log_prob(z))
        a, b = (draw(s.fitted[name](), (5,), grad=False, noise=Noise.seeded(0)) for s in (again, found))
        assert torch.equal(a, b)
    before = (tmp_path / samplers.FILE).read_bytes()
    save_samplers(tmp_path, again, model)
    assert len((tmp_path / samplers.FILE).read_bytes()) == len(before)
    assert [p.name for p in tmp_path.iterdir()] == [samplers.FILE]
    save_samplers(tmp_path, Samplers(), model)  # a longer run that has none leaves no old ones behind
    assert list(tmp_path.iterdir()) == []


def test_samplers_of_other_weights_are_not_used(tmp_path):
    model, found = made()
    save_samplers(tmp_path, found, model)
    with torch.no_grad():
        model.posterior.head.bias.add_(1e-3)
    other = load_samplers(tmp_path, model)
    assert other.chosen == "prior"
    assert not other.fitted
    assert "other weights" in other.why


def test_damaged_files_are_named(tmp_path):
    model, found = made()
    (tmp_path / samplers.FILE).write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    with pytest.raises(BundleError, match=samplers.FILE):
        load_samplers(tmp_path, model)
    for facts in ("{", "{}", '{"format": "senzai-samplers-99"}'):
        save_tensors(tmp_path / samplers.FILE, {"a": torch.zeros(1)}, {"facts": facts})
        with pytest.raises(BundleError, match="cannot be read"):
            load_samplers(tmp_path, model)
    save_samplers(tmp_path, found, model)
    tensors, metadata = samplers.load_tensors(tmp_path / samplers.FILE)
    save_tensors(tmp_path / samplers.FILE, tensors, {**metadata, "facts": metadata["facts"].replace("mixture", "vamp")})
    with pytest.raises(BundleError, match="cannot be read"):
        load_samplers(tmp_path, model)


def test_names_are_suggested():
    with pytest.raises(UnknownNameError, match=r"Did you mean 'prior'\? It has auto, prior"):
        Samplers().resolve("priro")
    assert Samplers().resolve("auto") == "prior"


def test_a_posterior_with_full_covariance_has_no_diagonal_aggregate():
    q = Posterior(MLPEncoder((2,), (4,)), FullNormalFamily(), 2)
    model = Flat(StandardNormal(2), q, linear().likelihood)
    with pytest.raises(CombinationError, match="diagonal normals"):
        densities.aggregate(model, clusters(5))


def test_samplers_that_can_be_asked_for_are_those_that_are_registered(monkeypatch):
    for name in ("auto", "none", *densities.SAMPLERS):
        assert TrainSettings.parse({"sampler": name}).sampler == name
    with pytest.raises(SettingError, match="a sampler is one of auto, none, mixture"):
        TrainSettings.parse({"sampler": "mixtures"})
    monkeypatch.setitem(densities.SAMPLERS, "own", densities.mixture)
    assert TrainSettings.parse({"sampler": "own"}).sampler == "own"
    found = fit_samplers(linear(), clusters(300), clusters(60), sampler="own")
    assert found.chosen == "own"
