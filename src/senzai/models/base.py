"""The base of latent-variable models, and the result of an inference about a batch.

The sample axis K always leads: latents are ``(K, B, *event)``, log densities ``(K, B)``. Log densities are computed
when first read, so that an objective pays only for what it uses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import log
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution

from ..core.batch import Batch, Data
from ..core.errors import CombinationError
from ..core.random import Noise, current_noise, using
from ..distributions.closed import closed
from ..distributions.ops import draw, expected, factorised, factors, scores_whole_numbers
from ..distributions.sequence import Sequence, rate_of_entries
from ..distributions.spaces import Space
from ..nn.inputs import floats
from ..parts.base import Prior
from .generative import Generative, needs_inference
from .surfaces import DecoderSurface, EncoderSurface

Latents: TypeAlias = tuple[Tensor, ...]
"""One tensor per group, top-down."""

Books: TypeAlias = dict[str, tuple[Tensor, int]]
"""Whole numbers by the name of the list they are from, and how long that list is."""


def weighted_mean(values: Tensor, log_mix: Tensor | None) -> Tensor:
    """Mean of ``(K, B, ...)`` over K, with log weights ``(K, 1)`` or ``(K, B)``; uniform by default."""
    if log_mix is None:
        return values.mean(0)
    return (log_mix.exp().reshape(*log_mix.shape, *[1] * (values.ndim - 2)) * values).sum(0)


class Group:
    """One group of latents with its posterior and prior.

    Args:
        name: Name of the group, by which objectives address it.
        z: Draws, ``(K, B, *event)``.
        q: Posterior they were drawn from, or ``None``.
        p: Prior they are scored under, or ``None``.
        analytic: Whether KL(q || p) is the rate of this group: true unless q or p depend on another group's draw
            in a way that the closed form would not see.
        log_q: Given where it cannot be computed from ``q`` (deterministic codes: zero).
        log_p: Given where it cannot be computed from ``p``.
        closed: Given where the rate is known and not to be computed from ``q`` and ``p``.
    """

    def __init__(
        self,
        name: str,
        z: Tensor,
        q: Distribution | None,
        p: Distribution | None,
        *,
        analytic: bool = True,
        log_q: Tensor | None = None,
        log_p: Tensor | None = None,
        closed: Tensor | None = None,
    ) -> None:
        self.name, self.z, self.q, self.p, self.analytic = name, z, q, p, analytic
        self._log_q, self._log_p, self._closed = log_q, log_p, closed

    @cached_property
    def log_q(self) -> Tensor:
        """log q(z | x), ``(K, B)``."""
        if self._log_q is not None or self.q is None:
            return torch.zeros(self.z.shape[:2], device=self.z.device) if self._log_q is None else self._log_q
        log_q: Tensor = self.q.log_prob(self.z)
        return log_q

    @cached_property
    def log_p(self) -> Tensor:
        """log p(z), ``(K, B)``."""
        if self._log_p is not None or self.p is None:
            return torch.zeros(self.z.shape[:2], device=self.z.device) if self._log_p is None else self._log_p
        log_p: Tensor = self.p.log_prob(self.z)
        return log_p

    @cached_property
    def closed(self) -> Tensor | None:
        """KL(q || p) in nats, where it is known and valid: ``(B,)``, or ``(K, B)`` where it depends on other draws."""
        if self._closed is not None or not self.analytic or self.q is None or self.p is None:
            return self._closed
        return closed(self.q, self.p)

    def rate(self) -> Tensor:
        """Rate in nats: ``(1, B)`` or ``(K, B)`` in closed form (never negative), else Monte Carlo, ``(K, B)``."""
        if self.closed is None:
            return self.monte_carlo_rate()
        return self.closed.unsqueeze(0) if self.closed.ndim == 1 else self.closed

    def monte_carlo_rate(self) -> Tensor:
        """Rate estimated from the draws, ``(K, B)``; single values may be negative."""
        return self.log_q - self.log_p

    def rate_per_dimension(self, log_mix: Tensor | None = None) -> Tensor | None:
        """Rate of each latent dimension, ``(B, d)``; ``None`` if q or p is not factorised.

        Args:
            log_mix: Log weight of each draw, for the mean over draws where no closed form is known.
        """
        if not self.analytic or self.q is None or self.p is None:
            return None
        if isinstance(self.q, Sequence) and isinstance(self.p, Sequence):
            entries = rate_of_entries(self.q, self.p)
            return None if entries is None else weighted_mean(entries, log_mix)
        if not (factorised(self.q) and factorised(self.p)):
            return None
        q, p = factors(self.q), factors(self.p)
        if q is None or p is None:
            return None
        known = closed(q, p)
        if known is None:
            return weighted_mean(q.log_prob(self.z) - p.log_prob(self.z), log_mix)
        return known if known.ndim < self.z.ndim else weighted_mean(known, log_mix)


@dataclass
class Inference:
    """The result of one pass over a batch.

    ``log_w = log_lik + sum(log_p - log_q)`` is the log importance weight; with ``log_mix`` (normalised over K) the
    evidence lower bound is ``sum_k exp(log_mix) log_w`` and the importance-weighted bound is
    ``logsumexp_k(log_mix + log_w)``.

    Args:
        groups: Latent groups, top-down.
        likelihood: p(x | z), batch shape ``(K, B)``.
        x: What is scored.
        log_mix: Log weight of each draw, ``(K, 1)`` or ``(K, B)``; uniform by default.
        extras: Further per-row quantities, ``(B,)`` each (a commitment term, say).
        point: One latent of each group that stands for a row, ``(B, *event)``: set where draws come from several
            experts of equal weight, of which none is more the row's than another.
    """

    groups: tuple[Group, ...]
    likelihood: Distribution
    x: Data
    log_mix: Tensor | None = None
    extras: dict[str, Tensor] = field(default_factory=dict)
    point: Latents | None = None
    _index: Tensor | None = field(default=None, init=False, repr=False)

    @cached_property
    def log_lik(self) -> Tensor:
        """log p(x | z), ``(K, B)``."""
        x: Any = self.x if scores_whole_numbers(self.likelihood) else floats(self.x)
        log_lik: Tensor = self.likelihood.log_prob(x)
        return log_lik

    @property
    def log_w(self) -> Tensor:
        """Log importance weight of each draw, ``(K, B)``."""
        log_w = self.log_lik
        for g in self.groups:
            log_w = log_w + g.log_p - g.log_q
        return log_w

    @property
    def n_samples(self) -> int:
        """K."""
        return self.groups[0].z.shape[0]

    def average(self, values: Tensor) -> Tensor:
        """Average ``(K, B)`` or ``(1, B)`` over the draws, weighted by ``log_mix``."""
        if values.shape[0] == 1:
            return values.squeeze(0)
        return weighted_mean(values, self.log_mix)

    def chosen(self, values: Tensor) -> Tensor:
        """Return one of ``(K, B, ...)`` values per row, ``(B, ...)``: the one of most weight, or drawn by weight.

        Which of them the ambient noise decides: a point, or a draw.
        """
        if self.log_mix is None:
            return values[0]
        if self._index is None:
            weight = self.log_mix.expand(self.n_samples, self.log_lik.shape[-1])
            self._index = draw(Categorical(logits=weight.T, validate_args=False), grad=False)
        index = self._index.view(1, -1, *[1] * (values.ndim - 2)).expand(1, *values.shape[1:])
        return values.gather(0, index)[0]

    def latents(self) -> Latents:
        """Return one latent per row and group, ``(B, *event)``: the point of equal experts, or those :meth:`chosen`."""
        if self.point is not None and current_noise().point:
            return self.point
        return tuple(self.chosen(g.z) for g in self.groups)

    def bound(self) -> Tensor:
        """Importance-weighted bound of log p(x), ``(B,)``; with K = 1 the one-sample evidence lower bound."""
        if self.log_mix is None:
            return torch.logsumexp(self.log_w, 0) - log(self.n_samples)
        return torch.logsumexp(self.log_mix + self.log_w, 0)


class Classifies(ABC):
    """A model that has a classifier."""

    @property
    @abstractmethod
    def n_classes(self) -> int:
        """Number of classes; 0 where there is no classifier after all."""

    @abstractmethod
    def classify(self, batch: Batch) -> Tensor:
        """Return log q(y | x), ``(B, n_classes)``; labels in the batch are not looked at."""


class LatentModel(Generative):
    """A joint p(x, z) with an inference q(z | x)."""

    infers = True

    @abstractmethod
    def infer(
        self, batch: Batch, n_samples: int = 1, *, seen: Batch | None = None, z: tuple[Tensor, ...] | None = None
    ) -> Inference:
        """Infer the latents of a batch and score it.

        Args:
            batch: What is scored.
            n_samples: Draws per row, K.
            seen: What is encoded, if other than what is scored.
            z: Score these latents, one ``(K, B, *event)`` per group, instead of drawing.
        """

    @abstractmethod
    def generate(self, z: tuple[Tensor, ...], c: Tensor | None = None) -> Distribution:
        """Return p(x | z) for given latents."""

    @abstractmethod
    def sample_prior(self, n: int, c: Tensor | None = None) -> tuple[Tensor, ...]:
        """Draw ``n`` latents from the prior, ``(n, *event)`` per group."""

    def simulate(
        self, n: int, c: Tensor | None = None, *, temperature: float = 1.0, noise: bool = True
    ) -> Data:
        """Draw ``n`` rows from the model, ``(n, *event)``; of several modalities, one such tensor for each.

        Args:
            n: How many.
            c: Condition, one row per sample.
            temperature: Factor on the normal numbers that latents are made from; 1 is the model.
            noise: Draw from p(x | z) too, else show its expected value.
        """
        with using(replace(current_noise(), spread=temperature)):
            z = self.sample_prior(n, c)
        p = self.generate(z, c)
        return draw(p, grad=False) if noise else expected(p)

    def points(self, batch: Batch) -> Latents:
        """Return the latents that stand for each row, one tensor per group, ``(B, *event)``."""
        with using(Noise(point=True)):
            return self.infer(batch).latents()

    @property
    def deterministic(self) -> bool:
        """Whether the posterior is a point, so that draws are all alike and more of them say nothing more."""
        return False

    def books(self, z: Latents) -> Books:
        """Return the whole numbers among latents by the list they are from; none where latents are real."""
        return {}

    @abstractmethod
    def encoder_parameters(self) -> list[nn.Parameter]:
        """Parameters of the inference side; all others are the generative side."""

    @property
    def top_prior(self) -> Prior | None:
        """The prior over the (topmost) latents, where it is a part of its own."""
        found = getattr(self, "prior", None)
        return found if isinstance(found, Prior) else None

    def with_prior(self, prior: Prior) -> LatentModel:
        """Return the model with another prior over its (topmost) latents, everything else shared.

        Raises:
            CombinationError: This model has no such prior.
        """
        raise CombinationError(
            f"A prior can be exchanged where latents have one of their own, but {type(self).__name__} has none that "
            "stands alone. Sample from the model as it is: sampler=prior."
        )

    @property
    def spaces(self) -> tuple[Space, ...]:
        """Where the latents of each group live; an empty tuple says: real vectors, all of them."""
        return ()

    def check_temperature(self, temperature: float) -> None:
        """Refuse a temperature that latents of some space cannot have.

        Raises:
            CombinationError: The temperature is not 1, and the space of the latents has no centre.
        """
        for space in self.spaces:
            space.check_temperature(temperature)

    def surfaces(self) -> dict[str, nn.Module]:
        """Return ``encoder`` (rows to points) and ``decoder`` (latents to expected rows) as plain modules."""
        return {"encoder": EncoderSurface(self), "decoder": DecoderSurface(self)}

    def forward(self, batch: Batch, n_samples: int = 1) -> Inference:
        """Return :meth:`infer`."""
        return self.infer(batch, n_samples)


def latent_model(model: Generative) -> LatentModel:
    """Return a model as one with latents.

    Raises:
        CombinationError: It has none.
    """
    if not isinstance(model, LatentModel):
        raise CombinationError(needs_inference(model) or f"A {type(model).__name__} is no model with latents.")
    return model
