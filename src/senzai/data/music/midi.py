"""MIDI: files to notes on a grid of sixteenths, and pieces to files, by symusic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from senzai.core.errors import InputError
from senzai.core.extras import need

from .pieces import FASTEST, MOST_STEPS, PER_QUARTER, SLOWEST, Note, Passage

TICKS = 480
"""Ticks of a quarter in files that are written."""
MOST_BYTES = 2**24
"""Bytes of a file of MIDI, at most."""
CLEAR = 0.5
"""How much onsets must agree on a place between two steps of the grid for the grid to be moved there (0 to 1)."""


@dataclass(frozen=True, eq=False)
class Track:
    """A track as it was read.

    Args:
        name: What it is called.
        grid: Start, length and pitch of its notes, ``(N, 3)``, of which several may sound together.
        drums: Whether it is on the drum channel.
    """

    name: str
    grid: NDArray[np.int64]
    drums: bool

    @property
    def notes(self) -> list[Note]:
        """Its notes."""
        return [Note(*row) for row in self.grid.tolist()]

    @property
    def height(self) -> float:
        """Mean pitch."""
        return float(self.grid[:, 2].mean()) if len(self.grid) else 0.0


@dataclass(frozen=True)
class Song:
    """A file as it was read.

    Args:
        name: What it is called.
        tracks: Its tracks that have notes.
        meters: Time signatures, with the step from which each holds.
        tempos: Quarters a minute, with the step from which each holds.
        steps: Length in sixteenths.
        moved: By which part of a step the grid was moved.
    """

    name: str
    tracks: tuple[Track, ...]
    meters: tuple[tuple[int, tuple[int, int]], ...]
    tempos: tuple[tuple[int, float], ...]
    steps: int
    moved: float = 0.0

    def tempo_at(self, step: int) -> float:
        """Return the tempo that holds at a step."""
        return next((t for at, t in reversed(self.tempos) if at <= step), self.tempos[0][1] if self.tempos else 120.0)


def symusic() -> Any:
    """Return the package that reads and writes MIDI.

    Raises:
        MissingExtraError: It is not installed.
    """
    return need("symusic", extra="music", to="read and write MIDI")


def song_of_bytes(raw: bytes, name: str) -> Song:
    """Return the notes of a MIDI file.

    Raises:
        InputError: It is none, is damaged, or announces more than music has.
    """
    if not raw:
        raise InputError(f"A MIDI file begins with MThd, but {name!r} is empty. Copy it again, or leave it out.")
    if len(raw) > MOST_BYTES:
        raise InputError(f"A MIDI file has up to 16 MB, but {name!r} has {len(raw) / 1e6:,.0f}. Leave it out.")
    try:
        score = symusic().Score.from_midi(raw)
    except (RuntimeError, ValueError, MemoryError) as err:
        raise InputError(
            f"{name!r} must be a whole MIDI file, but cannot be read: {str(err)[:120].rstrip('.')}. Save it again."
        ) from err
    return song_of_score(score, name)


def song_of_score(score: Any, name: str) -> Song:
    """Return the notes of a symusic score."""
    if str(score.ttype) != "Tick":
        score = score.to("tick")
    step = max(1, int(score.ticks_per_quarter)) / PER_QUARTER
    if score.end() / step > MOST_STEPS:
        raise InputError(
            f"A piece has up to {MOST_STEPS:,} sixteenths, but {name!r} announces {score.end() / step:,.0f}: it is "
            "damaged, or no music. Leave it out."
        )
    arrays = [(t, t.notes.numpy()) for t in score.tracks if len(t.notes)]
    moved = _between([a["time"] for _, a in arrays], step)
    tracks = tuple(Track(str(t.name), _on_grid(a, step, moved), bool(t.is_drum)) for t, a in arrays)
    end = max((int(t.grid[:, :2].sum(1).max()) for t in tracks), default=0)
    meters = tuple((round(s.time / step), (int(s.numerator), int(s.denominator))) for s in score.time_signatures)
    tempos = tuple((round(t.time / step), float(np.clip(t.qpm, SLOWEST, FASTEST))) for t in score.tempos)
    return Song(name, tracks, meters or ((0, (4, 4)),), tempos or ((0, 120.0),), end, moved)


def _on_grid(notes: Any, step: float, moved: float) -> NDArray[np.int64]:
    starts = np.maximum(0, np.floor(notes["time"] / step - moved + 0.5)).astype(int)
    ends = np.floor((notes["time"] + notes["duration"]) / step - moved + 0.5).astype(int)
    return np.stack([starts, np.maximum(1, ends - starts), notes["pitch"].astype(int)], 1)


def _between(times: Sequence[Any], step: float) -> float:
    """Return the part of a step by which the onsets of a file are off the grid, where they agree on one.

    Some files count their beats from a recording that begins before the first of them.
    """
    if not times:
        return 0.0
    turns = np.exp(2j * np.pi * np.concatenate(times) / step).mean()
    off = float(np.angle(turns) / (2 * np.pi))
    return off if abs(turns) >= CLEAR and abs(off) > 0.05 else 0.0


# --- and back ---------------------------------------------------------------------------------------------------------
def bytes_of(pieces: Sequence[Passage], program: int = 0) -> bytes:
    """Return a MIDI file of pieces one after another, each with its tempo and its time signature.

    Args:
        pieces: What is written.
        program: Instrument of General MIDI, from 0.
    """
    lib = symusic()
    score = lib.Score(TICKS)
    drums = any(p.drums for p in pieces)
    voices = max((len(p.voices) for p in pieces), default=1)
    tracks = [lib.Track("drums" if drums else f"voice {v + 1}", program, drums) for v in range(voices)]
    at, step, tempo, meter = 0, TICKS // PER_QUARTER, None, None
    for i, piece in enumerate(pieces):
        if piece.tempo != tempo:
            score.tempos.append(lib.Tempo(at, piece.tempo))
        if piece.meter != meter:
            score.time_signatures.append(lib.TimeSignature(at, *piece.meter))
        tempo, meter = piece.tempo, piece.meter
        score.markers.append(lib.TextMeta(at, f"row {i}"))
        for track, notes in zip(tracks, piece.voices, strict=False):
            for note in notes:
                track.notes.append(lib.Note(at + note.start * step, note.length * step, note.pitch, 96))
        at += piece.steps * step
    for track in tracks:
        score.tracks.append(track)
    return bytes(score.dumps_midi())
