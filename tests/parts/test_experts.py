"""Experts of several modalities: where the product of exact experts is the posterior, every bound is the evidence."""

from __future__ import annotations

from dataclasses import replace
from math import log

import pytest
import torch
from torch.distributions import Independent, MultivariateNormal, Normal

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError, SettingError
from senzai.core.random import Noise, using
from senzai.distributions import FullNormalFamily, NormalFamily
from senzai.models import Flat
from senzai.nn import MLPEncoder
from senzai.objectives import ELBO, ModalBound
from senzai.objectives.modalities import only_with
from senzai.parts import AnyLikelihood, AnyPosterior, Experts, JointExperts, ModalLikelihood, Posterior, StandardNormal
from senzai.parts.base import diagonal

WIDTHS = {"a": 4, "b": 3, "c": 5}
D = 2


class Exact(AnyPosterior):
    """What one view x = A z + noise says of z: a normal about the least-squares solution; columns are orthogonal."""

    def __init__(self, a: torch.Tensor, sigma: float) -> None:
        super().__init__()
        self.a, self.sigma, self.event = torch.nn.Parameter(a), sigma, (a.shape[1],)

    def example(self):
        return diagonal(torch.zeros(1, D), torch.ones(1, D))

    def forward(self, batch):
        gram = self.a.square().sum(0)
        return diagonal(batch.tensor @ self.a / gram, (self.sigma / gram.sqrt()).expand(len(batch), -1))


class View(AnyLikelihood):
    def __init__(self, a: torch.Tensor, sigma: float) -> None:
        super().__init__()
        self.a, self.sigma, self.event = torch.nn.Parameter(a), sigma, (len(a),)

    def forward(self, z, c=None):
        return Independent(Normal(z @ self.a.T, self.sigma), 1)


@pytest.fixture(scope="module")
def views():
    g = torch.Generator().manual_seed(0)
    found = {}
    for i, (name, n) in enumerate(WIDTHS.items()):
        q, _ = torch.linalg.qr(torch.randn(n, D, generator=g, dtype=torch.float64))
        found[name] = (q * torch.tensor([1.5, 0.7]) * (i + 1), 0.5 + 0.3 * i)
    return found


@pytest.fixture(scope="module")
def batch(views):
    g = torch.Generator().manual_seed(1)
    z = torch.randn(7, D, generator=g, dtype=torch.float64)
    x = {n: z @ a.T + s * torch.randn(7, len(a), generator=g, dtype=torch.float64) for n, (a, s) in views.items()}
    x["b"][2] = torch.nan
    x["c"][4] = torch.nan
    rows = torch.arange(7)
    return Batch(x, present={"b": rows != 2, "c": rows != 4})


def joined(views, **settings) -> Flat:
    experts = Experts({n: Exact(a, s) for n, (a, s) in views.items()}, **settings)
    return Flat(StandardNormal(D).double(), experts, ModalLikelihood({n: View(a, s) for n, (a, s) in views.items()}))


def evidence(views, batch: Batch) -> torch.Tensor:
    """Log density of the views that each row has, by the joint normal of all of them."""
    found = []
    for i in range(len(batch)):
        names = [n for n in views if batch.present is None or n not in batch.present or batch.present[n][i]]
        if not names:
            found.append(torch.zeros((), dtype=torch.float64))
            continue
        a = torch.cat([views[n][0] for n in names])
        noise = torch.cat([torch.full((len(views[n][0]),), views[n][1] ** 2, dtype=torch.float64) for n in names])
        x = torch.cat([batch.x[n][i] for n in names])
        found.append(MultivariateNormal(torch.zeros_like(x), a @ a.T + torch.diag(noise)).log_prob(x))
    return torch.stack(found)


