"""The kind `interactions`: a row is a user, its entries the items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np
from pydantic import JsonValue

from senzai.core.batch import Data, first
from senzai.core.errors import CombinationError, InputError, SettingError
from senzai.core.later import Tensor
from senzai.core.random import derive

from .. import sources, sparse
from ..covariates import condition_of, encode
from ..frame_files import FrameWriter
from ..histories import Histories, Newcomers, folded, histories_of, judged_of
from ..kind import KINDS, Claim, Kind, Opened
from ..limits import guarded
from ..options import Options
from ..proposal import Choice, Proposal
from ..rows import Array, Rows, Targets
from ..schema import Axis, Condition, Field, Schema
from ..sparse import SparseRows, entries
from . import facts
from .log import SUFFIXES, TEXTS, Log, column_for, first_line, has_names, header_of, identifiers, read_log
from .options import InteractionDetails, InteractionOptions, details_of
from .prepared import Prepared, prepared_to_fit, prepared_to_use

WIDE = 20
"""Columns from which a table is more than a log, whatever its columns are called."""


@final
class InteractionKind(Kind):
    """Users and items: tables, MovieLens files, sparse matrices, databases, lists of items.

    Example:
        >>> import pandas as pd
        >>> kind = KINDS["interactions"]
        >>> opened = kind.read(pd.DataFrame({"user": ["a", "b", "a"], "item": ["x", "x", "y"]}), kind.options())
        >>> schema = kind.infer(opened, kind.options())
        >>> schema.columns, kind.rows(opened, schema).take(np.array([0, 1])).x.tolist()
        (('x', 'y'), [[1, 1], [1, 0]])
    """

    name: ClassVar[str] = "interactions"
    title: ClassVar[str] = "users and items: csv, parquet, u.data, ratings.dat, .inter, sparse npz, SQL, lists of items"
    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES
    suffix: ClassVar[str] = ".csv"
    options: ClassVar[type[Options]] = InteractionOptions
    details: ClassVar[type[InteractionDetails]] = InteractionDetails
    unit: ClassVar[str] = "item"

    # --- in ---------------------------------------------------------------------------------------------------------
    def claims(self, source: object, options: Mapping[str, Any]) -> Claim | None:
        """Claim files of sparse matrices, and tables that name a user and an item.

        A sparse matrix in memory may be anything: it is read where this kind is named.
        """
        if sources.is_frame(source):
            names: list[str] = [str(n) for n in getattr(source, "columns", ())]
            return _claim(names, options)
        path = sources.existing(source)
        if path is None:
            return None
        if path.is_dir():
            return Claim(0.9, "it holds a sparse matrix") if (path / "indptr.npy").is_file() else None
        if sparse.is_sparse_file(path):
            return Claim(0.7, "it is a sparse matrix")
        suffix, text = path.suffix.lower(), path.suffix.lower() in TEXTS
        if suffix == ".inter" or path.name == "u.data" or (suffix in (".dat", ".data") and "::" in first_line(path)):
            return Claim(0.9, "it is named as logs of ratings are")
        if path.suffix.lower() == ".parquet":
            from pyarrow import parquet

            with guarded(path):
                return _claim(list(parquet.read_schema(path).names), options)
        return _claim(header_of(path), options) if text else None

    def read(self, source: object, options: Options, schema: Schema | None = None) -> Opened:
        """Read the source, and leave out what does not count; data of a model keep all users."""
        set_ = _options(options)
        wanted = set_.condition if schema is None else tuple(c.name for c in details_of(schema).of_users)
        log = read_log(source, set_, wanted)
        if schema is None:
            how = details_for(set_, log.names)
            found = prepared_to_fit(log, how, seed=set_.seed, test=set_.test)
        else:
            found = prepared_to_use(log, details_of(schema), schema.columns or ())
            if found.fingerprint == schema.fingerprint:
                split = schema.split
                found = prepared_to_fit(log, details_of(schema), seed=split.seed, test=split.test)
        import pandas as pd

        return Opened(
            data=found, n_rows=len(found.users), dtype="object", form="table", origin=log.origin,
            index=pd.Index(found.users, name=log.names.get("user", "user"), dtype=object),
            notes=(*log.notes, *found.notes), facts={
                "names": log.names, "users": _of_users(source, log, set_, wanted, schema),
                "items": _of_items(log, set_) if schema is None else None,
            },
        )

    def infer(self, opened: Opened, options: Options) -> Schema:
        """Decide from the options, and say how much there is."""
        set_, found = _options(options), _prepared(opened)
        n, entries, users = len(found.items), len(found.matrix.indices), len(found.users)
        support = "binary" if set_.values != "count" else "count"
        usual = int(np.median(found.matrix.counts))
        told, notes, condition = _told(opened, set_)
        details = details_for(set_, opened.facts["names"]).model_copy(update={"usual": max(1, usual), **told})
        reasons = (
            *opened.notes, *notes,
            f"{users:,} users and {n:,} items have {entries:,} interactions, {entries / (users * n):.2%} of all pairs.",
            _modelled(support), _judged(details, set_.split.validation, set_.split.test),
        )
        field = Field(axes=(Axis(name="item", size=n),), support=support, n_levels=2 if support == "binary" else None)
        return Schema(
            kind=self.name, fields={"x": field}, dtype=opened.dtype, columns=found.items, form=opened.form,
            condition=condition,
            n_rows=users, split=set_.split, details=details, fingerprint=found.fingerprint, reasons=reasons,
        )

    def check(self, opened: Opened, schema: Schema, options: Options) -> Schema:
        """Return the schema for these users."""
        found = _prepared(opened)
        return schema.but(n_rows=len(found.users), fingerprint=found.fingerprint, reasons=opened.notes)

    def rows(self, opened: Opened, schema: Schema) -> Rows:
        """Return users by items, sparse."""
        found, how = _prepared(opened), details_of(schema)
        values = found.matrix.values
        top = 1.0 if values is None or not len(values) else float(values.max())
        if values is not None and len(values) and (values % 1).any():
            raise InputError("Counts that are modelled are whole numbers, but some are fractions. Use values=binary.")
        users = np.empty(len(found.users), dtype=object)
        users[:] = found.users
        c = facts.encoded(opened.facts["users"], how.of_users, found.users) if how.of_users else None
        of_items = opened.facts["items"]
        known = facts.encoded(of_items, how.of_items, found.items) if how.of_items and of_items is not None else None
        return SparseRows(
            found.matrix, Targets(c=c), top=top, about={"user": users}, held=found.held, known=known
        )

    # --- out --------------------------------------------------------------------------------------------------------
    def decode(
        self, x: Data, schema: Schema, *, soft: bool = False, about: Mapping[str, Any] | None = None
    ) -> Any:
        """Return a log: a line for each user and item; with means, a table of users by items."""
        import pandas as pd

        rows, how, items = first(x).cpu().numpy(), details_of(schema), np.array(schema.columns, dtype=object)
        users = np.arange(len(rows)) if about is None or "user" not in about else np.asarray(about["user"])
        if soft:
            return pd.DataFrame(rows, index=pd.Index(users, name=how.user), columns=items)
        at, item = np.nonzero(np.rint(rows) > 0)
        made = {how.user: users[at], how.item: items[item]}
        if how.value is not None:
            made[how.value] = np.rint(rows[at, item]).astype(np.int64)
        return pd.DataFrame(made).infer_objects()

    def write(self, decoded: Any, path: str | Path, schema: Schema) -> None:
        """Write csv, tsv, parquet, jsonl or xlsx."""
        with FrameWriter(path) as writer:
            writer.write(decoded)

    def to_json(self, decoded: Any, schema: Schema) -> JsonValue:
        """Return one object for each line."""
        records: JsonValue = decoded.to_dict(orient="records")
        return records

    def from_json(self, value: JsonValue, schema: Schema) -> object:
        """Return lists of items, one list for each user, or lines of a log."""
        import pandas as pd

        if isinstance(value, list) and value and all(isinstance(v, Mapping) for v in value):
            return pd.DataFrame(value)
        return value

    def renumbered(self, decoded: Any, schema: Schema, start: int) -> Any:
        """Return new users whose numbers go on after ``start`` users."""
        user = details_of(schema).user
        return decoded.assign(**{user: decoded[user] + start}) if user in decoded.columns else decoded

    # --- about ------------------------------------------------------------------------------------------------------
    def propose(self, schema: Schema) -> Proposal:
        """Suggest a multinomial over the items, and an encoder of what a user has."""
        how = details_of(schema)
        return Proposal(
            likelihood=Choice("multinomial", {"total": how.usual}), encoder=Choice("profile"),
            decoder=Choice("items" if how.of_items else "mlp"), recipe="mult-vae",
            training={"batch_size": 200, "schedule": "constant"},
            reason="The items of a user share the time and money there is: a multinomial given how many there are.",
        )

    def encode_condition(self, values: Mapping[str, list[Any]], schema: Schema) -> Tensor:
        """Return the codes of what is known of users; zeros of what is not."""
        return encode(details_of(schema).of_users, values, gaps=True)

    def widths(self, schema: Schema) -> tuple[int, ...]:
        """Return the width of the code of each fact about users."""
        return tuple(one.width for one in details_of(schema).of_users)

    def newcomers(self, source: str | Path, schema: Schema) -> Newcomers:
        """Return the items of a table that the model does not know; say where there are none, or strange ones."""
        how = details_of(schema)
        if not how.of_items:
            raise CombinationError(
                "Items that nobody had are ranked by their facts, but this model was fitted without any. Fit it with a "
                "table of items: items=PATH."
            )
        found = facts.read_facts(source, "item", how.item)
        names = identifiers(list(found.ids), "item", found.origin)
        known = {str(item) for item in schema.columns or ()}
        new = tuple(name for name in names if str(name) not in known)
        none = () if new else (f"{found.origin} has no item that the model does not know, so that none was added.",)
        return Newcomers(new, facts.encoded(found, how.of_items, new), none or facts.strange(found, how.of_items, new))

    def histories(self, rows: Rows, schema: Schema, index: Array) -> Histories | None:
        """Return what is shown and what is held out, of whole users or of all, as the data were divided."""
        how, matrix = details_of(schema), entries(rows, index)
        if how.hold == "users":
            shown = folded(matrix, how.fold_in, derive(schema.split.seed, "fold in"))
            told = f"{how.fold_in:.0%} of the items of each held-out user are shown, the others are to be found"
            return histories_of(matrix, shown, told)
        held = getattr(rows, "held", None)
        if held is None:
            return None
        last = "the last item of each user is" if how.hold == "last" else "the latest interactions are"
        return judged_of(matrix, held.rows_of(index), f"{last} to be found, all before is shown")


def details_for(set_: InteractionOptions, names: Mapping[str, str]) -> InteractionDetails:
    """Return what a run keeps of the options and of the names of columns."""
    value = names.get("count", "count") if set_.values == "count" else None
    return InteractionDetails(
        user=names.get("user", "user"), item=names.get("item", "item"), value=value, min_rating=set_.min_rating,
        min_user=set_.min_user, min_item=set_.min_item, hold=set_.hold, fold_in=set_.fold_in,
    )


def _of_users(
    source: object, log: Log, set_: InteractionOptions, wanted: tuple[str, ...], schema: Schema | None
) -> facts.Facts | None:
    """Return what is known of users: of a table beside the log, or of columns of its own; ``None`` for nothing.

    Raises:
        InputError: Facts were asked for, and there are none.
    """
    if schema is not None and (not wanted or isinstance(source, list | tuple | Mapping)):
        return None
    if set_.users is not None:
        return facts.read_facts(set_.users, "user", log.names.get("user", "user"))
    if log.beside is not None and set(wanted) <= set(map(str, log.beside.columns)):
        return facts.own_facts(log.beside, log.user, log.users, log.origin)
    if wanted:
        raise InputError(
            f"The model is given {', '.join(wanted)} of every user, but {log.origin} does not have them. Give a table "
            "of users with users=..., or columns of the log."
        )
    return None


def _of_items(log: Log, set_: InteractionOptions) -> facts.Facts | None:
    return None if set_.items is None else facts.read_facts(set_.items, "item", log.names.get("item", "item"))


def _told(opened: Opened, set_: InteractionOptions) -> tuple[dict[str, Any], tuple[str, ...], Condition | None]:
    """Decide what facts about users and items are: details, sentences, and what rows are conditioned on."""
    found, of_users, of_items = _prepared(opened), opened.facts["users"], opened.facts["items"]
    made: dict[str, Any] = {}
    notes: tuple[str, ...] = ()
    condition = None
    if of_users is not None:
        made["of_users"], notes = facts.decided(of_users, set_.condition, found.users)
        if made["of_users"]:
            condition = condition_of(made["of_users"], of_users.of(found.users), set_.seed)
    if of_items is not None:
        made["of_items"], said = facts.decided(of_items, (), found.items)
        notes += said
        if not made["of_items"]:
            raise InputError(f"Facts about items are a few classes or numbers, but {of_items.origin} has neither.")
    return made, notes, condition


def _claim(names: Iterable[str], options: Mapping[str, Any]) -> Claim | None:
    names = [str(n) for n in names]
    asked = [options[role] for role in ("user", "item") if options.get(role) is not None]
    if len(asked) == 2:
        return Claim(0.95, "its columns of users and items were named")
    if has_names(names) and len(names) <= WIDE:
        return Claim(0.9, f"it names {column_for('user', names)!r} and {column_for('item', names)!r}")
    return None


def _options(options: Options) -> InteractionOptions:
    assert isinstance(options, InteractionOptions)  # parsed by this kind's class
    if options.values not in (None, "binary", "count"):
        raise SettingError(
            f"Interactions are modelled as there or not (values=binary) or as counts (values=count), but got "
            f"values={options.values}. Choose one of the two."
        )
    return options


def _prepared(opened: Opened) -> Prepared:
    assert isinstance(opened.data, Prepared)  # what this kind's `read` gave
    return opened.data


def _modelled(support: str) -> str:
    if support == "binary":
        return "What is modelled is whether a user had to do with an item; counts are not (values=count models them)."
    return "What is modelled is how often a user had to do with an item (values=count)."


def _judged(how: InteractionDetails, validation: float, test: float) -> str:
    if how.hold != "users":
        return "Every user trains (hold=last and hold=time hold out items, not users); none validates."
    return (
        f"{validation:.0%} of the users validate and {test:.0%} are the test: whole users that training does not see. "
        f"Of their items {how.fold_in:.0%} are shown."
    )


KINDS.add("interactions")(InteractionKind())
