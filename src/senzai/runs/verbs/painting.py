"""Pictures with holes filled in from p(x missing | x observed), whatever the model was trained to see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ...core.batch import Batch, each, only
from ...core.errors import SettingError
from ...core.row_noise import RowKeys
from ...data import Dataset
from ...models.base import latent_model
from ...models.impute import conditional_draws, conditional_mean
from ...models.refining import STEPS, knows_holes, refined

if TYPE_CHECKING:
    from ...training.trained import Trained


def painted(
    run: Trained, dataset: Dataset, where: object, *, draws: int | None, k: int, seed: int, refine: int | None
) -> Any:
    """Return rows whose holes are filled in; a list of them, one for each draw, where draws were asked for.

    An encoder that was trained on whole rows has a wrong posterior where something is hidden: it is refined on the
    bound of what is seen, row by row, and what is left of the error is taken away by importance weights.
    """
    model, keys = latent_model(run.model), RowKeys()
    steps = (0 if knows_holes(model) else STEPS) if refine is None else refine
    model = refined(model, n_steps=steps) if steps else model
    found: list[Tensor] = []
    for start, batch in run.pieces(dataset):
        masked = hidden(dataset, batch, where, start)
        if draws:
            made = conditional_draws(model, masked, draws=draws, k=k, seed=seed, keys=keys(masked))
        else:
            made = each(lambda x: x.unsqueeze(0), conditional_mean(model, masked, k=k, seed=seed))
        drawn = only(made)
        seen = torch.ones((), dtype=torch.bool) if masked.observed is None else masked.observed
        found.append(torch.where(seen, batch.tensor.to(drawn.dtype), drawn))
    whole = torch.cat(found, 1)
    answers = [dataset.decode(x) for x in whole]
    return answers if draws else answers[0]


def hidden(dataset: Dataset, batch: Batch, where: object, start: int) -> Batch:
    """Return rows in which what is to be filled in counts as not observed.

    Raises:
        SettingError: Nothing is missing, and nobody said where.
    """
    seen = torch.ones(batch.tensor.shape, dtype=torch.bool) if batch.observed is None else batch.observed
    if where is None and bool(seen.all()):
        raise SettingError(
            "These pictures lack nothing; say what is to be filled in: where=8:20,4:16 (rows, columns), grid:2, or a "
            "picture whose white is the hole."
        )
    if where is not None:
        holes = torch.from_numpy(dataset.kind.holes(where, dataset.schema, len(dataset)))
        mine = holes if len(holes) == 1 else holes[start : start + len(batch)]
        seen = seen & ~mine
    return batch.with_x(batch.x, seen)
