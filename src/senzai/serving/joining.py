"""Requests of one run that are answered by one call of a verb, each with what it would have got by itself.

Only verbs that say so are joined (``by_row``: numbers that depend on the row alone), and only calls with the same
settings. Each request is read by itself, so that a bad row fails where it came from. The rows are joined as the model's
values, and the numbers are cut apart again by the count of rows of each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ..data.open import joined
from .answers import Answer, answered
from .calls import Call, Read
from .shelf import Shelf

if TYPE_CHECKING:
    from ..runs import Run
    from ..runs.verbs.registry import Verb

Outcome: TypeAlias = Answer | BaseException
Done: TypeAlias = Callable[["Run", Read], Answer]


def answer_several(
    verb: Verb, shelf: Shelf, calls: Sequence[Call], *, read: Callable[[Run, Call], Read], done: Done, most: int
) -> list[Outcome]:
    """Return an answer, or an error, for each call.

    Args:
        verb: The verb.
        shelf: Where the run is.
        calls: Calls of one run.
        read: Reads a call.
        done: Answers a call by itself.
        most: Rows that are joined.
    """
    found: dict[int, Outcome] = {}
    try:
        run = shelf.run(calls[0].run)
        verb.need(run.schema, run.model)
    except Exception as err:
        return [err] * len(calls)
    groups: dict[Any, list[tuple[int, Read]]] = {}
    for i, call in enumerate(calls):
        try:
            asked = read(run, call)
        except Exception as err:
            found[i] = err
            continue
        groups.setdefault(_group(verb, run, asked, i), []).append((i, asked))
    for group in groups.values():
        for part in _parts(group, most):
            found |= _one_call(verb, run, part, done)
    return [found[i] for i in range(len(calls))]


def _group(verb: Verb, run: Run, read: Read, i: int) -> Any:
    """Return what calls have in common that can be joined; a number of its own for one that cannot."""
    if verb.by_row is None or not verb.by_row(run.schema, run.model, read.settings):
        return i
    return tuple(sorted((name, repr(value)) for name, value in read.settings.items()))


def _parts(group: list[tuple[int, Read]], most: int) -> list[list[tuple[int, Read]]]:
    """Return calls in parts that have at most so many rows, or one call that has more."""
    parts: list[list[tuple[int, Read]]] = []
    rows = 0
    for i, read in group:
        n = len(read.inputs[0])
        if not parts or rows + n > most:
            parts.append([])
            rows = 0
        parts[-1].append((i, read))
        rows += n
    return parts


def _one_call(verb: Verb, run: Run, part: list[tuple[int, Read]], done: Done) -> dict[int, Outcome]:
    """Answer calls together; where that fails, each by itself, so that nobody pays for the rows of others."""
    if len(part) > 1:
        try:
            whole = run.do(verb.name, joined([read.inputs[0] for _, read in part]), **part[0][1].settings)
        except Exception:
            pass
        else:
            return _cut(verb, run, part, whole)
    made: dict[int, Outcome] = {}
    for i, read in part:
        try:
            made[i] = done(run, read)
        except Exception as err:
            made[i] = err
    return made


def _cut(verb: Verb, run: Run, part: list[tuple[int, Read]], whole: Any) -> dict[int, Outcome]:
    made: dict[int, Outcome] = {}
    start = 0
    for i, read in part:
        stop = start + len(read.inputs[0])
        own = whole.iloc[start:stop] if hasattr(whole, "iloc") else whole[start:stop]
        start = stop
        try:
            made[i] = answered(run, verb, own, read.forms, read.orient)
        except Exception as err:
            made[i] = err
    return made
