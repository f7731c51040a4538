"""Masked networks as steps of a flow: gated autoregressive ones of our own, spline couplings from zuko."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..dist.flow import Step
from ..dist.numeric import broadcast_shapes
from ..nn.flows import flows, zuko


@final
class GatedAutoregressive(nn.Module):
    """A masked network: from latents and context to a shift and a gate of each entry, from the entries before it.

    Args:
        n_latent: Width of the latent code.
        n_context: Width of the context, which every entry sees.
        hidden: Widths of the hidden layers.
        openness: Added to the gate's logits, so that training starts near the identity.
    """

    def __init__(self, n_latent: int, n_context: int, hidden: tuple[int, ...], openness: float = 2.0) -> None:
        super().__init__()
        self.openness = openness
        before = torch.ones(n_latent, n_latent, dtype=torch.bool).tril(-1)
        seen = torch.cat([before, torch.ones(n_latent, n_context, dtype=torch.bool)], 1)
        self.net = zuko("nn").MaskedMLP(seen.repeat(2, 1), hidden, activation=nn.ELU)

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return shift and gate logit, both of the shape of ``z``."""
        lead = broadcast_shapes(z.shape[:-1], context.shape[:-1])
        inputs = torch.cat([z.expand(*lead, z.shape[-1]), context.expand(*lead, context.shape[-1])], -1)
        shift, gate = self.net(inputs).chunk(2, -1)
        return shift, gate + self.openness


@final
@dataclass(frozen=True, eq=False)
class GatedStep(Step):
    r"""An inverse autoregressive step: :math:`y_i = g_i z_i + (1 - g_i) m_i`, with both from :math:`z_{<i}`.

    .. math:: \log\det = \sum_i \log g_i, \qquad g_i = \mathrm{sigmoid}(s_i(z_{<i}, h)) \in (0, 1)

    Reference:
        Improved Variational Inference with Inverse Autoregressive Flow (Kingma et al., 2016), equations 13 to 15.
        https://arxiv.org/abs/1606.04934

    Args:
        net: From latents and context to shift and gate.
        context: h, ``(B, n_context)``.
        backwards: Whether the last entry comes first.
    """

    net: nn.Module
    context: Tensor
    backwards: bool = False

    def _turned(self, z: Tensor) -> Tensor:
        return z.flip(-1) if self.backwards else z

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """One pass."""
        z = self._turned(z)
        shift, logit = self.net(z, self.context)
        gate = torch.sigmoid(logit)
        return self._turned(gate * z + (1 - gate) * shift), F.logsigmoid(logit).sum(-1)

    def inverse(self, y: Tensor) -> Tensor:
        """One pass for each entry; after pass i the first i entries are right."""
        y = self._turned(y)
        z = torch.zeros_like(y)
        for _ in range(y.shape[-1]):
            shift, logit = self.net(z, self.context)
            gate = torch.sigmoid(logit)
            z = (y - (1 - gate) * shift) / gate
        return self._turned(z)


@final
@dataclass(frozen=True, eq=False)
class ZukoStep(Step):
    """A transformation of zuko as a step.

    Args:
        transform: What zuko's lazy transformation gives for the context of the rows.
    """

    transform: Any

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Apply it."""
        y, log_det = self.transform.call_and_ladj(z)
        return y, log_det

    def inverse(self, y: Tensor) -> Tensor:
        """Undo it."""
        z: Tensor = self.transform.inv(y)
        return z


def spline_coupling(n_latent: int, n_context: int, hidden: tuple[int, ...], n_bins: int, turn: int) -> nn.Module:
    """Return a lazy coupling of rational-quadratic splines; every second one moves the other half first."""
    order = torch.arange(n_latent)
    coupling: nn.Module = flows().MaskedAutoregressiveTransform(
        features=n_latent, context=n_context, passes=2, order=order if turn % 2 == 0 else order.flip(0),
        univariate=partial(zuko("transforms").MonotonicRQSTransform, slope=1e-3),
        shapes=[(n_bins,), (n_bins,), (n_bins - 1,)], hidden_features=hidden,
    )
    return coupling
