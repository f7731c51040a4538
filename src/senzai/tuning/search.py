"""Tune the settings of a recipe: a study in a folder, worked on by one process or several, which can go on later."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..core.errors import RunInterrupted, SettingError, TrainingError
from ..core.files import user_path, write_json
from ..core.warning_filters import ignore_warnings
from ..data import Dataset, open_data
from ..recipes import RECIPES
from ..runs.fit import name_of
from ..runs.training.requests import sort_settings
from ..sharing.packing import without_folder
from ..training.lock import take
from .processes import several
from .report import write_report
from .space import Dimension, propose_space, user_space
from .study import ABOUT, StudyFacts, Tuned, best_facts, chosen, opened, optuna_quiet, package
from .trials import BY_LIKELIHOOD, SECONDS, WHY, Job, work

Tell = Callable[[int, str, float | None], None]
LEAST_FOR_IMPORTANCE = 6


def tune(
    data: object,
    *,
    out: str | Path,
    trials: int = 50,
    recipe: str | None = None,
    kind: str | None = None,
    space: Mapping[str, Any] | None = None,
    measure: str = "log_likelihood",
    maximise: bool | None = None,
    processes: int = 1,
    seconds: float | None = None,
    storage: str | None = None,
    k: int = 50,
    rows: int = 2000,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    announce: Tell | None = None,
    **more: Any,
) -> Tuned:
    """Search for the settings with which a recipe does best on validation rows, and keep the best run.

    Optuna chooses the settings (extra ``tune``): its tree-structured Parzen estimator, and its median pruner, which
    gives up a run whose bound on validation rows lies below that of half of the runs before. The first trial has the
    defaults of the recipe. Test rows are never looked at. The same call on the same folder goes on where it stopped.

    Reference:
        Optuna: A Next-generation Hyperparameter Optimization Framework (Akiba et al., 2019).
        https://arxiv.org/abs/1907.10902

    Args:
        data: As in :func:`senzai.fit`.
        out: Folder of the study: ``best`` in it is the best run, ``report.html`` says what mattered.
        trials: How many there are to be in all, failed and given up ones among them.
        recipe: Name of a recipe; by default the one that the data propose.
        kind: Kind of the data, where it should not be detected.
        space: What is searched, by the name of the setting: ``(low, high)``, ``(low, high, "log")`` or a list of
            choices; by default what :func:`propose_space` proposes.
        measure: What is to be best on validation rows: ``log_likelihood``, ``elbo``, or ``MEASURE.FIGURE`` of an
            evaluation.
        maximise: Whether more of it is better; needed for figures of an evaluation.
        processes: How many work at once, each with its share of the processors.
        seconds: Begin no trial after so long.
        storage: Address of a database that Optuna knows (``sqlite:///study.db``); by default a journal in ``out``.
        k: Draws per row of the likelihood.
        rows: Validation rows to judge on at most.
        seed: Seed of training, judging and searching.
        settings: Settings that stay as they are, by name.
        announce: Called after every trial with its number, how it ended, and its measure.
        **more: Further settings by name.

    Returns:
        The best run, its settings, all trials, and how much each setting mattered.

    Raises:
        UserError: Data or settings cannot be used, or the study in the folder is about something else.
        TrainingError: No trial was finished.
        RunInterrupted: A signal came; what was finished is kept.
        MissingExtraError: Optuna is not installed.

    Example:
        >>> import tempfile
        >>> found = tune("digits", out=tempfile.mkdtemp() + "/study", trials=2, steps=2, network="mlp",
        ...              space={"n_latent": (2, 4)}, k=2, rows=20)
        >>> len(found.trials), found.best.schema.kind
        (2, 'images')
    """
    package()
    _check(trials, processes)
    if recipe is not None:
        _ = RECIPES[recipe]
    fixed = {**(settings or {}), **more}
    request = sort_settings(data, kind, fixed)
    dataset = open_data(data, kind=request.kind, options=request.data)
    about = StudyFacts(
        data=dataset.schema.fingerprint, source=without_folder(name_of(data)),
        recipe=recipe or dataset.propose().recipe, kind=kind, settings=fixed,
        space=_searched(dataset, recipe, space, fixed), measure=measure, maximise=_direction(measure, maximise), k=k,
        rows=rows, seed=seed, storage=storage,
    )
    folder = _begun(user_path(out, output=True), about)
    until = None if seconds is None else time.time() + seconds
    lock = take(folder)
    try:
        try:
            _search(Job(folder, about, data, trials, until), processes, announce or _silent)
        except KeyboardInterrupt as err:
            number = int(getattr(err, "exit_code", 130)) - 128
            said = f"Tuning was stopped; what was finished is kept in {folder}. The same command goes on."
            raise RunInterrupted(said, number) from None
        found = result(folder, about)
        write_report(found)
    finally:
        lock.release()
    return found


def _silent(number: int, state: str, value: float | None) -> None:
    """Say nothing."""


def _check(trials: int, processes: int) -> None:
    if trials < 1 or processes < 1:
        raise SettingError(f"Trials and processes are at least one, but got {trials} and {processes}.")


def _searched(
    dataset: Dataset, recipe: str | None, given: Mapping[str, Any] | None, fixed: Mapping[str, Any]
) -> dict[str, Dimension]:
    proposed = propose_space(dataset, recipe, fixed) if given is None else user_space(given)
    if both := sorted(set(proposed) & set(fixed)):
        raise SettingError(f"A setting is set or searched, but {', '.join(both)} is both. Leave out one.")
    if not proposed:
        raise SettingError("There must be something to search, but nothing is left. Give a space.")
    return proposed


def _direction(measure: str, maximise: bool | None) -> bool:
    if measure in BY_LIKELIHOOD:
        return True
    if "." not in measure:
        raise SettingError(
            f"A measure is log_likelihood, elbo, or MEASURE.FIGURE of an evaluation, but got {measure!r}. "
            "`senzai evaluate RUN` lists figures."
        )
    if maximise is None:
        raise SettingError(f"It must be known whether more of {measure!r} is better. Give maximise=True or False.")
    return maximise


def _begun(folder: Path, about: StudyFacts) -> Path:
    """Make the folder of a study, or refuse one that is about something else."""
    if (folder / ABOUT).is_file():
        StudyFacts.read(folder).need_same(about)
        return folder
    if folder.exists() and any(folder.iterdir()):
        raise SettingError(f"A study needs a new folder, or its own, but {str(folder)!r} holds other things.")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / ABOUT, about.document())
    return folder


def _search(job: Job, processes: int, tell: Tell) -> None:
    with optuna_quiet() as optuna:
        study = opened(job.folder, job.about)
        for trial in study.trials:  # of processes that were killed: we have the lock
            if trial.state == optuna.trial.TrialState.RUNNING:
                study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        if not study.trials:
            first = {name: d.first() for name, d in job.about.space.items()}
            study.enqueue_trial({name: value for name, value in first.items() if value is not None})
        known = {t.number for t in study.trials if t.state.is_finished()}
        if processes > 1:
            several(job, study, min(processes, job.trials), known, tell)
            return
        work(job, opened(job.folder, job.about, told=len(known)), tell)


def result(folder: Path, about: StudyFacts) -> Tuned:
    """Return what the study in a folder has found so far.

    Raises:
        TrainingError: No trial was finished.
    """
    with optuna_quiet() as optuna:
        trials = opened(folder, about).trials
        whole = [t for t in trials if t.state == optuna.trial.TrialState.COMPLETE]
        best = best_facts(folder)
        if not whole or best is None:
            reasons = [t.user_attrs[WHY] for t in trials if WHY in t.user_attrs] or ["Give it more time."]
            raise TrainingError(f"No trial was finished. {reasons[-1]}")
        importance = _importance(optuna, opened(folder, about), len(whole))
    number = int(best["trial"])
    first = trials[0]
    return Tuned(
        folder=folder, value=float(best["value"]), number=number, settings=chosen(about, trials[number].params),
        default=first.value if first.state == optuna.trial.TrialState.COMPLETE else None,
        trials=tuple(_told(about, t) for t in trials), importance=importance, about=about,
    )


def _told(about: StudyFacts, trial: Any) -> dict[str, Any]:
    return {
        "trial": trial.number, "state": trial.state.name.lower(),
        "value": trial.value if trial.state.name == "COMPLETE" else None,
        "settings": chosen(about, trial.params), "seconds": trial.user_attrs.get(SECONDS),
        **({"why": trial.user_attrs[WHY]} if WHY in trial.user_attrs else {}),
    }


def _importance(optuna: Any, study: Any, whole: int) -> dict[str, float]:
    """Return the share of the variation that each setting explains, by functional analysis of variance."""
    if whole < LEAST_FOR_IMPORTANCE:
        return {}
    with ignore_warnings():
        from optuna.importance import FanovaImportanceEvaluator

        try:
            found = optuna.importance.get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
        except (ValueError, RuntimeError):  # all values are one
            return {}
    return {name: float(value) for name, value in found.items()}
