"""Convolutions for pictures: how decoders start, maps that are not flattened, attention, velocity fields over maps."""

import pytest
import torch
from torch.distributions import Normal

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError, SettingError
from senzai.core.random import Noise, using
from senzai.distributions import NormalFamily
from senzai.nn import ConvDecoder, ConvEncoder, MLPEncoder, SpatialDecoder, SpatialEncoder, UNetField
from senzai.nn.spatial import SelfAttention, to_map, to_positions
from senzai.nn.unet import EXACT_UP_TO, Guided, divergence
from senzai.parts import FlowMatchingPrior, MapPosterior, MovedPrior


def decoders():
    plain = ConvDecoder(8, (1, 3, 32, 32), width=16)
    spatial = SpatialDecoder(8 * 8 * 4, (1, 3, 32, 32), ((8, 8),), width=16)
    return {"conv": (plain, torch.randn(64, 8)), "spatial": (spatial, torch.randn(64, 256))}


@pytest.mark.parametrize("name", ["conv", "spatial"])
def test_no_grid_is_drawn_over_pictures_at_the_start(name):
    """The power of what a new decoder draws has no peak where neighbours alternate."""
    decoder, z = decoders()[name]
    drawn = decoder(z).squeeze(1).double()
    power = torch.fft.fft2(drawn - drawn.mean((2, 3), keepdim=True)).abs().square().mean((0, 1))
    alternating = torch.stack([power[16, 0], power[0, 16], power[16, 16]])
    ordinary = power[1:16, 1:16].mean()
    assert (alternating < 0.1 * ordinary).all(), alternating / ordinary


@pytest.mark.parametrize("name", ["conv", "spatial"])
def test_pixels_of_a_block_start_alike_and_near_to_nothing(name):
    decoder, z = decoders()[name]
    drawn = decoder(z).squeeze(1)
    blocks = drawn.unflatten(3, (16, 2)).unflatten(2, (16, 2))
    assert (blocks - blocks[:, :, :, :1, :, :1]).abs().max() < 1e-6
    assert 0.01 < drawn.std() < 0.3


def test_pairs_of_convolutions_start_as_nothing():
    encoder = ConvEncoder((1, 8, 8), width=8, residual=True, activation="silu")
    block = encoder.stages[1]
    h = torch.randn(2, 8, 4, 4)
    torch.testing.assert_close(block(h), h)
    block.body[-2].weight.data.fill_(1.0)
    assert (block(h) - h).abs().mean() > 0.1


def test_attention_sees_all_places_and_is_blind_to_their_order():
    attention = SelfAttention(6).double()
    torch.nn.init.normal_(attention.say.weight)
    h = torch.randn(1, 6, 3, 4).double().requires_grad_()
    out = attention(h)
    (grad,) = torch.autograd.grad(out[0, :, 0, 0].sum(), h)
    assert (grad.abs().sum((0, 1)) > 0).all()
    order = torch.randperm(12)
    moved = to_map(to_positions(h)[:, order], (3, 4))
    torch.testing.assert_close(to_positions(attention(moved)), to_positions(out)[:, order])


def test_a_code_on_a_map_sees_its_own_part_of_the_picture():
    """The latents come place by place, as the decoder takes them apart."""
    q = MapPosterior(SpatialEncoder((1, 32, 32), width=8, n_stages=1), channels=3).double()
    x = torch.randn(1, 1, 32, 32).double().requires_grad_()
    loc = q(Batch(x)).mean
    assert q.event == (8 * 8 * 3,)
    (grad,) = torch.autograd.grad(loc.unflatten(1, (64, 3))[0, 10].sum(), x)  # second row, third column
    assert grad[..., :16, :20].abs().sum() > 10 * grad[..., 26:].abs().sum()
    decoder = SpatialDecoder(192, (1, 1, 32, 32), ((8, 8),), width=8).double()
    z = torch.randn(1, 192).double()
    J = torch.autograd.functional.jacobian(lambda z: decoder(z)[0, 0, 0, 30:, 30:].sum(), z)[0].unflatten(0, (64, 3))
    assert J[63].abs().sum() > J[0].abs().sum()


def test_what_is_no_map_is_refused():
    with pytest.raises(CombinationError, match="encoder=spatial"):
        MapPosterior(MLPEncoder((5,), (8,)))
    with pytest.raises(SettingError, match="Give the grid"):
        UNetField(10, (3, 4))


def learned_field(n_condition=0, grid=(2, 4)):
    torch.manual_seed(0)
    field = UNetField(grid[0] * grid[1] * 2, grid, width=8, n_condition=n_condition)
    for p in field.parameters():
        torch.nn.init.normal_(p, std=0.2)
    return field


def test_a_divergence_is_the_trace_of_the_jacobian():
    field = learned_field().double()
    z, t = torch.randn(3, 16).double(), torch.tensor(0.3).double()
    v, found = divergence(field, z, t, None)
    for i in range(3):
        J = torch.autograd.functional.jacobian(lambda z: field(z[None], t)[0], z[i])
        torch.testing.assert_close(found[i], J.trace())
    torch.testing.assert_close(v, field(z, t))


