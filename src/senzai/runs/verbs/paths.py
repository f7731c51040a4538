"""Interpolate and traverse: paths through the latent space as rows of the user, and what changes along them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...core.batch import only
from ...data import KINDS
from ...data.lengths import ended
from ...models import verbs
from ...models.base import Latents, latent_model
from .decoding import choosing
from .fitness import needs_latents
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained


@verb("interpolate", group="Use", takes="two rows", answers="rows", unfit=needs_latents, steered=False)
def interpolate(
    run: Trained, a: object, b: object, *, steps: int = 8, decoding: Mapping[str, float] | None = None
) -> Any:
    """Give the path from one row to another through the latent space."""
    first, second = run.dataset(a).batch([0]), run.dataset(b).batch([0])
    z, c = verbs.between(run.model, first, second, steps=steps)
    if isinstance(first.x, dict) or (first.lengths is None and second.lengths is None):
        return _rows(run, z, c, None, decoding)
    short, long = (b.tensor.shape[1] if b.lengths is None else int(only(b.lengths)) for b in (first, second))
    return _rows(run, z, c, torch.linspace(short, long, steps).round().long(), decoding)


@verb("traverse", group="Use", takes="one row", answers="rows", unfit=needs_latents, steered=False)
def traverse(run: Trained, data: object, *, dim: int, values: tuple[float, ...] | None = None) -> Any:
    """Give one row with one latent dimension set to several values, to see what it does."""
    places = None if values is None else torch.tensor([float(v) for v in values])
    row = run.dataset(data).batch([0])
    z, c = verbs.moved(run.model, row, dim=dim, values=places)
    lengths = None if row.lengths is None or isinstance(row.lengths, dict) else row.lengths.expand(len(z[0]))
    return _rows(run, z, c, lengths)


def _rows(
    run: Trained, z: Latents, c: Tensor | None, lengths: Tensor | None, decoding: Mapping[str, float] | None = None
) -> Any:
    """Decode latents to rows; a pandas frame of a table says in ``attrs["changes"]`` what changes along them."""
    from ...evaluation.changes import along

    with choosing(run.model, decoding):
        made = verbs.decode(run.model, z, c=c)
    rows = ended(KINDS[run.schema.kind].decode(made, run.schema), lengths)
    if hasattr(rows, "attrs"):
        rows.attrs["changes"] = [found.document() for found in along(latent_model(run.model), z, c, run.schema)]
    return rows
