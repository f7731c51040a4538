"""Normalised: what is expected of each gene in each row at one depth for all, in a batch of one's choice if asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ...core.batch import Batch
from ...core.errors import SettingError
from ...core.random import Noise, using
from ...core.row_noise import RowKeys, RowNoise
from ...data import KINDS, Dataset, Schema
from ...models.base import LatentModel, latent_model
from ...models.modes import judging
from .fitness import needs_latents
from .registry import unless_seeded, verb
from .rows import in_form_of

if TYPE_CHECKING:
    from ...training.trained import Trained

DEPTH = 10_000.0
CALLED = "normalised"


def needs_shares(schema: Schema, model: nn.Module) -> str | None:
    """Ask for counts that are shares of the depth of their row, and for a model that infers."""
    if needs_latents(schema, model) is not None:
        return needs_latents(schema, model)
    if schema.columns is None or [field.support for field in schema.fields.values()] != ["count"]:
        return "Shares of a row's depth are of counts with named columns; rows of this run are others. Fit kind=counts."
    return None


@verb("normalised", group="Use", takes="rows", answers="scores", unfit=needs_shares, steered=False,
      by_row=unless_seeded)
def normalised(
    run: Trained, data: object, *, depth: float = DEPTH, given: Mapping[str, object] | None = None,
    seed: int | None = None,
) -> Any:
    """Give what is expected of each gene in each row if all rows were as deep, without the noise of counting.

    Args:
        run: The run.
        data: Rows.
        depth: Sum of each row that comes back; 1 gives shares.
        given: What rows are taken to be conditioned on instead of their own, by name: the batch that all are put into.
        seed: Draw the codes instead of taking their mean.
    """
    if not depth > 0:
        raise SettingError(f"`depth` must be a positive number, but got {depth!r}. Give what a row is to add up to.")
    dataset, keys = run.dataset(data), RowKeys()
    found = []
    for start, batch in run.pieces(dataset):
        c = condition_at(run, dataset, start, batch, given)
        with judging(run.model), using(noise_of(seed, batch, keys)):
            found.append(shares(latent_model(run.model), batch, c).exp() * depth)
    names = [str(g) for g in run.schema.columns or ()]
    return in_form_of(dataset, torch.cat(found), names, called=CALLED)


def noise_of(seed: int | None, batch: Batch, keys: RowKeys) -> Noise:
    """Return noise that gives points, or draws by the content of each row."""
    return Noise(point=True) if seed is None else RowNoise.of(seed, 1, keys(batch), range(1), device=batch.device)


def shares(model: LatentModel, batch: Batch, c: Tensor | None) -> Tensor:
    """Return log shares of each gene, ``(B, genes)``, of rows decoded under the condition ``c``.

    Raises:
        SettingError: The likelihood has no shares.
    """
    z = model.infer(batch).latents()
    return log_share_of(model.generate(z, c))


def log_share_of(p: Distribution) -> Tensor:
    """Return the log shares that counts are drawn by.

    Raises:
        SettingError: They are not drawn by shares.
    """
    found = getattr(p, "log_share", None)
    if not isinstance(found, Tensor):
        raise SettingError(
            f"Shares are those of counts given their depth, but this model has {type(p).__name__}. Fit the recipe "
            "count-vae."
        )
    return found


def condition_at(
    run: Trained, dataset: Dataset, start: int, batch: Batch, given: Mapping[str, object] | None
) -> Tensor | None:
    """Return the condition that rows are decoded under: their own, or with some of it replaced.

    Raises:
        SettingError: The model is not conditioned on a name, or has not seen a value.
    """
    model = latent_model(run.model)
    own = model.given(batch)
    if not given:
        return own
    if own is None or run.schema.condition is None:
        raise SettingError(
            f"Rows are put elsewhere by what the model was conditioned on, but it knows no {', '.join(given)}. "
            "Fit with condition=..."
        )
    return KINDS[run.schema.kind].moved(own, given, run.schema).to(own)
