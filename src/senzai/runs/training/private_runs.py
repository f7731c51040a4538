"""A private run around its steps: what may look at the data and what is switched off, the promise, and its key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...core.errors import BundleError, SettingError
from ...core.extras import need
from ...core.random import derive
from ...core.secret import KEY_BYTES, WORDS, Secret
from ...data import Dataset, open_data
from ...data.budgeted import Budget
from ...models.generative import Generative
from ...objectives.base import Objective
from ...training.bundle import Spec
from ...training.loop import Training
from ...training.privacy import Entry, Privacy, PrivateSettings, epsilon_of, noise_for, refuse_hopeless
from ...training.private import PrivateGradients, engine_for, refuse_mixing
from ...training.samplers import Samplers
from ...training.settings import TrainSettings
from .requests import Request

KEY = "private.key"
PRIOR_ALONE = Samplers(why="Samples come from the prior: one fitted to codes of rows would be outside the budget.")
SMALL: Mapping[str, Any] = {"hidden": (64,), "n_latent": 8}
"""Small networks where the user sets none: the noise grows with the root of the number of weights."""
PASS, STEPS, LR = 32, 300, 5e-3
"""Steps in a pass over the rows, steps in all, and the learning rate, where the user sets none."""
MOST_ROWS = 4096
FIXED: Mapping[str, Any] = {"sampler": "none", "recoveries": 0, "precision": "fp32"}
"""Settings of training that are not the user's: nothing is fitted to codes, and nothing follows from losses of rows."""


