"""Open functions on distributions: register a case with ``@name.register`` instead of editing this file.

``draw`` (all sampling), ``draw_scored`` (a draw that may know its density), ``point`` (one representative value),
``stand_in`` (a placeholder for a missing entry), ``given_row`` (what of a row is given), ``marginal`` (observed entries
only), ``prefix`` (first steps only) and ``factors`` (one-dimensional marginals).
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any, TypeAlias, TypeGuard

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Laplace, MultivariateNormal, Normal

from senzai.core.batch import prefixes
from senzai.core.errors import CombinationError
from senzai.core.local_random import LocalRandom
from senzai.core.random import LaterRows, Noise, current_noise, derive, using

from .wrapping import Around

Shape: TypeAlias = tuple[int, ...]


# --- draw -----------------------------------------------------------------------------------------------------------
def draw(
    p: Distribution, sample_shape: Shape = (), *, grad: bool = True, noise: Noise | None = None, lead: int = 0
) -> Tensor:
    """Draw from ``p``, differentiably if ``grad``, with the numbers of ``noise`` (the ambient source by default).

    Args:
        p: Distribution whose first batch axis counts rows, after ``lead`` others.
        sample_shape: Leading axes to add.
        grad: Whether gradients must flow to the parameters of ``p``.
        noise: Source of the random numbers.
        lead: Batch axes before the one that counts rows: 1 for ``(K, B)``, one distribution per draw and row.

    Returns:
        Shape ``(*sample_shape, *p.batch_shape, *p.event_shape)``; a dictionary of these for several modalities.

    Raises:
        CombinationError: A gradient is needed, but ``p`` cannot be reparameterised.

    Example:
        >>> draw(Independent(Normal(torch.zeros(3, 2), 1.0), 1), (5,)).shape
        torch.Size([5, 3, 2])
    """
    if grad and not p.has_rsample and torch.is_grad_enabled():
        raise CombinationError(
            f"A gradient has to pass through the draw, but {type(p).__name__} cannot be reparameterised. "
            "Use a reparameterisable posterior (a normal, a flow, a relaxed categorical)."
        )
    noise = noise or current_noise()
    if noise.point:
        return _points(p, tuple(sample_shape))
    return _draw(p, tuple(sample_shape), LaterRows.of(noise, lead))


@singledispatch
def _draw(p: Distribution, shape: Shape, noise: Noise) -> Tensor:
    """Fall back on the distribution's own sampler, with random numbers from a generator that the noise source seeds."""
    if noise.spread != 1.0:
        raise CombinationError(
            f"A temperature needs draws made from normal numbers, but {type(p).__name__} has its own sampler. "
            "Leave the temperature at 1, or register how it is drawn with `senzai.distributions.ops._draw.register`."
        )
    if noise.generator is None and noise.total is None:
        return p.rsample(shape) if p.has_rsample else p.sample(shape)
    device = torch.device("cpu") if noise.generator is None else noise.generator.device
    seed = int(torch.randint(2**62, (), generator=noise.generator, device=device))
    own = Noise.seeded(derive(seed, "rows", noise.offset), device=device)  # other rows, other numbers
    with using(own), LocalRandom(own):
        return p.rsample(shape) if p.has_rsample else p.sample(shape)


@_draw.register(Independent)
def _(p: Independent[Any], shape: Shape, noise: Noise) -> Tensor:
    return _draw(p.base_dist, shape, noise)


@_draw.register(Normal)
def _(p: Normal, shape: Shape, noise: Noise) -> Tensor:
    full = (*shape, *p.loc.shape)
    eps = noise.normal(full, row_dim=len(shape), dtype=p.loc.dtype, device=p.loc.device)
    return torch.addcmul(p.loc, p.scale, eps)


@_draw.register(MultivariateNormal)
def _(p: MultivariateNormal, shape: Shape, noise: Noise) -> Tensor:
    full = (*shape, *p.batch_shape, *p.event_shape)
    eps = noise.normal(full, row_dim=len(shape), dtype=p.loc.dtype, device=p.loc.device)
    moved: Tensor = p.loc + (p._unbroadcasted_scale_tril @ eps.unsqueeze(-1)).squeeze(-1)
    return moved


@_draw.register(Around)
def _(p: Around, shape: Shape, noise: Noise) -> Tensor:
    return _draw(p.base, shape, noise)


@singledispatch
def draw_scored(
    p: Distribution, sample_shape: Shape = (), *, grad: bool = True, noise: Noise | None = None
) -> tuple[Tensor, Tensor | None]:
    """Draw as :func:`draw` does, with the log density of each draw where it comes for free, else ``None``."""
    return draw(p, sample_shape, grad=grad, noise=noise), None


