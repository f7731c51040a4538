"""Base classes of priors, posteriors and likelihoods, and helpers that they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from ..core.batch import Batch, Data
from ..core.errors import CombinationError, SettingError, ShapeError
from ..distributions.ops import draw_scored
from ..distributions.spaces import Real, Space

FLOOR = 1e-4


def check_width(n_latent: int) -> int:
    """Return ``n_latent`` if it is a positive whole number."""
    if not isinstance(n_latent, int) or isinstance(n_latent, bool) or n_latent < 1:
        raise SettingError(f"`n_latent >= 1` must hold, but got n_latent={n_latent!r}. Give a whole number.")
    return n_latent


def condition_of(c: Tensor | None, n_condition: int) -> Tensor | None:
    """Return the condition of a prior that has one, ``(B, n_condition)``, and ``None`` for one that has not.

    Raises:
        ShapeError: It has another width, or is missing.
    """
    if not n_condition:
        return None
    if c is None or c.shape[-1] != n_condition:
        came = "nothing" if c is None else f"the shape {tuple(c.shape)}"
        raise ShapeError(f"This prior is p(z | c) with c of width {n_condition}, but got {came}. Give the condition.")
    return c


def diagonal(loc: Tensor, scale: Tensor) -> Distribution:
    """Return a normal with independent entries over the last axis."""
    return Independent(Normal(loc, scale, validate_args=False), 1, validate_args=False)


def full_precision(raw: Tensor) -> Tensor:
    """Return ``raw`` in float32 if autocasting had made it shorter; densities are never computed in half precision."""
    return raw.float() if raw.element_size() < 4 else raw


class Prior(nn.Module, ABC):
    """A distribution over latents, possibly given a condition."""

    n_latent: int
    lives_on: ClassVar[str] = "real"
    """Name of its space."""
    exact: ClassVar[bool] = False
    """Whether its density is that of its draws, and neither a bound, an estimate nor the end of a numerical path."""

    @property
    def dear(self) -> bool:
        """Whether its density costs so much that nobody should ask for it in passing: it is not compared."""
        return False

    def guided(self, weight: float) -> Prior:
        """Return the prior with another weight of its condition in draws, everything else shared.

        Raises:
            CombinationError: It cannot be guided.
        """
        raise CombinationError(
            f"Guidance needs a prior that learned with and without its condition, but {type(self).__name__} did not. "
            "Fit recipe=latent-image with condition=label."
        )

    @property
    def space(self) -> Space:
        """Where its latents live."""
        return Real()

    @abstractmethod
    def forward(self, c: Tensor | None = None) -> Distribution:
        """Return p(z | c) with ``event_shape == (n_latent,)``."""

    def of(self, batch: Batch) -> Distribution:
        """Return the prior that the rows of a batch are scored under; it may only differ from p(z | c) in training."""
        p: Distribution = self(batch.c)
        return p

    def after_step(self, total: Callable[[Tensor], Tensor]) -> None:
        """Follow a training step otherwise than by gradients; see ``Generative.after_step``."""


Joint: TypeAlias = Callable[[Tensor], Tensor]
"""log p(x, z) of the rows that are encoded: latents ``(K, B, *event)`` to ``(K, B)``, differentiable."""


@dataclass(frozen=True)
class LatentDraws:
    """Latents of a batch, with their distribution and densities.

    A posterior that draws further variables a with its latents (momenta) bounds the evidence on the pair:
    ``log p(x) >= E[log p(x, z) + log r(a | z) - log q(z, a | x)]``. Then ``log_q`` is that of the pair, ``log_r`` is
    counted with the prior, and the rate they give is that of the pair: never below the rate of z alone.

    Args:
        z: Latents, ``(K, B, *event)``.
        q: Their distribution; one without a density raises when it is asked for one.
        log_q: Log density of what was drawn, ``(K, B)``, where it is known already or is not that of ``q``.
        log_r: Log density of the further variables on the side of the model, ``(K, B)``.
        log_mix: Log weight of each draw, normalised over K, where draws come from components in turn.
        point: One latent that stands for a row, ``(B, *event)``, where it is not that of ``q``.
    """

    z: Tensor
    q: Distribution
    log_q: Tensor | None = None
    log_r: Tensor | None = None
    log_mix: Tensor | None = None
    point: Tensor | None = None


class AnyPosterior(nn.Module, ABC):
    """Base of all posteriors: from a batch to a distribution over latents."""

    event: tuple[int, ...]
    """Shape of one latent."""
    usual_prior: ClassVar[str] = "standard_normal"
    """Name of the prior for this posterior, where nobody names one."""
    needs_joint: ClassVar[bool] = False
    """Whether latents come from :meth:`propose` alone, and the distribution of :meth:`forward` is but its start."""

    @abstractmethod
    def forward(self, batch: Batch) -> Distribution:
        """Return q(z | x) with batch shape ``(B,)`` and event shape ``event``."""

    def example(self) -> Distribution | None:
        """Return some q of the kind this posterior gives, one row, for objectives that need to know it when built.

        ``None`` where it takes data to tell; an objective then refuses at the first batch.
        """
        return None

    def check_prior(self, prior: Prior) -> None:
        """Refuse to be trained with a prior that this posterior was not made for.

        Raises:
            CombinationError: It was not.
        """

    @property
    def mixes_rows(self) -> bool:
        """Whether, in training, q of one row depends on the others of its batch."""
        return False

    @property
    def space(self) -> Space:
        """Where its latents live."""
        return Real()

    def propose(self, batch: Batch, joint: Joint, n_samples: int = 1, *, z: Tensor | None = None) -> LatentDraws:
        """Draw latents, or score given ones.

        Args:
            batch: What is encoded.
            joint: The log joint density of these rows, for inferences that use its gradient.
            n_samples: Draws per row, K.
            z: Latents to score instead of drawing, ``(K, B, *event)``.

        Raises:
            CombinationError: Latents are given, but their density is not known.
        """
        return latent_draws(self(batch), n_samples, z)


def latent_draws(q: Distribution, n_samples: int, z: Tensor | None = None) -> LatentDraws:
    """Return draws from a distribution with a density, or given latents under it."""
    if z is not None:
        return LatentDraws(z, q)
    value, log_q = draw_scored(q, (n_samples,), grad=torch.is_grad_enabled())
    return LatentDraws(value, q, log_q)


class AnyLikelihood(nn.Module, ABC):
    """Base of all likelihoods: from latents ``(*lead, B, n_latent)`` to a distribution over data.

    A decoder whose entries depend on each other is one too: its distribution teacher-forces in ``log_prob`` and decodes
    entry by entry in ``sample``.
    """

    event: tuple[int, ...]
    """Shape of one row of data."""

    @abstractmethod
    def forward(self, z: Tensor, c: Tensor | None = None) -> Distribution:
        """Return p(x | z) with batch shape ``z.shape[:-1]`` and event shape ``event``."""

    @property
    def mixes_rows(self) -> bool:
        """Whether, in training, the density of one row depends on the others of its batch."""
        return False

    def observe(self, p: Distribution, x: Data) -> None:
        """In training, observe predictions and data (to update a running scale, say)."""
