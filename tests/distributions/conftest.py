"""The catalogue of families: what each is made with, an independent density, and where its values lie.

Every registered family must be here; a new one costs one entry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from scipy import special, stats

from senzai.core.spec import make
from senzai.distributions import Family


def softplus(v):
    return np.logaddexp(0, v)


# --- independent densities: one raw vector, an array of values ------------------------------------------------------
def normal(raw, x):
    return stats.norm(raw[0], softplus(raw[1]) + 1e-4).logpdf(x)


def normal_fixed(raw, x):
    return stats.norm(raw[0], 0.7).logpdf(x)


def laplace(raw, x):
    return stats.laplace(raw[0], softplus(raw[1]) + 1e-4).logpdf(x)


def student_t(raw, x):
    return stats.t(2 + softplus(raw[2]), raw[0], softplus(raw[1]) + 1e-4).logpdf(x)


def log_normal(raw, x):
    return stats.lognorm(softplus(raw[1]) + 1e-4, scale=np.exp(raw[0])).logpdf(x)


def beta(raw, x):
    m, k = special.expit(raw[0]), np.exp(raw[1])
    return stats.beta(m * k, (1 - m) * k).logpdf(x)


def bernoulli(raw, x):
    return stats.bernoulli(special.expit(raw[0])).logpmf(x)


def continuous_bernoulli(raw, x):
    rate = abs(raw[0])
    away = 1 - x if raw[0] > 0 else x
    return stats.truncexpon(b=rate).logpdf(rate * away) + np.log(rate)


def poisson(raw, x):
    return stats.poisson(np.exp(raw[0])).logpmf(x)


def negative_binomial(raw, x):
    mu, r = np.exp(raw[0]), np.exp(raw[1])
    return stats.nbinom(r, r / (r + mu)).logpmf(x)


def zero_inflated(raw, x):
    gate = special.expit(raw[2])
    return np.log(gate * (np.asarray(x) == 0) + (1 - gate) * np.exp(negative_binomial(raw, x)))


def logistic_bins(loc, log_scale, x, n):
    edges = (2 * np.arange(n + 1) - 1) / (n - 1) - 1
    edges[0], edges[-1] = -np.inf, np.inf
    return np.diff(stats.logistic(loc, np.exp(log_scale)).cdf(edges))[np.asarray(x).astype(int)]


def discretised_logistic(raw, x):
    return np.log(logistic_bins(raw[0], raw[1], x, 16))


def discretised_logistic_mixture(raw, x):
    logits, loc, log_scale = np.split(raw, 3)
    parts = [w * logistic_bins(m, s, x, 16) for w, m, s in zip(special.softmax(logits), loc, log_scale, strict=True)]
    return np.log(sum(parts))


def categorical(raw, x):
    return np.log(special.softmax(raw))[np.asarray(x).astype(int)]


def ordinal(raw, x):
    cuts = np.concatenate([[-np.inf, 0.0], np.cumsum(softplus(raw[1:]) + 1e-4), [np.inf]])
    return np.log(np.diff(stats.logistic(raw[0]).cdf(cuts)))[np.asarray(x).astype(int)]


def optimal(raw, x):
    """With the scale given as 0.7; the profile has tests of its own."""
    return stats.norm(raw[0], 0.7).logpdf(x)


# --- cases ----------------------------------------------------------------------------------------------------------
REAL = np.array([-2.5, 0.1, 1.7])


@dataclass(frozen=True)
class Case:
    """One family: settings, oracle, valid values, and the size and centre of typical raw numbers."""

    name: str
    oracle: Callable[[Any, Any], Any]
    values: np.ndarray
    settings: dict = field(default_factory=dict)
    centre: float | tuple[float, ...] = 0.0
    size: float = 0.8
    rejects: bool = False  # draws are proposed until accepted; gradients are implicit

    @property
    def family(self) -> Family:
        return make(f"family/{self.name}", **self.settings)

    @property
    def discrete(self) -> bool:
        return self.family.support in {"binary", "levels", "category", "ordinal", "count"}

    def raw(self, *lead, event=(2,), dtype=torch.float64):
        n = len(self.family.raw_names)
        centre = torch.tensor(self.centre, dtype=dtype).expand(n).reshape(n, *[1] * len(event))
        return centre + self.size * torch.randn(*lead, n, *event, dtype=dtype)

    def inner_raw(self, event=(3,)):
        """Raw numbers of one row; levels keep away from the end bins, which moments know nothing about."""
        raw = self.raw(event=event)
        for i, name in enumerate(self.family.raw_names if self.family.support == "levels" else ()):
            raw[i] = -2.5 if name.startswith("log_scale") else 0.3 * raw[i]
        return raw

    def x(self, *shape, dtype=torch.float64):
        values = torch.tensor(self.values, dtype=dtype)
        return values[torch.randint(len(values), shape)]

    def distribution(self, raw, event=(2,), unit=None):
        p = self.family(raw, event, unit)
        return with_scale(p, 0.7) if self.name == "normal_optimal" else p

    def grid(self) -> np.ndarray:
        """Points that cover the support: every value of a discrete one."""
        if self.family.support == "count":
            return np.arange(4000.0)
        if self.discrete:
            return np.arange(2.0 if self.name == "bernoulli" else len(self.family.raw_names) + 99)[: self.n_values]
        return self.place(np.linspace(*self.span, 40001))

    @property
    def n_values(self) -> int:
        return {"binary": 2, "levels": 16, "category": 4, "ordinal": 5}[self.family.support]

    @property
    def span(self) -> tuple[float, float]:
        return {"real": (-25.0, 25.0), "positive": (-40.0, 40.0)}.get(self.family.support, (-30.0, 30.0))

    def place(self, t):
        """Map the real line onto the support, for integrals."""
        return {"real": np.sinh, "positive": np.exp}.get(self.family.support, special.expit)(t)

    def slope(self, t):
        inside = {"real": np.cosh, "positive": np.exp}
        return inside.get(self.family.support, lambda v: special.expit(v) * special.expit(-v))(t)


def with_scale(p, scale):
    from senzai.distributions import with_scale as given

    return given(p, scale)


COUNTS = np.array([0.0, 1.0, 2.0, 7.0])
CASES = {
    c.name: c
    for c in (
        Case("normal", normal, REAL),
        Case("normal_fixed", normal_fixed, REAL, {"scale": 0.7}),
        Case("normal_optimal", optimal, REAL),
        Case("laplace", laplace, REAL),
        Case("student_t", student_t, REAL, centre=(0.0, 0.0, 4.0)),
        Case("log_normal", log_normal, np.array([0.05, 1.0, 4.0]), centre=(0.0, -1.0), size=0.4),
        Case("beta", beta, np.array([0.03, 0.5, 0.9]), centre=(0.0, 2.0), size=0.4, rejects=True),
        Case("bernoulli", bernoulli, np.array([0.0, 1.0])),
        Case("continuous_bernoulli", continuous_bernoulli, np.array([0.0, 0.3, 1.0]), size=2.0),
        Case("poisson", poisson, COUNTS),
        Case("negative_binomial", negative_binomial, COUNTS),
        Case("zero_inflated_negative_binomial", zero_inflated, COUNTS),
        Case("discretised_logistic", discretised_logistic, np.array([0.0, 4.0, 15.0]), {"levels": 16}, (0.0, -1.0)),
        Case(
            "discretised_logistic_mixture",
            discretised_logistic_mixture,
            np.array([0.0, 4.0, 15.0]),
            {"levels": 16, "components": 3},
            centre=-0.5,
        ),
        Case("categorical", categorical, np.arange(4.0), {"n": 4}),
        Case("ordinal", ordinal, np.arange(5.0), {"n": 5}),
    )
}
VECTOR = {"full_normal", "mixed", "multinomial"}  # dependent entries: in files of their own


@pytest.fixture
def catalogue() -> set[str]:
    return set(CASES) | VECTOR


@pytest.fixture(params=sorted(CASES))
def case(request) -> Case:
    return CASES[request.param]
