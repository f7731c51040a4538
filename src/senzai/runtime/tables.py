"""Rows of mixed columns: read from records, columns, frames or CSV, to model values and exactly back."""

from __future__ import annotations

import csv
import datetime
import decimal
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from . import numbers
from .errors import ExportedModelError
from .identifiers import new_texts
from .numbers import Array

MISSING = ("", "na", "n/a", "nan", "null", "none", "<na>")
OTHER = "(other)"


class TableRows:
    """What a description says about the columns of a table.

    Args:
        told: The description: ``columns``, each with all that the way there and back needs, ``unknown``, ``markers``,
            ``condition``.
    """

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        self.columns = [SimpleNamespace(**c) for c in told["columns"]]
        self.modelled = [c for c in self.columns if c.sort]
        self.missingness = [c for c in self.modelled if c.missingness]
        self.missing_names = {*MISSING, *(str(m).lower() for m in told.get("markers", ()))}
        self.shape = (self.n_features,)

    @property
    def n_features(self) -> int:
        """Numbers in a row."""
        return len(self.modelled) + len(self.missingness)

    # --- in ---------------------------------------------------------------------------------------------------------
    def read(self, data: Any) -> dict[str, list[Any]]:
        """Return records, columns, a frame, or a csv, json or jsonl file as lists by the names of columns."""
        if isinstance(data, str | Path):
            return columns_of(records_of(Path(data)))
        if hasattr(data, "columns") and hasattr(data, "__getitem__") and not isinstance(data, Mapping):
            return {str(n): list(np.asarray(data[n], dtype=object)) for n in data.columns}
        if isinstance(data, Mapping):
            return {str(n): list(v) if isinstance(v, Sequence | np.ndarray) and not isinstance(v, str) else [v]
                    for n, v in data.items()}
        return columns_of(list(data))

    def encode(self, data: Any, labels: Any = None) -> dict[str, Array]:
        """Return the inputs of graphs: ``x``, ``mask`` and, where the model is conditioned, ``c``."""
        given = self.read(data)
        lacking = [str(c.name) for c in self.modelled if str(c.name) not in given]
        if lacking:
            raise ExportedModelError(
                f"The model was fitted on {len(self.modelled)} columns, but the data lack {', '.join(lacking[:5])}. "
                "Add them; they may be empty."
            )
        n = len(given[str(self.modelled[0].name)])
        x, seen = np.zeros((n, self.n_features)), np.ones((n, self.n_features), dtype=bool)
        for i, column in enumerate(self.modelled):
            if len(given[str(column.name)]) != n:
                raise ExportedModelError(f"Columns have equally many cells, but {column.name!r} has another number.")
            x[:, i], seen[:, i] = self.to_model(given[str(column.name)], column)
        places = {str(c.name): i for i, c in enumerate(self.modelled)}
        for j, column in enumerate(self.missingness, len(self.modelled)):
            x[:, j] = ~seen[:, places[str(column.name)]]
        found = {"x": x.astype(np.float32), "mask": seen}
        names = (self.told.get("condition") or {}).get("names", ())
        codes = [numbers.condition_code(x[:, places[n]], seen[:, places[n]], self.modelled[places[n]]) for n in names]
        return found | ({"c": np.concatenate(codes, 1)} if codes else {})

    def to_model(self, cells: list[Any], column: Any) -> tuple[Array, Array]:
        """Return cells of a column as model values and where there are any."""
        plain = [self._plain(v) for v in cells]
        gone = np.array([v is None for v in plain], dtype=bool)
        if column.sort in ("category", "binary") or (column.sort == "steps" and not _numeric(column)):
            codes, seen = self._codes(plain, gone, column)
            return codes, seen
        x = np.zeros(len(plain))
        for i, v in enumerate(plain):
            if v is not None:
                x[i] = _number(v, i, column)
        if column.sort == "steps":
            first = column.levels[0] if column.ticks else 0
            return np.where(gone, 0.0, numbers.nearest_levels(x - first, column)), ~gone
        filled = np.where(gone, column.low if column.low is not None else 0.0, x)
        fine, rule = numbers.allowed(filled, column)
        bad = ~gone & ~fine
        if bad.any():
            at = int(np.flatnonzero(bad)[0])
            raise ExportedModelError(
                f"The column {column.name!r} takes {rule}, but got {cells[at]!r} in row {at}. Correct it, or leave it "
                "empty."
            )
        return np.where(gone, 0.0, numbers.forward(filled, column)), ~gone

    def _plain(self, value: Any) -> Any:
        if value is None or (isinstance(value, float) and np.isnan(value)) or str(value) in ("NaT", "<NA>"):
            return None
        if isinstance(value, str):
            return None if value.strip().lower() in self.missing_names else value
        return value.item() if isinstance(value, np.generic) and not isinstance(value, np.datetime64) else value

    def _codes(self, plain: list[Any], gone: Array, column: Any) -> tuple[Array, Array]:
        exact = {(type(v), v): i for i, v in enumerate(column.levels)}
        named = {_name(v): i for i, v in enumerate(column.levels)}
        truths = dict(zip((False, True), column.levels, strict=False)) if str(column.format or "").startswith(
            "truth") else {}
        out, seen = np.zeros(len(plain)), ~gone
        for i, v in enumerate(plain):
            if v is None:
                continue
            v = truths.get(v, v) if isinstance(v, bool) else v
            at = exact.get((type(v), v), named.get(_name(v, number=_numeric(column))))
            if at is None and column.other:
                at = len(column.levels)
            if at is None and self.told.get("unknown") == "missing":
                seen[i] = False
                continue
            if at is None:
                known = ", ".join(repr(k) for k in column.levels[:8])
                raise ExportedModelError(
                    f"The column {column.name!r} has the values {known}, but got {v!r} in row {i}, which was never "
                    "seen in training. Correct it, or leave it empty."
                )
            out[i] = at
        return out, seen

    # --- out --------------------------------------------------------------------------------------------------------
    def decode(self, x: Array, *, soft: bool = False, start: int = 0) -> dict[str, list[Any]]:
        """Return columns of plain values by name, ``None`` where a cell is missing."""
        values = np.asarray(x, dtype=np.float64)
        flags = {str(c.name): len(self.modelled) + j for j, c in enumerate(self.missingness)}
        found: dict[str, list[Any]] = {}
        i = 0
        for column in self.columns:
            if column.sort:
                cells = self.to_user(values[:, i], column)
                if str(column.name) in flags:
                    gone = values[:, flags[str(column.name)]] > 0.5
                    cells = [None if g else v for g, v in zip(gone, cells, strict=True)]
                found[str(column.name)] = cells
                i += 1
            elif column.type != "dropped":
                found[str(column.name)] = _not_modelled(column, len(values), start)
        return found

    def to_user(self, z: Array, column: Any) -> list[Any]:
        """Return model values of a column as cells."""
        if column.sort in ("category", "binary", "steps"):
            cells = self._levels(z, column)
            return [_of_tick(v, column) for v in cells] if column.ticks else _shown(cells, column)
        x = numbers.backward(z, column)
        if column.ticks:
            return [_of_tick(t, column) for t in numbers.exact_ticks(x, column)]
        return _shown(x.tolist(), column)

    def _levels(self, codes: Array, column: Any) -> list[Any]:
        n = len(column.levels)
        at = np.clip(np.rint(np.nan_to_num(codes)), 0, n - (0 if column.other else 1)).astype(np.int64)
        cells = [column.levels[i] if i < n else OTHER for i in at.tolist()]
        text = all(isinstance(v, str) for v in column.levels)
        if column.other and column.rare and (self.told.get("rare") == "draw" or not text):
            others = np.flatnonzero(at == n)
            if len(others):
                rng = np.random.default_rng(numbers.seed_of(at))
                for i, k in zip(others, rng.choice(len(column.rare), len(others), p=column.rare_shares), strict=True):
                    cells[i] = column.rare[k]
        return cells

    # --- condition --------------------------------------------------------------------------------------------------
    def condition(self, given: dict[str, Any], n: int, rng: np.random.Generator) -> Array | None:
        """Return the condition of ``n`` new rows; what is not given is drawn as it was seen with what is."""
        told = self.told.get("condition")
        unknown = [k for k in given if told is None or k not in told["names"]]
        if unknown:
            raise ExportedModelError(
                f"New rows are given {', '.join(told['names']) if told else 'nothing'}, but got {unknown[0]!r}. Draw "
                "with the run itself, which resamples, or fit with condition=..."
            )
        if told is None:
            return None
        fixed = {k: list(v) if isinstance(v, list | tuple | np.ndarray) else [v] * n for k, v in given.items()}
        rows = [_seen_with({k: v[i] for k, v in fixed.items()}, told, rng) for i in range(n)]
        codes = []
        for j, name in enumerate(told["names"]):
            column = next(c for c in self.modelled if str(c.name) == name)
            z, seen = self.to_model([fixed[name][i] if name in fixed else rows[i][j] for i in range(n)], column)
            codes.append(numbers.condition_code(z, seen, column))
        return np.concatenate(codes, 1)


