"""The contract of a view, and the registry of all views by the name of a kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ...core.batch import Batch, Data
from ...core.registry import Registry
from ...data import Schema
from .. import words
from ..blocks import Block, Card, Cards, Colouring, Empty, Section, Sprite
from ..findings import PLACES, Findings, Scope
from ..numbers import number, plural

SEEN = 6
"""Rows and new rows that are drawn of a kind of which only the picture of a row is known."""
ENDS = (0, PLACES // 2, PLACES - 1)


class View:
    """How rows of one kind are shown. A kind of which only :meth:`picture` is known gets every section from it.

    This class itself is the view of kinds that have none: it draws no row, and says so. A view is registered under the
    name of its kind.

    Example:
        >>> from senzai.data import Schema
        >>> schema = Schema(kind="scents", event_shape=(7,), dtype="int64", values="count", n_rows=3)
        >>> view_of(schema).lede(schema)
        '3 rows of the kind “scents”'
    """

    scope: ClassVar[Scope] = Scope()
    """How many rows are looked at."""

    def lede(self, schema: Schema) -> str:
        """Say what the data are in a few words, for the sentence at the top: ``1797 grey pictures of 8 × 8 pixels``."""
        return f"{plural(schema.n_rows, 'row')} of the kind “{schema.kind}”"

    def picture(self, row: Data, schema: Schema, *, about: Mapping[str, Any] | None = None) -> Block | None:
        """Return how one row is drawn: a picture, a record, a text, a curve; ``None`` where nobody has drawn it yet.

        Args:
            row: Model values with rows first, ``(1, *event)``, or a mapping of them.
            schema: What they are.
            about: What else is known about the row.
        """
        return None

    def sections(self, found: Findings) -> list[Section]:
        """Return what is seen of the rows: reconstructions, samples, and what only this kind has, in their order."""
        if not self._draws(found):
            why = (f"No picture yet: no view draws rows of the kind “{found.schema.kind}”. A view is registered in "
                   "senzai.report.views.VIEWS under the name of the kind.")
            return [Section("rows", "Rows", [], [Empty(why)])]
        return [*self._reconstructions(found), *self._samples(found)]

    def latent_sections(self, found: Findings) -> list[Section]:
        """Return what the latents stand for; read after the map of the latent space and the rates."""
        if found.codes is None or not self._draws(found):
            return []
        moved: list[Block] = [
            self._cards(t.x, {i: f"z{t.name} = {number(float(t.values[i]), 3)}" for i in ENDS}, found)
            for t in found.traversals
        ]
        between: list[Block] = [
            self._cards(p.x, {0: f"row {p.ends[0]}", PLACES // 2: "half way", PLACES - 1: f"row {p.ends[1]}"}, found)
            for p in found.paths
        ]
        return [
            words.traversals(found, words.traversal_words(found), moved),
            words.interpolations(found, words.interpolation_words(found), between),
        ]

    def judged(self, numbers: Mapping[str, Any]) -> list[Section]:
        """Return what was evaluated of rows of this kind and is best shown in a way of its own.

        Args:
            numbers: As ``evaluate`` gives them.
        """
        return []

    def thumbnails(self, found: Findings) -> Sprite | None:
        """Return small pictures of the rows of the map, shown when the pointer is on one."""
        return None

    def colourings(self, found: Findings) -> Sequence[Colouring]:
        """Return what the rows of the map can be coloured by besides the label and the distortion."""
        return ()

    # --- sections from the picture of a row ---------------------------------------------------------------------------
    def _draws(self, found: Findings) -> bool:
        return self.picture(one_row(found.held.batch.x, 0), found.schema) is not None

    def _cards(self, x: Data, titles: Mapping[int, str], found: Findings) -> Cards:
        made = [Card(title, "", self._drawn(x, i, found)) for i, title in titles.items()]
        return Cards(made)

    def _drawn(self, x: Data, i: int, found: Findings) -> list[Block]:
        drawn = self.picture(one_row(x, i), found.schema)
        return [] if drawn is None else [drawn]

    def _reconstructions(self, found: Findings) -> list[Section]:
        if found.shown is None:
            return []
        shown = found.shown
        cards = [
            Card(f"row {shown.index[i]}", words.bound_of(found, i),
                 [*self._drawn(shown.batch.x, i, found), *self._drawn(shown.reconstructions, i, found)])
            for i in range(min(SEEN, len(shown.batch)))
        ]
        said = words.reconstruction_words(found, "Top: the row. Bottom: its reconstruction.")
        return [words.reconstructions(said, [Cards(cards)])]

    def _samples(self, found: Findings) -> list[Section]:
        if found.samples is None:
            return [Section("samples", "Samples", [], [Empty(found.missing["samples"])])]
        n = min(SEEN, len(Batch(found.samples)))
        said = words.sample_words(found, plural(n, "new row"))
        return [Section("samples", "Samples", [said], [self._cards(found.samples, dict.fromkeys(range(n), ""), found)])]


def one_row(x: Data, i: int) -> Data:
    """Return one of several rows, rows first."""
    return Batch(x).take(slice(i, i + 1)).x


VIEWS: Registry[View] = Registry("view")
DEFAULT = View()


def view_of(schema: Schema) -> View:
    """Return the view of the kind of a schema: the registered one, or one that says that nobody has drawn it yet."""
    if schema.kind not in VIEWS:
        return DEFAULT
    return VIEWS[schema.kind]
