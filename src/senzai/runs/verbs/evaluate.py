"""Evaluation of a run: its settings, and what measures need beside the rows: training rows, other data, factors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...core.batch import Batch, Data
from ...core.errors import InputError, SettingError
from ...core.files import user_path
from ...core.random import derive
from ...core.registry import suggestion
from ...data import KINDS, Dataset, Kind, Schema
from ...data.histories import items_of
from ...data.limits import guarded, need_no_holes, need_regular, need_sound_archive
from ...data.returns import settled
from ...data.sparse import entries
from ...evaluation import MEASURES, Extras, chosen, likelihood_figures
from ...evaluation import evaluate as measured
from ...evaluation.features import Features
from ...evaluation.shadows import Shadows
from ...evaluation.stylised import Market
from ...evaluation.users import Users
from ...training.samplers import PRIOR
from ...training.trained import Trained
from .registry import beside, verb

TRAIN_ROWS, OTHER_ROWS = 10_000, 2000
OF = ("n", "seed", "split", "rows_available", "data")
"""What says of which rows a number is."""
Numbers = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """What is asked of an evaluation; see :meth:`senzai.Run.evaluate`.

    Args:
        split: ``train``, ``validation``, ``test`` or ``all``; by default test rows, or all of other data.
        k: Draws per row of the importance-weighted likelihood.
        seed: Seed of rows and draws.
        rows: Rows to use at most; ``None`` uses all.
        only: Measures to take instead of everything else.
        also: Measures to take besides the usual ones.
        against: Another data set of the same shape, of which the model should say that it is anomalous.
        factors: Known factors of all rows, a table or a file.
        anomaly: The class whose rows are anomalies.
        features: What samples are compared in.
        shadows: Runs to train for the measure ``membership_shadows``, an even number.
        budget: Seconds there are for the measures.
        announce: Told the seconds each part is expected to take.
    """

    split: str | None = None
    k: int = 500
    seed: int = 0
    rows: int | None = 10_000
    only: Sequence[str] | None = None
    also: Sequence[str] = ()
    against: Any = None
    factors: Any = None
    anomaly: Any = None
    features: Sequence[str | Features] = ("pca",)
    shadows: int = 16
    budget: float | None = None
    announce: Callable[[dict[str, float]], None] | None = None


@verb("evaluate", group="Judge", takes="own rows", answers="document", settings=EvaluateSettings, steered=False)
def evaluate(run: Trained, data: object, asked: EvaluateSettings) -> dict[str, Any]:
    """Measure how good a model is on rows it was not trained on, in nats a row."""
    dataset = run.dataset(run.source(data))
    whole = run.part(dataset, asked.split)
    rows, k, seed, base = asked.rows, asked.k, asked.seed, asked.only is None
    index = whole
    most = len(whole) if rows is None else dataset.rows.at_once(rows)
    if len(whole) > most:
        index = np.sort(np.random.default_rng(derive(seed, "evaluated rows")).choice(whole, most, replace=False))
    batch, step = dataset.batch(index), run.discrete_step()
    found = measured(
        run.model, batch, k=k, seed=seed, discrete_step=step, base=base, measures=chosen(asked.only, asked.also),
        extras=extras_of(run, dataset, index, asked), budget=asked.budget, announce=asked.announce,
    )
    if base and run.samplers.chosen != PRIOR:
        figures = likelihood_figures(run.samplers.apply_to(run.model), batch, k=k, seed=seed, discrete_step=step)
        found["sampler"] = {"name": run.samplers.chosen, **figures}
    found["split"] = asked.split or ("test" if len(whole) < len(dataset) else "all")
    found |= {"rows_available": len(whole), "data": dataset.schema.fingerprint}
    if run.spec.privacy is not None:
        found["privacy"] = "These figures come from rows without noise: the guarantee of the run is not theirs."
    run.keep(lambda kept: {**kept, "evaluate": joined(kept.get("evaluate", {}), found, whole=base)})
    return found


def extras_of(run: Trained, dataset: Dataset, index: Numbers, asked: EvaluateSettings) -> Extras:
    """Gather what measures may need.

    Args:
        run: What is judged.
        dataset: Where the judged rows come from.
        index: Their numbers in it.
        asked: What is known besides, and the seed of the rows that are chosen.
    """
    schema, seed, factors, anomaly = run.schema, asked.seed, asked.factors, asked.anomaly
    against = None if asked.against is None else run.dataset(asked.against)
    return Extras(
        train=training_rows(schema, dataset, lambda: run.dataset(run.source()), seed=seed),
        other=None if against is None else some_rows(against, np.arange(len(against)), OTHER_ROWS, seed=seed),
        factors=None if factors is None else read_factors(factors, len(dataset))[index],
        anomaly=None if anomaly is None else class_number(anomaly, schema),
        features=tuple(asked.features), noise=KINDS[schema.kind].shows == "draws",
        sampler=run.samplers.apply_to(run.model), kind=schema.kind, figures=figures_of(schema, seed),
        distance=distance_of(schema),
        numbers=tuple(q.name for q in schema.quantities),
        pairs=pairs_of(schema), steps=len(schema.fields) == 1 and schema.field.axes[0].name == "step",
        seconds=KINDS[schema.kind].seconds(schema),
        users=users_of(schema, dataset, index, lambda: run.dataset(run.source())),
        market=market_of(run, dataset, index), held_out=is_held_out(run, dataset, asked.split),
        shadows=shadows_of(run, dataset, index, asked),
    )


def shadows_of(run: Trained, dataset: Dataset, index: Numbers, asked: EvaluateSettings) -> Shadows | None:
    """Return how runs like this one are trained, where a measure that was asked for trains some."""
    named = (MEASURES[name] for name in chosen(asked.only, asked.also))
    if not any(m.trains for m in named) or not is_held_out(run, dataset, asked.split):
        return None
    found: Shadows = beside("shadows").shadows_of(run, dataset, index, asked.shadows)
    return found


def is_held_out(run: Trained, dataset: Dataset, split: str | None) -> bool:
    """Whether judged rows are those of the run's own data that it did not train on."""
    own = dataset.schema.fingerprint == run.schema.fingerprint
    return own and split in (None, "test", "validation") and len(dataset.split_indices()[split or "test"]) > 0


