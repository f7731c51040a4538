"""Rows of bars: the voices of each song, cut into windows that begin with a bar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from senzai.core.errors import InputError
from senzai.core.registry import suggestion

from .midi import Song, Track
from .options import MusicDetails, MusicOptions
from .pieces import ALIKE, Note, Part, Passage, one_at_a_time, steps_of, within

MELODIES = ("melody", "vocal", "vocals", "voice", "lead")
DEFAULT_METER = (4, 4)
MOST_CODES = 4096
"""Symbols of a row, at most."""


@dataclass
class BarWindows:
    """Rows, and where each comes from.

    Args:
        pieces: The music of each row.
        songs: Number of the song of each.
        starts: Sixteenth of its song at which each begins.
        tied: Whether the first note of each voice sounds on from before.
        dropped: Notes that fell away because a voice sings one at a time.
        notes: Notes that were read.
        silent: BarWindows without a note, which are left out.
        other: Bars in another meter, which are left out.
    """

    pieces: list[Passage] = field(default_factory=list)
    songs: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    tied: list[tuple[bool, ...]] = field(default_factory=list)
    dropped: int = 0
    notes: int = 0
    silent: int = 0
    other: int = 0


def decide(songs: Sequence[Song], asked: MusicOptions) -> MusicDetails:
    """Return how songs become rows.

    Raises:
        InputError: A row would be too long.
    """
    part: Part = _usual(songs) if asked.part == "auto" else asked.part
    if asked.voices is not None and asked.part == "auto" and asked.voices > 1:
        part = "voices"
    common = commonest(songs)
    beats = common[0] == 1  # such files count beats, and say nothing of bars
    meter = asked.meter or (DEFAULT_METER if beats else common)
    steps = asked.bars * steps_of(meter)
    voices = 1 if part != "voices" else asked.voices or _voices(songs)
    if steps * voices > MOST_CODES:
        raise InputError(
            f"A row has up to {MOST_CODES:,} symbols, but {asked.bars} bars of {voices} voices have "
            f"{steps * voices:,}. Take fewer bars."
        )
    tempos = [song.tempo_at(0) for song in songs if song.tracks]
    return MusicDetails(
        part=part, bars=asked.bars, stride=asked.stride or asked.bars, meter=meter, fixed=beats or asked.meter is not None,
        voices=voices, melody=asked.melody, program=asked.program, tempo=round(float(np.median(tempos or [120.0])), 2),
        steps=steps,
    )


def _usual(songs: Sequence[Song]) -> Part:
    """Return drums where there is nothing else, several voices where no track is called a melody, else the melody."""
    tracks = [t for song in songs for t in song.tracks]
    if tracks and all(t.drums for t in tracks):
        return "drums"
    alike = {len(song.tracks) for song in songs if song.tracks}
    several = len(alike) == 1 and min(alike) > 1 and all(_sings(t) for t in tracks)
    return "voices" if several and not any(t.name.lower() in MELODIES for t in tracks) else "melody"


def _sings(track: Track) -> bool:
    return not track.drums and one_at_a_time(track.notes)[1] == 0


def _voices(songs: Sequence[Song]) -> int:
    counts = Counter(sum(not t.drums for t in song.tracks) for song in songs if song.tracks)
    return max(1, min(16, counts.most_common(1)[0][0])) if counts else 1


def _spans(song: Song) -> list[tuple[int, int, tuple[int, int]]]:
    """Return where each meter of a song begins and ends."""
    places = [0 if i == 0 else at for i, (at, _) in enumerate(song.meters)]
    ends = [*places[1:], song.steps]
    return [(a, b, m) for a, b, (_, m) in zip(places, ends, song.meters, strict=True) if b > a]


def commonest(songs: Sequence[Song]) -> tuple[int, int]:
    """Return the meter that holds longest."""
    steps: Counter[tuple[int, int]] = Counter()
    for song in songs:
        for a, b, meter in _spans(song):
            if steps_of(meter) >= 1:
                steps[meter] += b - a
    return steps.most_common(1)[0][0] if steps else DEFAULT_METER


def voices_of(song: Song, told: MusicDetails) -> tuple[list[list[Note]], int]:
    """Return the notes of each voice of a song, and how many fell away.

    Raises:
        InputError: It has no track of the name or number that was asked for.
    """
    if told.part == "drums":
        hits = sorted({(n.start, ALIKE[n.pitch]) for t in song.tracks if t.drums for n in t.notes if n.pitch in ALIKE})
        total = sum(len(t.grid) for t in song.tracks if t.drums)
        return [[Note(t, 1, p) for t, p in hits]], total - len(hits)
    tracks = [t for t in song.tracks if not t.drums]
    if told.part == "melody":
        tracks = [_melody(tracks, told.melody, song.name)] if tracks else []
    else:
        tracks = sorted(tracks, key=lambda t: -t.height)[: told.voices] if len(tracks) > told.voices else tracks
    found = [one_at_a_time(t.notes) for t in tracks]
    voices = [notes for notes, _ in found] + [[] for _ in range(told.voices - len(found))]
    return voices, sum(n for _, n in found)


def _melody(tracks: Sequence[Track], asked: str | None, name: str) -> Track:
    """Return the track that was asked for, or is called a melody, or lies highest."""
    names = [t.name for t in tracks]
    if asked is not None:
        if asked.isdigit() and int(asked) < len(tracks):
            return tracks[int(asked)]
        found = [t for t in tracks if t.name.strip().lower() == asked.strip().lower()]
        if not found:
            raise InputError(
                f"{name!r} has the tracks {', '.join(map(repr, names[:16]))}, but got melody={asked!r}."
                f"{suggestion(asked, names)} Name one of them, or give its number from 0."
            )
        return found[0]
    called = [t for t in tracks if t.name.strip().lower() in MELODIES]
    return called[0] if called else max(tracks, key=lambda t: t.height)


def cut(songs: Sequence[Song], told: MusicDetails) -> BarWindows:
    """Return the windows of songs that have notes."""
    found, bar = BarWindows(), steps_of(told.meter)
    for i, song in enumerate(songs):
        if not song.tracks:
            continue
        voices, dropped = voices_of(song, told)
        found.dropped += dropped
        found.notes += sum(map(len, voices))
        spans = [(0, song.steps, told.meter)] if told.fixed else _spans(song)
        for begin, end, meter in spans:
            if meter != told.meter:
                found.other += -(-(end - begin) // max(1, steps_of(meter)))
                continue
            for at in range(begin, end, told.stride * bar):
                _add(found, i, at, voices, min(end, at + told.steps) - at, song, told)
    return found


def _add(
    found: BarWindows, i: int, at: int, voices: Sequence[Sequence[Note]], most: int, song: Song, told: MusicDetails
) -> None:
    """Add a window, or count it where it is silent; behind the end of its meter it is silent too."""
    inside = [within(v, at, most) for v in _near(voices, at, most)]
    if not any(notes for notes, _ in inside):
        found.silent += 1
        return
    rows = tuple(tuple(notes) for notes, _ in inside)
    found.pieces.append(Passage(rows, told.steps, song.tempo_at(at), told.meter, told.part == "drums"))
    found.songs.append(i)
    found.starts.append(at)
    found.tied.append(tuple(tied for _, tied in inside))


def _near(voices: Sequence[Sequence[Note]], at: int, steps: int) -> list[Sequence[Note]]:
    """Return the notes of each voice from the last before a window to its end: they are in order."""
    from bisect import bisect_left

    out: list[Sequence[Note]] = []
    for notes in voices:
        first = max(0, bisect_left(notes, at, key=lambda n: n.start) - 1)
        out.append(notes[first : bisect_left(notes, at + steps, key=lambda n: n.start)])
    return out
