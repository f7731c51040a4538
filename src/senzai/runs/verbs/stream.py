"""What verbs make of a table, piece by piece, so that memory does not grow with the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch

from ...core.random import derive
from ...core.row_noise import RowKeys
from ...data import KINDS, Dataset, Schema
from ...models import verbs
from ...models.generative import Generative
from . import given as conditional

if TYPE_CHECKING:
    from ...training.trained import Trained

SAMPLED = 100_000
NUMBERS = 20_000_000
"""Numbers that a piece of samples has at most: of very wide tables, pieces have fewer rows."""


def codes(run: Trained, dataset: Dataset, *, seed: int | None) -> Iterator[Any]:
    """Yield frames of latent codes."""
    import pandas as pd

    keys = RowKeys()
    for _, batch in run.pieces(dataset):
        z = torch.cat([g.flatten(1) for g in verbs.encode(run.model, batch, seed=seed, keys=keys)], 1).numpy()
        yield pd.DataFrame(z, columns=[f"z{i}" for i in range(z.shape[1])])


def reconstructions(run: Trained, dataset: Dataset, *, seed: int | None) -> Iterator[Any]:
    """Yield frames of reconstructed rows."""
    keys, kind = RowKeys(), dataset.kind
    for start, batch in run.pieces(dataset):
        rows = kind.decode(verbs.reconstruct(run.model, batch, seed=seed, keys=keys), dataset.schema)
        yield kind.renumbered(rows, dataset.schema, start) if start else rows


def samples(
    model: Generative, schema: Schema, n: int, given: Mapping[str, object], *, seed: int, noise: bool,
    temperature: float,
) -> Iterator[Any]:
    """Yield frames of new rows; as many as fit one piece are those of :meth:`Run.sample` with that seed."""
    most = max(100, min(SAMPLED, NUMBERS // max(1, schema.size)))
    for start in range(0, n, most):
        own = seed if n <= most else derive(seed, "piece", start)
        count = min(most, n - start)
        rows = conditional.sample(model, schema, count, given, seed=own, noise=noise, temperature=temperature)
        yield KINDS[schema.kind].renumbered(rows, schema, start) if start else rows
