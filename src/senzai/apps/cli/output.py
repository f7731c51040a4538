"""What a verb prints: short text for people, or exactly one JSON document for machines."""

from __future__ import annotations

import json
import math
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TextIO

from ...core import terminal

if TYPE_CHECKING:
    from rich.console import Console

Document = dict[str, Any]

_DOCUMENT: ContextVar[TextIO | None] = ContextVar("senzai_document", default=None)


@contextmanager
def only_a_document() -> Iterator[None]:
    """Keep stdout for :func:`reply`: whatever else is printed inside goes to stderr."""
    token = _DOCUMENT.set(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _DOCUMENT.reset(token)


def console(*, error: bool = False) -> Console:
    """Return where text for people goes: stdout, or stderr for errors and warnings."""
    return terminal.console(error=error, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Print a line for people, with Rich's markup."""
    console().print(text)


def warn(text: str) -> None:
    """Print a warning on stderr, as it is."""
    where = console(error=True)
    where.print("[bold yellow]Warning:[/] ", end="")
    where.print(text, markup=False)


@contextmanager
def warnings_in_words() -> Iterator[None]:
    """Show Python's warnings as :func:`warn` does: whoever types a command did not write the line that they name."""
    before = warnings.showwarning

    def shown(message: Warning | str, *_: Any, **__: Any) -> None:
        warn(str(message))

    warnings.showwarning = shown
    try:
        yield
    finally:
        warnings.showwarning = before


def note(text: str) -> None:
    """Print what is good to know on stderr, as it is."""
    console(error=True).print(f"[dim]  {plain(text)}[/]")


def plain(value: object) -> str:
    r"""Return a value of the user's as text that Rich does not read as markup, and that cannot begin a line.

    Example:
        >>> plain("a[b].csv\nError: none")
        'a\\[b].csv\\nError: none'
    """
    from rich.markup import escape

    return escape(str(value).replace("\n", "\\n"))


def table(rows: Mapping[str, object]) -> str:
    """Return names and values, one pair a line, values aligned.

    Example:
        >>> print(table({"rows": 3, "kind": "array"}))
        [dim]  rows  [/]3
        [dim]  kind  [/]array
    """
    width = max((len(name) for name in rows), default=0)
    return "\n".join(f"[dim]  {plain(f'{name:<{width}}')}  [/]{plain(value)}" for name, value in rows.items())


def reply(as_json: bool, document: Mapping[str, Any], *lines: str) -> None:
    """Print the answer of a verb: the document, or the lines."""
    if not as_json:
        for line in lines:
            say(line)
        return
    out = _DOCUMENT.get() or sys.stdout
    text = json.dumps(finite(document), indent=2, ensure_ascii=False, allow_nan=False)
    out.write(terminal.safe_json(text) + "\n")
    out.flush()


def finite(document: Mapping[str, Any]) -> Document:
    """Return a document as plain JSON values; numbers that JSON has no form for become null, named in ``notes``.

    Example:
        >>> finite({"elbo": -1.5, "ess": float("nan")})
        {'elbo': -1.5, 'ess': None, 'notes': ['ess is nan']}
    """
    notes: list[str] = []
    cleaned = {str(k): _plain(v, str(k), notes) for k, v in document.items()}
    if notes:
        before = cleaned.get("notes")
        cleaned["notes"] = [*(before if isinstance(before, list) else [before] if before else []), *notes]
    return cleaned


def _plain(value: Any, name: str, notes: list[str]) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(k): _plain(v, f"{name}.{k}", notes) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(v, f"{name}.{i}", notes) for i, v in enumerate(value)]
    if callable(to_list := getattr(value, "tolist", None)):  # arrays, tensors and their scalars
        return _plain(to_list(), name, notes)
    if not isinstance(value, float):
        return str(value)
    if math.isfinite(value):
        return float(value)
    notes.append(f"{name} is {value}")
    return None
