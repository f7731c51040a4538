"""Hierarchies whose evidence is known exactly: everything linear and normal."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError
from senzai.core.random import Noise, using
from senzai.distributions import FullNormalFamily, NormalFamily, NormalFixedFamily
from senzai.distributions.numeric import positive_raw
from senzai.models import Flat, Stacked, TopDown
from senzai.nn import LevelFeatures, MLPDecoder, MLPEncoder
from senzai.objectives import ELBO
from senzai.parts import Concatenated, Conditional, Likelihood, Merged, Posterior, StandardNormal
from senzai.parts.base import diagonal
from senzai.parts.conditionals import merged

sys.path.insert(0, str(Path(__file__).parent))
import tiny_models as zoo

FLOOR = NormalFamily().floor
D, N = 4, 6


@pytest.fixture(autouse=True)
def in_double_precision():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@dataclass(frozen=True)
class Hierarchy:
    """z2 ~ N(0, I); z1 = A z2 + a + s noise; x = W z1 + b + r noise; two latents on each level, four columns."""

    A: Tensor
    a: Tensor
    s: Tensor
    W: Tensor
    b: Tensor
    r: Tensor

    @property
    def codes(self) -> MultivariateNormal:
        return MultivariateNormal(self.a, self.A @ self.A.T + torch.diag(self.s.square()))

    @property
    def evidence(self) -> MultivariateNormal:
        C = self.codes
        return MultivariateNormal(self.W @ C.loc + self.b, self.W @ C.covariance_matrix @ self.W.T
                                  + torch.diag(self.r.square()))

    def likelihood(self) -> Likelihood:
        made = Likelihood(MLPDecoder(2, (1, D), ()), NormalFamily(), (D,), shared=("scale",))
        with torch.no_grad():
            made.decoder.out.weight.copy_(self.W)
            made.decoder.out.bias.zero_()
            made.bias[0].copy_(self.b)
            made.bias[1].copy_(positive_raw(self.r, FLOOR))
        return made

    def transition(self) -> Conditional:
        return diagonal_conditional(self.A, self.a, self.s)


def diagonal_conditional(A, a, s) -> Conditional:
    n_out, n_in = A.shape
    made = Conditional(n_in, n_out, NormalFamily())
    with torch.no_grad():
        made.head.weight.zero_()
        made.head.weight[:n_out].copy_(A)
        made.head.bias.copy_(torch.cat([a, positive_raw(s, FLOOR)]))
    return made


def set_full(head, loc, offset, covariance):
    """Let a head of a full normal give loc @ input + offset with one covariance."""
    d = len(offset)
    tril = torch.linalg.cholesky(covariance)
    rows, columns = torch.tril_indices(d, d, -1)
    with torch.no_grad():
        head.weight.zero_()
        head.weight[:d].copy_(loc)
        head.bias.copy_(torch.cat([offset, positive_raw(tril.diagonal(), FLOOR), tril[rows, columns]]))


def conditioned(prior: MultivariateNormal, G: Tensor, g: Tensor, noise: Tensor):
    """Posterior of v ~ prior after u = G v + g + noise: slope on u, offset, covariance."""
    precision = torch.linalg.inv(prior.covariance_matrix) + G.T @ torch.diag(noise.square().reciprocal()) @ G
    covariance = torch.linalg.inv(precision)
    slope = covariance @ G.T @ torch.diag(noise.square().reciprocal())
    offset = covariance @ torch.linalg.inv(prior.covariance_matrix) @ prior.loc - slope @ g
    return slope, offset, covariance


def encoder():
    return MLPEncoder((D,), ())


def top_down(h: Hierarchy) -> TopDown:
    """Concatenated rungs with exact posteriors: z2 after x, then z1 after x and z2."""
    standard = MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())
    noise = h.W @ torch.diag(h.s.square()) @ h.W.T + torch.diag(h.r.square())
    precision = torch.eye(2).double() + (h.W @ h.A).T @ torch.linalg.inv(noise) @ (h.W @ h.A)
    covariance = torch.linalg.inv(precision)
    slope = covariance @ (h.W @ h.A).T @ torch.linalg.inv(noise)
    posterior = Posterior(encoder(), FullNormalFamily(), 2)
    set_full(posterior.head, slope, -slope @ (h.W @ h.a + h.b), covariance)
    given = MultivariateNormal(torch.zeros(2).double(), torch.diag(h.s.square()))
    on_x, offset, below = conditioned(given, h.W, h.b, h.r)
    keep = below @ torch.diag(h.s.square().reciprocal())
    recognition = Conditional(D + 2, 2, FullNormalFamily())
    set_full(recognition.head, torch.cat([on_x, keep @ h.A], 1), offset + keep @ h.a, below)
    rung = Concatenated(h.transition(), recognition)
    assert standard.loc.shape == (2,)
    return TopDown(StandardNormal(2), posterior, LevelFeatures(encoder()), (rung,), h.likelihood()).double()


def stacked(h: Hierarchy) -> Stacked:
    """Bottom-up with exact posteriors: z1 after x, then z2 after z1."""
    posterior = Posterior(encoder(), FullNormalFamily(), 2)
    set_full(posterior.head, *conditioned(h.codes, h.W, h.b, h.r))
    above = Posterior(MLPEncoder((2,), ()), FullNormalFamily(), 2)
    standard = MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())
    set_full(above.head, *conditioned(standard, h.A, h.a, h.s))
    codes = Likelihood(MLPDecoder(2, (1, 2), ()), NormalFamily(), (2,), shared=("scale",))
    with torch.no_grad():
        codes.decoder.out.weight.copy_(h.A)
        codes.decoder.out.bias.zero_()
        codes.bias[0].copy_(h.a)
        codes.bias[1].copy_(positive_raw(h.s, FLOOR))
    return Stacked(posterior, h.likelihood(), Flat(StandardNormal(2), above, codes)).double()


def ladder(h: Hierarchy) -> TopDown:
    """Merged rungs: orthogonal columns and a diagonal A make posteriors diagonal, and merging is Bayes' rule."""
    r = h.r[0]
    squares = h.W.square().sum(0)  # what x says of z1: W'(x - b) / |w|^2 with noise r / |w|
    says = h.W.T / squares.unsqueeze(1)
    recognition = diagonal_conditional(says, -says @ h.b, r / squares.sqrt())
    a = h.A.diagonal()
    noise = (h.s.square() + r.square() / squares).sqrt()
    variance = 1 / (1 + (a / noise).square())
    slope = (variance * a / noise.square()).unsqueeze(1) * says
    posterior = Posterior(encoder(), NormalFamily(), 2)
    with torch.no_grad():
        posterior.head.weight.zero_()
        posterior.head.weight[:2].copy_(slope)
        offset = -slope @ h.b - variance * a / noise.square() * h.a
        posterior.head.bias.copy_(torch.cat([offset, positive_raw(variance.sqrt(), FLOOR)]))
    return TopDown(
        StandardNormal(2), posterior, LevelFeatures(encoder()), (Merged(h.transition(), recognition),), h.likelihood()
    ).double()


