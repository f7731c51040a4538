"""Opens any source as a data set, ready to be split and batched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from senzai.core.batch import Batch, Data, count
from senzai.core.errors import InputError, SettingError, UserError

from . import sources
from .budgeted import Budget
from .frames import with_index
from .kind import KINDS, Kind, Opened
from .limits import whole_text
from .options import Options, names_of, parse
from .proposal import Proposal
from .rows import BatchRows, ChosenRows, Rows, as_index
from .schema import Schema
from .split import split_indices

TIE, NEAR = 0.05, 0.3
"""Claims that lie as close as this are equal; others as close as that are named."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows with their schema, and the kind that converts them back.

    Args:
        schema: What the data are.
        rows: The rows in model values.
        kind: The kind that read them.
        index: Row names of the DataFrame they came from.
        source: What was read, as the kind keeps it: an array, or a table that can be gone through again.
    """

    schema: Schema
    rows: Rows
    kind: Kind
    index: Any = None
    source: Any = None

    def __len__(self) -> int:
        return len(self.rows)

    def split_indices(self) -> dict[str, NDArray[np.int64]]:
        """Return the row numbers of "train", "validation" and "test", as the schema divides them."""
        return split_indices(len(self), self.schema.split, self.rows.groups, self.rows.order)

    def batch(self, indices: Any = None) -> Batch:
        """Return some rows as a batch, all of them by default."""
        return self.rows.take(np.arange(len(self)) if indices is None else np.asarray(indices))

    def take(self, indices: Any) -> Dataset:
        """Return some of the rows as a data set, with their schema, labels, condition, lengths and names.

        It is not the training data any more, however it came about, and has no table to go through again.

        Example:
            >>> one = open_data((np.array([[0.5, np.nan], [2.0, 1.5]]), [3, 4]), options={"missing": "keep"}).take([0])
            >>> len(one), one.batch().observed.tolist(), one.rows.targets.y.tolist()
            (1, [[True, False]], [0])
        """
        at = as_index(np.asarray(indices))
        return replace(
            self, schema=self.schema.but(n_rows=len(at), fingerprint=""), rows=ChosenRows(self.rows, at),
            index=None if self.index is None else self.index[at],
            source=self.source[at] if isinstance(self.source, np.ndarray) else None,
        )

    def decode(self, x: Data, *, soft: bool = False, about: Mapping[str, Any] | None = None) -> Any:
        """Convert model values back to the user's form.

        Results for all rows also get the row names, and what ``Rows.about`` has for them where nothing else is given.
        """
        if about is None and count(x) == len(self):
            about = self.rows.about(np.arange(len(self)))
            back = self.kind.joined(x, self.schema, self.source, soft=soft, about=about)
        else:
            back = self.kind.decode(x, self.schema, soft=soft, about=about)
        return with_index(back, self.index) if self.schema.form in ("pandas", "column") else back

    def propose(self) -> Proposal:
        """Suggest a likelihood and a network."""
        return self.kind.propose(self.schema)


def joined(datasets: Sequence[Dataset]) -> Dataset:
    """Return the rows of several data sets, read with one schema, as one; it is nobody's training data.

    Raises:
        ShapeError: Some lack a condition or a label that others have.

    Example:
        >>> a, b = (open_data([[0.0, 1.0], [float(i), 1.0]]) for i in (2, 3))
        >>> joined([a, b]).batch([1, 3]).tensor[:, 0].tolist()
        [2.0, 3.0]
    """
    first = datasets[0]
    if len(datasets) == 1:
        return first
    n = sum(len(d) for d in datasets)
    return replace(
        first, schema=first.schema.model_copy(update={"n_rows": n, "fingerprint": ""}),
        rows=BatchRows([d.batch() for d in datasets]), index=None, source=None,
    )


def detect_kind(source: object, options: Mapping[str, Any] | None = None) -> str:
    """Return the name of the kind that a source is of.

    Raises:
        InputError: No kind claims it, or several are equally sure.

    Example:
        >>> detect_kind(np.zeros((5, 3))), detect_kind(np.zeros((5, 8, 8), dtype=np.uint8))
        ('array', 'images')
    """
    return _claimed(source, options or {})[0]


def _claimed(source: object, options: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Return the kind that is surest of a source, and a sentence where others are nearly as sure."""
    every = {name: kind.claims(source, options) for name, kind in KINDS.items()}
    claims = sorted(((c.confidence, name, c.why) for name, c in every.items() if c is not None), reverse=True)
    if not claims:
        known = "; ".join(f"{name} ({kind.title})" for name, kind in KINDS.items())
        raise InputError(
            f"Data are of a known kind, but got {_what(source)}. Known: {known}. Convert it, or choose with kind=..."
        )
    surest, name, why = claims[0]
    told = " or ".join(f"{n} (because {w})" for c, n, w in claims if surest - c < TIE)
    if len(claims) > 1 and surest - claims[1][0] < TIE:
        raise InputError(
            f"Data are of one kind, but {_what(source)} could be {told}, equally well. Choose one with kind=..."
        )
    others = ", ".join(f"{n} ({w})" for c, n, w in claims[1:] if surest - c < NEAR)
    return name, (f"Read as {name}, because {why}; it could also be {others}: choose with kind=...",) if others else ()


