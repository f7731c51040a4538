"""From data to a trained run: open, build, train, save."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..core.errors import BundleError, CombinationError, RunInterrupted
from ..core.files import write_json
from ..core.random import derive, forked
from ..data import Dataset, Schema, open_data
from ..data.sources import is_built_in
from ..models.base import LatentModel
from ..objectives.base import Objective
from ..recipes import Frame, build
from ..training import bundle
from ..training.checkpoint import load_checkpoint, peek
from ..training.comms import Comms, process_group
from ..training.events import Finished, Interrupted
from ..training.listeners import Checkpointer, EarlyStopping, History, Listener, TensorBoard, drive
from ..training.loop import Training
from ..training.progress_bar import ProgressBar
from ..training.samplers import save_samplers
from ..training.settings import TrainSettings
from ..training.signals import Interrupt
from .after import after_fit, refuse_sampler
from .card import write_card
from .feeds import feeds
from .launch import launch
from .requests import lengthened, sort_settings
from .run import Run

ROWS_TO_INITIALISE = 10_000
IN_MEMORY = " in memory"


def fit(
    data: object,
    *,
    recipe: str = "vae",
    out: str | Path | None = None,
    kind: str | None = None,
    settings: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: bool | None = None,
    tensorboard: bool = False,
    devices: int = 1,
    listeners: Sequence[Listener] = (),
    announce: Callable[[Dataset, bundle.Spec], None] | None = None,
    **more: Any,
) -> Run:
    """Train a model on a user's data.

    Args:
        data: Path, built-in name (``"digits"``), array, tensor, DataFrame, list, or ``(X, y)``.
        recipe: Name of a recipe; see ``senzai recipes``.
        out: Folder of the run; ``None`` keeps it in memory (save it later with ``run.save``).
        kind: Kind of the data, where it should not be detected.
        settings: Settings by name: of training (``lr``), of the model (``n_latent``), of the kind (``size``).
        overwrite: Replace ``out`` if it is a run already.
        progress: Show a progress bar on stderr; by default when stderr is a terminal.
        tensorboard: Also write TensorBoard logs into the run.
        devices: Processes to train with (needs ``out``).
        listeners: Told of every event of training (in one process only), after the run's own.
        announce: Called before training with the data as they were understood and the spec (in one process only).
        **more: Further settings by name.

    Returns:
        The trained run.

    Raises:
        UserError: Data or settings cannot be used; the message says why and what to do.
        TrainingError: The loss would not stay finite.
        RunInterrupted: A signal came; the run is saved and can be resumed.

    Example:
        >>> run = fit("digits", steps=2, n_latent=2)
        >>> run.encode(run.dataset("digits")).shape
        (1797, 2)
    """
    given = {**(settings or {}), **more}
    folder = None if out is None else Path(out)
    if folder is not None and not overwrite and "RANK" not in os.environ:
        bundle.refuse_existing(folder)  # now, not after the data were read
    request = sort_settings(data, recipe, kind, given)
    if devices > 1 and "RANK" not in os.environ:
        return launch(data, recipe=recipe, out=out, kind=kind, settings=given, overwrite=overwrite, devices=devices)
    dataset = open_data(data, kind=request.kind, options=request.data)
    wanted = request.training.proposed(dataset.propose().training)
    model, objective = make(recipe, dataset, request.model, wanted.seed)
    refuse_sampler(model, dataset, wanted)
    spec = bundle.new_spec(
        recipe=recipe, settings=given, training=wanted, data_schema=dataset.schema.model_dump(mode="json"),
        source=_name_of(data), model=model, objective=objective,
    )
    with process_group() as comms:
        if folder is not None and comms.is_main:
            if overwrite:
                _remove_run(folder)
            bundle.create_folder(folder, spec)
        if announce is not None:
            announce(dataset, spec)
        comms.barrier()
        heard = [*_listeners(wanted, folder, comms, _shown(progress), tensorboard), *listeners]
        return _train(dataset, model, objective, spec, folder, comms, heard, fresh=True)


def resume(path: str | Path, *, data: object = None, progress: bool | None = None, **more: Any) -> Run:
    """Go on with a run that was stopped, to the same weights as if it had not been.

    Args:
        path: Folder of the run.
        data: The same data, where they did not come from a path.
        progress: As in :func:`fit`.
        **more: ``epochs`` or ``steps`` may be raised; every other setting is the run's own.

    Raises:
        BundleError: There is nothing to resume, or the data are not the same.
    """
    folder = Path(path)
    spec = bundle.read_spec(folder)
    source = spec.source if data is None else data
    schema = Schema.model_validate(spec.data_schema)
    if data is None and not Path(spec.source).exists() and not is_built_in(spec.source):
        raise BundleError(
            f"The run {str(folder)!r} was trained on {spec.source!r}, which is not here. "
            "Put it back, or give the data: senzai.resume(path, data=...)."
        )
    longer = spec.model_copy(update={"training": lengthened(spec.training, more)})
    request = sort_settings(None, spec.recipe, schema.kind, spec.settings)
    dataset = open_data(source, kind=schema.kind, options=request.data)
    if dataset.schema.fingerprint != schema.fingerprint:
        raise BundleError(
            f"Resuming needs the very data of the run ({schema.n_rows} rows, {schema.fingerprint}), but got "
            f"{dataset.schema.n_rows} rows, {dataset.schema.fingerprint}. Give the same data, or train a new run."
        )
    if (folder / bundle.CHECKPOINT).is_file():
        with forked(0):
            model, objective = spec.make_model(), spec.make_objective()
    else:  # killed before the first checkpoint: start again, from the same weights
        model, objective = make(spec.recipe, dataset, request.model, spec.training.seed)
    with process_group() as comms:
        if longer != spec and comms.is_main:
            bundle.save_spec(folder, longer)  # so that a stop on the way is resumed to the new end
        heard = _listeners(longer.training, folder, comms, _shown(progress), tensorboard=False)
        return _train(dataset, model, objective, longer, folder, comms, heard, fresh=False)


def make(
    recipe: str, dataset: Dataset, settings: Mapping[str, Any], seed: int
) -> tuple[LatentModel, Objective]:
    """Return a recipe's model, initialised from training rows, and its objective."""
    proposal = dataset.propose()
    rows = dataset.split_indices()["train"]
    with forked(derive(seed, "weights")):
        first = dataset.batch(np.sort(rows[:ROWS_TO_INITIALISE]))
        frame = Frame(
            dataset.schema.event_shape, proposal.family, dict(proposal.family_settings), tuple(proposal.shared),
            proposal.network, masked=first.mask is not None,
            n_classes=0 if dataset.schema.label is None else len(dataset.schema.label.classes), n_rows=len(rows),
            n_condition=0 if first.c is None else first.c.shape[1], settings=dict(settings),
            own_encoder=proposal.encoder, encoder_settings=dict(proposal.encoder_settings),
            n_labelled=n_labelled(dataset, rows),
        )
        model, objective = build(recipe, frame)
        model.initialise(first)
    return model, objective


