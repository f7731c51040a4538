"""Columns scored together: values and gradients are those of torch's own distributions, column by column."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Categorical, NegativeBinomial, Normal, StudentT
from torch.nn import functional as F

from senzai.distributions import MixedColumns, MixedFamily, elementwise, marginal
from senzai.distributions.side_by_side import FILLED, ends_of, moved, packed

SORTS = (
    "normal", "category", "steps", "count", "binary", "student_t", "category", "steps", "normal", "category", "binary",
)
SIZES = (0, 3, 4, 0, 2, 0, 300, 3, 0, 4, 2)
CUTS = ((-1.0, 0.2, 1.5), (-0.5, 0.5))
SPIKES = (-3.5, None, 1.0, 0.0, None, None, None, None, 0.25, None, None)


def one(sort, n=1, *, spike=None):
    """A table of ``n`` columns of one sort."""
    size = {"category": 5, "binary": 2, "steps": 3}.get(sort, 0)
    cuts = ((-0.5, 0.5),) * n if sort == "steps" else ()
    return MixedFamily(sorts=(sort,) * n, sizes=(size,) * n, cuts=cuts, spikes=() if spike is None else (spike,) * n)


FAMILIES = {
    "all": MixedFamily(sorts=SORTS, sizes=SIZES, cuts=CUTS),
    "spiked": MixedFamily(sorts=SORTS, sizes=SIZES, cuts=CUTS, spikes=SPIKES),
    **{s: one(s) for s in ("normal", "student_t", "steps", "count", "binary", "category")},
    **{f"{s} with a spike": one(s, 2, spike=1.0) for s in ("normal", "student_t", "steps", "count")},
    "three bits": one("binary", 3),
}
DTYPES = {"float64": torch.float64, "float32": torch.float32}
EVERY = [pytest.param(f, d, id=f"{n}-{k}") for n, f in FAMILIES.items() for k, d in DTYPES.items()]


def case(family, dtype, *lead, seed=0):
    """Raw numbers and rows; half of the entries of a column with a spike are the spike."""
    r = np.random.default_rng(seed)
    x = np.zeros((lead[-1], len(family.sorts)))
    for j, (sort, size) in enumerate(zip(family.sorts, family.sizes, strict=True)):
        draws = {"count": lambda: r.poisson(3, len(x)), "normal": lambda: r.normal(size=len(x))}
        x[:, j] = draws.get(sort, lambda: r.normal(size=len(x)))() if size == 0 else r.integers(size, size=len(x))
        if family.spikes and family.spikes[j] is not None:
            x[::2, j] = family.spikes[j]
    raw = torch.randn(*lead, sum(family.widths), dtype=dtype, generator=torch.Generator().manual_seed(seed))
    return raw.requires_grad_(), torch.tensor(x)


def oracle(family, raw, x):
    """Every column on its own, with torch's distributions; steps by the logistic distribution function."""
    found, start, cuts = [], 0, iter(family.cuts)
    for j, (sort, width) in enumerate(zip(family.sorts, family.widths, strict=True)):
        a, v = raw[..., start : start + width], x[..., j]
        start += width
        spike = family.spikes[j] if family.spikes else None
        loc, scale = a[..., 0], F.softplus(a[..., 1 if width > 1 else 0]) + family.floor
        if sort == "normal":
            inner = Normal(loc, scale).log_prob(v)
        elif sort == "student_t":
            inner = StudentT(F.softplus(a[..., 2]) + 2, loc, scale).log_prob(v)
        elif sort == "count":
            inner = NegativeBinomial(a[..., 1].exp(), logits=a[..., 0] - a[..., 1]).log_prob(v)
        elif sort == "binary":
            inner = Bernoulli(logits=a[..., 0]).log_prob(v)
        elif sort == "category":
            inner = Categorical(logits=a).log_prob(v)
        else:
            ends = torch.tensor([-np.inf, *next(cuts), np.inf], dtype=raw.dtype)[torch.stack([v, v + 1]).long()]
            inside = (torch.sigmoid((e.nan_to_num(0, 0, 0) - loc) / scale) for e in ends)
            below, above = (torch.where(e.isinf(), (e > 0).to(raw), v) for e, v in zip(ends, inside, strict=True))
            inner = (above - below).log()
        if spike is not None:
            own, rest = F.logsigmoid(a[..., -1]), F.logsigmoid(-a[..., -1]) + inner
            both = torch.logaddexp(own, rest) if sort in ("steps", "count") else own
            inner = torch.where(v == spike, both, rest)
        found.append(inner)
    return torch.stack(found, -1)


def tolerance(dtype):
    return {"rtol": 1e-9, "atol": 1e-9} if dtype is torch.float64 else {"rtol": 2e-5, "atol": 2e-5}