def test_a_long_divergence_is_right_on_average():
    field = learned_field(grid=(6, 8)).double()
    assert field.n_latent > EXACT_UP_TO
    z, t = torch.randn(1, 96).double(), torch.tensor(0.6).double()
    J = torch.autograd.functional.jacobian(lambda z: field(z[None], t)[0], z[0])
    draws = []
    for seed in range(200):
        with using(Noise.seeded(seed)):
            draws.append(divergence(field, z, t, None)[1])
    draws = torch.cat(draws)
    assert (draws.mean() - J.trace()).abs() < 5 * draws.std() / 200**0.5
    assert draws.std() > 0


@pytest.mark.parametrize("lead", [(), (4,)])
def test_a_field_takes_time_and_condition_row_by_row(lead):
    field = learned_field(n_condition=3).double()
    z, t, c = torch.randn(*lead, 5, 16).double(), torch.rand(*lead, 5).double(), torch.randn(5, 3).double()
    whole = field(z, t, c)
    assert whole.shape == z.shape
    torch.testing.assert_close(whole[..., 2, :], field(z[..., 2:3, :], t[..., 2:3], c[2:3])[..., 0, :])
    assert (field(z, t, c + 1) - whole).abs().max() > 1e-3
    assert (field(z, t + 0.3, c) - whole).abs().max() > 1e-3
    torch.testing.assert_close(field(z, t, torch.zeros_like(c)), field(z, t, None))


def test_guidance_goes_from_the_field_without_a_condition_through_that_with_it():
    field = learned_field(n_condition=3).double()
    z, t, c = torch.randn(4, 16).double(), torch.tensor(0.5).double(), torch.randn(4, 3).double()
    free, told = field(z, t), field(z, t, c)
    for weight, expected in ((0.0, free), (1.0, told), (3.0, free + 3 * (told - free))):
        guided = Guided(field, weight)
        torch.testing.assert_close(guided(z, t, c), expected)
        v, spread = guided.with_divergence(z, t, c)
        torch.testing.assert_close(v, expected)
        J = torch.autograd.functional.jacobian(lambda z, g=guided: g(z[None], t, c[:1])[0], z[0])
        torch.testing.assert_close(spread[0], J.trace())


def test_a_prior_that_learned_without_its_condition_can_be_guided_and_others_cannot():
    prior = FlowMatchingPrior(16, grid=(2, 4), width=8, n_condition=3, guidance=2.0).eval()
    outer = MovedPrior(16, prior)
    outer.loc.fill_(3.0)
    more = outer.guided(5.0)
    assert more.inner.field is prior.field
    assert (more.inner.guidance, prior.guidance) == (5.0, 2.0)
    assert float(more.loc[0]) == 3.0
    with pytest.raises(CombinationError, match="has no condition"):
        FlowMatchingPrior(16).guided(2.0)
    with pytest.raises(CombinationError, match="was not"):
        FlowMatchingPrior(16, n_condition=3).guided(2.0)
    with pytest.raises(SettingError, match="guidance >= 0"):
        prior.guided(-1.0)


def test_a_condition_is_kept_from_a_tenth_of_the_rows_in_training_only():
    prior = FlowMatchingPrior(4, n_condition=2, guidance=2.0)
    c = torch.ones(4000, 2)
    with using(Noise.seeded(0)):
        share = (prior._told(c) == 0).all(1).double().mean()
        assert abs(share - 0.1) < 0.025
        assert (prior.eval()._told(c) == 1).all()


def test_flow_matching_over_maps_draws_a_known_mixture():
    """Two clusters of maps, all numbers of a map alike: draws fall into them in their shares, with their spread."""
    torch.manual_seed(1)
    prior = FlowMatchingPrior(8, grid=(2, 2), width=8, n_steps=8)
    optimiser = torch.optim.Adam(prior.parameters(), 4e-3)
    course = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 400)
    for i in range(400):
        centre = torch.where(torch.rand(256, 1) < 0.25, -1.5, 1.0)
        with using(Noise.seeded(i)):
            loss = prior.matching_loss(centre + 0.2 * torch.randn(256, 8)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        course.step()
    with torch.no_grad(), using(Noise.seeded(9)):
        z = prior.eval()().sample((2000,))
    left = z.mean(1) < 0
    assert abs(left.double().mean() - 0.25) < 0.06
    for side, centre in ((left, -1.5), (~left, 1.0)):
        assert (z[side].mean(0) - centre).abs().max() < 0.15
        assert (z[side].std(0) - 0.2).abs().max() < 0.12


def test_its_density_is_that_of_what_it_draws():
    """A field that only scales: the exact log density is a normal's."""
    prior = FlowMatchingPrior(8, grid=(2, 2), width=8, n_steps=16).double()

    class Scaling(torch.nn.Module):
        n_latent, n_condition = 8, 0
        like = torch.zeros(1).double()

        def forward(self, z, t, c=None):
            return 0.7 * z

        def with_divergence(self, z, t, c=None):
            return divergence(self, z, t, c)

    prior.field = Scaling()
    z = torch.randn(5, 8).double()
    wanted = Normal(0.0, torch.tensor(0.7).double().exp()).log_prob(z).sum(-1)
    torch.testing.assert_close(prior().log_prob(z), wanted, rtol=1e-5, atol=1e-5)
    assert NormalFamily().raw_names == ("loc", "scale")
