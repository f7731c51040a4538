"""From data to a trained run: open, build, train, save."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..core.batch import Batch, Data
from ..core.errors import BundleError
from ..core.files import user_path
from ..core.local_random import locally_seeded
from ..core.notebook import notebook
from ..core.random import derive
from ..data import Dataset, Schema, open_data
from ..data.addresses import without_password
from ..data.sources import is_at_hand
from ..models.generative import Generative
from ..nn.items import tell_entries
from ..objectives.base import Objective
from ..recipes import RECIPES, Frame, Settings, build
from ..training import bundle
from ..training.comms import is_main, process_group
from ..training.listeners import Listener
from ..training.listeners.trackers import names_of
from ..training.places import Place, reopened, reserved
from .run import Run, load
from .training import jobs
from .training.after_fit import refuse_sampler
from .training.beginning import first_rows
from .training.launch import launch
from .training.opening import opened
from .training.private_runs import begun, key_of, smaller
from .training.requests import as_written, lengthened, sort_settings
from .training.train import IN_MEMORY, listeners_of, train
from .training.warm_start import begun_from


def fit(
    data: object,
    *,
    recipe: str | None = None,
    out: str | Path | None = None,
    kind: str | None = None,
    settings: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: bool | None = None,
    tensorboard: bool = False,
    track: str | Sequence[str] = (),
    devices: int = 1,
    restarts: int = 0,
    listeners: Sequence[Listener] = (),
    announce: Callable[[Dataset, bundle.Spec], None] | None = None,
    **more: Any,
) -> Run:
    """Train a model on a user's data.

    Args:
        data: Path, built-in name (``"digits"``), array, tensor, DataFrame, list, or ``(X, y)``.
        recipe: Name of a recipe; see ``senzai recipes``. By default the one that the kind of the data proposes.
        out: Folder of the run; ``None`` keeps it in memory (save it later with ``run.save``).
        kind: Kind of the data, where it should not be detected.
        settings: Settings by name: of training (``lr``), of the model (``n_latent``), of the kind (``size``).
        overwrite: Replace the run in ``out``, if there is one, once the new one is finished; other files in the folder
            stay.
        progress: Show a progress bar on stderr, in a notebook live curves; by default in a terminal and in a notebook.
        tensorboard: The same as ``track="tensorboard"``.
        track: Also write parameters and curves for other tools: ``tensorboard``, ``mlflow``, ``wandb``, or what a
            package registered; one name or several.
        devices: Processes to train with on this machine (needs ``out``). Under a ``torchrun`` of the user's own, on
            one machine or many, this process takes its part in what that began.
        restarts: How often all processes start again, from the last checkpoint, when one of them was killed.
        listeners: Told of every event of training (in one process only), after the run's own.
        announce: Called before training with the data as they were understood and the spec (in one process only).
        **more: Further settings by name.

    Returns:
        The trained run.

    Raises:
        UserError: Data or settings cannot be used; the message says why and what to do.
        TrainingError: The loss would not stay finite, or the folder was removed in the meantime.
        RunInterrupted: A signal came; the run is saved and can be resumed.

    Example:
        >>> run = fit("digits", steps=2, n_latent=2)
        >>> run.encode(run.dataset("digits")).shape
        (1797, 2)
    """
    given, trackers = as_written({**(settings or {}), **more}), names_of(track, tensorboard=tensorboard)
    request = sort_settings(data, kind, given)
    private = begun(data, request, devices=devices)
    if devices > 1 and "RANK" not in os.environ:
        return launch(data, recipe=recipe, out=out, kind=kind, settings=given, overwrite=overwrite, devices=devices,
                      restarts=restarts, track=trackers)
    with process_group() as comms, ExitStack() as stack:
        if out is not None and comms.decided(by_first=jobs.began(user_path(out, output=True))):
            return _again(user_path(out), data, progress=progress, track=track, listeners=listeners)
        place = stack.enter_context(reserved(out, overwrite=overwrite, main=comms.is_main))
        dataset = opened(data, request, comms) if private is None else private.open(data)
        proposal = dataset.propose()
        recipe = recipe or proposal.recipe
        proposed = {**proposal.training, **RECIPES[recipe].training}
        wanted = request.training.proposed(proposed) if private is None else private.settings(dataset, proposed)
        model, objective = make(
            recipe, dataset, request.model if private is None else private.small(request.model), wanted.seed,
            private=private is not None,
        )
        if wanted.init_from is not None:
            begun_from(model, wanted.init_from)
        if private is None:
            refuse_sampler(model, dataset, wanted)
        spec = bundle.new_spec(
            recipe=recipe, settings=given, training=wanted, data_schema=dataset.schema.model_dump(mode="json"),
            source=name_of(data), model=model, objective=objective,
            privacy=None if private is None else private.promise(dataset, model, objective, wanted),
        )
        place.create(lambda folder: _begin(folder, spec))
        if private is not None:
            private.keep(place.work)
        if announce is not None:
            announce(dataset, spec)
        comms.barrier()
        own = listeners_of(spec, place, comms, progress=_shown(progress), track=trackers)
        heard = [*own, *listeners]
        return train(dataset, model, objective, spec, place, comms, heard, fresh=True,
                     secret=None if private is None else private.secret)


def _begin(folder: Path, spec: bundle.Spec) -> None:
    bundle.save_spec(folder, spec)
    jobs.sign(folder)


def _again(
    folder: Path, data: object, *, progress: bool | None, track: Sequence[str], listeners: Sequence[Listener]
) -> Run:
    """Go on with what this very job began before ``torchrun`` started it again, or return it where it is finished."""
    if jobs.ended(folder):
        return load(folder)
    return resume(folder, data=data, progress=progress, track=track, listeners=listeners)


def resume(
    path: str | Path, *, data: object = None, progress: bool | None = None, track: str | Sequence[str] = (),
    listeners: Sequence[Listener] = (), **more: Any,
) -> Run:
    """Go on with a run that was stopped, to the same weights as if it had not been.

    Where a run was being trained to replace the one in the folder, it is that one which goes on.

    Args:
        path: Folder of the run.
        data: The same data, where they did not come from a path.
        progress: As in :func:`fit`.
        track: Likewise.
        listeners: Likewise.
        **more: ``epochs`` or ``steps`` may be raised, and ``shard_model`` set; every other setting is the run's own.

    Raises:
        BundleError: There is nothing to resume, or the data are not the same.
        OutputError: Another process trains in the folder.
    """
    with reopened(user_path(path), main=is_main()) as place:
        return _go_on(place, data, more, progress=_shown(progress), track=names_of(track), listeners=listeners)


def _go_on(
    place: Place, data: object, more: Mapping[str, Any], *, progress: bool, track: Sequence[str],
    listeners: Sequence[Listener],
) -> Run:
    folder = place.work
    assert folder is not None  # it was opened
    begun = (folder / bundle.CHECKPOINT).is_file()
    if not begun and (folder / bundle.WEIGHTS).is_file():
        raise BundleError(
            f"The run {str(folder)!r} is finished, and it was saved from memory, without the state of its optimiser. "
            "Use it, or train on with senzai.train_on(run, data)."
        )
    spec = bundle.read_spec(folder)
    bundle.need_packages(spec.plugins)
    schema = Schema.model_validate(spec.data_schema)
    longer = spec.model_copy(update={"training": lengthened(spec.training, more)})
    request = sort_settings(None, schema.kind, spec.settings)
    secret = None if spec.privacy is None else key_of(folder)
    source = source_of(spec, data)
    with process_group() as comms:  # what a private run estimated has its noise; it is not estimated again
        dataset = opened(source, request, comms) if secret is None else open_data(source, schema=schema)
        _need_same(dataset, schema)
        if begun:
            with locally_seeded(0):
                model, objective = spec.make_model(), spec.make_objective()
        else:  # killed before the first checkpoint: start again, from the same weights
            settings = request.model if secret is None else smaller(request.model)
            model, objective = make(spec.recipe, dataset, settings, spec.training.seed, private=secret is not None)
            if spec.training.init_from is not None:
                begun_from(model, spec.training.init_from)
        if longer != spec and comms.is_main:
            bundle.save_spec(folder, longer)  # so that a stop on the way is resumed to the new end
        heard = [*listeners_of(longer, place, comms, progress=progress, track=track), *listeners]
        return train(dataset, model, objective, longer, place, comms, heard, fresh=False, secret=secret)


def _need_same(dataset: Dataset, schema: Schema) -> None:
    if dataset.schema.fingerprint != schema.fingerprint:
        raise BundleError(
            f"Resuming needs the very data of the run ({schema.n_rows} rows, {schema.fingerprint}), but got "
            f"{dataset.schema.n_rows} rows, {dataset.schema.fingerprint}. Give the same data, or train a new run."
        )



def source_of(spec: bundle.Spec, data: object = None) -> object:
    """Return the data if given, else what a run was trained on.

    Raises:
        BundleError: That is not to be had without help.
    """
    if data is not None:
        return data
    if is_at_hand(spec.source):
        return spec.source
    raise BundleError(
        f"The run was trained on {spec.source!r}, which is not here. "
        "Put it back, or give the data: senzai.resume(path, data=...)."
    )


def make(
    recipe: str, dataset: Dataset, settings: Mapping[str, Any], seed: int, *, private: bool = False
) -> tuple[Generative, Objective]:
    """Return a recipe's model, initialised from training rows (a private one from rows made up), and its objective."""
    first = first_rows(dataset, seed, private=private)
    with locally_seeded(derive(seed, "weights")):
        model, objective = build(recipe, frame_of(dataset, first, settings))
        tell_entries(model, dataset.rows.known)
        model.initialise(first)
    return model, objective


