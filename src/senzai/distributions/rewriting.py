"""Rows of symbols of which some are written anew: those that speak most for one distribution against another."""

from __future__ import annotations

import torch
from torch import Tensor

from senzai.core.errors import SettingError

from .tokens import END, UNKNOWN, TokenSequence, before_the_end


def speaking(old: TokenSequence, new: TokenSequence, x: Tensor) -> Tensor:
    r"""Return how much each symbol speaks for the old distribution, ``(N, T)``; minus infinity where a row has none.

    .. math:: \log p_\text{old}(x_t \mid x_{<t}) - \log p_\text{new}(x_t \mid x_{<t})

    Args:
        old: What the rows are from, batch shape ``(N,)``.
        new: What they shall be like, likewise.
        x: The rows, ``(N, T)``.
    """
    inside = before_the_end(x.long()) & (x.long() != END)
    gain = old.terms(x) - new.terms(x)
    return torch.where(inside, gain, float("-inf"))


def chosen(gain: Tensor, share: float) -> Tensor:
    """Return which symbols are written anew: of each row this share, those that speak most for the old distribution.

    What speaks against it stays in any case.

    Example:
        >>> chosen(torch.tensor([[0.1, 2.0, -1.0, -1.0, float("-inf")]]), 0.25).int().tolist()
        [[0, 1, 0, 0, 0]]
    """
    n = (share * (gain > float("-inf")).sum(-1, keepdim=True)).round()
    rank = gain.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1)
    return (gain > 0) & (rank < n)


@torch.no_grad()
def rewritten(
    old: TokenSequence, new: TokenSequence, x: Tensor, *, keep: float, guidance: float = 1.0
) -> Tensor:
    r"""Return rows of which at least the share ``keep`` of the symbols stays, and the others are likely under ``new``.

    Symbols are gone through in order. One that is written anew is the best by

    .. math:: \log p_\text{new}(s \mid x'_{<t}) + \gamma\,
        \big[\log p_\text{new}(s \mid x'_{<t}) - \log p_\text{old}(s \mid x'_{<t})\big]

    neither the one that stood there, nor the end, nor the unknown symbol, so that rows keep their length.

    Reference:
        Classifier-Free Diffusion Guidance (Ho and Salimans, 2022), the same weight on a difference of log densities.
        https://arxiv.org/abs/2207.12598

    Args:
        old: What the rows are from, batch shape ``(N,)``.
        new: What they shall be like, likewise.
        x: The rows, ``(N, T)``.
        keep: Share of a row's symbols that stays.
        guidance: gamma, from 0 up.

    Raises:
        SettingError: A number is out of its range.
    """
    if not 0 <= keep <= 1 or not guidance >= 0:
        raise SettingError(
            f"`0 <= keep <= 1` and `guidance >= 0` must hold, but got keep={keep!r}, guidance={guidance!r}."
        )
    anew = chosen(speaking(old, new, x), 1 - keep)
    out = x.long().clone()
    states = [p.network.begin(p.context) for p in (old, new)]
    last = torch.full_like(out[:, 0], END)
    for t in range(int(anew.any(0).nonzero().max()) + 1 if bool(anew.any()) else 0):
        log_p = []
        for i, p in enumerate((old, new)):
            at, states[i] = p.network.step(last, states[i])
            log_p.append(torch.log_softmax(p.network.logits(at, p.context).float(), -1))
        score = log_p[1] + guidance * (log_p[1] - log_p[0])
        score[:, [END, UNKNOWN]] = float("-inf")
        score.scatter_(1, out[:, t : t + 1], float("-inf"))
        last = out[:, t] = torch.where(anew[:, t], score.argmax(-1), out[:, t])
    return out.to(x.dtype)
