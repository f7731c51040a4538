"""Reconstruct: each row as the model sees it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...core.batch import cat
from ...core.row_noise import RowKeys
from ...data.lengths import ended
from ...models import verbs
from .decoding import choosing
from .fitness import needs_latents
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained


@verb("reconstruct", group="Use", takes="rows", answers="rows", unfit=needs_latents, steered=False)
def reconstruct(
    run: Trained, data: object, *, seed: int | None = None, decoding: Mapping[str, float] | None = None
) -> Any:
    """Give each row as the model sees it, after its way through the latent code; a draw if seeded."""
    dataset, keys = run.dataset(data), RowKeys()
    with choosing(run.model, decoding):
        found = [verbs.reconstruct(run.model, batch, seed=seed, keys=keys) for _, batch in run.pieces(dataset)]
    return ended(dataset.decode(cat(found)), dataset.rows.lengths)
