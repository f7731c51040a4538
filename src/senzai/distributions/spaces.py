"""Latent spaces: what decoders see of a latent, and paths from one latent to another within the space."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.distributions import constraints

from senzai.core.errors import CombinationError, SettingError


class _Curved(constraints.Constraint):
    """Vectors on a curved set: no one-to-one map from all vectors; densities are with respect to its area."""

    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        """Whether each vector is finite; which set it lies on is the distribution's to know."""
        return torch.isfinite(value).all(-1)


curved = _Curved()


class Space(ABC):
    """A set of latent vectors; subclasses are frozen dataclasses, equal if they are the same set.

    Posterior and prior must live on the same one, because a rate between densities on different sets means nothing.
    """

    name: ClassVar[str]
    words: ClassVar[str]

    def as_vector(self, z: Tensor) -> Tensor:
        """Return what a decoder sees of ``z``, ``(*lead, n)``; by default ``z`` itself."""
        return z

    def between(self, a: Tensor, b: Tensor, weight: float) -> Tensor:
        """Return the point at ``weight`` of the way from ``a`` to ``b`` (shortest way where lengths are defined)."""
        return torch.lerp(a, b, weight)

    def steps(self, n: int = 7) -> tuple[float, ...]:
        """Return ``n`` values to try for one coordinate."""
        return tuple(torch.linspace(-3, 3, n).tolist())

    def with_coordinate(self, z: Tensor, dim: int, value: Tensor) -> Tensor:
        """Return ``z`` with one coordinate set, moved back into the space.

        Args:
            z: Latents, ``(*lead, n)``.
            dim: Which coordinate.
            value: Its values, ``(*lead,)``.

        Raises:
            SettingError: No point of the space has such a coordinate.
        """
        out = z.clone()
        out[..., dim] = value
        return out

    def check_temperature(self, factor: float) -> None:
        """Refuse to pull draws of the prior towards a centre that the space does not have.

        Raises:
            CombinationError: There is none, and the factor is not one.
        """
        if factor != 1.0:
            raise CombinationError(
                f"A temperature pulls latents towards the centre of their space, but {self.words} has none. "
                "Leave the temperature at 1."
            )


def need_inside(value: Tensor, low: float, high: float, words: str) -> None:
    """Refuse values of a coordinate that no point has."""
    if bool(((value < low) | (value > high)).any()):
        raise SettingError(
            f"A coordinate of {words} lies between {low:g} and {high:g}, but got {value.min():g} to {value.max():g}. "
            "Give values in that range."
        )


@final
@dataclass(frozen=True)
class Real(Space):
    """All vectors of real numbers.

    Example:
        >>> Real().between(torch.zeros(2), torch.ones(2), 0.25)
        tensor([0.2500, 0.2500])
    """

    name: ClassVar[str] = "real"
    words: ClassVar[str] = "the space of real vectors"

    def check_temperature(self, factor: float) -> None:
        """The origin is the centre."""


@final
@dataclass(frozen=True)
class Discrete(Space):
    """Whole numbers, classes or bits without a geometry of their own."""

    name: ClassVar[str] = "discrete"
    words: ClassVar[str] = "a discrete set"


def check_spaces(posterior: Space, prior: Space) -> None:
    """Refuse a posterior and a prior on different spaces.

    Raises:
        CombinationError: They are not on the same space.

    Example:
        >>> check_spaces(Real(), Real())
    """
    if posterior != prior:
        raise CombinationError(
            f"Posterior and prior must live on the same space, but the posterior lives on {described(posterior)} and "
            f"the prior on {described(prior)}: the rate between them is not defined. Choose a prior for that space, or "
            "leave it out for the usual one."
        )


def described(space: Space) -> str:
    """Return a space in words, with what tells it from others of its kind."""
    own = ", ".join(f"{k}={v}" for k, v in vars(space).items())
    return f"{space.words} ({own})" if own else space.words
