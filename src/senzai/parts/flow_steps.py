"""Masked networks as steps of a flow: gated autoregressive ones of our own, spline couplings from zuko."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..distributions.flow import Step
from ..distributions.numeric import broadcast_shapes
from ..nn.flows import flows, zuko

CLOSED = 5.0
"""Minus the logit from which gates hardly close any further: none is below exp(-6)."""


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
        """Return shift and gate logit, both of the shape of ``z``; the logit levels out at one below ``-CLOSED``.

        A gate that closes altogether cannot be undone: the density of points that were not drawn would be no number.
        """
        lead = broadcast_shapes(z.shape[:-1], context.shape[:-1])
        inputs = torch.cat([z.expand(*lead, z.shape[-1]), context.expand(*lead, context.shape[-1])], -1)
        shift, gate = self.net(inputs).chunk(2, -1)
        logit = gate + self.openness
        return shift, logit.clamp_min(-CLOSED) - F.softsign((-CLOSED - logit).clamp_min(0))


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
        shift, logit = self._net(z)
        gate = torch.sigmoid(logit)
        return self._turned(gate * z + (1 - gate) * shift), F.logsigmoid(logit).sum(-1)

    def inverse(self, y: Tensor) -> Tensor:
        """One pass for each entry, in double precision: rounding is stretched by every gate that nearly closes.

        Entries that are not known yet are zero, so that none can overflow into those before it.
        """
        lead = broadcast_shapes(y.shape[:-1], self.context.shape[:-1])
        target = self._turned(y).double().expand(*lead, -1)
        known: list[Tensor] = []
        for i in range(y.shape[-1]):
            z = torch.cat([*known, torch.zeros_like(target[..., i:])], -1)
            shift, logit = (v[..., i : i + 1] for v in self._net(z))
            known.append((target[..., i : i + 1] - torch.sigmoid(-logit) * shift) / torch.sigmoid(logit))
        return self._turned(torch.cat(known, -1))

    def _net(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Call the network in the precision of ``z``."""
        out: tuple[Tensor, Tensor]
        if z.dtype is self.context.dtype:
            out = self.net(z, self.context)
        else:
            own = self.net.state_dict(keep_vars=True).items()
            cast = {name: v.to(z.dtype) if v.is_floating_point() else v for name, v in own}
            out = torch.func.functional_call(self.net, cast, (z, self.context.to(z.dtype)))
        return out


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
