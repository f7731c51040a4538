"""The page that lists every recipe, written from the registry."""

from __future__ import annotations

import re

from .about import About, about, families

INTRODUCTION = """# Recipes

A recipe is a name for parts, an objective and defaults. Each has a page: the model, its bound, the names in code, when
to use it, its settings and its source. `senzai recipes` prints this list, `senzai recipes NAME` one recipe with all
settings. Any part may be exchanged: `--set prior=vamp`, `--set posterior=iaf`, `--set objective=iwae`. What cannot work
together is refused when it is built, with the reason. *By data* is what the values in the data ask for.
"""
COLUMNS = ("recipe", "what it is", "prior", "posterior", "likelihood", "objective", "paper")


def index_page() -> str:
    """Return ``docs/recipes/index.md``."""
    pieces = [INTRODUCTION]
    for family, members in families().items():
        rows = [_row(about(r.name)) for r in members]
        table = "\n".join([_line(COLUMNS), _line(["---"] * len(COLUMNS)), *map(_line, rows)])
        pieces.append(f"## {family}\n{table}\n")
    return "\n".join(pieces)


def _row(found: About) -> list[str]:
    recipe, parts = found.recipe, found.parts
    names = [parts.get(role, "its own") for role in ("prior", "posterior", "likelihood", "objective")]
    shown = [n if n in ("by data", "its own") else f"`{n}`" for n in names]
    return [f"[{recipe.name}]({recipe.name}.md)", recipe.title, *shown, _paper(recipe.paper)]


def _paper(paper: str) -> str:
    """Return authors and year, linked."""
    year, link = re.search(r"\b(19|20)\d\d\b", paper), re.search(r"https?://[^\s,;]+", paper)
    said = f"{paper.split(',')[0]}, {year.group()}" if year else paper.split(",")[0]
    return f"[{said}]({link.group()})" if link else said


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(c.replace('|', chr(92) + '|') for c in cells)} |"
