"""A data set in plain values, for `senzai info` and for reports."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from senzai.core.later import torch

from .open import Dataset


def describe(data: Dataset) -> dict[str, Any]:
    """Return what is known about a data set, ready for JSON.

    Example:
        >>> from senzai.data import open_data
        >>> about = describe(open_data("digits"))
        >>> about["kind"], about["n_rows"], about["proposal"]["likelihood"]["name"], about["label"]["counts"][0]
        ('images', 1797, 'discretised_logistic', 178)
    """
    schema = data.schema
    return {
        "kind": schema.kind,
        "title": data.kind.title,
        "form": schema.form,
        "n_rows": len(data),
        "event_shape": list(schema.event_shape),
        "values": schema.values,
        "n_levels": schema.n_levels,
        "value_scale": schema.value_scale,
        "dtype": schema.dtype,
        "columns": None if schema.columns is None else list(schema.columns),
        "label": _label(data),
        "memory_bytes": data.rows.nbytes,
        "in_memory": data.rows.in_memory,
        "split": _split(data),
        "fingerprint": schema.fingerprint,
        "reasons": list(schema.reasons),
        "proposal": {**asdict(data.propose()), "shared": list(data.propose().shared)},
    }


def _label(data: Dataset) -> dict[str, Any] | None:
    label, targets = data.schema.label, data.rows.targets
    if label is None or targets.y is None:
        return None
    known = targets.y if targets.known is None else targets.y[targets.known]
    counts = torch.bincount(known, minlength=len(label.classes)).tolist()
    return {"name": label.name, "classes": list(label.classes), "counts": counts, "unknown": len(data) - len(known)}


def _split(data: Dataset) -> dict[str, int] | None:
    """Rows of each part; ``None`` where there are too few rows to fit."""
    if len(data) < data.schema.split.needs:
        return None
    return {name: len(index) for name, index in data.split_indices().items()}
