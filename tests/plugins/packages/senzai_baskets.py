"""An outside package: baskets of items, kept sparse; a verb that recommends items, and a measure of how well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from senzai.core.batch import Batch
from senzai.core.errors import InputError
from senzai.core.files import write_text
from senzai.core.random import forked
from senzai.data import KINDS, Choice, Kind, Opened, Options, Proposal, Rows, Schema
from senzai.data.fingerprint import of_array
from senzai.data.kind import Claim
from senzai.data.rows import Targets
from senzai.data.schema import Axis, Field, Frozen
from senzai.evaluation.catalogue import Case, measure
from senzai.models import verbs
from senzai.report.blocks import Block, Listing
from senzai.report.views import VIEWS, View
from senzai.runs.verbs.registry import verb


class BasketDetails(Frozen):
    """Names of the items, the commonest first."""

    items: tuple[str, ...]


class SparseRows(Rows):
    """Places of the items of every basket; dense only for the rows that are asked for."""

    in_memory = True

    def __init__(self, places: list[np.ndarray], n_items: int) -> None:
        self.places, self.n_items, self.targets = places, n_items, Targets()

    def __len__(self) -> int:
        return len(self.places)

    def take(self, index: Any) -> Batch:
        at = np.asarray(index, dtype=np.int64).reshape(-1)
        x = torch.zeros(len(at), self.n_items, dtype=torch.uint8)
        for row, i in enumerate(at):
            x[row, torch.from_numpy(self.places[i])] = 1
        return Batch(x)

    @property
    def nbytes(self) -> int:
        return sum(p.nbytes for p in self.places)

    @property
    def dense_nbytes(self) -> int:
        return len(self.places) * self.n_items


class Baskets(Kind):
    """Files with a basket on each line, its items separated by commas."""

    name: ClassVar[str] = "baskets"
    title: ClassVar[str] = "baskets of items, one a line, with commas between items: .baskets"
    suffixes: ClassVar[tuple[str, ...]] = (".baskets",)
    options: ClassVar[type[Options]] = Options
    details: ClassVar[type[BasketDetails]] = BasketDetails
    unit: ClassVar[str] = "item"

    def claims(self, source: object, options: Mapping[str, Any]) -> Claim | None:
        ours = isinstance(source, str | Path) and Path(source).suffix in self.suffixes
        return Claim(0.9, "its name ends in .baskets") if ours else None

    def read(self, source: object, options: Options, schema: Schema | None = None) -> Opened:
        lines = Path(str(source)).read_text(encoding="utf-8").splitlines()
        rows = [[item.strip() for item in line.split(",") if item.strip()] for line in lines]
        if not any(rows):
            raise InputError(f"Baskets must have items, but {str(source)!r} has none. Give lines of items.")
        return Opened(data=rows, n_rows=len(rows), dtype="str", form="file", origin=str(source))

    def infer(self, opened: Opened, options: Options) -> Schema:
        items = tuple(item for item, _ in Counter(i for row in opened.data for i in row).most_common())
        field = Field(axes=(Axis(name="item", size=len(items)),), support="binary", n_levels=2)
        return Schema(
            kind=self.name, fields={"x": field}, dtype="str", form=opened.form, n_rows=opened.n_rows,
            split=options.split, details=BasketDetails(items=items), fingerprint=fingerprint(opened),
            reasons=(f"There are {len(items)} items.",),
        )

    def check(self, opened: Opened, schema: Schema, options: Options) -> Schema:
        return schema.but(n_rows=opened.n_rows, fingerprint=fingerprint(opened))

    def rows(self, opened: Opened, schema: Schema) -> Rows:
        place = {item: i for i, item in enumerate(items_of(schema))}
        places = [np.array(sorted({place[i] for i in row if i in place}), dtype=np.int64) for row in opened.data]
        return SparseRows(places, len(place))

    def decode(self, x: Any, schema: Schema, *, soft: bool = False, about: Any = None) -> list[list[str]]:
        items = items_of(schema)
        return [[items[i] for i in row.nonzero().flatten().tolist()] for row in x > 0.5]

    def write(self, decoded: Any, path: str | Path, schema: Schema) -> None:
        write_text(path, "".join(f"{', '.join(row)}\n" for row in decoded))

    def propose(self, schema: Schema) -> Proposal:
        return Proposal(likelihood=Choice("bernoulli"), encoder=Choice("mlp"), reason="An item is there or not.")


def items_of(schema: Schema) -> tuple[str, ...]:
    assert isinstance(schema.details, BasketDetails)
    return schema.details.items


def fingerprint(opened: Opened) -> str:
    return of_array(np.frombuffer("\n".join(",".join(row) for row in opened.data).encode(), dtype=np.uint8))


def expected(model: Any, batch: Batch) -> torch.Tensor:
    """Return the probability of each item, below any other where the basket has it."""
    found = verbs.reconstruct(model, batch)
    return torch.where(batch.tensor > 0, -1.0, found)


def needs_baskets(schema: Schema, model: Any) -> str | None:
    fits = schema.kind == "baskets"
    return None if fits else f"Items are recommended for baskets, not for {schema.kind}. Use encode."


@verb("suggest", group="Use", takes="rows", answers="document", unfit=needs_baskets)
def suggest(run: Any, data: object, *, top: int = 3) -> dict[str, Any]:
    """Name the likeliest items that each basket does not have."""
    items = items_of(run.schema)
    best = [expected(run.model, batch).topk(top).indices for _, batch in run.pieces(run.dataset(data))]
    return {"items": [[items[i] for i in row] for row in torch.cat(best).tolist()]}


@measure("recall", "share of removed items that are among the three recommended ones", usual=True,
         kinds=("baskets",), cost=lambda case, pace: pace.row * len(case.rows))
def recall(case: Case) -> Mapping[str, Any]:
    """Take one item out of each basket, and look for it among the recommended ones."""
    x = case.rows.tensor
    with forked(0):
        taken = torch.where(x > 0, torch.rand(x.shape), -1.0).argmax(1)
    less = x.clone()
    less[torch.arange(len(x)), taken] = 0
    found = (expected(case.model, Batch(less)).topk(3).indices == taken.unsqueeze(1)).any(1).double()
    return {"recall_at_3": float(found.mean())}


class BasketView(View):
    """A basket is shown as the list of its items."""

    def picture(self, row: Any, schema: Schema, *, about: Any = None) -> Block | None:
        (items,) = KINDS["baskets"].decode(row, schema)
        return Listing(items)


KINDS.add("baskets")(Baskets())
VIEWS.add("baskets")(BasketView())