def _seen_with(fixed: dict[str, Any], told: dict[str, Any], rng: np.random.Generator) -> list[Any]:
    shares = np.asarray(told["shares"], dtype=np.float64)
    places = {k: told["names"].index(k) for k in fixed}
    agrees = np.array([all(str(v[places[k]]) == str(w) for k, w in fixed.items()) for v in told["values"]])
    weight = shares * agrees if agrees.any() else shares
    found: list[Any] = told["values"][int(rng.choice(len(shares), p=weight / weight.sum()))]
    return found


# --- cells ----------------------------------------------------------------------------------------------------------
def _numeric(column: Any) -> bool:
    return not any(isinstance(v, str | bool) for v in column.levels)


def _name(value: Any, *, number: bool = False) -> str:
    if number and isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return str(value)
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _number(value: Any, row: int, column: Any) -> float:
    """Return a cell as a number; what is counted, in steps from the column's origin."""
    try:
        if column.ticks == "date":
            return float((_date_tick(value, column) - column.origin) / column.step)
        if isinstance(value, str) and column.form is not None:
            value = numbers.unwritten(value, SimpleNamespace(**column.form))
        if column.ticks == "decimal":
            return float((decimal.Decimal(str(value)).scaleb(column.scale) - column.origin) / column.step)
        if column.ticks:
            return float((_whole(value) - column.origin) / column.step)
        found = float(value)
    except (ValueError, TypeError, decimal.InvalidOperation):
        raise ExportedModelError(
            f"The column {column.name!r} holds {column.type} values, but got {value!r} in row {row}. Correct it, or "
            "leave it empty."
        ) from None
    if not np.isfinite(found):
        raise ExportedModelError(f"Values must be finite, but {column.name!r} has {value!r} in row {row}.")
    return found


