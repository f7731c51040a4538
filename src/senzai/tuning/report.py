"""The page about a tuning: what was found, what mattered, and every trial; it loads nothing."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..core.files import write_text
from ..report.numbers import number
from ..report.page import asset
from ..runs.training.train import IN_MEMORY
from .study import BEST, REPORT, Tuned

WIDE, HIGH, EDGE = 720, 220, 44
MOST_SHOWN = 200


def write_report(found: Tuned) -> Path:
    """Write the page into the folder of the study."""
    path = found.folder / REPORT
    write_text(path, page(found))
    return path


def page(found: Tuned) -> str:
    """Return the page; everything that comes from data or settings is escaped."""
    about, values = found.about, [t["value"] for t in found.trials]
    states = {s: sum(t["state"] == s for t in found.trials) for s in ("complete", "pruned", "fail")}
    text: str = _template().render(
        about=about, name=found.folder.resolve().name, found=found, states=states, number=number,
        gain=None if found.default is None else found.value - found.default, space=_space(about.space),
        bars=_bars(found.importance), curve=Markup(curve(values, maximise=about.maximise)),
        rows=_rows(found), command=command(found), style=Markup(asset("style.css")), best=found.folder / BEST,
        short=number,
    )
    return text


def _space(space: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (n, ", ".join(map(str, d.choices)) if d.kind == "choice" else
         f"{d.low:.4g} to {d.high:.4g}{', logarithmic' if d.log else ''}")
        for n, d in space.items()
    ]


def _bars(importance: Mapping[str, float]) -> list[tuple[str, str, float]]:
    return [(name, f"{100 * value:.0f} %", round(100 * value, 1)) for name, value in importance.items()]


def _rows(found: Tuned) -> list[dict[str, Any]]:
    """Return the trials, the best first; what failed or was given up after them."""
    sign = -1 if found.about.maximise else 1
    whole = sorted((t for t in found.trials if t["state"] == "complete"), key=lambda t: sign * t["value"])
    others = [t for t in found.trials if t["state"] != "complete"]
    words = {"complete": "finished", "pruned": "given up", "fail": "failed"}
    return [
        {"trial": t["trial"], "state": words.get(t["state"], t["state"]), "value": _text(t["value"]),
         "seconds": _text(t["seconds"]), "why": t.get("why", ""),
         "settings": [_text(t["settings"].get(name)) for name in found.about.space]}
        for t in [*whole, *others][:MOST_SHOWN]
    ]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return number(value) if isinstance(value, float) else str(value)


def command(found: Tuned) -> str:
    """Return the command that trains the best run again."""
    about = found.about
    told = {**about.settings, **found.settings}
    words = [f"--set {shlex.quote(f'{k}={_typed(v)}')}" for k, v in told.items()]
    source = "DATA" if about.source.endswith(IN_MEMORY) else shlex.quote(about.source)
    return " ".join(["senzai fit", source, f"--recipe {about.recipe} --out RUN", *words])


def _typed(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def curve(values: Sequence[float | None], *, maximise: bool) -> str:
    """Return a drawing of the measure over the trials, and of the best so far; ``""`` with fewer than two.

    Example:
        >>> curve([1.0], maximise=True), curve([1.0, None, 2.0], maximise=True).count("<circle")
        ('', 2)
    """
    points = [(i, v) for i, v in enumerate(values) if v is not None and isfinite(v)]
    if len(points) < 2:
        return ""
    ordered = sorted(v for _, v in points)
    tenth = len(ordered) // 10
    low, high = (ordered[tenth], ordered[-1]) if maximise else (ordered[0], ordered[-1 - tenth])
    span = high - low or 1.0

    def at(i: int, v: float) -> tuple[float, float]:
        inside = min(max(v, low), high)
        return (EDGE + i * (WIDE - EDGE - 8) / max(1, len(values) - 1), HIGH - 24 - (inside - low) / span * (HIGH - 36))

    best, steps = points[0][1], []
    for i, v in points:
        new = max(best, v) if maximise else min(best, v)
        steps += [at(i, best), at(i, new)]
        best = new
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in [*steps, at(len(values) - 1, best)])
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in (at(i, v) for i, v in points))
    return (
        f'<svg viewBox="0 0 {WIDE} {HIGH}" role="img" aria-label="The measure over the trials, and the best so far">'
        f'<g fill="var(--pale)">{dots}</g>'
        f'<polyline points="{line}" fill="none" stroke="var(--model)" stroke-width="2"/>'
        f'<g fill="var(--soft)" font-size="11"><text x="0" y="16">{number(high)}</text>'
        f'<text x="0" y="{HIGH - 26}">{number(low)}</text><text x="{EDGE}" y="{HIGH - 4}">trial 0</text>'
        f'<text x="{WIDE - 8}" y="{HIGH - 4}" text-anchor="end">trial {len(values) - 1}</text></g></svg>'
    )


@cache
def _template() -> Any:
    env = Environment(
        loader=PackageLoader("senzai.tuning", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )
    return env.get_template("report.html.j2")
