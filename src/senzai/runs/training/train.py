"""Training a run in its place: from a checkpoint on, to its end, and what is done when it is stopped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from math import isfinite
from pathlib import Path
from typing import Any

import torch

from ...core.errors import BundleError, CombinationError, OutputError, RunInterrupted, SenzaiError, TrainingError
from ...core.files import replacing_folder, write_json, write_text
from ...core.local_random import locally_seeded
from ...core.notebook import place as place_to_show
from ...core.random import forked
from ...core.secret import Secret
from ...data import Dataset
from ...models.generative import Generative
from ...objectives.base import Objective
from ...training import bundle
from ...training.checkpoint import load_checkpoint, load_state, peek, save_checkpoint
from ...training.comms import Comms
from ...training.events import Finished, Interrupted
from ...training.listeners import (
    Checkpointer,
    EarlyStopping,
    History,
    Listener,
    Present,
    TrackedRun,
    as_text,
    drive,
    tracked_by,
)
from ...training.live import LiveCurves
from ...training.loop import Training
from ...training.places import FolderGone, Place
from ...training.progress_bar import ProgressBar
from ...training.samplers import save_samplers
from ...training.settings import TrainSettings
from ...training.sharding import divides
from ...training.shares import whole
from ...training.signals import Interrupt
from ...training.step import gradient_of_mean
from ..card import write_card
from ..run import Run
from .after_fit import after_fit
from .controls import compared
from .feeds import feeds
from .private_runs import PRIOR_ALONE, begin_privately, forget_key, private_rule

IN_MEMORY = " in memory"


def train(
    dataset: Dataset, model: Generative, objective: Objective, spec: bundle.Spec, place: Place, comms: Comms,
    listeners: list[Listener], *, fresh: bool, secret: Secret | None = None,
) -> Run:
    """Train a model in its place, and return the finished run.

    Raises:
        RunInterrupted: A signal came; the run is saved and can be resumed.
        TrainingError: The loss would not stay finite, or the folder was taken away.
    """
    settings = spec.training
    device = torch.device("cuda", comms.local_rank) if torch.cuda.is_available() else torch.device("cpu")
    if not divides(settings, comms):  # else it may be too large for one device; training takes its share there
        model.to(device)
    interrupt = Interrupt()
    train, validation = feeds(dataset, settings, device, comms, secret)
    private = None if secret is None else private_rule(spec, secret)
    with forked(settings.seed, device=device), interrupt.installed():
        training = Training(
            model, objective, train, settings, validation=validation, comms=comms, interrupt=interrupt,
            columns=dataset.schema.columns or (),
            rule=private or gradient_of_mean,
        )
        if private is not None:
            begin_privately(training, private, dataset)
        if not fresh and place.work is not None:
            _continue(training, place.work)
        with _rescuing(training, spec, place, listeners):
            last = drive(training, listeners)
    if isinstance(last, Interrupted):
        raise RunInterrupted(f"Training was stopped by a signal after step {last.step}. {_advice(place)}", last.signal)
    run = Run(spec, _whole(training, spec), folder=place.work)
    run.heard = heard(listeners)
    run.metrics["fit"] = summary(training, last, spec, place.folder)
    if comms.is_main:
        run.samplers = after_fit(run.model, dataset, settings, last.step) if secret is None else PRIOR_ALONE
        run.metrics["fit"]["sampler"] = run.samplers.facts()
        _compare(run, dataset, comms)
    if comms.is_main and keeps_reference(dataset, spec):
        from ..verbs.score import make as make_reference

        with suppress(CombinationError):  # of models whose scores have no features; they say so when they are asked for
            run.reference = make_reference(run, dataset)  # now, while the training rows are at hand
    if comms.is_main and place.folder is not None:
        with _rescuing(training, spec, place, listeners):
            write_run(run, place)
    run.folder = place.folder
    comms.barrier()
    return run


def _whole(training: Training, spec: bundle.Spec) -> Generative:
    """Return the trained model on the CPU; where it was divided, every process makes a new one of all shares."""
    if not training.divides:
        return training.model.cpu()
    state = {k: whole(v) for k, v in training.model.state_dict().items() if not k.startswith("aux.")}
    with locally_seeded(0):  # its weights are read, not drawn
        model = spec.make_model()
    load_state(model, state)
    return model.eval()


def _compare(run: Run, dataset: Dataset, comms: Comms) -> None:
    """Train what the run is compared with, where one of its parts has a control, and keep both side by side."""

    def again(model: Generative, spec: bundle.Spec) -> Run:
        nowhere = Place(None, None, main=True)
        own = listeners_of(spec, nowhere, comms, progress=False)
        return train(dataset, model, spec.make_objective(), spec, nowhere, comms, own, fresh=True)

    found = compared(run, dataset, again) if comms.world == 1 else None
    if found is not None:
        run.metrics["fit"]["control"] = found


def heard(listeners: list[Listener]) -> list[dict[str, Any]]:
    """Return the lines of the history, warnings among them."""
    from ..watching import Watch

    return [line for one in listeners if isinstance(one, Watch) for line in one.lines]


def _advice(place: Place) -> str:
    if place.folder is None:
        return "It had no folder, so it is lost."
    kept = f" Until it is finished, {place.folder} is the run that was there before." if place.replaces else ""
    return f"Continue with: senzai resume {place.folder}{kept and '.'}{kept}"


@contextmanager
def _rescuing(training: Training, spec: bundle.Spec, place: Place, listeners: list[Listener]) -> Iterator[None]:
    """Save the state of a run elsewhere when its folder was taken away, and say so."""
    try:
        yield
    except (SenzaiError, OSError) as err:
        together = isinstance(err, FolderGone)
        if training.divides and together and not place.main:
            save_checkpoint(training, None)
        if place.held() or not place.main:
            raise
        step = training.progress.step
        try:
            if training.divides and not together:
                raise OutputError("the processes that hold it must give it together, but only the first noticed.")
            where = rescue(training, spec, place, heard(listeners))
            told = f"What was trained is in {str(where)!r}; continue with: senzai resume {where}"
        except OutputError as no:
            told = f"What was trained is lost, because it could not be saved beside it: {no}"
        raise TrainingError(
            f"The folder of a run must stay where it is while it trains, but {str(place.folder)!r} was removed or "
            f"renamed before step {step} was saved. {told}"
        ) from err


def rescue(training: Training, spec: bundle.Spec, place: Place, lines: list[dict[str, Any]]) -> Path:
    """Write the state of a run to a new folder beside the one it had; return that.

    Raises:
        OutputError: It cannot be written.
    """
    assert place.folder is not None  # else there is nothing to rescue
    names = (place.folder.with_name(f"{place.folder.name}-rescued{f'-{i}' if i else ''}") for i in count())
    where = next(name for name in names if not name.exists())
    with replacing_folder(where) as tmp:
        bundle.save_spec(tmp, spec)
        write_text(tmp / bundle.HISTORY, as_text(lines))
        save_checkpoint(training, tmp / bundle.CHECKPOINT)
    return where


def keeps_reference(dataset: Dataset, spec: bundle.Spec) -> bool:
    """Whether a run keeps reference rows: where the kind asks for it, and some were held out; a private run never."""
    from ..verbs.score import held_out

    if spec.privacy is not None:
        return False
    kept = dataset.kind.keeps_rows(dataset.schema, in_memory=spec.source.endswith(IN_MEMORY))
    return kept and held_out(dataset.schema)


def _continue(training: Training, folder: Path) -> None:
    path = folder / bundle.CHECKPOINT
    if not path.is_file():
        return
    at = peek(path)
    end = training.total_steps if training.follow is None else at.ends_at or training.total_steps
    if at.done and at.step >= end and bundle.has_weights_of(folder, at.step):
        raise BundleError(
            f"The run {str(folder)!r} is finished ({at.step} steps). Use it, or train on with more epochs=... ."
        )
    load_checkpoint(training, path)


def listeners_of(
    spec: bundle.Spec, place: Place, comms: Comms, *, progress: bool, track: Sequence[str] = ()
) -> list[Listener]:
    """Return the listeners of a run: first those that may end it, then those that write, then those that show."""
    settings = spec.training
    found: list[Listener] = []
    if settings.patience is not None:
        found.append(EarlyStopping(settings.patience))
    if not comms.is_main and place.work is not None and divides(settings, comms):
        found += [Present(place), Checkpointer(None, settings.checkpoint_seconds)]
    if not comms.is_main:
        return found
    history = None
    if place.work is not None:
        history = History(place.work / bundle.HISTORY, place.held)
        saver = Checkpointer(place.work / bundle.CHECKPOINT, settings.checkpoint_seconds)
        found += [Present(place), history, saver]
    from ..watching import Watch

    found.append(Watch(history))
    found += tracked_by(track, tracked_run(spec, place))
    if progress:
        show = place_to_show()
        found.append(ProgressBar() if show is None else LiveCurves(show))
    return found


def tracked_run(spec: bundle.Spec, place: Place) -> TrackedRun:
    """Return what trackers are told about a run; where its data lie on this machine is not part of it."""
    model = {k: v for k, v in spec.settings.items() if k not in TrainSettings.model_fields}
    facts = {"recipe": spec.recipe, "kind": spec.data_schema["kind"], "rows": spec.data_schema["n_rows"]}
    name = "in memory" if place.folder is None else place.folder.name
    return TrackedRun(name, place.folder, place.work, {**facts, **model, **spec.training.model_dump(mode="json")})


def summary(training: Training, last: Finished, spec: bundle.Spec, folder: Path | None) -> dict[str, Any]:
    """Return what ``fit --json`` prints."""
    plan, where = training.feed.plan, training.progress
    best = where.best_headline
    return {
        "out": None if folder is None else str(folder),
        "recipe": spec.recipe,
        "kind": spec.data_schema["kind"],
        "epochs": last.step / plan.steps_per_epoch,
        "steps": last.step,
        "batch_size": plan.batch_size,
        "seconds": last.seconds,
        "samples_per_second": training.progress.rows / max(last.seconds, 1e-9),
        "best_step": last.best_step,
        "validation_elbo": None,
        **({f"validation_{where.headline}": best} if best is not None and isfinite(best) else {}),
        "early_stopped": last.early,
        "recoveries": training.progress.recoveries,
        "precision": "bf16" if training.dtype is torch.bfloat16 else "fp32",
        **({} if spec.privacy is None else {"epsilon": spec.privacy.epsilon, "delta": spec.privacy.delta}),
    }


def write_run(run: Run, place: Place) -> None:
    """Write the files of a finished run into its place, and let it stand there."""
    assert place.folder is not None and place.work is not None  # noqa: PT018  # the caller knows
    work = place.work
    write_json(work / bundle.METRICS, run.metrics)
    write_card(work, place.folder.name, run.spec, run.schema, run.metrics)
    save_samplers(work, run.samplers, run.model)
    from ..verbs.score import save_reference

    save_reference(run)
    forget_key(work)
    bundle.save_weights(work, run.model, step=run.metrics["fit"]["steps"])  # last: a run with weights is finished
    place.stand()
