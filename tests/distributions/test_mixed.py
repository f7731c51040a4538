"""Mixed columns: each has its own density, masks leave out exactly what they hide, starts are the marginals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch.distributions import Independent

from senzai.core.errors import SettingError
from senzai.core.random import Noise
from senzai.core.spec import from_spec, to_spec
from senzai.distributions import MixedFamily, Steps, draw, elementwise, marginal, point
from senzai.distributions.inflated import Inflated
from senzai.distributions.ops import expected

SORTS = ("normal", "category", "steps", "count", "binary", "student_t", "category", "steps", "normal", "category")
SIZES = (0, 3, 4, 0, 2, 0, 30, 3, 0, 4)
CUTS = ((-1.0, 0.2, 1.5), (-0.5, 0.5))
FAMILY = MixedFamily(sorts=SORTS, sizes=SIZES, cuts=CUTS)
EVENT = (len(SORTS),)
WIDTHS = (2, 3, 2, 2, 1, 3, 30, 2, 2, 4)


def raws(*lead):
    return torch.randn(*lead, sum(WIDTHS), dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def rows(n=7):
    r = np.random.default_rng(0)
    columns = [
        r.normal(size=n), r.integers(3, size=n), r.integers(4, size=n), r.poisson(3, size=n), r.integers(2, size=n),
        r.normal(size=n), r.integers(30, size=n), r.integers(3, size=n), r.normal(size=n), r.integers(4, size=n),
    ]
    return torch.tensor(np.stack(columns, 1), dtype=torch.float64)


def softplus(v):
    return np.logaddexp(0, v)


def oracle(raw, x, j):
    """Log density of one entry, written out without the library."""
    start = sum(WIDTHS[:j])
    a = raw[start : start + WIDTHS[j]]
    sort = SORTS[j]
    if sort == "normal":
        return stats.norm(a[0], softplus(a[1]) + 0.1).logpdf(x)
    if sort == "student_t":
        return stats.t(softplus(a[2]) + 2, a[0], softplus(a[1]) + 0.1).logpdf(x)
    if sort == "category":
        return a[int(x)] - special.logsumexp(a)
    if sort == "binary":
        return -softplus(-a[0]) if x else -softplus(a[0])
    if sort == "count":
        mean, r = np.exp(a)
        return stats.nbinom(r, r / (r + mean)).logpmf(x)
    cuts = np.array([-np.inf, *CUTS[0 if j == 2 else 1], np.inf])
    cdf = special.expit((cuts - a[0]) / (softplus(a[1]) + 0.1))
    return np.log(cdf[int(x) + 1] - cdf[int(x)])


def test_every_column_has_its_own_density():
    raw, x = raws(7), rows()
    expect = [[oracle(raw[i].numpy(), x[i, j].item(), j) for j in range(len(SORTS))] for i in range(7)]
    p = FAMILY(raw, EVENT)
    np.testing.assert_allclose(elementwise(p, x), expect, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(p.log_prob(x), np.sum(expect, 1), rtol=1e-9)
    assert isinstance(p, Independent)
    assert (p.batch_shape, p.event_shape) == ((7,), EVENT)
    assert FAMILY(raws(2, 7), EVENT).log_prob(x).shape == (2, 7)


SPIKED = MixedFamily(sorts=SORTS, sizes=SIZES, cuts=CUTS, spikes=(-3.5, None, 1.0, 0.0, *[None] * 4, 0.25, None))


def test_a_value_has_a_probability_of_its_own():
    """Against SciPy: a point mass beside a density, and a share more of a value that the others can be too."""
    x = rows(40)
    at = {j: s for j, s in enumerate(SPIKED.spikes) if s is not None}
    for j, spike in at.items():
        x[:20, j] = spike
    raw = torch.randn(40, sum(SPIKED.widths), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    plain = [i for j, n in enumerate(SPIKED.widths) for i in range(sum(SPIKED.widths[:j]), sum(SPIKED.widths[:j + 1]))
             if j not in at or i < sum(SPIKED.widths[:j + 1]) - 1]
    found = elementwise(SPIKED(raw, EVENT), x)
    for j in range(len(SORTS)):
        expect = np.array([oracle(raw[i, plain].numpy(), x[i, j].item(), j) for i in range(40)])
        if j in at:
            gate = raw[:, sum(SPIKED.widths[:j + 1]) - 1].numpy()
            share, there = special.expit(gate), (x[:, j] == at[j]).numpy()
            inner = (1 - share) * np.exp(expect)
            expect = np.log(np.where(there, share + inner * (SORTS[j] in ("steps", "count")), inner))
        np.testing.assert_allclose(found[:, j], expect, rtol=1e-9, atol=1e-9)


def test_a_spike_is_drawn_as_often_as_it_should_be_and_starts_at_its_share():
    n = 4000
    x = torch.zeros(n, len(SORTS), dtype=torch.float64)
    r = torch.Generator().manual_seed(0)
    x[:, 0] = torch.where(torch.rand(n, generator=r) < 0.3, -3.5, torch.randn(n, generator=r)).double()
    x[:, 2] = torch.where(torch.rand(n, generator=r) < 0.3, 1, torch.randint(4, (n,), generator=r)).double()
    raw = SPIKED.start(x, torch.ones_like(x)).expand(n, -1)
    p = SPIKED(raw, EVENT)
    made = draw(p, grad=False, noise=Noise.seeded(0))
    share = (x[:, 0] == -3.5).double().mean()
    assert abs((made[:, 0] == -3.5).double().mean() - share) < 5 * (share * (1 - share) / n) ** 0.5
    rest = made[made[:, 0] != -3.5, 0]
    assert abs(rest.mean()) < 5 / len(rest) ** 0.5  # the rest starts without the spike
    mass = [torch.full_like(x, k) for k in range(4)]
    total = sum(elementwise(p, k)[0, 2].exp() for k in mass)
    assert float(total) == pytest.approx(1)
    assert (made[:, 2] == 1).double().mean() == pytest.approx(float(elementwise(p, mass[1])[0, 2].exp()), abs=0.04)
    assert point(p)[0, 0] != -3.5  # less likely than all others together


def test_mean_and_mode_count_the_spike_in():
    gate = torch.logit(torch.tensor([0.25, 0.75], dtype=torch.float64))
    inner = torch.distributions.Normal(torch.tensor([2.0, 2.0]).double(), 1.0)
    p = Inflated(inner, gate, torch.tensor([-3.0, -3.0]).double(), discrete=False)
    np.testing.assert_allclose(p.mean, [0.25 * -3 + 0.75 * 2, 0.75 * -3 + 0.25 * 2])
    assert p.mode.tolist() == [2, -3]


def test_what_can_have_no_spike_is_refused():
    with pytest.raises(SettingError, match=r"of the sort 'category'"):
        MixedFamily(sorts=("category",), sizes=(3,), spikes=(1.0,))
    with pytest.raises(SettingError, match="2 for 1 columns"):
        MixedFamily(sorts=("normal",), sizes=(0,), spikes=(1.0, None))


def test_steps_start_at_the_shares():
    shares = torch.tensor([[0.2, 0.5, 0.1, 0.2], [0.6, 0.4, 0.0, 0.0]])
    cuts = torch.logit(shares.double().cumsum(1)[:, :-1], eps=1e-12)
    cuts[1, 1:] = torch.tensor([2e4, 3e4])  # a column with two values, filled up
    p = Steps(torch.zeros(2).double(), torch.ones(2).double(), cuts)
    found = torch.stack([p.log_prob(torch.full((2,), float(k)).double()).exp() for k in range(4)], 1)
    np.testing.assert_allclose(found[0], shares[0], atol=1e-7)
    np.testing.assert_allclose(found[1, :2], shares[1, :2], atol=1e-7)
    drawn = draw(p, (20_000,), grad=False, noise=Noise.seeded(0))
    np.testing.assert_allclose([(drawn[:, 0] == k).double().mean() for k in range(4)], shares[0], atol=0.015)
    assert drawn[:, 1].max() == 1
    assert p.mode.tolist() == [1, 0]


@pytest.mark.parametrize("hidden", [float("nan"), 1e30, -5.0])
def test_nothing_depends_on_what_stands_at_a_hole(hidden):
    raw, x = raws(7).requires_grad_(), rows()
    mask = torch.rand(x.shape, generator=torch.Generator().manual_seed(1)) < 0.6
    p = marginal(FAMILY(raw, EVENT), mask)
    value = p.log_prob(torch.where(mask, x, torch.full_like(x, hidden)))
    (gradient,) = torch.autograd.grad(value.sum(), raw)
    expect = (elementwise(FAMILY(raw, EVENT), x) * mask).sum(1)
    (other,) = torch.autograd.grad(expect.sum(), raw)
    torch.testing.assert_close(value, expect)
    torch.testing.assert_close(gradient, other)


def test_draws_are_a_row_s_own_and_have_the_right_moments():
    raw = raws(6)
    keep = [j for j, s in enumerate(SORTS) if s != "count"]  # a Poisson has no draws from standard noise
    whole = draw(FAMILY(raw, EVENT), (3,), grad=False, noise=Noise.seeded(4))
    part = draw(FAMILY(raw[4:], EVENT), (3,), grad=False, noise=Noise.seeded(4, offset=4, total=6))
    assert torch.equal(whole[:, 4:][..., [0]], part[..., [0]])
    many = draw(FAMILY(raw[:1], EVENT), (40_000,), grad=False, noise=Noise.seeded(5))[:, 0]
    for j in keep:
        if SIZES[j]:
            shares = [(many[:, j] == k).double().mean().item() for k in range(SIZES[j])]
            expect = [np.exp(oracle(raw[0].numpy(), k, j)) for k in range(SIZES[j])]
            np.testing.assert_allclose(shares, expect, atol=0.013)
    assert abs(many[:, 0].mean() - raw[0, 0]) < 0.03
    mean = np.exp(raw[0, sum(WIDTHS[:3])].item())
    assert abs(many[:, 3].mean() - mean) < 0.1 * mean + 0.05


def test_what_stands_for_a_row():
    raw = raws(7)
    seen = expected(FAMILY(raw, EVENT))
    assert torch.equal(seen, point(FAMILY(raw, EVENT)))
    assert torch.equal(seen[:, 1], raw[:, 2:5].argmax(1).double())
    np.testing.assert_allclose(seen[:, 0], raw[:, 0])
    np.testing.assert_allclose(seen[:, 3], raw[:, sum(WIDTHS[:3])].exp())


def test_a_start_is_the_marginal_of_what_was_observed():
    x = rows(4000)
    mask = torch.rand(x.shape, generator=torch.Generator().manual_seed(2)) < 0.7
    x = torch.where(mask, x, torch.full_like(x, float("nan")))
    raw = FAMILY.start(x, mask.double())
    p = FAMILY(raw[None], EVENT)
    for j, size in enumerate(SIZES):
        seen = x[mask[:, j], j]
        if SORTS[j] in ("category", "binary"):
            only = torch.eye(len(SIZES)).double()[j : j + 1]
            probs = [elementwise(p, k * only)[0, j].exp() for k in range(size)]
            shares = [(seen == k).double().mean().item() for k in range(size)]
            np.testing.assert_allclose(probs, shares, atol=2e-3)
        elif SORTS[j] in ("normal", "count"):
            assert abs(expected(p)[0, j] - seen.mean()) < 1e-2


def test_it_survives_its_spec():
    assert from_spec(to_spec(FAMILY)) == FAMILY


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"sorts": ("normal",), "sizes": (0, 1)}, "a sort and a size"),
        ({"sorts": ("norml",), "sizes": (0,)}, "one of normal"),
        ({"sorts": ("category",), "sizes": (1,)}, "at least 2"),
        ({"sorts": ("steps",), "sizes": (3,), "cuts": ((0.0,),)}, "one cut point less"),
        ({"sorts": ("normal",), "sizes": (0,), "floor": 0.0}, "floor"),
    ],
)
def test_what_cannot_be_is_refused(arguments, why):
    with pytest.raises(SettingError, match=why):
        MixedFamily(**{"cuts": (), **arguments})
