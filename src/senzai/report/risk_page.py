"""The page about risk: what may be lost tomorrow, how such forecasts did, and what returns look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from ..core.files import write_text
from .numbers import number

Found = Mapping[str, Any]
STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:2.2rem auto;max-width:64rem;padding:0 1.2rem}
body{color:#1c2330;background:#fbfbfd}
h1{font-size:1.7rem;margin:0 0 .3rem}h2{font-size:1.15rem;margin:2.2rem 0 .5rem}p{max-width:46rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;background:#fff;margin:.4rem 0}
th,td{padding:.4rem .6rem;border-bottom:1px solid #e3e6ee;text-align:right;vertical-align:top}
th:first-child,td:first-child{text-align:left}thead th{background:#f1f3f9;font-weight:600}
small{color:#5c6577}.yes{color:#0a6b4a;font-weight:600}.no{color:#a03a1d;font-weight:600}.scroll{overflow-x:auto}
.green{background:#d9f2e3}.yellow{background:#fff0bf}.red{background:#fbd5cb}
.zone{padding:.1rem .5rem;border-radius:.6rem}
svg{width:100%;height:auto;background:#fff;border:1px solid #e3e6ee}
"""
TESTS = {
    "kupiec": ("Kupiec", "as many days beyond the value at risk as there should be"),
    "independence": ("Christoffersen, independence", "such days do not come in clusters"),
    "conditional_coverage": ("Christoffersen, both", "as many, and not in clusters"),
    "dynamic_quantile": ("Dynamic quantile", "such days cannot be foretold from those before or from the forecast"),
    "traffic_light": ("Traffic light", "zone of the Basel committee, last 250 days"),
    "mcneil_frey": ("McNeil and Frey", "on such days losses are no worse than the expected shortfall"),
    "acerbi_szekely_1": ("Acerbi and Szekely Z1", "size of such losses"),
    "acerbi_szekely_2": ("Acerbi and Szekely Z2", "size and number of such losses"),
    "fissler_ziegel": ("Fissler-Ziegel loss", "lower is better; compare it with the other methods below"),
}
"""Names of the tests, and what holds where forecasts are right."""
LEVEL = 0.05
W, H, LEFT, BOTTOM = 960, 300, 54, 26


def risk_page(found: Found, drawn: Found, metrics: Found) -> str:
    """Return the page, complete in itself.

    Args:
        found: What the verb ``risk`` answers.
        drawn: Days, returns and forecasts of one series.
        metrics: Numbers of the run; stylised facts are shown where they were measured.
    """
    first = next(iter(found["forecasts"]))
    parts = [
        Markup("<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
               "<title>Risk</title><style>{}</style><h1>Risk of the next day</h1>").format(Markup(STYLE)),
        Markup("<p>{}</p>").format(lead(found, first)),
        Markup("<h2>What may be lost</h2><p>{}</p>").format(
            f"Forecast for {found['next'][:10]}. With the value at risk of 99 %, a loss is larger on one day of a "
            "hundred; the expected shortfall is the mean loss on such days. In per cent of what is held."),
        coming(found),
        Markup("<h2>Forecasts and what came: {}</h2>").format(drawn["name"]), chart(drawn),
        Markup("<h2>Tests at 99 %</h2><p>{}</p>").format(
            f"A test fails below p = {LEVEL:.2f}; one right forecast in twenty does. In brackets the p-value by "
            "simulation, which holds for few days too."),
        tests(found, "99"),
        Markup("<h2>Beside simpler methods</h2><p>{}</p>").format(
            "The same days. Filtered historical simulation draws past residuals again behind the same filter; "
            "historical simulation takes the returns of the training days as they were."),
        beside(found), filters(found), facts(metrics),
        Markup("<h2>How to read this</h2><p>{}</p>").format(
            "Every day is forecast from the days before it; filter and model were estimated before the first of them. "
            "Weights are those of each morning. A forecast of one day says nothing of ten; scenarios do."),
    ]
    return str(Markup("\n").join(parts))


def write_risk(found: Found, drawn: Found, metrics: Found, path: Path) -> None:
    """Write the page at once.

    Raises:
        OutputError: The file cannot be written.
    """
    write_text(path, risk_page(found, drawn, metrics))


def percent(value: float | None) -> str:
    """Return a share as text.

    Example:
        >>> percent(0.01234), percent(None)
        ('1.23 %', '–')
    """
    return "–" if value is None else f"{100 * value:.2f} %"


