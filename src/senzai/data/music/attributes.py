"""Numbers of some bars: how many notes, how wide, how much against the beat."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .pieces import PER_QUARTER, Note, Passage

ATTRIBUTES: Mapping[str, str] = {
    "density": "notes that begin, a quarter",
    "range": "semitones between the lowest and the highest note",
    "syncopation": "share of notes that begin off a beat and sound over the next one (of drums: that begin off a beat)",
    "pitch": "mean MIDI pitch of the notes",
}


def attribute(piece: Passage, name: str) -> float:
    """Return a number of a piece; NaN where it has no note and the number needs one.

    Example:
        >>> piece = Passage(((Note(0, 2, 60), Note(2, 4, 67), Note(6, 2, 62)),), 16)
        >>> [round(attribute(piece, name), 3) for name in ("density", "range", "syncopation", "pitch")]
        [0.75, 7.0, 0.333, 63.0]
    """
    notes = [note for voice in piece.voices for note in voice]
    if name == "density":
        return len(notes) / (piece.steps / PER_QUARTER)
    if not notes:
        return float("nan")
    pitches = [note.pitch for note in notes]
    if name == "range":
        return float(max(pitches) - min(pitches))
    if name == "pitch":
        return float(np.mean(pitches))
    return float(np.mean([_against(note, drums=piece.drums) for note in notes]))


def _against(note: Note, *, drums: bool) -> bool:
    off = note.start % PER_QUARTER
    return bool(off) and (drums or note.length > PER_QUARTER - off)
