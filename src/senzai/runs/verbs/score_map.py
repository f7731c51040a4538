"""Anomaly maps of pictures and volumes: how far each place is from what it would be in a restoration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ...models.refining import STEPS
from .registry import verb
from .restore import cannot_restore, restorations

if TYPE_CHECKING:
    from ...training.trained import Trained


@verb("score_map", group="Use", takes="rows", answers="rows", unfit=cannot_restore, steered=False)
def score_map(run: Trained, data: object, *, share: float = 0.1, steps: int = STEPS, seed: int = 0) -> Any:
    r"""Give a map for each picture or volume: the distance of each place from its restoration, in units of the data.

    .. math:: m_i = |x_i - \hat x_i|

    Maps have the form of the data: pictures are written as pictures, volumes with the affine that they came with.
    Where nothing was observed the map is 0.

    Args:
        run: A trained run.
        data: Pictures or volumes.
        share: Share of each that may be anomalous.
        steps: Steps of the search for a restoration.
        seed: Seed of the draws.
    """
    dataset = run.dataset(data)
    found = []
    for batch, made in restorations(run, dataset, share=share, steps=steps, seed=seed):
        far = (batch.tensor.to(made.dtype) - made).abs()
        found.append(far if batch.observed is None else far.masked_fill(~batch.observed, 0))
    return dataset.decode(torch.cat(found))
