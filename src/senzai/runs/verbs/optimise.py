"""Optimise: rows that are better by a number, looked for in the latent space."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from ...core.batch import Batch
from ...core.errors import InputError, SettingError
from ...core.expression import Expression
from ...core.random import derive
from ...data import KINDS, Schema
from ...data.ranked import RankedRows
from ...models import verbs
from ...models.base import LatentModel, latent_model
from .fitness import needs_latents
from .region import Region
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained

Floats = np.ndarray[Any, Any]
Objective = str | Callable[[list[Any]], Any]

MOST_CALLS = 100_000
IDLE = 20
"""Rounds one after another in which nothing new is decoded, after which a search ends."""


def cannot_search(schema: Schema, model: nn.Module) -> str | None:
    """Ask for rows that have numbers, and for one group of real latents that no condition goes with."""
    why = needs_latents(schema, model)
    if why is not None or not isinstance(model, LatentModel):
        return why
    if not KINDS[schema.kind].quantities:
        return (
            f"Rows of the kind {schema.kind!r} have no numbers to search by. Fit molecules or music, or score samples "
            "by yourself."
        )
    if len(model.spaces) != 1 or model.spaces[0].name != "real":
        return "A search goes through one group of real latents, but this model has others. Fit a recipe such as vae."
    if schema.condition is not None:
        return (
            f"A search goes through latents alone, but this model is told {', '.join(schema.condition.names)} too. Fit "
            "without condition=..., and name the property in the objective."
        )
    return None


@verb("optimise", group="Use", takes="nothing", answers="rows", unfit=cannot_search)
def optimise(
    run: Trained, *, objective: object = None, budget: int = 500, top: int = 10, start: object = None,
    batch: int = 10, seed: int = 0,
) -> Any:
    """Search the latent space for rows whose number is largest, and give the best, with scores and lineage.

    Args:
        run: A trained run.
        objective: What is to be large: an expression of the numbers that rows have, as ``qed - 0.1 * sa``, or in Python
            a function from a list of rows to their scores (NaN for none).
        budget: Rows that are scored, at most; equal ones count once.
        top: How many rows to give.
        start: Rows to start from; by default new ones.
        batch: Rows that are proposed at a time.
        seed: Seed of the search.
    """
    if not (1 <= budget <= MOST_CALLS and top >= 1 and batch >= 1):
        raise SettingError(
            f"`1 <= budget <= {MOST_CALLS:,}`, `top >= 1` and `batch >= 1` must hold, but got budget={budget!r}, "
            f"top={top!r}, batch={batch!r}."
        )
    ledger = Ledger(run, scorer(objective, run.schema), budget)
    ledger.spend(*_start(run, start, max(2, min(budget, max(20, budget // 5))), seed), parents=None)
    if not np.isfinite(ledger.scores).any():
        raise InputError(
            f"A search needs rows with a score to start from, but none of {ledger.calls} has one. Change the objective."
        )
    region, idle = Region(ledger.codes, derive(seed, "region")), 0
    while ledger.calls < budget and idle < IDLE:
        centre = ledger.best
        proposed = region.propose(ledger.codes, ledger.scores, centre, batch)
        before, top_score = ledger.calls, ledger.scores[centre]
        ledger.spend(proposed, None, parents=centre)
        new = ledger.calls > before
        idle = 0 if new else idle + 1
        region.learn(better=bool(ledger.scores[ledger.best] > top_score), new=new)
    return ledger.ranked(top)


def scorer(objective: object, schema: Schema) -> Callable[[list[Any]], tuple[Floats, Mapping[str, Floats]]]:
    """Return a function from rows to their scores and to the numbers that these are made of.

    Raises:
        SettingError: It is no expression of numbers that rows have, and no function.
    """
    kind = KINDS[schema.kind]
    if callable(objective):
        return lambda rows: (_checked(objective(list(rows)), len(rows)), {})
    known = list(kind.quantities)
    if not isinstance(objective, str):
        raise SettingError(
            f"What is to be large is an expression of {', '.join(known)}, or a function, but got {objective!r}. Write "
            f"objective={known[0]!r}."
        )
    expression = Expression(objective, known)

    def score(rows: list[Any]) -> tuple[Floats, Mapping[str, Floats]]:
        values = {name: kind.quantity(rows, name, schema) for name in expression.names}
        return expression(values), values

    return score


def _checked(given: Any, n: int) -> Floats:
    """Return scores that a user's function gave."""
    try:
        found = np.asarray(given, dtype=float).reshape(-1)
    except (TypeError, ValueError) as err:
        raise SettingError(f"An objective returns numbers, but got {str(given)[:60]!r}. Return one a row.") from err
    if len(found) != n:
        raise SettingError(f"An objective returns a score for each of {n} rows, but gave {len(found)}. Return {n}.")
    return np.where(np.isfinite(found), found, np.nan)


