"""Drawn dSprites: geometry that is known, and the published images."""

import numpy as np
import pytest

from senzai.core.errors import InputError
from senzai.data.dsprites import SIZES, TOTAL, factors_of, random_factors, render


def centre(image):
    y, x = np.nonzero(image)
    return x.mean(), y.mean()


@pytest.mark.parametrize(("shape", "area"), [(0, 19.2**2), (1, np.pi * 12.8 * 7.2)])
def test_areas_are_those_of_the_shapes(shape, area):
    factors = [[shape, scale, angle, 15, 16] for scale in range(6) for angle in range(0, 39, 3)]
    drawn = render(factors).sum((1, 2))
    size = np.array([0.5 + f[1] / 10 for f in factors])
    assert np.abs(drawn / size**2 / area - 1).mean() < 0.02


def test_centres_lie_on_the_grid():
    for x, y in ((0, 0), (31, 0), (7, 22)):
        a, b = centre(render([[1, 3, 5, x, y]])[0])
        assert (a, b) == pytest.approx((15.5 + 32 * x / 31, 15.5 + 32 * y / 31), abs=0.3)


def test_the_heart_stands_on_its_tip_and_turns():
    upright = render([[2, 5, 0, 16, 16]])[0]
    rows = np.nonzero(upright.any(1))[0]
    assert upright[rows[-1]].sum() <= 3 < upright[rows[3]].sum()
    quarter = render([[2, 5, 39 // 4, 16, 16]])[0]
    columns = np.nonzero(quarter.any(0))[0]
    widths = quarter.sum(0)
    assert widths[columns[-1]] <= 3 < widths[columns[3]], "the tip points to the right after a quarter"


def test_numbers_go_through_all_factors_in_order():
    assert TOTAL == 737280
    numbers = np.array([0, 32, 1024, 40960, 245760, TOTAL - 1])
    assert factors_of(numbers).tolist() == [
        [0, 0, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 1, 0, 0], [0, 1, 0, 0, 0], [1, 0, 0, 0, 0], [2, 5, 39, 31, 31],
    ]
    some = random_factors(500, seed=1)
    assert (np.ravel_multi_index(some.T, SIZES) < TOTAL).all()
    assert [len(set(some[:, i])) for i in range(5)] == list(SIZES)


@pytest.mark.parametrize("wrong", [[[0, 0, 0, 0]], [[3, 0, 0, 0, 0]], [[0, -1, 0, 0, 0]], [[0.0, 0, 0, 0, 0]]])
def test_what_is_no_factor_is_refused(wrong):
    with pytest.raises(InputError, match="Factors are whole numbers"):
        render(wrong)
    with pytest.raises(InputError, match="numbered"):
        factors_of([TOTAL])


def test_no_images_are_no_images():
    assert render(np.zeros((0, 5), int)).shape == (0, 64, 64)


def test_drawn_images_are_the_published_ones_but_for_pixels_at_the_outline(data_dir):
    path = data_dir / "dsprites_subset" / "dsprites_20k.npz"
    if not path.exists():
        pytest.skip(f"no {path}")
    with np.load(path, allow_pickle=False) as file:
        chosen = slice(0, 20000, 20)
        real = np.unpackbits(file["imgs_packed"][chosen], axis=1)[:, :4096].reshape(-1, 64, 64)
        factors, index = file["latents_classes"][chosen].astype(int), file["original_dataset_indices"][chosen]
    assert (factors_of(index) == factors).all()
    drawn = render(factors)
    overlap = (real & drawn).sum((1, 2)) / (real | drawn).sum((1, 2))
    for shape, least in ((0, 0.999), (1, 0.99), (2, 0.98)):
        assert overlap[factors[:, 0] == shape].mean() > least
    assert overlap.min() > 0.9
