"""The multinomial given its sum: against SciPy, against its own draws, and of sparse rows as of dense ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from senzai.core.errors import SettingError
from senzai.core.random import Noise
from senzai.distributions import MultinomialFamily, MultinomialGivenTotal, draw, elementwise, expected, multinomial


@pytest.mark.parametrize("top", [2, 9])
def test_log_prob_is_scipys(top):
    x = torch.randint(top, (20, 7)).double()
    logits = torch.randn(20, 7, dtype=torch.float64)
    share = torch.softmax(logits, -1).numpy()
    truth = [stats.multinomial(int(n.sum()), p).logpmf(n) for n, p in zip(x.numpy(), share, strict=True)]
    assert np.allclose(MultinomialGivenTotal(logits, 3).log_prob(x).numpy(), truth, rtol=1e-10, atol=1e-10)


def test_a_row_without_anything_is_certain():
    assert MultinomialGivenTotal(torch.randn(4), 3).log_prob(torch.zeros(4)) == 0


def test_whole_numbers_stored_as_such_score_the_same():
    p, x = MultinomialGivenTotal(torch.randn(5, 6), 3), torch.randint(4, (5, 6))
    assert torch.equal(p.log_prob(x.to(torch.uint8)), p.log_prob(x.float()))


def test_draws_have_the_total_and_the_shares():
    p = MultinomialGivenTotal(torch.tensor([[0.0, 1.0, -1.0]]), 4)
    x = draw(p, (20_000,), grad=False, noise=Noise.seeded(0))
    assert bool((x.sum(-1) == 4).all())
    error = (p.variance / len(x)).sqrt()
    assert bool(((x.mean(0) - p.mean).abs() < 5 * error).all())


def test_draws_have_the_probabilities_of_their_values():
    p = MultinomialGivenTotal(torch.tensor([[0.3, -0.4]]), 3)
    x = draw(p, (20_000,), grad=False, noise=Noise.seeded(1))[:, 0, 0]
    truth = stats.binom(3, float(p.log_share.exp()[0, 0])).pmf(np.arange(4))
    found = np.bincount(x.long().numpy(), minlength=4) / len(x)
    assert np.all(np.abs(found - truth) < 5 * np.sqrt(truth * (1 - truth) / len(x)))


def test_a_draw_of_a_row_is_a_rows_alone():
    logits = torch.randn(3, 5)
    whole = draw(MultinomialGivenTotal(logits, 4), grad=False, noise=Noise.seeded(2))
    assert whole.shape == (3, 5)
    assert torch.equal(draw(MultinomialGivenTotal(logits, 4), grad=False, noise=Noise.seeded(2)), whole)


def test_the_mode_is_whole_and_has_the_total():
    p = MultinomialGivenTotal(torch.randn(50, 6), 11)
    assert bool((p.mode.sum(-1) == 11).all())
    assert bool((p.mode == p.mode.round()).all())
    assert torch.equal(expected(p), p.mean)


def test_it_starts_at_the_shares_of_all_rows():
    x = torch.tensor([[4.0, 0.0, 1.0], [2.0, 0.0, 3.0]])
    start = MultinomialFamily().start(x, torch.ones_like(x))
    share = MultinomialFamily()(start, (3,)).log_share.exp()
    assert torch.allclose(share, torch.tensor([0.6, 0.0, 0.4]), atol=1e-3)
    assert bool(torch.isfinite(start).all())


def test_gradients_are_counts_less_what_was_expected():
    logits, x = torch.randn(4, 6, requires_grad=True), torch.randint(5, (4, 6)).float()
    MultinomialGivenTotal(logits, 3).log_prob(x).sum().backward()
    truth = x - x.sum(-1, keepdim=True) * logits.detach().softmax(-1)
    assert torch.allclose(logits.grad, truth, atol=1e-5)


def test_rows_go_through_vmap():
    logits, x = torch.randn(4, 6), torch.randint(3, (4, 6)).float()
    single = torch.func.vmap(lambda a, b: MultinomialGivenTotal(a, 3).log_prob(b))(logits, x)
    assert torch.allclose(single, MultinomialGivenTotal(logits, 3).log_prob(x))


def test_a_total_below_one_is_refused():
    with pytest.raises(SettingError, match="`total >= 1`"):
        MultinomialFamily(total=0)


def test_entries_add_up_to_the_row():
    p, x = MultinomialGivenTotal(torch.randn(5, 6), 3), torch.randint(4, (5, 6)).float()
    assert torch.allclose(elementwise(p, x).sum(-1), p.log_prob(x), atol=1e-5)


@pytest.mark.parametrize("draws", [1, 3])
def test_many_shares_give_the_same_number_and_the_same_gradient(monkeypatch, draws):
    torch.manual_seed(0)
    x = torch.where(torch.rand(6, 400) < 0.03, torch.randint(1, 4, (6, 400)), 0).float()
    x[2] = 0  # a row without anything
    logits = torch.randn(draws, 6, 400).float().requires_grad_()
    weight = torch.randn(draws, 6).float()
    found = []
    for many in (1 << 40, 1):
        monkeypatch.setattr(multinomial, "MANY", many)
        monkeypatch.setattr(multinomial, "AT_ONCE", 1000)  # two rows at once
        p = MultinomialGivenTotal(logits, 3)
        log_p = p.log_prob(x)
        (gradient,) = torch.autograd.grad((weight * log_p).sum(), logits)
        found.append((log_p.detach(), gradient, "log_share" in vars(p)))
    (whole, slope, looked), (few, few_slope, few_looked) = found
    assert torch.allclose(few, whole, rtol=1e-5, atol=1e-4)
    assert torch.allclose(few_slope, slope, rtol=1e-4, atol=1e-5)
    assert (looked, few_looked) == (True, False)  # the second way was taken
