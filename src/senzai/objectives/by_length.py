"""The bound whose rate counts as much as a row has entries, minimised by encoder and decoder in turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor

from ..core.batch import Batch
from ..core.errors import CombinationError, SettingError
from ..core.spec import part
from ..models.base import LatentModel
from ..models.flat import Flat
from ..models.modes import without_dropout
from .base import Objective, Player, Terms
from .regularised import distortion_and_rate, need_counts, need_weights, raw, total
from .warmup import Constant, Warmup


@part("objective", "by_length")
@final
@dataclass(frozen=True, kw_only=True)
class ByLength(Objective):
    r"""Distortion plus the rate times the number of entries of a row that are not zero.

    .. math:: L(x) = \mathbb{E}_{q(z|x)}[-\log p(x|z)] + \gamma \, w_t \, n(x) \, \mathrm{KL}(q(z|x) \,\|\, p(z)),
        \qquad n(x) = \#\{i : x_i \neq 0\}

    The distortion of a row grows with what is in it, and with it what the rate has to stand against. Encoder and
    decoder play in turns: in every period of steps first the encoder, with its dropout, then the decoder, for which the
    encoder drops nothing. Losses of different steps are not compared, since the prior may have moved.

    Reference:
        RecVAE (Shenbin et al., 2020). https://arxiv.org/abs/1912.11160

    Args:
        gamma: Weight of the rate per entry.
        warmup: How that weight rises over optimisation steps.
        period: Steps of one turn of both.
        encoder_share: Share of a period that the encoder plays.
    """

    gamma: float = 0.005
    warmup: Warmup = Constant()  # noqa: RUF009 - frozen and without state
    period: int = 20
    encoder_share: float = 0.75

    def __post_init__(self) -> None:
        need_weights(gamma=self.gamma)
        need_counts(period=self.period - 1)
        if not 0 < self.encoder_share < 1:
            raise SettingError(f"`0 < encoder_share < 1` must hold, but got encoder_share={self.encoder_share!r}.")

    def __call__(self, model: LatentModel, batch: Batch, step: int) -> Terms:
        """Return the terms of a batch."""
        seen = model.infer(batch)
        watch = distortion_and_rate(seen)
        weight = self.gamma * self.warmup.factor(step) * entries_of(batch).to(watch["rate"].dtype)
        parts = {"distortion": watch["distortion"], "rate": weight * watch["rate"], **seen.extras}
        return Terms(total(parts), parts, raw(watch))

    def decoding(self, model: LatentModel, batch: Batch, step: int) -> Terms:
        """Return the terms of a batch of which the encoder drops nothing."""
        with without_dropout(one_group(model).posterior):
            return self(model, batch, step)

    def turn(self, step: int) -> bool:
        """Whether it is the encoder's turn."""
        return step % self.period < max(1, min(self.period - 1, round(self.encoder_share * self.period)))

    def other_turn(self, step: int) -> bool:
        """Whether it is the decoder's turn."""
        return not self.turn(step)

    def players(self, model: LatentModel) -> tuple[Player, ...]:
        """The encoder, then everything else."""
        mine = {id(p) for p in model.encoder_parameters()}
        own = model.own_parameters()
        encoder, others = (tuple(p for p in own if (id(p) in mine) == side) for side in (True, False))
        mixes = self.mixes_rows(model)
        return (
            Player("encoder", encoder, self, mixes_rows=mixes, when=self.turn),
            Player("decoder", others, self.decoding, mixes_rows=mixes, when=self.other_turn),
        )

    def check(self, model: LatentModel) -> None:
        """Refuse a model without one posterior that plays against the rest."""
        one_group(model)

    @property
    def comparable(self) -> bool:
        """What the prior is changes from step to step."""
        return False

    @property
    def settled_after(self) -> int:
        """End of the warm-up."""
        return self.warmup.end


def one_group(model: LatentModel) -> Flat:
    """Return a model with one group of latents.

    Raises:
        CombinationError: It has others.
    """
    if not isinstance(model, Flat):
        raise CombinationError(
            f"Encoder and decoder play in turns, but {type(model).__name__} has no posterior of its own. "
            "Use a recipe with one group of latents."
        )
    return model


def entries_of(batch: Batch) -> Tensor:
    """Return how many entries of each row are there and not zero, ``(B,)``."""
    x, seen = batch.tensor, batch.observed
    there = (x != 0) if seen is None else (x != 0) & seen
    return there.flatten(1).sum(1)
