from __future__ import annotations

from math import log

import pytest
import torch
from torch.distributions import Normal

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError, SettingError
from senzai.core.spec import registry
from senzai.distributions import BernoulliFamily, NormalFixedFamily
from senzai.evaluation import bits_per_dim, dequantise, dequantised, dimensions, is_discrete


def test_a_uniform_guess_among_levels_costs_their_logarithm():
    assert bits_per_dim(784 * log(256), 784) == pytest.approx(8)
    assert bits_per_dim(0.0, 784, levels_step=1 / 256) == pytest.approx(8)  # density 1 on the unit cube
    assert bits_per_dim(784 * log(256), 784, levels_step=1.0) == pytest.approx(8)  # density 1/256 on 0..256


def test_dimensions_count_what_was_observed():
    mask = torch.tensor([[[True, False], [False, False]], [[True, True], [True, True]]])
    assert dimensions(Batch(torch.zeros(2, 2, 2))).tolist() == [4, 4]
    assert dimensions(Batch(torch.zeros(2, 2, 2), mask=mask)).tolist() == [1, 4]
    assert dimensions(Batch(torch.zeros(2, 5, 3), lengths=torch.tensor([2, 5]))).tolist() == [6, 15]
    both = Batch({"a": torch.zeros(2, 3), "b": torch.zeros(2, 4)}, mask={"a": torch.zeros(2, 3, dtype=torch.bool)})
    assert dimensions(both).tolist() == [4, 4]


@pytest.mark.parametrize(("centred", "low"), [(False, 0.0), (True, -0.25)])
def test_levels_are_spread_over_their_cell(centred, low):
    batch = Batch(torch.randint(0, 4, (2000, 3)).float() * 0.5)
    u = dequantise(batch, 0.5, seed=1, centred=centred).tensor - batch.tensor
    assert low <= u.min() < low + 0.01
    assert low + 0.49 < u.max() <= low + 0.5
    assert abs(u.mean() - low - 0.25) < 5 * 0.5 / (12 * 6000) ** 0.5
    assert not torch.equal(dequantise(batch, 0.5, seed=2).tensor, dequantise(batch, 0.5, seed=1).tensor)


@pytest.fixture
def constant(made):
    """Every entry of the data is N(mean, scale²), whatever the code."""

    def make(mean, scale):
        model = made(D=3, family=NormalFixedFamily(scale=scale)).double()
        with torch.no_grad():
            model.likelihood.decoder.out.weight.zero_()
            model.likelihood.bias.fill_(mean)
            model.posterior.head.weight.zero_()
            model.posterior.head.bias.copy_(torch.tensor([0.0, 0.0, 0.5413248, 0.5413248]))
        return model

    return make


def test_a_wide_density_gives_the_mass_of_a_level(constant):
    x = torch.tensor([[-1.0, 0.0, 1.0]]).double().repeat(4000, 1)
    p = Normal(torch.tensor(0.3).double(), 2.0)
    mass = (p.cdf(x[0] + 1) - p.cdf(x[0])).log().sum()
    found = dequantised(constant(0.3, 2.0), Batch(x), 1.0, k=2)
    assert found.mean < mass + 5 * found.se
    assert found.mean == pytest.approx(float(mass), abs=0.05)  # flat inside a cell: nearly no loss
    jensen = -0.5 * 3 * (1 / 12) / 4  # second order: minus half the variance of u over the variance of the density
    assert found.mean - float(mass) == pytest.approx(jensen / 3, abs=5 * found.se + 0.03)


def test_peaks_on_the_grid_do_not_pay(constant):
    x = torch.zeros(500, 3).double()
    sharp = constant(0.0, 1e-3)
    found = dequantised(sharp, Batch(x), 1.0, k=2)
    assert found.mean < -1000  # as a density of the grid itself it would be + 18 nats
    assert found.mean < 0


def test_the_step_is_a_change_of_units(constant):
    x = torch.tensor([[0.0, 1.0, 3.0]]).double().repeat(50, 1)
    one = dequantised(constant(1.0, 2.0), Batch(x), 1.0, k=2)
    small = dequantised(constant(0.1, 0.2), Batch(x / 10), 0.1, k=2)
    torch.testing.assert_close(one.per_row, small.per_row)


def test_masses_never_exceed_one(constant):
    x = torch.randint(-3, 4, (200, 3)).double()
    assert (dequantised(constant(0.0, 0.4), Batch(x), 1.0, k=2).per_row <= 0).all()


@pytest.mark.parametrize("name", sorted(set(registry("family")) - {"full_normal", "mixed"}))
def test_discrete_families_are_known(name):
    family = registry("family")[name]
    takes_n = name in ("categorical", "ordinal")
    made = family(n=3) if takes_n else family()
    raw = torch.zeros(2, *made.raw_shape((4,)))
    known = family.support in ("binary", "levels", "category", "ordinal", "count")
    assert is_discrete(made(raw, (4,))) == known


def test_a_step_is_positive_and_modalities_are_refused():
    with pytest.raises(SettingError):
        dequantise(Batch(torch.zeros(2, 1)), 0.0)
    with pytest.raises(CombinationError):
        dequantise(Batch({"a": torch.zeros(2, 1)}))


def test_a_bernoulli_is_discrete_even_with_holes(made):
    model = made(family=BernoulliFamily())
    mask = torch.ones(2, 6, dtype=torch.bool)
    assert is_discrete(model.infer(Batch(torch.ones(2, 6), mask=mask)).likelihood)
