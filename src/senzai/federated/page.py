"""A page for each round: who took part, how far each site moved, and what crossed."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

from ..core.files import write_text
from .state import State

HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>body{{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem;
color-scheme:light dark}}table{{border-collapse:collapse;width:100%}}th,td{{text-align:right;padding:.2rem .6rem;
border-bottom:1px solid #8884}}th:first-child,td:first-child,td:last-child{{text-align:left}}</style>"""


def write_page(folder: Path, state: State) -> Path:
    """Write the page of the last round, and return where it is."""
    line = state.history[-1]
    path = folder / f"round-{line['round']:04d}.html"
    write_text(path, page(line, state.settings.rounds))
    return path


def page(line: dict[str, Any], rounds: int) -> str:
    """Return the page of a round as HTML.

    Args:
        line: What happened in it.
        rounds: How many there are.
    """
    number = line["round"]
    title = f"Round {number} of {rounds}"
    rows = "".join(f"<tr>{''.join(f'<td>{escape(c)}</td>' for c in cells(site))}</tr>" for site in line["sites"])
    before = f'<a href="round-{number - 1:04d}.html">before</a>' if number > 1 else ""
    after = f'<a href="round-{number + 1:04d}.html">after</a>' if number < rounds else ""
    names = ("Site", "Rows", "Moved by", "Loss", "Sent", "Received", "")
    return (
        f"{HEAD.format(title=title)}<h1>{title}</h1><p>{before} {after}</p><p>{escape(told(line))}</p><table><tr>"
        f"{''.join(f'<th>{n}</th>' for n in names)}</tr>{rows}</table></html>\n"
    )


def told(line: dict[str, Any]) -> str:
    """Return what there is to say of a round in a sentence or two."""
    good = [s for s in line["sites"] if not s["why"]]
    said = [f"{len(good)} of {len(line['sites'])} sites took part, in {line['seconds']:.1f} s."]
    if line.get("bound") is not None:
        said.append(f"Updates longer than {line['bound']:.4g} were shortened to that.")
    if line.get("quantum") is not None:
        said.append(f"The mean was found without its terms, to {line['quantum']:.2g} in each parameter.")
    if line.get("epsilon") is not None:
        said.append(f"Whole sites are private with ε = {line['epsilon']:.3g} so far.")
    if line.get("epsilon_of_rows") is not None:
        said.append(f"Rows are private with ε = {line['epsilon_of_rows']:.3g} so far, the largest of the sites'.")
    return " ".join(said)


def size_words(n: int) -> str:
    """Return a number of bytes as people say it.

    Example:
        >>> size_words(0), size_words(1500), size_words(2_500_000)
        ('', '1.5 kB', '2.50 MB')
    """
    return "" if not n else f"{n / 1e3:.1f} kB" if n < 1e6 else f"{n / 1e6:.2f} MB"


def cells(site: dict[str, Any]) -> tuple[str, ...]:
    """Return what a site did in a round, as text."""
    norm, loss = site["norm"], site["loss"]
    return (
        site["name"], str(site["rows"]) if site["rows"] else "", "" if norm != norm else f"{norm:.4g}",
        "" if loss is None else f"{loss:.4f}", size_words(site["sent"]), size_words(site["received"]),
        site["why"] or ("shortened" if site["shortened"] else ""),
    )
