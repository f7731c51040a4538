"""Rows that count words: what the words are, whatever kind read them."""

from __future__ import annotations

from .schema import Schema

WORD = "word"
"""Name of the axis of rows that count words."""


def words_of(schema: Schema) -> tuple[str, ...] | None:
    """Return the words that rows count, by their column; ``None`` where rows are something else.

    Any kind whose rows have one axis named ``word``, and names for it, has documents.

    Example:
        >>> from senzai.data.schema import Axis, Field
        >>> field = Field(axes=(Axis(name="word", size=2),), support="count")
        >>> words_of(Schema(kind="mail", fields={"x": field}, dtype="str", columns=("tea", "milk"), n_rows=1))
        ('tea', 'milk')
    """
    if len(schema.fields) != 1 or [a.name for a in schema.field.axes] != [WORD] or schema.columns is None:
        return None
    return tuple(map(str, schema.columns))
