"""Verbs for the list of commands: read from their files, so that nothing heavy is loaded to show a list."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Any

from typer.core import TyperCommand


@cache
def registered() -> dict[str, tuple[str, str]]:
    """Return group and first sentence of every verb of senzai, by name.

    Example:
        >>> registered()["sample"][0]
        'Use'
    """
    runs = Path(__file__).parents[2] / "runs"
    files = [path for place in (runs / "verbs", runs) for path in sorted(place.glob("*.py"))]
    return {name: about for path in files for name, about in _in_file(path)}


def _in_file(path: Path) -> list[tuple[str, tuple[str, str]]]:
    """Return the verbs that functions of a file are registered as."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.FunctionDef):
            continue
        for call in node.decorator_list:
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "verb":
                words = {k.arg: k.value.value for k in call.keywords if isinstance(k.value, ast.Constant)}
                first = (ast.get_docstring(node) or "").split("\n\n")[0].replace("\n", " ")
                name = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else ""
                found.append((str(name), (str(words.get("group", "Use")), str(words.get("summary", first)))))
    return found


def as_listed(name: str) -> Any:
    """Return a command that is there to be listed, and no more."""
    group, summary = registered()[name]
    return TyperCommand(name.replace("_", "-"), help=summary, rich_help_panel=group)