# --- closed forms -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("names", [("a", "b", "c"), ("a",), ("b", "c"), ()], ids="-".join)
def test_the_product_of_exact_experts_and_the_prior_is_the_posterior_so_that_every_draw_weighs_the_evidence(
    views, batch, names
):
    model, some = joined(views).eval(), only_with(batch, names)
    with using(Noise.seeded(3)):
        log_w = model.infer(some, 5).log_w
    torch.testing.assert_close(log_w, evidence(views, some).expand(5, -1), rtol=0, atol=1e-9)


def test_without_the_prior_as_an_expert_the_product_is_not_the_posterior(views, batch):
    with using(Noise.seeded(3)):
        bound = joined(views, prior_expert=False).eval().infer(batch, 4000).log_w.mean(0)
    assert bool((bound < evidence(views, batch) - 1e-3).all())


@pytest.mark.parametrize("combine", ["mixture", "mixture_of_products"])
def test_a_mixture_is_a_proposal_for_the_evidence_in_every_row(views, batch, combine):
    model = joined(views, combine=combine, prior_expert=True).eval()
    with using(Noise.seeded(3)), torch.no_grad():
        seen = model.infer(batch, 4000)
    torch.testing.assert_close(seen.bound(), evidence(views, batch), rtol=0, atol=0.05)
    assert bool((seen.average(seen.log_w) < evidence(views, batch)).all())