@dataclass
class PrivateRun:
    """A private run before it trains.

    Args:
        asked: What the user asked for.
        request: All settings.
        secret: The key of sampling and noise.
        spent: Epsilon and delta of the schema.
    """

    asked: PrivateSettings
    request: Request
    secret: Secret
    spent: tuple[float, float] = (0.0, 0.0)
    seen: list[tuple[str, str]] = field(default_factory=list)

    def open(self, data: object) -> Dataset:
        """Open data without looking at them, but for noisy counts."""
        budget, self.spent = counting(self.asked, _count(data, self.request), self.secret)
        dataset = open_data(data, kind=self.request.kind, options=self.request.data, budget=budget)
        self.seen = budget.seen
        if not budget.seen:
            self.spent = 0.0, 0.0
        return dataset

    def settings(self, dataset: Dataset, proposed: Mapping[str, Any]) -> TrainSettings:
        """Return how to train: what the user set, else what suits noisy gradients."""
        n = len(dataset.split_indices()["train"])
        mine = {"batch_size": rows_of_a_step(n), "steps": STEPS, "lr": LR, "schedule": "cosine"}
        return self.request.training.proposed({**proposed, **mine}).model_copy(update=FIXED)

    def small(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return settings of the model, with small networks where the user set nothing."""
        return smaller(settings)

    def promise(self, dataset: Dataset, model: Generative, objective: Objective, wanted: TrainSettings) -> Privacy:
        """Return what the run will guarantee, or refuse it.

        Raises:
            SettingError: Nothing can be learned with this budget.
            CombinationError: Rows cannot be kept apart in this objective.
        """
        refuse_mixing(model, objective)
        asked, n = self.asked, len(dataset.split_indices()["train"])
        batch = wanted.chosen_batch_size(n)
        steps = wanted.total_steps(max(1, round(n / batch)))
        delta = asked.delta_for(dataset.schema.n_rows)
        epsilon, left = asked.epsilon - self.spent[0], delta - self.spent[1]
        noise = noise_for(epsilon, left, batch / n, steps, accountant=asked.accountant)
        size = sum(p.numel() for p in model.own_parameters())
        refuse_hopeless(noise, batch_size=batch, steps=steps, n_parameters=size, epsilon=asked.epsilon)
        cost = epsilon_of(noise, batch / n, steps, left, accountant=asked.accountant)
        return Privacy(
            epsilon=cost + self.spent[0], delta=delta, accountant=f"Opacus, {asked.accountant}", n_rows=n,
            sample_rate=batch / n, batch_size=batch, steps=steps, noise=noise, clip=asked.clip,
            generator=f"{WORDS}; the key is deleted when training ends" if not self.secret.known else
            "SHAKE-256 of a seed in spec.json: who has the run can take the noise off, so nobody is protected",
            ledger=(*self._of_schema(), *_of_training(cost, left, steps), *OFF),
        )

    def _of_schema(self) -> tuple[Entry, ...]:
        known = Entry(
            what="names, types, levels and ranges of columns", how="public", why="The public schema says."
        )
        counted = Entry(
            what="how frequent levels are, and where numbers lie", how="noise",
            epsilon=self.spent[0], delta=self.spent[1],
            why=f"Noisy counts of {len(self.seen)} columns, one Gaussian mechanism: "
            + "; ".join(f"{name}: {what}" for name, what in self.seen[:40]) + ".",
        )
        return (known, counted) if self.seen else (known,)

    def keep(self, work: Path | None) -> None:
        """Write the key beside the run, readable by its owner alone, so that it can be resumed."""
        if work is not None:
            with os.fdopen(os.open(work / KEY, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(self.secret.key)


def counting(asked: PrivateSettings, n_rows: int, secret: Secret) -> tuple[Budget, tuple[float, float]]:
    """Return what noisy counts of the columns may look at, and their epsilon and delta."""
    share = asked.schema_share
    if not share:
        return Budget.none(), (0.0, 0.0)
    epsilon, delta = share * asked.epsilon, share * asked.delta_for(n_rows)
    noise = noise_for(epsilon, delta / 2, 1.0, 1, accountant=asked.accountant)
    return Budget(noise, delta / 2, secret), (epsilon, delta)


def rows_of_a_step(n_rows: int) -> int:
    """Return the expected rows of a step where the user sets none."""
    return max(1, min(MOST_ROWS, n_rows // PASS))


def _count(data: object, request: Request) -> int:
    """Return the number of rows, by which delta is chosen where the user sets none; it is taken as public."""
    from ...data import KINDS
    from ...data.options import parse

    kind = KINDS[request.kind]
    return kind.read(data, parse(request.kind, kind.options, request.data)).n_rows


def _of_training(epsilon: float, delta: float, steps: int) -> tuple[Entry, ...]:
    why = f"{steps} sums of clipped gradients of rows drawn by coins, each with noise."
    return (Entry(what="weights", how="noise", why=why, epsilon=epsilon, delta=delta),)


OFF = (
    Entry(what="number of rows", how="public", why="Steps and rates follow from it; it is taken as known."),
    Entry(what="scaling and output bias", how="public", why="Set from rows made up from the schema."),
    Entry(what="losses of training rows", how="off", why="Not computed for the history; it shows the noise instead."),
    Entry(what="validation and early stopping", how="off", why="The last weights are taken."),
    Entry(what="fitted samplers, choice of a sampler", how="off", why="New rows come from the prior."),
    Entry(what="reference rows of scores", how="off", why="No row is kept with the run."),
    Entry(what="pictures of real rows in the report", how="off", why="The report shows new rows alone."),
    Entry(what="fingerprint", how="public", why="Of names, types and the number of rows, not of values."),
    Entry(what="what `evaluate` says", how="outside", why="Figures of test rows are not covered: do not publish them "
          "where those rows are secret."),
)


def begun(data: object, request: Request, *, devices: int) -> PrivateRun | None:
    """Return a private run where the user asks for one, or refuse what cannot be private.

    Raises:
        SettingError: A setting would look at the data outside the budget.
        MissingExtraError: Opacus is not there.
    """
    asked = request.training.private
    if asked is None:
        if request.data.get("public") is not None:
            raise SettingError("A public schema is for private training. Add private.epsilon=3 (--private epsilon=3).")
        return None
    refuse_looking(request, devices=devices)
    return PrivateRun(asked, request, asked.secret())


def refuse_looking(request: Request, *, devices: int = 1) -> None:
    """Refuse settings by which a private training would look at rows outside its budget, and hold none out.

    Raises:
        SettingError: There is one.
        MissingExtraError: Opacus is not there.
    """
    need("opacus.accountants", extra="private", to="account for privacy")
    training = request.training
    wrong = {
        "validation": bool(request.data.get("validation")), "patience": training.patience is not None,
        "schedule=plateau": training.schedule == "plateau", "schedule=follow": "schedule" in training.model_fields_set
        and training.schedule == "follow", "by_length": training.by_length, "devices": devices > 1,
        f"sampler={training.sampler}": training.sampler not in ("auto", "none"),
        "precision=bf16": training.precision == "bf16", "init_from": training.init_from is not None,
        "gradient_checkpointing": training.gradient_checkpointing,
    }
    if bad := [name for name, there in wrong.items() if there]:
        raise SettingError(
            f"Private training looks at rows within its budget alone, one by one, which rules out {', '.join(bad)} "
            "(choices by validation rows, samplers fitted to codes, several processes, weights of other runs, blocks "
            "that are computed again). Leave them out."
        )
    request.data["validation"] = 0.0


def smaller(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of a model with small networks where nothing was set.

    Example:
        >>> smaller({"n_latent": 3})
        {'hidden': (64,), 'n_latent': 3}
    """
    return {**SMALL, **settings}


def private_rule(spec: Spec, secret: Secret) -> PrivateGradients:
    """Return the gradient rule of a private run."""
    promised = spec.privacy
    assert promised is not None  # it has a key
    return PrivateGradients(promised.clip, promised.noise, promised.batch_size, secret)


def begin_privately(training: Training, rule: PrivateGradients, dataset: Dataset) -> None:
    """Try the gradients of rows on rows that are nobody's, and choose how they are computed."""
    (stepper,) = training.steppers
    rows = dataset.kind.made_up(dataset.schema, 2, derive(training.settings.seed, "trial")).to(training.device)
    rule.rows = engine_for(stepper, rows)


def key_of(work: Path) -> Secret:
    """Return the key of a private run that was stopped.

    Raises:
        BundleError: It is gone.
    """
    file = work / KEY
    key = file.read_bytes() if file.is_file() else b""
    if len(key) != KEY_BYTES:
        raise BundleError(
            f"A private run goes on with the noise it was planned with, but its key {str(file)!r} is not here: it is "
            "deleted when training ends. Train a new run, with a budget of its own."
        )
    return Secret(key)


def forget_key(work: Path) -> None:
    """Delete the key: with it, the noise could be taken off again."""
    (work / KEY).unlink(missing_ok=True)


