"""Pieces: notes of voices on a grid of sixteenths, and the symbols that they become."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

from pydantic import JsonValue

from senzai.core.errors import InputError

from ..symbols import NAMES

Part: TypeAlias = Literal["melody", "voices", "drums"]

HOLD, REST, FIRST = len(NAMES), len(NAMES) + 1, len(NAMES) + 2
"""Symbols for a note that sounds on, for silence, and for the lowest pitch that begins."""
PITCHES = 128
DRUMS = (36, 38, 42, 46, 43, 47, 50, 49, 51)
"""What a drum is written as: kick, snare, closed and open hi-hat, low, middle and high tom, crash, ride."""
ALIKE = {
    35: 36, 36: 36, 37: 38, 38: 38, 39: 38, 40: 38, 42: 42, 44: 42, 46: 46, 41: 43, 43: 43, 45: 47, 47: 47, 48: 50,
    50: 50, 49: 49, 52: 49, 55: 49, 57: 49, 51: 51, 53: 51, 59: 51,
}
"""Pitches of General MIDI's drum channel, and the one of nine that stands for each."""
PER_QUARTER = 4
MOST_STEPS = 2**20
"""Sixteenths of a piece, at most: two days of music at 100 quarters a minute, or a damaged file."""
SLOWEST, FASTEST = 1.0, 1000.0
"""Quarters a minute."""


class Note(NamedTuple):
    """A note: where it begins and how long it lasts, in sixteenths, and its MIDI pitch."""

    start: int
    length: int
    pitch: int


