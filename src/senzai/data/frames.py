"""DataFrames of numbers: converted to one array and back, with column names and dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np

from senzai.core.errors import InputError, ShapeError
from senzai.core.registry import instead, suggestion

from .details import numbers_of
from .kind import Opened
from .labels import as_labels
from .options import Options
from .readers import Raw
from .rows import Array
from .schema import Schema
from .values import cast


def from_frame(raw: Raw, options: Options, schema: Schema | None, *, origin: str) -> Opened:
    """Take the features and the label out of a DataFrame.

    Raises:
        InputError: A column does not hold numbers.
        ShapeError: A column of the schema is missing.
    """
    frame, notes = raw.x, list(raw.notes)
    label = _label_column(frame, options, schema, origin)
    y, name = (raw.y, raw.label_name) if label is None else (frame[label].to_numpy(), str(label))
    features = _features(frame, label, schema, notes, origin)
    if not len(features.columns) or not len(features):
        raise InputError(f"Data need at least one row and one feature, but {origin} has the shape {features.shape}.")
    refuse_text(features, origin)
    if y is not None and len(y) != len(frame):
        raise InputError(
            f"There must be one label per row, but there are {len(frame)} rows and {len(y)} labels. "
            "Give labels for the same rows."
        )
    x = _to_array(features)
    return Opened(
        data=x, n_rows=len(x), dtype=x.dtype.name, form="pandas", origin=origin, label_name=name,
        labels=None if y is None else as_labels(y), label_asked=raw.label_asked or label is not None,
        columns=tuple(c if isinstance(c, int) else str(c) for c in features.columns.tolist()), index=frame.index,
        notes=tuple(notes), facts={"dtypes": [str(t) for t in features.dtypes]},
    )


def _label_column(frame: Any, options: Options, schema: Schema | None, origin: str) -> Any:
    asked = options.label
    names = frame.columns.tolist()
    if asked is not None:
        found = next((c for c in names if c == asked or str(c) == str(asked)), None)
        if found is None and schema is None:
            known = [str(c) for c in names]
            raise InputError(f"{origin} has no column {asked!r} for the label.{instead(str(asked), known)}")
        return found
    if schema is None or schema.label is None or schema.columns is None:
        return None
    return schema.label.name if schema.label.name in names and schema.label.name not in schema.columns else None


def _features(frame: Any, label: Any, schema: Schema | None, notes: list[str], origin: str) -> Any:
    if not frame.columns.is_unique:
        twice = frame.columns[frame.columns.duplicated()].tolist()[:3]
        raise InputError(f"Column names must be different, but {origin} has {twice} more than once. Rename them.")
    features = frame if label is None else frame.drop(columns=[label])
    if schema is None or schema.columns is None:
        return features
    by_name = {str(c): c for c in features.columns}
    missing = [str(c) for c in schema.columns if str(c) not in by_name]
    if missing:
        hint = suggestion(missing[0], list(by_name))
        raise ShapeError(
            f"The model was fitted on {len(schema.columns)} columns, but {origin} lacks {', '.join(missing[:5])}"
            f"{' ...' if len(missing) > 5 else ''}.{hint} Add them, or fit again without them."
        )
    wanted = {str(c) for c in schema.columns}
    extra = [c for c in by_name if c not in wanted]
    if extra:
        notes.append(f"Columns that the model does not know were left out: {', '.join(extra[:5])}.")
    return features[[by_name[str(c)] for c in schema.columns]]


def refuse_text(frame: Any, origin: str) -> None:
    """Refuse columns that hold no real numbers, naming them."""
    import pandas as pd

    types = pd.api.types
    bad = [(c, t) for c, t in frame.dtypes.items() if not types.is_numeric_dtype(t) or types.is_complex_dtype(t)]
    if bad:
        some = ", ".join(f"{str(c)!r} ({t})" for c, t in bad[:3])
        raise InputError(
            f"Columns must hold real numbers, but {origin} has {len(bad)} that do not: {some}. "
            "Drop or encode them, or name the label with the option label=COLUMN."
        )


def _to_array(frame: Any) -> Array:
    kinds = {str(t) for t in frame.dtypes}
    plain = len(kinds) == 1 and isinstance(frame.dtypes.iloc[0], np.dtype)
    return np.array(frame.to_numpy()) if plain else np.array(frame.to_numpy(dtype=np.float64, na_value=np.nan))


def to_frame(x: Array, schema: Schema, *, soft: bool = False) -> Any:
    """Make the DataFrame again: names in their order, each column with its own dtype."""
    import pandas as pd

    names = list(schema.columns) if schema.columns is not None else None
    frame = pd.DataFrame(x, columns=names)
    dtypes = numbers_of(schema).dtypes
    if soft or dtypes is None:
        return frame
    columns = [_column(frame.iloc[:, i].to_numpy(), t) for i, t in enumerate(dtypes)]
    if names is None:
        names = list(range(len(columns)))
    return pd.DataFrame(dict(enumerate(columns))).set_axis(names, axis=1)


def _column(values: Array, dtype: str) -> Any:
    import pandas as pd

    kind = pd.api.types.pandas_dtype(dtype)
    plain = kind if isinstance(kind, np.dtype) else np.dtype(getattr(kind, "numpy_dtype", np.float64))
    return pd.Series(cast(values, plain)).astype(kind)


def with_index(frame: Any, index: Any) -> Any:
    """Give a DataFrame the row names of the data it belongs to."""
    return frame if index is None or len(index) != len(frame) else frame.set_axis(index, axis=0)
