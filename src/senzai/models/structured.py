"""A part of each row given the rest of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ..core.batch import Batch, Data, first
from ..core.errors import CombinationError, SettingError
from ..core.examples import example
from ..core.random import Noise, current_noise, using
from ..core.spec import part
from ..distributions.bases import open_uniform
from ..distributions.ops import Observed, Shape, _draw, draw, elementwise, expected, marginal, point
from ..distributions.wrapping import Around
from ..nn.inputs import Scaling, Standardise, as_float
from .base import Inference, LatentModel

KEPT = 64
"""Observed parts of the training data that are kept, so that rows can be drawn where none is given."""


class Given(Around):
    """A distribution of rows of which a part is given: draws and means have it, densities are of the rest.

    Args:
        base: Distribution of whole rows with independent entries, perhaps a marginal already.
        given: True at the given places, shaped like a row.
        value: Rows that have the given part, ``(B, *event)``.
    """

    def __init__(self, base: Distribution, given: Tensor, value: Tensor) -> None:
        super().__init__(base)
        self.given, self.value = given, value
        self.rest = base if isinstance(base, Observed) else marginal(base, ~given)

    def filled(self, x: Tensor) -> Tensor:
        """Return rows with the given part put in."""
        return torch.where(self.given, self.value.to(x.dtype), x)

    @property
    def mean(self) -> Tensor:
        """Mean of the rest beside the given part."""
        return self.filled(self.base.mean)

    @property
    def mode(self) -> Tensor:
        """Mode of the rest beside the given part."""
        return self.filled(self.base.mode)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw the rest."""
        return self.filled(self.base.sample(sample_shape))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Draw the rest, with gradients."""
        return self.filled(self.base.rsample(sample_shape))

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density of the rest of each row."""
        log_p: Tensor = self.rest.log_prob(x)
        return log_p


@_draw.register(Given)
def _(p: Given, shape: Shape, noise: Noise) -> Tensor:
    return p.filled(_draw(p.base, shape, noise))


@point.register(Given)
def _(p: Given) -> Tensor:
    return p.filled(point(p.base))


@elementwise.register(Given)
def _(p: Given, x: Tensor) -> Tensor:
    return elementwise(p.rest, x)


def places(observed: str, event: tuple[int, ...]) -> Tensor:
    """Return where a row is observed, True or False, shaped like the row.

    Args:
        observed: For images ``quarter`` (the lower left), ``half`` (the left), ``three_quarters`` (all but the upper
            right), ``top``, ``bottom``, ``left`` or ``right``; for vectors and sequences the same words along the first
            axis, or the places by number: ``0-5,7``.
        event: Shape of one row.

    Raises:
        SettingError: Nothing or everything would be observed, or the words are not understood.

    Example:
        >>> places("quarter", (1, 2, 2))[0].int().tolist(), places("0,2", (4,)).int().tolist()
        ([[0, 0], [1, 0]], [1, 0, 1, 0])
    """
    found = _of_image(observed, event) if len(event) == 3 else _of_vector(observed, event)
    if not bool(found.any()) or bool(found.all()):
        raise SettingError(
            f"A part of a row is observed and a part predicted, but observed={observed!r} leaves none of one in rows "
            f"of shape {event}. Choose another part."
        )
    return found


