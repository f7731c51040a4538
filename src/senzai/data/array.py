"""The kind `array`: rows of numbers, all of one sort."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, final

from senzai.core.batch import Data
from senzai.core.errors import InputError
from senzai.core.later import Tensor

from . import deciding, layout, sources, values, writers
from .frames import to_frame
from .kind import KINDS, Kind, Opened
from .lengths import with_ends
from .options import ArrayOptions, Options
from .rows import Rows
from .schema import Proposal, Schema
from .table.source import is_table


@final
class ArrayKind(Kind):
    """Arrays ``(N, d)`` or ``(N, d1, d2, ...)``, tensors and DataFrames of numbers, and their files.

    Example:
        >>> import numpy as np
        >>> kind = KINDS["array"]
        >>> opened = kind.read(np.array([[0, 1], [1, 0], [1, 1]]), kind.options())
        >>> schema = kind.infer(opened, kind.options())
        >>> schema.values, kind.propose(schema).family
        ('binary', 'bernoulli')
        >>> kind.decode(kind.rows(opened, schema).take(np.array([2])).x, schema)
        array([[1, 1]])
    """

    name: ClassVar[str] = "array"
    title: ClassVar[str] = "rows of numbers of one sort: npy, npz, arrays, tensors, lists; tables with kind=array"
    suffixes: ClassVar[tuple[str, ...]] = (".npy", ".npz")
    options: ClassVar[type[Options]] = ArrayOptions

    def accepts(self, source: object, options: Mapping[str, Any]) -> bool:
        """Whether the source is numbers that are no images, and no table (which takes ``kind="array"`` to be one)."""
        if is_table(source):
            return False
        header = sources.header(source, options)
        return header is not None and not layout.is_image_like(header.shape, header.dtype, header.sequences)

    def read(self, source: object, options: Options, schema: Schema | None = None) -> Opened:
        """Read the source to one array."""
        path = sources.existing(source)
        if path is not None and path.is_dir() and sources.header(path, {}) is None:
            raise InputError(f"An array is one file, but {str(path)!r} is a folder. Name the file in it.")
        return with_ends(sources.read_arrays(source, options, schema))

    def infer(self, opened: Opened, options: Options) -> Schema:
        """Decide from one look at all values."""
        facts = deciding.look(opened, options)
        return deciding.decide(self.name, opened, options, event_shape=tuple(opened.data.shape[1:]), facts=facts)

    def check(self, opened: Opened, schema: Schema, options: Options) -> Schema:
        """Refuse rows of another shape; sequences may have another number of steps."""
        shape = tuple(opened.data.shape[1:])
        if len(shape) == 2 and (schema.options.get("sequences") or opened.lengths is not None):
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

    def propose(self, schema: Schema) -> Proposal:
        """Suggest an MLP with the likelihood of the values."""
        return deciding.propose(schema)


def _as_it_is(x: Tensor) -> Tensor:
    return x


KINDS.add("array")(ArrayKind())