def _what(source: object) -> str:
    """Describe a source that no kind claims; of a folder, list what is in it."""
    path = sources.existing(source)
    if path is None or not path.is_dir():
        return f"a {type(source).__name__}" if path is None else repr(str(source))
    there = Counter(p.suffix.lower() or "no suffix" for p in path.rglob("*") if p.is_file())
    held = ", ".join(f"{suffix} ({n})" for suffix, n in there.most_common(5)) or "nothing"
    return f"the folder {str(source)!r}, which holds {held}"


def open_data(
    source: object,
    *,
    kind: str | None = None,
    schema: Schema | None = None,
    options: Mapping[str, Any] | None = None,
    budget: Budget | None = None,
) -> Dataset:
    """Read any data that a kind knows.

    Args:
        source: A path, the name of a built-in data set, an array, a tensor, a DataFrame, a list of rows,
            a data set with ``len`` and ``[i]``, or a pair ``(X, y)``.
        kind: Name of the kind, where it should not be detected.
        schema: Schema of a model: the data are checked against it and converted by its decisions, and read as the
            model's own were.
        options: Settings of the kind, by name; with ``schema``, only those that say how these data are read.
        budget: What may be looked at, where the data are private; everything by default.

    Returns:
        The data set. With ``schema``, its schema has the model's decisions and the outside of these data.

    Raises:
        InputError: The data cannot be used; the message says why and what to do.
        ShapeError: They do not have the shape or the columns of ``schema``.
        SettingError: An option is unknown or has a value it cannot take.

    Example:
        >>> data = open_data("digits")
        >>> data.schema.event_shape, data.schema.n_levels, len(data.schema.label.classes)
        ((1, 8, 8), 17, 10)
        >>> data.decode(data.batch([0]).x)[0, 3]
        array([ 0,  4, 12,  0,  0,  8,  8,  0], dtype=uint8)
    """
    if kind is not None and schema is not None and kind != schema.kind:
        raise InputError(f"The model was fitted on the kind {schema.kind!r}, but got kind={kind!r}. Leave it out.")
    known = kind or (None if schema is None else schema.kind)
    name, said = (known, ()) if known else _claimed(source, options or {})
    chosen = KINDS[name]
    given = dict(options or {}) if schema is None else as_before(schema, chosen.options, options or {})
    settings = parse(name, chosen.options, given)
    with whole_text():
        opened = _read(chosen, source, settings, schema)
        if schema is None:
            final = chosen.infer(opened, settings) if budget is None else chosen.infer_private(opened, settings, budget)
            reading = settings.about_reading(given)
            told = () if budget is not None else said
            final = final.model_copy(update={"reading": reading, "reasons": (*told, *final.reasons)})
        else:
            final = chosen.check(opened, schema, settings)
        if schema is None:
            final.model_dump_json()  # a run must be able to keep it
        else:
            "".join(final.reasons).encode()  # all that is not the model's own
        try:
            rows = chosen.rows(opened, final)
        except UserError as err:
            raise type(err)(f"{opened.origin}: {err}") from err
    rows.groups, rows.order = opened.groups, opened.order
    return Dataset(final, rows, chosen, opened.index, opened.data)


def _read(kind: Kind, source: object, settings: Options, schema: Schema | None) -> Opened:
    """Read a source; of one that is not there, say so as for every kind, with the names that are near."""
    try:
        return kind.read(source, settings, schema)
    except FileNotFoundError:
        sources.existing(source)
        raise


def public_template(source: object, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a public schema to fill in, from the names of columns alone.

    Args:
        source: A table.
        options: How it is read.

    Raises:
        CombinationError: It is no table.

    Example:
        >>> import pandas as pd
        >>> public_template(pd.DataFrame({"age": [3]}))["columns"][0]["name"]
        'age'
    """
    chosen = KINDS[detect_kind(source, options)]
    settings = parse(chosen.name, chosen.options, options)
    return chosen.template(_read(chosen, source, settings, None))


def as_before(schema: Schema, cls: type[Options], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the data of a model were read, with other options where these data have their own.

    Raises:
        SettingError: An option is about what the model has decided.
    """
    decided = [n for n in options if n.partition(".")[0] in cls.decisions]
    if decided:
        raise SettingError(
            f"What a model has decided holds for all its data, but got {', '.join(decided)}. Options of later data are "
            f"{', '.join(n for n in names_of(cls) if n not in cls.decisions)}; for another decision, fit again."
        )
    return {**schema.reading, **options}