def _of_image(observed: str, event: tuple[int, ...]) -> Tensor:
    _, h, w = event
    low, left = (torch.arange(h) >= h // 2).view(1, h, 1), (torch.arange(w) < w // 2).view(1, 1, w)
    known = {
        "quarter": low & left, "half": left, "three_quarters": low | left, "left": left, "right": ~left, "top": ~low,
        "bottom": low,
    }
    if observed not in known:
        raise SettingError(f"For images `observed` is one of {', '.join(known)}, but got {observed!r}. Choose one.")
    return known[observed].expand(event).clone()


def _of_vector(observed: str, event: tuple[int, ...]) -> Tensor:
    n = event[0]
    shares = {"quarter": 0.25, "half": 0.5, "three_quarters": 0.75, "left": 0.5, "top": 0.5}
    first = torch.zeros(n, dtype=torch.bool)
    if observed in shares:
        first[: round(shares[observed] * n)] = True
    elif observed in ("right", "bottom"):
        first[round(0.5 * n) :] = True
    else:
        first[_numbers(observed, n)] = True
    return first.view(n, *[1] * (len(event) - 1)).expand(event).clone()


def _numbers(text: str, n: int) -> list[int]:
    try:
        ends = [tuple(int(v) for v in piece.split("-")) for piece in text.split(",")]
        numbers = [i for e in ends for i in range(e[0], e[-1] + 1)]
    except ValueError:
        numbers = [-1]
    if not numbers or min(numbers) < 0 or max(numbers) >= n:
        raise SettingError(
            f"`observed` is quarter, half, three_quarters, or places from 0 to {n - 1} such as 0-2,4, but got {text!r}."
        )
    return numbers


@example(recipe="cvae-structured", settings={})
@part("model", "structured")
@final
class Structured(LatentModel):
    r"""Structured prediction: the rest of a row given a part of it, :math:`p(x_r | x_o)`.

    .. math:: \log p(x_r | x_o) \ge \mathbb{E}_{q(z | x)} \log p(x_r | z, x_o) - \mathrm{KL}(q(z | x) \| p(z | x_o))

    The observed part becomes the condition of an inner model, in front of any other condition; the encoder sees the
    whole row, and only the rest is scored. A few observed parts of the training data are kept, so that rows can be
    drawn where none is given.

    Reference:
        Learning Structured Output Representation using Deep Conditional Generative Models (Sohn et al., 2015).
        https://papers.nips.cc/paper/2015/hash/8d55a249e6baa5c06772297520da2051-Abstract.html

    Args:
        inner: A model whose condition is as wide as the observed part (and what else conditions it).
        event: Shape of one row.
        observed: Which part is observed; see :func:`places`.
        scaling: How the observed part is scaled; see ``senzai.nn.Standardise``.
        n_condition: Width of the condition besides the observed part.
    """

    observed: Tensor
    kept: Tensor
    n_kept: Tensor

    def __init__(
        self, inner: LatentModel, event: tuple[int, ...], *, observed: str = "half", scaling: Scaling | None = None,
        n_condition: int = 0,
    ) -> None:
        super().__init__()
        self.inner, self.event, self.n_condition = inner, tuple(event), n_condition
        where = places(observed, self.event)
        self.inputs = Standardise(self.event, scaling=scaling)
        self.register_buffer("observed", where, persistent=False)
        self.register_buffer("kept", torch.zeros(KEPT, *self.event))
        self.register_buffer("n_kept", torch.zeros((), dtype=torch.long))

    def initialise(self, batch: Batch) -> None:
        """Let the inner model look at data, and keep some observed parts."""
        rows = batch.take(torch.randperm(len(batch))[:KEPT])  # at random: data are often sorted
        if rows.observed is not None and not bool(rows.observed[:, self.observed].all()):
            raise CombinationError(
                "The observed part of a row is given in full, but values are missing there. Fill them in, or choose "
                "another part with observed=..."
            )
        super().initialise(batch)
        x = as_float(rows.tensor) * self.observed
        self.kept[: len(x)] = torch.where(self.observed, x, torch.zeros_like(x))
        self.n_kept.fill_(len(x))

    def condition(self, x: Tensor, c: Tensor | None) -> Tensor:
        """Return the observed part of rows, scaled, with any other condition behind it, ``(B, width)``."""
        part = self.inputs(x)[:, self.observed]
        return part if c is None or not self.n_condition else torch.cat([part, c.to(part.dtype)], -1)

    def scored(self, batch: Batch) -> Batch:
        """Return the batch with everything but the rest of each row masked."""
        rest = (~self.observed).expand(batch.tensor.shape)
        return batch.with_x(batch.x, rest if batch.observed is None else rest & batch.observed)

    def infer(
        self, batch: Batch, n_samples: int = 1, *, seen: Batch | None = None, z: tuple[Tensor, ...] | None = None
    ) -> Inference:
        """Infer the rest of each row given the observed part; see :meth:`LatentModel.infer`."""
        c = self.given(batch)
        shown = batch if seen is None else seen
        there = None if shown.mask is None else first(shown.mask) | self.observed  # the encoder sees all there is
        whole = replace(shown, c=c, mask=there)
        found = self.inner.infer(replace(self.scored(batch), c=c), n_samples, seen=whole, z=z)
        return replace(found, likelihood=self._given(found.likelihood, c))

    def _given(self, p: Distribution, c: Tensor) -> Distribution:
        value = torch.zeros(len(c), *self.event, dtype=c.dtype, device=c.device)
        value[:, self.observed] = c[:, : c.shape[1] - self.n_condition]
        return Given(p, self.observed, value * self.inputs.scale + self.inputs.shift)

    def generate(self, z: tuple[Tensor, ...], c: Tensor | None = None) -> Distribution:
        """Return p(x | z, observed part); ``c`` is a row of :meth:`condition`, by default of kept parts in turn."""
        given = self._kept(z[0].shape[-2]) if c is None else c
        return self._given(self.inner.generate(z, given), given)

    def sample_prior(self, n: int, c: Tensor | None = None) -> tuple[Tensor, ...]:
        """Draw latents for rows of :meth:`condition`, by default of the kept parts in turn."""
        return self.inner.sample_prior(n, self._kept(n) if c is None else c)

    def _kept(self, n: int) -> Tensor:
        """Return the condition of ``n`` rows from the observed parts that were kept; all else in it is zero."""
        index = torch.arange(n, device=self.kept.device) % self.n_kept.clamp_min(1)
        none = self.kept.new_zeros(n, self.n_condition)
        return self.condition(self.kept[index], none)

    def simulate(
        self, n: int, c: Tensor | None = None, *, temperature: float = 1.0, noise: bool = True
    ) -> Data:
        """Draw rows for observed parts that were kept from training."""
        u = open_uniform((n,), current_noise(), row_dim=0, like=self.kept)
        return self.complete(self.kept[(u * self.n_kept).long()], c, temperature=temperature, noise=noise)

    def complete(
        self, x: Tensor, c: Tensor | None = None, *, temperature: float = 1.0, noise: bool = True
    ) -> Tensor:
        """Return rows whose observed part is kept and whose rest is predicted from it, ``(B, *event)``."""
        given = self.condition(x, c)
        with using(replace(current_noise(), spread=temperature)):
            z = self.inner.sample_prior(len(x), given)
        p = self.generate(z, given)
        return draw(p, grad=False) if noise else expected(p)

    def given(self, batch: Batch) -> Tensor:
        """Return the observed part of each row, scaled, and any other condition."""
        x, steps = batch.tensor, replace(batch, mask=None).observed
        return self.condition(x if steps is None else torch.where(steps, x, self.inputs.shift.to(x.dtype)), batch.c)

    @property
    def mixes_rows(self) -> bool:
        """Whether the inner model mixes rows."""
        return self.inner.mixes_rows

    def encoder_parameters(self) -> list[nn.Parameter]:
        """Parameters of the inner model's inference."""
        return self.inner.encoder_parameters()
