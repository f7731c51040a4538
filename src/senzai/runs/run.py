"""The run: a trained model with the schema of its data, and its verbs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.batch import Batch
from ..core.errors import InputError, SettingError, UnknownNameError
from ..core.files import user_path
from ..data import KINDS, Dataset, Kind, Schema, open_data
from ..data.sources import is_at_hand
from ..models.generative import Generative
from ..training import bundle
from ..training.listeners import read_history
from ..training.places import SAMPLERS
from ..training.samplers import PRIOR, Samplers, load_samplers
from .card import write_card
from .methods import Methods
from .verbs.registry import do, verb_named

if TYPE_CHECKING:
    from ..evaluation.scores import Reference
    from .stepwise import StepScores

INSTANCE = ("lock", "spec", "model", "folder", "metrics", "reference", "heard")
"""Attributes that every run is given; one that is missing was not made to its end, and is no verb."""
ROWS_AT_ONCE = 8192
NUMBERS_AT_ONCE = 40_000_000


class Run(Methods):
    """A trained model that takes and returns what its user has.

    Besides the verbs below it has those that other packages register (``senzai verbs`` lists all). Threads may share a
    run: one verb at a time uses it.

    Every verb takes data in any form its kind reads (a path, an array, a DataFrame …) and gives back the same form.
    Points by default; draws take ``seed=``. A draw for a row (``encode``, ``reconstruct``, ``predict``, ``impute``,
    ``score``) follows from the seed and from what is in the row, not from its place or from the rows beside it; rows
    that are alike get draws of their own, in turn. What is estimated for a data set (``evaluate``,
    ``log_likelihood``) numbers its rows.

    Args:
        spec: What was trained, and on what.
        model: The trained model.
        folder: Where it is saved, if it is.
    """

    def __init__(self, spec: bundle.Spec, model: Generative, *, folder: Path | None = None) -> None:
        self.spec, self.model, self.folder = spec, model.eval(), folder
        self.metrics: dict[str, Any] = {}
        self.reference: Reference | None = None
        self.heard: list[dict[str, Any]] = []
        self.lock = RLock()

    def __repr__(self) -> str:
        return f"Run(recipe={self.spec.recipe!r}, kind={self.schema.kind!r}, shape={self.schema.shape_words!r})"

    def _repr_html_(self) -> str:
        """Return what notebooks show: what the run is, its numbers and curves, and which verbs fit it."""
        from .shown import as_html

        return as_html(self)

    @cached_property
    def samplers(self) -> Samplers:
        """What samples are drawn from, read from the run's folder when it is first asked for.

        Raises:
            BundleError: Their file is damaged.
        """
        told = self.metrics.get("fit", {}).get("sampler", {})
        if self.folder is not None and (self.folder / SAMPLERS).is_file():
            return load_samplers(self.folder, self.model)
        if told.get("chosen") != PRIOR:
            return Samplers()
        return Samplers(why=told["why"], candidates=told["candidates"])  # none was fitted, and this is why

    # --- what it is -------------------------------------------------------------------------------------------------
    @cached_property
    def schema(self) -> Schema:
        """What the training data are."""
        return Schema.model_validate(self.spec.data_schema)

    @property
    def kind(self) -> Kind:
        """The kind of its data, which knows how they are read, shown and written."""
        return KINDS[self.schema.kind]

    @property
    def history(self) -> list[dict[str, Any]]:
        """Progress, validations and warnings of training."""
        return self.heard or ([] if self.folder is None else read_history(self.folder / bundle.HISTORY))

    def dataset(self, data: object, *, options: Mapping[str, Any] | None = None) -> Dataset:
        """Return ``data`` as this model reads them; a data set is returned as it is.

        They are read as :func:`fit` read its own (sheet, query, encoding ...). Other data may need options of their
        own: every verb takes ``run.dataset(data, options={"sheet": "y2021"})`` in place of ``data``.

        Raises:
            ShapeError: They do not have the shape or columns the model was trained on.
            SettingError: An option is unknown, or is about what the model has decided.
        """
        return data if isinstance(data, Dataset) else open_data(data, schema=self.schema, options=options)

    def part(self, data: object, split: str | None = None) -> np.ndarray[Any, Any]:
        """Return row numbers of a split; by default the test rows of the training data, all rows of other data.

        Raises:
            SettingError: There is no such split.
        """
        dataset = self.dataset(data)
        own = dataset.schema.fingerprint == self.schema.fingerprint
        name = split or ("test" if own else "all")
        if name == "all":
            return np.arange(len(dataset))
        parts = dataset.split_indices()
        if name not in parts:
            raise SettingError(f"`split` is one of {', '.join(parts)}, all, but got {name!r}.")
        return parts[name]

    def pieces(self, dataset: Dataset) -> Iterator[tuple[int, Batch]]:
        """Yield the first row of a piece, and the piece; each fits memory."""
        rows = max(1, min(ROWS_AT_ONCE, NUMBERS_AT_ONCE // self.schema.size))
        for start in range(0, len(dataset), rows):
            yield start, dataset.batch(np.arange(start, min(start + rows, len(dataset))))

    def source(self, data: object = None) -> object:
        """Return ``data`` if given, else what the run was trained on.

        Raises:
            InputError: The training data are not where they were.
        """
        if data is None and not is_at_hand(self.spec.source):
            raise InputError(
                f"The run was trained on {self.spec.source!r}, which is not here. Put it back, or give the data."
            )
        return self.spec.source if data is None else data

    # --- verbs -------------------------------------------------------------------------------------------------------
    def do(self, name: str, /, *inputs: Any, **settings: Any) -> Any:
        """Do a verb by its name, whoever registered it; one verb at a time uses a run.

        Raises:
            UnknownNameError: There is none of this name.
            CombinationError: It does not fit the run; the message says why.
        """
        return do(self, name, *inputs, **settings)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return a verb that was registered under this name, as a method."""
        if name.startswith("_") or name in INSTANCE:
            raise AttributeError(f"A run has no attribute {name!r}.")
        try:
            found = verb_named(name)
        except UnknownNameError as err:
            raise AttributeError(f"A run has neither an attribute nor a verb {name!r}. {err}") from None
        method = partial(self.do, name)
        method.__doc__ = found.run.__doc__ or found.summary
        return method

    def stream(self, *, k: int = 4, seed: int = 0) -> StepScores:
        """Return what scores the steps of one series as they come: ``stream.push(step)``, then ``stream.finish()``.

        Raises:
            CombinationError: The run is not of series, or of returns.
        """
        from .stepwise import StepScores

        return StepScores(self, k=k, seed=seed)

    def keep(self, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Change the numbers measured so far, in memory and in the run's folder, where others may add to them too."""
        if self.folder is None:
            self.metrics = change(self.metrics)
            return
        self.metrics = bundle.change_metrics(self.folder, change, known=self.metrics)
        write_card(self.folder, self.folder.name, self.spec, self.schema, self.metrics)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, lock=RLock())

    def discrete_step(self) -> float | None:
        """Distance of neighbouring values where the data are discrete, for densities that treat them as continuous."""
        supports = [field.support for field in self.schema.fields.values()]
        return 1.0 if len(supports) == 1 and supports[0] in ("binary", "levels", "count") else None

    # --- saving -----------------------------------------------------------------------------------------------------
    def save(self, path: str | Path) -> Path:
        """Write the run to a new folder: all it knows, but not the state of the optimiser, so that it is not resumed.

        Raises:
            OutputError: The folder exists or cannot be written.
        """
        from .verbs.saving import save

        with self.lock:
            self.folder = save(self, user_path(path, output=True))
        return self.folder


def load(path: str | Path) -> Run:
    """Return a saved run.

    A packed run and one on a hub are read and not written to: what is measured stays in memory until ``run.save``.

    Args:
        path: Its folder, a packed run (``run.zip``), or ``hf://user/name`` (``hf://user/name@revision``).

    Raises:
        BundleError: It is no run, is damaged, unfinished, of a newer version, or comes with what is no part of a run.
        InputError: There is no such run on the hub, or it may not be read.
    """
    from ..sharing import at_hand

    with at_hand(path) as (folder, stays):
        spec = bundle.read_spec(folder)
        run = Run(spec, bundle.load_model(folder, spec), folder=folder)
        run.metrics = bundle.read_metrics(folder)
        if not stays:
            _detach(run)
    return run


def _detach(run: Run) -> None:
    """Read all that is left of a run whose folder goes or is not to be written to, and forget the folder."""
    from .verbs.score import kept_reference

    run.heard, run.reference = run.history, kept_reference(run)
    _ = run.samplers  # read now, and kept
    run.folder = None
