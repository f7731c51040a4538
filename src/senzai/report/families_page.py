"""The page about five families: one table, the runs as points, and what holds in words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from ..core.files import write_text
from .numbers import number

Found = Mapping[str, Any]
STYLE = """
body{font:16px/1.5 system-ui,sans-serif;margin:2.5rem auto;max-width:68rem;padding:0 1.2rem}
body{color:#1c2330;background:#fbfbfd}
h1{font-size:1.7rem;margin:0 0 .3rem}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}p{max-width:46rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;background:#fff}
th,td{padding:.45rem .6rem;border-bottom:1px solid #e3e6ee;text-align:right;vertical-align:top}
th:first-child,td:first-child{text-align:left}thead th{background:#f1f3f9;font-weight:600}
small{color:#5c6577}.yes{color:#0a6b4a}.no{color:#a03a1d}li{margin:.35rem 0}.scroll{overflow-x:auto}
"""
ROWS = (
    ("Training stability", (("failed or diverged", "failed"), ("Fréchet at ten times the rate", "ratio"))),
    ("Quality", (("Fréchet distance", "frechet"), ("precision", "precision"),
                 ("told apart by a forest", "told_apart"))),
    ("Likelihood, nats a row", (("log p(x)", "likelihood"),)),
    ("Latent structure", (("classes by a linear probe", "probe"),
                          ("round trip, share of variance lost", "round_trip_error"),
                          ("unevenness between rows", "unevenness"))),
    ("Cost", (("seconds to train", "seconds"), ("seconds per 1,000 samples", "seconds_per_1000_samples"),
              ("parameters", "parameters"))),
    ("Coverage", (("recall", "recall"), ("coverage", "coverage"), ("known modes reached", "modes"))),
)
"""Aspects, each with its rows: what is shown, and the name of the number."""


def families_page(found: Found, source: str) -> str:
    """Return the page, complete in itself, of what :func:`senzai.runs.families.compare_families` found."""
    families = found["families"]
    titles = [Markup("<th>{}</th>").format(one["title"]) for one in families.values()]
    pieces = [
        Markup("<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
               "<title>Five families on {}</title><style>{}</style>").format(source, Markup(STYLE)),
        Markup("<h1>Five families of generators on {}</h1><p>{}</p>").format(source, _lead(found)),
        Markup("<h2>What is said of them, and what holds here</h2><ul>"), *map(_claim, found["words"]), Markup("</ul>"),
        Markup("<h2>Measured</h2><div class=scroll><table><thead><tr><th>aspect</th>"), *titles,
        Markup("<th>floor: real rows</th></tr></thead><tbody>"),
    ]
    for aspect, rows in ROWS:
        lines = [(label, key) for label, key in rows if _shown(found, key)]
        if lines:
            pieces.append(Markup("<tr><td colspan={}><b>{}</b></td></tr>").format(len(families) + 2, aspect))
        pieces += [_row(found, label, key) for label, key in lines]
    pieces += [Markup("</tbody></table></div>"), _notes(found)]
    return str(Markup("\n").join(pieces))


def write_families(found: Found, source: str, path: str | Path) -> Path:
    """Write the page to a file, at once.

    Raises:
        OutputError: The file cannot be written.
    """
    target = Path(path)
    write_text(target, families_page(found, source))
    return target


def _lead(found: Found) -> str:
    return (
        f"{found['rows']:,} rows of {found['numbers']} numbers; {found['seeds']} runs of each family, "
        f"{number(found['seconds_a_run'], 3)} seconds of training each; means over runs, ± their spread. Distances are "
        f"in the features {found['floor'].get('features', '?')} of standardised rows; the last column is what real "
        "rows get."
    )


def _claim(one: Found) -> Markup:
    word, cls = ("holds here", "yes") if one["holds"] else ("does not hold here", "no")
    return Markup("<li>{} <b class={}>{}</b>. <small>{}</small></li>").format(one["claim"], cls, word, one["because"])


def _shown(found: Found, key: str) -> bool:
    summaries = [one["summary"] for one in found["families"].values()]
    return key in ("failed", "ratio", "likelihood") or any(_value(one, key) is not None for one in summaries)


def _row(found: Found, label: str, key: str) -> Markup:
    cells = [_cell(one["summary"], key) for one in found["families"].values()]
    floor = found["floor"].get("log_likelihood" if key == "likelihood" else key)
    cells.append(Markup("<td>{}</td>").format("" if floor is None else number(float(floor), 3)))
    return Markup("<tr><td>{}</td>{}</tr>").format(label, Markup("").join(cells))


def _value(summary: Found, key: str) -> Any:
    return summary.get(key, summary.get("latents", {}).get(key))


def _cell(summary: Found, key: str) -> Markup:
    if key == "failed":
        return Markup("<td>{} of {}</td>").format(summary["failed"], summary["runs"])
    if key == "ratio":
        told = summary.get("at_ten_times_the_rate", {})
        said = "" if not told else "diverged" if told["diverged"] else f"× {number(told['frechet_ratio'], 3)}"
        return Markup("<td>{}</td>").format(said)
    if key == "likelihood":
        return _likelihood(summary.get("likelihood", {}))
    value = _value(summary, key)
    if value is None:
        return Markup("<td><small>none</small></td>")
    if isinstance(value, Mapping):
        spread = Markup(" <small>± {}</small>").format(number(value["spread"], 2)) if value["spread"] else ""
        return Markup("<td>{}{}</td>").format(number(value["mean"], 3), spread)
    return Markup("<td>{}</td>").format(number(float(value), 3))


def _likelihood(told: Found) -> Markup:
    if told.get("value") is None:
        return Markup("<td><small>{}</small></td>").format(str(told.get("is", "none")).partition(":")[0])
    more = f"{told['is']}, ± {number(told['se'], 2)}"
    if told["is"] == "bound":
        more += f"; {number(told['gap_to_one_draw'], 2)} above one draw"
    return Markup("<td>{} <small>({})</small></td>").format(number(told["value"], 4), more)


def _notes(found: Found) -> Markup:
    told = [*found["notes"]]
    told += [f"{one['title']}: no likelihood, because {one['summary']['likelihood']['is'].partition(': ')[2]}."
             for one in found["families"].values()
             if str(one["summary"].get("likelihood", {}).get("is", "")).startswith("none")]
    told += [f"{one['title']}, seed {r['seed']}: {r['failed']}" for one in found["families"].values()
             for r in one["runs"] if r.get("failed")]
    items = Markup("").join(Markup("<li>{}</li>").format(escape(line)) for line in told)
    return Markup("<h2>Notes</h2><ul>{}</ul>").format(items)
