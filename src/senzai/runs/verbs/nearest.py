"""Nearest: the rows whose codes are nearest to those of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ...core.errors import CombinationError, SettingError
from ...data import Schema
from ...data.texts import is_texts
from ...models import verbs
from ...models.base import LatentModel
from .fitness import needs_latents
from .registry import verb

if TYPE_CHECKING:
    from ...data import Dataset
    from ...training.trained import Trained

PIECE = 512


def needs_distances(schema: Schema, model: nn.Module) -> str | None:
    """Ask for latents between which distances say something."""
    why = needs_latents(schema, model)
    if why is not None or not isinstance(model, LatentModel):
        return why
    spaces = [space.name for space in model.spaces]
    if all(name in ("real", "sphere", "simplex") for name in spaces):
        return None
    return (
        f"Rows are near where codes are numbers with distances, but those of this model are {' and '.join(spaces)}. "
        "Fit a recipe with real latents, such as vae."
    )


@verb("nearest", group="Use", takes="rows", answers="scores", unfit=needs_distances, steered=False)
def nearest_rows(run: Trained, data: object, *, among: object = None, k: int = 5) -> Any:
    """Name the rows whose codes are nearest to those of each row: by default among the rows the run was trained on.

    Args:
        run: The run.
        data: Rows.
        among: Rows to look among; by default those of the run.
        k: How many for each row.
    """
    import pandas as pd

    asked, known = run.dataset(data), run.dataset(run.source(among))
    if not 1 <= k <= len(known):
        raise SettingError(f"`1 <= k <= {len(known)}` must hold, for so many rows there are, but got k={k!r}.")
    codes, others = (_codes(run, d) for d in (asked, known))
    if codes.shape[1:] != others.shape[1:]:
        raise CombinationError("Codes of rows of several lengths cannot be compared. Give rows of one length.")
    distance, at = _closest(codes, others, k)
    rows = torch.arange(len(codes)).repeat_interleave(k)
    found = {"row": rows, "rank": torch.arange(1, k + 1).repeat(len(codes)), "nearest": at.flatten(),
             "distance": distance.flatten()}
    table = pd.DataFrame({name: values.numpy() for name, values in found.items()})
    shown = known.decode(known.batch(at.flatten().numpy()).x)
    if is_texts(shown):
        table["is"] = list(shown)
    return table


def _codes(run: Trained, dataset: Dataset) -> Tensor:
    found = [verbs.encode(run.model, batch) for _, batch in run.pieces(dataset)]
    return torch.cat([torch.cat([g.flatten(1) for g in groups], 1) for groups in found]).cpu().double()


def _closest(codes: Tensor, others: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return distances and numbers of the nearest others, ``(N, k)``; of equally near ones the first."""
    found = []
    for some in codes.split(PIECE):
        distance = torch.cdist(some, others, compute_mode="donot_use_mm_for_euclid_dist")
        order = distance.argsort(dim=1, stable=True)[:, :k]
        found.append((distance.gather(1, order), order))
    return torch.cat([d for d, _ in found]), torch.cat([i for _, i in found])
