"""What a row does not have changes nothing: ends, modalities, and both beside holes; in every model."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.distributions import Independent, Normal

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError
from senzai.core.random import Noise, using
from senzai.core.row_noise import RowKeys
from senzai.distributions import BernoulliFamily, NormalFamily, NormalFixedFamily
from senzai.models import Flat, Quantised, verbs
from senzai.models.base import Group, Inference, LatentModel
from senzai.models.impute import conditional_draws, conditional_mean
from senzai.nn import MLPDecoder, MLPEncoder, ModalEncoder
from senzai.objectives import ELBO
from senzai.parts import MADE, VQ, Likelihood, ModalLikelihood, Posterior, SetCoder, StandardNormal, UniformCodes

sys.path.insert(0, str(Path(__file__).parent))
import tiny_models as zoo

NAMES = [*(n for n in zoo.MAKERS if n != "very_deep_images"), "flat", "quantised"]  # its first axis is one channel
LENGTHS = torch.tensor([3, 2, 3, 2, 2])


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


def codes():
    coder = SetCoder(MLPEncoder((3,), (8,), activation="tanh"), 2, n_places=3)
    return Quantised(coder, (VQ(2, n_codes=4),), zoo.decoded(6), UniformCodes(4, 3))


@pytest.fixture
def model(name):
    own = {"flat": lambda: Flat(StandardNormal(2), zoo.posterior(2), zoo.decoded(2)), "quantised": codes}
    torch.manual_seed(0)
    return own[name]().double() if name in own else zoo.make(name)


@pytest.fixture
def ragged(name):
    return replace(zoo.rows(name, zoo.bits()[[1, 3, 4, 6, 7]]), lengths=LENGTHS)


def behind(batch):
    return ~batch.observed


def filled(batch, value):
    return batch.with_x(torch.where(behind(batch), value, batch.x), batch.mask)


@pytest.mark.parametrize("value", [1.0, math.nan])
def test_padding_changes_no_weight_no_code_and_no_gradient(model, ragged, value, with_noise):
    def judged(batch):
        model.zero_grad()
        with torch.enable_grad():
            seen = with_noise(lambda: model.infer(batch, 2))
            seen.bound().sum().backward()
        return seen.log_w.detach(), [p.grad.clone() for p in model.parameters() if p.grad is not None]

    ragged = filled(ragged, 0.0)
    (log_w, grads), (other, others) = judged(ragged), judged(filled(ragged, value))
    torch.testing.assert_close(other, log_w, rtol=1e-11, atol=1e-11)
    for a, b in zip(others, grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)
    for seed in (None, 3):
        pairs = [verbs.encode(model, b, seed=seed) for b in (ragged, filled(ragged, value))]
        assert all(torch.equal(u, v) for u, v in zip(*pairs, strict=True))


def test_a_short_row_is_as_likely_as_all_ways_to_go_on(model, ragged):
    """p(x_1, x_2 | z) adds up p(x_1, x_2, x_3 | z) over x_3, whatever the model."""
    with using(Noise.seeded(0)):
        z = tuple(g.z for g in model.infer(ragged, 2).groups)
    short = model.infer(ragged, 2, z=z).log_lik
    ways = [model.infer(replace(filled(ragged, v), lengths=None), 2, seen=ragged, z=z).log_lik for v in (0.0, 1.0)]
    whole = torch.stack(ways).logsumexp(0)
    expected = torch.where(LENGTHS == 3, ways[0], whole)
    torch.testing.assert_close(short, expected, rtol=1e-10, atol=1e-10)


def test_full_lengths_say_nothing_new(name, model, with_noise):
    whole = zoo.rows(name, zoo.bits()[[1, 3, 4, 6, 7]])
    told = replace(whole, lengths=torch.full((5,), 3))
    a, b = (with_noise(lambda batch=batch: model.infer(batch, 2).log_w) for batch in (whole, told))
    torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


# --- one model in closed form ---------------------------------------------------------------------------------------
def line(event=(3, 2)):
    """A flat model of sequences whose entries are N(mean, 1), whatever the code."""
    torch.manual_seed(0)
    model = Flat(
        StandardNormal(2), Posterior(MLPEncoder(event, (4,)), NormalFamily(), 2),
        Likelihood(MLPDecoder(2, (1, *event), (4,)), NormalFixedFamily(scale=1.0), event),
    )
    with torch.no_grad():
        model.likelihood.decoder.out.weight.zero_()
        model.likelihood.decoder.out.bias.zero_()
        model.likelihood.bias.fill_(0.5)
    return model.double()


def test_the_likelihood_of_a_short_row_is_a_sum_over_its_entries():
    x = torch.randn(5, 3, 2, dtype=torch.float64)
    batch = Batch(x, lengths=LENGTHS)
    found = line().infer(batch).log_lik[0]
    normal = Normal(torch.tensor(0.5).double(), 1.0)
    by_hand = torch.stack([normal.log_prob(x[i, :n]).sum() for i, n in enumerate(LENGTHS.tolist())])
    torch.testing.assert_close(found, by_hand, rtol=1e-10, atol=1e-10)


def test_what_networks_start_from_is_taken_from_the_steps_that_rows_have():
    x = torch.randn(500, 3, 2, dtype=torch.float64)
    lengths = torch.arange(500) % 3 + 1
    a, b = line(), line()
    for model, value in ((a, math.nan), (b, 1e6)):
        batch = Batch(x, lengths=lengths)
        model.initialise(filled(batch, value))
    for (key, u), v in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        assert torch.equal(u, v), key
        assert torch.isfinite(u).all()
    torch.testing.assert_close(
        a.posterior.encoder.inputs.shift[2], x[lengths == 3][:, 2].mean(0), rtol=1e-10, atol=1e-10
    )


def test_a_chain_of_steps_takes_rows_of_any_length():
    torch.manual_seed(0)
    model = Flat(
        StandardNormal(2), Posterior(MLPEncoder((3,), (4,)), NormalFamily(), 2), MADE(2, (3,), BernoulliFamily(),
                                                                                     hidden=(8,)),
    )
    x = zoo.bits().float()[[1, 3, 4, 6, 7]]
    batch = Batch(x, lengths=LENGTHS)
    z = (torch.randn(2, 5, 2),)
    short = model.infer(batch, z=z).log_lik
    ways = [model.infer(Batch(torch.where(behind(batch), v, x)), z=z).log_lik for v in (0.0, 1.0)]
    expected = torch.where(LENGTHS == 3, ways[0], torch.stack(ways).logsumexp(0))
    torch.testing.assert_close(short, expected, rtol=1e-5, atol=1e-5)
    model.initialise(filled(batch, math.nan))
    assert torch.isfinite(model.infer(filled(batch, math.nan)).log_w).all()


# --- modalities -----------------------------------------------------------------------------------------------------
def pair():
    torch.manual_seed(0)
    model = Flat(
        StandardNormal(2),
        Posterior(ModalEncoder({"a": MLPEncoder((3, 2), (4,)), "b": MLPEncoder((2,), (4,))}), NormalFamily(), 2),
        ModalLikelihood({
            "a": Likelihood(MLPDecoder(2, (1, 3, 2), (4,)), NormalFixedFamily(scale=1.0), (3, 2)),
            "b": Likelihood(MLPDecoder(2, (1, 2), (4,)), BernoulliFamily(), (2,)),
        }),
    )
    return model.double()


PRESENT = torch.tensor([True, False, True, True, False])


def both(**more):
    generator = torch.Generator().manual_seed(4)
    x = {"a": torch.randn(5, 3, 2, generator=generator).double(),
         "b": (torch.rand(5, 2, generator=generator) < 0.5).double()}
    return Batch(x, **more)


def test_a_model_of_two_modalities_adds_their_likelihoods():
    model, batch = pair(), both(lengths={"a": LENGTHS}, present={"b": PRESENT})
    z = (torch.randn(2, 5, 2, dtype=torch.float64),)
    found = model.infer(batch, z=z).log_lik
    one, two = (model.likelihood.likelihoods[k](z[0]) for k in ("a", "b"))
    log_p = one.base_dist.log_prob(batch.x["a"]) * (torch.arange(3) < LENGTHS.unsqueeze(1)).unsqueeze(-1)
    by_hand = log_p.sum((-1, -2)) + two.log_prob(batch.x["b"]) * PRESENT
    torch.testing.assert_close(found, by_hand, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("value", [3.0, math.nan])
def test_a_modality_that_a_row_has_not_changes_nothing(value, with_noise):
    model, batch = pair(), both(present={"b": PRESENT})
    other = batch.with_x({**batch.x, "b": torch.where(PRESENT.unsqueeze(1), batch.x["b"], value)})

    def judged(rows):
        model.zero_grad()
        with torch.enable_grad():
            loss = with_noise(lambda: ELBO()(model, rows, 0)).loss
            loss.sum().backward()
        return [loss.detach(), *(p.grad.clone() for p in model.parameters())]

    for a, b in zip(judged(batch), judged(other), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)
    assert RowKeys()(batch) == RowKeys()(other)
    assert RowKeys()(batch) != RowKeys()(replace(batch, present=None))


def test_every_verb_gives_modalities_by_name():
    model, batch = pair(), both(lengths={"a": LENGTHS}, present={"b": PRESENT})
    model.initialise(batch)
    shapes = {"a": (3, 2), "b": (2,)}

    def check(found, *lead):
        assert {k: tuple(v.shape) for k, v in found.items()} == {k: (*lead, *s) for k, s in shapes.items()}

    check(verbs.reconstruct(model, batch), 5)
    check(verbs.reconstruct(model, batch, seed=1), 5)
    check(verbs.sample(model, 2000, seed=1), 2000)
    check(verbs.sample(model, 3, seed=1, noise=False), 3)
    check(verbs.decode(model, verbs.encode(model, batch)), 5)
    check(verbs.traverse(model, batch, dim=0), 7, 5)
    check(verbs.interpolate(model, batch, batch.take(torch.arange(4, -1, -1)), steps=3), 3, 5)
    check(conditional_mean(model, batch, k=5), 5)
    check(conditional_draws(model, batch, draws=4, k=5), 4, 5)
    shuffled = batch.take(torch.tensor([3, 0]))
    whole, some = (verbs.reconstruct(model, b, seed=1) for b in (batch, shuffled))
    assert all(torch.allclose(whole[k][[3, 0]], some[k]) for k in whole)


def test_what_needs_one_tensor_says_so():
    with pytest.raises(CombinationError, match="modalities a, b"):
        line().infer(both())


# --- experts of equal weight ----------------------------------------------------------------------------------------
class Experts(LatentModel):
    """Two experts of equal weight, at -1 and at 3 for every row: what stands for a row is their mean."""

    def infer(self, batch, n_samples=1, *, seen=None, z=None):
        loc = torch.tensor([-1.0, 3.0]).view(2, 1, 1).expand(2, len(batch), 1)
        q = Independent(Normal(loc, 0.1), 1)
        mix = torch.full((2, 1), -math.log(2))
        value = q.mean
        return Inference((Group("z", value, q, q),), self.generate((value,)), batch.x, mix, point=(value.mean(0),))

    def generate(self, z, c=None):
        return Independent(Normal(2 * z[0], 1.0), 1)

    def sample_prior(self, n, c=None):
        return (torch.zeros(n, 1),)

    def encoder_parameters(self):
        return []


def test_the_point_of_equal_experts_is_neither_of_them():
    model, batch = Experts(), Batch(torch.zeros(4, 1))
    assert verbs.encode(model, batch)[0].flatten().tolist() == [1.0] * 4
    assert verbs.reconstruct(model, batch).flatten().tolist() == [2.0] * 4
    drawn = verbs.encode(model, Batch(torch.arange(40.0).view(-1, 1)), seed=1)[0]
    assert set(drawn.flatten().tolist()) == {-1.0, 3.0}
