"""Charts every run has: learning curves, the latent map, the rate of each dimension.

They are made with Plotly's own classes, which check every attribute, and drawn in the browser by the script that comes
with Plotly. That script is why the package is needed where a report is written: a page has to work offline and out of
the box, and a copy of somebody else's script in this package would be older than theirs. Making a figure takes about
two milliseconds (``import plotly.graph_objects``: 0.1 s, once, and only where a report is made).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import plotly.graph_objects as go

from .blocks import Chart, Colouring, Figure, Sprite
from .findings import Codes, Floats
from .numbers import label, number, short

CLASSES = 10
Trace: TypeAlias = go.Scatter | go.Bar | go.Heatmap
Axis = Mapping[str, Any]


def figure(data: Sequence[Trace], *, x: Axis | None = None, y: Axis | None = None, **layout: Any) -> Figure:
    """Return a chart in the page's style: no frame, thin grid lines, every colour a variable of the page's scheme.

    Plotly checks each name and value, and refuses what it does not know.

    Raises:
        ValueError: An attribute is unknown or has a value it cannot have.

    Example:
        >>> figure([go.Bar(x=[1, 2], y=[3, 4])], x={"title": "step"})["layout"]["xaxis"]["title"]["text"]
        'step'
    """
    axis = {
        "gridcolor": "var(--hair)", "zeroline": False, "linecolor": "var(--hair)", "automargin": True, "nticks": 6,
        "tickfont": {"color": "var(--soft)", "size": 11}, "title": {"font": {"color": "var(--soft)", "size": 12}},
    }
    made = go.Figure(data=list(data), layout={
        "template": {}, "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "showlegend": False,
        "font": {"family": "Inter, system-ui, sans-serif", "color": "var(--ink)", "size": 12},
        "margin": {"l": 44, "r": 12, "t": 8, "b": 36}, "hoverlabel": {"font": {"size": 12}}, "separators": ".\u202f",
        "xaxis": {**axis, "showgrid": False, **titled(axis, x)}, "yaxis": {**axis, **titled(axis, y)}, **layout,
    })
    plain_figure: Figure = made.to_plotly_json()
    return plain_figure


def titled(axis: Axis, given: Axis | None) -> dict[str, Any]:
    """Give the title of an axis its letters."""
    own = dict(given or {})
    if "title" in own:
        own["title"] = {**axis["title"], "text": own["title"], "standoff": 8}
    return own


def plain(values: Floats) -> list[float | None]:
    """Return numbers for JSON to six digits; what is not finite is left out.

    Example:
        >>> plain(np.array([1.23456789, np.nan]))
        [1.23457, None]
    """
    return [float(f"{v:.6g}") if np.isfinite(v) else None for v in np.asarray(values, dtype=float).tolist()]


# --- learning curves --------------------------------------------------------------------------------------------------
NO_TERMS = {"step", "epoch", "lr", "grad_norm", "samples_per_second", "seconds", "best_step", "since_best"}
"""Numbers of a line of the history that are no terms of the loss."""


def learning(history: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """Return curves of the loss and its terms, training beside validation: distortion and rate, or what there is."""
    names = dict.fromkeys(k for h in history if h.get("kind") in ("train", "validation") for k in h)
    terms = [k for k in ("distortion", "rate") if k in names]
    others = [k for k in names if k not in NO_TERMS and k != "loss" and not k.endswith("_se")]
    keys = ["loss", *(terms or others[:3])]
    made = (curve(history, k, k.replace("_", " ").capitalize(), unit="nats per row" if terms else "") for k in keys)
    return [c for c in made if c is not None]


def curve(history: Sequence[Mapping[str, Any]], key: str, title: str, *, unit: str = "nats per row") -> Chart | None:
    """Return one quantity over the steps of training, or ``None`` if nothing was recorded."""
    colour = f"var(--{key})" if key in ("distortion", "rate") else "var(--ink)"
    lines = {kind: series(history, kind, key) for kind in ("train", "validation")}
    if not any(len(v) for _, v in lines.values()):
        return None
    look: dict[str, dict[str, Any]] = {
        "train": {"line": {"color": colour, "width": 1}, "opacity": 0.5, "name": "training"},
        "validation": {"line": {"color": colour, "width": 2.2}, "name": "validation"},
    }
    data = [
        go.Scatter(
            mode="lines" if len(v) > 1 else "markers", x=s.tolist(), y=plain(v), marker={"color": colour},
            hovertemplate="step %{x}<br>%{y:.4g}", **look[kind],
        )
        for kind, (s, v) in lines.items() if len(v)
    ]
    values = np.concatenate([v for _, v in lines.values()])
    scale, how = y_scale(values, logarithmic=key != "rate")
    last = lines["validation"] if len(lines["validation"][1]) else lines["train"]
    says = f"{title} over training steps, ending at {number(float(last[1][-1]))} {unit}"
    return Chart(figure(data, x={"title": "step", "rangemode": "tozero"}, y=scale, shapes=marks(history)),
                 title, ", ".join(w for w in (unit, how) if w), says=says.rstrip())


def series(history: Sequence[Mapping[str, Any]], kind: str, key: str) -> tuple[Floats, Floats]:
    """Return steps and values of one quantity."""
    points = [(h["step"], h[key]) for h in history if h.get("kind") == kind and isinstance(h.get(key), int | float)]
    pairs = np.array(points, dtype=float).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def y_scale(values: Floats, *, logarithmic: bool) -> tuple[dict[str, Any], str]:
    """Choose the axis of a curve: logarithmic over decades, else without high first values that would hide the rest."""
    good = values[np.isfinite(values)]
    if len(good) < 2:
        return {}, ""
    low, most, high = float(good.min()), float(np.quantile(good, 0.95)), float(good.max())
    if logarithmic and low > 0 and high > 20 * low:
        return {"type": "log", "dtick": "D2" if high < 100 * low else 1}, "logarithmic"
    if logarithmic and len(good) >= 20 and high - most > 1.5 * (most - low):
        pad = 0.08 * (most - low) or 1.0
        return {"range": [low - pad, most + pad]}, "the first values are above"
    return ({"rangemode": "tozero"} if low >= 0 and not logarithmic else {}), ""


def marks(history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return vertical lines where the kept weights are from, and where a bad step was taken back."""
    best = [h["best_step"] for h in history if h.get("kind") == "validation" and h.get("best_step")]
    lines = [(best[-1], "var(--soft)", "dot")] if best else []
    lines += [(h["step"], "var(--warn)", "solid") for h in history if h.get("kind") == "recovered"]
    return [
        {"type": "line", "x0": s, "x1": s, "y0": 0, "y1": 1, "yref": "paper",
         "line": {"color": c, "dash": d, "width": 1}}
        for s, c, d in lines
    ]


