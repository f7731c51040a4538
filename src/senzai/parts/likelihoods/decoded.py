"""Likelihoods: ``likelihood(z, c=None) -> p(x | z)``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ...core.batch import Batch, Data, first
from ...core.errors import CombinationError, SettingError
from ...core.spec import part
from ...distributions.calibrated import optimal, with_scale
from ...distributions.family import Family, Unit
from ...nn.inputs import DataInitialised, Decoder, as_float
from ...nn.layers import calmed
from ...nn.precision import network_precision
from ...nn.statistics import Statistics
from ..base import AnyLikelihood, full_precision

_HEARD: ContextVar[list[Tensor] | None] = ContextVar("senzai_raw_numbers", default=None)


@contextmanager
def hearing_raw() -> Iterator[list[Tensor]]:
    """Gather the raw numbers that likelihoods make distributions of inside the block.

    Example:
        >>> from senzai.distributions import BernoulliFamily
        >>> from senzai.nn import MLPDecoder
        >>> p = Likelihood(MLPDecoder(2, (1, 5), (8,)), BernoulliFamily(), (5,))
        >>> with hearing_raw() as heard:
        ...     _ = p(torch.zeros(3, 2))
        >>> [tuple(raw.shape) for raw in heard]
        [(3, 1, 5)]
    """
    heard: list[Tensor] = []
    token = _HEARD.set(heard)
    try:
        yield heard
    finally:
        _HEARD.reset(token)


@part("likelihood", "decoded")
@final
class Likelihood(DataInitialised, AnyLikelihood):
    """A decoder, an output bias that starts at the data mean, and a family.

    Some raw numbers can be ``shared``: learned once per element instead of being computed from ``z`` (a global scale,
    say). For families with a location and a scale the data's own units are kept in two buffers, so that densities are
    exact in the units of the data.

    Args:
        decoder: Network from latents to the raw numbers that are not shared.
        family: What the raw numbers mean.
        event: Shape of one row of data.
        shared: Names among ``family.raw_names`` that do not depend on ``z``.
        shared_by: Width of the condition that shared raw numbers depend on, linearly: of the dispersion of each gene in
            each batch, say. 0 where they depend on nothing.

    Raises:
        SettingError: The decoder does not give the raw numbers that the family needs.
        CombinationError: Nothing is shared that could depend on the condition.

    Example:
        >>> from senzai.nn import MLPDecoder
        >>> from senzai.distributions import BernoulliFamily
        >>> p = Likelihood(MLPDecoder(2, (1, 5), (8,)), BernoulliFamily(), (5,))
        >>> p(torch.zeros(7, 3, 2)).log_prob(torch.ones(3, 5)).shape
        torch.Size([7, 3])
    """

    shift: Tensor
    scale: Tensor
    sigma: Tensor
    seen: Tensor

    def __init__(
        self, decoder: Decoder, family: Family, event: tuple[int, ...], *, shared: tuple[str, ...] = (),
        shared_by: int = 0,
    ) -> None:
        super().__init__()
        if family.usual_prior != Family.usual_prior:
            raise CombinationError(
                f"{type(family).__name__} lives on a space of its own, where data are not. Use it as a posterior."
            )
        self.decoder, self.family, self.event = decoder, family, tuple(event)
        self.from_net = decoded_names(family, tuple(shared))
        needed = decoded_shape(family, self.event, tuple(shared))
        if tuple(decoder.raw_shape) != needed:
            raise SettingError(
                f"The decoder must give raw numbers of shape {needed} for this family and event, "
                f"but gives {tuple(decoder.raw_shape)}. Build it with that raw_shape."
            )
        names = family.raw_names
        place = {n: i for i, n in enumerate(names)}
        self.order = [place[n] for n in (*self.from_net, *shared)]
        self.is_shared = bool(shared)
        self.bias = nn.Parameter(torch.zeros(family.raw_shape(self.event)))
        if shared_by < 0:
            raise SettingError(f"`shared_by >= 0` must hold, but got shared_by={shared_by!r}.")
        if shared_by and not shared:
            raise CombinationError(
                f"Raw numbers that are shared may depend on the condition, but {type(family).__name__} shares none. "
                "Name some with shared=..., or leave shared_by out."
            )
        self.shared_by = shared_by
        if shared_by:  # every condition starts alike
            self.by_condition = nn.Parameter(torch.zeros(len(shared), shared_by, *self.event))
        self.register_buffer("shift", torch.zeros(self.event))
        self.register_buffer("scale", torch.ones(self.event))
        if family.mixes_rows:
            self.register_buffer("sigma", torch.ones(()))
            self.register_buffer("seen", torch.zeros(()))

    def initialise(self, batch: Batch) -> None:
        """Take units from the data and start the output at its marginals."""
        x, mask = as_float(batch.tensor), batch.observed
        if self.family.has_unit:
            mean, std = Statistics.of(x, mask).moments(per_element=len(self.event) == 1)
            self.shift.copy_(mean)
            self.scale.copy_(std)
            x = (x - self.shift) / self.scale
        weight = torch.ones_like(x) if mask is None else mask.to(x.dtype)
        with torch.no_grad():
            self.bias.copy_(self.family.start(x, weight))

    def raw(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return all raw numbers, ``(*lead, *raw_shape)``, in single precision at least."""
        with network_precision(z.device):
            net: Tensor = self.decoder(z, c)
        half, net = net.element_size() < 4, full_precision(net)
        if not self.is_shared:
            return net if self.decoder.biased else _raised(net, self.bias, own=half)
        axis = net.ndim - self.bias.ndim
        pieces: list[Tensor] = []
        for i in range(len(self.order)):
            bias = self.bias[i]
            j = self.order.index(i)
            if j < len(self.from_net):
                pieces.append(net.select(axis, j) + (0 if self.decoder.biased else bias))
            else:
                own = bias if not self.shared_by else bias + self._of_condition(j - len(self.from_net), c)
                pieces.append(own.expand(*z.shape[:-1], *self.event))
        return torch.stack(pieces, axis)

    def _of_condition(self, shared: int, c: Tensor | None) -> Tensor:
        """Return what the condition adds to a shared raw number, ``(B, *event)``."""
        if c is None:
            raise CombinationError("These raw numbers depend on the condition, but there is none. Give one per row.")
        table = self.by_condition[shared]
        return (c.to(table.dtype) @ table.flatten(1)).reshape(*c.shape[:-1], *self.event)

    def forward(self, z: Tensor, c: Tensor | None = None) -> Distribution:
        """Return p(x | z) with batch shape ``z.shape[:-1]`` and event shape ``event``."""
        return self.of(self.raw(z, c))

    def of(self, raw: Tensor) -> Distribution:
        """Return the distribution over data that raw numbers mean, ``(*lead, *raw_shape)``."""
        if (heard := _HEARD.get()) is not None:
            heard.append(raw)
        unit = Unit(self.shift, self.scale) if self.family.has_unit else None
        p = self.family(raw, self.event, unit)
        return with_scale(p, self.sigma) if self.family.mixes_rows and not self.training else p

    @property
    def mixes_rows(self) -> bool:
        """Whether the family takes its scale from all rows of a batch together, or the decoder norms over them."""
        return self.family.mixes_rows or self.decoder.mixes_rows

    @torch.no_grad()
    def observe(self, p: Distribution, x: Data) -> None:
        """In training, let the running scale of an optimal-scale family follow the batches; else do nothing.

        The scale is the root of a running mean of squares over about the last fifty batches; evaluation uses it.
        """
        if not (self.family.mixes_rows and self.training):
            return
        square = optimal(p).optimal_scale(as_float(first(x))).square()
        self.seen.add_(1)
        self.sigma.copy_(torch.lerp(self.sigma.square(), square, torch.clamp(1 / self.seen, min=0.02)).sqrt())