def frame_of(dataset: Dataset, first: Batch, settings: Mapping[str, Any]) -> Frame:
    """Return where a recipe's parts meet the data and the settings.

    Args:
        dataset: The data.
        first: Some training rows.
        settings: What the user set about the model.
    """
    rows = dataset.split_indices()["train"]
    return Frame(
        dataset.schema.flat_shape, dataset.propose(), masked=first.mask is not None, ragged=first.lengths is not None,
        n_classes=0 if dataset.schema.label is None else len(dataset.schema.label.classes), n_rows=len(rows),
        n_numbers=len(dataset.schema.quantities),
        n_facts=0 if dataset.rows.known is None else dataset.rows.known.shape[1],
        names=tuple(map(str, dataset.schema.columns or ())),
        number_names=tuple(q.name for q in dataset.schema.quantities),
        n_condition=0 if first.c is None else first.c.shape[1], n_labelled=n_labelled(dataset, rows),
        settings=Settings(settings), modal_masks=_named(first.mask), modal_lengths=_named(first.lengths),
    )


def _named(data: Data | None) -> frozenset[str] | None:
    """Return the modalities that data name; ``None`` where they are of one tensor."""
    return frozenset(data) if isinstance(data, dict) else None


def n_labelled(dataset: Dataset, rows: np.ndarray[Any, Any]) -> int:
    """Return how many of some rows have a label."""
    targets = dataset.rows.targets
    if targets.y is None:
        return 0
    return len(rows) if targets.known is None else int(targets.known[torch.from_numpy(rows)].sum())


def name_of(data: object) -> str:
    """Return what a run calls its data: where they are, if they can be found again."""
    if isinstance(data, str | Path):
        lite, _, file = str(data).partition(":///")
        if lite == "sqlite" and os.path.isfile(file):
            return f"sqlite:///{Path(file).resolve()}"
        there = os.path.exists(os.path.expanduser(data))
        return str(user_path(data).resolve()) if there else without_password(str(data))
    return f"a {type(data).__name__}{IN_MEMORY}"


def _shown(progress: bool | None) -> bool:
    return sys.stderr.isatty() or notebook() is not None if progress is None else progress
