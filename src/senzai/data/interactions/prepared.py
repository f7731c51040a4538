"""From a log to rows: which lines count, which users and items are kept, and what of them is held out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from senzai.core.errors import InputError
from senzai.core.random import derive

from ..histories import shuffled
from ..rows import Array
from ..sparse import Sparse
from .log import Log
from .options import InteractionDetails


@dataclass(frozen=True, slots=True)
class Prepared:
    """Users and what they had to do with items.

    Args:
        matrix: What a model is shown of each user.
        held: What is held out of the users; ``None`` where nothing is, or whole users are.
        users: Identifiers of the users.
        items: Identifiers of the items.
        fingerprint: Of the log, before anything was left out.
        notes: What was left out and why, one sentence each.
    """

    matrix: Sparse
    held: Sparse | None
    users: tuple[Any, ...]
    items: tuple[Any, ...]
    fingerprint: str
    notes: tuple[str, ...] = ()


def fingerprint(log: Log) -> str:
    """Return a fingerprint of users, items and what is known of each line."""
    digest = hashlib.sha256(repr((log.users, log.items)).encode(errors="surrogatepass"))
    for values in (log.user, log.item, log.rating, log.count, log.time):
        digest.update(b"-" if values is None else np.ascontiguousarray(values).tobytes())
    return f"sha256:{digest.hexdigest()}"


def interactions(log: Log, min_rating: float | None) -> tuple[Log, tuple[str, ...]]:
    """Return one line for each user and item that had to do with each other: counts added, at their first time.

    A count of 0 says that there was none. A rating is an interaction whatever it is, unless a least one is named.
    """
    keep, notes = np.ones(len(log.user), bool), []
    if min_rating is not None:
        if log.rating is None:
            raise InputError(
                f"`min_rating` needs a column of ratings, but {log.origin} has none. Name it with rating=COLUMN."
            )
        keep &= log.rating >= min_rating
        notes.append(f"{int((~keep).sum()):,} lines with a rating below {min_rating:g} were left out.")
    if log.count is not None and (none := keep & (log.count == 0)).any():
        keep &= ~none
        notes.append(f"{int(none.sum()):,} lines with a count of 0 are no interactions.")
    log = log.where(keep)
    order = np.arange(len(log.user)) if log.time is None else np.argsort(log.time, kind="stable")
    pair = log.user[order] * max(1, len(log.items)) + log.item[order]
    _, first, back = np.unique(pair, return_index=True, return_inverse=True)
    if len(first) < len(pair):
        what = ", their counts were added" if log.count is not None else ""
        notes.append(f"{len(pair) - len(first):,} lines repeat a user and an item; each pair is one interaction{what}.")
    one = log.where(np.sort(order[first]))
    if log.count is not None:
        total = np.bincount(back, weights=log.count[order], minlength=len(first))
        one = replace(one, count=total[np.argsort(order[first])])
    return one, tuple(notes)


def thinned(log: Log, min_user: int, min_item: int) -> tuple[Log, tuple[str, ...]]:
    """Leave out users with too few items and items with too few users, until there are none left of either."""
    before = log
    while len(log.user):
        per_user = np.bincount(log.user, minlength=len(log.users))
        per_item = np.bincount(log.item, minlength=len(log.items))
        keep = (per_user[log.user] >= min_user) & (per_item[log.item] >= min_item)
        if keep.all():
            break
        log = log.where(keep)
    if log is before:
        return log, ()
    lost = [len(_in_order(getattr(before, n))) - len(_in_order(getattr(log, n))) for n in ("user", "item")]
    if not len(log.user):
        raise InputError(
            f"Users need {min_user} items and items {min_item} users, but of {log.origin} nobody is left. "
            "Lower min_user or min_item."
        )
    return log, (
        f"{lost[0]:,} users with fewer than {min_user} items and {lost[1]:,} items with fewer than {min_item} users "
        "were left out.",
    )


def prepared_to_fit(log: Log, how: InteractionDetails, *, seed: int, test: float) -> Prepared:
    """Return the users of the training data, after thresholds, with what is held out of them taken out."""
    found = fingerprint(log)
    log, said = interactions(log, how.min_rating)
    log, thin = thinned(log, how.min_user, how.min_item)
    hidden, told = held_out(log, how, seed=seed, test=test)
    known = np.ones(len(log.user), bool)
    if how.hold == "time":  # of whom or what nothing was known before, nothing can be said
        shown = np.bincount(log.user[~hidden], minlength=len(log.users)) > 0
        sold = np.bincount(log.item[~hidden], minlength=len(log.items)) > 0
        known = shown[log.user] & sold[log.item]
        lost = int((~known).sum())
        told += (f"{lost:,} interactions of users or items that appear only later are not judged.",) if lost else ()
    log, hidden = log.where(known), hidden[known]
    if not len(log.user):
        raise InputError(f"There must be interactions to learn from, but {log.origin} has none. Check its columns.")
    users, items = _in_order(log.user), _in_order(log.item)
    matrix, held = _matrices(log, _back(users, len(log.users)), _back(items, len(log.items)), hidden, how)
    return Prepared(
        matrix, held if hidden.any() or how.hold != "users" else None, tuple(log.users[u] for u in users),
        tuple(log.items[i] for i in items), found, (*said, *thin, *told),
    )


def prepared_to_use(log: Log, how: InteractionDetails, items: Sequence[Any]) -> Prepared:
    """Return all users of other data, with those of their items that the model knows.

    Raises:
        InputError: It knows none of them.
    """
    found = fingerprint(log)
    asked = how.min_rating if log.rating is not None else None
    one, said = interactions(log, asked)
    place = {str(item): i for i, item in enumerate(items)}
    at = np.array([place.get(str(item), -1) for item in log.items], dtype=np.int64)
    known = at[one.item] >= 0 if len(one.item) else np.empty(0, bool)
    if len(one.item) and not known.any():
        raise InputError(
            f"The model knows {len(items):,} items, but none of those of {log.origin}, such as "
            f"{log.items[int(one.item[0])]!r}. It knows {', '.join(repr(i) for i in items[:3])} ... Check the column."
        )
    lost = int((~known).sum())
    said += (f"{lost:,} interactions with items that the model does not know were left out.",) if lost else ()
    users = np.arange(len(log.users))
    matrix, _ = _matrices(one.where(known), users, at, np.zeros(int(known.sum()), bool), how, n_items=len(items))
    return Prepared(matrix, None, log.users, tuple(items), found, said)


def held_out(log: Log, how: InteractionDetails, *, seed: int, test: float) -> tuple[Array, tuple[str, ...]]:
    """Return which lines are held out of users who train."""
    nothing = np.zeros(len(log.user), bool)
    if how.hold == "users":
        return nothing, ()
    if how.hold == "time":
        if log.time is None:
            raise InputError(
                f"`hold=time` needs the time of every line, but {log.origin} has none. Name it with time=COLUMN."
            )
        cut = np.sort(log.time)[max(0, len(log.time) - max(1, round(test * len(log.time))))]
        return log.time >= cut, (f"The latest {np.mean(log.time >= cut):.1%} of the interactions are held out.",)
    matrix = Sparse.of(log.user, log.item, shape=(len(log.users), len(log.items)))
    n = matrix.counts[log.user]
    if log.time is not None:
        order = np.lexsort((np.arange(len(log.user)), log.time, log.user))
        last = np.append(log.user[order][1:] != log.user[order][:-1], True)
        nothing[order[last]] = True
        return nothing & (n > 1), ("The last item of every user is held out.",)
    place, _ = shuffled(matrix, derive(seed, "held out"))
    row = np.lexsort((log.item, log.user))  # the order of the entries of the matrix
    nothing[row] = place == 0
    return nothing & (n > 1), ("One item of every user, at random, is held out: there are no times.",)


def _in_order(numbers: Array) -> Array:
    """Return the numbers that there are, each once, in order of appearance, without going through them one by one."""
    first = np.full(int(numbers.max(initial=-1)) + 1, -1, np.int64)
    first[numbers[::-1]] = np.arange(len(numbers) - 1, -1, -1)  # of several places the one that is written last stays
    there = np.flatnonzero(first >= 0)
    found: Array = there[np.argsort(first[there], kind="stable")]
    return found


def _back(kept: Array, n: int) -> Array:
    found = np.full(n, -1, np.int64)
    found[kept] = np.arange(len(kept))
    return found


def _matrices(
    log: Log, users: Array, items: Array, hidden: Array, how: InteractionDetails, *, n_items: int | None = None
) -> tuple[Sparse, Sparse]:
    """Return what is shown and what is held out, users by items."""
    shape = (int(users.max(initial=-1)) + 1, int(items.max(initial=-1)) + 1 if n_items is None else n_items)
    value = None if how.value is None else np.ones(len(log.user)) if log.count is None else log.count

    def part(of: Array) -> Sparse:
        return Sparse.of(users[log.user[of]], items[log.item[of]], None if value is None else value[of], shape=shape)

    return part(~hidden), part(hidden)
