"""Requests of one run that are answered by one call of a verb, each with what it would have got by itself.

Only verbs that say so are joined (``by_row``: numbers that depend on the row alone), and only calls with the same
settings. Their rows are read as one, and the numbers are cut apart again by the count of rows of each. Where anything
goes wrong on the way, each call is answered by itself, so that nobody pays for, or hears of, the rows of others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ..data.open import joined
from . import bodies
from .answers import JSON, Answer, answered, beside, dumped, plain_rows
from .calls import Call, VerbCall
from .settings import ServeSettings
from .shelf import Shelf

if TYPE_CHECKING:
    from ..data import Dataset
    from ..runs import Run
    from ..runs.verbs.registry import Verb

Outcome: TypeAlias = Answer | BaseException
Done: TypeAlias = Callable[["Run", VerbCall], Answer]
Numbered: TypeAlias = tuple[int, VerbCall]


def answer_several(
    verb: Verb, shelf: Shelf, calls: Sequence[Call], *, asked: Callable[[Call], VerbCall], done: Done,
    limits: ServeSettings,
) -> list[Outcome]:
    """Return an answer, or an error, for each call.

    Args:
        verb: The verb.
        shelf: Where the run is.
        calls: Calls of one run.
        asked: Parses a call.
        done: Answers a call by itself.
        limits: How many rows are joined, and what a call may have.
    """
    try:
        run = shelf.run(calls[0].run)
        verb.need(run.schema, run.model)
    except Exception as err:
        return [err] * len(calls)
    found: dict[int, Outcome] = {}
    groups: dict[Any, list[Numbered]] = {}
    for i, call in enumerate(calls):
        try:
            one = asked(call)
            bodies.need_rows(one.given[0])
            groups.setdefault(_group(verb, run, one, i), []).append((i, one))
        except Exception as err:
            found[i] = err
    for group in groups.values():
        for part in _parts(group, limits.join_rows):
            found |= _one_call(verb, run, part, done, limits)
    return [found[i] for i in range(len(calls))]


def _group(verb: Verb, run: Run, asked: VerbCall, i: int) -> Any:
    """Return what calls have in common that can be joined; a number of its own for one that cannot."""
    if verb.by_row is None or run.model.mixes_rows or not verb.by_row(run.schema, run.model, asked.settings):
        return i
    return tuple(sorted((name, repr(value)) for name, value in asked.settings.items()))


def _parts(group: list[Numbered], most: int) -> list[list[Numbered]]:
    """Return calls in parts that have at most so many rows, or one call that has more."""
    parts: list[list[Numbered]] = []
    rows = 0
    for i, asked in group:
        n = bodies.count_of(asked.given[0])
        if not parts or rows + n > most:
            parts.append([])
            rows = 0
        parts[-1].append((i, asked))
        rows += n
    return parts


def _one_call(verb: Verb, run: Run, part: list[Numbered], done: Done, limits: ServeSettings) -> dict[int, Outcome]:
    if len(part) > 1:
        try:
            whole, counts = _read(run, [asked.given[0] for _, asked in part], limits)
            numbers = run.do(verb.name, whole, **part[0][1].settings)
            return _cut(verb, run, part, counts, numbers)
        except Exception:
            pass
    made: dict[int, Outcome] = {}
    for i, asked in part:
        try:
            made[i] = done(run, asked)
        except Exception as err:
            made[i] = err
    return made


def _read(run: Run, values: list[Any], limits: ServeSettings) -> tuple[Dataset, list[int]]:
    """Return the rows of several as one data set, and how many each has."""
    if all(isinstance(v, list) for v in values) and _alike(values):
        counts = [len(v) for v in values]
        whole = bodies.dataset_of(run, [row for v in values for row in v], limits)
        if len(whole) == sum(counts):
            return whole, counts
    each = [bodies.dataset_of(run, v, limits) for v in values]
    return joined(each), [len(d) for d in each]


def _alike(values: list[list[Any]]) -> bool:
    """Whether rows of several are of one sort, records with the same names: what one lacks is not told by another."""
    first = values[0][0]
    if isinstance(first, dict):
        return all(isinstance(row, dict) and row.keys() == first.keys() for v in values for row in v)
    return all(type(row) is type(first) for v in values for row in v)


def _cut(verb: Verb, run: Run, part: list[Numbered], counts: list[int], whole: Any) -> dict[int, Outcome]:
    """Return the answer of each from the numbers of all."""
    rows, names = plain_rows(run, verb, whole), beside(whole, verb)
    made: dict[int, Outcome] = {}
    start = 0
    for (i, asked), n in zip(part, counts, strict=True):
        stop = start + n
        if asked.forms[0] == JSON and asked.orient == "records":
            made[i] = Answer(JSON, dumped({verb.answers: rows[start:stop], **names}))
        else:
            own = whole.iloc[start:stop] if hasattr(whole, "iloc") else whole[start:stop]
            made[i] = answered(run, verb, own, asked.forms, asked.orient)
        start = stop
    return made
