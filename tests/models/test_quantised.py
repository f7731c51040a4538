"""A model of codes: what it says is a bound, its prior learns beside it, and its codebooks survive everything."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from math import log

import pytest
import torch

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError, SettingError
from senzai.core.random import Noise, forked, using
from senzai.core.spec import from_spec, to_spec
from senzai.distributions import BernoulliFamily, NormalFamily
from senzai.evaluation import evaluate, log_likelihood
from senzai.models import Flat, Quantised, verbs
from senzai.nn import MLPDecoder, MLPEncoder, SpatialDecoder
from senzai.objectives import ELBO, CodeBound
from senzai.parts import (
    FSQ,
    LFQ,
    VQ,
    GridCoder,
    Likelihood,
    Posterior,
    ResidualVQ,
    SetCoder,
    StandardNormal,
    TransformerCodes,
    UniformCodes,
)

D = 6
QUANTISERS = {
    "vq": lambda: VQ(3, n_codes=4),
    "residual": lambda: ResidualVQ(3, depth=2, n_codes=4),
    "fsq": lambda: FSQ((4, 2, 2)),
    "lfq": lambda: LFQ(3),
}


def prior_of(quantiser, places, n_condition=0, **settings):
    options = {"width": 8, "n_heads": 2, "n_layers": 1, **settings}
    prior = TransformerCodes(quantiser.n_codes, places * quantiser.depth, n_condition=n_condition, **options)
    torch.nn.init.normal_(prior.out.weight)
    return prior


def of_vectors(name="vq", *, places=2, n_condition=0):
    quantiser = QUANTISERS[name]()
    return Quantised(
        SetCoder(MLPEncoder((D,), (8,), n_condition=n_condition), 3, n_places=places), (quantiser,),
        Likelihood(MLPDecoder(3 * places, (1, D), (8,), n_condition=n_condition), BernoulliFamily(), (D,)),
        prior_of(quantiser, places, n_condition),
    )


def of_images(n_levels=2):
    coder = GridCoder((1, 8, 8), 3, n_levels=n_levels, width=4)
    levels = tuple(VQ(3, n_codes=5) for _ in range(n_levels))
    decoder = SpatialDecoder(coder.size, (1, 1, 8, 8), coder.grids, width=4)
    return Quantised(
        coder, levels, Likelihood(decoder, BernoulliFamily(), (1, 8, 8)), prior_of(levels[0], sum(coder.places))
    )


@pytest.fixture(params=[*QUANTISERS, "levels"])
def model(request):
    return of_images() if request.param == "levels" else of_vectors(request.param)


@pytest.fixture
def batch(model):
    return Batch((torch.rand(5, *model.likelihood.event) < 0.5).float())


# --- the bound ------------------------------------------------------------------------------------------------------
def test_the_terms_of_the_bound(model, batch):
    model.eval()
    seen = model.infer(batch, 3)
    codes = torch.cat([g.z for g in seen.groups], -1)
    assert codes.dtype == torch.long
    assert codes.shape == (3, 5, model.prior.n_entries)
    assert torch.equal(codes[0], model.codes(batch))
    rate = sum(g.rate() for g in seen.groups)
    torch.testing.assert_close(rate, -model.prior().log_prob(codes))
    p = model.generate(tuple(g.z for g in seen.groups))
    torch.testing.assert_close(seen.log_lik, p.log_prob(batch.tensor), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(seen.bound(), (seen.log_lik - rate)[0])
    given = model.infer(batch, z=tuple(g.z for g in seen.groups))
    torch.testing.assert_close(given.log_w, seen.log_w, rtol=1e-4, atol=1e-4)


def test_it_is_a_bound_of_the_evidence():
    """Summed over all codes the model has an exact evidence; the bound is one of the terms of that sum."""
    model = of_vectors().double().eval()
    x = (torch.rand(7, D) < 0.5).double()
    codes = torch.tensor(list(product(range(4), repeat=2)))
    with torch.no_grad():
        log_p = model.prior().log_prob(codes)
        evidence = (model.generate((codes[:, None],)).log_prob(x) + log_p[:, None]).logsumexp(0)
        bound = model.infer(Batch(x)).bound()
    assert float(log_p.logsumexp(0)) == pytest.approx(0.0, abs=1e-9)
    assert (bound < evidence).all()
    figures = evaluate(model, Batch(x), k=9)
    assert figures["log_likelihood"] == pytest.approx(float(bound.mean()))
    assert figures["bits_per_dim"] == pytest.approx(-float(bound.mean()) / D / log(2))
    assert figures["elbo"] == pytest.approx(-figures["distortion"] - figures["rate"])


def test_evaluate_says_how_codes_are_used():
    model = of_vectors("residual").eval()
    batch = Batch((torch.rand(40, D) < 0.5).float())
    figures = evaluate(model, batch, k=3)
    codes = model.codes(batch).view(40, 2, 2)
    assert set(figures["code_books"]) == {"codes.0", "codes.1"}
    for i, found in enumerate(figures["code_books"].values()):
        p = torch.bincount(codes[..., i].flatten(), minlength=4) / 80
        assert found["perplexity"] == pytest.approx(float(torch.exp(-torch.special.xlogy(p, p).sum())), rel=1e-5)
        assert found["used"] == float((p > 0).float().mean())
    assert figures["n_places"] == 4
    assert figures["k"] == 1
    assert figures["code_bits_uniform"] == pytest.approx(4 * 2)
    assert figures["code_bits"] == pytest.approx(figures["rate"] / log(2))
    assert any("lower bound" in note for note in figures["notes"])
    json.dumps(figures)


def test_more_draws_say_nothing_more(model, batch):
    one, many = (log_likelihood(model, batch, k=k) for k in (1, 50))
    assert many.k == 1
    torch.testing.assert_close(one.per_row, many.per_row)


# --- rows -----------------------------------------------------------------------------------------------------------
def test_a_row_depends_on_itself_alone(model, batch):
    model.eval()
    whole = model.infer(batch)
    for i in range(len(batch)):
        alone = model.infer(batch.take(slice(i, i + 1)))
        torch.testing.assert_close(alone.log_w, whole.log_w[:, i : i + 1], rtol=1e-4, atol=1e-4)
        for name, extra in alone.extras.items():
            if not (name == "entropy" and model.mixes_rows):
                torch.testing.assert_close(extra, whole.extras[name][i : i + 1], rtol=1e-4, atol=1e-4)
    assert model.mixes_rows == any(isinstance(q, LFQ) for q in model.quantisers)


# --- two players ----------------------------------------------------------------------------------------------------
def test_the_rate_moves_the_prior_alone_and_the_rest_everything_else(model, batch):
    first, second = CodeBound().players(model)
    mine = {id(p) for p in first.parameters}
    assert mine.isdisjoint(id(p) for p in second.parameters)
    assert len(mine) + len(second.parameters) == len(list(model.parameters()))
    model.train()
    first.loss(model, batch, 0).loss.mean().backward()
    assert all(p.grad is None or not p.grad.any() for p in second.parameters)
    assert all(p.grad is not None for p in first.parameters)
    model.zero_grad(set_to_none=True)
    second.loss(model, batch, 0).loss.mean().backward()
    assert all(p.grad is None for p in first.parameters)
    assert any(p.grad.any() for p in second.parameters)


def test_the_parts_add_up_and_the_watch_holds_what_people_want(model, batch):
    model.train()
    terms = CodeBound()(model, batch, 0)
    torch.testing.assert_close(sum(terms.parts.values()), terms.loss)
    torch.testing.assert_close(terms.watch["code_bits"] * log(2), terms.watch["rate"])
    assert {"distortion", "rate", "perplexity", "codes_used"} <= set(terms.watch)
    assert all(v.shape == (5,) for v in terms.watch.values())
    torch.testing.assert_close(CodeBound().players(model)[1].loss(model, batch, 0).loss, terms.watch["rate"])


def test_only_the_first_player_counts_codes(model, batch):
    model.train()
    before = {k: v.clone() for k, v in model.quantisers.state_dict().items()}
    with forked(0):
        CodeBound().players(model)[1].loss(model, batch, 0)
        with torch.no_grad():
            model.infer(batch)
        model.eval()
        model.infer(batch)
    assert all(torch.equal(before[k], v) for k, v in model.quantisers.state_dict().items())
    model.train()
    with using(Noise.seeded(0)):
        model.infer(batch)
    n = sum(float(u.pending.sum()) for q in model.quantisers for u in q.usages())
    assert n == len(batch) * model.prior.n_entries
    model.after_step(lambda t: t)
    assert not any(u.pending.any() for q in model.quantisers for u in q.usages())


def test_a_prior_with_nothing_to_learn_does_not_play():
    model = of_vectors()
    model.prior = UniformCodes(4, 2)
    assert [p.name for p in CodeBound().players(model)] == ["model"]


def test_a_model_without_codes_is_refused():
    flat = Flat(
        StandardNormal(2), Posterior(MLPEncoder((D,), (4,)), NormalFamily(), 2),
        Likelihood(MLPDecoder(2, (1, D), (4,)), BernoulliFamily(), (D,)),
    )
    with pytest.raises(CombinationError, match="models with codes"):
        CodeBound().check(flat)
    with pytest.raises(SettingError, match="prior_lr > 0"):
        CodeBound(prior_lr=0.0)


def test_the_plain_bound_trains_it_too(model, batch):
    """One player instead of two: the same gradients, since whole numbers pass none."""
    model.train()
    with using(Noise.seeded(0)):
        whole = ELBO()(model, batch, 0).loss
    with using(Noise.seeded(0)):
        torch.testing.assert_close(CodeBound()(model, batch, 0).loss, whole)


# --- verbs ----------------------------------------------------------------------------------------------------------
def test_codes_go_there_and_back(model, batch):
    codes = verbs.encode(model, batch)
    assert all(c.dtype == torch.long for c in codes)
    torch.testing.assert_close(verbs.decode(model, codes), verbs.reconstruct(model, batch), rtol=1e-4, atol=1e-5)


def test_samples_come_from_the_prior(model):
    x = verbs.sample(model, 6, seed=0)
    assert x.shape == (6, *model.likelihood.event)
    assert torch.equal(x, verbs.sample(model, 6, seed=0))
    with using(replace(Noise.seeded(0), spread=1e-4)):
        cold = model.sample_prior(200)
    assert all((c == c[:1]).all() for c in cold)  # nearly the greedy row, every time
    best = model.prior().mode
    torch.testing.assert_close(torch.cat(cold, -1)[0], best.long())


def test_samples_are_as_frequent_as_the_prior_says():
    model, n = of_vectors().eval(), 20_000
    with using(Noise.seeded(0)), torch.no_grad():
        (codes,) = model.sample_prior(n)
        p = model.prior().log_prob(torch.tensor(list(product(range(4), repeat=2)))).exp()
    found = torch.bincount(codes @ torch.tensor([4, 1]), minlength=16) / n
    assert ((found - p).abs() < 5 * (p * (1 - p) / n).sqrt() + 1e-9).all()


def test_the_way_between_two_rows_goes_through_codes(model, batch):
    a, b = batch.take(slice(0, 2)), batch.take(slice(2, 4))
    way = verbs.interpolate(model, a, b, steps=5)
    torch.testing.assert_close(way[0], verbs.reconstruct(model, a), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(way[-1], verbs.reconstruct(model, b), rtol=1e-4, atol=1e-5)


def test_a_place_is_set_to_codes_and_to_nothing_else(model, batch):
    moved = verbs.traverse(model, batch, dim=0, values=torch.tensor([0.0, 1.0, 2.0]))
    codes = [c.clone() for c in verbs.encode(model, batch)]
    codes[0][:, 0] = 2
    torch.testing.assert_close(moved[2], verbs.decode(model, tuple(codes)), rtol=1e-4, atol=1e-5)
    for values in ([-1.0, 0.0], [0.5], [float(model.prior.n_values)]):
        with pytest.raises(SettingError, match=r"whole numbers|lies between 0"):
            verbs.traverse(model, batch, dim=0, values=torch.tensor(values))


def test_a_condition_reaches_every_part():
    model = of_vectors(n_condition=2).eval()
    x = (torch.rand(1, D) < 0.5).float().expand(2, D)
    seen = model.infer(Batch(x, c=torch.eye(2)))
    assert (seen.groups[0].log_p[0, 0] - seen.groups[0].log_p[0, 1]).abs() > 0
    assert (seen.log_lik[0, 0] - seen.log_lik[0, 1]).abs() > 0
    assert verbs.sample(model, 2, seed=0, c=torch.eye(2)).shape == (2, D)


# --- levels ---------------------------------------------------------------------------------------------------------
def test_the_fine_level_sees_what_the_coarse_one_was_put_to():
    model = of_images().eval()
    assert model.coder.grids == ((1, 1), (2, 2))
    assert model.names == ["codes_0", "codes_1"]
    batch, seen = Batch(torch.rand(3, 1, 8, 8)), []

    def put(shift):
        def quantise(level, vectors):
            seen.append(vectors)
            return vectors + shift * (level == 0)

        return quantise

    model.coder(batch, put(0.0))
    model.coder(batch, put(1.0))
    torch.testing.assert_close(seen[0], seen[2])
    assert not torch.allclose(seen[1], seen[3])


def test_a_code_stands_for_its_own_part_of_the_picture():
    model = of_images(1).eval()
    assert model.coder.grids == ((2, 2),)
    x = torch.rand(1, 1, 8, 8)
    found = []
    model.coder(Batch(x), lambda level, v: found.append(v) or v)
    assert found[0].shape == (1, 4, 3)
    codes = torch.zeros(1, 4, dtype=torch.long)
    moved = codes.clone()
    moved[0, 3] = 1  # the lower right quarter
    a, b = (verbs.decode(model, (c,))[0, 0] for c in (codes, moved))
    change = (a - b).abs()
    assert change[4:, 4:].sum() > change[:4, :4].sum()


# --- the start, and saving ------------------------------------------------------------------------------------------
def test_codebooks_start_where_the_data_are(model):
    batch = Batch((torch.rand(300, *model.likelihood.event) < 0.5).float())
    with forked(0):
        model.initialise(batch)
    for q, k in zip(model.quantisers, model.books(verbs.encode(model, batch)).values(), strict=False):
        assert len(k[0].unique()) >= min(4, q.n_codes) - 1


def test_a_saved_model_is_the_same(model, batch):
    twin = from_spec(json.loads(json.dumps(to_spec(model))))
    twin.load_state_dict(model.state_dict())
    torch.testing.assert_close(twin.eval().infer(batch).log_w, model.eval().infer(batch).log_w, rtol=0, atol=0)


def test_parts_that_do_not_fit_are_refused():
    coder = SetCoder(MLPEncoder((D,), (8,)), 3, n_places=2)
    likelihood = Likelihood(MLPDecoder(6, (1, D), (8,)), BernoulliFamily(), (D,))
    with pytest.raises(CombinationError, match="quantisers of that width"):
        Quantised(coder, (VQ(2, n_codes=4),), likelihood, UniformCodes(4, 2))
    with pytest.raises(CombinationError, match="one over 3 codes"):
        Quantised(coder, (VQ(3, n_codes=4),), likelihood, UniformCodes(4, 3))
