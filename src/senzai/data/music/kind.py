"""The kind `music`: some bars a row, read from MIDI and written back to it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
from pydantic import JsonValue

from senzai.core.batch import Data
from senzai.core.errors import InputError, SettingError
from senzai.core.files import replacing, replacing_folder, write_text

from .. import fingerprint, quantities, sources
from ..kind import KINDS, Claim, Kind, Opened
from ..options import Options
from ..proposal import Choice, Proposal
from ..ranked import fields_of
from ..rows import Array, MemoryRows, Rows, Targets
from ..schema import Schema, Split
from ..split import split_indices
from ..symbols import codes_of, symbol_field, symbol_rows
from . import midi, reading, windows
from .attributes import ATTRIBUTES, attribute
from .options import MusicDetails, MusicOptions
from .pieces import Passage, codes_of_piece, n_symbols, one_after_another, voices_of_codes

GROUP = "song"
"""What rows are divided by: windows of one song stay together."""


@final
class MusicKind(Kind):
    """Melodies, voices and drums.

    Example:
        >>> from senzai.data.music import Note, Passage
        >>> tunes = [Passage(((Note(0, 4, 60 + i), Note(4, 12, 64 + i)),), 16) for i in range(4)]
        >>> kind = KINDS["music"]
        >>> options = kind.options(bars=1, validation=0, test=0)
        >>> opened = kind.read(tunes, options)
        >>> schema = kind.infer(opened, options)
        >>> kind.decode(kind.rows(opened, schema).take([2]).x, schema) == [tunes[2]]
        True
    """

    name: ClassVar[str] = "music"
    title: ClassVar[str] = "music: .mid, folders and archives of MIDI, .json of voices; bars=2, melodies, voices, drums"
    suffixes: ClassVar[tuple[str, ...]] = reading.MIDI
    options: ClassVar[type[Options]] = MusicOptions
    details: ClassVar[type[MusicDetails]] = MusicDetails
    quantities: ClassVar[Mapping[str, str]] = ATTRIBUTES
    unit: ClassVar[str] = "symbol"
    suffix: ClassVar[str] = ".mid"

    def claims(self, source: object, options: Mapping[str, Any]) -> Claim | None:
        """Claim MIDI files, and what holds them; JSON where bars or voices are asked for."""
        if reading.is_music(source):
            return Claim(0.95, "it is music in memory")
        path = sources.existing(source)
        if path is None:
            return None
        suffix = path.suffix.lower()
        if suffix in reading.MIDI:
            return Claim(0.95, f"its name ends in {suffix}")
        if suffix in reading.JSON and {"bars", "voices", "part", "meter"} & set(options):
            return Claim(0.9, "bars or voices were asked for")
        return Claim(0.9, "it holds MIDI files") if reading.holds_midi(path) else None

    # --- in ---------------------------------------------------------------------------------------------------------
    def read(self, source: object, options: Options, schema: Schema | None = None) -> Opened:
        """Read songs and cut windows; files that are no music are left out and named.

        Raises:
            InputError: There is no music in it, or none in the meter of the model.
        """
        asked = options if isinstance(options, MusicOptions) else MusicOptions(**options.model_dump())
        found = reading.read(source)
        reading.need_some(found)
        told = windows.decide(found.songs, asked) if schema is None else details_of(schema)
        cut = windows.cut(found.songs, told)
        origin = str(source)[:80] if isinstance(source, str | Path) else "the data"
        if not cut.pieces:
            raise InputError(
                f"Rows are bars in {told.meter[0]}/{told.meter[1]} with notes of the {told.part}, but {origin} has "
                "none. Set another part= or meter=..."
            )
        notes = (*reading.left_out(found.bad, len(found.bad) + len(found.songs)), *_told(cut, told, found.songs))
        names = _names(asked, schema)
        quantities.need_known(names, tuple(ATTRIBUTES), origin)
        values = {name: np.array([attribute(p, name) for p in cut.pieces]) for name in names}
        groups = np.asarray(cut.songs, dtype=np.int64)
        facts = {"told": told, "values": values, "songs": [s.name for s in found.songs]}
        return Opened(
            data=cut, n_rows=len(cut.pieces), dtype="int64", form=found.form, origin=origin, groups=groups, notes=notes,
            facts=facts,
        )

    def infer(self, opened: Opened, options: Options) -> Schema:
        """Take form and meter from what was read; windows of a song stay together."""
        told: MusicDetails = opened.facts["told"]
        split = _split(options, opened)
        train = split_indices(opened.n_rows, split, opened.groups)["train"]
        values: Mapping[str, Array] = opened.facts["values"]
        asked = tuple(options.condition)
        condition = quantities.condition_of(asked, values, train) if asked else None
        field = symbol_field(n_symbols(told.part), told.steps * told.voices)
        return Schema(
            kind=self.name, fields={"x": field}, dtype=opened.dtype, form=opened.form, condition=condition,
            quantities=quantities.decided(values, train), n_rows=opened.n_rows, split=split,
            fingerprint=_fingerprint(opened.data), reasons=(*opened.notes, *_decided(told, split)), details=told,
        )

    def check(self, opened: Opened, schema: Schema, options: Options) -> Schema:
        """Take any music in the meter of the model."""
        notes = [note for note in opened.notes if note not in schema.reasons]
        return schema.but(
            form=opened.form, n_rows=opened.n_rows, fingerprint=_fingerprint(opened.data),
            reasons=(*schema.reasons, *notes),
        )

    def rows(self, opened: Opened, schema: Schema) -> Rows:
        """Return rows of symbols; where each begins, and its tempo, travel with it."""
        cut: windows.BarWindows = opened.data
        targets = quantities.targets(Targets(), schema, opened.facts["values"], opened.origin)
        made = symbol_rows([codes_of_piece(p) for p in cut.pieces], schema.event_shape[0] - 1, targets)
        about = {
            "song": [opened.facts["songs"][i] for i in cut.songs], "start": cut.starts, "tied": cut.tied,
            "tempo": [p.tempo for p in cut.pieces],
        }
        every = made.take(np.arange(len(made)))
        rows = MemoryRows(every.x, targets, lengths=every.lengths, about=about)
        rows.groups = opened.groups
        return rows

    # --- out --------------------------------------------------------------------------------------------------------
    def decode(
        self, x: Data, schema: Schema, *, soft: bool = False, about: Mapping[str, Any] | None = None
    ) -> Any:
        """Return a list of pieces; new ones have the tempo in the middle of the data."""
        told, n = details_of(schema), n_symbols(details_of(schema).part)
        drums = told.part == "drums"
        tempos = None if about is None else about.get("tempo")
        return [
            Passage(
                voices_of_codes(codes, told.steps, told.voices, drums=drums), told.steps,
                told.tempo if tempos is None else float(tempos[i]), told.meter, drums,
            )
            for i, codes in enumerate(codes_of(x, n))
        ]

    def joined(
        self, x: Data, schema: Schema, source: Any, *, soft: bool = False, about: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the windows of each song where they were: one piece a song, notes across their borders whole."""
        made: list[Passage] = self.decode(x, schema, about=about)
        if about is None or schema.form != "file":
            return made
        songs, starts, tied = (list(about[name]) for name in ("song", "start", "tied"))
        out = []
        for song in dict.fromkeys(songs):
            rows, end = [], -1
            for i in sorted((i for i, s in enumerate(songs) if s == song), key=lambda i: starts[i]):
                if starts[i] >= end:  # of windows that overlap, those behind each other
                    rows.append(i)
                    end = starts[i] + made[i].steps
            out.append(one_after_another([made[i] for i in rows], [starts[i] for i in rows], [tied[i] for i in rows]))
        return out

    def write(self, decoded: Any, path: str | Path, schema: Schema) -> None:
        """Write .mid, with rows one after another, .json, or without a suffix a folder of .mid."""
        path, pieces, program = Path(path), as_pieces(decoded), details_of(schema).program
        suffix = path.suffix.lower()
        if suffix in reading.MIDI:
            with replacing(path) as place:
                place.write_bytes(midi.bytes_of(pieces, program))
        elif suffix in reading.JSON:
            told = fields_of(decoded)
            plain = [{**p.plain(), **{name: values[i] for name, values in told.items()}} for i, p in enumerate(pieces)]
            write_text(path, json.dumps(plain) + "\n")
        elif not suffix:
            with replacing_folder(path) as place:
                for i, piece in enumerate(pieces):
                    (place / f"{i:05d}.mid").write_bytes(midi.bytes_of([piece], program))
        else:
            raise InputError(
                f"Music is written as .mid, .json, or a folder of .mid (no suffix), but got {path.name!r}. Choose one."
            )

    def to_json(self, decoded: Any, schema: Schema) -> JsonValue:
        """Return pieces as plain values."""
        return [piece.plain() for piece in as_pieces(decoded)]

    def from_json(self, value: JsonValue, schema: Schema) -> object:
        """Return pieces from plain values.

        Raises:
            InputError: They are none.
        """
        if not isinstance(value, list) or not value:
            raise InputError('Music comes as a list of pieces: [{"steps": 32, "voices": [[[0, 4, 60]]]}].')
        return [Passage.of_plain(one) for one in value]

    def keeps_rows(self, schema: Schema, *, in_memory: bool) -> bool:
        """Music that was given in memory: it cannot be read again when somebody asks for scores."""
        return in_memory

    # --- about ------------------------------------------------------------------------------------------------------
    def propose(self, schema: Schema) -> Proposal:
        """Suggest a recurrent encoder, and a decoder that plans bar by bar where there are more than two."""
        told = details_of(schema)
        n = {"n": n_symbols(told.part)}
        bar = {"segment": told.steps // told.bars * told.voices}
        flat = told.bars <= 2
        return Proposal(
            likelihood=Choice("recurrent_tokens", n) if flat else Choice("conductor_tokens", n | bar),
            encoder=Choice("recurrent_tokens", n), recipe="music-vae", training={"lr": 3e-3},
            reason="Notes follow one another, and a code is told to each step"
            + ("." if flat else ", by a plan with a place for each bar."),
        )

    def quantity(self, decoded: Any, name: str, schema: Schema) -> Array:
        """Return density, range, syncopation or mean pitch of pieces."""
        quantities.need_known([name], tuple(ATTRIBUTES), "music")
        return np.array([attribute(piece, name) for piece in as_pieces(decoded)])


def as_pieces(decoded: Any) -> list[Passage]:
    """Return pieces in whatever form they came as a list."""
    return [decoded] if isinstance(decoded, Passage) else list(decoded)


def details_of(schema: Schema) -> MusicDetails:
    """Return what the kind knows about its data.

    Raises:
        SettingError: The schema is of another kind.
    """
    if not isinstance(schema.details, MusicDetails):
        raise SettingError(f"This is about music, but the data are of the kind {schema.kind!r}.")
    return schema.details


def _names(asked: MusicOptions, schema: Schema | None) -> tuple[str, ...]:
    if schema is not None:
        return tuple(q.name for q in schema.quantities)
    return tuple(dict.fromkeys((*asked.condition, *asked.properties)))


def _split(options: Options, opened: Opened) -> Split:
    """Return a split by songs, or by rows where there are not enough of them."""
    whole = options.split
    by_song = whole.model_copy(update={"by": "groups", "column": GROUP})
    return by_song if len(set(opened.groups.tolist() if opened.groups is not None else ())) >= whole.needs else whole


def _fingerprint(cut: windows.BarWindows) -> str:
    return fingerprint.of_texts(f"{i} {at} {p.voices}" for i, at, p in zip(cut.songs, cut.starts, cut.pieces,
                                                                           strict=True))


def _told(cut: windows.BarWindows, told: MusicDetails, songs: Sequence[midi.Song]) -> Iterable[str]:
    """Say what was read, and what was not."""
    if told.fixed and songs and windows.commonest(songs)[0] == 1:
        yield f"Meters of one beat say nothing of bars: all is read in {told.meter[0]}/{told.meter[1]} (meter=...)."
    if cut.dropped:
        one = "a drum of its own" if told.part == "drums" else "the highest of notes that begin together"
        yield f"{cut.dropped:,} notes fell away: {one} stays."
    if cut.silent:
        yield f"{cut.silent:,} rows without a note were left out."
    if cut.other:
        yield (
            f"{cut.other:,} bars in another meter than {told.meter[0]}/{told.meter[1]} were left out (meter=4/4 reads "
            "everything in one)."
        )
    moved = sum(song.moved != 0 for song in songs)
    if moved:
        yield f"Notes of {moved:,} files lie beside the grid by the same part of a step; it was moved to them."


def _decided(told: MusicDetails, split: Split) -> Iterable[str]:
    """Say what a row is."""
    what = {"melody": "one note at a time", "voices": f"{told.voices} voices", "drums": "nine drums"}[told.part]
    yield (
        f"A row is {told.bars} bars of {told.meter[0]}/{told.meter[1]} on a grid of sixteenths, {what}; a note that "
        "sounds into a row begins there anew."
    )
    yield f"New rows have the tempo in the middle of the data, {told.tempo:g} a minute; velocities are not kept."
    if split.by == "groups":
        yield "Rows of one song are in one part of the split."
    else:
        yield "There are too few songs to keep them apart: rows are divided one by one."


KINDS.add("music")(MusicKind())
