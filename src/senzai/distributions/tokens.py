"""Sequences of symbols that end by themselves: scored all at once, drawn one symbol after another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from math import prod
from typing import Any, Protocol, TypeAlias, final

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution, constraints

from senzai.core.batch import prefixes
from senzai.core.errors import SettingError
from senzai.core.random import Noise, current_noise

from .numeric import broadcast_shapes
from .ops import Shape, _draw, expected, point, prefix, stand_in

END = 0
"""The symbol that ends a row; it also stands before the first one."""
UNKNOWN = 1
"""The symbol of what was too rare to have one; it also stands for symbols that are hidden in training."""

State: TypeAlias = tuple[Tensor, ...]
"""What a network keeps of the symbols so far: tensors with one entry per row along the first axis."""


class StepNetwork(Protocol):
    """From the symbols before a step, and a context of the row, to the logits of the step's symbol."""

    def states(self, previous: Tensor, context: Tensor) -> Tensor:
        """Return the state at every step, ``(N, L, width)``, for the symbols before each, ``(N, L)``."""

    def begin(self, context: Tensor) -> State:
        """Return what is known before the first symbol."""

    def step(self, previous: Tensor, state: State) -> tuple[Tensor, State]:
        """Return the state at one step, ``(N, width)``, given the symbol before it, ``(N,)``, and what to keep."""

    def logits(self, states: Tensor, context: Tensor) -> Tensor:
        """Return logits ``(M, n)`` for states ``(M, width)`` and the context of each, ``(M, k)``."""


@dataclass(frozen=True)
class Decoding:
    """How symbols are chosen one after another.

    Args:
        temperature: Logits are divided by it before a symbol is drawn; 1 is the model.
        top_p: Draw from the likeliest symbols that together have at least this probability; 1 is the model.
        beam: Rows kept side by side where the likeliest row is looked for; 1 takes the likeliest symbol at each step.

    Raises:
        SettingError: A number is out of its range.

    Example:
        >>> Decoding(top_p=0.9).is_model
        False
    """

    temperature: float = 1.0
    top_p: float = 1.0
    beam: int = 1

    def __post_init__(self) -> None:
        if not (self.temperature > 0 and 0 < self.top_p <= 1 and self.beam >= 1):
            raise SettingError(
                "`temperature > 0`, `0 < top_p <= 1` and `beam >= 1` must hold, but got "
                f"temperature={self.temperature!r}, top_p={self.top_p!r}, beam={self.beam!r}."
            )

    @property
    def is_model(self) -> bool:
        """Whether draws are those of the model itself."""
        return self.temperature == 1 and self.top_p == 1

    def adjusted(self, logits: Tensor) -> Tensor:
        """Return the log probabilities that symbols are drawn with, ``(N, n)``.

        Example:
            >>> Decoding(top_p=0.4).adjusted(torch.tensor([[0.5, 0.3, 0.2]]).log()).exp()
            tensor([[1., 0., 0.]])
        """
        log_p = torch.log_softmax(logits / self.temperature, -1)
        if self.top_p == 1:
            return log_p
        ordered, order = log_p.sort(-1, descending=True)
        before = ordered.exp().cumsum(-1) - ordered.exp()
        cut = torch.zeros_like(before, dtype=torch.bool).scatter(-1, order, before >= self.top_p)
        return torch.log_softmax(log_p.masked_fill(cut, float("-inf")), -1)


_MODEL = Decoding()
_DECODING: ContextVar[Decoding] = ContextVar("senzai_decoding", default=_MODEL)


@contextmanager
def decoding(how: Decoding) -> Iterator[None]:
    """Choose symbols in this way inside the block."""
    token = _DECODING.set(how)
    try:
        yield
    finally:
        _DECODING.reset(token)