@dataclass(frozen=True)
class Passage:
    """Some bars of music, or all of a file.

    Args:
        voices: Notes of each voice, one after another; of drums the hits, of which several may begin together.
        steps: Length in sixteenths.
        tempo: Quarters a minute.
        meter: Time signature, as (4, 4).
        drums: Whether pitches are those of the drum channel.

    Example:
        >>> piece = Passage(((Note(0, 4, 60), Note(4, 2, 64)),), 16)
        >>> len(piece.voices[0]), piece.seconds
        (2, 2.0)
    """

    voices: tuple[tuple[Note, ...], ...]
    steps: int
    tempo: float = 120.0
    meter: tuple[int, int] = (4, 4)
    drums: bool = False

    def __bool__(self) -> bool:
        """Whether there is a note in it."""
        return any(self.voices)

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.steps / PER_QUARTER * 60 / self.tempo

    def plain(self) -> dict[str, JsonValue]:
        """Return it as plain values."""
        return {
            "tempo": self.tempo, "meter": list(self.meter), "steps": self.steps, "drums": self.drums,
            "voices": [[list(note) for note in voice] for voice in self.voices],
        }

    @classmethod
    def of_plain(cls, value: Any) -> Passage:
        """Return what :meth:`plain` gave.

        Raises:
            InputError: It is something else.
        """
        try:
            voices = tuple(tuple(Note(*map(int, note)) for note in voice) for voice in value["voices"])
            found = cls(
                voices, int(value["steps"]), float(value.get("tempo", 120)),
                _meter(value.get("meter", (4, 4))), bool(value.get("drums", False)),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as err:
            raise InputError(
                'A piece is {"steps": 32, "voices": [[[start, length, pitch], ...]]} in sixteenths, but got '
                f"{str(value)[:60]!r}. Give it so."
            ) from err
        return found.sound()

    def sound(self) -> Passage:
        """Return the piece, if its numbers are such as music has.

        Raises:
            InputError: A pitch, a length or the tempo is not.
        """
        for note in (note for voice in self.voices for note in voice):
            if not (0 <= note.pitch < PITCHES and note.length >= 1 and 0 <= note.start < self.steps):
                raise InputError(
                    f"A note has a pitch of 0 to 127, begins within its piece and lasts a sixteenth or more, but got "
                    f"{tuple(note)} in {self.steps} steps. Correct it."
                )
        if not (SLOWEST <= self.tempo <= FASTEST and 1 <= self.steps <= MOST_STEPS):
            raise InputError(
                f"A piece has 1 to {MOST_STEPS:,} sixteenths, at 1 to 1000 quarters a minute, but got {self.steps:,} "
                f"at {self.tempo:g}. Correct it."
            )
        return self


def _meter(value: Any) -> tuple[int, int]:
    top, bottom = (int(v) for v in value)
    if not (1 <= top <= 64 and steps_of((top, bottom))):
        raise ValueError(value)
    return top, bottom


def steps_of(meter: tuple[int, int]) -> int:
    """Return the sixteenths of a bar; none where they are not whole.

    Example:
        >>> steps_of((4, 4)), steps_of((6, 8)), steps_of((3, 32))
        (16, 12, 0)
    """
    whole, rest = divmod(meter[0] * 16, max(1, meter[1]))
    return 0 if rest else whole


# --- one note at a time -----------------------------------------------------------------------------------------------
def one_at_a_time(notes: Iterable[Note]) -> tuple[list[Note], int]:
    """Return the highest note at each step where one begins, ended where the next begins, and how many fell away.

    Example:
        >>> one_at_a_time([Note(0, 8, 60), Note(0, 2, 67), Note(4, 4, 62)])
        ([Note(start=0, length=2, pitch=67), Note(start=4, length=4, pitch=62)], 1)
    """
    ordered = sorted(notes, key=lambda n: (n.start, -n.pitch))
    kept = [n for i, n in enumerate(ordered) if i == 0 or n.start != ordered[i - 1].start]
    ends = [n.start for n in kept[1:]] + [None]
    cut = [n if end is None else n._replace(length=min(n.length, end - n.start))
           for n, end in zip(kept, ends, strict=True)]
    return cut, len(ordered) - len(kept)


def within(notes: Sequence[Note], start: int, steps: int) -> tuple[list[Note], bool]:
    """Return the notes of a window, begun anew where they sound into it, and whether the first is such a one.

    Example:
        >>> within([Note(0, 6, 60), Note(6, 4, 62)], 4, 4)
        ([Note(start=0, length=2, pitch=60), Note(start=2, length=2, pitch=62)], True)
    """
    found, tied = [], False
    for note in notes:
        begin, end = max(note.start, start), min(note.start + note.length, start + steps)
        if end > begin:
            found.append(Note(begin - start, end - begin, note.pitch))
            tied = tied or note.start < start
    return found, tied


# --- symbols ----------------------------------------------------------------------------------------------------------
def n_symbols(part: Part) -> int:
    """Return how many different symbols there are: pitches, hold and rest; of drums, what may sound together."""
    return len(NAMES) + (2 ** len(DRUMS) if part == "drums" else PITCHES + 2)


def codes_of_piece(piece: Passage) -> list[int]:
    """Return the symbols of a piece: those of all voices at a step, then those at the next.

    Example:
        >>> codes_of_piece(Passage(((Note(0, 2, 60),),), 4))
        [64, 2, 3, 3]
    """
    if piece.drums:
        hits = [0] * piece.steps
        for note in piece.voices[0]:
            hits[note.start] |= 1 << DRUMS.index(note.pitch)
        return [len(NAMES) + h for h in hits]
    rows = [_codes_of_voice(voice, piece.steps) for voice in piece.voices]
    return [code for at in zip(*rows, strict=True) for code in at]


def _codes_of_voice(notes: Sequence[Note], steps: int) -> list[int]:
    codes = [REST] * steps
    for note in notes:
        codes[note.start] = FIRST + note.pitch
        for t in range(note.start + 1, min(steps, note.start + note.length)):
            codes[t] = HOLD
    return codes


def voices_of_codes(codes: Sequence[int], steps: int, n: int, *, drums: bool) -> tuple[tuple[Note, ...], ...]:
    """Return the notes of each of ``n`` voices; what is too short is silent at its end.

    A hold with nothing to hold is silence.

    Example:
        >>> voices_of_codes([2, 64, 2], 4, 1, drums=False)
        ((Note(start=1, length=2, pitch=60),),)
    """
    if drums:
        hit = ((t, max(0, code - len(NAMES))) for t, code in enumerate(codes[:steps]))
        return (tuple(Note(t, 1, p) for t, bits in hit for i, p in enumerate(DRUMS) if bits >> i & 1),)
    return tuple(tuple(_notes(codes[v : steps * n : n])) for v in range(n))


def _notes(codes: Sequence[int]) -> Iterator[Note]:
    begun: Note | None = None
    for t, code in enumerate(codes):
        if code >= FIRST:
            if begun is not None:
                yield begun
            begun = Note(t, 1, code - FIRST)
        elif code == HOLD and begun is not None:
            begun = begun._replace(length=begun.length + 1)
        elif begun is not None:
            yield begun
            begun = None
    if begun is not None:
        yield begun


# --- one after another ------------------------------------------------------------------------------------------------
def one_after_another(pieces: Sequence[Passage], places: Sequence[int], tied: Sequence[Sequence[bool]]) -> Passage:
    """Return pieces laid end to end, or where they were: notes that went on from one into the next are one again.

    Args:
        pieces: Pieces with the same voices.
        places: Step at which each begins, ascending.
        tied: Whether the first note of each voice went on from before.
    """
    voices: list[list[Note]] = [[] for _ in pieces[0].voices]
    for piece, place, ties in zip(pieces, places, tied, strict=True):
        for voice, notes, tie in zip(voices, piece.voices, ties, strict=True):
            moved = [n._replace(start=n.start + place) for n in notes]
            last = voice[-1] if voice else None
            if (tie and moved and last is not None and moved[0].start == place == last.start + last.length
                    and moved[0].pitch == last.pitch):
                voice[-1] = last._replace(length=last.length + moved[0].length)
                moved = moved[1:]
            voice.extend(moved)
    steps = places[-1] + pieces[-1].steps
    return Passage(tuple(map(tuple, voices)), steps, pieces[0].tempo, pieces[0].meter, pieces[0].drums)
