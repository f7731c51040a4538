"""Sequences of symbols: normalised over all rows, drawn with the frequencies that they are scored with, ended once."""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from senzai.core.errors import SettingError
from senzai.core.random import Noise, using
from senzai.core.row_noise import RowNoise
from senzai.distributions import draw, expected
from senzai.distributions.ops import prefix
from senzai.distributions.tokens import Decoding, TokenSequence, beam_search, decoding
from senzai.nn.conductor import ConductorSteps
from senzai.nn.tokens import RecurrentSteps, TransformerSteps

N, T = 3, 4
NETWORKS = {
    "recurrent": lambda: RecurrentSteps(N, 2, width=8, embedding=4),
    "transformer": lambda: TransformerSteps(N, 2, width=8, n_heads=2),
    "conductor": lambda: ConductorSteps(N, 2, segment=2, width=8, plan=5, embedding=4),
}


@pytest.fixture(params=NETWORKS)
def network(request):
    torch.manual_seed(1)
    made = NETWORKS[request.param]().eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.mul_(2)  # far from uniform
    return made


@pytest.fixture
def p(network):
    return TokenSequence(network, torch.tensor([[1.0, -1.0], [0.0, 2.0]]), T)


def every_row():
    return torch.tensor(list(itertools.product(range(N), repeat=T)))


def table(p):
    """Probabilities of every row, ``(rows, B)``."""
    with torch.no_grad():
        return torch.stack([p.log_prob(row.expand(2, T)) for row in every_row()]).exp()


def test_the_probabilities_of_all_rows_up_to_a_length_add_up_to_one(p):
    assert torch.allclose(table(p).sum(0), torch.ones(2), atol=1e-5)


@pytest.fixture
def full(network):
    """The same where every row has a symbol."""
    return TokenSequence(network, torch.tensor([[1.0, -1.0], [0.0, 2.0]]), T, nonempty=True)


def test_rows_that_are_never_empty_share_the_probability_of_the_empty_one(p, full):
    empty = every_row()[:, 0] == 0
    assert (table(full)[empty] == 0).all()
    assert torch.allclose(table(full).sum(0), torch.ones(2), atol=1e-5)
    rest = table(p)[~empty]
    assert torch.allclose(table(full)[~empty], rest / (1 - table(p)[empty].sum(0)), atol=1e-5)
    with using(Noise.seeded(0)):
        assert bool((full.sample((3000,))[..., 0] != 0).all())
    assert bool((full.mode[:, 0] != 0).all())
    best = beam_search(full.network, full.context, T, N**T, nonempty=True)  # so wide that it is every row
    likeliest = every_row()[table(full).argmax(0)]
    assert torch.allclose(full.log_prob(best), full.log_prob(likeliest))
    assert bool((best[:, 0] != 0).all())


def test_nothing_but_ends_comes_after_the_end(p):
    rows = every_row()
    after = ((rows == 0).cumsum(1) - (rows == 0).int() > 0) & (rows != 0)
    assert (table(p)[after.any(1)] == 0).all()


def test_draws_have_the_frequencies_of_the_probabilities(p):
    with using(Noise.seeded(0)):
        drawn = p.sample((20_000,))
    place = (drawn * torch.tensor([N ** (T - 1 - i) for i in range(T)])).sum(-1)
    for b in range(2):
        chance = table(p)[:, b].double().numpy()
        seen = np.bincount(place[:, b].numpy(), minlength=N**T)
        common = chance * 20_000 >= 5
        assert seen[chance == 0].sum() == 0
        got, want = (np.append(v[common], v[~common].sum()) for v in (seen, chance * 20_000))
        keep = want > 0
        assert stats.chisquare(got[keep], want[keep] / want[keep].sum() * got[keep].sum()).pvalue > 1e-3


def test_a_symbol_is_told_those_before_it_and_none_after_it(network):
    context = torch.zeros(1, 2)
    a, b = torch.tensor([[1, 2, 1, 2]]), torch.tensor([[1, 2, 2, 1]])
    p = TokenSequence(network, context, T)
    first, second = p.terms(a)[0], p.terms(b)[0]
    assert torch.allclose(first[:2], second[:2], atol=1e-6)
    assert not torch.allclose(first[3], second[3], atol=1e-4)