@pytest.fixture
def general():
    g = torch.Generator().manual_seed(3)
    A, a, W, b = (torch.randn(s, generator=g).double() for s in ((2, 2), (2,), (D, 2), (D,)))
    return Hierarchy(A, a, torch.tensor([0.7, 1.2]).double(), W, b, 0.5 + torch.rand(D, generator=g).double())


@pytest.fixture
def orthogonal():
    g = torch.Generator().manual_seed(4)
    W = torch.linalg.qr(torch.randn(D, 2, generator=g).double()).Q * torch.tensor([1.5, 0.8]).double()
    a, b = torch.randn(2, generator=g).double(), torch.randn(D, generator=g).double()
    A = torch.diag(torch.tensor([1.3, -0.6]).double())
    return Hierarchy(A, a, torch.tensor([0.7, 1.2]).double(), W, b, torch.full((D,), 0.6).double())


CASES = {"concatenated": (top_down, "general"), "bottom_up": (stacked, "general"), "ladder": (ladder, "orthogonal")}


@pytest.fixture(params=CASES)
def case(request):
    build, kind = CASES[request.param]
    h = request.getfixturevalue(kind)
    return h, build(h)


def test_with_exact_posteriors_every_draw_weighs_the_evidence(case):
    h, model = case
    x = h.evidence.sample((N,))
    seen = model.infer(Batch(x), 3)
    torch.testing.assert_close(seen.log_w, h.evidence.log_prob(x).expand(3, N), rtol=0, atol=1e-8)


def test_with_other_posteriors_the_bound_is_below_and_weights_are_unbiased(case):
    h, model = case
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "posterior" in name and name.endswith("head.bias"):
                p[:2] += 0.3
                p[2:4] += 0.4
    x = h.evidence.sample((N,))
    with torch.no_grad(), using(Noise.seeded(0)):
        log_w = model.infer(Batch(x), 40_000).log_w
    exact = h.evidence.log_prob(x)
    assert (log_w.mean(0) < exact).all()
    weight = (log_w - exact).exp()
    assert ((weight.mean(0) - 1).abs() < 5 * weight.std(0) / 200).all()


