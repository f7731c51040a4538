"""What holds for every model: rows, draws, gradients, specs, and densities that agree with samples."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from senzai.core.batch import Batch
from senzai.core.random import Noise, using
from senzai.core.spec import from_spec, to_spec
from senzai.evaluation import log_likelihood
from senzai.models import verbs

sys.path.insert(0, str(Path(__file__).parent))
import tiny_models as zoo

NAMES = list(zoo.MAKERS)
HIERARCHIES = [n for n in NAMES if n not in ("m1", "structured")]


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def model(name):
    return zoo.make(name)


@pytest.fixture
def batch(name):
    return zoo.rows(name, zoo.bits()[[1, 3, 4, 6, 7]])


def test_shapes(model, batch):
    seen = model.infer(batch, 4)
    k = seen.n_samples
    assert k % 4 == 0
    assert seen.log_w.shape == seen.log_lik.shape == (k, 5)
    assert seen.bound().shape == (5,)
    for g in seen.groups:
        assert g.z.shape[:2] == g.log_q.shape == g.log_p.shape == (k, 5), g.name
    assert len({g.name for g in seen.groups}) == len(seen.groups)
    if seen.log_mix is not None:
        torch.testing.assert_close(seen.log_mix.logsumexp(0), torch.zeros(5).double())
    if type(model).__name__ != "Structured":
        z = model.sample_prior(7)
        assert [g.z.shape[2:] for g in seen.groups] == [v.shape[1:] for v in z]
        assert model.generate(z).batch_shape == (7,)
    assert model.simulate(7).shape == (7, *batch.x.shape[1:])


def test_a_row_depends_on_itself_alone(model, batch, with_noise):
    def bound(x):
        return with_noise(lambda: model.infer(batch.with_x(x), 2).bound())

    J = torch.autograd.functional.jacobian(bound, batch.x).flatten(2).abs().sum(-1)
    assert (J.diagonal() > 0).all()
    assert (J[~torch.eye(5, dtype=torch.bool)] == 0).all()


def test_pieces_give_what_the_whole_gives(model, batch, with_noise):
    whole = with_noise(lambda: model.infer(batch, 3).bound(), total=5)
    for start, stop in ((0, 2), (2, 5), (4, 5)):
        part = batch.take(slice(start, stop))
        piece = with_noise(lambda b=part: model.infer(b, 3).bound(), offset=start, total=5)
        torch.testing.assert_close(piece, whole[start:stop], rtol=1e-10, atol=1e-10)


def test_the_estimate_does_not_depend_on_chunks(model, batch):
    whole = log_likelihood(model, batch, k=6, seed=3)
    small = log_likelihood(model, batch, k=6, seed=3, memory_gb=1e-6)
    torch.testing.assert_close(small.per_row, whole.per_row, rtol=1e-9, atol=1e-9)
    first = log_likelihood(model, batch.take(slice(0, 1)), k=6, seed=3)
    torch.testing.assert_close(first.per_row, whole.per_row[:1], rtol=1e-9, atol=1e-9)


def test_nothing_is_drawn_from_outside_the_noise(model, batch, with_noise):
    state = torch.get_rng_state()
    a, b = (with_noise(lambda: model.infer(batch, 3).bound()) for _ in range(2))
    c, d = (with_noise(lambda: model.simulate(4)) for _ in range(2))
    assert torch.equal(a, b)
    assert torch.equal(c, d)
    assert torch.equal(torch.get_rng_state(), state)


def test_every_parameter_is_trained(model, name, batch, with_noise):
    def elbo():
        seen = model.infer(batch, 2)
        return seen.average(seen.log_w).sum()

    with_noise(elbo).backward()
    for key, p in model.named_parameters():
        if not key.startswith("head"):  # a probe is trained by its own player
            assert p.grad is not None, key
            assert torch.isfinite(p.grad).all(), key
            assert p.grad.abs().sum() > 0, key


def test_gradients_agree_with_finite_differences(model, batch, with_noise):
    def loss():
        return with_noise(lambda: model.infer(batch, 2).bound().mean())

    loss().backward()
    moved = [p for p in model.parameters() if p.grad is not None]
    directions = [torch.randn_like(p) for p in moved]

    def at(step):
        with torch.no_grad():
            for p, d in zip(moved, directions, strict=True):
                p.add_(step * d)
            value = loss()
            for p, d in zip(moved, directions, strict=True):
                p.add_(-step * d)
        return float(value)

    e = 1e-5
    expected = (8 * (at(e) - at(-e)) - (at(2 * e) - at(-2 * e))) / (12 * e)
    found = sum(float((p.grad * d).sum()) for p, d in zip(moved, directions, strict=True))
    assert found == pytest.approx(expected, rel=1e-6)


def test_the_two_sides_share_out_the_parameters(model, batch):
    inference = {id(p) for p in model.encoder_parameters()}
    assert 0 < len(inference) < len(list(model.parameters()))
    assert len(inference) == len(model.encoder_parameters())


def test_latents_that_are_given_are_scored(model, batch):
    seen = model.infer(batch, 3)
    again = model.infer(batch, 3, z=tuple(g.z for g in seen.groups))
    torch.testing.assert_close(again.log_w, seen.log_w)


def test_a_model_made_again_from_its_spec_is_the_same(model, batch, with_noise):
    model.initialise(batch)
    spec = json.loads(json.dumps(to_spec(model)))
    made = from_spec(spec)
    made.load_state_dict(model.float().state_dict())
    assert to_spec(made) == spec
    single = batch.map(lambda t: t.float())
    a, b = (with_noise(lambda m=m: m.infer(single, 2).bound()) for m in (made, model))
    assert torch.equal(a, b)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("structured", "mean_field")])
def test_densities_add_up_to_one_and_agree_with_samples(name, model):
    every, model = zoo.bits(), zoo.blinded(model) if name in zoo.SEQUENCES else model
    found = log_likelihood(model, zoo.rows(name, every), k=2000)
    p, se = found.per_row.exp(), found.per_row.exp() * found.monte_carlo_se
    assert float(p.sum()) == pytest.approx(1, abs=5 * float(se.square().sum().sqrt()) + 1e-9)
    n = 20_000
    with using(Noise.seeded(1)):
        x = model.simulate(n).reshape(n, 3)
    counts = torch.bincount((x @ torch.tensor([4.0, 2.0, 1.0]).double()).long(), minlength=8).double()
    spread = (p * (1 - p) / n + se.square()).sqrt()
    assert ((counts / n - p).abs() < 5 * spread).all()


@pytest.mark.parametrize("name", HIERARCHIES)
def test_closed_rates_agree_with_monte_carlo(name, model, batch):
    with using(Noise.seeded(2)), torch.no_grad():
        seen = model.infer(batch, 8000)
    weight = torch.full_like(seen.log_w, -torch.tensor(float(seen.n_samples)).log()) if seen.log_mix is None \
        else seen.log_mix.expand_as(seen.log_w)
    checked = 0
    for g in seen.groups:
        if g.closed is None:
            continue
        checked += 1
        closed = g.closed.expand_as(g.log_q)
        assert (closed >= -1e-9).all()
        gap = weight.exp() * (g.monte_carlo_rate() - closed)
        error = (weight.exp().square() * (g.monte_carlo_rate() - closed).square()).sum(0).sqrt()
        assert (gap.sum(0).abs() < 5 * error).all(), g.name
        per_dimension = g.rate_per_dimension(seen.log_mix)
        if per_dimension is not None:
            torch.testing.assert_close(per_dimension.sum(-1), seen.average(g.rate()))
    assert checked


@pytest.mark.parametrize("name", ["two_level", "ladder", "very_deep", "very_deep_images"])
def test_latents_are_drawn_from_the_priors_that_score_them(name, model):
    n = 4000
    with using(Noise.seeded(3)), torch.no_grad():
        z = model.sample_prior(n)
        shape = zoo.rows(name, zoo.bits()[:1]).x.shape[1:]
        seen = model.infer(Batch(torch.zeros(n, *shape).double()), z=tuple(g.unsqueeze(0) for g in z))
    for g in seen.groups:
        base = g.p.base_dist
        residual = ((g.z - base.loc) / base.scale).reshape(n, -1)
        assert (residual.mean(0).abs() < 5 / n**0.5).all(), g.name
        assert ((residual.var(0) - 1).abs() < 5 * (2 / n) ** 0.5).all(), g.name


def test_a_point_is_a_point_and_draws_are_draws(model, batch):
    a, b = verbs.encode(model, batch), verbs.encode(model, batch)
    assert all(torch.equal(u, v) for u, v in zip(a, b, strict=True))
    c = verbs.encode(model, batch, seed=1)
    assert any((u != v).any() for u, v in zip(a, c, strict=True))
    assert verbs.reconstruct(model, batch).shape == batch.x.shape
    drawn = verbs.reconstruct(model, batch, seed=1)
    assert set(drawn.unique().tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize("name", [n for n in NAMES if n != "very_deep_images"])
def test_a_mask_hides_what_stands_behind_it(name, model, with_noise):
    mask = torch.ones(2, 3, dtype=torch.bool)
    mask[:, 2] = False

    def bound(fill):
        x = torch.tensor([[0.0, 1.0, fill], [1.0, 1.0, fill]]).double()
        hidden = zoo.rows(name, mask).x
        return with_noise(lambda: model.infer(replace(zoo.rows(name, x), mask=hidden), 2).bound())

    assert torch.equal(bound(0.0), bound(float("nan")))
