"""Risk: value at risk and expected shortfall of the next day, and how such forecasts did on days nobody trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ...core.batch import only
from ...core.errors import InputError, SettingError
from ...core.files import user_path
from ...core.random import derive
from ...data import Dataset
from ...data.returns import Returns, Seen
from ...evaluation.backtests import Backtest, backtests, fissler_ziegel, kupiec, var_es
from ...models.base import latent_model
from ...models.impute import conditional_draws
from .registry import verb
from .scenarios import PORTFOLIO, need_returns, new_windows, without_returns

if TYPE_CHECKING:
    from ...training.trained import Trained

Array = np.ndarray[Any, Any]
TAILS = {"95": 0.05, "97.5": 0.025, "99": 0.01}
"""Levels in per cent, and the share of days that are worse."""
KEPT, PIECE = 500, 50
"""Draws of a day that its tests are simulated with; days that are forecast at once from their past."""
WORDS = {"model": "the model", "filtered": "filtered historical simulation", "historical": "historical simulation"}


@dataclass(frozen=True, kw_only=True)
class RiskSettings:
    """What is asked about risk.

    Args:
        days: The last days that are forecast, among those that come after training.
        weights: Shares of a portfolio, such as ``SPX=0.6,NDQ=0.4``; equal ones by default.
        draws: Draws of each day.
        path: Write a page here.
        seed: Seed of the draws.

    Raises:
        SettingError: There are no days, or too few draws for a tail of 1 %.
    """

    days: int = 1000
    weights: str | None = None
    draws: int = 10_000
    path: str | Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.days < 10 or self.draws < 500:
            raise SettingError(
                f"`days >= 10` and `draws >= 500` must hold, but got days={self.days}, draws={self.draws}."
            )


def shares_of(text: str | None, names: tuple[str, ...]) -> Array:
    """Return the share of each column.

    Raises:
        SettingError: They are not written as they must be.

    Example:
        >>> shares_of("SPX=0.6,NDQ=0.4", ("SPX", "NDQ", "DAX")).tolist()
        [0.6, 0.4, 0.0]
    """
    if text is None:
        return np.full(len(names), 1 / len(names))
    found = np.zeros(len(names))
    for part in text.split(","):
        name, _, number = (v.strip() for v in part.partition("="))
        try:
            found[names.index(name)] = float(number)
        except ValueError as err:
            raise SettingError(
                f"Weights are written like {names[0]}=0.6,..., of {', '.join(names[:10])}, but got {part.strip()!r}."
            ) from err
    if not np.isfinite(found).all() or not found.any():
        raise SettingError(f"Weights are finite and not all 0, but got {text!r}.")
    return found


@verb("risk", group="Judge", takes="own rows", answers="document", unfit=without_returns, settings=RiskSettings,
      steered=False)
def risk(run: Trained, data: object, asked: RiskSettings) -> dict[str, Any]:
    """Give value at risk and expected shortfall at 95, 97.5 and 99 %, and tests of both on days after training."""
    dataset = run.dataset(run.source(data))
    returns = need_returns(dataset)
    shares, seen = shares_of(asked.weights, returns.names), returns.seen(dataset.source)
    lines = days_of(run, dataset, returns, seen, asked.days)
    train = training_returns(run, dataset, returns)
    forecasts = {
        name: Forecasts.of(draw, returns, seen, lines, shares)
        for name, draw in methods(run, dataset, returns, train, asked).items()
    }
    at = np.searchsorted(seen.lines, lines)
    came = _whole(returns.simple(seen.returns[at]), shares)
    names = ((PORTFOLIO,) if len(returns.names) > 1 else ()) + returns.names
    scale = None if seen.variances is None else np.sqrt(seen.variances[at])
    document = {
        "days": len(lines), "first": str(seen.times[at[0]]), "last": str(seen.times[at[-1]]),
        "next": str(returns.dates(1)[0]), "draws": asked.draws, "seed": asked.seed,
        "weights": dict(zip(returns.names, shares.tolist(), strict=True)), "filters": returns.parameters,
        "forecasts": {name: _judged(name, came, forecasts, names, scale, asked.seed) for name in names},
    }
    if asked.path is not None:
        from ...report.risk_page import write_risk

        target = user_path(asked.path, output=True)
        write_risk(document, _drawing(seen, at, came, forecasts["model"], names), run.metrics, target)
        document["page"] = str(target)
    return document


def days_of(run: Trained, dataset: Dataset, returns: Returns, seen: Seen, days: int) -> Array:
    """Return the lines of the last days that come after training and have a past.

    Raises:
        InputError: There are none.
    """
    behind = returns.unknown(dataset.source, seen.lines[run.schema.event_shape[0] :])
    if len(behind) < 10:
        raise InputError(
            f"Risk is judged on days after those that trained the model, but these data have {len(behind)}. Fit with a "
            "test part (test=0.2), or give later prices."
        )
    return behind[-days:]


def training_returns(run: Trained, dataset: Dataset, returns: Returns) -> tuple[Array, Array | None]:
    """Return the simple returns of days that trained the model, and what a filter left of them."""
    seen = returns.seen(dataset.source)
    known = np.setdiff1d(seen.lines, returns.unknown(dataset.source, seen.lines))
    values = returns.simple(seen.returns[np.isin(seen.lines, known)])
    whole = values[~np.isnan(values).any(1)]
    return whole, returns.left(dataset.source, known) if returns.filtered and len(whole) else None


Draw = Callable[[Array], Iterator[Array]]
"""From the numbers of lines to draws of the returns of each, ``(S, d)``, simple ones."""


def methods(
    run: Trained, dataset: Dataset, returns: Returns, train: tuple[Array, Array | None], asked: RiskSettings
) -> dict[str, Draw]:
    """Return the model and what it is compared with."""
    rng = np.random.default_rng(derive(asked.seed, "risk"))
    whole, left = train
    found: dict[str, Draw] = {"model": _model(run, dataset, returns, asked)}
    if left is not None and len(left):
        again = left[rng.integers(len(left), size=asked.draws)]
        found["filtered"] = _filtered(returns, dataset, lambda v: returns.again(again[:, None], v)[:, 0])
    if len(whole):
        found["historical"] = lambda lines: (whole for _ in lines)
    return found


def _filtered(returns: Returns, dataset: Dataset, step: Callable[[Array], Array]) -> Draw:
    seen = returns.seen(dataset.source)

    def draw(lines: Array) -> Iterator[Array]:
        assert seen.variances is not None
        for line in lines:
            at = line - seen.lines[0]
            yield returns.simple(step(seen.variances[at] if at < len(seen.variances) else returns.coming))

    return draw


def _model(run: Trained, dataset: Dataset, returns: Returns, asked: RiskSettings) -> Draw:
    """Return draws of the model: its residuals behind a filter, else windows that end with a day, given their past."""
    if returns.filtered:
        n = -(-asked.draws // run.schema.event_shape[0])
        x = new_windows(run, dataset, returns, n, seed=derive(asked.seed, "residuals"))
        steps = x.reshape(-1, x.shape[2])[: asked.draws]
        return _filtered(returns, dataset, lambda v: returns.one_step(steps, v))

    def draw(lines: Array) -> Iterator[Array]:
        n = min(asked.draws, 1000)
        for start in range(0, len(lines), PIECE):
            rows = returns.ending(dataset.source, lines[start : start + PIECE])
            batch = rows.take(np.arange(len(rows)))
            seen = torch.ones_like(batch.tensor, dtype=torch.bool) if batch.observed is None else batch.observed.clone()
            seen[:, -1] = False
            hidden = replace(batch, mask=seen)
            made = only(conditional_draws(latent_model(run.model), hidden, draws=n, k=n, seed=asked.seed))
            yield from returns.simple(returns.paths(made[:, :, -1].transpose(0, 1)))

    return draw


@dataclass(frozen=True, eq=False)
class Forecasts:
    """Value at risk, expected shortfall and some draws, of each day and series; the portfolio first.

    Args:
        var: By level, ``(N, m)``.
        es: By level, ``(N, m)``.
        draws: Some draws, ``(S, N, m)``.
    """

    var: Mapping[str, Array]
    es: Mapping[str, Array]
    draws: Array

    @classmethod
    def of(cls, draw: Draw, returns: Returns, seen: Seen, lines: Array, shares: Array) -> Forecasts:
        """Forecast each of some days, and the one that follows the data last, where a filter knows its volatility."""
        var: dict[str, list[Array]] = {level: [] for level in TAILS}
        es: dict[str, list[Array]] = {level: [] for level in TAILS}
        kept, rng = [], np.random.default_rng(0)
        asked = np.append(lines, seen.lines[-1] + 1) if returns.filtered else lines
        for made in draw(asked):
            ordered = np.sort(both := _whole(made, shares), axis=0)
            for level, tail in TAILS.items():
                v, e = var_es(ordered, tail)
                var[level].append(v)
                es[level].append(e)
            kept.append(both[rng.integers(len(both), size=KEPT)])  # days that are drawn apart, as they come
        return cls({k: np.stack(v) for k, v in var.items()}, {k: np.stack(v) for k, v in es.items()}, np.stack(kept, 1))


def _whole(returns: Array, shares: Array) -> Array:
    """Return returns with those of the portfolio before them, where there are several columns."""
    if returns.shape[1] == 1:
        return returns
    return np.concatenate([returns @ shares[:, None], returns], 1)


def _judged(
    name: str, came: Array, forecasts: Mapping[str, Forecasts], names: tuple[str, ...], scale: Array | None, seed: int
) -> dict[str, Any]:
    """Return what is said of one series: by level, of the model and of what it is compared with."""
    j, y = names.index(name), came[:, names.index(name)]
    own = j - (len(names) > 1)
    spread = None if scale is None or own < 0 else scale[:, own]
    n, found = len(y), {}
    for level, tail in TAILS.items():
        model = forecasts["model"]
        v, e = model.var[level][:n, j], model.es[level][:n, j]
        tests = backtests(y, v, e, tail, scale=spread, draws=model.draws[:, :n, j], seed=seed)
        found[level] = {
            **_short(y, model, level, j), "tests": {t.name: _document(t) for t in tests},
            "beside": {WORDS[k]: _short(y, f, level, j) for k, f in forecasts.items() if k != "model"},
        }
    return found


def _short(y: Array, f: Forecasts, level: str, j: int) -> dict[str, Any]:
    """Return means, hits, and the forecast of the next day; losses are positive here, as risk is read."""
    v, e, tail = f.var[level][: len(y), j], f.es[level][: len(y), j], TAILS[level]
    there = ~np.isnan(y)
    hits = (y < v)[there]
    ahead = len(f.var[level]) > len(y)
    negative = bool((e[there] < 0).all())
    return {
        "var": float(-v.mean()), "es": float(-e.mean()), "hits": int(hits.sum()), "expected": len(hits) * tail,
        "kupiec_p": kupiec(hits, tail).p_value,
        "loss": float(fissler_ziegel(y[there], v[there], e[there], tail).mean()) if negative else None,
        "next_var": float(-f.var[level][-1, j]) if ahead else None,
        "next_es": float(-f.es[level][-1, j]) if ahead else None,
    }


def _document(test: Backtest) -> dict[str, Any]:
    def number(value: float) -> float | None:
        return None if np.isnan(value) else float(value)

    return {"statistic": number(test.statistic), "p_value": number(test.p_value), **test.details}


def _drawing(seen: Seen, at: Array, came: Array, model: Forecasts, names: tuple[str, ...]) -> dict[str, Any]:
    """Return what the page draws: the days, what came, and the value at risk of the first series."""
    n = len(at)
    return {"name": names[0], "times": [str(t)[:10] for t in seen.times[at]], "came": came[:, 0].tolist(),
            "var": {level: model.var[level][:n, 0].tolist() for level in TAILS},
            "es": {level: model.es[level][:n, 0].tolist() for level in TAILS}}
