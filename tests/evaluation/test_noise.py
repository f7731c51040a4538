from __future__ import annotations

import pytest
import torch

from senzai.core.batch import Batch
from senzai.core.random import Noise, using
from senzai.core.row_noise import TILE, RowNoise
from senzai.distributions import draw
from senzai.evaluation import log_likelihood
from senzai.parts.priors.two_stage import TwoStagePrior

K = TILE + 40


@pytest.mark.parametrize("kind", ["normal", "uniform"])
@pytest.mark.parametrize("rows", [range(3), range(1, 2), range(2, 3)])
@pytest.mark.parametrize("draws", [range(K), range(5), range(7, TILE), range(TILE - 1, TILE + 1), range(TILE, K)])
def test_numbers_belong_to_row_and_draw(kind, rows, draws):
    def numbers(rows, draws):
        return getattr(RowNoise.of(5, K, rows, draws), kind)((len(draws), len(rows), 2), dtype=torch.float64)

    whole = numbers(range(3), range(K))
    assert torch.equal(numbers(rows, draws), whole[draws.start : draws.stop, rows.start : rows.stop])


def test_numbers_are_standard_and_not_repeated():
    noise = RowNoise.of(0, K, range(50), range(K))
    z, u = noise.normal((K, 50, 2), dtype=torch.float64), noise.uniform((K, 50, 2), dtype=torch.float64)
    n = z.numel()
    assert len(z.unique()) == n
    assert abs(z.mean()) < 5 / n**0.5
    assert abs(z.var() - 1) < 5 * (2 / n) ** 0.5
    assert abs(u.mean() - 0.5) < 5 / (12 * n) ** 0.5


def test_a_second_call_gives_other_numbers():
    noise = RowNoise.of(0, 4, range(3), range(4))
    assert not torch.equal(noise.normal((4, 3, 2)), noise.normal((4, 3, 2)))


def test_rows_without_a_draw_axis_and_shapes_without_rows():
    noise = RowNoise.of(0, 4, range(3), range(4))
    part = RowNoise.of(0, 4, range(2, 3), range(4))
    assert torch.equal(noise.normal((3, 2), row_dim=0)[2:], part.normal((1, 2), row_dim=0))
    assert noise.normal((7,)).shape == (7,)


def test_a_distribution_that_uses_the_generator_can_be_drawn():
    p = torch.distributions.Gamma(torch.ones(3), torch.ones(3))
    with using(RowNoise.of(0, 4, range(3), range(4))):
        a = draw(p, (4,))
    with using(RowNoise.of(0, 4, range(3), range(4))):
        b = draw(p, (4,))
    assert torch.equal(a, b)


def test_a_density_that_is_estimated_is_estimated_with_the_seed(made):
    model = made(prior=TwoStagePrior(2, hidden=(4,)))
    a, b, c = (log_likelihood(model, Batch(torch.ones(4, 6)), k=3, seed=s).per_row for s in (0, 0, 1))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_the_numbers_of_a_point_are_the_middle():
    noise = Noise(point=True)
    assert torch.equal(noise.normal((2, 3)), torch.zeros(2, 3))
    assert torch.equal(noise.uniform((2, 3)), torch.full((2, 3), 0.5))