def _start(run: Trained, start: object, n: int, seed: int) -> tuple[Tensor | None, list[Any] | None]:
    """Return codes to start from, or rows that were given."""
    if start is not None:
        dataset = run.dataset(start)
        rows: list[Any] = list(dataset.kind.decode(dataset.batch().x, dataset.schema.but(form="list")))
        return None, rows[:n]
    model = latent_model(run.samplers.apply_to(run.model))
    from ...core.random import Noise, using

    with using(Noise.seeded(derive(seed, "start"), device=model.device)):
        (z,) = model.sample_prior(n)
    return z, None


@dataclass
class Ledger:
    """What was scored, in the order of the calls.

    Args:
        run: The run.
        score: From rows to scores and numbers.
        budget: Calls, at most.
    """

    run: Trained
    score: Callable[[list[Any]], tuple[Floats, Mapping[str, Floats]]]
    budget: int
    rows: list[Any] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    found: list[float] = field(default_factory=list)
    numbers: dict[str, list[float]] = field(default_factory=dict)
    codes: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    _seen: set[str] = field(default_factory=set)

    @property
    def calls(self) -> int:
        """Rows that were scored."""
        return len(self.rows)

    @property
    def scores(self) -> Floats:
        """Scores so far."""
        return np.array(self.found)

    @property
    def best(self) -> int:
        """Number of the call with the largest score."""
        return int(np.nanargmax(self.scores))

    def spend(self, z: Tensor | None, rows: list[Any] | None, *, parents: int | None) -> None:
        """Score the rows that some codes are decoded to, or that were given, as far as they are new.

        What is remembered beside a score is the code of the row that was scored, and not the one it was decoded from.
        """
        made = rows if z is None else self._decoded(z)
        new: list[Any] = []
        for row in made or ():
            key = repr(row)
            if row and key not in self._seen and self.calls + len(new) < self.budget:
                self._seen.add(key)
                new.append(row)
        new = self._readable(new)
        if not new:
            return
        codes = self._encoded(new)
        scores, numbers = self.score(new)
        self.codes = codes if not self.calls else torch.cat([self.codes, codes])
        self.rows += new
        self.found += scores.tolist()
        self.parents += [-1 if parents is None else parents] * len(new)
        for name, values in numbers.items():
            self.numbers.setdefault(name, []).extend(values.tolist())

    def _decoded(self, z: Tensor) -> list[Any]:
        schema = self.run.schema.but(form="list")
        made: list[Any] = list(KINDS[schema.kind].decode(verbs.decode(self.run.model, (z,)), schema))
        return made

    def _readable(self, rows: list[Any]) -> list[Any]:
        """Return those rows that are read again: what is decoded is written and read like a user's own rows."""
        try:
            whole = not rows or len(self.run.dataset(rows)) == len(rows)
        except InputError:
            whole = False
        if whole:
            return rows
        return [] if len(rows) == 1 else [row for one in rows for row in self._readable([one])]

    def _encoded(self, rows: Sequence[Any]) -> Tensor:
        batch: Batch = self.run.dataset(list(rows)).batch()
        (z,) = verbs.encode(latent_model(self.run.model), batch)
        return z.double().cpu()

    def ranked(self, top: int) -> RankedRows:
        """Return the best rows with score, call and the call that each was proposed from (-1 at the start)."""
        scores = self.scores
        order = np.argsort(-np.where(np.isfinite(scores), scores, -np.inf), kind="stable")[:top]
        order = order[np.isfinite(scores[order])]
        fields: dict[str, list[Any]] = {"score": scores[order].tolist()}
        fields |= {name: np.array(values)[order].tolist() for name, values in self.numbers.items()}
        fields |= {"call": order.tolist(), "parent": np.array(self.parents)[order].tolist()}
        fields["lineage"] = [self._lineage(int(i)) for i in order]
        return RankedRows([self.rows[i] for i in order], fields)

    def _lineage(self, i: int) -> str:
        """Return the calls that a row came from, the first last, with their scores."""
        steps: list[str] = []
        while i >= 0 and len(steps) < 100:
            steps.append(f"{i} ({self.found[i]:.4g})")
            i = self.parents[i]
        return " < ".join(steps)