# --- the latent map ---------------------------------------------------------------------------------------------------
def project(codes: Codes) -> tuple[Floats, str, str, str]:
    """Return two coordinates of each row, the names of the axes, and what was done, in words.

    One latent is drawn against the distortion of its row, two as they are, more by their two principal components.
    """
    z = codes.points
    if z.shape[1] == 1:
        known = codes.distortion is not None
        other = codes.distortion if codes.distortion is not None else np.arange(len(z), dtype=float)
        return np.column_stack([z[:, 0], other]), "z0", "distortion, nats" if known else "row", (
            f"There is one latent: it is drawn against the {'distortion' if known else 'number'} of its row."
        )
    if z.shape[1] == 2:
        return z, "z0", "z1", "There are two latents, drawn as they are."
    if len(z) < 3:
        return z[:, :2], "z0", "z1", "Too few rows for a projection: the first two latents are drawn."
    projected, shares = principal(z)
    first, second = (round(100 * float(v)) if np.isfinite(v) else 0 for v in shares)
    return projected, f"component 1 ({first} %)", f"component 2 ({second} %)", (
        f"The {z.shape[1]} latents are projected onto their two principal components, which hold {first + second} % "
        "of the variance of the posterior means; what lies in the other directions cannot be seen here."
    )


def principal(z: Floats) -> tuple[Floats, Floats]:
    """Return the two principal components of rows, ``(N, 2)``, and their shares of the variance (NaN without any).

    The largest entry of each direction is positive, as in scikit-learn, which is not worth loading for this alone.
    """
    centred = z - z.mean(0)
    _, size, ways = np.linalg.svd(centred, full_matrices=False)
    ways = ways[:2] * np.sign(np.take_along_axis(ways[:2], np.abs(ways[:2]).argmax(1)[:, None], 1))
    total = float((size**2).sum())
    return centred @ ways.T, size[:2] ** 2 / (total if total else np.nan)


