"""Objectives that look at labels: a bound with a classification loss, and a bound with a probe of the codes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.errors import CombinationError, SettingError
from ..core.spec import part
from ..models.base import Classifies, LatentModel
from ..models.probed import Probed
from ..models.stacked import Stacked
from .base import Objective, Player, Terms
from .elbo import ELBO
from .warmup import begun, in_steps


def cross_entropy(model: Classifies, batch: Batch) -> Tensor:
    """Return -log q(y | x) of rows whose label is known, zero of the others, ``(B,)``."""
    log_q = model.classify(batch)
    if batch.y is None:
        return torch.zeros_like(log_q[:, 0])
    own = -log_q.gather(1, batch.y.unsqueeze(1)).squeeze(1)
    return own if batch.y_known is None else torch.where(batch.y_known, own, torch.zeros_like(own))


def need_classifier(model: LatentModel) -> None:
    """Refuse a model that has no classifier.

    Raises:
        CombinationError: It has none.
    """
    if not isinstance(model, Classifies) or model.n_classes == 0:
        raise CombinationError(
            f"A classification loss needs a model with a classifier, but got {type(model).__name__}. "
            "Use the recipe m1, m2 or m1-m2."
        )


@part("objective", "semi_supervised")
@final
@dataclass(frozen=True)
class SemiSupervisedBound(Objective):
    r"""A bound, and the classifier's own loss on labelled rows.

    .. math:: J^\alpha(x, y) = J(x, y) - \alpha \log q(y | x)

    The bound alone teaches the classifier from unlabelled rows only: where the label is known q(y | x) does not enter.

    Reference:
        Semi-supervised Learning with Deep Generative Models (Kingma et al., 2014), equation 9.
        https://arxiv.org/abs/1406.5298

    Args:
        base: The bound.
        alpha: Weight of the classification loss per labelled row, in nats per nat. The paper's :math:`0.1 N` times a
            mean over labelled rows is ``0.1 * rows / labelled rows`` here.
    """

    base: Objective = ELBO()  # noqa: RUF009 - frozen and without state
    alpha: float = 1.0

    def __post_init__(self) -> None:
        if not self.alpha >= 0:
            raise SettingError(f"`alpha >= 0` must hold, but got alpha={self.alpha!r}. Zero is the bound alone.")

    def __call__(self, model: LatentModel, batch: Batch, step: int) -> Terms:
        """Return the terms of a batch."""
        need_classifier(model)
        assert isinstance(model, Classifies)  # as just checked
        terms, extra = self.base(model, batch, step), self.alpha * cross_entropy(model, batch)
        return replace(terms, loss=terms.loss + extra, parts={**terms.parts, "classification": extra})

    def players(self, model: LatentModel) -> tuple[Player, ...]:
        """Return the players of the bound; the first one classifies too."""
        first, *others = self.base.players(model)
        return (replace(first, loss=self), *others)

    def equip(self, model: LatentModel) -> None:
        """Add what the bound needs."""
        self.base.equip(model)

    def check(self, model: LatentModel) -> None:
        """Refuse a model without a classifier, and what the bound refuses."""
        need_classifier(model)
        self.base.check(model)

    def mixes_rows(self, model: LatentModel) -> bool:
        """Whether the bound mixes rows."""
        return self.base.mixes_rows(model)

    @property
    def settled_after(self) -> int:
        """As the bound says."""
        return self.base.settled_after


@part("objective", "probed")
@final
@dataclass(frozen=True)
class ProbedBound(Objective):
    """A bound, and beside it a classifier of the codes that never moves the model.

    Args:
        base: The bound.
    """

    base: Objective = ELBO()  # noqa: RUF009 - frozen and without state

    def __call__(self, model: LatentModel, batch: Batch, step: int) -> Terms:
        """Return the terms of the bound."""
        return self.base(model, batch, step)

    def players(self, model: LatentModel) -> tuple[Player, ...]:
        """Return the players of the bound, and the probe."""
        assert isinstance(model, Probed)  # as checked when built
        return (*self.base.players(model), Player("probe", tuple(model.head.parameters()), self.probe))

    @staticmethod
    def probe(model: LatentModel, batch: Batch, step: int) -> Terms:
        """Return the classifier's loss on labelled rows."""
        assert isinstance(model, Probed)
        loss = cross_entropy(model, batch)
        return Terms(loss, {"classification": loss}, {})

    def equip(self, model: LatentModel) -> None:
        """Add what the bound needs."""
        self.base.equip(model)

    def check(self, model: LatentModel) -> None:
        """Refuse a model without a probe."""
        if not isinstance(model, Probed):
            raise CombinationError(f"A probe needs a model that has one, but got {type(model).__name__}. Use m1.")
        self.base.check(model)

    def mixes_rows(self, model: LatentModel) -> bool:
        """Whether the bound mixes rows."""
        return self.base.mixes_rows(model)

    @property
    def settled_after(self) -> int:
        """As the bound says."""
        return self.base.settled_after


