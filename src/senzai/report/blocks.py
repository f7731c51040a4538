"""What a page is made of: plain values that the template lays out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

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
class Listing:
    """Sentences."""

    items: Sequence[str]
    kind: str = "listing"


@dataclass(frozen=True, slots=True)
class Table:
    """Names and values; ``folded`` keeps it closed until it is asked for."""

    title: str
    rows: Sequence[tuple[str, str]]
    folded: bool = False
    kind: str = "table"


@dataclass(frozen=True, slots=True)
class Code:
    """Lines to copy."""

    text: str
    kind: str = "code"


@dataclass(frozen=True, slots=True)
class Empty:
    """Why there is nothing here, and what to do about it."""

    text: str
    kind: str = "empty"


Block: TypeAlias = Charts | Pairs | Wall | Strips | Listing | Table | Code | Empty


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
