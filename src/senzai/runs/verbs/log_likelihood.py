"""Log-likelihood: the importance-weighted log p(x) of every row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .fitness import needs_latents
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained


@verb("log_likelihood", group="Judge", takes="rows", answers="scores", unfit=needs_latents, steered=False)
def log_likelihood(
    run: Trained, data: object, *, k: int = 500, seed: int = 0, sampler: str = "prior"
) -> np.ndarray[Any, Any]:
    """Give the importance-weighted log p(x) of every row in nats; higher is better."""
    from ...evaluation import log_likelihood as estimate

    dataset, model = run.dataset(data), run.samplers.under(run.model, sampler)
    scored = ((i, model.scored(batch)) for i, batch in run.pieces(dataset))
    found = [estimate(model, batch, k=k, seed=seed, first_row=i).per_row for i, batch in scored]
    return torch.cat(found).numpy()
