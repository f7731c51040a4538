"""Velocity fields: networks from a place, a time and a condition to a velocity, which know their own divergence."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import SettingError
from ..core.random import current_noise
from .conv import group_norm
from .layers import initialise_weights
from .spatial import Grid, SelfAttention, to_map, to_positions

EXACT_UP_TO = 64
"""Latents up to which a divergence is summed over all directions; of more it is estimated along a random one."""
FREQUENCIES = 8


class VelocityNet(nn.Module, ABC):
    """What a velocity field is.

    ``n_latent`` is the width of a place, ``n_condition`` that of a condition; a condition of zeros stands for none.
    """

    n_latent: int
    n_condition: int

    @property
    @abstractmethod
    def like(self) -> Tensor:
        """A parameter, for dtype and device."""

    @abstractmethod
    def forward(self, z: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the velocity, shaped like ``z``; ``t`` broadcasts against its leading axes."""

    @abstractmethod
    def with_divergence(self, z: Tensor, t: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the velocity and its divergence in z, ``(*lead,)``."""


def divergence(field: VelocityNet, z: Tensor, t: Tensor, c: Tensor | None) -> tuple[Tensor, Tensor]:
    r"""Return a velocity and its divergence, by automatic differentiation.

    Up to ``EXACT_UP_TO`` latents it is exact. Of more it is :math:`\epsilon^\top J \epsilon` with random signs
    :math:`\epsilon` (Hutchinson's estimate): right on average, and so is the log density that is made of it.

    Reference:
        FFJORD (Grathwohl et al., 2018). https://arxiv.org/abs/1810.01367
    """
    learns = torch.is_grad_enabled()
    with torch.enable_grad():
        z = z if z.requires_grad else z.detach().requires_grad_()
        v = field(z, t, c)
        n = z.shape[-1]
        if n <= EXACT_UP_TO:
            pieces = (torch.autograd.grad(v[..., i].sum(), z, create_graph=learns, retain_graph=True)[0][..., i]
                      for i in range(n))
            return (v if learns else v.detach()), torch.stack(list(pieces)).sum(0)
        signs = current_noise().normal(tuple(z.shape), row_dim=z.ndim - 2, dtype=z.dtype, device=z.device).sign()
        (along,) = torch.autograd.grad((v * signs).sum(), z, create_graph=learns)
        return (v if learns else v.detach()), (along * signs).sum(-1)


class Guided(VelocityNet):
    r"""Classifier-free guidance: away from the field without a condition.

    .. math:: v = v(z, t) + w \, (v(z, t, c) - v(z, t))

    A weight w of one is the conditional field; more makes draws more typical of the condition, and less varied. What
    is drawn then has no density that anybody trained: the divergence is that of the guided field.

    Reference:
        Classifier-Free Diffusion Guidance (Ho and Salimans, 2022). https://arxiv.org/abs/2207.12598

    Args:
        field: A field that was trained with and without conditions.
        weight: How far, w.
    """

    def __init__(self, field: VelocityNet, weight: float) -> None:
        super().__init__()
        self.field, self.weight = field, weight
        self.n_latent, self.n_condition = field.n_latent, field.n_condition

    @property
    def like(self) -> Tensor:
        """A parameter of the field."""
        return self.field.like

    def forward(self, z: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the guided velocity."""
        if c is None:
            told: Tensor = self.field(z, t, c)
            return told
        free: Tensor = self.field(z, t, torch.zeros_like(c))
        told = self.field(z, t, c)
        return free + self.weight * (told - free)

    def with_divergence(self, z: Tensor, t: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the guided velocity and its divergence."""
        if c is None:
            return self.field.with_divergence(z, t, c)
        free, spread = self.field.with_divergence(z, t, torch.zeros_like(c))
        told, more = self.field.with_divergence(z, t, c)
        return free + self.weight * (told - free), spread + self.weight * (more - spread)


class TimedBlock(nn.Module):
    """Two convolutions, scaled and shifted by time and condition in between, added to what was there.

    Args:
        channels: Channels of the map.
        n_told: Width of what is said of time and condition.
    """

    def __init__(self, channels: int, n_told: int) -> None:
        super().__init__()
        self.first = nn.Sequential(group_norm(channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1))
        self.told = nn.Linear(n_told, 2 * channels)
        self.norm = group_norm(channels)
        self.last = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, h: Tensor, told: Tensor) -> Tensor:
        """Return a map of the same shape."""
        scale, shift = self.told(told)[..., None, None].chunk(2, 1)
        found: Tensor = h + self.last(F.silu(self.norm(self.first(h)) * (1 + scale) + shift))
        return found


@final
class UNetField(VelocityNet):
    """A velocity field over maps: a small U-Net of two sizes with attention at the smaller one.

    A factor on the map itself, by time and condition, is added to what the network says: that alone carries noise to
    any normal of independent channels, and lengths do not have to pass the normalisation of layers.

    Args:
        n_latent: Numbers in a map, one vector after the other for each place.
        grid: Height and width of the map.
        width: Channels at the larger size; twice as many at the smaller one.
        n_condition: Width of the condition.

    Raises:
        SettingError: The numbers do not fill the map.

    Example:
        >>> field = UNetField(3 * 4 * 2, (3, 4), width=8)
        >>> field(torch.randn(5, 7, 24), torch.rand(5, 7)).abs().max()
        tensor(0., grad_fn=<MaxBackward1>)
    """

    def __init__(self, n_latent: int, grid: Grid, *, width: int = 32, n_condition: int = 0) -> None:
        super().__init__()
        self.grid: Grid = (int(grid[0]), int(grid[1]))
        places = self.grid[0] * self.grid[1]
        if places < 1 or n_latent % places or width < 1:
            raise SettingError(
                f"A map of {self.grid} places holds as many vectors, in `width >= 1` channels, but got {n_latent} "
                f"numbers and width={width!r}. Give the grid of the encoder."
            )
        self.n_latent, self.n_condition, n_told = n_latent, n_condition, 4 * width
        self.channels = n_latent // places
        hears = nn.Linear(2 * FREQUENCIES + n_condition, n_told)
        self.told = nn.Sequential(hears, nn.SiLU(), nn.Linear(n_told, n_told))
        self.start = nn.Conv2d(self.channels, width, 3, padding=1)
        self.down = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.up = nn.Conv2d(2 * width, width, 3, padding=1)
        self.join = nn.Conv2d(2 * width, width, 1)
        self.outer = nn.ModuleList(TimedBlock(width, n_told) for _ in range(2))
        self.inner = nn.ModuleList(TimedBlock(2 * width, n_told) for _ in range(2))
        self.attention = SelfAttention(2 * width)
        self.out = nn.Sequential(group_norm(width), nn.SiLU(), nn.Conv2d(width, self.channels, 3, padding=1))
        self.pull = nn.Linear(n_told, self.channels)
        initialise_weights(self, "silu")
        nn.init.zeros_(self.pull.weight)
        for last in (self.out[-1], self.attention.say, *(b.last for b in (*self.outer, *self.inner))):
            assert isinstance(last, nn.Conv2d)
            nn.init.zeros_(last.weight)

    @property
    def like(self) -> Tensor:
        """The first weight."""
        return self.start.weight

    def forward(self, z: Tensor, t: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the velocity, shaped like ``z``."""
        lead = z.shape[:-1]
        places = to_map(z.reshape(-1, self.n_latent).unflatten(1, (-1, self.channels)), self.grid)
        h = self.start(places)
        said = self._said(t, c, lead).to(h.dtype)
        outside: Tensor = self.outer[0](h, said)
        h = self.inner[0](self.down(outside), said)
        h = self.inner[1](self.attention(h), said)
        h = self.join(torch.cat([self.up(F.interpolate(h, size=self.grid, mode="nearest")), outside], 1))
        v = self.out(self.outer[1](h, said)) + self.pull(said)[..., None, None] * places
        return to_positions(v).reshape(z.shape)

    def _said(self, t: Tensor, c: Tensor | None, lead: torch.Size) -> Tensor:
        """Return what is said of time and condition, ``(rows, n_told)``."""
        waves = torch.pi * 2.0 ** torch.arange(FREQUENCIES, device=t.device, dtype=t.dtype) / 8
        angle = t.unsqueeze(-1) * waves
        clock = torch.cat([angle.sin(), angle.cos()], -1).expand(*lead, 2 * FREQUENCIES).reshape(-1, 2 * FREQUENCIES)
        given = clock.new_zeros(len(clock), self.n_condition)
        if self.n_condition and c is not None:
            given = c.to(clock.dtype).expand(*lead, self.n_condition).reshape(-1, self.n_condition)
        said: Tensor = self.told(torch.cat([clock, given], -1))
        return said

    def with_divergence(self, z: Tensor, t: Tensor, c: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the velocity and its divergence; see :func:`divergence`."""
        return divergence(self, z, t, c)
