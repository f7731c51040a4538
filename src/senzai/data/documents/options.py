"""What a user may set when documents are read, and what a run keeps of it."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from ..options import Options
from ..schema import Frozen, Schema

Unit = Literal["words", "pairs"]
Source = Literal["texts", "counts", "matrix", "table"]


class DocumentOptions(Options):
    """What the kind `documents` understands beyond the common options.

    Args:
        vocabulary: File of the words that columns or numbers stand for, a line each; what follows the word is ignored.
        column: Column of a table that holds texts.
        unit: What is counted in texts: "words", or "pairs" of characters that follow one another, for scripts without
            spaces.
        lower: Whether texts are written in small letters.
        stop_words: "english" (scikit-learn's list), "none", or a file of words that do not count, a line each.
        least: Training documents that a word of a text must be in.
        most_share: Share of the training documents above which a word of a text does not count.
        max_words: Words at most: the commonest.
        first: Number of the first word in count files, 0 or 1; by default 0 where a 0 is seen, else 1.
        encoding: Encoding of files.
    """

    decisions: ClassVar[frozenset[str]] = Options.decisions | {
        "unit", "lower", "stop_words", "least", "most_share", "max_words", "first",
    }

    vocabulary: str | None = None
    column: str | None = None
    unit: Unit = "words"
    lower: bool = True
    stop_words: str = "english"
    least: int = Field(5, ge=1)
    most_share: float = Field(0.5, gt=0, le=1)
    max_words: int = Field(10_000, ge=1)
    first: Literal[0, 1] | None = None
    encoding: str | None = None


class DocumentDetails(Frozen):
    """What is known about documents beside their words, which are the columns of the schema.

    Args:
        source: What rows came as: "texts", "counts" (count files, mappings), "matrix" (sparse) or "table".
        column: Column of a table that held texts.
        unit: What was counted in texts.
        lower: Whether texts were written in small letters.
        first: Number of the first word in count files.
        usual: Words of a document, the median; new documents are drawn with as many.
    """

    source: Source
    column: str | None = None
    unit: Unit = "words"
    lower: bool = True
    first: int = 1
    usual: int = 1


def details_of(schema: Schema) -> DocumentDetails:
    """Return what is known about the documents of a schema."""
    assert isinstance(schema.details, DocumentDetails)  # nobody else asks
    return schema.details
