"""Log-likelihood: log p(x) of every row, exact or importance-weighted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .fitness import needs_a_density
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained


@verb(
    "log_likelihood", group="Judge", takes="rows", answers="scores", unfit=needs_a_density, steered=False,
    together=True,
)
def log_likelihood(
    run: Trained, data: object, *, k: int = 500, seed: int = 0, sampler: str = "prior"
) -> np.ndarray[Any, Any]:
    """Give log p(x) of every row in nats, exact where the model has a density, else importance-weighted."""
    from ...evaluation import log_likelihood as estimate

    dataset, model = run.dataset(data), run.samplers.apply_to(run.model, sampler)
    scored = ((i, model.scored(batch)) for i, batch in run.pieces(dataset))
    found = [estimate(model, batch, k=k, seed=seed, first_row=i).per_row for i, batch in scored]
    return torch.cat(found).numpy()
