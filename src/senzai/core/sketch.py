"""Small drawings for notebooks: SVG in the colour of the text around it, so that light and dark pages both fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import isfinite

WIDE, HIGH = 300, 96
EDGE = 4
TEAL, ORANGE = "#1f9bb0", "#d9792b"
"""Colours that are read on white and on black."""
Points = Sequence[tuple[float, float]]


def curves(lines: Mapping[str, tuple[str, Points]], *, title: str, end: float | None = None) -> str:
    """Return a drawing of some curves over one axis, with their names and last values.

    Args:
        lines: Colour and points (step, value) of each curve, by name; what is not finite is left out.
        title: What is drawn.
        end: Last step of the axis, where it is known before.

    Example:
        >>> drawn = curves({"loss": ("red", [(0, 3.0), (10, 1.0)])}, title="loss <nats>")
        >>> "loss &lt;nats&gt;" in drawn, drawn.count("<polyline")
        (True, 1)
    """
    known = {n: (c, [(x, y) for x, y in p if y is not None and isfinite(y)]) for n, (c, p) in lines.items()}
    known = {name: (colour, points) for name, (colour, points) in known.items() if points}
    if not known:
        return ""
    values = sorted(y for _, points in known.values() for _, y in points)
    low, high = values[0], values[min(len(values) - 1, int(0.95 * len(values)))]
    last = max([end or 0.0, *(x for _, points in known.values() for x, _ in points), 1.0])
    drawn = "".join(_line(points, colour, low, high, last) for colour, points in known.values())
    told = " ".join(
        f'<span style="color:{colour}">●</span> {escape(name)} {points[-1][1]:.4g}' for name, (colour, points) in
        known.items()
    )
    return (
        f'<div style="display:inline-block;margin:0 1.2em .4em 0;vertical-align:top"><div style="font-size:.85em">'
        f'{escape(title)}</div><svg width="{WIDE}" height="{HIGH}" viewBox="0 0 {WIDE} {HIGH}" role="img" '
        f'aria-label="{escape(title)}"><line x1="0" y1="{HIGH - 1}" x2="{WIDE}" y2="{HIGH - 1}" stroke="currentColor" '
        f'stroke-opacity=".3"/>{drawn}</svg><div style="font-size:.85em;opacity:.8">{told}</div></div>'
    )


def _line(points: Points, colour: str, low: float, high: float, last: float) -> str:
    span = high - low or 1.0
    placed = [
        (EDGE + x / last * (WIDE - 2 * EDGE), EDGE + (1 - (min(y, high) - low) / span) * (HIGH - 2 * EDGE))
        for x, y in points
    ]
    if len(placed) == 1:
        return f'<circle cx="{placed[0][0]:.1f}" cy="{placed[0][1]:.1f}" r="2.5" fill="{colour}"/>'
    text = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    return f'<polyline points="{text}" fill="none" stroke="{colour}" stroke-width="1.8"/>'
