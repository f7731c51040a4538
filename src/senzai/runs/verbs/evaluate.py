"""What a run knows beside the rows that are judged: training rows, other data, factors, which class is strange."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...core.batch import Batch
from ...core.errors import InputError, SettingError
from ...core.files import user_path
from ...core.random import derive
from ...core.registry import suggestion
from ...data import Dataset, Schema
from ...data.limits import guarded, need_no_holes, need_regular, need_sound_archive
from ...evaluation import Extras
from ...evaluation.features import Features
from ...models.generative import Generative

TRAIN_ROWS, OTHER_ROWS = 10_000, 2000
OF = ("n", "seed", "split", "rows_available", "data")
"""What says of which rows a number is."""
Numbers = np.ndarray[Any, Any]


def extras_of(
    schema: Schema, dataset: Dataset, index: Numbers, source: Callable[[], Dataset], *, against: Dataset | None,
    factors: object, anomaly: object, features: tuple[str | Features, ...], seed: int, sampler: Generative,
) -> Extras:
    """Gather what measures may need.

    Args:
        schema: What the model was trained on.
        dataset: Where the judged rows come from.
        index: Their numbers in it.
        source: Opens the training data, where ``dataset`` are others.
        against: Another data set that should look strange.
        factors: Known factors of all rows of ``dataset``: a table or a file.
        anomaly: Class whose rows are anomalies.
        features: Names of features, or features of one's own.
        seed: Seed of the rows that are chosen.
        sampler: What new rows are drawn from.
    """
    return Extras(
        train=training_rows(schema, dataset, source, seed=seed),
        other=None if against is None else some_rows(against, np.arange(len(against)), OTHER_ROWS, seed=seed),
        factors=None if factors is None else read_factors(factors, len(dataset))[index],
        anomaly=None if anomaly is None else class_number(anomaly, schema),
        features=features, noise=schema.kind != "images", sampler=sampler,
    )


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
    if len(index) > most:
        index = np.sort(np.random.default_rng(derive(seed, "some rows")).choice(index, most, replace=False))
    return dataset.batch(index)


def training_rows(schema: Schema, dataset: Dataset, source: Callable[[], Dataset], *, seed: int) -> Batch | None:
    """Return rows the model was trained on, or ``None`` where they are not to be had."""
    if dataset.schema.fingerprint != schema.fingerprint:
        try:
            dataset = source()
        except InputError:
            return None
        if dataset.schema.fingerprint != schema.fingerprint:
            return None
    rows = dataset.split_indices()["train"]
    return some_rows(dataset, rows, TRAIN_ROWS, seed=seed) if len(rows) else None


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
