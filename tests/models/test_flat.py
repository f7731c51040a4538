from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from senzai.core.batch import Batch
from senzai.core.random import Noise, using
from senzai.core.spec import from_spec, to_spec
from senzai.distributions import BernoulliFamily, NormalFamily, NormalOptimalFamily
from senzai.models import Flat
from senzai.nn import ConvDecoder, ConvEncoder, MLPDecoder, MLPEncoder
from senzai.parts import Likelihood, Posterior, StandardNormal


def bound(model, batch, k=3):
    return model.infer(batch, k).bound()


def jacobian_mixes(function, x):
    """Whether an output row of ``function`` depends on another row of ``x``."""
    J = torch.autograd.functional.jacobian(function, x)
    J = J.flatten(2).abs().sum(-1)
    return bool((J[~torch.eye(len(x), dtype=torch.bool)] > 0).any())


# --- rows -----------------------------------------------------------------------------------------------------------
def test_a_row_depends_on_itself_alone(model, batch, with_noise):
    x = batch.tensor.clone()

    def loss(x):
        return with_noise(bound, model, batch.with_x(x))

    assert not jacobian_mixes(loss, x)
    assert (torch.autograd.functional.jacobian(loss, x).diagonal(0, 0, 1).abs().sum(0) > 0).all()


def test_the_tester_of_rows_notices_a_leak(flat_of, batch, with_noise):
    model = flat_of()

    def leaking(x):
        return with_noise(bound, model, batch.with_x(x)) + 1e-6 * x.mean()

    def centred(x):
        return with_noise(bound, model, batch.with_x(x - 1e-6 * x.mean(0)))

    assert jacobian_mixes(leaking, batch.tensor)
    assert jacobian_mixes(centred, batch.tensor)


def test_a_scale_of_the_whole_batch_mixes_rows_and_says_so(batch, with_noise):
    likelihood = Likelihood(MLPDecoder(2, (1, 4), (5,)), NormalOptimalFamily(), (4,))
    model = Flat(StandardNormal(2), Posterior(MLPEncoder((4,), (5,)), NormalFamily(), 2), likelihood).double()

    def first_row_depends_on_others():
        whole = with_noise(bound, model, batch, total=5)
        return not torch.allclose(with_noise(bound, model, batch.take(slice(0, 1)), total=5), whole[:1])

    assert model.mixes_rows
    assert first_row_depends_on_others()
    model.eval()
    assert not first_row_depends_on_others()


def test_pieces_give_what_the_whole_gives(model, batch, with_noise):
    whole = with_noise(bound, model, batch, total=5)
    for start, stop in ((0, 2), (2, 5), (4, 5)):
        piece = with_noise(bound, model, batch.take(slice(start, stop)), offset=start, total=5)
        torch.testing.assert_close(piece, whole[start:stop], rtol=1e-12, atol=1e-12)


# --- gradients ------------------------------------------------------------------------------------------------------
def finite_difference(function, parameter, direction, step=1e-5):
    def at(t):
        with torch.no_grad():
            old = parameter.clone()
            parameter.add_(t * direction)
            value = function()
            parameter.copy_(old)
        return float(value)

    return (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step)


def test_gradients_agree_with_finite_differences_through_both_networks(model, batch, with_noise):
    def loss():
        return with_noise(bound, model, batch).mean()

    loss().backward()
    for name, parameter in model.named_parameters():
        direction = torch.randn_like(parameter)
        expected = finite_difference(loss, parameter, direction)
        found = float((parameter.grad * direction).sum())
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-9), name
    moved = {name.split(".")[0] for name, p in model.named_parameters() if p.grad.abs().sum() > 0}
    assert {"posterior", "likelihood"} <= moved


def test_the_two_sides_share_out_the_parameters(model):
    inference = {id(p) for p in model.encoder_parameters()}
    assert inference == {id(p) for p in model.posterior.parameters()}
    assert not inference & {id(p) for p in model.likelihood.parameters()}


# --- contract -------------------------------------------------------------------------------------------------------
def test_shapes(model, batch):
    seen = model.infer(batch, 7)
    assert seen.log_w.shape == seen.log_lik.shape == seen.groups[0].log_q.shape == seen.groups[0].log_p.shape == (7, 5)
    assert seen.groups[0].z.shape == (7, 5, 2)
    assert seen.bound().shape == (5,)
    assert seen.n_samples == 7
    assert model.generate((seen.groups[0].z,)).batch_shape == (7, 5)
    (z,) = model.sample_prior(11)
    assert z.shape == (11, 2)


def test_latents_that_are_given_are_scored(model, batch):
    seen = model.infer(batch, 3)
    again = model.infer(batch, z=(seen.groups[0].z,))
    torch.testing.assert_close(again.log_w, seen.log_w)


def test_what_is_encoded_can_be_other_than_what_is_scored(model, batch, with_noise):
    other = batch.with_x(1 - batch.tensor)
    crossed = with_noise(model.infer, batch, 2, seen=other)
    torch.testing.assert_close(crossed.groups[0].z, with_noise(model.infer, other, 2).groups[0].z)
    torch.testing.assert_close(crossed.log_lik, model.infer(batch, z=(crossed.groups[0].z,)).log_lik)


def test_one_draw_is_the_one_sample_elbo(model, batch, with_noise):
    seen = with_noise(model.infer, batch, 1)
    g = seen.groups[0]
    torch.testing.assert_close(seen.bound(), seen.log_lik[0] - g.monte_carlo_rate()[0])


