"""A posterior that starts at the encoder's output and is refined by a few gradient steps on the bound of each row."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor
from torch.distributions import Distribution

from ...core.batch import Batch
from ...core.errors import SettingError
from ...core.random import current_noise
from ...core.spec import part
from ...distributions.continuous import NormalFamily
from ...nn.inputs import Encoder
from ...nn.layers import linear_out
from ...nn.precision import network_precision
from ..base import AnyPosterior, Joint, LatentDraws, check_width, diagonal, full_precision, latent_draws
from .gradients import values_and_slopes

_LARGEST = 3.0  # step of a mean (in standard deviations) or of a log scale, at most, also where the bound is steep
_SHORTER = 0.25  # of the steps of a row after one that would have led down


@part("posterior", "semi_amortised")
@final
class SemiAmortisedPosterior(AnyPosterior):
    r"""The encoder's diagonal normal, refined row by row by gradient steps on the evidence lower bound.

    .. math:: \mu \leftarrow \mu + \eta\, \sigma^2 \nabla_\mu L, \qquad
        \log\sigma \leftarrow \log\sigma + \tfrac\eta2 \nabla_{\log\sigma} L, \qquad
        L = \mathbb E_{\epsilon}[\log p(x, \mu + \sigma \epsilon)] + \textstyle\sum_d \log\sigma_d

    which are steps along the natural gradient: they do not depend on how the mean and scale are written. The
    expectation is over pairs of opposite draws that belong to the row. A step is taken only where it does not lower
    :math:`L` at its own draws; the next ones of that row are a quarter as long: a step is right where the scale fits
    the curvature, and a decoder that has learned nothing yet is steeper than that. The refined distribution is a
    normal with a density like any other, so that rate, bounds and estimates are those of what was refined.

    Reference:
        Semi-Amortized Variational Autoencoders (Kim et al., 2018). https://arxiv.org/abs/1802.02550

    Args:
        encoder: Network from a batch to features.
        n_latent: Width of the latent code.
        n_steps: Steps in evaluation.
        train_steps: Steps in training; by default as many. 0 trains the encoder as usual and refines afterwards.
        rate: Step size, eta, in (0, 1].
        n_draws: Draws per step and row, an even number.
        differentiable: Whether training differentiates through the steps, as in the paper; else they count as constants
            added to what the encoder said: half the time, and no gradients that grow from step to step.

    Example:
        >>> from senzai.nn import MLPEncoder
        >>> posterior = SemiAmortisedPosterior(MLPEncoder((5,), (8,)), 2, n_steps=20, n_draws=64)
        >>> q = posterior.refined(posterior(Batch(torch.zeros(3, 5))), lambda z: -2.0 * (z - 1).square().sum(-1))
        >>> bool((q.mean - 1).abs().max() < 0.1), bool((q.stddev - 0.5).abs().max() < 0.1)
        (True, True)
    """

    needs_joint = True

    def __init__(
        self, encoder: Encoder, n_latent: int, *, n_steps: int = 4, train_steps: int | None = None, rate: float = 0.3,
        n_draws: int = 4, differentiable: bool = False,
    ) -> None:
        super().__init__()
        if n_steps < 0 or (train_steps or 0) < 0 or not 0 < rate <= 1 or n_draws < 2 or n_draws % 2:
            raise SettingError(
                "`n_steps >= 0`, `train_steps >= 0`, `0 < rate <= 1` and an even `n_draws >= 2` must hold, but got "
                f"n_steps={n_steps!r}, train_steps={train_steps!r}, rate={rate!r}, n_draws={n_draws!r}."
            )
        self.event = (check_width(n_latent),)
        self.encoder, self.n_steps, self.rate, self.n_draws = encoder, n_steps, rate, n_draws
        self.train_steps = n_steps if train_steps is None else train_steps
        self.differentiable = differentiable
        self.head = linear_out(encoder.n_features, 2 * n_latent)

    def forward(self, batch: Batch) -> Distribution:
        """Return what the encoder says, before any refinement."""
        with network_precision(self.head.weight.device):
            raw: Tensor = self.head(self.encoder(batch))
        return NormalFamily()(full_precision(raw).unflatten(-1, (2, *self.event)), self.event)

    def example(self) -> Distribution | None:
        """Return a diagonal normal."""
        zero = torch.zeros(1, *self.event)
        return diagonal(zero, torch.ones_like(zero))

    def propose(self, batch: Batch, joint: Joint, n_samples: int = 1, *, z: Tensor | None = None) -> LatentDraws:
        """Refine, then draw or score."""
        return latent_draws(self.refined(self(batch), joint), n_samples, z)

    def refined(self, start: Distribution, joint: Joint) -> Distribution:
        """Return the diagonal normal after the steps."""
        loc, log_scale = start.mean, start.stddev.log()
        kept = torch.is_grad_enabled() and self.differentiable
        with torch.set_grad_enabled(kept):
            found = (loc, log_scale) if kept else (loc.detach(), log_scale.detach())
            found = refine(
                *found, joint, steps=self.train_steps if self.training else self.n_steps, rate=self.rate,
                n_draws=self.n_draws,
            )
        if not kept:
            found = (loc + (found[0] - loc).detach(), log_scale + (found[1] - log_scale).detach())
        return diagonal(found[0], found[1].exp())


def refine(
    loc: Tensor, log_scale: Tensor, joint: Joint, *, steps: int, rate: float, n_draws: int
) -> tuple[Tensor, Tensor]:
    """Return mean and log scale of diagonal normals after steps along the natural gradient of the bound of each row.

    Args:
        loc: Means, ``(B, n)``.
        log_scale: Log scales.
        joint: Log p(x, z) of the rows.
        steps: How many.
        rate: Length of a step, in (0, 1].
        n_draws: Draws per step and row, an even number.
    """
    trust = torch.ones_like(loc[..., :1])
    for _ in range(steps):
        loc, log_scale, trust = _step(loc, log_scale, trust, joint, rate, n_draws)
    return loc, log_scale


def _step(
    loc: Tensor, log_scale: Tensor, trust: Tensor, joint: Joint, rate: float, n_draws: int
) -> tuple[Tensor, Tensor, Tensor]:
    shape = (n_draws // 2, *loc.shape)
    half = current_noise().per_row(shape, dtype=loc.dtype, device=loc.device)
    noise = torch.cat([half, -half])

    def bound(loc: Tensor, log_scale: Tensor) -> Tensor:
        return joint(loc + log_scale.exp() * noise).mean(0) + log_scale.sum(-1)

    value, up, wide = values_and_slopes(bound, loc, log_scale)
    scale = log_scale.exp()
    there = loc + scale * trust * (rate * scale * up).clamp(-_LARGEST, _LARGEST)
    wider = log_scale + trust * (0.5 * rate * wide).clamp(-_LARGEST, _LARGEST)
    with torch.no_grad():
        better = (bound(there, wider) >= value).unsqueeze(-1)
    return (
        torch.where(better, there, loc), torch.where(better, wider, log_scale),
        torch.where(better, trust, _SHORTER * trust),
    )