def n_labelled(dataset: Dataset, rows: np.ndarray[Any, Any]) -> int:
    """Return how many of some rows have a label."""
    targets = dataset.rows.targets
    if targets.y is None:
        return 0
    return len(rows) if targets.known is None else int(targets.known[torch.from_numpy(rows)].sum())


def _train(
    dataset: Dataset, model: LatentModel, objective: Objective, spec: bundle.Spec, folder: Path | None, comms: Comms,
    listeners: list[Listener], *, fresh: bool,
) -> Run:
    settings = spec.training
    device = torch.device("cuda", comms.local_rank) if torch.cuda.is_available() else torch.device("cpu")
    model.to(device)
    interrupt = Interrupt()
    train, validation = feeds(dataset, settings, device, comms)
    with forked(settings.seed, device=device), interrupt.installed():
        training = Training(
            model, objective, train, settings, validation=validation, comms=comms, interrupt=interrupt,
            columns=dataset.schema.columns or (),
        )
        if not fresh and folder is not None:
            _continue(training, folder)
        last = drive(training, listeners)
    run = Run(spec, model.cpu(), folder=folder)
    from .watching import Watch

    run.heard = [line for one in listeners if isinstance(one, Watch) for line in one.lines]
    if isinstance(last, Interrupted):
        where = f"Continue with: senzai resume {folder}" if folder else "It had no folder, so it is lost."
        raise RunInterrupted(f"Training was stopped by a signal after step {last.step}. {where}", last.signal)
    run.metrics["fit"] = summary(training, last, spec, folder)
    if comms.is_main:
        run.samplers = after_fit(run.model, dataset, settings, last.step)
        run.metrics["fit"]["sampler"] = run.samplers.facts()
    if comms.is_main and keeps_reference(dataset, spec):
        from .scoring import make as make_reference

        with suppress(CombinationError):  # of models whose scores have no features; they say so when they are asked for
            run.reference = make_reference(run, dataset)  # now, while the training rows are at hand
    if folder is not None and comms.is_main:
        _finish(run, folder)
    comms.barrier()
    return run