def _raised(net: Tensor, bias: Tensor, *, own: bool) -> Tensor:
    """Return raw numbers with their bias: in their place where they are a copy that nobody else has."""
    own = own and not (torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active())
    return net.add_(bias) if own else net + bias


def decoded_shape(family: Family, event: tuple[int, ...], shared: tuple[str, ...]) -> tuple[int, ...]:
    """Return the shape of the raw numbers that a decoder has to give.

    Raises:
        CombinationError: Some are shared, but those of this family do not come one per element.
        SettingError: A shared name is not one of the family's raw numbers, or nothing is left to decode.
    """
    names, whole = decoded_names(family, shared), family.raw_shape(event)
    if whole == (len(family.raw_names), *event):
        return (len(names), *event)
    if shared:
        raise CombinationError(
            f"Raw numbers are shared element by element, but {type(family).__name__} has {whole} of them for rows of "
            f"shape {event}. Leave {', '.join(shared)} to the decoder."
        )
    return whole


def decoded_names(family: Family, shared: tuple[str, ...]) -> tuple[str, ...]:
    """Return the raw numbers that a decoder has to give when ``shared`` ones are learned once.

    Raises:
        SettingError: A shared name is not one of the family's raw numbers, or nothing is left to decode.
    """
    names, given = family.raw_names, set(shared)
    unknown = [n for n in shared if n not in set(names)]
    left = tuple(n for n in names if n not in given)
    if unknown or not left:
        raise SettingError(
            f"Shared raw numbers must be some of {', '.join(names[:20])} and leave one to decode, "
            f"but got {', '.join(map(str, shared))}. Name fewer, or others."
        )
    return left


def calm(likelihood: AnyLikelihood) -> AnyLikelihood:
    """Return a likelihood of codes whose fully connected decoder starts with a calm last layer; see ``calmed``."""
    assert isinstance(likelihood, Likelihood)  # of codes there is no other
    assert isinstance(likelihood.decoder.out, nn.Linear)
    calmed(likelihood.decoder.out)
    return likelihood
