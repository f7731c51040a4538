"""An outside package: a small picture beside a sequence of numbers of any length, of which some rows have one alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import JsonValue

from senzai.core.batch import Batch, Data
from senzai.core.errors import InputError, ShapeError
from senzai.core.files import write_text
from senzai.data import KINDS, Choice, Kind, Opened, Options, Proposal, Rows, Schema
from senzai.data.fingerprint import of_array
from senzai.data.kind import Claim
from senzai.data.proposal import Modality, several
from senzai.data.rows import MemoryRows
from senzai.data.schema import Axis, Field
from senzai.evaluation.catalogue import Case, measure
from senzai.models import verbs
from senzai.report.blocks import Block, Listing
from senzai.report.views import VIEWS, View

Pair = dict[str, Any]
"""``{"picture": rows of 0 and 1, or None, "steps": numbers, or None}``, not both None."""


class Pairs(Kind):
    """Files with a pair on each line, as JSON, and lists of pairs."""

    name: ClassVar[str] = "pairs"
    title: ClassVar[str] = "a picture and a sequence, either may be missing: .pairs"
    suffixes: ClassVar[tuple[str, ...]] = (".pairs",)
    suffix: ClassVar[str] = ".pairs"
    options: ClassVar[type[Options]] = Options
    unit: ClassVar[str] = "number"

    def claims(self, source: object, options: Mapping[str, Any]) -> Claim | None:
        if isinstance(source, str | Path):
            return Claim(0.9, "its name ends in .pairs") if Path(source).suffix in self.suffixes else None
        ours = isinstance(source, list) and bool(source) and all(isinstance(row, dict) for row in source)
        return Claim(0.8, "it is a list of pairs") if ours and "picture" in source[0] else None

    def read(self, source: object, options: Options, schema: Schema | None = None) -> Opened:
        listed = isinstance(source, list)
        rows = source if listed else [json.loads(s) for s in Path(str(source)).read_text("utf-8").splitlines()]
        empty = [i for i, row in enumerate(rows) if row["picture"] is None and not row["steps"]]
        if empty or not rows:
            raise InputError(f"A pair has a picture or steps, but row {empty[:1]} has neither. Drop such rows.")
        origin = "the pairs" if listed else str(source)
        return Opened(data=rows, n_rows=len(rows), dtype="str", form="list" if listed else "file", origin=origin)

    def infer(self, opened: Opened, options: Options) -> Schema:
        pictures = [np.shape(row["picture"]) for row in opened.data if row["picture"] is not None]
        longest = max((len(row["steps"]) for row in opened.data if row["steps"]), default=0)
        if not pictures or not longest:
            raise InputError("To fit, some rows have a picture and some have steps. Take the kind array for one alone.")
        step = Field(axes=(Axis(name="step", size=longest, ragged=True),), support="real")
        both = sum(row["picture"] is not None and bool(row["steps"]) for row in opened.data)
        return Schema(
            kind=self.name, fields={"picture": Field.of(pictures[0], "binary", n_levels=2), "steps": step},
            dtype="str", form=opened.form, n_rows=opened.n_rows, split=options.split, fingerprint=fingerprint(opened),
            reasons=(f"{both} of {opened.n_rows} rows have a picture and steps.",),
        )

    def check(self, opened: Opened, schema: Schema, options: Options) -> Schema:
        shape, longest = schema.fields["picture"].shape, schema.fields["steps"].shape[0]
        for i, row in enumerate(opened.data):
            fits = row["picture"] is None or np.shape(row["picture"]) == shape
            if not fits or len(row["steps"] or ()) > longest:
                raise ShapeError(f"Pictures are {shape} and have at most {longest} steps, but not row {i}. Cut it.")
        return schema.but(n_rows=opened.n_rows, form=opened.form, fingerprint=fingerprint(opened))

    def rows(self, opened: Opened, schema: Schema) -> Rows:
        pictures = torch.zeros(opened.n_rows, *schema.fields["picture"].shape)
        steps = torch.full((opened.n_rows, *schema.fields["steps"].shape), torch.nan)
        for i, row in enumerate(opened.data):
            if row["picture"] is not None:
                pictures[i] = torch.tensor(row["picture"])
            steps[i, : len(row["steps"] or ())] = torch.tensor(row["steps"] or ())
        seen = torch.tensor([row["picture"] is not None for row in opened.data])
        lengths = torch.tensor([len(row["steps"] or ()) for row in opened.data])
        return MemoryRows(
            {"picture": pictures, "steps": steps}, lengths={"steps": lengths.clamp(min=1)},
            present={"picture": seen, "steps": lengths > 0}, about={"length": lengths.numpy()},
        )

    def decode(
        self, x: Data, schema: Schema, *, soft: bool = False, about: Mapping[str, Any] | None = None
    ) -> list[Pair]:
        """Give whole pairs: what a row lacked is what the model says of it, at full length where it had no length."""
        assert isinstance(x, dict)
        pictures = x["picture"] if soft else x["picture"].round().long()
        lengths = (about or {}).get("length", np.zeros(len(pictures), dtype=np.int64))
        ends = [int(n) or x["steps"].shape[1] for n in lengths]
        steps = [row[:end] for row, end in zip(x["steps"].double().tolist(), ends, strict=True)]
        return [{"picture": p, "steps": s} for p, s in zip(pictures.tolist(), steps, strict=True)]

    def write(self, decoded: Any, path: str | Path, schema: Schema) -> None:
        write_text(path, "".join(f"{json.dumps(row)}\n" for row in decoded))

    def to_json(self, decoded: Any, schema: Schema) -> JsonValue:
        return list(decoded)

    def from_json(self, value: JsonValue, schema: Schema) -> object:
        return value

    def propose(self, schema: Schema) -> Proposal:
        shape = {name: field.shape for name, field in schema.fields.items()}
        return several({
            "picture": Modality(shape["picture"], Proposal(likelihood=Choice("bernoulli"))),
            "steps": Modality(shape["steps"], Proposal(likelihood=Choice("normal"), shared=("scale",))),
        }, reason="Picture and steps share what the latents say.")


def fingerprint(opened: Opened) -> str:
    return of_array(np.frombuffer(json.dumps(opened.data).encode(), dtype=np.uint8))


@measure("crossing", "error of pictures and steps predicted from each other, as a share of that of their means",
         usual=True, kinds=("pairs",), cost=lambda case, pace: 2 * pace.row * len(case.rows))
def crossing(case: Case) -> Mapping[str, Any]:
    """Hide one modality of the rows that have both; 1 is what the mean of the others says, 0 is no error."""
    there = case.rows.present or {}
    rows = case.rows.take((there["picture"] & there["steps"]).nonzero().flatten())
    return {f"{name}_from_the_other": _share(case, rows, name) for name in ("picture", "steps")}


def _share(case: Case, rows: Batch, name: str) -> float:
    hidden = {**(rows.present or {}), name: torch.zeros(len(rows), dtype=torch.bool, device=rows.device)}
    found = verbs.reconstruct(case.model, replace(rows, present=hidden))
    assert isinstance(found, dict)
    x, seen = rows.part(name).tensor.double(), rows.seen[name]
    seen = torch.ones_like(x, dtype=torch.bool) if seen is None else seen
    x = torch.where(seen, x, 0.0)
    mean = x.sum(0) / seen.sum(0).clamp(min=1)
    error, least = (torch.where(seen, (x - p.double()) ** 2, 0.0).sum() for p in (found[name], mean))
    return float(error / least)


class PairView(View):
    """A pair is shown as lines of blocks, and its numbers."""

    def lede(self, schema: Schema) -> str:
        return f"{schema.n_rows} pairs of a picture and steps"

    def picture(self, row: Data, schema: Schema, *, about: Mapping[str, Any] | None = None) -> Block | None:
        (pair,) = KINDS["pairs"].decode(row, schema)
        drawn = ["".join("█" if dot else "·" for dot in line) for line in pair["picture"]]
        return Listing([*drawn, ", ".join(f"{v:.2f}" for v in pair["steps"])])


KINDS.add("pairs")(Pairs())
VIEWS.add("pairs")(PairView())
