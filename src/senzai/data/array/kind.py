"""The kind `array`: rows of numbers, all of one sort."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
from pydantic import JsonValue

from senzai.core.batch import Data, only
from senzai.core.errors import InputError, SettingError
from senzai.core.later import Tensor, torch

from .. import arrays_as_data, deciding, sources, values, writers
from ..details import NumberDetails, numbers_of
from ..frames import to_frame, with_index
from ..kind import KINDS, Claim, Kind, Opened
from ..lengths import with_ends
from ..options import ArrayOptions, Options
from ..proposal import Proposal
from ..rows import Array, Rows
from ..schema import Schema


@final
class ArrayKind(Kind):
    """Arrays ``(N, d)`` or ``(N, d1, d2, ...)``, tensors and DataFrames of numbers, and their files.

    Example:
        >>> import numpy as np
        >>> kind = KINDS["array"]
        >>> opened = kind.read(np.array([[0, 1], [1, 0], [1, 1]]), kind.options())
        >>> schema = kind.infer(opened, kind.options())
        >>> schema.values, kind.propose(schema).likelihood.name
        ('binary', 'bernoulli')
        >>> kind.decode(kind.rows(opened, schema).take(np.array([2])).x, schema)
        array([[1, 1]])
    """

    name: ClassVar[str] = "array"
    title: ClassVar[str] = "rows of numbers of one sort: npy, npz, arrays, tensors, lists; tables with kind=array"
    suffixes: ClassVar[tuple[str, ...]] = (".npy", ".npz")
    options: ClassVar[type[Options]] = ArrayOptions
    details: ClassVar[type[NumberDetails]] = NumberDetails
    unit: ClassVar[str] = "feature"

    def claims(self, source: object, options: Mapping[str, Any]) -> Claim | None:
        """Claim numbers of any shape, less surely than kinds that know more about them."""
        header = sources.header(source, options)
        return None if header is None else Claim(0.4, "it holds numbers of one sort")

    def read(self, source: object, options: Options, schema: Schema | None = None) -> Opened:
        """Read the source to one array."""
        path = sources.existing(source)
        if path is not None and path.is_dir() and sources.header(path, {}) is None:
            raise InputError(f"An array is one file, but {str(path)!r} is a folder. Name the file in it.")
        return with_ends(sources.read_arrays(source, options, schema))

    def infer(self, opened: Opened, options: Options) -> Schema:
        """Decide from one look at all values."""
        facts = deciding.look(opened, options)
        return deciding.decide(self, opened, options, event_shape=tuple(opened.data.shape[1:]), facts=facts)

    def check(self, opened: Opened, schema: Schema, options: Options) -> Schema:
        """Refuse rows of another shape; sequences may have another number of steps."""
        shape = tuple(opened.data.shape[1:])
        if len(shape) == 2 and (numbers_of(schema).sequences or opened.lengths is not None):
            deciding.need_shape((*schema.event_shape[:1], *shape[1:]), opened, schema)
            return deciding.adapt(opened, schema, options).but(event_shape=shape)
        deciding.need_shape(shape, opened, schema)
        return deciding.adapt(opened, schema, options)

    def rows(self, opened: Opened, schema: Schema) -> Rows:
        """Return rows in the order of the features."""
        return deciding.rows_of(opened, schema, _as_it_is)

    def decode(
        self, x: Data, schema: Schema, *, soft: bool = False, about: Mapping[str, Any] | None = None
    ) -> Any:
        """Return an array, a tensor or a DataFrame, as the data were."""
        back = values.decode(deciding.to_numpy(x), schema, soft=soft)
        if schema.form == "pandas":
            return to_frame(back, schema, soft=soft)
        return deciding.to_torch(back, schema.dtype, soft=soft) if schema.form == "torch" else back

    def write(self, decoded: Any, path: str | Path, schema: Schema) -> None:
        """Write npy, npz, csv or tsv."""
        writers.write_array(decoded, path)

    def processing(self, schema: Schema) -> dict[str, JsonValue]:
        """Return how values are scaled and stored."""
        return arrays_as_data.described(schema)

    def keeps_rows(self, schema: Schema, *, in_memory: bool) -> bool:
        """Whether rows are kept: vectors given in memory are, because they cannot be read again for later scores."""
        return in_memory and len(schema.event_shape) == 1

    def parts(self, source: Any, schema: Schema, rows: int) -> Iterator[Any]:
        """Yield some rows after the others."""
        if not isinstance(source, np.ndarray):
            raise SettingError("Missing entries are filled in for tables and arrays. Give one of them.")
        yield from (source[i : i + rows] for i in range(0, max(1, len(source)), rows))

    def fill(self, part: Any, x: Data, schema: Schema, rows: Array | None = None, *, average: bool = False) -> Any:
        """Return rows with their NaN filled in; with ``average``, by the mean over draws."""
        new = self.decode(only(x).double().mean(0) if average else x, schema.but(form="numpy"))
        at = np.arange(len(part)) if rows is None else rows
        filled = part.copy()
        filled[at] = np.where(np.isnan(part[at]), new.astype(part.dtype), part[at])
        return filled

    def gather(self, parts: list[Any], source: Any, schema: Schema, index: Any) -> Any:
        """Return one array, or a tensor or a DataFrame where that came."""
        whole = np.concatenate(parts)
        if schema.form == "pandas":
            return with_index(to_frame(whole, schema), index)
        return torch.from_numpy(whole) if schema.form == "torch" else whole

    def propose(self, schema: Schema) -> Proposal:
        """Suggest an MLP with the likelihood of the values."""
        return deciding.propose(schema)


def _as_it_is(x: Tensor) -> Tensor:
    return x


KINDS.add("array")(ArrayKind())
