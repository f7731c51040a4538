"""Posteriors refined after training: holes that an encoder never saw, restorations, and maps, against exact answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import senzai
from senzai.core.batch import Batch
from senzai.core.errors import CombinationError, SettingError
from senzai.core.random import Noise, using
from senzai.distributions import NormalFamily
from senzai.models import Flat
from senzai.models.impute import conditional_mean
from senzai.models.refining import knows_holes, refined, restored
from senzai.nn import MLPDecoder, MLPEncoder
from senzai.parts import Likelihood, Posterior, StandardNormal

SPREAD = 0.5
WAYS = [[1.5, 0], [0, 1.5], [1, 1], [1.5, 0], [0, 1.5], [1, -1]]
"""Of any half of these rows latents are all but independent given x, as the refined normal has them."""


@pytest.fixture
def linear():
    """A linear normal model x = A z + noise behind an encoder that knows nothing, and A."""
    torch.manual_seed(0)
    likelihood = Likelihood(MLPDecoder(2, (1, 6), ()), NormalFamily(floor=1e-6), (6,), shared=("scale",))
    model = Flat(StandardNormal(2), Posterior(MLPEncoder((6,), (4,)), NormalFamily(), 2), likelihood).double().eval()
    linear = next(m for m in likelihood.decoder.modules() if isinstance(m, torch.nn.Linear))
    with torch.no_grad():
        linear.weight.copy_(torch.tensor(WAYS, dtype=torch.float64))
        linear.bias.zero_()
        likelihood.bias.zero_()
        likelihood.bias[1] = np.log(np.expm1(SPREAD - 1e-6))
    return model, linear.weight.detach()


def rows(a, n=5):
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    return z @ a.T + SPREAD * torch.randn(n, 6, generator=generator, dtype=torch.float64)


def exact(a, x, seen):
    """Return E[z | x_seen], row by row."""
    found = []
    for row, s in zip(x, seen, strict=True):
        b = a[s]
        precision = torch.eye(2, dtype=torch.float64) + b.T @ b / SPREAD**2
        found.append(torch.linalg.solve(precision, b.T @ row[s] / SPREAD**2))
    return torch.stack(found)


def test_a_refined_posterior_is_that_of_what_is_seen(linear):
    model, a = linear
    x = rows(a)
    seen = torch.rand(x.shape, generator=torch.Generator().manual_seed(2)) < 0.6
    seen[:, 0] = True
    batch = Batch(x, mask=seen)
    with torch.no_grad(), using(Noise(torch.Generator().manual_seed(0))):
        q = refined(model, n_steps=200).infer(batch).groups[0].q
    assert (q.mean - exact(a, x, seen)).abs().max() < 0.05


def test_what_is_missing_is_filled_with_its_conditional_mean_though_the_encoder_never_saw_a_hole(linear):
    model, a = linear
    x = rows(a)
    seen = torch.ones_like(x, dtype=torch.bool)
    seen[:, 3:] = False
    wanted = exact(a, x, seen) @ a.T
    batch = Batch(x, mask=seen)
    assert not knows_holes(model)
    plain = conditional_mean(model, batch, k=30) - wanted
    better = conditional_mean(refined(model, n_steps=60), batch, k=30) - wanted
    assert better.square().mean() < 0.5 * plain.square().mean()
    many = conditional_mean(refined(model, n_steps=60), batch, k=3000) - wanted
    assert many.abs().max() < 0.2


def test_an_anomaly_does_not_pull_its_own_restoration(linear):
    model, a = linear
    clean = rows(a)
    odd = clean.clone()
    odd[:, 2] += 30.0
    seen = torch.ones_like(clean, dtype=torch.bool)
    seen[:, 2] = False
    wanted = exact(a, clean, seen) @ a.T
    trimmed, whole = (restored(model, Batch(odd), share=s, n_steps=300) for s in (0.2, 0.0))
    assert (trimmed - wanted).abs().max() < 0.2
    assert (whole - wanted).abs().max() > 1.0


def test_a_restoration_depends_on_its_row_alone(linear):
    model, a = linear
    x = rows(a)
    whole, alone = restored(model, Batch(x), n_steps=9)[3:4], restored(model, Batch(x[3:4]), n_steps=9)
    assert torch.allclose(whole, alone, atol=1e-9)


def test_what_cannot_be_refined_is_refused():
    run = senzai.fit("digits", recipe="vq-vae", steps=1, sampler="none", progress=False)
    with pytest.raises(CombinationError, match="one group"):
        run.restore("digits")
    table = senzai.fit(np.random.default_rng(0).normal(size=(50, 3)), steps=1, progress=False)
    with pytest.raises(CombinationError, match="pictures and volumes"):
        table.score_map(np.zeros((2, 3)))


# --- pictures -------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def digits():
    from sklearn.datasets import load_digits

    run = senzai.fit("digits", steps=700, n_latent=8, hidden=[128], seed=0, sampler="none", progress=False)
    return run, load_digits().images.astype(np.uint8)[:40]


def test_holes_are_filled_and_what_was_seen_stays(digits):
    run, x = digits
    hole = np.zeros((8, 8), bool)
    hole[2:6, 2:6] = True
    made = np.asarray(run.impute(x, where="2:6,2:6", k=20))
    assert np.array_equal(made[:, ~hole], x[:, ~hole])

    def error(y):
        return float(np.square(y.astype(float)[:, hole] - x[:, hole]).mean())

    assert error(made) < 0.8 * error(np.broadcast_to(x.mean(0), x.shape))
    assert np.array_equal(made, np.asarray(run.impute(x, where=hole, k=20)))
    one, other = run.impute(x[:3], where="2:6,2:6", k=5, draws=2)
    assert np.array_equal(one[:, ~hole], x[:3][:, ~hole])
    assert not np.array_equal(one, other)


def test_every_second_pixel_makes_a_picture_twice_as_large(digits):
    run, x = digits
    made = np.asarray(run.impute(x[:5], where="grid:2", k=10))
    assert np.array_equal(made[:, ::2, ::2], x[:5, ::2, ::2])
    assert not np.array_equal(made, x[:5])


def test_holes_that_are_drawn(digits, tmp_path):
    from PIL import Image

    run, x = digits
    mask = np.zeros((8, 8), np.uint8)
    mask[:3] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    made = np.asarray(run.impute(x[:4], where=str(tmp_path / "mask.png"), k=5))
    assert np.array_equal(made[:, 3:], x[:4, 3:])


@pytest.mark.parametrize(("where", "said"), [
    (None, "lack nothing"), ("0:99,0:2", "lies within pictures"), (np.zeros((8, 8)), "at least one pixel"),
])
def test_holes_that_are_none_are_refused(digits, where, said):
    run, x = digits
    with pytest.raises(SettingError, match=said):
        run.impute(x[:2], where=where)


def test_tables_have_no_places():
    run = senzai.fit(np.random.default_rng(0).normal(size=(50, 3)), steps=1, progress=False)
    with pytest.raises(SettingError, match="are for pictures"):
        run.impute(np.zeros((2, 3)), where="0:1,0:1")


def test_maps_are_largest_where_something_was_put(digits):
    run, x = digits
    odd = x.copy()
    odd[:, :3, :3] = 16
    maps = np.asarray(run.score_map(odd, steps=30, share=0.15), float)
    assert maps[:, :3, :3].mean() > 3 * maps[:, 3:].mean()
    better, plain = run.restore(odd, steps=30, share=0.15), run.reconstruct(odd)
    far = [np.abs(np.asarray(r, float)[:, :3, :3] - x[:, :3, :3]).mean() for r in (better, plain)]
    assert far[0] < far[1]


@pytest.mark.parametrize(("share", "steps"), [(1.0, 5), (0.1, 0)])
def test_shares_and_steps_that_make_no_sense_are_refused(digits, share, steps):
    run, x = digits
    with pytest.raises(SettingError, match="share"):
        run.score_map(x[:2], share=share, steps=steps)


def test_boxes_are_rows_then_columns(digits):
    run, _ = digits
    hole = run.kind.holes("0:2,3:8", run.schema, 1)[0, 0]
    assert hole[:2, 3:].all()
    assert hole.sum() == 10
