"""The bound of codes of waves, with a distance of spectra."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar, final

from ..core.batch import Batch
from ..core.errors import CombinationError, SettingError
from ..core.examples import example
from ..core.spec import part
from ..core.waves import stft_distance
from ..distributions.ops import expected
from ..models.base import LatentModel
from .base import Objective, Player, Terms
from .quantised import CodeBound, quantised, terms_of
from .row_critics import real_rows


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

    Reference:
        Parallel WaveGAN (Yamamoto et al., 2020), the distance. https://arxiv.org/abs/1910.11480

    Args:
        spectrum_weight: Weight of the distance for each sample, in nats.
        sizes: Windows of the distance, in samples; those longer than a row are left out.
        prior_lr: Learning rate of the prior, where it is not the run's.
    """

    is_bound: ClassVar[bool] = False
    spectrum_weight: float = 1.0
    sizes: tuple[int, ...] = (64, 256, 1024)
    prior_lr: float | None = None

    def __post_init__(self) -> None:
        CodeBound(self.prior_lr)
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

    def __call__(self, model: LatentModel, batch: Batch, step: int) -> Terms:
        """Return the terms of a batch."""
        coded = quantised(model)
        seen = coded.infer(batch)
        terms, made = terms_of(coded, seen), expected(seen.likelihood)[0]
        apart = stft_distance(real_rows(batch, made), made, self.sizes).mean(-1)
        weighted = self.spectrum_weight * prod(batch.tensor.shape[1:]) * apart
        return Terms(
            terms.loss + weighted, {**terms.parts, "spectrum": weighted},
            {**terms.watch, "stft_distance": apart.detach()},
        )

    def players(self, model: LatentModel) -> tuple[Player, ...]:
        """Return the players of the codes, the first with this loss."""
        first, *others = CodeBound(self.prior_lr).players(model)
        return (Player(first.name, first.parameters, self, mixes_rows=first.mixes_rows), *others)