def lead(found: Found, name: str) -> str:
    """Say in two sentences how the forecasts did."""
    at = found["forecasts"][name]["99"]
    failed = [TESTS[k][0] for k, t in at["tests"].items() if t["p_value"] is not None and t["p_value"] < LEVEL
              and k != "traffic_light"]
    verdict = "No test fails." if not failed else f"Failed: {', '.join(failed)}."
    return (
        f"From {found['first'][:10]} to {found['last'][:10]}, {found['days']:,} days that the model was not trained "
        f"on, {name} lost more than the value at risk of 99 % on {at['hits']} days; {at['expected']:.0f} were to be "
        f"expected. {verdict}"
    )


def coming(found: Found) -> Markup:
    """Return the table of the next day; where the model has no volatility of it, of the mean day."""
    rows = []
    for name, levels in found["forecasts"].items():
        cells = [Markup("<td>{}</td><td>{}</td>").format(
            percent(v["next_var"] if v["next_var"] is not None else v["var"]),
            percent(v["next_es"] if v["next_es"] is not None else v["es"])) for v in levels.values()]
        rows.append(Markup("<tr><td>{}</td>{}</tr>").format(name, Markup("").join(cells)))
    levels = next(iter(found["forecasts"].values()))
    head = Markup("").join(Markup("<th>VaR {0} %</th><th>ES {0} %</th>").format(level) for level in levels)
    known = next(iter(levels.values()))["next_var"] is not None
    said = "" if known else Markup("<p><small>Means over the days that were forecast.</small></p>")
    return grid(head, rows) + Markup(said)


def tests(found: Found, level: str) -> Markup:
    """Return the tests of every series at one level."""
    names = list(found["forecasts"])
    rows = []
    for key, (title, holds) in TESTS.items():
        cells = [cell(key, found["forecasts"][n][level]["tests"][key]) for n in names]
        rows.append(Markup("<tr><td>{}<br><small>{}</small></td>{}</tr>").format(title, holds, Markup("").join(cells)))
    counts = [Markup("<td>{} of {:,.0f}</td>").format(f["hits"], f["expected"]) for f in
              (found["forecasts"][n][level] for n in names)]
    rows.insert(0, Markup("<tr><td>Days beyond, of those expected</td>{}</tr>").format(Markup("").join(counts)))
    return grid(Markup("").join(Markup("<th>{}</th>").format(n) for n in names), rows)


def grid(head: Markup, rows: Sequence[Markup]) -> Markup:
    """Return a table that is scrolled sideways where there is little room."""
    return Markup("<div class=scroll><table><thead><tr><th></th>{}</tr></thead><tbody>{}</tbody></table></div>").format(
        head, Markup("").join(rows))


def cell(key: str, test: Found) -> Markup:
    """Return one test as a cell: what it says, in a word and a number."""
    if key == "traffic_light":
        zone = test["zone"]
        return Markup("<td><span class='zone {}'>{}</span> <small>{:.0f} in {}</small></td>").format(
            zone, zone, test["statistic"], test["days"])
    if key == "fissler_ziegel":
        return Markup("<td>{}</td>").format("–" if test["statistic"] is None else number(test["statistic"], 4))
    if test["p_value"] is None:
        return Markup("<td><small>too few such days</small></td>")
    fine = test["p_value"] >= LEVEL
    exact = test.get("p_simulated")
    small = "" if exact is None else Markup(" <small>({:.2f})</small>").format(exact)
    return Markup("<td><span class={}>{}</span> p = {:.3f}{}</td>").format(
        "yes" if fine else "no", "passes" if fine else "fails", test["p_value"], small)


def beside(found: Found) -> Markup:
    """Return model and simpler methods at 99 %, by series."""
    rows = []
    for name, levels in found["forecasts"].items():
        at = levels["99"]
        lines = {"the model": {**at, "kupiec_p": at["tests"]["kupiec"]["p_value"]}, **at["beside"]}
        for method, v in lines.items():
            rows.append(Markup("<tr><td>{}</td><td style='text-align:left'>{}</td><td>{}</td><td>{}</td><td>{} of "
                               "{:.0f}</td><td>{:.3f}</td><td>{}</td></tr>").format(
                name, method, percent(v["var"]), percent(v["es"]), v["hits"], v["expected"], v["kupiec_p"],
                "–" if v["loss"] is None else number(v["loss"], 4)))
    return Markup(
        "<div class=scroll><table><thead><tr><th></th><th style='text-align:left'>method</th><th>mean VaR 99 %</th>"
        "<th>mean ES 99 %</th><th>days beyond</th><th>Kupiec p</th><th>Fissler-Ziegel loss</th></tr></thead><tbody>{}"
        "</tbody></table></div>").format(Markup("").join(rows))


