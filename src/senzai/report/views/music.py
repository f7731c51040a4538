"""The view of `music`: rows as piano rolls that the page plays, with a small synthesiser of its own."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, final

import numpy as np

from ...core.batch import Batch, Data
from ...data import KINDS, Schema
from ...data.music import Note, Passage
from .. import words
from ..blocks import Block, Empty, Picture, Section, Tune, Tunes, Wall
from ..findings import PLACES, Findings, Scope
from ..numbers import number, plural
from .base import VIEWS, View, one_row

ROWS, NEW = 6, 12
WIDTH, HEIGHT, LEAST = 320, 96, 12
"""Size of a piano roll in pixels, and the fewest semitones that it shows."""
COLOURS = ("#4c78c8", "#d1495b", "#3c8d5a", "#b07aa1", "#8c6d31", "#5b5b5b")


@final
class MusicView(View):
    """Piano rolls."""

    scope: ClassVar[Scope] = Scope(mapped=2000, samples=400, compared=ROWS)

    def lede(self, schema: Schema) -> str:
        """Say how many rows of how many bars."""
        told: Any = schema.details
        return f"{plural(schema.n_rows, 'row')} of {plural(told.bars, 'bar')} in {told.meter[0]}/{told.meter[1]}"

    def picture(self, row: Data, schema: Schema, *, about: Mapping[str, Any] | None = None) -> Block | None:
        """Return the piano roll of a row."""
        return Wall([roll(pieces(row, schema)[0])], pixelated=False)

    def sections(self, found: Findings) -> list[Section]:
        """Return rows with their reconstructions, and new ones."""
        parts = [] if found.shown is None else [self._beside(found)]
        if found.samples is None:
            return [*parts, Section("samples", "Samples", [], [Empty(found.missing["samples"])])]
        n = min(NEW, len(Batch(found.samples)))
        new = pieces(Batch(found.samples).take(slice(0, n)).x, found.schema)
        said = words.sample_words(found, plural(n, "new row"))
        return [*parts, Section("samples", "Samples", [said], [Tunes([tune(p, f"new row {i}") for i, p in
                                                                     enumerate(new, 1)])])]

    def latent_sections(self, found: Findings) -> list[Section]:
        """Return rows along latents, and between two rows, each of which can be heard."""
        if found.codes is None:
            return []
        moved: list[Block] = [
            Tunes([tune(p, f"z{t.name} = {number(float(v), 3)}") for v, p in
                   zip(t.values, pieces(t.x, found.schema), strict=True)],
                  f"Latent z{t.name}, {words.rate_of(found, t.name)}")
            for t in found.traversals
        ]
        between: list[Block] = [
            Tunes([tune(p, f"{w:.0%}") for w, p in
                   zip(np.linspace(0, 1, PLACES), pieces(way.x, found.schema), strict=True)],
                  f"From row {way.ends[0]} to row {way.ends[1]}")
            for way in found.paths
        ]
        return [
            words.traversals(found, words.traversal_words(found), moved),
            words.interpolations(found, words.interpolation_words(found), between),
        ]

    def _beside(self, found: Findings) -> Section:
        assert found.shown is not None
        shown, made = found.shown, []
        for i in range(min(ROWS, len(shown.batch))):
            real, back = (pieces(one_row(x, i), found.schema)[0] for x in (shown.batch.x, shown.reconstructions))
            bound = words.bound_of(found, i)
            made += [tune(real, f"row {int(shown.index[i])}"), tune(back, f"{bound} nats" if bound else "decoded")]
        said = words.reconstruction_words(found, "First the row, then what is decoded from its code alone.")
        return words.reconstructions(said, [Tunes(made)])


def pieces(x: Data, schema: Schema) -> list[Passage]:
    """Return rows as pieces."""
    made: list[Passage] = KINDS[schema.kind].decode(x, schema)
    return made


def tune(piece: Passage, title: str) -> Tune:
    """Return a piece with its roll and what is heard: start and length in seconds, pitch, and whether it is a drum."""
    step = 60 / piece.tempo / 4
    heard = [
        [round(n.start * step, 4), round(n.length * step, 4), n.pitch, int(piece.drums)]
        for voice in piece.voices for n in voice
    ]
    return Tune(roll(piece), title, json.dumps(heard, separators=(",", ":")))


def roll(piece: Passage) -> Picture:
    """Return the piano roll of a piece: sixteenths from left to right, semitones upwards, a line at each bar."""
    low, high = _span([n for voice in piece.voices for n in voice])
    x, y = WIDTH / piece.steps, HEIGHT / (high - low)
    bar = piece.meter[0] * 16 // piece.meter[1]
    lines = "".join(
        f'<path d="M{t * x:.2f} 0V{HEIGHT}" stroke="#888" stroke-opacity=".35"/>' for t in range(0, piece.steps, bar)
    )
    notes = "".join(
        f'<rect x="{n.start * x:.2f}" y="{(high - 1 - n.pitch) * y:.2f}" width="{max(1.0, n.length * x - 0.6):.2f}" '
        f'height="{y:.2f}" rx="1" fill="{COLOURS[v % len(COLOURS)]}"/>'
        for v, voice in enumerate(piece.voices) for n in voice
    )
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}">{lines}{notes}</svg>'
    says = f"piano roll of {plural(sum(map(len, piece.voices)), 'note')}"
    return Picture(f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}", says)


def _span(notes: Sequence[Note]) -> tuple[int, int]:
    """Return the lowest pitch that is shown, and the one above the highest."""
    low, high = min((n.pitch for n in notes), default=60), max((n.pitch for n in notes), default=60) + 1
    more = max(0, LEAST - (high - low))
    return low - more // 2 - 1, high + (more + 1) // 2 + 1


VIEWS.add("music")(MusicView())
