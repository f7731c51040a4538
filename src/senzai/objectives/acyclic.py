"""Looking for a graph of causes: a likelihood, few arrows, and a penalty for going in circles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, final

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.errors import CombinationError, SettingError
from ..core.examples import example
from ..core.spec import part
from ..models.structural import Structural
from .base import Objective, Terms


def trace_exponential(weight: Tensor) -> Tensor:
    r"""Return how far weighted arrows go in circles, zero where there is none: NOTEARS.

    .. math:: h(W) = \mathrm{tr}\, e^{W \circ W} - d

    Reference:
        DAGs with NO TEARS (Zheng et al., 2018). https://arxiv.org/abs/1803.01422

    Args:
        weight: Weight of each arrow, ``(d, d)``.

    Example:
        >>> round(float(trace_exponential(torch.tensor([[0.0, 5.0], [0.0, 0.0]]))), 4)
        0.0
        >>> round(float(trace_exponential(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))), 4)  # 2 cosh(1) - 2
        1.0862
    """
    found: Tensor = torch.linalg.matrix_exp(weight * weight).trace() - len(weight)
    return found


def log_determinant(weight: Tensor, s: float = 1.0) -> Tensor:
    r"""Return how far weighted arrows go in circles, zero where there is none: DAGMA.

    .. math:: h_s(W) = -\log\det(s I - W \circ W) + d \log s

    It is infinite where the spectral radius of :math:`W \circ W` reaches s.

    Reference:
        DAGMA: Learning DAGs via M-matrices and a Log-Determinant Acyclicity Characterization (Bello et al., 2022).
        https://arxiv.org/abs/2209.08037

    Example:
        >>> round(float(log_determinant(torch.tensor([[0.0, 0.5], [0.5, 0.0]]))), 4)  # -log(1 - 1/16)
        0.0645
    """
    d = len(weight)
    sign, value = torch.linalg.slogdet(s * torch.eye(d, dtype=weight.dtype, device=weight.device) - weight * weight)
    inside = -value + d * torch.log(torch.tensor(s, dtype=weight.dtype))
    return torch.where(sign > 0, inside, torch.full_like(inside, torch.inf))


PENALTIES: Mapping[str, Callable[[Tensor], Tensor]] = {"notears": trace_exponential, "dagma": log_determinant}


@part("objective", "graph_search")
@example(recipe="causal-table", data="mixed", settings={"graph": "learned", "search": "gradients", "settle": 0.5})
@final
@dataclass(frozen=True)
class GraphSearch(Objective):
    r"""Minus the log density of columns given all others that they see, with few arrows and no circles.

    .. math:: L(x) = -\sum_i \log p_i(x_i \mid x_{-i}) + \lambda \sum_{ij} w_{ij} + \rho_t\, h(w)

    with :math:`w_{ij}` the norm of all first weights from column i to j. :math:`\rho_t` rises from one to
    ``largest`` until a share ``settle`` of the training is over; then arrows below ``weakest`` are dropped, the others
    are taken from the strongest down as long as they make no circle, and the mechanisms of that graph are fitted on.

    A learned graph is a guess: observations allow several graphs, and of standardised columns no direction is better
    for its scale.

    Reference:
        DAGs with NO TEARS (Zheng et al., 2018). https://arxiv.org/abs/1803.01422
        Learning Sparse Nonparametric DAGs (Zheng et al., 2020). https://arxiv.org/abs/1909.13189
        Beware of the Simulated DAG! (Reisach et al., 2021), on scales. https://arxiv.org/abs/2102.13647

    Args:
        sparse: Weight of the arrows, :math:`\lambda`, nats a row.
        largest: Weight of circles at the end of the search.
        weakest: Strength below which an arrow is dropped.
        settle: Share of the training after which the graph stays.
        penalty: ``notears`` or ``dagma``.
        settle_step: The same as a step, once the length of the training is known.
    """

    trains: ClassVar[type[Any]] = Structural
    is_bound: ClassVar[bool] = False
    sparse: float = 0.1
    largest: float = 1e4
    weakest: float = 0.05
    settle: float = 0.6
    penalty: Literal["notears", "dagma"] = "notears"
    settle_step: int = 1000

    def __post_init__(self) -> None:
        if not (self.sparse >= 0 and self.largest >= 1 and self.weakest >= 0 and 0 < self.settle < 1):
            raise SettingError(
                "`sparse >= 0`, `largest >= 1`, `weakest >= 0` and `0 < settle < 1` must hold, but got "
                f"{self.sparse!r}, {self.largest!r}, {self.weakest!r} and {self.settle!r}."
            )
        if self.penalty not in PENALTIES:
            raise SettingError(f"`penalty` is one of {', '.join(PENALTIES)}, but got {self.penalty!r}.")

    def check(self, model: Structural) -> None:
        """Refuse a graph that is not looked for in training."""
        if not model.is_learned or model.looks_first:
            raise CombinationError(
                "A graph that was given, or is found before training, is not looked for by gradients. Set "
                "graph=learned and search=gradients, or leave objective=... out."
            )

    def over(self, total_steps: int) -> GraphSearch:
        """Return the objective for a training of known length."""
        return replace(self, settle_step=max(1, round(self.settle * total_steps)))

    def __call__(self, model: Structural, batch: Batch, step: int) -> Terms:
        """Return the terms of a batch."""
        if step >= self.settle_step and model.training:  # validation looks ahead, and must change nothing
            model.settle(self.weakest)
        nll = -model.score(batch)
        watch = {"nll": nll.detach()}
        if model.settled:
            zero = torch.zeros_like(nll)
            return Terms(nll, {"nll": nll, "arrows": zero, "circles": zero}, watch)
        w = model.mechanisms.strengths()
        rho = self.largest ** min(1.0, step / self.settle_step)
        few, circles = (v.expand_as(nll) for v in (self.sparse * w.sum(), rho * PENALTIES[self.penalty](w)))
        return Terms(nll + few + circles, {"nll": nll, "arrows": few, "circles": circles}, watch)

    def headline(self, means: Mapping[str, float]) -> tuple[str, float]:
        """Return the mean log density."""
        return "log_likelihood", -means["nll"]

    @property
    def settled_after(self) -> int:
        """When the graph stays."""
        return self.settle_step
