"""The view of `text`: rows as texts, side by side with what the model makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, final

import numpy as np

from ...core.batch import Batch, Data
from ...data import KINDS, Schema
from .. import words
from ..blocks import Block, Empty, Prose, Section, TableBlock
from ..findings import PLACES, Findings, Scope
from ..numbers import number, plural
from .base import VIEWS, View, one_row

ROWS = 10
NEW = 24
BLANK = "(an empty text)"


@final
class TextView(View):
    """Texts, a line each."""

    scope: ClassVar[Scope] = Scope(mapped=2000, samples=400, compared=ROWS)

    def lede(self, schema: Schema) -> str:
        """Say how many texts, and how long they may be."""
        return f"{plural(schema.n_rows, 'text')} of up to {plural(schema.event_shape[0] - 1, 'symbol')}"

    def picture(self, row: Data, schema: Schema, *, about: Mapping[str, Any] | None = None) -> Block | None:
        """Return the text of a row."""
        return Prose(texts(row, schema)[0])

    def sections(self, found: Findings) -> list[Section]:
        """Return texts with their reconstructions, and new texts."""
        parts = [] if found.shown is None else [self._beside(found)]
        if found.samples is None:
            return [*parts, Section("samples", "Samples", [], [Empty(found.missing["samples"])])]
        n = min(NEW, len(Batch(found.samples)))
        new = texts(Batch(found.samples).take(slice(0, n)).x, found.schema)
        said = words.sample_words(found, plural(n, "new text"))
        return [*parts, Section("samples", "Samples", [said], [TableBlock("", numbered(new))])]

    def latent_sections(self, found: Findings) -> list[Section]:
        """Return texts along latents, and between two rows."""
        if found.codes is None:
            return []
        moved: list[Block] = [
            TableBlock(f"Latent z{t.name}, {words.rate_of(found, t.name)}", list(zip(
                (f"z{t.name} = {number(float(v), 3)}" for v in t.values), texts(t.x, found.schema), strict=True)))
            for t in found.traversals
        ]
        between: list[Block] = [
            TableBlock(f"From row {p.ends[0]} to row {p.ends[1]}", list(zip(
                (f"{w:.0%}" for w in np.linspace(0, 1, PLACES)), texts(p.x, found.schema), strict=True)))
            for p in found.paths
        ]
        return [
            words.traversals(found, words.traversal_words(found), moved),
            words.interpolations(found, words.interpolation_words(found), between),
        ]

    def _beside(self, found: Findings) -> Section:
        assert found.shown is not None
        shown, rows = found.shown, []
        for i in range(min(ROWS, len(shown.batch))):
            real, made = (texts(one_row(x, i), found.schema)[0] for x in (shown.batch.x, shown.reconstructions))
            bound = words.bound_of(found, i)
            rows += [(f"row {int(shown.index[i])}", real), (f"{bound} nats" if bound else "", made)]
        said = words.reconstruction_words(found, "First the text, below it what is decoded from its code alone.")
        return words.reconstructions(said, [TableBlock("", rows)])


def texts(x: Data, schema: Schema) -> list[str]:
    """Return rows as texts."""
    made: Any = KINDS[schema.kind].decode(x, schema.but(form="list"))
    return [text or BLANK for text in made]


def numbered(lines: Iterable[str]) -> list[tuple[str, str]]:
    """Return lines with their numbers from 1."""
    return [(str(i), line) for i, line in enumerate(lines, 1)]


VIEWS.add("text")(TextView())
