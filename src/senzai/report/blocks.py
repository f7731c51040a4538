"""What a page is made of: plain values that the template lays out."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Figure: TypeAlias = dict[str, Any]
"""Data and layout of one Plotly chart; ``var(--name)`` stands for a colour of the page's scheme."""


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart.

    Args:
        figure: What Plotly draws.
        title: Heading above it.
        note: Small print beside the heading.
        height: Height in pixels.
        says: What it shows, for people who cannot see it.
        sprite: Pictures of the points, shown when the pointer is on one.
        points: What to say about each point when the pointer is on it; its place in ``customdata``.
        keys: Name and colour of each trace, as buttons that hide it.
        wide: Whether it is scrolled sideways, not squeezed, where there is little room.
        colourings: Ways to colour its points, to choose from.
    """

    figure: Figure
    title: str = ""
    note: str = ""
    height: int = 220
    says: str = ""
    points: tuple[tuple[str, str], ...] = ()
    sprite: Sprite | None = None
    keys: tuple[tuple[str, str], ...] = ()
    wide: bool = False
    colourings: tuple[Colouring, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Colouring:
    """One way to colour points.

    Args:
        name: What they are coloured by.
        index: Level of each point, 255 where missing.
        texts: What each level is called.
        at: For numbers, place of each level on the scale, 0 to 1.
        colours: For categories, the colour of each level.
        ends: For numbers, what stands at the ends of the scale.
        first: Whether it is the one that is shown at first.
    """

    name: str
    index: NDArray[np.uint8]
    texts: tuple[str, ...]
    at: tuple[float, ...] = ()
    colours: tuple[str, ...] = ()
    ends: tuple[str, str] = ("", "")
    first: bool = False

    @property
    def packed(self) -> dict[str, Any]:
        """What the page's script reads: a byte per point, and what each byte means."""
        return {
            "name": self.name, "codes": b64encode(self.index.tobytes()).decode(), "texts": self.texts, "at": self.at,
            "colours": self.colours, "ends": self.ends,
        }

    def chosen(self) -> Colouring:
        """Return it as the one that is shown at first."""
        return replace(self, first=True)


@dataclass(frozen=True, slots=True)
class Sprite:
    """Many small pictures in one file, row by row."""

    src: str
    columns: int
    rows: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Charts:
    """Charts side by side, as many in a line as fit; ``least`` is their least width in pixels."""

    charts: Sequence[Chart]
    least: int = 240
    legend: Sequence[tuple[str, str]] = ()
    kind: str = "charts"


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture as a data URI."""

    src: str
    says: str
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Originals above what the model makes of them."""

    pairs: Sequence[tuple[Picture, Picture]]
    pixelated: bool
    kind: str = "pairs"


@dataclass(frozen=True, slots=True)
class Wall:
    """Pictures without an order."""

    pictures: Sequence[Picture]
    pixelated: bool
    kind: str = "wall"


@dataclass(frozen=True, slots=True)
class SliceStack:
    """Pictures that lie one behind the other: one is seen, the others are scrolled to."""

    pictures: Sequence[Picture]
    kind: str = "slices"


@dataclass(frozen=True, slots=True)
class Strip:
    """Pictures in an order, with a name and a remark."""

    name: str
    remark: str
    pictures: Sequence[Picture]


@dataclass(frozen=True, slots=True)
class Strips:
    """Strips under a common scale: what stands above the first, the middle and the last picture."""

    strips: Sequence[Strip]
    scale: tuple[str, str, str]
    pixelated: bool
    kind: str = "strips"


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands at a step: a value, small print, and how far it is from the first, -1 to 1."""

    text: str
    note: str = ""
    moved: float = 0.0


@dataclass(frozen=True, slots=True)
class Way:
    """What changes along a way: ``head`` stands above the steps, each row is a column and its cells."""

    title: str
    remark: str
    head: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]


@dataclass(frozen=True, slots=True)
class Ways:
    """Ways side by side, as many in a line as fit; ``least`` is their least width in pixels."""

    ways: Sequence[Way]
    least: int = 420
    kind: str = "ways"


@dataclass(frozen=True, slots=True)
class Listing:
    """Sentences."""

    items: Sequence[str]
    kind: str = "listing"


@dataclass(frozen=True, slots=True)
class TableBlock:
    """Names and values; ``folded`` keeps it closed until it is asked for."""

    title: str
    rows: Sequence[tuple[str, str]]
    folded: bool = False
    kind: str = "table"


@dataclass(frozen=True, slots=True)
class Card:
    """One row, or one row beside what the model makes of it, however rows of its kind are drawn."""

    title: str
    note: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Cards:
    """Cards side by side, as many in a line as fit; ``least`` is their least width in pixels."""

    cards: Sequence[Card]
    title: str = ""
    least: int = 220
    kind: str = "cards"


@dataclass(frozen=True, slots=True)
class Tune:
    """A picture of some notes that can be heard: ``sound`` is JSON, ``[[start, length, pitch, drum], ...]``."""

    picture: Picture
    title: str
    sound: str


@dataclass(frozen=True, slots=True)
class Tunes:
    """Tunes side by side, with a button that plays each and, under a common title, one that plays all."""

    tunes: Sequence[Tune]
    title: str = ""
    least: int = 220
    kind: str = "tunes"


@dataclass(frozen=True, slots=True)
class Code:
    """Lines to copy."""

    text: str
    kind: str = "code"


@dataclass(frozen=True, slots=True)
class Prose:
    """A text as somebody would read it."""

    text: str
    kind: str = "prose"


@dataclass(frozen=True, slots=True)
class SoundPlayer:
    """A sound as a data URI, to be played."""

    src: str
    says: str
    kind: str = "player"


@dataclass(frozen=True, slots=True)
class Empty:
    """Why there is nothing here, and what to do about it."""

    text: str
    kind: str = "empty"


Block: TypeAlias = (
    Charts | Pairs | Wall | SliceStack | Strips | Ways | Listing | TableBlock | Cards | Tunes | Code | Prose
    | SoundPlayer | Empty
)


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, what to know about it, and what there is to see."""

    id: str
    title: str
    words: Sequence[str]
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Stat:
    """One headline number: ``value ± error unit``, its name and its meaning; ``mark`` names its colour."""

    name: str
    value: str
    error: str
    unit: str
    words: str
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Share:
    """A piece of a bar: its name, its number as shown, its share of the whole in percent, its colour."""

    name: str
    value: str
    percent: float
    mark: str
