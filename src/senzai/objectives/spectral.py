"""The bound of codes of waves, with a distance of spectra."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.batch import Batch
from ..core.errors import CombinationError, SettingError
from ..core.examples import example
from ..core.spec import part
from ..core.waves import Stft, stft_distance
from ..distributions.ops import expected
from ..models.base import LatentModel
from ..nn.critics import RowCritic, check_critic
from .base import Objective, Player, Terms
from .code_critics import CRITIC, critic_of
from .quantised import CodeBound, quantised, terms_of
from .regularised import need_weights
from .row_critics import log_odds, real_rows, row_critic
from .warmup import begun, in_steps

PICTURE, FLOOR = Stft(256, 64), 1e-3
"""What a critic sees of waves: logarithms of magnitudes, of this floor at least."""
MIDDLE, SPREAD = -3.0, 2.0
"""Units of those logarithms in which the critic sees them."""


@example(recipe="wave-codec", data="waves")
@part("objective", "spectral_codes")
@final
@dataclass(frozen=True)
class SpectralCodes(Objective):
    r"""The bound of codes plus how far the spectra of a reconstruction are from those of its wave.

    .. math:: L(x) = L_\text{codes}(x) + \lambda D \cdot S(x, \tilde x), \qquad \tilde x = \mathbb{E}[x | k(x)]

    with D samples in a row and S the distance over several resolutions of :func:`senzai.core.waves.stft_distance`:
    spectral convergence and differences of logarithms. The sum is no bound; distortion and rate are watched as they
    are.

    With ``critic_weight`` above 0 a patch critic of spectrograms joins in late,

    .. math:: L(x) - s \frac{\|\nabla_{\tilde x} \lambda D S\|}{\|\nabla_{\tilde x} \overline{C(\tilde x)}\|} \,
        \overline{C(\tilde x)}

    so that it pulls at each reconstruction s times as hard as the distance of spectra does. It is one more player and
    minimises the hinge loss :math:`\overline{(1 - C(x))_+ + (1 + C(\tilde x))_+}`.

    Reference:
        Parallel WaveGAN (Yamamoto et al., 2020), the distance. https://arxiv.org/abs/1910.11480
        SoundStream (Zeghidour et al., 2021), a critic of spectrograms. https://arxiv.org/abs/2107.03312

    Args:
        spectrum_weight: Weight of the distance for each sample, in nats.
        sizes: Windows of the distance, in samples; those longer than a row are left out.
        prior_lr: Learning rate of the prior, where it is not the run's.
        critic_weight: How hard a critic of spectrograms pulls, as a share of the distance; 0 for none.
        start: First step of the critic; below 1 a share of the training.
        critic_width: Channels of its first convolution.
        critic_depth: Its convolutions that halve the spectrogram.
        critic_lr: Its learning rate.
    """

    is_bound: ClassVar[bool] = False
    spectrum_weight: float = 1.0
    sizes: tuple[int, ...] = (64, 256, 1024)
    prior_lr: float | None = None
    critic_weight: float = 0.0
    start: float = 0.5
    critic_width: int = 16
    critic_depth: int = 3
    critic_lr: float = 1e-4

    def __post_init__(self) -> None:
        CodeBound(self.prior_lr)
        need_weights(critic_weight=self.critic_weight, start=self.start, critic_lr=self.critic_lr)
        check_critic(self.critic_width, self.critic_depth)
        if not self.spectrum_weight >= 0 or not self.sizes or min(self.sizes) < 4:
            raise SettingError(
                "`spectrum_weight >= 0` and windows of 4 samples at least must hold, but got "
                f"spectrum_weight={self.spectrum_weight!r}, sizes={self.sizes!r}. Use 0 to switch it off."
            )

    def check(self, model: LatentModel) -> None:
        """Refuse a model without codes, and rows that are no waves."""
        event = tuple(getattr(quantised(model).likelihood, "event", ()))
        if len(event) != 2:
            raise CombinationError(
                f"A distance of spectra needs waves (channels, samples), but rows have the shape {event}. Use "
                "objective=codes."
            )

    def equip(self, model: LatentModel) -> None:
        """Add the critic, if there is one."""
        if self.critic_weight:
            channels, samples = quantised(model).likelihood.event
            event = tuple(picture(torch.zeros(1, channels, samples)).shape[1:])
            units = torch.tensor(MIDDLE), torch.tensor(SPREAD)
            model.aux[CRITIC] = RowCritic(event, *units, width=self.critic_width, depth=self.critic_depth)

    def over(self, total_steps: int) -> SpectralCodes:
        """Return the objective with its start in steps."""
        return replace(self, start=in_steps(self.start, total_steps))

    def plays(self, step: int) -> bool:
        """Whether the critic has joined in."""
        return self.critic_weight > 0 and begun(self.start, step)

    def __call__(self, model: LatentModel, batch: Batch, step: int) -> Terms:
        """Return the terms of a batch."""
        coded = quantised(model)
        seen = coded.infer(batch)
        terms, made = terms_of(coded, seen), expected(seen.likelihood)[0]
        real = real_rows(batch, made)
        apart = self.apart(real, made)
        parts = {"spectrum": self.spectrum_weight * prod(batch.tensor.shape[1:]) * apart}
        if self.critic_weight:
            parts["sharp"] = self.sharp(model, real, made, step)
        loss = terms.loss + torch.stack(list(parts.values())).sum(0)
        return Terms(loss, {**terms.parts, **parts}, {**terms.watch, "stft_distance": apart.detach()})

    def apart(self, real: Tensor, made: Tensor) -> Tensor:
        """Return the distance of spectra, ``(B,)``."""
        return stft_distance(real, made, self.sizes).mean(-1)

    def sharp(self, model: LatentModel, real: Tensor, made: Tensor, step: int) -> Tensor:
        """Return the critic's term, ``(B,)``; zero before it has joined in."""
        if not self.plays(step):
            return made.new_zeros(len(made))
        critic = row_critic(model)
        return -self.pull(critic, real, made) * log_odds(critic, picture(made))

    def pull(self, critic: RowCritic, real: Tensor, made: Tensor) -> Tensor:
        """Return the weight of the critic for each row, ``(B,)``; no gradient goes through it."""
        with torch.enable_grad():  # validation runs without gradients
            x = made.detach().requires_grad_()
            weight = self.spectrum_weight * prod(x.shape[1:])
            own, its = (
                torch.autograd.grad(v.sum(), x)[0].square().flatten(1).sum(1).sqrt()
                for v in (weight * self.apart(real.detach(), x), log_odds(critic, picture(x)))
            )
        return self.critic_weight * own / its.clamp_min(1e-12)

    def critic_loss(self, model: LatentModel, batch: Batch, step: int) -> Terms:
        """Return the critic's hinge loss, ``(B,)``."""
        critic = row_critic(model)
        with torch.no_grad():
            made = expected(quantised(model).infer(batch).likelihood)[0]
        parts = {
            "yes": F.relu(1 - critic(picture(real_rows(batch, made)))[0]).mean(-1),
            "no": F.relu(1 + critic(picture(made))[0]).mean(-1),
        }
        return Terms(parts["yes"] + parts["no"], parts, {})

    def players(self, model: LatentModel) -> tuple[Player, ...]:
        """Return the players of the codes, the first with this loss."""
        first, *others = CodeBound(self.prior_lr).players(model)
        own = Player(first.name, first.parameters, self, mixes_rows=first.mixes_rows)
        if not self.critic_weight:
            return (own, *others)
        theirs, lr = tuple(critic_of(model).parameters()), self.critic_lr or None
        critic = Player(CRITIC, theirs, self.critic_loss, mixes_rows=first.mixes_rows, lr=lr, when=self.plays)
        return (own, *others, critic)

    @property
    def comparable(self) -> bool:
        """Scores of a critic that learns cannot be compared from step to step."""
        return not self.critic_weight

    @property
    def settled_after(self) -> int:
        """When the critic has joined in."""
        return int(self.start) if self.critic_weight else 0


def picture(x: Tensor) -> Tensor:
    """Return the logarithm of magnitudes of waves ``(B, channels, samples)``, ``(B, channels, bins, frames)``.

    Example:
        >>> picture(torch.zeros(2, 1, 640)).shape
        torch.Size([2, 1, 129, 11])
    """
    return (PICTURE.magnitude(x) + FLOOR).log()

