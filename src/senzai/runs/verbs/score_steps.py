"""Anomaly scores of single steps of series, from all windows that have them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent

from ...core.batch import Batch
from ...core.errors import SettingError
from ...core.random import Noise, derive, using
from ...core.row_noise import RowKeys, RowNoise
from ...data import KINDS, Dataset, Schema
from ...data.kind import Kind
from ...distributions.ops import elementwise, marginal
from ...distributions.within import within
from ...models.base import LatentModel, latent_model
from ...models.modes import judging
from .fitness import needs_latents
from .registry import verb
from .score import ScoreSettings, pieces

if TYPE_CHECKING:
    from ...training.trained import Trained

BLOCK = 64
"""Windows that are scored together, always as many: so a score has the same bits whenever its window came."""


def cannot_score_steps(schema: Schema, model: nn.Module) -> str | None:
    """Ask for latents, and for rows along time."""
    if type(KINDS[schema.kind]).along is not Kind.along:
        return needs_latents(schema, model)
    return f"Steps are scored along time, but rows of the kind {schema.kind!r} have none. Use score for whole rows."


def scored_as_they_come(run: Any, *, of: str = "steps", method: str = "auto", k: int = 4, seed: int = 0) -> Any:
    """Return what scores the steps of one series as they come.

    Raises:
        SettingError: Scores of windows are asked for.
    """
    if of != "steps" or method != "auto":
        raise SettingError(
            f"Steps that come one by one have their own scores, but got of={of!r} and method={method!r}. "
            "Leave both out, or score a file."
        )
    return run.stream(k=k, seed=seed)


@verb(
    "score_steps", group="Use", takes="rows", answers="scores", unfit=cannot_score_steps, steered=False,
    arriving=scored_as_they_come,
)
def score_steps(
    run: Trained, data: object, *, of: Literal["steps", "windows"] = "steps", method: str = "auto", k: int = 4,
    seed: int = 0,
) -> Any:
    """Give the anomaly score of each step of series: its own nats, or what score gives (of=windows), mean over windows.

    A step's own score shows spikes; a stretch in which the shape is unusual, and no step alone, shows in scores of
    windows.

    Args:
        run: The run.
        data: Series.
        of: ``steps``: its own nats; ``windows``: what ``score`` gives the windows that have it.
        method: Score of windows, as ``score`` takes it.
        k: Draws per window.
        seed: Seed of the draws.

    Raises:
        SettingError: ``of`` is neither, or a method is named for scores of steps.
        InputError: Windows are compared with those held out, but none were.
    """
    if of not in ("steps", "windows"):
        raise SettingError(f"Steps have scores of steps or of windows, but got of={of!r}. Choose one of the two.")
    if of == "steps" and method != "auto":
        raise SettingError(
            f"A step's own score is its nats, but got method={method!r}. Leave it out, or add of=windows."
        )
    dataset, keys = run.dataset(data), RowKeys()
    if of == "windows":
        made = torch.cat(list(_of_windows(run, dataset, ScoreSettings(method=method, k=k, seed=seed))))
        return dataset.kind.along(made.double().numpy(), dataset.schema, dataset.source, name="score")
    model, parts = latent_model(run.model), []
    for start in range(0, len(dataset), BLOCK):
        batch = with_mask(dataset.batch(np.arange(start, min(start + BLOCK, len(dataset)))))
        parts.append(block_distortions(model, batch, keys(batch), place=0, k=k, seed=seed))
    return dataset.kind.along(torch.cat(parts).double().numpy(), dataset.schema, dataset.source, name="score")


def _of_windows(run: Trained, dataset: Dataset, asked: ScoreSettings) -> Iterator[Tensor]:
    """Yield the score of each window at all its steps, ``(n, T)``; NaN where nothing was observed."""
    for (_, batch), found in zip(run.pieces(dataset), pieces(run, dataset, asked), strict=True):
        every = found.values[:, None].expand(-1, batch.tensor.shape[1])
        seen = batch.observed
        yield every if seen is None else every.masked_fill(~seen.flatten(2).any(2), torch.nan)


def factorised_event(p: Distribution) -> bool:
    """Whether entries of a row are independent given the latents, so that each has a density of its own."""
    return isinstance(p, Independent) and not p.base_dist.event_shape


def with_mask(batch: Batch) -> Batch:
    """Return rows that say of every entry whether it was seen, whether or not others of their data have holes."""
    return batch if batch.mask is not None else batch.with_x(batch.x, torch.ones_like(batch.tensor, dtype=torch.bool))


def block_distortions(
    model: LatentModel, batch: Batch, keys: Sequence[int], *, place: int, k: int = 4, seed: int = 0
) -> Tensor:
    """Return what :func:`step_distortions` does, of rows that stand from ``place`` on in a block of a fixed size.

    Sums of products are taken in an order that depends on how many rows there are, and may on where a row stands; here
    both are always the same. The other places are filled with copies, which change nothing.
    """
    index = (torch.arange(BLOCK) - place).clamp(0, len(batch) - 1)
    whole = step_distortions(model, batch.take(index), k=k, seed=seed, keys=[keys[i] for i in index.tolist()])
    return whole[place : place + len(batch)]


def step_distortions(
    model: LatentModel, batch: Batch, *, k: int = 4, seed: int = 0, keys: Sequence[int] | None = None
) -> Tensor:
    """Return the mean over draws of -log p(x_t | z) for each step, ``(N, T)``; NaN where nothing was observed.

    They add up to the distortion of the row where entries are independent given z.
    """
    x = batch.tensor
    seen = torch.ones_like(x, dtype=torch.bool) if batch.observed is None else batch.observed
    known = RowKeys()(batch) if keys is None else keys
    noise: Noise = RowNoise.of(derive(seed, "steps"), k, known, range(k), device=batch.device)
    found = []
    with judging(model), using(noise):
        z = tuple(group.z for group in model.infer(batch, k).groups)
        p = model.generate(z, model.given(batch))
        if factorised_event(p):
            every = elementwise(marginal(p, seen), x)
            made = -every.flatten(3).sum(3).mean(0)
        else:
            for t in range(x.shape[1]):
                here = torch.zeros_like(seen)
                here[:, t] = seen[:, t]
                found.append(-within(p, replace(batch, mask=here, lengths=None)).log_prob(x).mean(0))
            made = torch.stack(found, 1)
    return made.masked_fill(~seen.flatten(2).any(2), torch.nan)
