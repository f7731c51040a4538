"""What people do with a trained model: points without a seed, draws with one, nothing dropped, ends in place."""

from __future__ import annotations

import pytest
import torch

from senzai.core.errors import SettingError
from senzai.models.verbs import ROWS, decode, encode, interpolate, posterior_scales, reconstruct, sample, traverse


@pytest.fixture
def latents(monkeypatch):
    """Keeps the latents that a model decodes."""

    def keep(model):
        kept, generate = [], model.generate
        monkeypatch.setattr(model, "generate", lambda z, c=None: (kept.append(z[0].clone()), generate(z, c))[1])
        return kept

    return keep


def test_the_temperature_scales_the_latents(flat_of, latents):
    model = flat_of()
    kept = latents(model)
    for temperature in (1.0, 0.25, 3.0):
        sample(model, 50, seed=2, temperature=temperature)
    torch.testing.assert_close(kept[1], 0.25 * kept[0])
    torch.testing.assert_close(kept[2], 3.0 * kept[0])


def test_samples_are_draws_or_means(flat_of, latents):
    model = flat_of()
    kept = latents(model)
    drawn, mean = (sample(model, 300, seed=2, noise=noise) for noise in (True, False))
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(mean, model.generate((kept[1],)).mean.detach())
    assert torch.equal(kept[0], kept[1])  # the same latents for both
    spread = (mean * (1 - mean) / 300).sum(0).sqrt() / 300**0.5
    assert ((drawn.mean(0) - mean.mean(0)).abs() < 5 * spread).all()


def test_seeds_decide_samples_over_all_pieces(flat_of):
    model, n = flat_of(), 2 * ROWS
    one, again, other = (sample(model, n, seed=s, noise=False) for s in (0, 0, 1))
    assert one.shape == (n, 4)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert len(one.unique(dim=0)) == n  # no piece repeats another
    assert sample(model, ROWS + 7, seed=0).shape == (ROWS + 7, 4)


VERBS = {
    "encode": lambda model, batch: encode(model, batch)[0],
    "scales": lambda model, batch: posterior_scales(model, batch)[0],
    "reconstruct": reconstruct,
    "sample": lambda model, batch: sample(model, 3, seed=0, noise=False),
    "decode": lambda model, batch: decode(model, (torch.ones(3, 2).double(),)),
    "interpolate": lambda model, batch: interpolate(model, batch, batch),
    "traverse": lambda model, batch: traverse(model, batch, dim=1, values=torch.tensor([0.0, 1.0])),
}


@pytest.mark.parametrize("verb", VERBS)
def test_nothing_is_dropped_and_the_mode_is_put_back(flat_of, batch, verb):
    model = flat_of(dropout=0.5)
    inside = []
    model.posterior.register_forward_pre_hook(lambda *_: inside.append(model.posterior.training))
    model.likelihood.register_forward_pre_hook(lambda *_: inside.append(model.likelihood.training))
    found = VERBS[verb](model.train(), batch)
    assert inside
    assert not any(inside)
    assert model.training
    assert torch.equal(VERBS[verb](model.eval(), batch), found)
    assert not model.training


def test_codes_are_means_without_a_seed_and_draws_with_one(flat_of, batch):
    model = flat_of()
    q = model.posterior(batch)
    torch.testing.assert_close(encode(model, batch)[0], q.mean.detach())
    torch.testing.assert_close(posterior_scales(model, batch)[0], q.stddev.detach())
    many = torch.stack([encode(model, batch, seed=s)[0] for s in range(400)])
    assert ((many.mean(0) - q.mean).abs() < 5 * q.stddev / 20).all()
    assert torch.equal(many[3], encode(model, batch, seed=3)[0])


def test_reconstructions_are_means_of_the_decoded_codes(flat_of, batch):
    model = flat_of()
    torch.testing.assert_close(reconstruct(model, batch), decode(model, encode(model, batch)))
    assert set(reconstruct(model, batch, seed=1).unique().tolist()) <= {0.0, 1.0}


def test_an_interpolation_begins_and_ends_at_its_rows(flat_of, batch):
    model, other = flat_of(), batch.with_x(1 - batch.tensor)
    line = interpolate(model, batch, other, steps=5)
    assert line.shape == (5, 5, 4)
    torch.testing.assert_close(line[0], reconstruct(model, batch))
    torch.testing.assert_close(line[-1], reconstruct(model, other))
    middle = tuple((a + b) / 2 for a, b in zip(encode(model, batch), encode(model, other), strict=True))
    torch.testing.assert_close(line[2], decode(model, middle))
    with pytest.raises(SettingError):
        interpolate(model, batch, other, steps=1)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_a_traversal_moves_one_dimension(flat_of, batch, dim):
    model, values = flat_of(), torch.tensor([-2.0, 0.0, 2.0])
    found = traverse(model, batch, dim=dim, values=values)
    assert found.shape == (3, 5, 4)
    for value, shown in zip(values, found, strict=True):
        z = encode(model, batch)[0].clone()
        z[:, dim] = value
        torch.testing.assert_close(shown, decode(model, (z,)))
    with pytest.raises(SettingError):
        traverse(model, batch, dim=2, values=values)