@singledispatch
def scores_whole_numbers(p: Distribution) -> bool:
    """Whether ``p`` scores rows as they are stored, bytes or floating: what is mostly zero need not be converted."""
    return False


# --- point ----------------------------------------------------------------------------------------------------------
@singledispatch
def point(p: Distribution) -> Tensor:
    """Return one value that stands for ``p``: the mean where it is a valid value, else the mode.

    Example:
        >>> point(Normal(torch.tensor([1.0]), 2.0))
        tensor([1.])
    """
    if p.support is not None and p.support.is_discrete:
        return p.mode
    return _finite(p.mean, p)


@point.register(Independent)
def _(p: Independent[Any]) -> Tensor:
    inner: Tensor = point(p.base_dist)
    return inner


@singledispatch
def _points(p: Distribution, shape: Shape) -> Tensor:
    """Return the point of ``p`` in the place of draws."""
    return point(p).expand(*shape, *p.batch_shape, *p.event_shape)


# --- stand-in -------------------------------------------------------------------------------------------------------
@singledispatch
def stand_in(p: Distribution) -> Tensor:
    """Return any value with a finite density and gradient, as a placeholder for missing entries; cheaper than a mode.

    Example:
        >>> stand_in(Normal(torch.tensor([1.0]), 2.0))
        tensor([1.])
    """
    return point(p)


@stand_in.register(Independent)
def _(p: Independent[Any]) -> Tensor:
    inner: Tensor = stand_in(p.base_dist)
    return inner


@stand_in.register(Normal)
@stand_in.register(Laplace)
def _(p: Normal | Laplace) -> Tensor:
    return p.loc


@singledispatch
def expected(p: Distribution) -> Tensor:
    """Return the mean of ``p`` if it has one, else its mode: what a reconstruction shows.

    Unlike :func:`point` it may be no possible value: a probability for a bit, 2.3 for a count.

    Example:
        >>> from torch.distributions import Bernoulli
        >>> expected(Bernoulli(torch.tensor([0.3])))
        tensor([0.3000])
    """
    try:
        mean = p.mean
    except NotImplementedError:
        return p.mode
    return _finite(mean, p)


def _finite(mean: Tensor, p: Distribution) -> Tensor:
    """Return the mean, and the mode of those entries alone whose mean overflows or does not exist."""
    if torch.compiler.is_compiling() and _has_finite_mean(p):  # or a traced graph has a mode that is never shown
        return mean
    known = torch.isfinite(mean)
    whole = no_mode(p) if torch.compiler.is_compiling() else bool(known.all())  # what is traced looks at no numbers
    return mean if whole else torch.where(known, mean, p.mode)


def _has_finite_mean(p: Distribution) -> bool:
    """Whether a distribution says of itself that its mean is always finite."""
    inner: Any = p
    while isinstance(inner, Independent | Around):
        inner = inner.base_dist if isinstance(inner, Independent) else inner.base
    return bool(getattr(inner, "finite_mean", False))


def no_mode(p: Distribution) -> bool:
    """Whether a distribution does not know its mode."""
    try:
        _ = p.mode
    except NotImplementedError:
        return True
    return False


# --- what of a row is given ------------------------------------------------------------------------------------------
@singledispatch
def given_row(p: Distribution, x: Tensor, observed: Tensor | None) -> Distribution:
    """Return ``p`` for rows of which something is given and not modelled, such as the sum of their counts.

    Args:
        p: Distribution of whole rows, batch shape ``(*lead, B)``; by default nothing of a row is given.
        x: The rows, ``(B, *event)``.
        observed: True where an entry was observed, shaped like ``x``; ``None`` for everywhere.
    """
    return p


