"""What objectives with further terms have in common: distortion, weighted rate, and terms of their own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ..core.batch import Batch
from ..core.errors import SettingError
from ..models.base import Inference, LatentModel
from .base import Objective, Terms
from .warmup import Constant, Warmup


@dataclass(frozen=True, kw_only=True)
class Regularised(Objective):
    r"""Distortion plus weighted rate plus terms of the subclass, in nats per row.

    .. math:: L(x) = \mathbb{E}_q[-\log p(x|z)] + \beta \, w_t \, \mathrm{KL}(q \| p) + \sum_j T_j(x)

    Args:
        beta: Weight of the rate.
        warmup: How that weight rises over optimisation steps.
    """

    beta: float = 1.0
    warmup: Warmup = Constant()  # noqa: RUF009 - frozen and without state

    def __post_init__(self) -> None:
        need_weights(beta=self.beta)

    @abstractmethod
    def further(self, model: LatentModel, batch: Batch, seen: Inference, step: int) -> Mapping[str, Tensor]:
        """Return the weighted terms besides distortion and rate, ``(B,)`` each."""

    def __call__(self, model: LatentModel, batch: Batch, step: int) -> Terms:
        """Return the terms of a batch."""
        seen = model.infer(batch)
        return bound_and_more(seen, self.beta * self.warmup.factor(step), self.further(model, batch, seen, step))

    @property
    def settled_after(self) -> int:
        """End of the warm-up."""
        return self.warmup.end


def bound_and_more(seen: Inference, weight: float, more: Mapping[str, Tensor]) -> Terms:
    """Return distortion, the rate times ``weight``, and further terms."""
    watch = distortion_and_rate(seen)
    parts = {"distortion": watch["distortion"], "rate": weight * watch["rate"], **more, **seen.extras}
    return Terms(total(parts), parts, raw(watch))


def distortion_and_rate(seen: Inference) -> dict[str, Tensor]:
    """Return the two parts of the bound, ``(B,)`` each; the rate is closed where a closed form is known."""
    rates = {g.name: seen.average(g.rate()) for g in seen.groups}
    return {"distortion": seen.average(-seen.log_lik), "rate": total(rates)}


def raw(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what is only watched, without gradient."""
    return {k: v.detach() for k, v in values.items()}


def total(values: Mapping[str, Tensor]) -> Tensor:
    """Return the sum of named terms."""
    first, *rest = values.values()
    for v in rest:
        first = first + v
    return first


def need_weights(**weights: float) -> None:
    """Refuse weights below zero, NaN included.

    Raises:
        SettingError: One is.
    """
    wrong = {k: v for k, v in weights.items() if not v >= 0}
    if wrong:
        rule = " and ".join(f"`{k} >= 0`" for k in wrong)
        came = ", ".join(f"{k}={v!r}" for k, v in wrong.items())
        raise SettingError(f"{rule} must hold, but got {came}. A weight of 0 switches a term off.")


def need_counts(**counts: int) -> None:
    """Refuse counts below one.

    Raises:
        SettingError: One is.
    """
    wrong = {k: v for k, v in counts.items() if v < 1}
    if wrong:
        rule = " and ".join(f"`{k} >= 1`" for k in wrong)
        raise SettingError(f"{rule} must hold, but got {', '.join(f'{k}={v!r}' for k, v in wrong.items())}.")