def test_the_density_of_a_mixture_of_products_is_the_mean_over_the_subsets_that_a_row_has(views, batch):
    model = joined(views, combine="mixture_of_products").eval()
    z = torch.randn(3, 7, D, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    found = model.posterior(batch).log_prob(z)
    subsets = [("a",), ("b",), ("c",), ("a", "b"), ("a", "c"), ("b", "c"), ("a", "b", "c")]
    for i in range(7):
        have = {n for n in WIDTHS if n not in batch.present or batch.present[n][i]}
        parts = []
        for s in (s for s in subsets if have.issuperset(s)):
            precision = 1 + sum(views[n][0].square().sum(0) / views[n][1] ** 2 for n in s)
            loc = sum(batch.x[n][i] @ views[n][0] / views[n][1] ** 2 for n in s) / precision
            parts.append(diagonal(loc, precision.rsqrt()).log_prob(z[:, i]))
        expected = torch.logsumexp(torch.stack(parts), 0) - log(len(parts))
        torch.testing.assert_close(found[:, i], expected, rtol=0, atol=1e-9)


def test_draws_from_one_component_at_random_have_the_mean_of_draws_from_all(views, batch):
    model = joined(views, combine="mixture_of_products")
    with torch.no_grad(), using(Noise.seeded(5)):
        one = model.train().infer(batch, 20000)
        every = model.eval().infer(batch, 3000)
    assert one.log_mix is None
    assert len(every.log_w) == 3000 * 7
    torch.testing.assert_close(one.log_w.mean(0), every.average(every.log_w), rtol=0.02, atol=0.15)


def test_weights_of_draws_add_up_and_what_a_row_lacks_weighs_nothing(views, batch):
    seen = joined(views, combine="mixture").eval().infer(batch, 2)
    weights = seen.log_mix.exp().view(2, 3, 7).sum(0)
    torch.testing.assert_close(weights.sum(0), torch.ones(7, dtype=torch.float64))
    assert weights[:, 2].tolist() == pytest.approx([0.5, 0.0, 0.5])


def test_the_point_of_a_mixture_of_products_is_that_of_the_product_of_all_that_a_row_has(views, batch):
    with using(Noise(point=True)):
        (point,) = joined(views, combine="mixture_of_products").eval().infer(batch).latents()
        (whole,) = joined(views).eval().infer(batch).latents()
    torch.testing.assert_close(point, whole)


# --- private latents --------------------------------------------------------------------------------------------------
def test_private_latents_of_other_modalities_follow_the_prior_and_are_seen_by_their_own_alone():
    torch.manual_seed(0)
    experts = {n: Posterior(MLPEncoder((w,), (8,)), NormalFamily(), 3) for n, w in WIDTHS.items()}
    posterior = Experts(experts, combine="mixture", private=1).eval()
    batch = Batch({n: torch.randn(4, w) for n, w in WIDTHS.items()})
    loc, scale, _ = posterior.components(batch)
    assert loc.shape == (3, 4, 5)
    for m, name in enumerate(WIDTHS):
        own = experts[name](batch.part(name))
        torch.testing.assert_close(loc[m, :, [0, 1, 2 + m]], own.base_dist.loc)
        others = [2 + j for j in range(3) if j != m]
        assert bool((loc[m][:, others] == 0).all())
        assert bool((scale[m][:, others] == 1).all())
    likelihood = ModalLikelihood({n: Echo(w) for n, w in WIDTHS.items()}, private=1)
    seen = likelihood(torch.arange(5.0).expand(1, 5)).parts
    assert [seen[n].base_dist.loc[0, :3].tolist() for n in WIDTHS] == [[0, 1, 2], [0, 1, 3], [0, 1, 4]]


class Echo(AnyLikelihood):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.event = (n,)

    def forward(self, z, c=None):
        return Independent(Normal(z, 1.0), 1)


# --- reductions -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("combine", ["product", "mixture", "mixture_of_products"])
def test_one_modality_is_the_plain_autoencoder(combine):
    torch.manual_seed(0)
    own = Posterior(MLPEncoder((4,), (8,)), NormalFamily(), 2)
    view = View(torch.randn(4, 2), 0.5)
    many = Flat(StandardNormal(2), Experts({"a": own}, combine=combine), ModalLikelihood({"a": view}))
    plain = Flat(StandardNormal(2), own, view)
    x = torch.randn(5, 4)
    with using(Noise.seeded(1)):
        a = ModalBound()(many, Batch({"a": x}), 0)
    with using(Noise.seeded(1)):
        b = ELBO()(plain, Batch(x), 0)
    torch.testing.assert_close(a.loss, b.loss, rtol=1e-5, atol=1e-5)


def test_a_joint_posterior_is_taken_where_a_row_has_everything_and_the_experts_where_not(views, batch):
    torch.manual_seed(0)

    class Joint(Exact):
        def forward(self, batch):
            nine = torch.full((len(batch), D), 9.0, dtype=torch.float64)
            return diagonal(nine, torch.full_like(nine, 0.1))

    a, s = views["a"]
    model = JointExperts({n: Exact(a, s) for n, (a, s) in views.items()}, Joint(a, s))
    found, product = model(batch).base_dist, joined(views).posterior(batch).base_dist
    whole = [i for i in range(7) if i not in (2, 4)]
    assert bool((found.loc[whole] == 9).all())
    assert bool((found.scale[whole].float() == 0.1).all())
    torch.testing.assert_close(found.loc[[2, 4]], product.loc[[2, 4]])
    torch.testing.assert_close(found.scale[[2, 4]], product.scale[[2, 4]])


# --- the bound --------------------------------------------------------------------------------------------------------
def test_single_modalities_and_subsets_are_scored_as_rows_that_have_nothing_else(views, batch):
    model = joined(views).eval()  # with exact posteriors the loss of each is its evidence, whatever is drawn
    found = ModalBound(weigh="none", subsets=0)(model, batch, 0)
    parts = [batch, *(only_with(batch, (n,)) for n in WIDTHS)]
    expected = -torch.stack([evidence(views, p) for p in parts]).mean(0)
    torch.testing.assert_close(found.loss.mean(), expected.mean(), rtol=0.2, atol=0)
    exact = [model.infer(p).log_w[0] for p in parts]
    for got, want in zip(exact, parts, strict=True):
        torch.testing.assert_close(got, evidence(views, want), rtol=0, atol=1e-9)


def test_weights_go_by_the_size_of_a_modality_and_keep_the_sum(views):
    weights = ModalBound().weights(joined(views))
    assert {n: w * WIDTHS[n] for n, w in weights.items()} == pytest.approx(dict.fromkeys(WIDTHS, 4.0))


def test_the_total_correlation_bound_by_hand(views, batch):
    model = joined(views).eval()
    with using(Noise.seeded(1)):
        found = ModalBound(weigh="none", correlation=0.8, beta=0.5)(model, batch, 0)
    with using(Noise.seeded(1)):
        seen = model.infer(batch)
    q, there = seen.groups[0].q, torch.tensor([3.0, 3, 2, 3, 2, 3, 3])
    kl = torch.distributions.kl_divergence
    prior = kl(q.base_dist, Normal(torch.zeros(()).double(), 1.0)).sum(1)
    pull = torch.zeros(7, dtype=torch.float64)
    for name, single in model.posterior.singles(batch).items():
        seen_here = batch.present.get(name, torch.ones(7, dtype=torch.bool))
        pull += torch.where(seen_here, kl(q.base_dist, single.base_dist).sum(1), 0.0)
    expected = (1 - 0.8 / there) * -seen.log_lik[0] + 0.5 * (0.2 * prior + 0.8 / there * pull)
    torch.testing.assert_close(found.loss, expected, rtol=0, atol=1e-6)


def test_the_pull_of_experts_adds_what_it_says(views, batch):
    model = joined(views).eval()
    with using(Noise(point=True)):
        plain, pulled = (ModalBound(weigh="none", to_experts=w)(model, batch, 0) for w in (0.0, 0.3))
    gap = (pulled.loss - plain.loss) / 0.3
    q = model.posterior(batch).base_dist
    expected = torch.zeros(7, dtype=torch.float64)
    for name, single in model.posterior.singles(batch).items():
        own = torch.distributions.kl_divergence(q, single.base_dist).sum(1)
        expected += torch.where(batch.present.get(name, torch.ones(7, dtype=torch.bool)), own, 0.0)
    torch.testing.assert_close(gap, expected, rtol=1e-6, atol=1e-6)


# --- refusals ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("settings", "says"), [
    ({"combine": "sum"}, "a product, a mixture or a mixture_of_products"),
    ({"private": 2}, "0 <= private < 2"),
])
def test_what_cannot_be_joined_is_refused(views, settings, says):
    with pytest.raises(SettingError, match=says):
        joined(views, **settings)


