"""Counts given the depth of their row: against SciPy, numerical integration, and the same counts kept sparse."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError, SettingError
from senzai.core.random import Noise, forked
from senzai.data.rows import MemoryRows
from senzai.data.sparse import Sparse, SparseRows
from senzai.distributions import (
    CountsGivenDepth,
    LogPoisson,
    NegativeBinomial,
    NegativeBinomialGivenDepthFamily,
    NormalFamily,
    PoissonGivenDepthFamily,
    ZeroInflatedNegativeBinomial,
    ZeroInflatedNegativeBinomialGivenDepthFamily,
    draw,
    elementwise,
    expected,
    given_row,
    within,
)
from senzai.evaluation import log_likelihood
from senzai.models.flat import Flat
from senzai.nn import MLPDecoder, MLPEncoder
from senzai.parts.likelihoods import InferredDepth, Likelihood
from senzai.parts.posteriors import Posterior
from senzai.parts.priors import StandardNormal

FAMILIES = (PoissonGivenDepthFamily, NegativeBinomialGivenDepthFamily, ZeroInflatedNegativeBinomialGivenDepthFamily)


@pytest.fixture
def shares():
    return torch.randn(20, 7, dtype=torch.float64)


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def test_log_prob_is_scipys(shares):
    x = torch.poisson(torch.full((20, 7), 4.0, dtype=torch.float64))
    r, gate = numbers(20, 7), numbers(20, 7)
    mean = (torch.softmax(shares, -1) * x.sum(-1, keepdim=True)).numpy()
    p = (r.exp() / (r.exp() + torch.from_numpy(mean))).numpy()
    nb = stats.nbinom(r.exp().numpy(), p).pmf(x.numpy())
    out = torch.sigmoid(gate).numpy()
    truth = {
        (LogPoisson, ()): stats.poisson(mean).logpmf(x.numpy()),
        (NegativeBinomial, (r,)): np.log(nb),
        (ZeroInflatedNegativeBinomial, (r, gate)): np.log((1 - out) * nb + out * (x.numpy() == 0)),
    }
    for (make, more), each in truth.items():
        found = CountsGivenDepth(shares, more, make, depth=3.0)
        assert np.allclose(elementwise(found, x).numpy(), each, rtol=1e-9, atol=1e-9)
        assert np.allclose(found.log_prob(x).numpy(), each.sum(-1), rtol=1e-9, atol=1e-9)


def test_sparse_and_dense_rows_have_the_same_loss_bit_for_bit():
    dense = np.random.default_rng(0).poisson(0.3, (30, 40)).astype(np.uint8)
    row, column = np.nonzero(dense)
    kept = Sparse.of(row, column, dense[row, column].astype(float), shape=dense.shape)
    p = CountsGivenDepth(torch.randn(40), (torch.randn(40),), NegativeBinomial, depth=9.0)
    a, b = (p.log_prob(r.take(np.arange(30)).tensor) for r in (SparseRows(kept), MemoryRows(dense)))
    assert torch.equal(a, b)


def test_a_row_without_a_count_is_finite_and_so_are_its_gradients(shares):
    logits = shares.clone().requires_grad_()
    CountsGivenDepth(logits, (), LogPoisson, depth=3.0).log_prob(torch.zeros(20, 7)).sum().backward()
    assert bool(torch.isfinite(logits.grad).all())


def test_what_a_row_is_expected_to_have_is_its_own_depth(shares):
    x = torch.poisson(torch.full((20, 7), 4.0))
    p = CountsGivenDepth(shares.float(), (), LogPoisson, depth=1000.0)
    told = within(p, Batch(x))
    assert torch.allclose(expected(told).sum(-1), x.sum(-1), rtol=1e-4)
    assert torch.allclose(told.log_prob(x), p.log_prob(x), atol=1e-4)
    assert torch.allclose(expected(p).sum(-1), torch.full((20,), 1000.0), rtol=1e-4)


def test_a_depth_that_is_known_is_not_that_of_the_row(shares):
    x = torch.ones(20, 7)
    p = CountsGivenDepth(shares.float(), (), LogPoisson, depth=1000.0).at_depth(torch.full((20,), math.log(50.0)))
    assert torch.allclose(expected(within(p, Batch(x))).sum(-1), torch.full((20,), 50.0), rtol=1e-4)
    assert not torch.allclose(p.log_prob(x), CountsGivenDepth(shares.float(), (), LogPoisson, depth=1.0).log_prob(x))


def test_the_depth_of_a_row_with_holes_is_what_was_seen_over_its_share():
    logits = torch.tensor([[0.5, 0.25, 0.25]]).log()
    p = CountsGivenDepth(logits, (), LogPoisson, depth=1.0)
    x, seen = torch.tensor([[6.0, 2.0, torch.nan]]), torch.tensor([[True, True, False]])
    told = within(p, Batch(x, mask=seen))
    assert torch.allclose(expected(told), torch.tensor([[16 / 3, 8 / 3, 8 / 3]]), rtol=1e-4)
    truth = stats.poisson([16 / 3, 8 / 3]).logpmf([6, 2]).sum()
    assert told.log_prob(x).item() == pytest.approx(truth, rel=1e-5)


def test_new_rows_have_usual_depths():
    p = CountsGivenDepth(torch.zeros(4000, 5), (), LogPoisson, depth=800.0, spread=0.5)
    depth = draw(p, grad=False, noise=Noise.seeded(0)).sum(-1)
    log = depth.log()
    assert abs(float(log.mean()) - math.log(800)) < 5 * 0.5 / math.sqrt(4000)
    assert float(log.std()) == pytest.approx(0.5, rel=0.06)
    again = draw(p, grad=False, noise=Noise.seeded(0)).sum(-1)
    assert torch.equal(depth, again)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_start_has_the_shares_and_a_quarter_of_the_excess_variance(family):
    with forked(0):
        depth = torch.rand(600, 1) * 400 + 100
        share = torch.full((60,), 1 / 59)
        share[-1] = 0.0
        x = torch.poisson(share * 20 * depth * torch.distributions.Gamma(4.0, 4.0).sample((600, 60)))
    start = family().start(x, torch.ones_like(x))
    p = family()(start, (60,))
    assert torch.allclose(p.log_share.exp(), share, atol=0.002)
    if len(family().raw_names) > 1:
        assert float(start[1, :-1].exp().median()) == pytest.approx(16.0, rel=0.15)
    assert bool(torch.isfinite(start).all())


def test_settings_are_checked():
    with pytest.raises(SettingError, match="usual_depth"):
        PoissonGivenDepthFamily(usual_depth=0.0)


# --- in models ------------------------------------------------------------------------------------------------------
def model_of(likelihood, n_latent=1, genes=4):
    encoder = MLPEncoder((genes,), (8,))
    return Flat(StandardNormal(n_latent), Posterior(encoder, NormalFamily(), n_latent), likelihood)


def test_the_evidence_of_a_model_with_one_latent_is_its_integral():
    with forked(1):
        decoder = MLPDecoder(1, (1, 4), (6,), activation="tanh")
        likelihood = Likelihood(decoder, NegativeBinomialGivenDepthFamily(), (4,), shared=("log_dispersion",))
        model = model_of(likelihood).double().eval()
        x = torch.tensor([[3.0, 0.0, 5.0, 1.0], [0.0, 2.0, 0.0, 0.0]], dtype=torch.float64)
    found = log_likelihood(model, Batch(x), k=4000, seed=0)

    def joint(z, i):
        with torch.no_grad():
            p = likelihood(torch.tensor([[z]], dtype=torch.float64))
            return math.exp(float(p.log_prob(x[i]))) * stats.norm.pdf(z)

    truth = [math.log(integrate.quad(joint, -8, 8, args=(i,))[0]) for i in range(2)]
    assert np.allclose(found.per_row.numpy(), truth, atol=0.05)


def test_an_inferred_depth_is_the_last_latent():
    with forked(0):
        inner = Likelihood(MLPDecoder(1, (1, 3), (4,)), PoissonGivenDepthFamily(), (3,))
        p = InferredDepth(inner)
        x = torch.poisson(torch.full((200, 3), 30.0))
        p.initialise(Batch(x))
        z = torch.tensor([[0.3, 0.0], [0.3, 2.0]])
        depth = p(z).mean.sum(-1)
    logs = x.sum(-1).log()
    assert torch.allclose(depth.log(), logs.mean() + torch.tensor([0.0, 2.0]) * logs.std().clamp_min(0.05), atol=1e-4)
    assert torch.allclose(p(z).log_share[0], p(z).log_share[1]), "shares do not follow from the depth"
    assert torch.equal(given_row(p(z), x[:2], None).mean, p(z).mean), "the depth of the row does not count"


def test_a_dispersion_of_gene_and_batch_follows_the_condition():
    with forked(0):
        decoder = MLPDecoder(2, (1, 3), (4,))
        p = Likelihood(decoder, NegativeBinomialGivenDepthFamily(), (3,), shared=("log_dispersion",), shared_by=2)
        p.by_condition.data[0] = torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
        z = torch.randn(5, 2, 2)
    found = p(z, torch.eye(2)).more[0]
    assert torch.allclose(found[:, 1] - found[:, 0], torch.tensor([1.0, 2.0, 3.0]).expand(5, 3), atol=1e-5)
    with pytest.raises(CombinationError, match="condition"):
        p(z)
    with pytest.raises(CombinationError, match="shares none"):
        Likelihood(MLPDecoder(2, (2, 3), (4,)), NegativeBinomialGivenDepthFamily(), (3,), shared_by=2)