def _whole(value: Any) -> int | float:
    """Return a whole number of any size as such, and another number as it is."""
    try:
        return int(value) if isinstance(value, int | str) or float(value).is_integer() else float(value)
    except ValueError:
        return float(value)


def _date_tick(value: Any, column: Any) -> int:
    if column.format and isinstance(value, str | int):
        value = datetime.datetime.strptime(str(value), column.format.replace("%-", "%"))
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        raise ValueError(value)
    return int(np.array(value, dtype=f"datetime64[{column.unit}]").astype(np.int64))


def _of_tick(tick: Any, column: Any) -> Any:
    if tick is None or isinstance(tick, str):
        return tick
    if column.ticks == "date":
        at = np.array(int(tick), dtype=f"datetime64[{column.unit}]")
        if not column.format:
            return at[()]
        text = at.astype("datetime64[us]").item().strftime(column.format)
        return int(text) if column.dtype[:3] in ("int", "uin", "Int", "UIn") else text
    if column.ticks == "decimal":
        return decimal.Decimal(int(tick)).scaleb(-column.scale)
    if column.form is not None:
        return numbers.written(float(tick), SimpleNamespace(**column.form), column.places_shown)
    if column.dtype[:5] in ("float", "Float"):
        return float(tick)
    return tick if not isinstance(tick, float) else int(tick)


def _shown(cells: list[Any], column: Any) -> list[Any]:
    if column.form is not None:
        form = SimpleNamespace(**column.form)
        return [v if isinstance(v, str) else numbers.written(float(v), form, column.places_shown) for v in cells]
    if column.dtype[:3] in ("int", "uin", "Int", "UIn"):
        return [v if isinstance(v, str) else round(v) for v in cells]
    if column.dtype in ("float32", "float16"):
        return [float(np.dtype(column.dtype).type(v)) if not isinstance(v, str) else v for v in cells]
    return cells


def _not_modelled(column: Any, n: int, start: int) -> list[Any]:
    if column.type == "identifier" and column.greatest is not None:
        return list(new_texts(column, n, start))
    if column.type == "identifier" and column.ticks == "whole":
        return [int(column.high + column.step * (start + i)) for i in range(1, n + 1)]
    if column.type == "constant" and column.levels:
        return [_of_tick(column.levels[0], column) if column.ticks else column.levels[0]] * n
    return [None] * n


# --- files ----------------------------------------------------------------------------------------------------------
def records_of(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a csv, json or jsonl file.

    Raises:
        ExportedModelError: It is no such file.
    """
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix == ".csv":
        first = text.split("\n", 1)[0]
        comma = max((",", ";", "\t"), key=first.count)
        return list(csv.DictReader(text.splitlines(), delimiter=comma))
    if path.suffix == ".json":
        found: list[dict[str, Any]] = json.loads(text)
        return found
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    raise ExportedModelError(f"Tables are read from csv, json and jsonl files, but got {path.name!r}. Convert it.")


def columns_of(records: list[Mapping[str, Any]] | list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return records as columns; what a record lacks is missing.

    Example:
        >>> columns_of([{"a": 1}, {"a": 2, "b": 3}])
        {'a': [1, 2], 'b': [None, 3]}
    """
    names = dict.fromkeys(str(n) for r in records for n in r)
    return {n: [r.get(n) for r in records] for n in names}
