"""Critics: networks that tell two kinds of codes or rows apart, for objectives with an adversary.

No normalisation anywhere, so that what a critic says of a row depends on that row alone.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn

from ..core.errors import SettingError
from .inputs import Standardise, as_float
from .layers import size_of
from .products import Linear


@final
class CodeCritic(nn.Module):
    """Says of a code ``(*lead, n_latent)`` with one log-odds ``(*lead,)`` which kind it is.

    Args:
        n_latent: Width of the codes.
        width: Units of each hidden layer.
        depth: Hidden layers.

    Example:
        >>> CodeCritic(2, width=8, depth=2)(torch.zeros(5, 2)).shape
        torch.Size([5])
    """

    def __init__(self, n_latent: int, *, width: int, depth: int) -> None:
        super().__init__()
        check_critic(width, depth)
        layers: list[nn.Module] = []
        for i in range(depth):
            layers += [Linear(width if i else n_latent, width), nn.LeakyReLU(0.2)]
        self.net = nn.Sequential(*layers, Linear(width, 1))

    def forward(self, z: Tensor) -> Tensor:
        """Return the log-odds."""
        odds: Tensor = self.net(z).squeeze(-1)
        return odds


@final
class RowCritic(nn.Module):
    """Looks at rows of data: patch by patch at images, as a whole at other rows.

    Args:
        event: Shape of one row.
        shift: Subtracted from rows first.
        scale: Then divided by.
        width: Channels of the first convolution (doubled up to four times), or units of each hidden layer.
        depth: Convolutions that halve the image, while four pixels are left on a side; or hidden layers.

    Example:
        >>> critic = RowCritic((1, 9, 8), torch.zeros(()), torch.ones(()), width=4, depth=3)
        >>> scores, features = critic(torch.zeros(5, 1, 9, 8))
        >>> scores.shape, features.shape
        (torch.Size([5, 6]), torch.Size([5, 48]))
    """

    shift: Tensor
    scale: Tensor

    def __init__(
        self, event: tuple[int, ...], shift: Tensor, scale: Tensor, *, width: int, depth: int
    ) -> None:
        super().__init__()
        check_critic(width, depth)
        self.register_buffer("shift", shift.detach().clone())
        self.register_buffer("scale", scale.detach().clone())
        images = len(event) == 3
        self.features, n_out = _convolutions(event, width, depth) if images else _layers(size_of(event), width, depth)
        self.out: nn.Module = nn.Conv2d(n_out, 1, 1) if images else Linear(n_out, 1)

    def standardised(self, x: Tensor) -> Tensor:
        """Return rows in the critic's own units."""
        return (as_float(x) - self.shift) / self.scale

    def judge(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return a score for each patch ``(B, n_patches)`` and flat features ``(B, n)`` of standardised rows."""
        h = self.features(u)
        return self.out(h).flatten(1), h.flatten(1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return scores and features of rows."""
        return self.judge(self.standardised(x))


def check_critic(width: int, depth: int) -> None:
    """Refuse a critic without units.

    Raises:
        SettingError: Width or depth is below one.
    """
    if width < 1 or depth < 1:
        raise SettingError(
            f"A critic has at least one unit and one layer, but got critic_width={width!r}, critic_depth={depth!r}."
        )


def _convolutions(event: tuple[int, ...], width: int, depth: int) -> tuple[nn.Module, int]:
    channels, height, breadth = event
    layers: list[nn.Module] = []
    n_in, side = channels, min(height, breadth)
    for i in range(depth):
        if i and side < 4:
            break
        n_out = width * min(2**i, 4)
        layers += [nn.Conv2d(n_in, n_out, 3, stride=2, padding=1), nn.LeakyReLU(0.2)]
        n_in, side = n_out, -(-side // 2)
    return nn.Sequential(*layers), n_in


def _layers(n_in: int, width: int, depth: int) -> tuple[nn.Module, int]:
    layers: list[nn.Module] = [nn.Flatten()]
    for i in range(depth):
        layers += [Linear(width if i else n_in, width), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers), width


def units_of(net: nn.Module) -> tuple[Tensor, Tensor]:
    """Return shift and scale by which the first input layer in ``net`` standardises rows; 0 and 1 if it has none."""
    for module in net.modules():
        if isinstance(module, Standardise):
            return module.shift, module.scale
    return torch.zeros(()), torch.ones(())
