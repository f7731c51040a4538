"""The bound with an encoder that is trained more often than the decoder at first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import final

from torch import Tensor

from ..core.batch import Batch
from ..core.errors import SettingError
from ..core.spec import part
from ..models.base import Inference, LatentModel
from .base import Player
from .regularised import Regularised, need_counts, need_weights
from .warmup import in_steps


@part("objective", "aggressive")
@final
@dataclass(frozen=True, kw_only=True)
class Aggressive(Regularised):
    r"""The weighted bound; until some step the decoder moves only once for every few steps of the encoder.

    Early in training q(z | x) lags behind the true posterior, and the decoder learns to do without the code. Encoder
    and decoder are two players with one loss; the decoder sits out all but every ``inner``-th step at first. (The paper
    stops inner loops when the loss no longer falls and the whole phase when the mutual information no longer rises;
    here both have a fixed length, so that a run can be repeated.)

    Reference:
        Lagging Inference Networks and Posterior Collapse in Variational Autoencoders (He et al., 2019).
        https://arxiv.org/abs/1901.05534

    Args:
        beta: Weight of the rate.
        warmup: How that weight rises.
        inner: Steps of the encoder for one of the decoder.
        until: First step at which both move always; below 1 a share of the training.
    """

    inner: int = 10
    until: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        need_counts(inner=self.inner)
        need_weights(until=self.until)

    def further(self, model: LatentModel, batch: Batch, seen: Inference, step: int) -> Mapping[str, Tensor]:
        """Nothing."""
        return {}

    def over(self, total_steps: int) -> Aggressive:
        """Return the objective with the end of the first phase in steps."""
        return replace(self, warmup=self.warmup.over(total_steps), until=in_steps(self.until, total_steps))

    def decoder_plays(self, step: int) -> bool:
        """Whether the decoder moves at a step.

        Raises:
            SettingError: The first phase is a share and the length of the training is not known.
        """
        if 0 < self.until < 1:
            raise SettingError(
                f"`until={self.until!r}` is a share of the training, whose length is not known yet. Train, or call "
                "`objective.over(steps)`."
            )
        return step >= self.until or (step + 1) % self.inner == 0

    def players(self, model: LatentModel) -> tuple[Player, ...]:
        """The encoder at every step, then the decoder and everything else at its own."""
        encoder = {id(p) for p in model.encoder_parameters()}
        own, mixes = model.own_parameters(), self.mixes_rows(model)
        return (
            Player("encoder", tuple(p for p in own if id(p) in encoder), self, mixes),
            Player("decoder", tuple(p for p in own if id(p) not in encoder), self, mixes, when=self.decoder_plays),
        )

    @property
    def settled_after(self) -> int:
        """End of the warm-up and of the first phase."""
        return max(self.warmup.end, int(self.until))
