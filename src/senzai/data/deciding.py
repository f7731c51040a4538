"""What arrays and images share: making a schema, checking other data against one, rows, and the proposal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from pydantic import JsonValue

from senzai.core.batch import Data
from senzai.core.errors import InputError, ShapeError
from senzai.core.later import Tensor, torch

from . import conditioning, fingerprint, quantities
from .details import numbers_of
from .facts import ValueFacts, blocks, survey
from .kind import Kind, Opened
from .labels import encode_labels, make_label
from .options import Options
from .proposal import Choice, Proposal
from .rows import Array, MemoryRows, Rows, StreamedRows, mapped
from .schema import Label, Schema
from .values import encode, model_dtype, recognise

FAMILIES = {
    "binary": "bernoulli",
    "unit": "continuous_bernoulli",
    "levels": "discretised_logistic",
    "real": "normal",
    "count": "negative_binomial",
}


def decide(
    kind: Kind, opened: Opened, options: Options, *, event_shape: tuple[int, ...], facts: ValueFacts,
    levels: bool = False,
    **more: JsonValue,
) -> Schema:
    """Make the schema of data that were read and looked at.

    Args:
        kind: The kind.
        opened: What was read.
        options: What the user set.
        event_shape: Shape of one row in the model.
        facts: What all values have in common.
        levels: Whether whole numbers are levels, as those of pictures are, and not counts.
        more: What else the kind knows: further values of its details.
    """
    decision = recognise(facts, opened.dtype, image=levels, wanted=options.values)
    label, about_label = label_of(opened, options)
    targets = encode_labels(opened.labels, label)
    condition = conditioning.of_label(options.condition, label, targets, opened.origin)
    kept: dict[str, JsonValue] = {**dict(opened.facts), **more}
    if decision.grid:
        kept["grid"] = decision.grid
    if options.missing == "keep":
        kept["missing"] = "keep"
    if decision.values in ("real", "unit") and any(d is not None for d in facts.decimals):
        kept["decimals"] = list(facts.decimals)
    if decision.values == "real" and facts.offset:
        kept["offset"] = list(facts.offset)
    reasons = (*opened.notes, decision.reason, *_remarks(opened, facts, kept), *about_label)
    return Schema(
        kind=kind.name, event_shape=event_shape, dtype=opened.dtype, values=decision.values, n_levels=decision.n_levels,
        value_scale=decision.value_scale, columns=opened.columns, form=opened.form, label=label, condition=condition,
        n_rows=opened.n_rows, split=options.split, fingerprint=fingerprint_of(opened), reasons=reasons,
        details=kind.details(**kept),
    )


def look(opened: Opened, options: Options) -> ValueFacts:
    """Survey an array that was read."""
    missing = str(opened.facts.get("missing", options.missing))
    return survey(opened.data, columns=opened.columns, missing=missing)


def fingerprint_of(opened: Opened) -> str:
    """Return the fingerprint of an array that was read, or the one a kind of files took itself."""
    return fingerprint.of_array(opened.data) if isinstance(opened.data, np.ndarray) else str(opened.data.fingerprint)


def label_of(opened: Opened, options: Options) -> tuple[Label | None, list[str]]:
    """Return the label that was read with the data, by the rules that the user set, and what to say of it."""
    if opened.labels is None:
        return None, []
    try:
        label = make_label(opened.labels, opened.label_name, options.unlabelled)
    except InputError as err:
        if opened.label_asked:
            raise
        return None, [f"The labels found were left out: {err}"]
    known = encode_labels(opened.labels, label).known
    said = f"The label {label.name!r} has {len(label.classes)} classes."
    if known is None:
        return label, [said]
    less = int((~known).sum())
    return label, [f"{said[:-1]}; {less} of {len(known)} rows have none and count as unlabelled."]


def _remarks(opened: Opened, facts: ValueFacts, kept: dict[str, JsonValue]) -> list[str]:
    remarks = []
    if facts.n_missing:
        remarks.append(f"{facts.n_missing} entries are missing; they are masked and nothing depends on them.")
    if facts.low == facts.high:
        remarks.append(f"All values equal {facts.low:g}: there is nothing to learn from them.")
    elif facts.constant:
        names = [str(opened.columns[i]) if opened.columns else str(i) for i in facts.constant[:3]]
        more = " ..." if len(facts.constant) > 3 else ""
        remarks.append(f"{len(facts.constant)} columns have one value only: {', '.join(names)}{more} (from 0).")
    offset = kept.get("offset")
    if isinstance(offset, list):
        n = sum(o != 0 for o in offset)
        remarks.append(f"{n} of {len(offset)} columns vary little far from zero and are counted from their middle.")
    decimals = kept.get("decimals")
    if isinstance(decimals, list):
        n = sum(d is not None for d in decimals)
        remarks.append(f"{n} of {len(decimals)} columns are rounded to few decimals, and results are rounded alike.")
    exact = facts.whole or (isinstance(decimals, list) and None not in decimals)
    if (opened.dtype == "float64" and not exact) or (facts.whole and max(-facts.low, facts.high) > 2**24):
        remarks.append("64-bit numbers are kept as 32-bit numbers, which hold about seven digits.")
    return remarks


def adapt(opened: Opened, schema: Schema, options: Options, **more: JsonValue) -> Schema:
    """Return a model's schema for other data: its decisions, with what the new data look like outside."""
    old = numbers_of(schema)
    kept: dict[str, Any] = {"dtypes": None, **opened.facts, **more}
    kept["missing"] = "keep" if options.missing == "keep" or old.missing == "keep" else kept.get("missing", "error")
    columns = schema.columns or opened.columns if opened.form == "pandas" else None
    changes: dict[str, Any] = {"value_scale": _scale(opened, schema)}
    if changes["value_scale"] != schema.value_scale:
        kept["grid"] = None
    details = type(old).model_validate({**old.model_dump(), **kept})
    new = [note for note in opened.notes if note not in schema.reasons]
    return schema.but(
        form=opened.form, dtype=opened.dtype, n_rows=opened.n_rows, fingerprint=fingerprint_of(opened),
        columns=columns, details=details, reasons=(*schema.reasons, *new), **changes,
    )


