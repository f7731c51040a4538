"""What of a row is scored: closed forms of masks, lengths and modalities, alone and together."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Independent, MultivariateNormal, Normal

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError, ShapeError
from senzai.core.random import Noise
from senzai.distributions import (
    Autoregressive,
    BernoulliFamily,
    Modalities,
    draw,
    expected,
    point,
    stand_in,
    within,
)
from senzai.distributions.sequence import Sequence

LENGTHS = torch.tensor([1, 3, 2])


def normal(k, *event, seed=0):
    generator = torch.Generator().manual_seed(seed)
    loc = torch.randn(*k, 3, *event, generator=generator, dtype=torch.float64)
    return Independent(Normal(loc, 1.5), len(event))


def rows(*event, seed=1):
    return torch.randn(3, *event, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(params=[(3,), (3, 2)], ids=str)
def event(request):
    return request.param


def by_hand(p, x, seen):
    """The sum over the entries that are there, one by one."""
    log_p = p.base_dist.log_prob(x)
    return torch.where(seen, log_p, torch.zeros_like(log_p)).flatten(log_p.ndim - len(p.event_shape)).sum(-1)


def prefix_of(x, lengths=LENGTHS):
    seen = torch.zeros_like(x, dtype=torch.bool)
    for i, n in enumerate(lengths.tolist()):
        seen[i, :n] = True
    return seen


@pytest.mark.parametrize("hole", [7.0, torch.nan])
def test_only_the_steps_of_a_row_count(event, hole):
    p, x = normal((4,), *event), rows(*event)
    seen = prefix_of(x)
    padded = torch.where(seen, x, hole)
    found = within(p, Batch(padded, lengths=LENGTHS)).log_prob(padded)
    torch.testing.assert_close(found, by_hand(p, x, seen), rtol=1e-12, atol=1e-12)


def test_holes_and_ends_together(event):
    p, x = normal((4,), *event), rows(*event)
    mask = torch.rand(x.shape, generator=torch.Generator().manual_seed(3)) < 0.6
    seen = prefix_of(x) & mask
    batch = Batch(torch.where(seen, x, torch.nan), mask=mask, lengths=LENGTHS)
    torch.testing.assert_close(within(p, batch).log_prob(batch.x), by_hand(p, x, seen), rtol=1e-12, atol=1e-12)


def test_no_gradient_comes_from_behind_the_end(event):
    p, x = normal((2,), *event), rows(*event)
    x.requires_grad_()
    within(p, Batch(x, lengths=LENGTHS)).log_prob(x).sum().backward()
    assert bool((x.grad[~prefix_of(x)] == 0).all())
    assert bool((x.grad[prefix_of(x)] != 0).all())


def test_draws_keep_their_shape(event):
    p = normal((4,), *event)
    told = within(p, Batch(rows(*event), lengths=LENGTHS))
    assert draw(told, (2,), noise=Noise.seeded(0)).shape == (2, 4, 3, *event)
    assert torch.equal(draw(told, noise=Noise.seeded(0)), draw(p, noise=Noise.seeded(0)))
    assert torch.equal(expected(told), p.mean)
    assert torch.equal(point(told), p.mean)
    assert stand_in(told).shape == (4, 3, *event)


def test_a_distribution_over_steps_takes_lengths_and_holes():
    steps, x = normal((4, 3), 2), rows(3, 2)
    whole = Sequence(steps, torch.ones(3, 3, dtype=torch.bool))
    mask = torch.rand(x.shape, generator=torch.Generator().manual_seed(3)) < 0.6
    for batch in (Batch(x, lengths=LENGTHS), Batch(x, mask=mask), Batch(x, mask=mask, lengths=LENGTHS)):
        flat = Independent(Normal(steps.base_dist.loc, 1.5), 2)
        seen = torch.ones_like(x, dtype=torch.bool) if batch.observed is None else batch.observed
        torch.testing.assert_close(within(whole, batch).log_prob(x), by_hand(flat, x, seen), rtol=1e-12, atol=1e-12)


# --- chains ---------------------------------------------------------------------------------------------------------
def chain(event, order=None):
    """Each bit likely what the one before it was; lead (2, 3)."""
    n = event[0] * (event[1] if len(event) > 1 else 1)

    def conditionals(x):
        flat = x.flatten(x.ndim - len(event))
        before = torch.nn.functional.pad(flat[..., :-1], (1, 0), value=0.5)
        return (3 * (2 * before - 1)).unsqueeze(-2).unflatten(-1, event)

    return Autoregressive(conditionals, BernoulliFamily(), (2, 3), event, torch.arange(n) if order is None else order)


def test_the_beginning_of_a_chain_is_its_marginal(event):
    """All ways to go on add up to the probability of the beginning."""
    p = chain(event)
    x = (rows(*event) > 0).float()
    found = within(p, Batch(x, lengths=LENGTHS)).log_prob(torch.where(prefix_of(x), x, torch.nan))
    for i, n in enumerate(LENGTHS.tolist()):
        rest = x[i, n:].numel()
        ways = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * rest).view(-1, rest) if rest else torch.zeros(1, 0)
        ends = ways.view(len(ways), -1, *event[1:]) if rest else x[i : i + 1, n:]
        whole = torch.cat([x[i, :n].expand(len(ends), *x[i, :n].shape), ends], 1).unsqueeze(1).unsqueeze(1)
        total = p.log_prob(whole.expand(len(ends), 2, 3, *event))[:, :, i].logsumexp(0)
        torch.testing.assert_close(found[:, i], total, rtol=1e-5, atol=1e-5)


def test_a_chain_in_another_order_has_no_beginning():
    p = chain((3,), torch.tensor([2, 0, 1]))
    with pytest.raises(CombinationError, match="steps in order"):
        within(p, Batch(torch.zeros(3, 3), lengths=LENGTHS))


@pytest.mark.parametrize("what", [{"lengths": LENGTHS}, {"mask": torch.ones(3, 2, dtype=torch.bool)}])
def test_dependent_entries_are_refused(what):
    p = MultivariateNormal(torch.zeros(3, 2), torch.eye(2))
    with pytest.raises(CombinationError, match="marginals are known"):
        within(p, Batch(torch.zeros(3, 2), **what))


# --- modalities -----------------------------------------------------------------------------------------------------
def pair(k=(4,)):
    return Modalities({"a": normal(k, 3, 2), "b": normal(k, 2, seed=5)})


def values():
    return {"a": rows(3, 2), "b": rows(2, seed=6)}


def test_log_densities_of_modalities_add_up():
    p, x = pair(), values()
    assert p.batch_shape == (4, 3)
    torch.testing.assert_close(p.log_prob(x), p.parts["a"].log_prob(x["a"]) + p.parts["b"].log_prob(x["b"]))
    assert torch.equal(within(p, Batch(x)).log_prob(x), p.log_prob(x))


def test_masks_lengths_and_presence_by_modality():
    p, x = pair(), values()
    present = torch.tensor([True, False, True])
    mask = torch.rand(x["a"].shape, generator=torch.Generator().manual_seed(3)) < 0.6
    seen = mask & prefix_of(x["a"])
    holes = {"a": torch.where(seen, x["a"], torch.nan), "b": torch.where(present.unsqueeze(1), x["b"], torch.nan)}
    batch = Batch(holes, mask={"a": mask}, lengths={"a": LENGTHS}, present={"b": present})
    one = by_hand(p.parts["a"], x["a"], seen)
    two = torch.where(present, p.parts["b"].log_prob(x["b"]), 0.0)
    torch.testing.assert_close(within(p, batch).log_prob(holes), one + two, rtol=1e-12, atol=1e-12)


def test_modalities_are_drawn_and_shown_by_name():
    p = pair()
    told = within(p, Batch(values(), lengths={"a": LENGTHS}, present={"b": torch.zeros(3, dtype=torch.bool)}))
    for made in (p, told):
        shapes = {k: tuple(v.shape) for k, v in draw(made, (2,), noise=Noise.seeded(0)).items()}
        assert shapes == {"a": (2, 4, 3, 3, 2), "b": (2, 4, 3, 2)}
        assert torch.equal(expected(made)["b"], p.parts["b"].mean)
        assert torch.equal(draw(made, (2,), noise=Noise(point=True))["a"][1], p.parts["a"].mean)
        assert stand_in(made)["a"].shape == (4, 3, 3, 2)


def test_what_does_not_fit_is_refused():
    p, x = pair(), values()
    with pytest.raises(ShapeError, match="modalities a, b"):
        p.log_prob({"a": x["a"]})
    with pytest.raises(CombinationError, match="on one side alone"):
        within(p, Batch({"a": x["a"]}))
    with pytest.raises(CombinationError, match="one part for each"):
        within(p.parts["a"], Batch(x))
    with pytest.raises(CombinationError, match="same rows"):
        Modalities({"a": normal((4,), 2), "b": normal((5,), 2)})
