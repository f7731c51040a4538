"""Autoregressive likelihoods: PixelCNN for images, MADE for vectors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ...core.batch import Batch
from ...core.errors import CombinationError
from ...core.spec import name_of, part
from ...distributions.autoregressive import Autoregressive
from ...distributions.family import Family
from ...nn.causal import MaskedNet, PixelNet
from ...nn.inputs import DataInitialised, Decoder, as_float
from ...nn.layers import size_of, with_condition
from ...nn.precision import network_precision
from ..base import AnyLikelihood, full_precision


def n_values(family: Family) -> int:
    """Return how many values an entry can take.

    Raises:
        CombinationError: The family is not one of a few whole numbers.
    """
    known = {"binary": 2, "levels": getattr(family, "levels", 0), "category": getattr(family, "n", 0)}
    if family.support not in known or family.mixes_rows:
        raise CombinationError(
            "A decoder that goes entry by entry needs bits, levels or classes, but the likelihood family "
            f"{(name_of(family) or '?').partition('/')[2]!r} is for {family.support} values. "
            "Use it for rows of bits or of whole levels, or choose another likelihood."
        )
    return known[family.support]


class AutoregressiveDecoder(DataInitialised, AnyLikelihood):
    r"""A decoder whose entries depend on each other: :math:`p(x | z) = \prod_i p(x_i | x_{<i}, z)`.

    ``log_prob`` shows the network all entries at once (teacher forcing). A draw takes one pass for each entry, as does
    the greedy ``mode``, which is what ``reconstruct`` shows: each entry the likeliest given those before it.
    """

    order: Tensor

    def __init__(self, family: Family, event: tuple[int, ...], order: Tensor, *, masked: bool) -> None:
        super().__init__()
        if masked:
            raise CombinationError(
                "A decoder that goes entry by entry has no known marginals, but rows come with missing entries. "
                "Fill them in, leave such rows out, or use an elementwise likelihood."
            )
        self.family, self.event, self.n_values = family, tuple(event), n_values(family)
        self.bias = nn.Parameter(torch.zeros(family.raw_shape(self.event)))
        self.register_buffer("order", order, persistent=False)

    def initialise(self, batch: Batch) -> None:
        """Start the output at the marginals of the data."""
        x, seen = as_float(batch.tensor), batch.observed
        with torch.no_grad():
            self.bias.copy_(self.family.start(x, torch.ones_like(x) if seen is None else seen.to(x.dtype)))

    @abstractmethod
    def context(self, z: Tensor, c: Tensor | None) -> Tensor:
        """Return the context of every entry, ``(*lead, ...)``."""

    @abstractmethod
    def look_back(self, x: Tensor, context: Tensor) -> Tensor:
        """Return raw numbers ``(N, *raw_shape)`` for rows ``(N, *event)`` on [-1, 1] and their context."""

    def look_at(self, i: int, x: Tensor, context: Tensor) -> Tensor:
        """Return the raw numbers of the entry at place ``i`` of the flat row only, ``(N, n_raw, 1)``."""
        raw = self.look_back(x, context)
        return raw.flatten(2)[..., i : i + 1]

    def forward(self, z: Tensor, c: Tensor | None = None) -> Distribution:
        """Return p(x | z) with batch shape ``z.shape[:-1]`` and event shape ``event``."""
        lead = z.shape[:-1]
        with network_precision(z.device):
            context = self.context(z, c)

        def scored(x: Tensor, look: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
            rows = x.shape[: x.ndim - len(self.event)]
            told = context.expand(*rows, *context.shape[len(lead) :]).flatten(0, len(rows) - 1)
            scaled = (as_float(x) * (2 / (self.n_values - 1)) - 1).to(self.bias.dtype)
            with network_precision(z.device):
                raw = look(scaled.reshape(-1, *self.event), told)
            return full_precision(raw).view(*rows, *raw.shape[1:])

        def conditionals(x: Tensor) -> Tensor:
            return scored(x, self.look_back) + self.bias

        def entry(x: Tensor, i: int) -> Tensor:
            return scored(x, partial(self.look_at, i)) + self.bias.flatten(1)[:, i : i + 1]

        return Autoregressive(conditionals, self.family, tuple(lead), self.event, self.order, entry)


@part("likelihood", "pixelcnn")
@final
class PixelCNN(AutoregressiveDecoder):
    r"""A gated PixelCNN that receives the output of a decoder at every layer and pixel.

    .. math:: p(x | z) = \prod_i p(x_i \mid x_{<i}, f(z)_i)

    pixel by pixel, row by row, and within a pixel colour by colour. A decoder that can predict a pixel well from its
    neighbours has little need of ``z``: ``size`` and ``n_layers`` keep its view small, ``n_layers * (size // 2)``
    pixels, so that what is larger has to come from the latents.

    Reference:
        PixelVAE: A Latent Variable Model for Natural Images (Gulrajani et al., 2017). https://arxiv.org/abs/1611.05013
        Conditional Image Generation with PixelCNN Decoders (van den Oord et al., 2016). https://arxiv.org/abs/1606.05328

    Args:
        maps: Network from latents to maps of the size of the image, raw_shape ``(maps, *event)``.
        output: What the raw numbers of an entry mean: ``bernoulli``, ``discretised_logistic_mixture``, ``categorical``.
        event: ``(channels, height, width)``.
        width: Channels of the layers.
        n_layers: Number of layers.
        size: Odd size of the kernels.
        masked: Whether rows come with missing entries, which are refused.

    Raises:
        CombinationError: Entries are missing, or are no whole numbers.

    Example:
        >>> from senzai.distributions import BernoulliFamily
        >>> from senzai.nn import MLPDecoder
        >>> p = PixelCNN(MLPDecoder(2, (3, 1, 4, 4)), BernoulliFamily(), (1, 4, 4), width=8)(torch.zeros(5, 2))
        >>> p.log_prob(torch.ones(5, 1, 4, 4)).shape, p.sample().shape
        (torch.Size([5]), torch.Size([5, 1, 4, 4]))
    """

    def __init__(
        self, maps: Decoder, output: Family, event: tuple[int, ...], *, width: int = 32, n_layers: int = 2,
        size: int = 3, masked: bool = False,
    ) -> None:
        super().__init__(output, event, raster(event), masked=masked)
        self.maps = maps
        n_context = maps.raw_shape[0] * event[0]
        self.net = PixelNet(event, len(output.raw_names), n_context, width=width, n_layers=n_layers, size=size)

    def context(self, z: Tensor, c: Tensor | None) -> Tensor:
        """Return maps ``(*lead, maps, height, width)``."""
        found: Tensor = self.maps(z, c)
        return found.flatten(-4, -3)

    def look_back(self, x: Tensor, context: Tensor) -> Tensor:
        """Return raw numbers ``(N, n_raw, channels, height, width)``."""
        raw: Tensor = self.net(x, context)
        return raw

    def look_at(self, i: int, x: Tensor, context: Tensor) -> Tensor:
        """Return the raw numbers of one entry from the window that it sees."""
        _, height, width = self.event
        colour, (row, column) = i // (height * width), divmod(i % (height * width), width)
        top, left = max(0, row - self.net.reach), max(0, column - self.net.reach)
        window = (..., slice(top, row + 1), slice(left, column + self.net.reach + 1))
        raw: Tensor = self.net(x[window], context[window])
        return raw[:, :, colour, row - top, column - left].unsqueeze(-1)


def raster(event: tuple[int, ...]) -> Tensor:
    """Return the places of the entries of an image in the order they are drawn: row by row, then colour by colour.

    Example:
        >>> raster((3, 1, 2)).tolist()
        [0, 2, 4, 1, 3, 5]
    """
    return torch.arange(size_of(event)).view(event[0], -1).T.flatten()


@part("likelihood", "made")
@final
class MADE(AutoregressiveDecoder):
    r"""A masked network that receives the latents at every layer, for vectors (and anything, flattened).

    .. math:: p(x | z) = \prod_d p(x_d \mid x_{<d}, z)

    Every entry sees all before it, so that ``z`` may go unused: watch the rate.

    Reference:
        MADE: Masked Autoencoder for Distribution Estimation (Germain et al., 2015). https://arxiv.org/abs/1502.03509

    Args:
        n_latent: Width of the latent code.
        event: Shape of one row.
        output: What the raw numbers of an entry mean: ``bernoulli``, ``discretised_logistic_mixture``, ``categorical``.
        hidden: Widths of the masked layers.
        n_condition: Width of the condition.
        activation: One of ``senzai.nn.ACTIVATIONS``.
        masked: Whether rows come with missing entries, which are refused.

    Raises:
        CombinationError: Entries are missing, or are no whole numbers.

    Example:
        >>> from senzai.distributions import BernoulliFamily
        >>> p = MADE(2, (6,), BernoulliFamily(), hidden=(8,))(torch.zeros(7, 3, 2))
        >>> p.log_prob(torch.ones(3, 6)).shape
        torch.Size([7, 3])
    """

    def __init__(
        self, n_latent: int, event: tuple[int, ...], output: Family, *, hidden: tuple[int, ...] = (256,),
        n_condition: int = 0, activation: str = "relu", masked: bool = False,
    ) -> None:
        super().__init__(output, event, torch.arange(size_of(event)), masked=masked)
        self.n_condition = n_condition
        self.net = MaskedNet(
            size_of(event), len(output.raw_names), n_latent + n_condition, hidden=tuple(hidden), activation=activation
        )

    def context(self, z: Tensor, c: Tensor | None) -> Tensor:
        """Return the latents, with the condition."""
        return with_condition(z, c if self.n_condition else None)

    def look_back(self, x: Tensor, context: Tensor) -> Tensor:
        """Return raw numbers ``(N, *raw_shape)``."""
        raw: Tensor = self.net(x.flatten(1), context)
        return raw.reshape(*raw.shape[:-1], *self.event)
