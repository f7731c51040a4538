"""What only this kind knows: the modalities of a row, each with the schema of a kind of its own."""

from __future__ import annotations

from senzai.core.batch import Data
from senzai.core.errors import InputError
from senzai.core.later import Tensor

from ..schema import Frozen, Schema


class ModalityDetails(Frozen):
    """One modality.

    Args:
        name: What it is called: a column, a view.
        columns: Columns of the table that it was read from; none where it is an array or a frame of its own.
        schema_: What it is, by the kind that read it.
        lacking: Rows of the training data that lack it.
    """

    name: str
    columns: tuple[str, ...] = ()
    schema_: Schema
    lacking: int = 0


class MultimodalDetails(Frozen):
    """The modalities of a row in their order.

    Args:
        modalities: What each is.
        columns: All columns of the table that they were read from, in their order; none where there was no table.
        beside: Columns of the table that nothing is learned from; they are left out of new rows.
        table: Kind that reads and writes the table; empty where there was none.
        key: Column that says which entries of several frames belong together.
    """

    modalities: tuple[ModalityDetails, ...]
    columns: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    table: str = ""
    key: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What the modalities are called."""
        return tuple(m.name for m in self.modalities)


def details_of(schema: Schema) -> MultimodalDetails:
    """Return the modalities of rows.

    Raises:
        InputError: The schema is of another kind.
    """
    if not isinstance(schema.details, MultimodalDetails):
        raise InputError("The schema is not that of several modalities. Open the data with the model's own schema.")
    return schema.details


def one_of(x: Data, schema: Schema, name: str) -> tuple[Tensor, Schema]:
    """Return the values of one modality of some rows, and what they are."""
    (found,) = [m for m in details_of(schema).modalities if m.name == name]
    assert isinstance(x, dict)  # rows have several
    return x[name], found.schema_.but(n_rows=len(x[name]))
