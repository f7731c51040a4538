"""The numbers at the top of a page, each with its error, the number of draws and rows, and its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np

from ..core.errors import SenzaiError
from ..core.random import Noise, derive, using
from ..data import Schema
from ..evaluation import evaluate
from ..models.generative import Generative
from .blocks import Share, Stat
from .findings import Floats, Held
from .numbers import count, number, plural, with_error

K = 24
ROWS = 500
VALUES = 2_500_000
Numbers = Mapping[str, Any]


@dataclass(frozen=True)
class Judged:
    """What was measured about held-out rows, and where it came from.

    Args:
        numbers: As ``evaluate`` gives them; empty if nothing was measured.
        here: Whether it was measured for this page, on few rows.
        rows: What the rows are called.
    """

    numbers: Numbers
    here: bool = False
    rows: str = "rows"

    def get(self, name: str) -> float | None:
        """Return a number if it was measured and is finite."""
        value = self.numbers.get(name)
        return float(value) if isinstance(value, int | float) and np.isfinite(value) else None

    @property
    def rates(self) -> Floats | None:
        """Mean rate of each latent, if it was measured and can be divided."""
        found = self.numbers.get("rate_per_dimension")
        return None if found is None else np.array(found, dtype=float)

    @property
    def exact(self) -> bool:
        """Whether the log-likelihood is that of the model itself, neither a bound nor an estimate."""
        return bool(self.numbers.get("exact"))

    @property
    def budget(self) -> str:
        """How much was measured, in words."""
        rows, k = plural(int(self.get("n") or 0), "row"), int(self.get("k") or 0)
        if self.exact:
            return f"{rows}; log p(x) is exact"
        return f"{rows}; log p(x) with {plural(k, 'draw')} a row, the bound with one" if k else rows


def judged(model: Generative, metrics: Numbers, held: Held | None, schema: Schema, *, seed: int) -> Judged:
    """Return what was measured before, else measure a little now, else nothing."""
    if metrics.get("evaluate"):
        found = metrics["evaluate"]
        part = {"test": "held-out test rows", "validation": "validation rows", "train": "training rows"}
        return Judged(found, False, part.get(str(found.get("split")), "rows that were given"))
    if held is None or not len(held.batch):
        return Judged({})
    n = int(min(ROWS, max(16, VALUES // (K * max(1, schema.size)))))
    whole = all(f.support in ("binary", "levels", "count") for f in schema.fields.values())
    try:
        with using(Noise.seeded(derive(seed, "report"), device=held.batch.device)):
            found = evaluate(model, held.batch.take(slice(0, n)), k=K, seed=seed, discrete_step=1.0 if whole else None)
    except SenzaiError:  # nothing of it can be measured on such rows
        return Judged({})
    return Judged(found, True, held.name)


def stats(found: Judged) -> list[Stat]:
    """Return the headline numbers that were measured."""
    stats = [_likelihood(found), _bits(found), _cost(found, "distortion"), _cost(found, "rate"), _active(found)]
    return [s for s in stats if s is not None]


def _likelihood(found: Judged) -> Stat | None:
    value, k = found.get("log_likelihood"), int(found.get("k") or 0)
    if value is None:
        return None
    shown, error = with_error(value, found.get("log_likelihood_se"))
    ess = found.get("ess")
    how = "exact" if found.exact else f"a lower bound from {plural(k, 'importance sample')}"
    words = f"Log-likelihood of a row, {how}; higher is better."
    if ess is not None:
        words += f" Effective sample size: {number(ess, 2)} (median over rows)."
    return Stat("log p(x)", shown, error, "nats", words)


def _bits(found: Judged) -> Stat | None:
    value = found.get("bits_per_dim")
    if value is None:
        return None
    shown, error = with_error(value, found.get("bits_per_dim_se"))
    words = "Minus the log-likelihood in bits, divided by the number of values of a row; lower is better."
    return Stat("bits per dimension", shown, error, "bits", words)


def _cost(found: Judged, name: str) -> Stat | None:
    value = found.get(name)
    if value is None:
        return None
    words = {
        "distortion": "Reconstruction term of the bound: the expected −log p(x|z) under the posterior.",
        "rate": f"KL from the prior to the posterior: its code holds {number(value / log(2), 3)} bits about a row.",
    }
    shown, error = with_error(value, found.get(f"{name}_se"))
    return Stat(name, shown, error, "nats", words[name], mark=name)


def _active(found: Judged) -> Stat | None:
    active, n = found.get("active_units"), found.get("n_latent")
    if active is None or n is None:
        return None
    words = "Latent dimensions whose posterior mean varies with the data."
    words += "" if active == n else " The others are collapsed to the prior."
    return Stat("active units", count(int(active)), "", f"of {count(int(n))}", words)


def shares(found: Judged) -> list[Share]:
    """Return the two pieces of the bound as shares of a bar, where both are positive."""
    pieces = [(name, found.get(name)) for name in ("distortion", "rate")]
    known = [(name, value) for name, value in pieces if value is not None and value > 0]
    if len(known) < 2:
        return []
    whole = sum(value for _, value in known)
    return [Share(name, number(value), round(100 * value / whole, 2), name) for name, value in known]