@final
class TokenSequence(Distribution):
    r"""Symbols one after another, up to and with the one that ends the row.

    .. math:: \log p(x) = \sum_{t \le L} \log p(x_t \mid x_{<t}), \qquad L = \min(T, \text{first end})

    A row is ``T`` whole numbers; what stands behind its end is the end symbol again, with probability one. ``log_prob``
    looks at all steps at once (teacher forcing). A draw goes step by step until every row has ended. The ``mode`` is
    the likeliest symbol at each step, or the best row of a beam search (see :class:`Decoding`).

    Args:
        network: From symbols before a step to logits.
        context: What it is told about each row, ``(*lead, k)``.
        steps: ``T``.
        hidden: Share of the symbols before a step that ``log_prob`` hides from the network, by the ambient noise.
        nonempty: Whether rows have a symbol before their end: the end then has probability zero at the first step.

    Example:
        >>> from senzai.nn.tokens import RecurrentSteps
        >>> p = TokenSequence(RecurrentSteps(4, 2, width=8), torch.zeros(3, 2), 5)
        >>> p.log_prob(torch.zeros(3, 5)).shape, p.sample().shape
        (torch.Size([3]), torch.Size([3, 5]))
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 - torch's name for it

    def __init__(
        self, network: StepNetwork, context: Tensor, steps: int, *, hidden: float = 0.0, nonempty: bool = False
    ) -> None:
        self.network, self.context, self.steps = network, context, steps
        self.hidden, self.nonempty = hidden, nonempty
        super().__init__(context.shape[:-1], torch.Size([steps]), validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        """Whole numbers."""
        found: constraints.Constraint = constraints.nonnegative_integer
        return found

    # --- scoring ----------------------------------------------------------------------------------------------------
    def terms(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the log probability of each symbol given those before it, ``(*lead, T)``; zero behind the end.

        Args:
            x: Symbols ``(*lead, T)``.
            lengths: Steps of each row, ``(B,)``; by default up to and with the first end.
        """
        rows = broadcast_shapes(x.shape[:-1], self.batch_shape)
        whole = x.long().expand(*rows, self.steps).reshape(-1, self.steps)
        context = flat_rows(self.context.expand(*rows, self.context.shape[-1]))
        if lengths is None:
            valid = before_the_end(whole)
        else:
            valid = prefixes(lengths, whole.new_empty(1).expand(*rows[-1:], self.steps))
            valid = valid.expand(*rows, self.steps).reshape(-1, self.steps)
        out = context.new_zeros(whole.shape)
        if not valid.any():
            return out.view(*rows, self.steps)
        longest = int(valid.any(0).nonzero().max()) + 1
        seen, kept = whole[:, :longest], valid[:, :longest]
        seen = torch.where(kept, seen, END)
        previous = torch.cat([seen.new_full((len(seen), 1), END), seen[:, :-1]], 1)
        if self.hidden and not current_noise().point:
            previous = torch.where(self._hidden(rows)[:, :longest], UNKNOWN, previous)
        at = kept.nonzero(as_tuple=True)
        logits = self.network.logits(self.network.states(previous, context)[at], context[at[0]])
        if self.nonempty:
            logits = without_end(logits, at[1] == 0)
        log_p = -F.cross_entropy(logits.float() if logits.element_size() < 4 else logits, seen[at], reduction="none")
        out = out.to(log_p.dtype).index_put(at, log_p)
        if lengths is None:
            out = torch.where(~valid & (whole != END), float("-inf"), out)
        return out.view(*rows, self.steps)

    def _hidden(self, rows: tuple[int, ...]) -> Tensor:
        """Return which symbols are hidden, ``(N, T)``; what stands before the first is none of the row's."""
        u = current_noise().uniform((*rows, self.steps), row_dim=max(0, len(rows) - 1), device=self.context.device)
        hidden = (u < self.hidden).reshape(-1, self.steps)
        hidden[:, 0] = False
        return hidden

    def log_prob(self, value: Tensor) -> Tensor:
        """Log probability of whole rows."""
        return self.terms(value).sum(-1)

    # --- drawing ----------------------------------------------------------------------------------------------------
    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw symbol after symbol with the ambient noise."""
        return _draw(self, tuple(sample_shape), current_noise())

    @torch.no_grad()
    def draw_with(self, shape: Shape, noise: Noise) -> Tensor:
        """Return draws ``(*shape, *lead, T)``; each symbol takes one uniform number of its row."""
        rows, own, how = (*shape, *self.batch_shape), noise.apart(), _DECODING.get()
        context = flat_rows(self.context.expand(*rows, self.context.shape[-1]))

        def choose(logits: Tensor) -> Tensor:
            u = own.uniform(rows, row_dim=len(shape), device=logits.device).reshape(-1, 1).to(torch.float64)
            reached = how.adjusted(logits).double().exp().cumsum(-1)
            # not a symbol of probability zero, where rounding leaves the last sum below a number drawn
            return torch.searchsorted(reached, u * reached[:, -1:], right=True).clamp_max(logits.shape[-1] - 1)[:, 0]

        return self._decode(context, choose).view(*rows, self.steps)

    def _decode(self, context: Tensor, choose: Any) -> Tensor:
        """Return rows ``(N, T)`` made step by step, until all have ended."""
        out = torch.full((len(context), self.steps), END, device=context.device)
        last, ended = out[:, 0], torch.zeros(len(context), dtype=torch.bool, device=context.device)
        state = self.network.begin(context)
        for t in range(self.steps):
            at, state = self.network.step(last, state)
            logits = self.network.logits(at, context)
            if self.nonempty and t == 0:
                logits = without_end(logits, torch.ones_like(ended))
            last = torch.where(ended, END, choose(logits))
            out[:, t] = last
            ended = ended | (last == END)
            if bool(ended.all()):
                break
        return out

    @property
    def mode(self) -> Tensor:
        """The row of the likeliest symbol at each step, or of the ambient beam where that is likelier."""
        with torch.no_grad():
            context = flat_rows(self.context)
            greedy = self._decode(context, lambda logits: logits.argmax(-1))
            width = _DECODING.get().beam
            if width > 1:
                best = beam_search(self.network, context, self.steps, width, nonempty=self.nonempty)
                greedy = self._likelier(greedy, best)
            return greedy.view(*self.batch_shape, self.steps)

    def _likelier(self, a: Tensor, b: Tensor) -> Tensor:
        lead = (*self.batch_shape, self.steps)
        better = self.log_prob(b.view(lead)) > self.log_prob(a.view(lead))
        return torch.where(better.reshape(-1, 1), b, a)


def without_end(logits: Tensor, where: Tensor) -> Tensor:
    """Return logits ``(M, n)`` whose end has probability zero in some rows, ``(M,)``.

    Example:
        >>> without_end(torch.zeros(2, 3), torch.tensor([True, False])).softmax(-1)
        tensor([[0.0000, 0.5000, 0.5000],
                [0.3333, 0.3333, 0.3333]])
    """
    ends = torch.arange(logits.shape[-1], device=logits.device) == END
    return logits.masked_fill(where.unsqueeze(-1) & ends, float("-inf"))


def flat_rows(x: Tensor) -> Tensor:
    """Return ``(*lead, k)`` as ``(N, k)``, whatever of it is empty.

    Example:
        >>> flat_rows(torch.zeros(2, 3, 0)).shape, flat_rows(torch.zeros(4)).shape
        (torch.Size([6, 0]), torch.Size([1, 4]))
    """
    return x.reshape(prod(x.shape[:-1]), x.shape[-1])


def before_the_end(x: Tensor) -> Tensor:
    """Return which steps come no later than the first end, ``(..., T)``.

    Example:
        >>> before_the_end(torch.tensor([[2, 0, 0], [1, 1, 1]])).int().tolist()
        [[1, 1, 0], [1, 1, 1]]
    """
    ended = (x == END).cumsum(-1)
    return (ended == 0) | ((ended == 1) & (x == END))


@torch.no_grad()
def beam_search(
    network: StepNetwork, context: Tensor, steps: int, width: int, *, nonempty: bool = False
) -> Tensor:
    """Return the likeliest of the rows that a beam of some width finds, ``(N, T)``; scores are not normalised.

    At each step the ``width`` likeliest continuations of a row's beams stay; one that has ended goes on unchanged.
    """
    n = len(context)
    told = context.repeat_interleave(width, 0)
    state, last = network.begin(told), torch.full((n * width,), END, device=context.device)
    out = torch.full((n * width, steps), END, device=context.device)
    score = torch.full((n, width), float("-inf"), device=context.device)
    score[:, 0] = 0.0  # all beams are alike before the first step
    ended = torch.zeros(n * width, dtype=torch.bool, device=context.device)
    offset = torch.arange(n, device=context.device).unsqueeze(1) * width
    for t in range(steps):
        at, state = network.step(last, state)
        logits = network.logits(at, told).float()
        log_p = torch.log_softmax(without_end(logits, ~ended) if nonempty and t == 0 else logits, -1)
        stay = torch.full_like(log_p, float("-inf"))
        stay[:, END] = 0.0
        log_p = torch.where(ended.unsqueeze(1), stay, log_p)
        size = log_p.shape[-1]
        score, best = (score.unsqueeze(-1) + log_p.view(n, width, size)).flatten(1).topk(width)
        origin = (offset + best // size).flatten()
        state, out, ended, last = tuple(s[origin] for s in state), out[origin], ended[origin], (best % size).flatten()
        out[:, t] = last
        ended = ended | (last == END)
        if bool(ended.all()):
            break
    return out.view(n, width, steps)[torch.arange(n), score.argmax(1)]


@final
class TokenPrefix(Distribution):
    """The first steps of each row under a :class:`TokenSequence`, however they end; draws are whole rows.

    Args:
        base: Distribution of whole rows.
        lengths: Steps of each row, ``(B,)``.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}  # noqa: RUF012 - torch's name for it

    def __init__(self, base: TokenSequence, lengths: Tensor) -> None:
        self.base, self.lengths = base, lengths
        super().__init__(base.batch_shape, base.event_shape, validate_args=False)

    @property
    def support(self) -> constraints.Constraint:
        """Whole numbers."""
        return self.base.support

    def terms(self, x: Tensor) -> Tensor:
        """Return the log probability of each symbol given those before it; zero where a row has none."""
        return self.base.terms(x.nan_to_num(), self.lengths)

    def log_prob(self, value: Tensor) -> Tensor:
        """Log probability of the steps that a row has; what stands behind them changes nothing."""
        return self.terms(value).sum(-1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw whole rows."""
        return self.base.sample(sample_shape)

    @property
    def mode(self) -> Tensor:
        """The mode of whole rows."""
        return self.base.mode


def _whole(p: TokenSequence | TokenPrefix) -> TokenSequence:
    return p.base if isinstance(p, TokenPrefix) else p


@_draw.register(TokenSequence)
@_draw.register(TokenPrefix)
def _(p: TokenSequence | TokenPrefix, shape: Shape, noise: Noise) -> Tensor:
    return _whole(p).draw_with(shape, noise)


@point.register(TokenSequence)
@point.register(TokenPrefix)
@expected.register(TokenSequence)
@expected.register(TokenPrefix)
def _(p: TokenSequence | TokenPrefix) -> Tensor:
    return p.mode


@stand_in.register(TokenSequence)
@stand_in.register(TokenPrefix)
def _(p: TokenSequence | TokenPrefix) -> Tensor:
    return torch.zeros(*p.batch_shape, *p.event_shape, device=_whole(p).context.device)


@prefix.register(TokenSequence)
def _(p: TokenSequence, lengths: Tensor) -> Distribution:
    return TokenPrefix(p, lengths)
