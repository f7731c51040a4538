"""Rows of which some symbols are written anew, against a slow and plain version."""

import pytest
import torch

from senzai.core.errors import SettingError
from senzai.distributions.rewriting import chosen, rewritten, speaking
from senzai.distributions.tokens import END, UNKNOWN, TokenSequence
from senzai.nn.tokens import RecurrentSteps, TransformerSteps

N, T = 7, 6


@pytest.fixture(params=[RecurrentSteps, TransformerSteps])
def pair(request):
    torch.manual_seed(0)
    more = {"n_heads": 2} if request.param is TransformerSteps else {}
    net = request.param(N, 2, width=8, **more)
    context = 3 * torch.randn(2, 5, 2)
    x = torch.tensor([[2, 3, 4, 0, 0, 0], [5, 6, 2, 3, 4, 0], [2, 2, 2, 2, 2, 2], [0] * 6, [1, 5, 0, 0, 0, 0]]).float()
    return TokenSequence(net, context[0], T), TokenSequence(net, context[1], T), x


@torch.no_grad()
def plain(old, new, x, keep, guidance):
    """Row by row, every prefix scored as a whole."""
    out = x.long().clone()
    for i in range(len(x)):
        length = int((x[i] == END).nonzero()[0]) if bool((x[i] == END).any()) else T
        one = [TokenSequence(p.network, p.context[i : i + 1], T) for p in (old, new)]
        gain = [float((one[0].terms(x[i : i + 1]) - one[1].terms(x[i : i + 1]))[0, t]) for t in range(length)]
        n = round((1 - keep) * length)
        for t in sorted(sorted(range(length), key=lambda t: -gain[t])[:n]):
            if gain[t] <= 0:
                continue
            scores = {}
            for s in range(2, N):
                tried = out[i : i + 1].clone()
                tried[0, t] = s
                old_p, new_p = (float(p.terms(tried.float())[0, t]) for p in one)
                scores[s] = new_p + guidance * (new_p - old_p)
            scores.pop(int(x[i, t]), None)
            out[i, t] = max(scores, key=scores.get)
    return out


@pytest.mark.parametrize(("keep", "guidance"), [(0.0, 0.0), (0.6, 3.0)])
def test_rows_are_those_of_a_plain_version(pair, keep, guidance):
    old, new, x = pair
    assert (rewritten(old, new, x, keep=keep, guidance=guidance) == plain(old, new, x, keep, guidance)).all()


def test_what_stays_stays(pair):
    old, new, x = pair
    assert (rewritten(old, new, x, keep=1.0) == x).all()
    assert (rewritten(old, old, x, keep=0.0) == x).all()  # nothing speaks for either
    made = rewritten(old, new, x, keep=0.5)
    there = (x != END) & (x.cumprod(1) > 0)
    assert ((made != x).sum(1) <= (0.5 * there.sum(1)).round()).all()
    assert bool((made != x).any())
    assert ((made == END) == (x == END)).all()
    assert not bool(((made == UNKNOWN) & (x != UNKNOWN)).any())
    spoke = speaking(old, new, x)
    assert ((made != x) <= chosen(spoke, 0.5)).all()


def test_numbers_out_of_range(pair):
    old, new, x = pair
    for how in ({"keep": 1.5}, {"keep": 0.5, "guidance": -1.0}):
        with pytest.raises(SettingError, match="keep"):
            rewritten(old, new, x, **how)