@part("objective", "layerwise")
@final
@dataclass(frozen=True)
class Layerwise(Objective):
    r"""A stack trained layer by layer, as M1+M2 is: the lower with a standard normal prior, the upper on its codes.

    The first player minimises the lower bound of a plain autoencoder with codes z_1, up to step t0; from then on the
    second minimises the bound of the upper model on draws of z_1, with the classification loss on labelled rows. One
    after the other, as in the paper: a classifier that learns from codes that still move is sure of what it then has
    to unlearn. Draws as in the authors' program: a labelled row is another point of its posterior each time.

    Reference:
        Semi-supervised Learning with Deep Generative Models (Kingma et al., 2014). https://arxiv.org/abs/1406.5298

    Args:
        alpha: Weight of the classification loss per labelled row.
        start: First step t0 of the upper layer; below 1 a share of the training. With 0 both learn all the time.
    """

    alpha: float = 1.0
    start: float = 0.3

    def __post_init__(self) -> None:
        if not self.alpha >= 0 or not self.start >= 0:
            raise SettingError(
                f"`alpha >= 0` and `start >= 0` must hold, but got alpha={self.alpha!r}, start={self.start!r}. "
                "With alpha=0 it is the bound alone."
            )

    def over(self, total_steps: int) -> Layerwise:
        """Return the objective with its start in steps."""
        return replace(self, start=in_steps(self.start, total_steps))

    def upper_plays(self, step: int) -> bool:
        """Whether the upper layer has begun.

        Raises:
            SettingError: The start is a share and the length of the training is not known.
        """
        return begun(self.start, step)

    def lower_plays(self, step: int) -> bool:
        """Whether the lower layer still learns."""
        return self.start == 0 or not self.upper_plays(step)

    @property
    def settled_after(self) -> int:
        """When the upper layer has begun."""
        return int(self.start)

    def __call__(self, model: LatentModel, batch: Batch, step: int) -> Terms:
        """Return the terms of the lower model with a standard normal prior."""
        assert isinstance(model, Stacked)
        seen = model.infer_lower(batch)
        distortion, rate = seen.average(-seen.log_lik), seen.average(seen.groups[0].rate())
        parts = {"distortion": distortion, "rate": rate}
        return Terms(distortion + rate, parts, {k: v.detach() for k, v in parts.items()})

    def upper(self, model: LatentModel, batch: Batch, step: int) -> Terms:
        """Return the terms of the upper model on codes that are held fixed."""
        assert isinstance(model, Stacked)
        with torch.no_grad():
            codes, _ = model.lower(batch, 1)
        fixed = replace(batch, x=codes[0], mask=None, lengths=None, c=None)
        terms = ELBO()(model.upper, fixed, step)
        if not isinstance(model.upper, Classifies):
            return terms
        extra = self.alpha * cross_entropy(model.upper, fixed)
        return replace(terms, loss=terms.loss + extra, parts={**terms.parts, "classification": extra})

    def players(self, model: LatentModel) -> tuple[Player, ...]:
        """Return the lower layer and the upper one."""
        assert isinstance(model, Stacked)
        upper = {id(p) for p in model.upper.parameters()}
        lower = tuple(p for p in model.own_parameters() if id(p) not in upper)
        above = tuple(p for p in model.upper.parameters() if p.requires_grad)
        return (
            Player("lower", lower, self, mixes_rows=model.mixes_rows, when=self.lower_plays),
            Player("upper", above, self.upper, when=self.upper_plays),
        )

    def check(self, model: LatentModel) -> None:
        """Refuse a model of one layer."""
        if not isinstance(model, Stacked):
            raise CombinationError(
                f"Training layer by layer needs a stack of models, but got {type(model).__name__}. Use objective=elbo."
            )
