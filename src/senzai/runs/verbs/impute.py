"""Imputation: missing entries of a user's data drawn or averaged from the model; observed ones stay what they were."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ...core.batch import Batch, each
from ...core.errors import SettingError
from ...core.row_noise import RowKeys
from ...data import KINDS, Dataset, Schema
from ...data.kind import Kind
from ...models import verbs
from ...models.base import LatentModel, latent_model
from ...models.impute import conditional_draws, conditional_mean
from ...models.refining import knows_holes, why_not
from .fitness import needs_latents
from .painting import painted
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained

ROWS = 2048
MEAN_DRAWS = 100
NUMBERS = 50_000_000
"""Drawn numbers that are held at once: of very wide tables, fewer rows are filled in at a time."""


def cannot_impute(schema: Schema, model: nn.Module) -> str | None:
    """Ask for latents, and for data that can have missing entries."""
    kind = type(KINDS[schema.kind])
    if kind.fill is not Kind.fill:
        return needs_latents(schema, model)
    if kind.holes is not Kind.holes:
        known = isinstance(model, LatentModel) and knows_holes(model)
        return needs_latents(schema, model) or (None if known else why_not(model))
    return (
        f"Missing entries are filled in where rows can have some, but those of the kind {schema.kind!r} have none. "
        "Give a table or an array (kind=array, missing=keep), and fit on it."
    )


@verb("impute", group="Use", takes="rows", answers="rows", unfit=cannot_impute, steered=False)
def impute(
    run: Trained, data: object, *, draws: int | None = None, k: int = 100, seed: int = 0, where: object = None,
    refine: int | None = None,
) -> Any:
    """Give the data with missing entries filled in; what was there stays as it is."""
    dataset = run.dataset(data)
    if type(dataset.kind).holes is not Kind.holes:
        return painted(run, dataset, where, draws=draws, k=k, seed=seed, refine=refine)
    if where is not None or refine is not None:
        raise SettingError(
            f"`where` and `refine` are for pictures, but rows are of the kind {dataset.schema.kind!r}. Leave them out: "
            "what is missing here is filled in."
        )
    found = list(pieces(run, dataset, draws=draws, k=k, seed=seed))
    made = [
        dataset.kind.gather([p[m] for p in found], dataset.source, dataset.schema, dataset.index)
        for m in range(draws or 1)
    ]
    return made if draws else made[0]


def pieces(
    run: Trained, dataset: Dataset, *, draws: int | None = None, k: int = 100, seed: int = 0
) -> Iterator[list[Any]]:
    """Yield the completed rows of a piece of the data: once, or once per draw."""
    kind, schema = dataset.kind, dataset.schema
    model, start, keys = latent_model(run.model), 0, RowKeys(repeated=not draws)
    several = draws or (MEAN_DRAWS if kind.averages else None)
    size = schema.size * (several or 1)
    for part in kind.parts(dataset.source, schema, max(1, min(ROWS, NUMBERS // size))):
        batch = dataset.batch(np.arange(start, start + len(part)))
        start += len(part)
        holes = incomplete(batch)
        if not len(holes):  # whole rows need no draws, but a constant may be missing that the model does not know
            yield [kind.fill(part, batch.x, schema)] * (draws or 1)
            continue
        some, rows = batch.take(holes), holes.numpy()
        if several is None:
            # a modality that is missing as a whole has no mean where it is a text: what its code says of it instead
            whole = verbs.reconstruct(model, some) if some.modalities else conditional_mean(model, some, k=k, seed=seed)
            yield [kind.fill(part, whole, schema, rows)]
            continue
        drawn = conditional_draws(model, some, draws=several, k=k, seed=seed, keys=keys(some))
        if draws:
            yield [kind.fill(part, each(itemgetter(m), drawn), schema, rows) for m in range(draws)]
        else:
            yield [kind.fill(part, drawn, schema, rows, average=True)]


def incomplete(batch: Batch) -> Tensor:
    """Return the numbers of rows of which something was not observed: an entry, or a whole modality."""
    whole = torch.ones(len(batch), dtype=torch.bool, device=batch.device)
    masks = batch.mask if isinstance(batch.mask, dict) else {"": batch.mask}
    for name, mask in masks.items():
        if mask is not None:
            lacks = ~mask.flatten(1).all(1)
            there = (batch.present or {}).get(name)
            whole = whole & ~(lacks if there is None else lacks & there)
    for there in (batch.present or {}).values():
        whole = whole & there
    return (~whole).nonzero().squeeze(1)
