from __future__ import annotations

import pytest
import torch

from senzai.core.batch import Batch
from senzai.core.errors import SettingError
from senzai.core.spec import registry
from senzai.distributions import BernoulliFamily, NormalFamily, StudentTFamily, point
from senzai.distributions.numeric import positive
from senzai.nn import ConvDecoder, MLPDecoder
from senzai.parts import Likelihood

N, D = 400, 3


def data(support):
    x = torch.distributions.Gamma(torch.tensor([2.0, 5.0, 9.0]), 1.0).sample((N,))
    if support in ("binary", "unit", "interval"):
        x = x / (1 + x)
        return (x < 0.8).float() if support == "binary" else x
    return 10 - 30 * x if support == "real" else x.round() if support == "count" else x


def likelihood(family, event=(D,), shared=()):
    raw = (len(family.raw_names) - len(shared), *event)
    return Likelihood(MLPDecoder(2, raw, (8,)), family, event, shared=shared)


MEANS = ("binary", "unit", "interval", "real", "count")
WITH_MEANS = {
    name for name, family in registry("family").items()
    if family.support in MEANS and family.usual_prior == "standard_normal"  # others are for latents alone
} - {"full_normal", "multinomial"}  # over the whole row; the latter has means where a row's total is known
WITH_MEANS -= {name for name in WITH_MEANS if name.endswith("given_depth")}  # likewise, where a row's depth is


@pytest.mark.parametrize("name", sorted(WITH_MEANS))
def test_the_output_starts_at_the_mean_of_the_data(name):
    family = registry("family")[name]()
    x = data(family.support)
    p = likelihood(family)
    p.initialise(Batch(x))
    start = p.eval()(torch.zeros(1, 2)).mean[0]
    slack = 0.1 if name == "zero_inflated_negative_binomial" else 0.01
    assert ((start - x.mean(0)).abs() < slack * x.std(0)).all(), (start, x.mean(0))


@pytest.mark.parametrize("name", ["normal", "laplace", "student_t"])
def test_the_spread_starts_at_that_of_the_data(name):
    family = registry("family")[name]()
    x = data("real")
    p = likelihood(family)
    p.initialise(Batch(x))
    start = p(torch.zeros(1, 2)).variance[0].sqrt()
    torch.testing.assert_close(start, x.std(0, correction=0), rtol=1e-3, atol=0)


def test_the_start_ignores_holes():
    x, mask = data("real"), torch.rand(N, D) < 0.7
    p = likelihood(NormalFamily())
    p.initialise(Batch(torch.where(mask, x, torch.nan), mask=mask))
    seen = torch.where(mask, x, 0).sum(0) / mask.sum(0)
    torch.testing.assert_close(p(torch.zeros(1, 2)).mean[0], seen)


def test_densities_are_in_the_units_of_the_data():
    x = data("real")
    one, thousand = likelihood(NormalFamily()), likelihood(NormalFamily())
    thousand.load_state_dict(one.state_dict())
    one.initialise(Batch(x))
    thousand.initialise(Batch(1000 * x))
    z = torch.randn(N, 2)
    difference = one(z).log_prob(x) - thousand(z).log_prob(1000 * x)
    torch.testing.assert_close(difference, torch.full((N,), D * 6.907755), rtol=1e-4, atol=0)


# --- shared ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shared", [("scale",), ("scale", "df"), ("loc",), ("df", "loc")])
def test_shared_numbers_are_learned_once_and_do_not_see_z(shared):
    family = StudentTFamily()
    p = likelihood(family, shared=shared)
    p.initialise(Batch(data("real")))
    raw = p.raw(torch.randn(5, 4, 2))
    assert raw.shape == (5, 4, 3, D)
    for i, name in enumerate(family.raw_names):
        spread = raw[..., i, :].std((0, 1))
        assert ((spread == 0) == (name in shared)).all()
        if name in shared:
            torch.testing.assert_close(raw[0, 0, i], p.bias[i])


def test_decoded_numbers_keep_their_order():
    family = StudentTFamily()
    p = likelihood(family, shared=("scale",))
    z = torch.randn(4, 2)
    net = p.decoder(z)
    raw = p.raw(z)
    torch.testing.assert_close(raw[:, 0], net[:, 0] + p.bias[0])
    torch.testing.assert_close(raw[:, 2], net[:, 1] + p.bias[2])


def test_a_shared_scale_has_a_gradient():
    p = likelihood(NormalFamily(), shared=("scale",))
    p(torch.randn(4, 2)).log_prob(torch.randn(4, D)).sum().backward()
    assert (p.bias.grad[1] != 0).all()
    torch.testing.assert_close(p(torch.zeros(1, 2)).stddev[0], positive(p.bias[1], 1e-4))


@pytest.mark.parametrize("shared", [("scala",), ("loc", "scale")])
def test_what_cannot_be_shared_is_refused(shared):
    with pytest.raises(SettingError, match=r"loc, scale"):
        Likelihood(MLPDecoder(2, (1, D)), NormalFamily(), (D,), shared=shared)


def test_a_decoder_of_another_width_is_refused():
    with pytest.raises(SettingError, match=r"\(2, 3\)"):
        Likelihood(MLPDecoder(2, (1, D)), NormalFamily(), (D,))


# --- images ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shared", [(), ("scale",)])
def test_images(shared):
    event = (2, 5, 7)
    decoder = ConvDecoder(2, (2 - len(shared), *event), width=4)
    p = Likelihood(decoder, NormalFamily(), event, shared=shared)
    x = torch.randn(9, *event)
    p.initialise(Batch(x))
    found = p(torch.randn(6, 9, 2))
    assert found.log_prob(x).shape == (6, 9)
    assert point(found).shape == (6, 9, *event)
    assert len(p.scale.unique()) == 1, "images have one scale"


def test_a_constant_pixel_starts_finite():
    x = torch.zeros(20, 4)
    p = likelihood(BernoulliFamily(), (4,))
    p.initialise(Batch(x))
    assert p(torch.zeros(1, 2)).log_prob(torch.ones(1, 4)).isfinite().all()