@pytest.mark.parametrize(("family", "dtype"), EVERY)
@pytest.mark.parametrize("lead", [(9,), (2, 9)], ids=str)
def test_values_and_gradients_are_those_of_every_column_alone(family, dtype, lead):
    raw, x = case(family, dtype, *lead)
    weight = torch.randn(*lead, len(family.sorts), dtype=dtype, generator=torch.Generator().manual_seed(1))
    found, expect = elementwise(family(raw, (len(family.sorts),)), x), oracle(family, raw, x.to(dtype))
    torch.testing.assert_close(found, expect, **tolerance(dtype))
    slopes = [torch.autograd.grad((p * weight).sum(), raw)[0] for p in (found, expect)]
    torch.testing.assert_close(*slopes, **tolerance(dtype))


@pytest.mark.parametrize(("family", "dtype"), EVERY)
def test_groups_and_columns_together_say_the_same(family, dtype):
    raw, x = case(family, dtype, 9)
    p = family(raw, (len(family.sorts),)).base_dist
    together, groups = p.log_prob(x), MixedColumns(p.groups, p.back).log_prob(x)
    assert together.dtype == groups.dtype == dtype
    torch.testing.assert_close(together, groups, rtol=1e-6 if dtype is torch.float32 else 1e-12, atol=5e-7)
    # Vector instructions round the last elements of a tensor differently on some processors.
    again = p.expand((3, 9, len(family.sorts))).log_prob(x)[2]
    torch.testing.assert_close(again, together, rtol=1e-6 if dtype is torch.float32 else 1e-12, atol=5e-7)


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_what_is_hidden_counts_for_nothing(dtype):
    family = FAMILIES["spiked"]
    raw, x = case(family, dtype, 9)
    seen = torch.rand(x.shape, generator=torch.Generator().manual_seed(2)) < 0.6
    value = marginal(family(raw, (len(SORTS),)), seen).log_prob(torch.where(seen, x, torch.nan))
    expect = torch.where(seen, oracle(family, raw, torch.where(seen, x, 0.0).to(dtype)), 0.0).sum(-1)
    torch.testing.assert_close(value, expect, **tolerance(dtype))
    slopes = [torch.autograd.grad(v.sum(), raw)[0] for v in (value, expect)]
    torch.testing.assert_close(*slopes, **tolerance(dtype))


@pytest.mark.parametrize("name", ["spiked", "binary", "steps", "three bits"])
def test_gradients_have_gradients(name):
    family = FAMILIES[name]
    raw, x = case(family, torch.float64, 2)
    assert torch.autograd.gradgradcheck(lambda r: family(r, (len(family.sorts),)).log_prob(x), raw)


def test_rows_have_gradients_of_their_own():
    family = FAMILIES["spiked"]
    raw, x = case(family, torch.float64, 3)
    found = torch.func.vmap(torch.func.grad(lambda r, v: family(r, (len(SORTS),)).log_prob(v)))(raw.detach(), x)
    (expect,) = torch.autograd.grad(family(raw, (len(SORTS),)).log_prob(x).sum(), raw)
    torch.testing.assert_close(found, expect)


@pytest.mark.parametrize("raw", [-300.0, -8.0, 0.0, 8.0, 300.0])
def test_steps_with_open_ends_have_a_slope_at_every_scale(raw):
    family = MixedFamily(sorts=("steps", "steps"), sizes=(4, 2), cuts=((-1.0, 0.2, 1.5), (0.5,)), floor=1e-6)
    a = torch.tensor([[raw, -raw, 3.0, raw]], dtype=torch.float32, requires_grad=True)
    p = family(a, (2,))
    for k in range(4):
        (slope,) = torch.autograd.grad(elementwise(p, torch.tensor([[float(k), k % 2]])).sum(), a, retain_graph=True)
        assert torch.isfinite(slope).all()
    mass = torch.stack([elementwise(p, torch.tensor([[float(k), k % 2]]))[0].exp() for k in range(4)]).double()
    torch.testing.assert_close(mass.sum(0), torch.tensor([1.0, 2.0]).double(), rtol=1e-5, atol=1e-6)


def test_codes_are_filled_up_only_a_little():
    sizes = {j: int(n) for j, n in enumerate(np.random.default_rng(0).integers(2, 400, size=50))}
    groups = packed(sizes)
    assert sorted(j for columns, _ in groups for j in columns) == list(sizes)
    for columns, width in groups:
        assert width == max(sizes[j] for j in columns)
        assert sum(width - sizes[j] for j in columns) <= FILLED
    assert packed({}) == []
    assert ends_of(torch.zeros(0, 0)).shape == (3, 0, 1)


def test_moved_numbers_take_their_gradients_home():
    x = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    there, back = torch.tensor([2, 3, 0, 4, 1]), torch.tensor([2, 4, 0])
    filling = torch.tensor([7.0, 8.0], dtype=torch.float64)
    assert moved(x, there, back, filling)[0].tolist() == [x[0, 2], 7.0, x[0, 0], 8.0, x[0, 1]]
    assert torch.autograd.gradcheck(lambda v: moved(v, there, back, filling), x)