# --- marginal -------------------------------------------------------------------------------------------------------
class Observed(Around):
    """The marginal of an elementwise distribution over its observed entries.

    ``log_prob(x)`` sums the log densities where ``observed`` is True; the value and gradient do not depend on what
    stands elsewhere, NaN included. Draws and moments are those of the whole distribution.

    Args:
        base: Distribution with independent elements.
        observed: True where a value was observed, broadcastable to ``batch_shape + event_shape``.
    """

    def __init__(self, base: Independent[Any], observed: Tensor) -> None:
        super().__init__(base)
        self.observed = observed

    @property
    def variance(self) -> Tensor:
        """Variance of the base."""
        variance: Tensor = self.base.variance
        return variance

    def elementwise(self, x: Tensor) -> Tensor:
        """Log density of each entry, zero where nothing was observed."""
        safe = torch.where(self.observed, x, stand_in(self.base).detach().to(x.dtype))
        return torch.where(self.observed, self.base.base_dist.log_prob(safe), 0.0)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density of the observed entries of ``x``, one number per row."""
        n = self.base.reinterpreted_batch_ndims
        log_p = self.elementwise(x)
        return log_p.flatten(log_p.ndim - n).sum(-1)


@point.register(Observed)
def _(p: Observed) -> Tensor:
    return point(p.base)


@stand_in.register(Observed)
def _(p: Observed) -> Tensor:
    return stand_in(p.base)


@singledispatch
def marginal(p: Distribution, observed: Tensor) -> Distribution:
    """Return the marginal of ``p`` over the entries where ``observed`` is True.

    Raises:
        CombinationError: ``p`` has dependent entries and no rule is registered for its type.

    Example:
        >>> p = Independent(Normal(torch.zeros(1, 2), 1.0), 1)
        >>> m = marginal(p, torch.tensor([[True, False]]))
        >>> m.log_prob(torch.tensor([[0.0, float("nan")]]))
        tensor([-0.9189])
    """
    raise CombinationError(
        f"Missing values, and rows of different lengths, need a likelihood whose marginals are known, but "
        f"{type(p).__name__} has none registered. Use an elementwise family, "
        "or register one with `senzai.distributions.marginal.register`."
    )


@marginal.register(Independent)
def _(p: Independent[Any], observed: Tensor) -> Distribution:
    base = counting(p.base_dist, observed)
    told = p if base is p.base_dist else Independent(base, p.reinterpreted_batch_ndims, validate_args=False)
    return Observed(told, observed)


@singledispatch
def prefix(p: Distribution, lengths: Tensor) -> Distribution:
    """Return the marginal of ``p`` over the first steps of each row: as many as ``lengths`` says, ``(B,)``.

    Steps are counted along the first axis of an event. A chain that goes through them in order needs no marginals.

    Raises:
        CombinationError: ``p`` has dependent entries and no rule is registered for its type.

    Example:
        >>> p = Independent(Normal(torch.zeros(2, 3), 1.0), 1)
        >>> prefix(p, torch.tensor([1, 3])).log_prob(torch.zeros(2, 3))
        tensor([-0.9189, -2.7568])
    """
    return marginal(p, first_steps(p, lengths))


def first_steps(p: Distribution, lengths: Tensor) -> Tensor:
    """Return True at the first steps of each row, shaped like the rows of ``p``, ``(B, *event)``."""
    return prefixes(lengths, lengths.new_empty(1).expand(len(lengths), *p.event_shape))


@singledispatch
def counting(p: Distribution, observed: Tensor) -> Distribution:
    """Return an elementwise distribution that knows which entries count; this matters only if it pools its entries."""
    return p


@singledispatch
def elementwise(p: Distribution, x: Tensor) -> Tensor:
    """Return the log density of each entry of ``x`` (shape of ``x`` with leading batch axes).

    Raises:
        CombinationError: The entries of ``p`` are dependent.
    """
    raise CombinationError(f"Per-entry densities need independent entries, but {type(p).__name__} has dependent ones.")


@elementwise.register(Independent)
def _(p: Independent[Any], x: Tensor) -> Tensor:
    log_p: Tensor = p.base_dist.log_prob(x)
    return log_p


@elementwise.register(Observed)
def _(p: Observed, x: Tensor) -> Tensor:
    return p.elementwise(x)


# --- factors --------------------------------------------------------------------------------------------------------
@singledispatch
def factors(p: Distribution) -> Distribution | None:
    """Return the one-dimensional marginals of ``p`` as a distribution with an empty event, or ``None``.

    Example:
        >>> factors(Independent(Normal(torch.zeros(3, 2), 1.0), 1)).batch_shape
        torch.Size([3, 2])
    """
    return None


@factors.register(Independent)
def _(p: Independent[Any]) -> Distribution | None:
    return p.base_dist if p.reinterpreted_batch_ndims == 1 else None


@factors.register(MultivariateNormal)
def _(p: MultivariateNormal) -> Distribution | None:
    return Normal(p.loc, p.variance.sqrt(), validate_args=False)


def factorised(p: Distribution) -> TypeGuard[Independent[Any]]:
    """Whether the entries of ``p`` are independent, so that its factors determine it."""
    return isinstance(p, Independent) and p.reinterpreted_batch_ndims == 1
