"""Objectives that look at labels: a bound with a classification loss, and a bound with a probe of the codes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log
from typing import final

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.errors import CombinationError, SettingError
from ..core.spec import part
from ..models.base import Classifies, LatentModel
from ..models.probed import Probed
from ..models.stacked import Stacked
from .base import Loss, Objective, Player, Terms
from .elbo import ELBO
from .warmup import begun, in_steps

LEAST = -1e3
"""Log-probabilities below count as this: zero in any precision, with a gradient of zero."""


def cross_entropy(model: Classifies, batch: Batch, log_q: Tensor | None = None) -> Tensor:
    """Return -log q(y | x) of rows whose label is known, zero of the others, ``(B,)``."""
    log_q = model.classify(batch) if log_q is None else log_q
    if batch.y is None:
        return torch.zeros_like(log_q[:, 0])
    own = -log_q.gather(1, batch.y.unsqueeze(1)).squeeze(1)
    return own if batch.y_known is None else torch.where(batch.y_known, own, torch.zeros_like(own))


def imbalance(log_q: Tensor, batch: Batch) -> Tensor:
    r"""Return how far the classes of the rows without a label are from being equally frequent, for each such row.

    .. math:: \mathrm{KL}\Big(\tfrac1n \textstyle\sum_i q(y \mid x_i) \,\Big\|\, p(y)\Big)

    with p(y) uniform: nats, the same for every row without a label, zero for the others, ``(B,)``.

    Example:
        >>> log_q = torch.tensor([[0.0, -torch.inf], [-torch.inf, 0.0], [0.0, -torch.inf]])
        >>> imbalance(log_q[:2], Batch(torch.zeros(2, 1))).tolist(), imbalance(log_q[::2], Batch(torch.zeros(2, 1)))
        ([0.0, 0.0], tensor([0.6931, 0.6931]))
    """
    free = torch.ones_like(log_q[:, 0])
    if batch.y is not None:
        free = torch.zeros_like(free) if batch.y_known is None else (~batch.y_known).to(log_q.dtype)
    # In logarithms throughout: p log p has no gradient at a p that underflows to zero.
    told = torch.where(free.unsqueeze(1) > 0, log_q, LEAST).clamp_min(LEAST)
    log_mean = told.logsumexp(0) - free.sum().clamp_min(1).log()
    nats = (log_mean.exp() * (log_mean + log(log_q.shape[1]))).sum()
    return free * nats


def together(first: Loss, second: Loss) -> Loss:
    """Return the sum of two losses, with the parts of the first."""
    def both(model: LatentModel, batch: Batch, step: int) -> Terms:
        terms = first(model, batch, step)
        return replace(terms, loss=terms.loss + second(model, batch, step).loss)

    return both


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

    With few labels one class may take in another: its decoder learns to draw both. ``balance`` is the weight of
    :func:`imbalance`, which says what p(y) says of all rows together: that classes are equally frequent.

    Reference:
        Semi-supervised Learning with Deep Generative Models (Kingma et al., 2014), equation 9.
        https://arxiv.org/abs/1406.5298
        Discriminative Clustering by Regularized Information Maximization (Krause et al., 2010), for the balance.
        https://papers.nips.cc/paper/2010/hash/42998cf32d552343bc8e460416382dca-Abstract.html

    Args:
        base: The bound.
        alpha: Weight of the classification loss per labelled row, in nats per nat. The paper's :math:`0.1 N` times a
            mean over labelled rows is ``0.1 * rows / labelled rows`` here.
        balance: Weight of the imbalance of classes in a batch, per unlabelled row. Leave it zero where classes are not
            equally frequent.
    """

    base: Objective = ELBO()  # noqa: RUF009 - frozen and without state
    alpha: float = 1.0
    balance: float = 0.0

    def __post_init__(self) -> None:
        if not self.alpha >= 0 or not self.balance >= 0:
            raise SettingError(
                f"`alpha >= 0` and `balance >= 0` must hold, but got alpha={self.alpha!r}, balance={self.balance!r}. "
                "Zero is the bound alone."
            )

    def __call__(self, model: LatentModel, batch: Batch, step: int) -> Terms:
        """Return the terms of a batch."""
        need_classifier(model)
        assert isinstance(model, Classifies)  # as just checked
        terms, log_q = self.base(model, batch, step), model.classify(batch)
        extra = {"classification": self.alpha * cross_entropy(model, batch, log_q)}
        if self.balance:
            extra["imbalance"] = self.balance * imbalance(log_q, batch)
        return replace(terms, loss=terms.loss + sum(extra.values()), parts={**terms.parts, **extra})

    def players(self, model: LatentModel) -> tuple[Player, ...]:
        """Return the players of the bound; the first one classifies too."""
        first, *others = self.base.players(model)
        return (replace(first, loss=self, mixes_rows=first.mixes_rows or self.balance > 0), *others)

    def equip(self, model: LatentModel) -> None:
        """Add what the bound needs."""
        self.base.equip(model)

    def check(self, model: LatentModel) -> None:
        """Refuse a model without a classifier, and what the bound refuses."""
        need_classifier(model)
        self.base.check(model)

    def mixes_rows(self, model: LatentModel) -> bool:
        """Whether the bound mixes rows; a balance does."""
        return self.balance > 0 or self.base.mixes_rows(model)

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

    def held_out(self, first: Loss) -> Loss:
        """Return the bound and the probe's loss together: the weights that are kept are those of both."""
        return together(first, self.probe)

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
        balance: Weight of the imbalance of classes; see :class:`SemiSupervisedBound`.
        start: First step t0 of the upper layer; below 1 a share of the training. With 0 both learn all the time.
    """

    alpha: float = 1.0
    balance: float = 0.0
    start: float = 0.5

    def __post_init__(self) -> None:
        SemiSupervisedBound(alpha=self.alpha, balance=self.balance)
        if not self.start >= 0:
            raise SettingError(f"`start >= 0` must hold, but got start={self.start!r}. Give a step, or a share.")

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
        fixed = replace(batch, x=codes[0], mask=None, lengths=None, present=None, c=None)
        bound = SemiSupervisedBound(alpha=self.alpha, balance=self.balance)
        return (bound if isinstance(model.upper, Classifies) else ELBO())(model.upper, fixed, step)

    def players(self, model: LatentModel) -> tuple[Player, ...]:
        """Return the lower layer and the upper one."""
        assert isinstance(model, Stacked)
        upper = {id(p) for p in model.upper.parameters()}
        lower = tuple(p for p in model.own_parameters() if id(p) not in upper)
        above = tuple(p for p in model.upper.parameters() if p.requires_grad)
        return (
            Player(
                "lower", lower, self, mixes_rows=model.mixes_rows, when=self.lower_plays, span=(0, self.settled_after),
            ),
            Player(
                "upper", above, self.upper, mixes_rows=self.balance > 0, when=self.upper_plays,
                span=(self.settled_after, None),
            ),
        )

    def held_out(self, first: Loss) -> Loss:
        """Return the losses of both layers together: the weights that are kept are those of both."""
        return together(first, self.upper)

    def mixes_rows(self, model: LatentModel) -> bool:
        """Whether a balance is kept over the batch, or the model mixes rows."""
        return self.balance > 0 or model.mixes_rows

    def check(self, model: LatentModel) -> None:
        """Refuse a model of one layer."""
        if not isinstance(model, Stacked):
            raise CombinationError(
                f"Training layer by layer needs a stack of models, but got {type(model).__name__}. Use objective=elbo."
            )
