"""Notebooks: which one this is, and something shown in it that changes."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any, Literal

Show = Callable[[str], None]


def notebook() -> Literal["jupyter", "marimo"] | None:
    """Return the notebook that this process works for, or ``None``; nothing is imported to find out.

    Example:
        >>> notebook() is None
        True
    """
    marimo = sys.modules.get("marimo")
    if marimo is not None and marimo.running_in_notebook():
        return "marimo"
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return "jupyter" if getattr(shell, "kernel", None) is not None else None


def place() -> Show | None:
    """Return what shows HTML below the cell and replaces what it showed before; ``None`` outside of notebooks."""
    where = notebook()
    if where == "marimo":
        return _in_marimo(sys.modules["marimo"])
    return _in_jupyter() if where == "jupyter" else None


def _in_marimo(marimo: Any) -> Show:
    return lambda html: marimo.output.replace(marimo.Html(html))


def _in_jupyter() -> Show:
    shown: Any = importlib.import_module("IPython.display")  # it is there: this is its kernel
    handles: list[Any] = []

    def show(html: str) -> None:
        if handles:
            handles[0].update(shown.HTML(html))
        else:
            handles.append(shown.display(shown.HTML(html), display_id=True))

    return show
