"""Lines of standard input that are answered as they come: a header, then a line for each step."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import typer

from ...core.errors import InputError, SettingError
from ...core.terminal import safe

if TYPE_CHECKING:
    from ...runs import Run
    from ...runs.verbs.registry import Verb

STANDARD_INPUT = "-"


def answer_lines(
    verb: Verb, model: Run, settings: Mapping[str, Any], output: Path | None, *, as_json: bool = False
) -> None:
    """Answer lines of standard input with lines, on standard output or in a file, each as soon as it is known.

    Raises:
        SettingError: The verb has no answer before it has seen everything, or one document was asked for.
    """
    if verb.arriving is None:
        raise SettingError(
            f"Lines of standard input are for verbs that go step by step, but {verb.name} does not. Give a file."
        )
    if as_json:
        raise SettingError("Answers to lines are lines and no document, but got --json. Leave it out.")
    import click

    verb.need(model.schema, model.model)
    source = click.get_text_stream("stdin")
    if output is None:
        read_by_people = click.get_text_stream("stdout").isatty()  # else it is data, which stay what they are
        each(verb.arriving(model, **settings), source, lambda line: typer.echo(safe(line) if read_by_people else line))
        return
    with output.open("w", encoding="utf-8") as file:
        each(verb.arriving(model, **settings), source, partial(_write, file))


def _write(file: TextIO, line: str) -> None:
    """Write a line at once: somebody may be waiting for it."""
    file.write(f"{line}\n")
    file.flush()


def each(stream: Any, lines: Iterable[str], say: Callable[[str], None]) -> int:
    """Push each line as a record, and say what is answered; return how many lines came.

    Raises:
        InputError: There is no line, one has not as many cells as the header, or it is no step that can come next.
    """
    n, head = 0, False
    for n, row in enumerate(rows_of(lines), 1):
        if None in row or None in row.values():
            raise InputError(f"Each line has a cell for every name of the header, but line {n} has not. Mend it.")
        try:
            answer = stream.push({name: value_of(cell) for name, cell in row.items()})
        except InputError as err:
            raise InputError(f"Line {n} behind the header: {err}") from err
        head = _said(answer, head, say)
    if not n:
        raise InputError("Standard input is a header and a line for each step, but no line came. Check what sends it.")
    _said(stream.finish(), head, say)
    return n


def rows_of(lines: Iterable[str]) -> Iterator[dict[Any, Any]]:
    """Yield each line behind the header as a record of text; cells are divided as those of files are.

    Raises:
        InputError: It is no text in UTF-8, or two columns have one name.

    Example:
        >>> list(rows_of(["when;v", "2024-01-01;1.5"]))
        [{'when': '2024-01-01', 'v': '1.5'}]
    """
    lines = iter(lines)
    try:
        first = next(lines, "").removeprefix("\ufeff")
        reader = csv.DictReader(chain([first] if first else [], lines), delimiter=max("\t;,", key=first.count))
        names = list(reader.fieldnames or [])
        if twice := [name for name in names if names.count(name) > 1]:
            raise InputError(f"Column names must be different, but the header has {twice[0]!r} twice. Rename one.")
        yield from reader
    except (UnicodeDecodeError, csv.Error) as err:
        raise InputError(f"Lines of standard input are text in UTF-8, but: {err}. Convert them.") from err


def _said(answer: Any, head: bool, say: Callable[[str], None]) -> bool:
    """Say an answer as lines; return whether the header was said."""
    if not len(answer):
        return head
    if not hasattr(answer, "to_csv"):
        for value in answer:
            say(repr(float(value)))
        return True
    frame = answer.reset_index() if answer.index.name else answer
    times = frame.select_dtypes(["datetime", "datetimetz"]).columns
    frame = frame.assign(**{name: [t.isoformat(sep=" ") for t in frame[name]] for name in times})
    for line in frame.to_csv(index=False, header=not head, lineterminator="\n").splitlines():
        say(line)
    return True


def value_of(cell: str) -> Any:
    """Return a cell as a table reads it: a whole number, a number, nothing, or text.

    Example:
        >>> value_of("7"), value_of("1.5"), value_of("2024-01-01"), value_of("")
        (7, 1.5, '2024-01-01', nan)
    """
    text = cell.strip()
    if not text:
        return float("nan")
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
