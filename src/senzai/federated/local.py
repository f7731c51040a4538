"""Training at a site: the ordinary loop for some steps, from the weights that the server sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..core.errors import SettingError, TrainingError
from ..core.local_random import locally_seeded
from ..core.random import derive, forked
from ..data import Dataset
from ..runs.training.feeds import feeds
from ..training import bundle
from ..training.comms import Comms
from ..training.events import Progressed
from ..training.feed import Piece
from ..training.loop import Training
from ..training.settings import TrainSettings
from ..training.step import GradientRule, Stepper, gradient_of_mean
from ..training.weights import Snapshot
from .wire import Tensors, crossing, put


def nearby(mu: float, rule: GradientRule = gradient_of_mean) -> GradientRule:
    """Return a rule that also draws towards where a round began: FedProx's term, mu/2 times the squared distance.

    ∇ = ∇loss + mu (w − w₀), with w₀ the parameters at the first step of the rule.

    Args:
        mu: Weight of the term.
        rule: What gives the gradient of the loss.
    """
    start: dict[int, Tensor] = {}

    def ruled(stepper: Stepper, pieces: Sequence[Piece], step: int) -> Tensor:
        for p in stepper.player.parameters:
            if id(p) not in start:
                start[id(p)] = p.detach().clone()
        sums = rule(stepper, pieces, step)
        for p in stepper.player.parameters:
            if p.grad is not None:
                p.grad.add_(p.detach() - start[id(p)], alpha=mu)
        return sums

    return ruled


def private_rule(private: Mapping[str, Any] | None) -> GradientRule:
    """Return how gradients come from the loss at a site that trains privately, row by row.

    Raises:
        SettingError: Private training is not to be had here.
    """
    if private is None:
        return gradient_of_mean
    raise SettingError(
        "Rows of a site can be private only where local training has a private rule, and there is none yet. "
        "Leave private=... out; noise=... makes whole sites private."
    )


class LocalFit:
    """A model at a site.

    Args:
        spec: What is trained, as the server sent it.
        dataset: The rows of the site, as the agreed schema has them.
        site: Name of the site; order of rows and noise follow from it.
        local_steps: Steps of a round.
        own: Beginnings of the names of parameters that stay here.
        mu: Weight of FedProx's term.
        private: Settings of private training.
        kept: Whether the moments of the optimiser go on from round to round.
    """

    def __init__(
        self, spec: bundle.Spec, dataset: Dataset, *, site: str, local_steps: int, own: tuple[str, ...] = (),
        mu: float = 0.0, private: Mapping[str, Any] | None = None, kept: bool = False,
    ) -> None:
        bundle.need_packages(spec.plugins)
        self.spec, self.dataset, self.local_steps, self.own, self.mu = spec, dataset, local_steps, own, mu
        self.private, self.kept = private_rule(private), kept
        self._after: Snapshot | None = None
        told = spec.training.model_dump() | {
            "seed": derive(spec.training.seed, "site", site) % 2**31, "log_every": local_steps, "validate_every": None,
        }
        self.settings = TrainSettings.model_validate(told)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        with locally_seeded(0):
            self.model = spec.make_model().to(self.device)
        self.train, self.validation = feeds(dataset, self.settings, self.device, Comms())

    @property
    def rows(self) -> int:
        """How many rows it trains on."""
        return self.train.plan.n_rows

    def round(self, weights: Tensors, number: int) -> Tensors:
        """Return the weights after the steps of one round.

        Args:
            weights: What the server sent.
            number: Which round it is, from 0.

        Raises:
            TrainingError: The loss would not stay finite.
        """
        training = self._training()
        if self._after is not None:
            training.restore(self._after)
        put(self.model, weights)
        training.progress = replace(training.progress, step=number * self.local_steps)
        training.good = training.snapshot()
        for event in training.events():
            if isinstance(event, Progressed):
                training.stop_early = True
        done = training.progress.step - number * self.local_steps
        if done != self.local_steps:
            raise TrainingError(f"A round has {self.local_steps} steps, but it ended after {done}.")
        self._after = training.good if self.kept else None
        return {k: v.detach().cpu() for k, v in crossing(self.model, self.own).items()}

    def loss(self, weights: Tensors) -> float | None:
        """Return the loss on held-out rows; ``None`` where none are held out."""
        if self.validation is None:
            return None
        put(self.model, weights)
        training = self._training(validation=True)
        self.model.eval()
        with torch.no_grad():
            return training.evaluate()["loss"]

    def _training(self, *, validation: bool = False) -> Training:
        rule = nearby(self.mu, self.private) if self.mu > 0 else self.private
        with forked(self.settings.seed, device=self.device):
            return Training(
                self.model, self.spec.make_objective(), self.train, self.settings, rule=rule,
                validation=self.validation if validation else None, columns=self.dataset.schema.columns or (),
            )