def keeps_reference(dataset: Dataset, spec: bundle.Spec) -> bool:
    """Whether a run keeps rows that others are compared with: tables, and arrays of numbers that are in memory alone.

    Rows of a file are read again when somebody asks for scores.
    """
    schema = dataset.schema
    alone = schema.kind == "array" and len(schema.event_shape) == 1 and spec.source.endswith(IN_MEMORY)
    parts = dataset.split_indices()
    held_out = len(parts["validation"]) + len(parts["test"])
    return (schema.kind == "table" or alone) and len(dataset) >= 20 and held_out > 0


def _continue(training: Training, folder: Path) -> None:
    path = folder / bundle.CHECKPOINT
    if not path.is_file():
        return
    at = peek(path)
    if at.done and at.step >= training.total_steps and bundle.has_weights_of(folder, at.step):
        raise BundleError(
            f"The run {str(folder)!r} is finished ({at.step} steps). Use it, or train on with more epochs=... ."
        )
    load_checkpoint(training, path)


def _listeners(
    settings: TrainSettings, folder: Path | None, comms: Comms, progress: bool, tensorboard: bool
) -> list[Listener]:
    from .watching import Watch

    found: list[Listener] = []
    if settings.patience is not None:
        found.append(EarlyStopping(settings.patience))
    if not comms.is_main:
        return found
    history = None
    if folder is not None:
        history = History(folder / bundle.HISTORY)
        found += [history, Checkpointer(folder / bundle.CHECKPOINT, settings.checkpoint_seconds)]
    found.append(Watch(history))
    if tensorboard and folder is not None:
        found.append(TensorBoard(folder / "tensorboard"))
    if progress:
        found.append(ProgressBar())
    return found


def summary(training: Training, last: Finished, spec: bundle.Spec, folder: Path | None) -> dict[str, Any]:
    """Return what ``fit --json`` prints."""
    plan, bound = training.feed.plan, training.progress.best_elbo
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
        "validation_elbo": bound if training.validation is not None and isfinite(bound) else None,
        "early_stopped": last.early,
        "recoveries": training.progress.recoveries,
        "precision": "bf16" if training.dtype is torch.bfloat16 else "fp32",
    }


def _finish(run: Run, folder: Path) -> None:
    from .scoring import save_reference

    write_json(folder / bundle.METRICS, run.metrics)
    write_card(folder, folder.name, run.spec, run.schema, run.metrics)
    save_samplers(folder, run.samplers, run.model)
    save_reference(run)
    bundle.save_weights(folder, run.model, step=run.metrics["fit"]["steps"])  # last: a run with weights is finished


def _remove_run(folder: Path) -> None:
    """Remove a folder that is a run; anything else is left alone."""
    if not folder.exists():
        return
    bundle.read_spec(folder)
    shutil.rmtree(folder)


def _name_of(data: object) -> str:
    if isinstance(data, str | Path):
        return str(Path(data).resolve()) if Path(data).exists() else _without_password(str(data))
    return f"a {type(data).__name__}{IN_MEMORY}"


def _without_password(source: str) -> str:
    """Return an address without the name and password in it: specs are handed on."""
    scheme, mark, rest = source.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}" if mark else source


def _shown(progress: bool | None) -> bool:
    return sys.stderr.isatty() if progress is None else progress
