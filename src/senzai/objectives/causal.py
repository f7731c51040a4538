"""Objectives of models that know causes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log, pi
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.errors import CombinationError, SettingError
from ..core.examples import example
from ..core.spec import part
from ..models.concepts import Concepts
from ..models.structural import Structural
from .base import Objective, Terms
from .elbo import ELBO


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

    def check(self, model: Structural) -> None:
        """Refuse a graph that is still to be found: nothing would keep its arrows from going in circles."""
        if model.is_learned and not model.looks_first:
            raise CombinationError(
                "A graph that gradients look for needs the objective graph_search. Leave objective=... out, or set "
                "search=orders."
            )

    def __call__(self, model: Structural, batch: Batch, step: int) -> Terms:
        """Return the terms of a batch."""
        nll = -model.score(batch)
        return Terms(nll, {"nll": nll}, {"nll": nll.detach()})

    def headline(self, means: Mapping[str, float]) -> tuple[str, float]:
        """Return the mean log density."""
        return "log_likelihood", -means["nll"]


@part("objective", "concepts")
@example(recipe="causal-vae", frame={"n_numbers": 3}, settings={"graph": "concept0>concept1;concept1>concept2"})
@final
@dataclass(frozen=True)
class ConceptBound(Objective):
    r"""A bound, and for rows whose concepts are known how well the encoder and the graph say them.

    .. math:: L(x, u) = L(x) - \alpha \sum_{i \text{ known}} \log q(z_i = u_i \mid x)
        - \gamma\, [\text{all known}] \log p(z = u)

    where the last term, over the concepts alone, teaches the mechanisms from concepts as they are.

    Reference:
        CausalVAE (Yang et al., 2021), whose labels enter the prior. https://arxiv.org/abs/2004.08697

    Args:
        base: The bound.
        alpha: Weight of what the encoder says of known concepts, in nats per nat.
        gamma: Weight of what the graph says of them.
    """

    trains: ClassVar[type[Any]] = Concepts
    base: Objective = ELBO()  # noqa: RUF009 - frozen and without state
    alpha: float = 100.0
    gamma: float = 1.0

    def __post_init__(self) -> None:
        if not self.alpha >= 0 or not self.gamma >= 0:
            raise SettingError(
                f"`alpha >= 0` and `gamma >= 0` must hold, but got alpha={self.alpha!r}, gamma={self.gamma!r}."
            )

    def __call__(self, model: Concepts, batch: Batch, step: int) -> Terms:
        """Return the terms of a batch."""
        terms = self.base(model, batch, step)
        told, known = known_concepts(model, batch)
        q = model.concepts(model.inner.posterior(batch))
        each = torch.where(known, -q.log_prob(told), 0.0).sum(-1)
        graph = torch.where(known.all(-1), -concept_density(model, told), 0.0)
        extra = self.alpha * each + self.gamma * graph
        parts = {**terms.parts, "concepts": self.alpha * each, "mechanisms": self.gamma * graph}
        away = torch.where(known, (q.loc - told) ** 2, 0.0).sum(-1) / known.sum(-1).clamp_min(1)
        return Terms(terms.loss + extra, parts, {**terms.watch, "concept_error": away.detach()})

    @property
    def settled_after(self) -> int:
        """That of the bound."""
        return self.base.settled_after


def known_concepts(model: Concepts, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the concepts of rows, zero where not known, and where they are known; ``(B, concepts)`` each."""
    if batch.numbers is None:
        x = torch.zeros(batch.rows, len(model.names), device=batch.device)
        return x, torch.zeros_like(x, dtype=torch.bool)
    known = ~batch.numbers.isnan()
    return torch.where(known, batch.numbers, 0.0), known


def concept_density(model: Concepts, told: Tensor) -> Tensor:
    """Return the log density of concepts alone: free latents, which nothing causes, are left out."""
    k, width = len(model.names), model.structure.n_latent
    z = torch.cat([told, told.new_zeros(*told.shape[:-1], width - k)], -1)
    log_p: Tensor = model.structure().log_prob(z)
    return log_p + (width - k) * log(2 * pi) / 2