def test_experts_that_are_no_diagonal_normals_or_of_other_widths_are_refused(views):
    def expert(family, n):
        return Posterior(MLPEncoder((4,), (8,)), family, n)

    with pytest.raises(CombinationError, match="multiplied as diagonal normals"):
        Experts({"a": expert(FullNormalFamily(), 2)})
    with pytest.raises(CombinationError, match="have the widths a 2, b 3"):
        Experts({"a": expert(NormalFamily(), 2), "b": expert(NormalFamily(), 3)})
    with pytest.raises(SettingError, match="got none"):
        Experts({})
    with pytest.raises(SettingError, match="up to 8 modalities"):
        Experts({str(i): expert(NormalFamily(), 2) for i in range(9)}, combine="mixture_of_products")


def test_the_pull_between_experts_needs_some_with_a_closed_form(views, batch):
    plain = Flat(StandardNormal(2), Posterior(MLPEncoder((4,), (8,)), NormalFamily(), 2), View(torch.randn(4, 2), 1.0))
    with pytest.raises(CombinationError, match="share one group of latents"):
        ModalBound().check(plain)
    with pytest.raises(CombinationError, match="is a mixture"):
        ModalBound(correlation=0.5)(joined(views, combine="mixture").eval(), batch, 0)


def test_a_row_with_nothing_has_the_prior(views, batch):
    blank = replace(batch, present={n: torch.zeros(7, dtype=torch.bool) for n in WIDTHS})
    for combine in ("product", "mixture", "mixture_of_products"):
        q = joined(views, combine=combine).posterior(blank)
        torch.testing.assert_close(q.mean, torch.zeros(7, D, dtype=torch.float64))
        torch.testing.assert_close(q.stddev, torch.ones(7, D, dtype=torch.float64))
