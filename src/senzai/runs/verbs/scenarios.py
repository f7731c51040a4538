"""Scenarios: dated paths of prices after the data, all of them or those on which something happens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

from ...core.batch import only
from ...core.errors import CombinationError, SettingError
from ...core.random import derive
from ...core.registry import suggestion
from ...data import KINDS, Dataset, Schema
from ...data.returns import Returns, settled
from ...models import verbs
from ...models.base import latent_model
from ...models.impute import conditional_draws
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained

Array = np.ndarray[Any, Any]
MOST = 2_000_000
"""Paths that are drawn at most to find those on which something happens."""
PIECE = 20_000
LEAST = 2000
"""Windows by whose mean and variance new ones are settled."""
PORTFOLIO = "portfolio"
NUMBER = r"[-+]?\d*\.?\d+(?:[eE][-+]?\d+)?"
RULE = re.compile(rf"^\s*(?P<name>.+?)\s*(?P<sign><=|>=|<|>)\s*(?P<number>{NUMBER})\s*(?P<unit>%?)\s*$")


@dataclass(frozen=True, kw_only=True)
class ScenarioSettings:
    """What is asked of scenarios.

    Args:
        n: Paths.
        horizon: Steps of a path.
        given: What happens over the whole horizon, such as ``SPX<-5%``; several with commas. ``portfolio`` is the mean
            of all columns.
        as_returns: Give the return of each step instead of prices.
        seed: Seed of the draws.

    Raises:
        SettingError: There are no paths or steps.
    """

    n: int = 10_000
    horizon: int = 10
    given: str | None = None
    as_returns: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n < 1 or self.horizon < 1:
            raise SettingError(f"`n >= 1` and `horizon >= 1` must hold, but got n={self.n}, horizon={self.horizon}.")


@dataclass(frozen=True)
class Event:
    """Something that happens to a column over the whole horizon.

    Args:
        column: Number of the column; -1 for the mean of all.
        below: Whether its return is below the bound.
        bound: Simple return.
    """

    column: int
    below: bool
    bound: float

    def holds(self, total: Array) -> Array:
        """Say of simple returns over the horizon ``(N, d)`` on which paths it happens."""
        value = total.mean(1) if self.column < 0 else total[:, self.column]
        return np.asarray(value < self.bound if self.below else value > self.bound)


def events_of(text: str | None, names: tuple[str, ...]) -> tuple[Event, ...]:
    """Return what is given.

    Raises:
        SettingError: It is not written as it must be, or names what there is not.

    Example:
        >>> events_of("SPX<-5%, portfolio > 0.02", ("SPX", "NDQ"))
        (Event(column=0, below=True, bound=-0.05), Event(column=-1, below=False, bound=0.02))
    """
    found = []
    for part in (text or "").split(",") if text else ():
        rule = RULE.match(part)
        if rule is None:
            raise SettingError(f"What is given is written like SPX<-5%, but got {part.strip()!r}. Write it so.")
        name = rule["name"].strip()
        if name not in (*names, PORTFOLIO):
            known = ", ".join((*names[:10], PORTFOLIO))
            raise SettingError(f"Scenarios are of {known}, but got {name!r}.{suggestion(name, [*names, PORTFOLIO])}")
        bound = float(rule["number"]) / (100 if rule["unit"] else 1)
        if not rule["unit"] and abs(bound) > 1:
            asked = f"{name}{rule['sign']}{bound:g}"
            raise SettingError(f"A return of {bound:g} is {bound:.0%}, but got {asked}. For per cent write {asked}%.")
        found.append(Event(names.index(name) if name in names else -1, rule["sign"][0] == "<", bound))
    return tuple(found)


def without_returns(schema: Schema, model: nn.Module) -> str | None:
    """Ask for rows that are steps of prices or returns."""
    if KINDS[schema.kind].returns(schema) is not None:
        return None
    return "Scenarios and risk are of returns, but these rows are none. Fit on prices with returns=log."


@verb("scenarios", group="Use", takes="own rows", answers="rows", unfit=without_returns, settings=ScenarioSettings,
      steered=False)
def scenarios(run: Trained, data: object, asked: ScenarioSettings) -> Any:
    """Give dated paths of prices after the data: what may come, or what may come if something happens."""
    dataset = run.dataset(run.source(data))
    returns = need_returns(dataset)
    events = events_of(asked.given, returns.names)
    kept: list[Any] = []
    drawn = 0
    while sum(len(paths) for paths in kept) < asked.n and drawn < MOST:
        size = min(PIECE, max(asked.n, 1000)) if events else min(PIECE, asked.n - drawn)
        some = drawn_paths(run, dataset, returns, size, asked.horizon, seed=derive(asked.seed, "paths", drawn))
        drawn += size
        happens = np.all([e.holds(returns.total(some)) for e in events], axis=0) if events else slice(None)
        kept.append(some[happens])
    found, count = np.concatenate(kept)[: asked.n], sum(map(len, kept))
    if count < asked.n:
        raise SettingError(
            f"Paths on which {asked.given} are looked for among {drawn:,} draws, but {count:,} of {asked.n:,} were "
            "found: it is too rare for the model. Ask for fewer paths, a longer horizon, or less."
        )
    return _frame(found, returns, asked, {"drawn": drawn, "share": count / drawn, "given": asked.given})


def need_returns(dataset: Dataset) -> Returns:
    """Return what is known of the returns of a data set.

    Raises:
        CombinationError: Its rows are none.
    """
    found = dataset.kind.returns(dataset.schema)
    if found is None:
        raise CombinationError("Scenarios and risk are of returns, but these rows are none. Fit with returns=log.")
    return found


def drawn_paths(run: Trained, dataset: Dataset, returns: Returns, n: int, horizon: int, *, seed: int) -> Array:
    """Return returns of paths ``(n, horizon, d)`` that follow the data.

    Behind a filter the volatility of each path goes on from that of the last day, and windows of residuals follow each
    other. Without one the window goes on as a forecast does, given its past; for a horizon that leaves no past, windows
    of the prior follow each other.
    """
    window = run.schema.event_shape[0]
    if not returns.filtered and horizon < window:
        rows = dataset.kind.ahead(dataset.source, dataset.schema, horizon)
        batch = rows.take(np.array([len(rows) - 1]))
        made = only(conditional_draws(latent_model(run.model), batch, draws=n, k=min(2000, max(200, n)), seed=seed))
        return returns.paths(made[:, 0, -horizon:])
    each = -(-horizon // window)
    x = new_windows(run, dataset, returns, n * each, seed=seed)
    return returns.paths(x.reshape(n, each * window, x.shape[2])[:, :horizon])


def new_windows(run: Trained, dataset: Dataset, returns: Returns, n: int, *, seed: int) -> Tensor:
    """Return model values of ``n`` new windows; behind a filter, settled by those and by others."""
    drawn = max(n, LEAST) if returns.filtered else n
    c = dataset.kind.condition({}, drawn, dataset.schema, seed=seed)
    x = only(verbs.sample(run.samplers.apply_to(run.model), drawn, seed=seed, c=c))
    return settled(x)[:n] if returns.filtered else x


def _frame(paths: Array, returns: Returns, asked: ScenarioSettings, about: dict[str, Any]) -> Any:
    """Return paths below each other: number, time, and a column for each name."""
    import pandas as pd

    n, horizon, width = paths.shape
    values = paths if asked.as_returns else returns.prices(paths)
    dates = returns.dates(horizon)
    made = {"path": np.repeat(np.arange(n), horizon), dates.name: dates[np.tile(np.arange(horizon), n)]}
    made |= {name: values[..., j].reshape(-1) for j, name in enumerate(returns.names[:width])}
    frame = pd.DataFrame(made)
    frame.attrs.update(about)
    return frame