def filters(found: Found) -> Markup:
    """Return what the filters are, if there are any."""
    if not found["filters"]:
        return Markup("<h2>Filter</h2><p>None: the model has the volatility of returns to learn by itself.</p>")
    keys = list(next(iter(found["filters"].values())))
    rows = [Markup("<tr><td>{}</td>{}</tr>").format(name, Markup("").join(
        Markup("<td>{}</td>").format(number(law[k], 4)) for k in keys)) for name, law in found["filters"].items()]
    words = "Variance of the next day: omega + (alpha + gamma after a fall) × squared deviation + beta × variance."
    head = Markup("").join(Markup("<th>{}</th>").format(k) for k in keys)
    return Markup("<h2>Filter</h2><p>{}</p>{}").format(words, grid(head, rows))


def facts(metrics: Found) -> Markup:
    """Return the stylised facts, where an evaluation measured them."""
    from ..evaluation.stylised import FACTS

    found = ((metrics.get("evaluate") or {}).get("measured") or {}).get("stylised")
    if not found:
        return Markup("<h2>Stylised facts</h2><p><small>Not measured: evaluate the run first.</small></p>")
    return Markup("<h2>Stylised facts of returns</h2>{}").format(facts_table(found["table"], FACTS))


def facts_table(table: Mapping[str, Mapping[str, float]], titles: Mapping[str, str]) -> Markup:
    """Return stylised facts as a table: a row for each fact, a column for data, model and methods."""
    head = Markup("").join(Markup("<th>{}</th>").format(name) for name in table)
    rows = []
    for key, title in titles.items():
        values = [one.get(key) for one in table.values()]
        if any(v is not None for v in values):
            cells = Markup("").join(Markup("<td>{}</td>").format("–" if v is None else number(v, 3)) for v in values)
            rows.append(Markup("<tr><td>{}</td>{}</tr>").format(title, cells))
    return grid(head, rows)


# --- the chart --------------------------------------------------------------------------------------------------------
def chart(drawn: Found) -> Markup:
    """Return returns as points, value at risk at 99 % as a line, and days beyond it in red."""
    came, var = drawn["came"], drawn["var"]["99"]
    known = [v for v in came if v == v] + list(var)
    low, high = min(known) * 1.05, max(known) * 1.05
    n = max(1, len(came) - 1)

    def x(i: int) -> float:
        return LEFT + (W - LEFT - 8) * i / n

    def y(v: float) -> float:
        return float(8 + (H - BOTTOM - 8) * (high - v) / ((high - low) or 1))

    dots = [f"<circle cx={x(i):.1f} cy={y(v):.1f} r={'3.2' if v < var[i] else '1.5'} "
            f"fill={'#c2371a' if v < var[i] else '#7d879b'} />" for i, v in enumerate(came) if v == v]
    line = " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in enumerate(var))
    ticks = [t for t in _ticks(low, high)]
    grid = [f"<line x1={LEFT} x2={W - 8} y1={y(t):.1f} y2={y(t):.1f} stroke=#e3e6ee />"
            f"<text x={LEFT - 6} y={y(t) + 4:.1f} font-size=12 text-anchor=end fill=#5c6577>{100 * t:.0f} %</text>"
            for t in ticks]
    dates = [f"<text x={x(i):.1f} y={H - 6} font-size=12 text-anchor=middle fill=#5c6577>"
             f"{escape(drawn['times'][i])}</text>"
             for i in sorted({round(n * f) for f in (0.06, 0.28, 0.5, 0.72, 0.94)})]
    says = "Returns of each day as points, the value at risk of 99 % as a line, days beyond it in red"
    return Markup("<svg viewBox='0 0 {} {}' role=img aria-label='{}'>{}<polyline points='{}' fill=none stroke=#2457c5 "
                  "stroke-width=1.6 />{}{}</svg><p><small>{}.</small></p>").format(
        W, H, says, Markup("".join(grid)), Markup(line), Markup("".join(dots)), Markup("".join(dates)), says)


def _ticks(low: float, high: float) -> Sequence[float]:
    step = next(s for s in (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 10, 100, 1e9) if (high - low) / s <= 9)
    first = int(low / step) - 1
    return [t for t in (step * k for k in range(first, first + 13)) if low <= t <= high]
