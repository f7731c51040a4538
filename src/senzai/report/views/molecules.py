"""The view of `molecules`: structures, as they are drawn, with their SMILES."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, ClassVar, final

from ...core.batch import Batch, Data
from ...data import KINDS, Schema
from ...data.molecules import drawing
from .. import words
from ..blocks import Block, Card, Cards, Empty, Picture, Section, Wall
from ..findings import Findings, Scope
from ..numbers import plural
from .base import VIEWS, View

NEW = 24
NONE = "(no molecule)"


@final
class MoleculeView(View):
    """Molecules as chemists draw them."""

    scope: ClassVar[Scope] = Scope(mapped=2000, samples=400)

    def lede(self, schema: Schema) -> str:
        """Say how many molecules."""
        return f"{plural(schema.n_rows, 'molecule')} of up to {plural(schema.event_shape[0] - 1, 'symbol')}"

    def picture(self, row: Data, schema: Schema, *, about: Mapping[str, Any] | None = None) -> Block | None:
        """Return the structure of a row."""
        return Wall([_drawn(_smiles(row, schema)[0])], pixelated=False)

    def sections(self, found: Findings) -> list[Section]:
        """Return molecules with their reconstructions, and a wall of new ones."""
        parts = self._reconstructions(found)
        if found.samples is None:
            return [*parts, Section("samples", "Samples", [], [Empty(found.missing["samples"])])]
        n = min(NEW, len(Batch(found.samples)))
        new = _smiles(Batch(found.samples).take(slice(0, n)).x, found.schema)
        said = words.sample_words(found, plural(n, "new molecule"))
        cards = [Card(text, "", [Wall([_drawn(text)], pixelated=False)]) for text in new]
        return [*parts, Section("samples", "Samples", [said], [Cards(cards, least=150)])]


def _smiles(x: Data, schema: Schema) -> list[str]:
    made: Any = KINDS[schema.kind].decode(x, schema.but(form="list"))
    return [text or NONE for text in made]


def _drawn(smiles: str) -> Picture:
    svg = b64encode(drawing(smiles).encode()).decode()
    return Picture(f"data:image/svg+xml;base64,{svg}", smiles)


VIEWS.add("molecules")(MoleculeView())
