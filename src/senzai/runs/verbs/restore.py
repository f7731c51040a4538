"""Restore: rows as they would be if they were like those that the model was trained on, healthy ones say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ...core.batch import Batch
from ...core.errors import SettingError
from ...core.row_noise import RowKeys
from ...data import KINDS, Dataset, Schema
from ...models.base import latent_model
from ...models.refining import STEPS, restored, why_not
from .fitness import needs_latents
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained


def cannot_restore(schema: Schema, model: nn.Module) -> str | None:
    """Ask for latents that can be refined, and for rows that are pictures or volumes."""
    why = needs_latents(schema, model)
    if why is None and not KINDS[schema.kind].drawn:
        return (
            f"Restorations and maps are of pictures and volumes, but rows are of the kind {schema.kind!r}. Use score "
            "with shares=true, which says what each column adds."
        )
    return why or why_not(model)


@verb("restore", group="Use", takes="rows", answers="rows", unfit=cannot_restore, steered=False)
def restore(run: Trained, data: object, *, share: float = 0.1, steps: int = STEPS, seed: int = 0) -> Any:
    """Give each picture or volume as it would be if it were like those that the model was trained on.

    Args:
        run: A trained run.
        data: Pictures or volumes.
        share: Share of each that may be anomalous: what fits least is left out and guessed from the rest.
        steps: Steps of the search for what fits the rest.
        seed: Seed of the draws.
    """
    dataset = run.dataset(data)
    found = [made for _, made in restorations(run, dataset, share=share, steps=steps, seed=seed)]
    return dataset.decode(torch.cat(found))


def restorations(
    run: Trained, dataset: Dataset, *, share: float, steps: int, seed: int
) -> Iterator[tuple[Batch, Tensor]]:
    """Yield rows and what they would be, in pieces.

    Raises:
        SettingError: The share or the steps make no sense.
    """
    if not 0 <= share < 1 or steps < 1:
        raise SettingError(
            f"`0 <= share < 1` and `steps >= 1` must hold, but got share={share!r}, steps={steps!r}. A tenth is usual."
        )
    model, keys = latent_model(run.model), RowKeys()
    for _, batch in run.pieces(dataset):
        yield batch, restored(model, batch, share=share, n_steps=steps, seed=seed, keys=keys)
