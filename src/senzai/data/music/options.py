"""What a user may set about music, and what is kept of it."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from pydantic import Field as limited
from pydantic import field_validator

from ..options import Options, names_in
from ..schema import Frozen
from .pieces import Part


class MusicOptions(Options):
    """What the kind `music` understands beyond the common options.

    Args:
        bars: Bars of a row.
        stride: Bars from one row to the next; by default as many as a row has.
        part: What of a file is read: its "melody", several "voices", or "drums".
        voices: How many voices.
        melody: Name or number of the track that has the melody.
        meter: Read everything in this meter, such as "4/4"; by default that of most bars, and others are left out.
        program: Instrument of General MIDI that is written, from 0.
        properties: Numbers of a row that codes are to tell: density, range, syncopation.
    """

    decisions: ClassVar[frozenset[str]] = Options.decisions | {
        "bars", "stride", "part", "voices", "melody", "meter", "program", "properties",
    }

    bars: int = limited(2, ge=1, le=64)
    stride: int | None = limited(None, ge=1)
    part: Literal["auto", "melody", "voices", "drums"] = "auto"
    voices: int | None = limited(None, ge=1, le=16)
    melody: str | None = None
    meter: tuple[int, int] | None = None
    program: int = limited(0, ge=0, le=127)
    properties: tuple[str, ...] = ()

    @field_validator("properties", mode="before")
    @classmethod
    def _several(cls, value: object) -> object:
        return names_in(value)

    @field_validator("meter", mode="before")
    @classmethod
    def _meter(cls, value: object) -> object:
        if isinstance(value, str) and (found := re.fullmatch(r"(\d{1,2})/(1|2|4|8|16)", value.strip())):
            value = (int(found[1]), int(found[2]))
        if value is None or (isinstance(value, tuple | list) and len(value) == 2 and int(value[0]) >= 1):
            return value
        raise ValueError("must be a time signature like 4/4 or 6/8")


class MusicDetails(Frozen):
    """How bars become rows.

    Args:
        part: What of a file is read.
        bars: Bars of a row.
        stride: Bars from one row to the next.
        meter: Time signature of all rows.
        fixed: Whether everything is read in it, whatever a file says.
        voices: Voices of a row.
        melody: Name or number of the track that has the melody.
        program: Instrument that is written.
        tempo: Quarters a minute in the middle of the data, which new rows get.
        steps: Sixteenths of a row.
    """

    part: Part
    bars: int
    stride: int
    meter: tuple[int, int]
    fixed: bool
    voices: int
    melody: str | None
    program: int
    tempo: float
    steps: int
