"""Effect: what a treatment does, on average and to each row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import torch
from torch import nn

from ...core.batch import Batch
from ...core.errors import SettingError
from ...core.random import Noise, derive, using
from ...data import KINDS, Schema
from ...distributions.columns import MixedColumns
from ...distributions.exogenous import fresh_noise, realise
from ...models.base import latent_model
from ...models.modes import judging
from ...objectives.effects import covariates_of, treated
from ...parts.likelihoods.treated import Treated, TreatedLikelihood
from .causes import said
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained

Array = np.ndarray[Any, Any]
NOTES = (
    "No hidden common cause of treatment and outcome is assumed but what the other columns show of it.",
    "Treated and untreated rows overlap: for every kind of row both happen. Where they do not, effects are guesses.",
    "One row's treatment does not change another row's outcome.",
    "The intervals hold what the row leaves open about its latents, and of the mean which rows were seen; not what "
    "training leaves open about the model. They are too narrow where there are few rows.",
)


def cannot_tell(schema: Schema, model: nn.Module) -> str | None:
    """Ask for a model with a treatment and an outcome."""
    if treated(model) is not None:
        return None
    return (
        f"An effect is of a treatment on an outcome, but this model ({type(model).__name__}) names neither: a "
        "difference between groups is not called an effect. Fit with recipe=cevae, treatment=COLUMN and outcome=COLUMN."
    )


def notes(schema: Schema, model: nn.Module, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Say what effects assume."""
    return NOTES


@verb("effect", group="Use", takes="rows", answers="scores", unfit=cannot_tell, steered=False, notes=notes)
def effect(
    run: Trained, data: object, *, draws: int = 100, level: float = 0.9, seen: Literal["all", "covariates"] = "all",
    seed: int = 0,
) -> Any:
    """Say what the treatment does to the outcome of each row, with an interval.

    Args:
        run: The run.
        data: Rows.
        draws: Latents that are drawn for each row.
        level: Share of the draws within an interval.
        seen: Read rows with their treatment and outcome, or as rows for which both are still to come.
        seed: Seed of the draws.
    """
    if draws < 2 or not 0 < level < 1:
        raise SettingError(f"`draws >= 2` and `0 < level < 1` must hold, but got draws={draws!r}, level={level!r}.")
    likelihood, dataset = treated(run.model), run.dataset(data)
    assert likelihood is not None  # the verb fits the run
    found = [
        _outcomes(run, likelihood, batch, draws, seen, derive(seed, "effect", start))
        for start, batch in run.pieces(dataset)
    ]
    without, under = (np.concatenate([f[i] for f in found], 1) for i in (0, 1))
    return table(without, under, level, seed)


def table(without: Array, under: Array, level: float, seed: int) -> Any:
    """Return the effect on each row with its interval, and the mean effect with its own in ``attrs``.

    Args:
        without: Outcome of each draw and row that is not treated, ``(draws, rows)``.
        under: The same if it is treated.
        level: Share of the draws within an interval.
        seed: Seed of the rows that are drawn anew for the interval of the mean.
    """
    import pandas as pd

    each, ends = under - without, ((1 - level) / 2, (1 + level) / 2)
    rng = np.random.default_rng(derive(seed, "bootstrap"))
    rows = rng.integers(0, each.shape[1], (1000, each.shape[1]))
    picked = rng.integers(0, each.shape[0], 1000)
    means = np.array([each[k, some].mean() for k, some in zip(picked, rows, strict=True)])
    low, high = (np.quantile(each, q, axis=0) for q in ends)
    made = pd.DataFrame({
        "effect": each.mean(0), "low": low, "high": high, "without": without.mean(0), "with": under.mean(0),
    })
    made.attrs["average_effect"] = float(each.mean())
    made.attrs["average_low"], made.attrs["average_high"] = (float(np.quantile(means, q)) for q in ends)
    return said(made, NOTES)


def _outcomes(
    run: Trained, likelihood: TreatedLikelihood, batch: Batch, draws: int, seen: str, seed: int
) -> tuple[Array, Array]:
    """Return the outcome without and under treatment, in the user's unit, ``(draws, rows)`` each."""
    model, shown = latent_model(run.model), batch if seen == "all" else covariates_of(batch, likelihood)
    generator = torch.Generator().manual_seed(derive(seed, "outcome"))
    with judging(run.model), using(Noise.seeded(derive(seed, "latents"), device=batch.device)):
        z = model.infer(batch, draws, seen=shown).groups[0].z
        p = model.generate((z,))
    assert isinstance(p, Treated)  # that of the likelihood
    shape = z.shape[:2]
    shared = torch.rand(shape, generator=generator, dtype=torch.float64).clamp(1e-12, 1 - 1e-12)
    return _outcome(run, likelihood, p.arms[0], shared), _outcome(run, likelihood, p.arms[1], shared)


def _outcome(run: Trained, likelihood: TreatedLikelihood, arm: MixedColumns, shared: torch.Tensor) -> Array:
    """Return the expected outcome of one arm: its mean where it is one of two values, else draws of shared noise."""
    y = likelihood.outcome
    group, p = next((columns, p) for columns, p in arm.groups if y in columns.tolist())
    at = group.tolist().index(y)
    if likelihood.columns.sorts[y] == "binary":
        return np.asarray(cast(Any, p).probs[..., at].double().cpu().numpy())
    e = fresh_noise(p, lambda shape: shared.reshape(*shared.shape, *[1] * (len(shape) - 2)).expand(shape))
    value = realise(p, e)[..., at].double().cpu().numpy()
    features = KINDS[run.schema.kind].features(run.schema)
    assert features is not None  # it is a table
    told = features.decode(y, value.reshape(-1))
    return np.asarray(told, dtype=np.float64).reshape(value.shape)
