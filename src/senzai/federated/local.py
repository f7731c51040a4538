"""Training at a site: the ordinary loop for some steps, from the weights that the server sent."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..core.errors import TrainingError
from ..core.local_random import locally_seeded
from ..core.random import derive, forked
from ..core.secret import Secret
from ..data import Dataset
from ..runs.training.feeds import feeds
from ..runs.training.private_runs import begin_privately
from ..training import bundle
from ..training.comms import Comms
from ..training.events import Progressed
from ..training.feed import Piece
from ..training.loop import Training
from ..training.private import PoissonPlan, PrivateGradients, refuse_mixing
from ..training.settings import TrainSettings
from ..training.step import GradientRule, Stepper, gradient_of_mean
from ..training.weights import Snapshot
from .ledger import SiteLedger
from .wire import Tensors, crossing, put, to_bytes

NOBODY = Secret(bytes(32), known=True)
"""Stands where a key will be: nothing is drawn with it. Each round has a key of its own."""


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


class LocalFit:
    """A model at a site.

    Args:
        spec: What is trained, as the server sent it.
        dataset: The rows of the site, as the agreed schema has them.
        site: Name of the site; order of rows and noise follow from it.
        local_steps: Steps of a round.
        own: Beginnings of the names of parameters that stay here.
        mu: Weight of FedProx's term.
        ledger: Budget of the rows' privacy, and what is spent of it; ``None`` for training without noise.
        kept: Whether the moments of the optimiser go on from round to round.

    Raises:
        CombinationError: Rows were to be private, and cannot be kept apart in this model.
    """

    def __init__(
        self, spec: bundle.Spec, dataset: Dataset, *, site: str, local_steps: int, own: tuple[str, ...] = (),
        mu: float = 0.0, ledger: SiteLedger | None = None, kept: bool = False,
    ) -> None:
        bundle.need_packages(spec.plugins)
        self.spec, self.dataset, self.local_steps, self.own, self.mu = spec, dataset, local_steps, own, mu
        self.ledger, self.kept = ledger, kept
        self._after: Snapshot | None = None
        told = spec.training.model_dump() | {
            "seed": derive(spec.training.seed, "site", site) % 2**31, "log_every": local_steps, "validate_every": None,
        }
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        with locally_seeded(0):
            self.model = spec.make_model().to(self.device)
        self.private: PrivateGradients | None = None
        if ledger is not None:
            plan = ledger.planned(len(dataset.split_indices()["train"]), spec.training.batch_size)
            told["batch_size"] = plan.batch_size
            self.private = PrivateGradients(ledger.asked.private.clip, plan.noise, plan.batch_size, NOBODY)
        self.settings = TrainSettings.model_validate(told)
        secret = None if ledger is None else NOBODY
        self.train, self.validation = feeds(dataset, self.settings, self.device, Comms(), secret)
        if self.private is not None:
            refuse_mixing(self.model, spec.make_objective())
            begin_privately(self._training(), self.private, dataset)

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
            TrainingError: The loss would not stay finite, or the budget of a private site has no such steps left.
        """
        if self.ledger is None:
            return self._steps(weights, number)

        def privately(secret: Secret) -> Tensors:
            self._draw_from(secret)
            try:
                return self._steps(weights, number)
            finally:
                self._draw_from(NOBODY)

        sent = hashlib.sha256(to_bytes(weights)).hexdigest()
        question = {"round": number, "steps": self.local_steps, "weights": sent, "own": self.own, "mu": self.mu,
                    "spec": self.spec.model_dump(mode="json")}
        return self.ledger.round(question, self.local_steps, privately)

    def _draw_from(self, secret: Secret) -> None:
        plan = self.train.plan
        assert isinstance(plan, PoissonPlan)  # the feed of private rows
        assert self.private is not None
        self.train.plan, self.private = replace(plan, secret=secret), replace(self.private, secret=secret)

    def _steps(self, weights: Tensors, number: int) -> Tensors:
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
        own: GradientRule = self.private or gradient_of_mean
        rule = nearby(self.mu, own) if self.mu > 0 else own
        with forked(self.settings.seed, device=self.device):
            return Training(
                self.model, self.spec.make_objective(), self.train, self.settings, rule=rule,
                validation=self.validation if validation else None, columns=self.dataset.schema.columns or (),
            )
