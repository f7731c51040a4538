"""Statistics of parts, merged, are those of the whole."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from senzai.core.batch import Batch
from senzai.core.errors import ShapeError
from senzai.nn import Standardise, Statistics


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.lists(st.integers(0, 7), min_size=1, max_size=5), st.booleans(), st.floats(-1e6, 1e6))
def test_merged_parts_are_the_whole(seed, sizes, holes, far):
    r = torch.Generator().manual_seed(seed)
    x = torch.randn(sum(sizes), 3, generator=r, dtype=torch.float64) * 7 + far
    mask = torch.rand(x.shape, generator=r) < 0.6 if holes else None
    given_x = x if mask is None else torch.where(mask, x, torch.nan)
    parts = [Statistics.of(p, None if mask is None else m) for p, m in zip(
        given_x.split(sizes), (given_x if mask is None else mask).split(sizes), strict=True)]
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merged(part)
    seen = torch.ones_like(x, dtype=torch.bool) if mask is None else mask
    assert merged.count.tolist() == seen.sum(0).tolist()
    for j in range(3):
        column = x[seen[:, j], j]
        if len(column):
            assert float(merged.mean[j]) == pytest.approx(float(column.mean()), rel=1e-12, abs=1e-9)
            assert float(merged.deviation[j]) == pytest.approx(
                float((column - column.mean()).square().sum()), rel=1e-6, abs=1e-6)
            assert float(merged.low[j]) == float(column.min())
            assert float(merged.high[j]) == float(column.max())


@pytest.mark.parametrize("scaling", ["element", "shared", "range"])
def test_an_input_is_standardised_by_what_several_parties_know(scaling):
    x = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 5.0, 0.1, 2.0]) + 3
    whole, parts = (Standardise((4,), scaling=scaling) for _ in range(2))
    whole.initialise(Batch(x))
    parts.take(Statistics.of(x[:7]).merged(Statistics.of(x[7:30])).merged(Statistics.of(x[30:])))
    torch.testing.assert_close(parts.shift, whole.shift)
    torch.testing.assert_close(parts.scale, whole.scale)
    torch.testing.assert_close(whole.shift, x.mean(0))
    if scaling == "element":
        torch.testing.assert_close(whole.scale, x.std(0, unbiased=False))


def test_rows_of_other_shapes_are_not_merged():
    with pytest.raises(ShapeError, match="one shape"):
        Statistics.of(torch.zeros(3, 2)).merged(Statistics.of(torch.zeros(3, 4)))