def latent_map(
    codes: Codes, xy: Floats, axes: tuple[str, str], names: Sequence[Any] | None, index: Sequence[int],
    sprite: Sprite | None = None, colourings: tuple[Colouring, ...] = (),
) -> Chart:
    """Return the map, coloured by label, by distortion where there are no labels, or as the reader chooses."""
    keys: tuple[tuple[str, str], ...] = ()
    words: list[dict[str, Any]] = []
    if colourings:
        data = [points(xy, np.arange(len(xy)), {})]
    elif names is None:
        look = {"color": "var(--model)"} if codes.distortion is None else by_distortion(codes.distortion)
        data = [points(xy, np.arange(len(xy)), look)]
    else:
        data, words, keys = by_class(xy, names)
    square = {"scaleanchor": "x", "scaleratio": 1} if codes.points.shape[1] > 1 else {}
    made = figure(data, x={"title": axes[0], "showgrid": True}, y={"title": axes[1], **square}, annotations=words,
                  hovermode="closest", dragmode="pan")
    says = f"Map of {len(xy)} rows in the latent space"
    costs = [""] * len(xy) if codes.distortion is None else [
        f" · distortion {number(d)} nats" for d in codes.distortion
    ]
    about = tuple(
        ("" if names is None else short(names[i]), f"row {row}{costs[i]}") for i, row in enumerate(index)
    )
    return Chart(made, height=560, says=says, points=about, sprite=sprite, keys=keys,
                 colourings=colourings)


def by_distortion(distortion: Floats) -> dict[str, Any]:
    """Return markers coloured by distortion, low to high; the scale ends at the 2nd and 98th percentile."""
    low, high = np.percentile(distortion, [2, 98])
    return {
        "color": plain(distortion), "cmin": float(low), "cmax": float(high if high > low else low + 1),
        "colorscale": [[0, "var(--low)"], [0.5, "var(--middle)"], [1, "var(--high)"]],
        "colorbar": {
            "thickness": 8, "outlinewidth": 0, "len": 0.5, "nticks": 4,
            "tickfont": {"color": "var(--soft)", "size": 11},
            "title": {"text": "distortion, nats", "side": "right", "font": {"color": "var(--soft)", "size": 12}},
        },
    }


def by_class(
    xy: Floats, names: Sequence[Any]
) -> tuple[list[Trace], list[dict[str, Any]], tuple[tuple[str, str], ...]]:
    """Return the points of each class, its name at its median, and the keys; small classes share a grey."""
    sizes: dict[Any, int] = {}
    for name in names:
        sizes[name] = sizes.get(name, 0) + 1
    known = sorted((n for n in sizes if n is not None), key=lambda n: -sizes[n])
    apart = known[:CLASSES] if len(known) > CLASSES else known
    groups: dict[str, tuple[list[int], str]] = {}
    for i, n in enumerate(sorted(apart, key=lambda v: (str(type(v)), v))):
        groups[short(n)] = ([j for j, m in enumerate(names) if m == n and m is not None], f"var(--c{i})")
    rest = [j for j, n in enumerate(names) if n is None or n not in apart]
    if rest:
        groups["other or unknown"] = (rest, "var(--c-rest)")
    data = [points(xy, np.array(at), {"color": c}, n) for n, (at, c) in groups.items()]
    words = [
        {
            "x": float(np.median(xy[at, 0])), "y": float(np.median(xy[at, 1])), "text": f"<b>{label(n)}</b>", "name": n,
            "showarrow": False, "font": {"color": "var(--ink)", "size": 14}, "captureevents": False,
        }
        for n, (at, c) in groups.items() if c != "var(--c-rest)" and len(xy) > 20
    ]
    return data, words, tuple((n, c) for n, (_, c) in groups.items())


def points(xy: Floats, at: Any, marker: dict[str, Any], name: str = "") -> Trace:
    """Return rows ``at`` as points that know their place in the sprite."""
    look = {"size": 5 if len(xy) > 300 else 8, "opacity": 0.75, "line": {"width": 0}, **marker}
    return go.Scatter(
        mode="markers", x=plain(xy[at, 0]), y=plain(xy[at, 1]), customdata=at.tolist(), hoverinfo="none", marker=look,
        name=name,
    )


# --- rate per dimension -----------------------------------------------------------------------------------------------
def rate_bars(rates: Floats, names: Sequence[str], active: Sequence[bool]) -> Chart:
    """Return the rate of each latent, the largest first; latents that are not in use are pale."""
    order = np.argsort(-rates, kind="stable")
    data = [go.Bar(
        x=list(range(len(order))), y=plain(rates[order]), customdata=[names[i] for i in order],
        marker={"color": ["var(--rate)" if active[i] else "var(--pale)" for i in order]},
        hovertemplate="z%{customdata}: %{y:.3f} nats<extra></extra>",
    )]
    few = len(order) <= 40
    room = [-0.6, max(len(order), 8) - 0.4]
    texts = [f"z{names[i]}" for i in order]
    where = {"range": room, "tickvals": list(range(len(order))), "ticktext": texts, "nticks": 0}
    ticks = where if few else {}
    made = figure(data, x={"title": "latent, the largest rate first", **ticks}, y={"title": "nats"}, bargap=0.25)
    return Chart(made, height=260, says=f"Rate of {len(order)} latents, the largest {number(float(rates.max()))} nats")
