"""Structural similarity and spectra against direct sums, and as terms of an objective."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError, SettingError
from senzai.core.random import Noise, using
from senzai.distributions import NormalFamily
from senzai.distributions.ops import expected
from senzai.models import Flat
from senzai.nn import MLPDecoder, MLPEncoder
from senzai.nn.similarity import WEIGHTS, ms_ssim, spectral_distance
from senzai.objectives import ELBO, ImageTerms
from senzai.parts import Likelihood, Posterior, StandardNormal

EVENT = (2, 9, 8)


@pytest.fixture
def images():
    def make(scaling="range", event=EVENT):
        posterior = Posterior(MLPEncoder(event, (8,), scaling=scaling), NormalFamily(), 2)
        model = Flat(StandardNormal(2), posterior, Likelihood(MLPDecoder(2, (2, *event), (8,)), NormalFamily(), event))
        x = torch.rand(5, *event)
        model.initialise(Batch(x))
        return model.double(), Batch(x.double())

    return make


def by_scipy(x, y, L, n_scales, width):
    """MS-SSIM of one image with one channel, as the paper writes it."""
    at = np.arange(width) - (width - 1) / 2
    w = np.exp(-0.5 * (at / 1.5) ** 2)
    w = np.outer(w / w.sum(), w / w.sum())
    weights = np.array(WEIGHTS[:n_scales]) / sum(WEIGHTS[:n_scales])
    found = 1.0
    for s in range(n_scales):
        blur = lambda a: correlate2d(a, w, mode="valid")  # noqa: E731
        mx, my = blur(x), blur(y)
        vx, vy, cov = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
        value = (2 * cov + (0.03 * L) ** 2) / (vx + vy + (0.03 * L) ** 2)
        if s == n_scales - 1:
            value = value * (2 * mx * my + (0.01 * L) ** 2) / (mx**2 + my**2 + (0.01 * L) ** 2)
        found *= value.mean() ** weights[s]
        x, y = (a[: len(a) // 2 * 2, : a.shape[1] // 2 * 2] for a in (x, y))
        x, y = ((a[::2, ::2] + a[1::2, ::2] + a[::2, 1::2] + a[1::2, 1::2]) / 4 for a in (x, y))
    return found


@pytest.mark.parametrize(("size", "n_scales", "width"), [((8, 9), 1, 7), ((28, 24), 2, 11), ((45, 47), 3, 11)])
@pytest.mark.parametrize("L", [1.0, 255.0])
def test_structural_similarity_agrees_with_scipy(size, n_scales, width, L):
    x = L * torch.rand(2, 1, *size).double()
    y = (x + 0.2 * L * torch.randn_like(x)).clamp(0, L)
    exact = [by_scipy(x[i, 0].numpy(), y[i, 0].numpy(), L, n_scales, width) for i in range(2)]
    torch.testing.assert_close(ms_ssim(x, y, L), torch.tensor(exact).double())
    torch.testing.assert_close(ms_ssim(x, y, L), ms_ssim(y, x, L))


def test_equal_images_are_alike_and_others_less():
    x = torch.rand(3, 2, 30, 25)
    torch.testing.assert_close(ms_ssim(x, x), torch.ones(3))
    values = [float(ms_ssim(x, (x + s * torch.randn_like(x)), 1.0).mean()) for s in (0.05, 0.2, 0.8)]
    assert 1 > values[0] > values[1] > values[2] >= 0


def test_spectra_do_not_see_where_things_are():
    x = torch.rand(2, 1, 16, 16).double()
    assert (spectral_distance(x, x.roll((4, 8), (-2, -1))) < 1e-10).all()
    y = torch.rand(2, 1, 16, 16).double()
    shifted = x.roll(1, -1)
    assert (spectral_distance(x, shifted) < spectral_distance(x, y)).all()


def test_spectral_distance_by_numpy():
    x, y = np.random.rand(1, 2, 8, 9), np.random.rand(1, 2, 8, 9)
    found = float(spectral_distance(torch.from_numpy(x), torch.from_numpy(y))[0])
    total = 0.0
    for s in range(2):
        total += 4**s * np.abs(np.abs(np.fft.fft2(x, norm="ortho")) - np.abs(np.fft.fft2(y, norm="ortho"))).sum()
        x, y = (a[..., : a.shape[-2] // 2 * 2, : a.shape[-1] // 2 * 2] for a in (x, y))
        x, y = ((a[..., ::2, ::2] + a[..., 1::2, ::2] + a[..., ::2, 1::2] + a[..., 1::2, 1::2]) / 4 for a in (x, y))
    assert found == pytest.approx(total / 2)


def test_the_terms_by_hand(images, terms):
    model, batch = images()
    objective = ImageTerms(ssim_weight=7.0, spectrum_weight=3.0)
    objective.check(model)
    with using(Noise.seeded(1)):
        fake = expected(model.infer(batch).likelihood)[0]
    L = float(batch.tensor.max() - batch.tensor.min())
    found = terms(objective, model, batch)
    torch.testing.assert_close(found.parts["ms_ssim"], 7 * (1 - ms_ssim(batch.tensor, fake, L)), rtol=1e-5, atol=1e-7)
    spectrum = 3 * spectral_distance(batch.tensor / L, fake / L)
    torch.testing.assert_close(found.parts["spectrum"], spectrum, rtol=1e-5, atol=1e-7)
    rest = found.loss - found.parts["ms_ssim"] - found.parts["spectrum"]
    torch.testing.assert_close(rest, terms(ELBO(), model, batch).loss)


def test_with_weights_zero_it_is_the_bound(images, terms):
    model, batch = images()
    found = terms(ImageTerms(ssim_weight=0.0), model, batch)
    torch.testing.assert_close(found.loss, terms(ELBO(), model, batch).loss)


def test_both_terms_train_both_networks(images, terms):
    model, batch = images()
    for name in ("ms_ssim", "spectrum"):
        model.zero_grad()
        terms(ImageTerms(spectrum_weight=1.0), model, batch).parts[name].sum().backward()
        assert model.posterior.head.weight.grad.abs().sum() > 0
        assert model.likelihood.decoder.out.weight.grad.abs().sum() > 0


def test_other_data_and_unknown_ranges_are_refused_when_built(images, model_of):
    with pytest.raises(CombinationError, match="images"):
        ImageTerms().check(model_of())
    model, _ = images(scaling="shared")
    with pytest.raises(CombinationError, match="data_range"):
        ImageTerms().check(model)
    ImageTerms(data_range=1.0).check(model)


@pytest.mark.parametrize("wrong", [{"ssim_weight": -1.0}, {"spectrum_weight": -1.0}, {"data_range": 0.0}])
def test_settings_check_themselves(wrong):
    with pytest.raises(SettingError):
        ImageTerms(**wrong)
