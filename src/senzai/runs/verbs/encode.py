"""Encode: the latent code of each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ...core.row_noise import RowKeys
from ...models import verbs
from .fitness import needs_latents
from .registry import unless_seeded, verb
from .rows import in_form_of

if TYPE_CHECKING:
    from ...training.trained import Trained


@verb("encode", group="Use", takes="rows", answers="codes", unfit=needs_latents, steered=False, by_row=unless_seeded)
def encode(run: Trained, data: object, *, seed: int | None = None) -> Any:
    """Give the latent code of each row: the posterior's mean, or a draw if seeded."""
    dataset, keys = run.dataset(data), RowKeys()
    found = [verbs.encode(run.model, batch, seed=seed, keys=keys) for _, batch in run.pieces(dataset)]
    z = torch.cat([torch.cat([group.flatten(1) for group in latents], dim=1) for latents in found])
    return in_form_of(dataset, z)
