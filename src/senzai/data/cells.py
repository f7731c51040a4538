"""What a kind says of rows that stand in the cells of a table's column: whether they can, and how they get there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from .schema import Schema


class Celled:
    """The part of a kind that is about rows in cells; by default its rows are no cells."""

    cells: ClassVar[Literal["", "files", "values"]] = ""
    """What stands in a cell: the path of a file with the row, the row itself, or nothing of this kind.

    A kind whose cells are files reads a list of paths, one a row; one whose cells are values a list of them.
    """
    cells_called: ClassVar[str] = ""
    """What a user calls such a column: pictures, sentences."""
    learns: ClassVar[bool] = False
    """Whether what is decided follows from the content of training rows, such as a vocabulary."""

    def to_cells(self, decoded: Any, folder: Path, schema: Schema) -> list[str]:
        """Return one cell for each row that was decoded; files are written into a new folder.

        Args:
            decoded: What :meth:`Kind.decode` gave.
            folder: Where files go; cells name it relative to its parent.
            schema: What the rows are.
        """
        if self.cells == "values":
            return [str(value) for value in decoded]
        self.write(decoded, folder, schema)  # type: ignore[attr-defined]  # a kind's
        return [f"{folder.name}/{file.name}" for file in sorted(folder.iterdir())]