def test_a_condition_reaches_both_networks(flat_of, batch, with_noise):
    model = flat_of(n_condition=1)
    here, there = (with_noise(model.infer, Batch(batch.x, c=torch.full((5, 1), v).double())) for v in (0.0, 1.0))
    assert (here.groups[0].z != there.groups[0].z).all()
    z = here.groups[0].z
    raws = [model.generate((z,), torch.full((5, 1), v).double()).log_prob(batch.x) for v in (0.0, 1.0)]
    assert (raws[0] != raws[1]).all()


def test_nothing_is_drawn_from_outside_the_noise(model, batch, with_noise):
    state = torch.get_rng_state()
    a, b = with_noise(bound, model, batch), with_noise(bound, model, batch)
    assert torch.equal(a, b)
    assert torch.equal(torch.get_rng_state(), state)


# --- holes ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("likelihood", ["bernoulli", "normal", "shared"])
@pytest.mark.parametrize("hole", [1.0, -7.0, float("nan"), float("inf")])
def test_nothing_depends_on_what_stands_in_a_hole(flat_of, batch, with_noise, likelihood, hole):
    mask = torch.rand(5, 4) < 0.6
    mask[:, 0] = True
    model = flat_of(likelihood=likelihood, masked=True)

    def judged(fill):
        model.zero_grad()
        x = torch.where(mask, batch.tensor, fill).requires_grad_()
        found = with_noise(bound, model, Batch(x, mask=mask))
        found.sum().backward()
        grads = [p.grad.clone() for p in model.parameters()]
        return found.detach(), grads, x.grad

    found, grads, x_grad = judged(hole)
    expected, expected_grads, _ = judged(0.0)
    assert torch.equal(found, expected)
    for a, b in zip(grads, expected_grads, strict=True):
        assert torch.equal(a, b)
    assert (x_grad[~mask] == 0).all()


def test_the_encoder_is_told_where_the_holes_are(flat_of):
    model = flat_of(masked=True)
    x = torch.zeros(1, 4).double()  # zero is also what stands for a hole
    seen, unseen = (model.posterior(Batch(x, mask=torch.full((1, 4), m))).mean for m in (True, False))
    assert not torch.equal(seen, unseen)
    torch.testing.assert_close(model.posterior(Batch(x)).mean, seen)


def test_a_row_without_observations_scores_only_its_rate(flat_of, with_noise):
    model = flat_of(masked=True)
    seen = with_noise(model.infer, Batch(torch.zeros(2, 4).double(), mask=torch.zeros(2, 4, dtype=torch.bool)))
    assert (seen.log_lik == 0).all()


# --- specs ----------------------------------------------------------------------------------------------------------
def again(model):
    spec = json.loads(json.dumps(to_spec(model)))
    with torch.random.fork_rng():
        torch.manual_seed(99)  # other starting weights, so that nothing is equal by luck
        made = from_spec(spec)
    made.load_state_dict(model.float().state_dict())
    return made


def test_a_model_made_again_from_its_spec_is_the_same_bit_for_bit(model, batch, with_noise):
    model.initialise(batch)
    made = again(model)
    assert to_spec(made) == to_spec(model)
    single = batch.map(lambda t: t.float())
    for k in (1, 3):
        assert torch.equal(with_noise(bound, made, single, k), with_noise(bound, model, single, k))
    assert {k: v.shape for k, v in made.state_dict().items()} == {k: v.shape for k, v in model.state_dict().items()}


def test_images_with_a_mask_and_a_condition_survive_their_spec(with_noise):
    options = {"width": 8, "n_condition": 2}
    model = Flat(
        StandardNormal(3),
        Posterior(ConvEncoder((1, 9, 7), n_features=16, masked=True, **options), NormalFamily(), 3),
        Likelihood(ConvDecoder(3, (1, 1, 9, 7), **options), BernoulliFamily(), (1, 9, 7)),
    )
    x = (torch.rand(4, 1, 9, 7) < 0.5).float()
    batch = Batch(x, c=torch.randn(4, 2), mask=torch.rand(4, 1, 9, 7) < 0.7)
    model.initialise(batch)
    assert torch.equal(with_noise(bound, again(model), batch), with_noise(bound, model, batch))


def test_shared_objects_stay_shared_and_others_apart():
    shared = NormalFamily()

    def made(second):
        return Flat(
            StandardNormal(2),
            Posterior(MLPEncoder((4,), (5,)), shared, 2),
            Likelihood(MLPDecoder(2, (2, 4), (5,)), second, (4,)),
        )

    one, two = again(made(shared)), again(made(NormalFamily()))
    assert one.posterior.family is one.likelihood.family
    assert two.posterior.family is not two.likelihood.family


# --- means over draws -----------------------------------------------------------------------------------------------
def test_a_uniform_mix_changes_nothing(flat_of, batch):
    seen = flat_of().infer(batch, 4)
    mixed = replace(seen, log_mix=torch.full((4, 1), 0.25).double().log())
    torch.testing.assert_close(mixed.bound(), seen.bound())
    torch.testing.assert_close(mixed.average(seen.log_lik), seen.average(seen.log_lik))


def test_the_bound_of_many_draws_keeps_its_precision(flat_of, batch):
    with using(Noise.seeded(0)):
        seen = flat_of().infer(batch, 1000)
    exact = seen.log_w.exp().mean(0).log()
    torch.testing.assert_close(seen.bound(), exact, rtol=0, atol=1e-12)
