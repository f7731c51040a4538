"""What verbs and measures about returns ask of a kind whose rows are steps of prices or of returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from senzai.core.later import Tensor

from .rows import Array, Rows


@dataclass(frozen=True, eq=False)
class Seen:
    """Returns that came.

    Args:
        times: Time of each, an index of pandas.
        returns: ``(T, d)``, NaN where there is none.
        variances: Variance of each given those before it, where a filter knows it.
        lines: Number of the line of each.
    """

    times: Any
    returns: Array
    variances: Array | None
    lines: Array


def settled(x: Tensor) -> Tensor:
    """Return steps of what filters left, as a model draws them, ``(N, L, d)``, with mean 0 and variance 1.

    Rows that trained the model have exactly these. A filter multiplies what it is given with its own past: with a
    variance of 1.05 in place of 1, volatility would grow from day to day without an end.
    """
    flat = x.double().flatten(0, 1)
    return ((x.double() - flat.mean(0)) / flat.std(0).clamp_min(1e-12)).to(x)


class Returns(ABC):
    """Returns of the user's series, and paths of them from model values.

    Model values are returns, standardised; or, where a filter took the volatility out, what it left, uncorrelated.
    """

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """What columns are called."""

    @property
    @abstractmethod
    def how(self) -> str:
        """What a return is: log, simple, or as it was given."""

    @property
    @abstractmethod
    def filtered(self) -> bool:
        """Whether a filter stands between returns and model."""

    @property
    @abstractmethod
    def coming(self) -> Array:
        """Variance of each column at the step after the last, where there is a filter."""

    @property
    @abstractmethod
    def parameters(self) -> dict[str, dict[str, float]]:
        """The filter of each column, as plain numbers."""

    @abstractmethod
    def seen(self, source: Any) -> Seen:
        """Return what is known of each day."""

    @abstractmethod
    def covered(self, source: Any, index: Array) -> Array:
        """Return the numbers of the lines that some windows cover."""

    @abstractmethod
    def unknown(self, source: Any, lines: Array) -> Array:
        """Return which of some lines come after everything that trained or validated the model."""

    @abstractmethod
    def ending(self, source: Any, lines: Array) -> Rows:
        """Return the windows that end with some lines."""

    @abstractmethod
    def unscaled(self, x: Tensor) -> Array:
        """Return model values as returns, or as what a filter left of them."""

    @abstractmethod
    def one_step(self, x: Tensor, variances: Array) -> Array:
        """Return returns of single steps ``(S, d)`` on a day with variances ``(d,)``."""

    @abstractmethod
    def paths(self, x: Tensor, first: Array | None = None) -> Array:
        """Return returns of paths ``(N, T, d)``, the first step with variances ``first``, by default those to come."""

    @abstractmethod
    def left(self, source: Any, lines: Array) -> Array:
        """Return what the filter left of some lines, without missing ones."""

    @abstractmethod
    def again(self, left: Array, first: Array | None = None) -> Array:
        """Return returns of paths of what it left, ``(N, T, d)`` through the filter."""

    @abstractmethod
    def usual(self) -> Array:
        """Return the mean variance of each column under its filter."""

    @abstractmethod
    def prices(self, returns: Array) -> Array:
        """Return prices of paths of returns, which begin after the last price."""

    @abstractmethod
    def total(self, returns: Array) -> Array:
        """Return simple returns over whole paths, ``(N, d)``."""

    @abstractmethod
    def simple(self, returns: Array) -> Array:
        """Return simple returns, which add up over a portfolio."""

    @abstractmethod
    def dates(self, n: int) -> Any:
        """Return the next ``n`` times."""