def market_of(run: Trained, dataset: Dataset, index: Numbers) -> Market | None:
    """Return returns of training and judged days, and ways to paths of them; ``None`` where rows are no returns."""
    returns = dataset.kind.returns(run.schema)
    own = None if returns is None else training_data(run.schema, dataset, lambda: run.dataset(run.source()))
    if returns is None or own is None:
        return None
    seen, held = returns.seen(own.source), returns.seen(dataset.source)
    lines = returns.covered(own.source, own.split_indices()["train"])
    judged = np.isin(held.lines, returns.covered(dataset.source, index))
    first = returns.usual() if returns.filtered else None
    left = returns.left(own.source, lines) if returns.filtered else None

    def paths(x: Tensor, n: int) -> Numbers:
        whole = (settled(x) if returns.filtered else x)[: len(x) // n * n]
        return returns.paths(whole.reshape(n, -1, x.shape[2]), first)

    def again(n: int, steps: int, seed: int) -> Numbers:
        assert left is not None
        chosen = np.random.default_rng(derive(seed, "again")).integers(len(left), size=(n, steps))
        return returns.again(left[chosen], first)

    train = seen.returns[np.isin(seen.lines, lines)]
    return Market(train, held.returns[judged], paths, None if left is None else again, run.schema.event_shape[0])


def figures_of(schema: Schema, seed: int) -> Callable[[Data, Data], Mapping[str, float]] | None:
    """Return what the kind of the data says of new rows beside training rows; ``None`` where it says nothing."""
    kind = KINDS[schema.kind]
    if type(kind).sample_figures is Kind.sample_figures:
        return None

    def figures(made: Data, known: Data) -> Mapping[str, float]:
        return kind.sample_figures(kind.decode(made, schema), kind.decode(known, schema), schema, seed=seed)

    return figures


def distance_of(schema: Schema) -> Callable[[Data, Data], Mapping[str, float]] | None:
    """Return how far the kind of the data says that new rows are from training rows; ``None`` where it does not say."""
    kind = KINDS[schema.kind]
    if type(kind).sample_distance is Kind.sample_distance:
        return None
    return lambda made, known: kind.sample_distance(kind.decode(made, schema), kind.decode(known, schema), schema)


def pairs_of(schema: Schema) -> Callable[[Data, Data], Mapping[str, Any]] | None:
    """Return what the kind of the data says of rows beside reconstructions; ``None`` where it says nothing."""
    kind = KINDS[schema.kind]
    if type(kind).row_figures is Kind.row_figures:
        return None
    return lambda rows, made: kind.row_figures(kind.decode(rows, schema), kind.decode(made, schema), schema)


def users_of(schema: Schema, dataset: Dataset, index: Numbers, source: Callable[[], Dataset]) -> Users | None:
    """Return the judged rows as users of whom items are held out; ``None`` where rows are no sets of items."""
    if items_of(schema) is None:
        return None
    kind, own = dataset.kind, training_data(schema, dataset, source)
    judged = kind.histories(dataset.rows, dataset.schema, index)
    if own is None or judged is None:
        return None
    parts = own.split_indices()
    held = kind.histories(own.rows, own.schema, parts["validation"]) if len(parts["validation"]) else None
    return Users(judged, entries(own.rows, parts["train"]), held)


def joined(before: Mapping[str, Any], found: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
    """Return what a run keeps of an evaluation and of those before it.

    The figures of every model are those of the last whole evaluation. A measure stays until it is taken again; where
    it is of other rows than those figures, it says of which under ``of``.

    Args:
        before: What was kept.
        found: What was measured now.
        whole: Whether the figures of every model are among it.

    Example:
        >>> first = {"n": 9, "split": "test", "elbo": -1.0, "measured": {}, "not_measured": {"map": "..."}}
        >>> kept = joined(first, {"n": 4, "split": "train", "measured": {"map": {}}, "not_measured": {}}, whole=False)
        >>> kept["n"], kept["elbo"], kept["measured"], kept["not_measured"]
        (9, -1.0, {'map': {'of': {'n': 4, 'split': 'train'}}}, {})
    """
    base = found if whole or not before else before
    mine = {name: base[name] for name in OF if name in base}
    measured: dict[str, Any] = {}
    for source in (before, found):
        for name, values in source.get("measured", {}).items():
            of = values.get("of") or {key: source[key] for key in OF if key in source}
            plain = {key: value for key, value in values.items() if key != "of"}
            measured[name] = plain if of == mine else {**plain, "of": of}
    now = found.get("not_measured", {})
    tried = {k: why for k, why in now.items() if k in found.get("timing", {}).get("measures", {})}
    missed = {**now, **base.get("not_measured", {}), **tried}
    seconds = {k: v for s in (before, found) for k, v in s.get("timing", {}).get("measures", {}).items()}
    kept = {**base, "measured": measured, "not_measured": {k: v for k, v in missed.items() if k not in measured}}
    return kept | ({"timing": {**base["timing"], "measures": seconds}} if "timing" in base else {})


def some_rows(dataset: Dataset, index: Numbers, most: int, *, seed: int) -> Batch:
    """Return at most so many of the rows, chosen at random."""
    most = dataset.rows.at_once(most)
    if len(index) > most:
        index = np.sort(np.random.default_rng(derive(seed, "some rows")).choice(index, most, replace=False))
    return dataset.batch(index)


def training_rows(schema: Schema, dataset: Dataset, source: Callable[[], Dataset], *, seed: int) -> Batch | None:
    """Return rows the model was trained on, or ``None`` where they are not to be had."""
    own = training_data(schema, dataset, source)
    rows: Numbers = np.arange(0) if own is None else own.split_indices()["train"]
    return some_rows(own, rows, TRAIN_ROWS, seed=seed) if own is not None and len(rows) else None


def training_data(schema: Schema, dataset: Dataset, source: Callable[[], Dataset]) -> Dataset | None:
    """Return the data that the model was trained on: these, or those of the run; ``None`` where they are not here."""
    if dataset.schema.fingerprint == schema.fingerprint:
        return dataset
    try:
        found = source()
    except InputError:
        return None
    return found if found.schema.fingerprint == schema.fingerprint else None


def class_number(name: object, schema: Schema) -> int:
    """Return the number of a class by its name.

    Raises:
        SettingError: The data have no such class.
    """
    classes = [] if schema.label is None else [str(c) for c in schema.label.classes]
    if str(name) not in classes:
        known = f"Known: {', '.join(classes[:20])}." if classes else "The data have no labels."
        near = suggestion(str(name), classes)
        raise SettingError(f"`anomaly` names a class of the data, but got {name!r}.{near} {known}")
    return classes.index(str(name))


def read_factors(given: object, n: int) -> Numbers:
    """Return known factors as whole numbers, ``(n, F)``; values that are not whole are numbered in their order.

    Args:
        given: A table, or a file: ``.npy``, ``.npz`` (its only array, or the one named ``factors``), or CSV with a
            header line.
        n: Rows there must be.

    Raises:
        InputError: It cannot be read, or has other rows than the data.
    """
    try:
        table = np.asarray(_load(Path(given)) if isinstance(given, str | Path) else given)
    except (OSError, ValueError, MemoryError) as error:
        raise InputError(f"Factors must be a table of numbers, but {str(given)!r} cannot be read: {error}.") from error
    if isinstance(given, torch.Tensor):
        table = given.cpu().numpy()
    if table.ndim != 2 or len(table) != n or not np.issubdtype(table.dtype, np.number):
        raise InputError(
            f"Factors need one row of numbers for each of the {n} rows of data, but got {table.dtype} of the shape "
            f"{table.shape}. Give all rows, in the order of the data."
        )
    if np.issubdtype(table.dtype, np.integer):
        return table.astype(np.int64)
    return np.stack([np.unique(column, return_inverse=True)[1] for column in table.T], 1)


def _load(path: Path) -> Numbers:
    with guarded(need_regular(user_path(path))):
        if path.suffix == ".csv":
            need_no_holes(path)
            return np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
        if path.suffix != ".npz":
            return np.array(np.load(path, allow_pickle=False, mmap_mode="r"))  # which cannot announce more than it has
        need_sound_archive(path)
        with np.load(path, allow_pickle=False) as file:
            name = "factors" if "factors" in file else file.files[0]
            return np.asarray(file[name])
