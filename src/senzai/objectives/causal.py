"""Objectives of models that know causes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

from ..core.batch import Batch
from ..core.examples import example
from ..core.spec import part
from ..models.structural import Structural
from .base import Objective, Terms


@part("objective", "mechanisms")
@example(recipe="causal-table", data="mixed", settings={"graph": "x0>x1;x1>x2;x0>x4"})
@final
@dataclass(frozen=True)
class MechanismLikelihood(Objective):
    r"""Minus the log density of each column given its causes, :math:`L(x) = -\sum_i \log p_i(x_i \mid x_{pa(i)})`.

    Nats a row; what is missing, or has a missing cause, adds nothing.
    """

    trains: ClassVar[type[Any]] = Structural
    is_bound: ClassVar[bool] = False

    def __call__(self, model: Structural, batch: Batch, step: int) -> Terms:
        """Return the terms of a batch."""
        nll = -model.score(batch)
        return Terms(nll, {"nll": nll}, {"nll": nll.detach()})

    def headline(self, means: Mapping[str, float]) -> tuple[str, float]:
        """Return the mean log density."""
        return "log_likelihood", -means["nll"]
