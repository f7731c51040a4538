"""One trial after the other: settings are chosen, a run is trained and judged on validation rows, the best is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import SenzaiError, SettingError
from ..core.random import derive
from ..evaluation.results import figures_of
from ..runs.fit import fit
from ..runs.training.after_fit import after_fit
from ..runs.verbs.compare import scored
from ..training.events import Event, Validated
from ..training.loop import Training
from .study import StudyFacts, keep_if_best, next_trial

if TYPE_CHECKING:
    from ..data import Dataset
    from ..runs import Run

COMPARABLE = ("elbo", "log_likelihood")
"""Headlines of a validation that are the same quantity whatever the settings are: by these, trials are given up."""
WHY, SECONDS, STEPS = "why", "seconds", "steps"
BY_LIKELIHOOD = ("log_likelihood", "elbo")


@dataclass(frozen=True)
class Job:
    """What a process works on.

    Args:
        folder: Folder of the study.
        about: What is tuned.
        data: The data as the user gave them.
        trials: How many there are to be in all.
        until: When to begin no more (seconds of the clock), or ``None``.
    """

    folder: Path
    about: StudyFacts
    data: object
    trials: int
    until: float | None = None


class PruningReporter:
    """Tells Optuna of every validation, and ends a run that its pruner gives up.

    Args:
        trial: Optuna's trial.
        pruned: The error that ends it.
    """

    def __init__(self, trial: Any, pruned: type[Exception]) -> None:
        self.trial, self.pruned = trial, pruned

    def on(self, event: Event, training: Training) -> None:
        """Report a validation."""
        if not isinstance(event, Validated) or not event.settled:
            return
        name, value = training.objective.headline(event.metrics)
        if name in COMPARABLE and isfinite(value):
            self.trial.report(value, event.step)
            if self.trial.should_prune():
                raise self.pruned


def work(job: Job, study: Any, tell: Callable[[int, str, float | None], None]) -> None:
    """Do trials until there are enough; several processes may do so at once.

    Raises:
        RunInterrupted: A signal came; the trial of the moment counts as failed.
    """
    import optuna

    while job.until is None or time.time() < job.until:
        trial = next_trial(job.folder, study, job.trials)
        if trial is None:
            return
        states = optuna.trial.TrialState
        try:
            value = attempt(job, trial, optuna.TrialPruned)
            study.tell(trial, value)
            tell(trial.number, "complete", value)
        except optuna.TrialPruned:
            study.tell(trial, state=states.PRUNED)
            tell(trial.number, "pruned", None)
        except SenzaiError as err:  # these settings cannot work, or training broke down: others may
            trial.set_user_attr(WHY, str(err)[:300])
            study.tell(trial, state=states.FAIL)
            tell(trial.number, "failed", None)
        except BaseException:
            study.tell(trial, state=states.FAIL)
            raise


def attempt(job: Job, trial: Any, pruned: type[Exception]) -> float:
    """Train and judge one run, and return its measure."""
    about, began = job.about, time.perf_counter()
    settings = {"seed": about.seed, **about.settings, **{name: d.ask(trial, name) for name, d in about.space.items()}}
    later = "sampler" not in about.settings
    run = fit(
        job.data, recipe=about.recipe, kind=about.kind, progress=False, listeners=[PruningReporter(trial, pruned)],
        settings={**settings, **({"sampler": "none"} if later else {})},
    )
    dataset = run.dataset(job.data)
    value = judged(run, dataset, about)
    if not isfinite(value):
        raise SettingError(f"The measure of a trial must be a finite number, but {about.measure} is {value}.")
    trial.set_user_attr(SECONDS, time.perf_counter() - began)
    trial.set_user_attr(STEPS, run.metrics["fit"]["steps"])
    if later:
        finish(run, dataset, settings)
    keep_if_best(job.folder, run, trial.number, value, maximise=about.maximise)
    return value


def finish(run: Run, dataset: Dataset, settings: Mapping[str, Any]) -> None:
    """Fit what samples are drawn from, which no measure here asks for while settings are searched."""
    training = run.spec.training.model_copy(update={"sampler": "auto"})
    run.spec = run.spec.model_copy(update={"settings": dict(settings), "training": training})
    run.samplers = after_fit(run.model, dataset, training, run.metrics["fit"]["steps"])
    run.metrics["fit"]["sampler"] = run.samplers.facts()


def judged(run: Run, dataset: Dataset, about: StudyFacts) -> float:
    """Return the measure of a run on validation rows; test rows stay unseen.

    Raises:
        SettingError: No rows were held out for validation, or the measure is unknown.
        CombinationError: The model has no such measure.
    """
    index = run.part(dataset, "validation")
    if len(index) == 0:
        raise SettingError("Settings are judged on validation rows, but none were held out. Set validation=0.1.")
    if len(index) > about.rows:
        index = np.sort(np.random.default_rng(derive(about.seed, "tuning rows")).permutation(index)[: about.rows])
    if about.measure in BY_LIKELIHOOD:
        found = scored(run, dataset, index, k=about.k, seed=about.seed, sampler="prior")
        values = found.log_p if about.measure == "log_likelihood" else found.elbo
        if values is None:
            raise SettingError(f"The recipe {about.recipe!r} has no elbo. Tune by measure=log_likelihood.")
        return float(values.mean())
    return _named(run, dataset, about)


def _named(run: Run, dataset: Dataset, about: StudyFacts) -> float:
    measure, _, figure = about.measure.partition(".")
    found = run.evaluate(
        dataset, split="validation", only=[measure], rows=about.rows, k=about.k, seed=about.seed
    )
    figures = dict(figures_of(found["measured"].get(measure, {})))
    if figure not in figures:
        why = found["not_measured"].get(measure, f"{measure} has: {', '.join(sorted(figures))}.")
        raise SettingError(f"A measure is called MEASURE.FIGURE, but {about.measure!r} is none here. {why}")
    return float(figures[figure]["value"])
