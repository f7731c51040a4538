"""What a kind does with private data: describe them without looking, and make rows that are nobody's."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError

from .budgeted import Budget
from .options import Options
from .schema import Schema

PUBLIC = "public-sha256:"


def hidden(told: str) -> str:
    """Return a fingerprint of what is public: a hash of values would tell them to who can guess.

    Example:
        >>> is_public(hidden("three rows")), is_public("sha256:00")
        (True, False)
    """
    return PUBLIC + hashlib.sha256(told.encode()).hexdigest()


def is_public(fingerprint: str) -> bool:
    """Whether a fingerprint was made without the values."""
    return fingerprint.startswith(PUBLIC)


class PrivateKinds:
    """The part of a kind that is about private data; by default it refuses them, with the reason."""

    name: ClassVar[str]

    def infer_private(self, opened: Any, options: Options, budget: Budget) -> Schema:
        """Decide what the data are without looking at them, but for noisy counts that the budget gives.

        What is in the schema must follow from what the user said, from the number of rows and from those counts.

        Raises:
            CombinationError: This kind decides by looking.
        """
        raise CombinationError(
            f"Private training needs data that can be described without looking at them, but the kind {self.name!r} "
            "finds types and ranges in the values. Use a table with a public schema (public=FILE.json), or 8-bit "
            "pictures as an array."
        )

    def public_schema(self, options: Options) -> dict[str, Any]:
        """Return the public schema that options name, as plain values.

        Raises:
            CombinationError: Data of this kind have none.
        """
        raise CombinationError(f"The kind {self.name!r} has no public schema. Train without private=.")

    def blank(self, options: Options, n: int) -> Any:
        """Return opened data of ``n`` rows of which nothing is known but what the public schema says.

        Raises:
            CombinationError: Data of this kind have no public schema.
        """
        raise CombinationError(f"The kind {self.name!r} has no public schema. Train without private=.")

    def template(self, opened: Any) -> dict[str, Any]:
        """Return a public schema to fill in, from what data are called and not from what is in them.

        Raises:
            CombinationError: Data of this kind have no such schema.
        """
        raise CombinationError(f"A public schema describes the columns of a table; {self.name!r} data have none.")

    def made_up(self, schema: Schema, n: int, seed: int) -> Batch:
        """Return rows that are nobody's, made from the schema alone; models of private data start from them.

        Raises:
            CombinationError: This kind cannot make any.
        """
        raise CombinationError(f"The kind {self.name!r} makes no rows from its schema alone. Train without private=.")