def test_the_elbo_uses_closed_rates_only_where_they_are_valid(case):
    """With exact posteriors distortion plus rates must average to minus the evidence, whichever way rates are taken."""
    h, model = case
    x = h.evidence.sample((3,))
    with torch.no_grad(), using(Noise.seeded(0)):
        seen = model.infer(Batch(x), 60_000)
        terms = -seen.log_lik
        for g in seen.groups:
            terms = terms + g.rate()
    error = terms.std(0) / 60_000**0.5
    assert ((terms.mean(0) + h.evidence.log_prob(x)).abs() < 5 * error + 1e-9).all()


def test_only_the_lower_group_of_a_bottom_up_model_has_no_closed_rate(general, orthogonal):
    x = Batch(general.evidence.sample((N,)))
    closed = {g.name: g.closed is not None for g in stacked(general).infer(x, 2).groups}
    assert closed == {"z2": True, "z1": False}
    assert all(g.closed is not None for g in ladder(orthogonal).infer(x, 2).groups)


def test_groups_are_reported_from_the_top_down(general):
    watch = ELBO()(stacked(general), Batch(general.evidence.sample((N,))), 0).watch
    assert list(watch) == ["distortion", "rate", "rate_z2", "rate_z1"]
    torch.testing.assert_close(watch["rate"], watch["rate_z2"] + watch["rate_z1"])


def test_a_top_level_that_says_nothing_leaves_the_flat_model():
    model = zoo.make("two_level")
    with torch.no_grad():  # q(z2 | x) = p(z2); p(z1 | z2) = N(0, 1); nothing reads z2
        model.posterior.head.weight.zero_()
        model.posterior.head.bias.copy_(torch.cat([torch.zeros(2), positive_raw(torch.ones(2), FLOOR)]))
        (rung,) = model.rungs
        rung.transition.head.weight.zero_()
        rung.transition.head.bias.copy_(torch.cat([torch.zeros(1), positive_raw(torch.ones(1), FLOOR)]))
        rung.recognition.hidden[0].weight[:, -2:] = 0
        model.likelihood.decoder.hidden[0].weight[:, :2] = 0
    features = model.encoder.encoder
    flat = Flat(StandardNormal(1), Posterior(features, NormalFamily(), 1), zoo.decoded(1)).double()
    x = Batch(zoo.bits())
    seen = model.infer(x, 4)
    z = seen.groups[1].z
    q = rung.recognition(features(x), torch.zeros(len(x), 2).double())
    flat.likelihood.load_state_dict({
        k: v[:, 2:] if k == "decoder.hidden.0.weight" else v for k, v in model.likelihood.state_dict().items()
    })
    expected = flat.generate((z,)).log_prob(x.x) + StandardNormal(1).double()().log_prob(z) - q.log_prob(z)
    torch.testing.assert_close(seen.log_w, expected)
    assert float(seen.groups[0].rate().detach().abs().max()) < 1e-9


def test_merging_multiplies_densities():
    a, b = (diagonal(torch.randn(5, 2).double(), 0.3 + torch.rand(5, 2).double()) for _ in range(2))
    z = torch.randn(50, 5, 2).double()
    ratio = a.log_prob(z) + b.log_prob(z) - merged(a, b).log_prob(z)
    torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))


def test_levels_are_spread_about_their_own_means(general):
    model = top_down(general)
    with using(replace(Noise.seeded(0), spread=1e-6)):
        z2, z1 = model.sample_prior(500)
    assert float(z2.abs().max()) < 1e-4
    torch.testing.assert_close(z1, general.a.expand_as(z1), rtol=0, atol=1e-4)


def test_what_cannot_work_is_refused():
    with pytest.raises(CombinationError, match="diagonal normals"):
        Merged(Conditional(2, 2, FullNormalFamily()), Conditional(2, 2, NormalFamily()))
    features = LevelFeatures(encoder())
    rung = Concatenated(Conditional(2, 2, NormalFixedFamily()), Conditional(D + 2, 2, NormalFamily()))
    q = Posterior(encoder(), NormalFamily(), 2)
    with pytest.raises(CombinationError, match="levels of features"):
        TopDown(StandardNormal(2), q, features, (rung, rung), zoo.decoded(2))
