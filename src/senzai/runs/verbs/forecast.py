"""Forecast: how series go on, as paths and intervals, with what intervals and paths were worth on held-out windows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ...core.batch import Batch, only
from ...core.errors import SettingError
from ...data import KINDS, Dataset, Schema
from ...data.kind import Kind
from ...evaluation.forecasts import covered, crps, seasonal_naive, spread_factors
from ...models.base import latent_model
from ...models.impute import conditional_draws
from .fitness import needs_latents
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained

Array = np.ndarray[Any, Any]
FEW = 5
"""Windows without a common step, below which a part is too small to correct or to judge by."""
NONE: Array = np.empty(0, np.int64)


@dataclass(frozen=True, kw_only=True)
class ForecastSettings:
    """What is asked of a forecast.

    Args:
        horizon: Steps behind the end of the data.
        n: Paths of each series.
        level: Share of what comes that an interval should hold.
        paths: Give the paths themselves instead of intervals.
        k: Weighted draws of the latents, of which each path takes one.
        hold: Where columns are known beside the values, but not for all steps ahead, go on with their last values.
        checked: Held-out windows whose last steps are forecast too, so that coverage and error are known; 0 for none.
        calibrate: Spread paths about their median so that intervals hold what they should of other held-out windows.
        seed: Seed of the draws.

    Raises:
        SettingError: The level is no share, or there are no steps or paths.
    """

    horizon: int
    n: int = 100
    level: float = 0.9
    paths: bool = False
    k: int = 200
    hold: bool = False
    checked: int = 50
    calibrate: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.level < 1 or self.horizon < 1 or self.n < 2:
            raise SettingError(
                "`0 < level < 1`, `horizon >= 1` and `n >= 2` must hold, but got "
                f"level={self.level!r}, horizon={self.horizon!r}, n={self.n!r}."
            )

    @property
    def ends(self) -> tuple[float, float]:
        """The quantiles between which an interval lies."""
        return (1 - self.level) / 2, (1 + self.level) / 2


def cannot_forecast(schema: Schema, model: nn.Module) -> str | None:
    """Ask for latents, and for rows that go on in time."""
    if KINDS[schema.kind].returns(schema) is not None:
        return "Steps of returns add up along a path, so that intervals of each would mislead. Use scenarios and risk."
    if type(KINDS[schema.kind]).ahead is not Kind.ahead:
        return needs_latents(schema, model)
    return f"A forecast goes on in time, but rows of the kind {schema.kind!r} have none. Fit on dated series."


@verb(
    "forecast", group="Use", takes="own rows", answers="rows", unfit=cannot_forecast, settings=ForecastSettings,
    steered=False,
)
def forecast(run: Trained, data: object, asked: ForecastSettings) -> Any:
    """Give what comes after the data: median, interval and a seasonal-naive forecast of each step, or paths.

    The frame says in ``attrs`` what such forecasts were worth on held-out windows: see :func:`worth`.
    """
    dataset = run.dataset(run.source(data))
    schema, kind = dataset.schema.but(form="pandas"), dataset.kind
    rows = kind.ahead(dataset.source, schema, asked.horizon, hold=asked.hold)
    every = np.arange(len(rows))
    batch, about = rows.take(every), rows.about(every)
    before, after = held_out(run, dataset, asked)
    factors = None if before is None or not asked.calibrate else spread_factors(before.drawn, before.came, asked.level)
    drawn = spread(paths_of(run, batch, asked), factors)
    if asked.paths:
        made = _paths(kind, drawn, schema, about, asked.horizon)
    else:
        made = _intervals(kind, drawn, batch, schema, about, asked)
    made.attrs.update(worth(after, factors, asked))
    if asked.hold:
        made.attrs["held"] = "Columns beside the values keep their last values where they are not given."
    return made


def paths_of(run: Trained, batch: Batch, asked: ForecastSettings) -> Tensor:
    """Return how windows may go on where they are not observed, ``(n, N, L, d)``; what was seen stays."""
    model = latent_model(run.model)
    drawn = only(conditional_draws(model, batch, draws=asked.n, k=asked.k, seed=asked.seed))
    assert batch.observed is not None  # the steps ahead are not
    return torch.where(batch.observed, batch.tensor.to(drawn), drawn)


def spread(drawn: Tensor, factors: Array | None) -> Tensor:
    """Return paths, ``(n, N, L, d)``, whose distances from their median are multiplied by a factor for each column."""
    if factors is None:
        return drawn
    middle = drawn.quantile(0.5, dim=0)
    return middle + torch.from_numpy(factors).to(drawn) * (drawn - middle)


@dataclass(frozen=True)
class HeldOut:
    """Forecasts of the last steps of windows that training did not see, and what came.

    Args:
        drawn: Paths, ``(n, N, horizon, d)``, in units of the model, so that columns of other sizes count alike.
        came: What came, ``(N, horizon, d)``; NaN where nothing did.
        naive: The seasonal-naive forecast, likewise.
    """

    drawn: Array
    came: Array
    naive: Array


def held_out(run: Trained, dataset: Dataset, asked: ForecastSettings) -> tuple[HeldOut | None, HeldOut | None]:
    """Forecast windows that training did not see: some to correct the spread by, and others to judge by.

    Validation windows and test windows, also of the training data with what came since; where one part is too small,
    the earlier half and the later one of both. Of other data all windows that begin after those that trained.
    """
    if asked.checked < 1:
        return None, None
    own = dataset.schema.fingerprint == run.schema.fingerprint
    parts = dataset.split_indices() if own else dataset.kind.unseen(dataset.source, run.schema)
    apart = [_apart(dataset, parts.get(p, NONE), asked.horizon) for p in ("validation", "test")]
    if min(map(len, apart)) < FEW:
        every = _apart(dataset, np.concatenate([parts.get(p, NONE) for p in ("validation", "test")]), asked.horizon)
        apart = [every[: len(every) // 2], every[len(every) // 2 :]] if asked.calibrate else [NONE, every]
    before, after = (_some(index, asked.checked) for index in apart)
    return (
        _forecast_again(run, dataset, before, asked) if len(before) and asked.calibrate else None,
        _forecast_again(run, dataset, after, asked) if len(after) else None,
    )


def _some(index: Array, most: int) -> Array:
    return index if len(index) <= most else index[np.linspace(0, len(index) - 1, most).round().astype(int)]


def _apart(dataset: Dataset, index: Array, horizon: int) -> Array:
    """Return windows in their order, without those that share forecast steps with one before."""
    order = dataset.rows.order
    if order is None or not len(index):
        return index
    kept, last = [], -np.inf
    for i in index[np.argsort(order[index], kind="stable")]:
        if order[i] == last or order[i] >= last + horizon:
            kept.append(i)
            last = order[i]
    return np.array(kept)


def _forecast_again(run: Trained, dataset: Dataset, index: Array, asked: ForecastSettings) -> HeldOut:
    batch = dataset.batch(index)
    seen = torch.ones_like(batch.tensor, dtype=torch.bool) if batch.observed is None else batch.observed
    hidden = seen.clone()
    hidden[:, -asked.horizon :] = False
    drawn = _ahead(paths_of(run, replace(batch, mask=hidden), asked), asked.horizon)
    real = np.where(seen.numpy(), batch.tensor.double().numpy(), np.nan)
    came, past = real[:, -asked.horizon :], real[:, : -asked.horizon]
    return HeldOut(drawn, came, seasonal_naive(past, asked.horizon, dataset.kind.season(dataset.schema) or 1))


def worth(held: HeldOut | None, factors: Array | None, asked: ForecastSettings) -> dict[str, Any]:
    """Return what forecasts of held-out windows were worth, with the spread that forecasts have now, and without."""
    if held is None:
        return {"windows": 0}
    drawn = spread(torch.from_numpy(held.drawn), factors).numpy()
    low, high = np.quantile(drawn, asked.ends, axis=0)
    told = {
        "windows": len(held.came), "level": asked.level, "coverage": covered(low, high, held.came),
        "crps": float(np.nanmean(crps(drawn, held.came))),
        "crps_seasonal_naive": float(np.nanmean(np.abs(held.naive - held.came))),
        "mean_absolute_error": float(np.nanmean(np.abs(np.median(drawn, 0) - held.came))),
        "width": float((high - low).mean()),
    }
    if factors is not None:
        low, high = np.quantile(held.drawn, asked.ends, axis=0)
        told |= {"spread": float(factors.mean()), "coverage_before": covered(low, high, held.came)}
    return told


def _ahead(x: Tensor, horizon: int) -> Array:
    return x[..., -horizon:, :].double().cpu().numpy()


def _tail(frame: Any, horizon: int) -> Any:
    """Return the last steps of each window of a decoded frame."""
    return frame.groupby(frame.columns[0], sort=False).tail(horizon).reset_index(drop=True)


def _paths(kind: Kind, drawn: Tensor, schema: Schema, about: Any, horizon: int) -> Any:
    """Return paths below each other, ``path`` first."""
    import pandas as pd

    frames = [_tail(kind.decode(x, schema, about=about), horizon) for x in drawn]
    made = [f.drop(columns=f.columns[0]) for f in frames]
    return pd.concat([f.assign(path=i)[["path", *f.columns]] for i, f in enumerate(made)], ignore_index=True)


def _intervals(kind: Kind, drawn: Tensor, batch: Batch, schema: Schema, about: Any, asked: ForecastSettings) -> Any:
    """Return median, ends of the interval and the naive forecast of each step and column, one line each.

    Quantiles are taken in model values: the way back is increasing in each entry.
    """
    import pandas as pd

    horizon, x = asked.horizon, drawn.double()
    middle, low, high = torch.quantile(x, torch.tensor([0.5, *asked.ends], dtype=torch.float64), dim=0)
    assert batch.observed is not None
    past = torch.where(batch.observed, batch.tensor.double(), torch.nan).numpy()[:, :-horizon]
    naive = middle.clone()
    naive[:, -horizon:] = torch.from_numpy(seasonal_naive(past, horizon, kind.season(schema) or 1))
    made = {name: _tail(kind.decode(v, schema, about=about, soft=True), horizon)
            for name, v in (("median", middle), ("low", low), ("high", high), ("naive", naive))}
    frame = made["median"]
    columns = [str(c) for c in schema.columns] if schema.columns is not None else list(frame.columns[-x.shape[-1] :])
    marks = [c for c in frame.columns[1:] if c not in columns]
    parts = [
        pd.DataFrame({**{m: frame[m] for m in marks}, "column": c, **{name: f[c] for name, f in made.items()}})
        for c in columns
    ]
    return pd.concat(parts, ignore_index=True)
