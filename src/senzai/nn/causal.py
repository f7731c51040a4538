"""Networks whose outputs look back only: masked linear layers (MADE) and gated, masked convolutions (PixelCNN)."""

from __future__ import annotations

from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import SettingError
from .layers import ACTIVATIONS, halves
from .listed import ModulesOf
from .masked import MaskedLinear, degrees
from .products import Linear


# --- vectors --------------------------------------------------------------------------------------------------------
@final
class MaskedNet(nn.Module):
    """Raw numbers of each entry of a vector given those before it, and given context that everything may see.

    Reference:
        MADE: Masked Autoencoder for Distribution Estimation (Germain et al., 2015). https://arxiv.org/abs/1502.03509

    Args:
        n_inputs: Length of the vector.
        n_raw: Raw numbers of one entry.
        n_context: Width of the context.
        hidden: Widths of the hidden layers.
        activation: One of ``senzai.nn.ACTIVATIONS``; none that halves.

    Example:
        >>> MaskedNet(4, 2, 3, hidden=(8,))(torch.zeros(5, 4), torch.zeros(5, 3)).shape
        torch.Size([5, 2, 4])
    """

    def __init__(
        self, n_inputs: int, n_raw: int, n_context: int, *, hidden: tuple[int, ...] = (256,), activation: str = "relu"
    ) -> None:
        super().__init__()
        no_gates(activation)
        if not hidden or min(hidden) < 1:
            raise SettingError(f"A masked network has at least one hidden layer, but got hidden={hidden!r}.")
        self.n_raw, self.n_inputs = n_raw, n_inputs
        self.activation = ACTIVATIONS[activation]()
        inputs = torch.arange(n_inputs)
        seen = [inputs, *(degrees(width, n_inputs) for width in hidden)]
        self.layers: ModulesOf[MaskedLinear] = ModulesOf(
            MaskedLinear(len(a), len(b), b[:, None] >= a[None, :]) for a, b in pairwise(seen)
        )
        self.contexts = nn.ModuleList(Linear(n_context, width, bias=False) for width in hidden)
        last = inputs[:, None] > seen[-1][None, :]
        self.out = MaskedLinear(hidden[-1], n_raw * n_inputs, last.repeat(n_raw, 1))
        self.context_out = Linear(n_context, n_raw * n_inputs, bias=False)
        for layer in self.layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        nn.init.xavier_uniform_(self.out.weight)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Return raw numbers ``(*lead, n_raw, n_inputs)``."""
        h = x
        for layer, seen in zip(self.layers, self.contexts, strict=True):
            h = self.activation(layer(h) + seen(context))
        raw: Tensor = self.out(h) + self.context_out(context)
        return raw.reshape(*raw.shape[:-1], self.n_raw, self.n_inputs)


def no_gates(activation: str) -> None:
    """Refuse an activation that halves its input: masks are about single units."""
    if halves(activation) != 1:
        raise SettingError(f"Masked networks take no gated units, but got activation={activation!r}. Use relu or silu.")


# --- images ---------------------------------------------------------------------------------------------------------
def grouped(n_out: int, n_in: int, groups: int, *, strict: bool) -> Tensor:
    """Return which channels see which of the same pixel, ``(n_out, n_in)``: those of earlier colours.

    Not ``strict``, also those of their own. Channels of the first colour come
    first. With one colour and ``strict`` nothing is seen.
    """
    out, of = torch.arange(n_out) * groups // n_out, torch.arange(n_in) * groups // n_in
    return out[:, None] > of[None, :] if strict else out[:, None] >= of[None, :]


@final
class RowConv(nn.Module):
    """A convolution along a row that sees pixels to the left, and of its own pixel what the colours' order allows."""

    mask: Tensor

    def __init__(self, n_in: int, n_out: int, size: int, colours: int, *, strict: bool) -> None:
        super().__init__()
        self.reach = size // 2
        mask = torch.ones(n_out, n_in, 1, self.reach + 1)
        own = grouped(n_out // 2, n_in, colours, strict=strict).float()
        mask[:, :, 0, -1] = own.repeat(2, 1)  # values, then gates
        self.register_buffer("mask", mask, persistent=False)
        conv = nn.Conv2d(n_in, n_out, (1, self.reach + 1))
        self.weight, self.bias = conv.weight, conv.bias

    def forward(self, h: Tensor) -> Tensor:
        """Return a map of the same size."""
        return F.conv2d(F.pad(h, (self.reach, 0)), self.weight * self.mask, self.bias)


@final
class AboveConv(nn.Module):
    """A convolution that sees rows above; the first layer not its own row, later ones that of the layer before."""

    def __init__(self, n_in: int, n_out: int, size: int, *, first: bool) -> None:
        super().__init__()
        self.reach, self.first = size // 2, first
        self.conv = nn.Conv2d(n_in, n_out, (self.reach + (0 if first else 1), size))

    def forward(self, h: Tensor) -> Tensor:
        """Return a map of the same size."""
        h = F.pad(h, (self.reach, self.reach, self.reach, 0))
        out: Tensor = self.conv(h[..., :-1, :] if self.first else h)
        return out


@final
class GatedLayer(nn.Module):
    """One layer of a gated PixelCNN: a stack for the rows above and one for the row itself, given the context.

    Two stacks leave no blind spot. ``tanh(a) * sigmoid(b)`` with the context added to both.

    Args:
        n_in: Channels that come in (of the image, in the first layer).
        width: Channels that go out; a multiple of ``colours``.
        n_context: Channels of the context map.
        size: Odd size of the kernels.
        colours: Channels of the image.
        first: Whether its input is the image itself, whose own entries must not be seen.
    """

    def __init__(self, n_in: int, width: int, n_context: int, size: int, colours: int, *, first: bool) -> None:
        super().__init__()
        self.first = first
        self.above = AboveConv(n_in, 2 * width, size, first=first)
        self.row = RowConv(n_in, 2 * width, size, colours, strict=first)
        self.across = nn.Conv2d(2 * width, 2 * width, 1)
        self.context = nn.Conv2d(n_context, 4 * width, 1)
        self.mix = nn.Conv2d(width, width, 1)
        self.register_buffer("mix_mask", grouped(width, width, colours, strict=False).float()[..., None, None],
                             persistent=False)

    mix_mask: Tensor

    def forward(self, above: Tensor, row: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return both stacks, ``(N, width, H, W)`` each."""
        for_above, for_row = self.context(context).chunk(2, 1)
        seen = self.above(above)
        out = gate(self.row(row) + self.across(seen) + for_row)
        out = F.conv2d(out, self.mix.weight * self.mix_mask, self.mix.bias)
        return gate(seen + for_above), out if self.first else row + out


def gate(h: Tensor) -> Tensor:
    """Return ``tanh(a) * sigmoid(b)`` of the two halves."""
    a, b = h.chunk(2, 1)
    return torch.tanh(a) * torch.sigmoid(b)


@final
class PixelNet(nn.Module):
    r"""Raw numbers of each pixel given those above, those to its left, and a map of context.

    An output sees at most ``n_layers * (size // 2)`` rows up and as many pixels left. The smaller that is, the less
    the network can say without its context.

    Reference:
        Conditional Image Generation with PixelCNN Decoders (van den Oord et al., 2016). https://arxiv.org/abs/1606.05328

    Args:
        event: ``(channels, height, width)``.
        n_raw: Raw numbers of one entry.
        n_context: Channels of the context map.
        width: Channels of the layers (rounded up to a multiple of the colours).
        n_layers: Number of layers.
        size: Odd size of the kernels.

    Example:
        >>> PixelNet((3, 5, 4), 2, 6, width=8, n_layers=2)(torch.zeros(7, 3, 5, 4), torch.zeros(7, 6, 5, 4)).shape
        torch.Size([7, 2, 3, 5, 4])
    """

    def __init__(
        self, event: tuple[int, ...], n_raw: int, n_context: int, *, width: int = 32, n_layers: int = 3, size: int = 3
    ) -> None:
        super().__init__()
        if len(event) != 3 or size < 3 or size % 2 == 0 or n_layers < 1 or width < 1:
            raise SettingError(
                "A PixelCNN needs images (channels, height, width), an odd `size >= 3`, `n_layers >= 1` and "
                f"`width >= 1`, but got {tuple(event)}, size={size!r}, n_layers={n_layers!r}, width={width!r}."
            )
        self.colours, self.n_raw, self.reach = event[0], n_raw, n_layers * (size // 2)
        width = -(-width // self.colours) * self.colours
        self.layers = nn.ModuleList(
            GatedLayer(self.colours if i == 0 else width, width, n_context, size, self.colours, first=i == 0)
            for i in range(n_layers)
        )
        n_out = self.colours * n_raw
        self.out = nn.Conv2d(width, n_out, 1)
        self.context_out = nn.Conv2d(n_context, n_out, 1, bias=False)
        self.register_buffer("out_mask", grouped(n_out, width, self.colours, strict=False).float()[..., None, None],
                             persistent=False)

    out_mask: Tensor

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Return raw numbers ``(N, n_raw, channels, height, width)``."""
        above = row = x
        for layer in self.layers:
            above, row = layer(above, row, context)
        raw = F.conv2d(torch.relu(row), self.out.weight * self.out_mask, self.out.bias) + self.context_out(context)
        found: Tensor = raw.view(len(raw), self.colours, self.n_raw, *raw.shape[2:]).transpose(1, 2)
        return found