def _scale(opened: Opened, schema: Schema) -> float:
    """Return the scale of the values; 8-bit data given to a model fitted on k/255 are scaled as those were."""
    if opened.dtype == "uint8" and schema.n_levels == 256 and schema.value_scale == 255:
        return 1.0
    return schema.value_scale


def need_shape(got: tuple[int, ...], opened: Opened, schema: Schema, *, hint: str = "") -> None:
    """Refuse rows of another shape than the model's."""
    if got != schema.event_shape:
        raise ShapeError(
            f"Rows must have the shape {schema.event_shape}, as those the model was fitted on, but {opened.origin} has "
            f"rows of the shape {got}. {hint or 'Give the same features, or fit again.'}"
        )


def rows_of(opened: Opened, schema: Schema, arrange: Callable[[Tensor], Tensor]) -> Rows:
    """Return the rows of an array in model values, converted block by block.

    Args:
        opened: What was read.
        schema: Its schema.
        arrange: Moves the axes of encoded rows into the model's order.
    """
    x: Array = opened.data
    targets = conditioning.need_label(encode_labels(opened.labels, schema.label), schema, opened.origin)
    if opened.numbers:
        targets = quantities.targets(targets, schema, opened.numbers, opened.origin)

    def convert(part: Array, start: int = 0) -> tuple[Tensor, Tensor | None]:
        values, mask = encode(part, schema, start=start)
        return arrange(values), None if mask is None else arrange(mask)

    if isinstance(x, np.memmap):
        nbytes = x.size * model_dtype(schema).itemsize
        return StreamedRows(len(x), mapped(x), convert, targets=targets, nbytes=nbytes)
    parts = [convert(block, start) for start, block in blocks(x)]
    values = torch.cat([v for v, _ in parts])
    lengths = None if opened.lengths is None else torch.from_numpy(np.asarray(opened.lengths))
    if all(m is None for _, m in parts):
        return MemoryRows(values, targets, lengths=lengths)
    mask = torch.cat([torch.ones(v.shape, dtype=torch.bool) if m is None else m for v, m in parts])
    return MemoryRows(values, targets, mask, lengths)


def one_tensor(x: Data) -> Tensor:
    """Return the only tensor of data with one modality.

    Raises:
        ShapeError: There are several.
    """
    if isinstance(x, dict):
        raise ShapeError(f"One tensor was expected, but got the modalities {', '.join(x)}. Decode them one by one.")
    return x


def to_numpy(x: Data) -> Array:
    """Return model values as an array, whatever device and precision they have."""
    t = one_tensor(x).detach().cpu()
    return np.asarray((t.float() if t.dtype == torch.bfloat16 else t).numpy())


def to_torch(x: Array, dtype: str, *, soft: bool = False) -> Tensor:
    """Return decoded values as a tensor of the user's dtype."""
    t = torch.from_numpy(np.ascontiguousarray(x))
    return t.to(torch.bfloat16) if dtype == "bfloat16" and not soft else t


def propose(schema: Schema) -> Proposal:
    """Suggest the likelihood that the values call for, on a plain network."""
    settings = {"levels": schema.n_levels} if schema.values == "levels" else {}
    shared = ("scale",) if schema.values == "real" else ()
    because = {
        "binary": "the values are 0 and 1", "unit": "the values are between 0 and 1",
        "levels": f"the values are {schema.n_levels} levels", "real": "the values are real numbers",
        "count": "the values are counts",
    }[schema.values]
    return Proposal(
        likelihood=Choice(FAMILIES[schema.values], settings), shared=shared, reason=f"Proposed because {because}."
    )