def test_going_step_by_step_gives_what_teacher_forcing_gives(network):
    context, x = torch.randn(5, 2), torch.randint(1, N, (5, T))
    previous = torch.cat([torch.zeros(5, 1, dtype=torch.long), x[:, :-1]], 1)
    with torch.no_grad():
        whole, state = network.states(previous, context), network.begin(context)
        for t in range(T):
            at, state = network.step(previous[:, t], state)
            assert torch.allclose(at, whole[:, t], atol=1e-5)


def test_the_first_steps_are_scored_whatever_stands_behind_them(p):
    x = torch.tensor([[1.0, 2.0, float("nan"), 7.0], [1.0, 2.0, 1.0, 0.0]])
    seen = prefix(p, torch.tensor([2, 4])).log_prob(x)
    terms = p.terms(torch.tensor([[1, 2, 1, 1], [1, 2, 1, 0]]))
    assert torch.allclose(seen, torch.stack([terms[0, :2].sum(), terms[1].sum()]), atol=1e-6)


def test_what_is_behind_the_end_gets_no_gradient(network):
    context = torch.zeros(2, 2, requires_grad=True)
    x = torch.tensor([[1, 0, 0, 0], [2, 2, 2, 0]])
    prefix(TokenSequence(network, context, T), torch.tensor([2, 4])).log_prob(x)[0].backward()
    assert context.grad is not None
    assert bool(context.grad[0].abs().sum() > 0)
    assert bool(context.grad[1].abs().sum() == 0)


@pytest.mark.parametrize("width", [2, 3, 27])
def test_a_beam_is_never_worse_than_the_greedy_row_and_a_wide_one_finds_the_best(p, width):
    greedy = p.mode
    with decoding(Decoding(beam=width)):
        found = expected(p)
    with torch.no_grad():
        assert (p.log_prob(found) >= p.log_prob(greedy) - 1e-6).all()
        if width == N ** (T - 1):
            assert torch.allclose(p.log_prob(found).exp(), table(p).max(0).values, atol=1e-6)


def test_a_beam_keeps_the_row_that_it_belongs_to(p):
    with torch.no_grad():
        both = beam_search(p.network, p.context, T, 27)
        alone = torch.cat([beam_search(p.network, p.context[i : i + 1], T, 27) for i in range(2)])
    assert torch.equal(both, alone)


def test_temperature_and_top_p_narrow_the_draws(p):
    with using(Noise.seeded(3)), decoding(Decoding(temperature=1e-3)):
        cold = p.sample((50,))
    assert torch.equal(cold, p.mode.expand_as(cold))
    with using(Noise.seeded(3)), decoding(Decoding(top_p=1e-6)):
        assert torch.equal(p.sample((50,)), p.mode.expand(50, 2, T))


def test_top_p_keeps_the_fewest_symbols_that_reach_it():
    log_p = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    assert torch.allclose(Decoding(top_p=0.7).adjusted(log_p).exp(), torch.tensor([[0.625, 0.375, 0.0, 0.0]]))
    assert torch.allclose(Decoding(top_p=0.81).adjusted(log_p).exp()[0, 3], torch.tensor(0.0))
    squared = torch.tensor([[0.25, 0.09, 0.0225, 0.0025]])
    assert torch.allclose(Decoding(temperature=0.5).adjusted(log_p).exp(), squared / squared.sum())


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"top_p": 0.0}, {"top_p": 1.1}, {"beam": 0}])
def test_a_number_out_of_its_range_is_refused(wrong):
    with pytest.raises(SettingError, match=next(iter(wrong))):
        Decoding(**wrong)


def test_a_rows_draw_does_not_depend_on_the_rows_beside_it(network):
    context = torch.randn(6, 2)
    whole = draw(TokenSequence(network, context, T), noise=RowNoise.of(0, 1, range(6), range(1)), grad=False, lead=0)
    part = draw(TokenSequence(network, context[3:], T), noise=RowNoise.of(0, 1, range(3, 6), range(1)), grad=False,
                lead=0)
    assert torch.equal(whole[3:], part)


def test_hidden_symbols_change_the_score_but_not_the_first_step(network):
    x = torch.full((200, T), 2)
    plain = TokenSequence(network, torch.zeros(200, 2), T)
    hidden = TokenSequence(network, torch.zeros(200, 2), T, hidden=0.5)
    with using(Noise.seeded(0)), torch.no_grad():
        a, b = plain.terms(x), hidden.terms(x)
    assert torch.allclose(a[:, 0], b[:, 0])
    changed = (a - b).abs()[:, 1] > 1e-6
    assert 0.35 < float(changed.float().mean()) < 0.65
