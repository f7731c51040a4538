"""A study: the folder of a tuning, what it is about, its trials, and the best run in it."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import BundleError, SettingError
from ..core.extras import need
from ..core.files import write_json
from ..core.random import derive
from ..core.warning_filters import ignore_warnings
from ..training.lock import waited_for
from .space import Dimension

if TYPE_CHECKING:
    from ..runs import Run

ABOUT, BEST, BEST_FACTS, JOURNAL, REPORT = "tune.json", "best", "best.json", "journal.log", "report.html"
ASKING, KEEPING = ".senzai-asking", ".senzai-keeping"
NAME = "senzai"
DONE = ("COMPLETE", "PRUNED", "FAIL", "RUNNING")


@dataclass(frozen=True, kw_only=True)
class StudyFacts:
    """What is tuned, kept in the folder; a study that goes on is about the same.

    Args:
        data: Fingerprint of the data.
        source: What the data are called.
        recipe: Name of the recipe.
        kind: Kind of the data, where it is not detected.
        settings: Settings that stay as they are.
        space: What is searched.
        measure: What is to be best: ``log_likelihood``, ``elbo``, or ``MEASURE.FIGURE``.
        maximise: Whether more of it is better.
        k: Draws per row of the likelihood.
        rows: Validation rows to judge on at most.
        seed: Seed of training, judging and searching.
        storage: Where the trials are: an address that Optuna knows, or ``None``: the journal in the folder.
    """

    data: str
    source: str
    recipe: str
    kind: str | None
    settings: Mapping[str, Any]
    space: Mapping[str, Dimension]
    measure: str
    maximise: bool
    k: int
    rows: int
    seed: int
    storage: str | None = None

    def document(self) -> dict[str, Any]:
        """Return plain values."""
        return {**vars(self), "settings": dict(self.settings),
                "space": {name: d.document() for name, d in self.space.items()}}

    @classmethod
    def read(cls, folder: Path) -> StudyFacts:
        """Return what the study in a folder is about.

        Raises:
            BundleError: There is none.
        """
        try:
            found = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
            space = {n: Dimension(**{**d, "choices": tuple(d["choices"])}) for n, d in found["space"].items()}
            return cls(**{**found, "space": space})
        except (OSError, ValueError, KeyError, TypeError) as err:
            raise BundleError(f"{str(folder)!r} must be a study of `senzai tune`, but it is none ({err}).") from None

    def need_same(self, other: StudyFacts) -> None:
        """Refuse to go on with a study about something else.

        Raises:
            SettingError: It is.
        """
        mine, theirs = self.document(), other.document()
        differ = [name for name in mine if name != "source" and json.dumps(mine[name]) != json.dumps(theirs[name])]
        if differ:
            raise SettingError(
                f"A study goes on as it was begun, but these differ: {', '.join(differ)}. "
                "Give the same, or choose another folder."
            )


@dataclass(frozen=True)
class Tuned:
    """What a tuning found.

    Args:
        folder: Its folder.
        value: The measure of the best run.
        number: The trial that gave it.
        settings: What was chosen for it.
        default: The measure with the defaults of the recipe, where that was tried.
        trials: All trials: number, state, value, settings, seconds.
        importance: Share of the variation of the measure that each setting explains; empty with too few trials.
        about: What was tuned.
    """

    folder: Path
    value: float
    number: int
    settings: Mapping[str, Any]
    default: float | None
    trials: tuple[Mapping[str, Any], ...]
    importance: Mapping[str, float]
    about: StudyFacts = field(repr=False)

    @property
    def best(self) -> Run:
        """The best run, an ordinary one."""
        from ..runs import load

        return load(self.folder / BEST)

    @property
    def report(self) -> Path:
        """The page about the tuning."""
        return self.folder / REPORT

    def document(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "out": str(self.folder), "best": str(self.folder / BEST), "measure": self.about.measure,
            "value": self.value, "default": self.default, "trial": self.number, "settings": dict(self.settings),
            "importance": dict(self.importance), "trials": [dict(t) for t in self.trials], "report": str(self.report),
        }


# --- Optuna's side --------------------------------------------------------------------------------------------------
def package() -> Any:
    """Return Optuna.

    Raises:
        MissingExtraError: It is not installed.
    """
    return need("optuna", extra="tune", to="tune settings")


@contextmanager
def optuna_quiet() -> Iterator[Any]:
    """Yield Optuna, which says nothing on stderr inside the block but what goes wrong."""
    optuna = package()
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with ignore_warnings():
            yield optuna
    finally:
        optuna.logging.set_verbosity(before)


def opened(folder: Path, about: StudyFacts, *, worker: int = 0, processes: int = 1, told: int = 0) -> Any:
    """Return Optuna's study in a folder, made where there is none.

    Args:
        folder: The folder.
        about: What is tuned.
        worker: Number of this process.
        processes: How many there are; their choices take unfinished trials of the others into account.
        told: Trials that are known at the beginning, so that a study that goes on does not repeat its draws.
    """
    optuna = package()
    if about.storage is None:
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        storage: Any = JournalStorage(JournalFileBackend(os.fspath(folder / JOURNAL)))
    else:
        storage = about.storage
    seed = derive(about.seed, "tune", str(worker), str(told)) % 2**31
    return optuna.create_study(
        study_name=NAME, storage=storage, load_if_exists=True, direction="maximize" if about.maximise else "minimize",
        sampler=optuna.samplers.TPESampler(seed=seed, constant_liar=processes > 1),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=0),
    )


def next_trial(folder: Path, study: Any, trials: int) -> Any:
    """Return the next trial, or ``None`` where there are enough; processes ask one after the other."""
    with waited_for(folder, ASKING):
        return study.ask() if len([t for t in study.trials if t.state.name in DONE]) < trials else None


def chosen(about: StudyFacts, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings from what Optuna keeps of a trial.

    Example:
        >>> space = {"hidden": Dimension(kind="choice", choices=((8,),))}
        >>> here = StudyFacts(data="", source="", recipe="vae", kind=None, settings={}, space=space, measure="elbo",
        ...                   maximise=True, k=1, rows=1, seed=0)
        >>> chosen(here, {"hidden": "[8]"})
        {'hidden': [8]}
    """
    def read(name: str, value: Any) -> Any:
        return json.loads(value) if about.space[name].kind == "choice" else value

    return {name: read(name, value) for name, value in params.items() if name in about.space}


# --- the best run ---------------------------------------------------------------------------------------------------
def best_facts(folder: Path) -> dict[str, Any] | None:
    """Return which trial the kept run is of, and its value."""
    try:
        found: dict[str, Any] = json.loads((folder / BEST_FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if (folder / BEST / "weights.safetensors").is_file() else None


def keep_if_best(folder: Path, run: Run, number: int, value: float, *, maximise: bool) -> bool:
    """Keep a run where it is the best so far; other processes wait. At no moment is there half a run."""
    with waited_for(folder, KEEPING, seconds=600):
        known = best_facts(folder)
        if known is not None and (value <= known["value"] if maximise else value >= known["value"]):
            return False
        old, new = (folder / f".{BEST}.{uuid.uuid4().hex[:8]}.tmp" for _ in range(2))
        run.save(new)
        if (folder / BEST).exists():
            (folder / BEST).rename(old)
        new.rename(folder / BEST)
        write_json(folder / BEST_FACTS, {"trial": number, "value": value})
        shutil.rmtree(old, ignore_errors=True)
        run.folder = folder / BEST
    return True
