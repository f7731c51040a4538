"""Which columns of a table cause which, looked for in rows: features of columns, and the best order of them."""

from __future__ import annotations

import warnings
from math import log
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.errors import CombinationError, InputError
from ..core.order_search import BlockScore, best_graph
from ..nn.table import CODED
from ..parts.mechanisms import ColumnMechanisms

Array = np.ndarray[Any, Any]
Places = list[tuple[int, ...]]
LEAST_ROWS = 20
"""Rows below which no graph is looked for."""
STARTS, FEW = 4, 30
"""Orders to start from by chance, and columns above which one has to do: a start takes their number to the fourth."""
MOST = 200
"""Columns above which a search of orders would take hours."""


def curved(v: Array) -> list[Array]:
    r"""Return a number and two bent copies, :math:`(v^2 - 1)\, e^{-v^2/6}` and :math:`(v^3 - 3v)\, e^{-v^2/6}`."""
    fade = np.exp(-(v**2) / 6)
    return [v, (v**2 - 1) * fade, (v**3 - 3 * v) * fade]


def features_of(net: ColumnMechanisms, rows: Tensor, *, bent: bool) -> tuple[Array, Places, Places]:
    """Return columns as features of mean zero and variance one, ``(n, F)``, and which of them are whose.

    A number is itself, and where mechanisms bend also its bent copies as a cause; a category is its indicators without
    the last, which follows from the others.

    Args:
        net: The mechanisms, which know how columns enter.
        rows: Rows without missing entries, ``(n, d)``.
        bent: Whether numbers may act otherwise than by a straight line.
    """
    with torch.no_grad():
        numbers = net.numbers(rows).double().cpu().numpy()
    found: list[Array] = []
    causes: Places = []
    effects: Places = []
    owner = net.owner.cpu().numpy()
    for column, sort in enumerate(net.family.sorts):
        own = [numbers[:, k] for k in np.flatnonzero(owner == column)]
        plain = own[:-1] if sort in CODED else own
        made = curved(plain[0]) if bent and sort not in CODED else plain
        causes.append(tuple(range(len(found), len(found) + len(made))))
        effects.append(causes[-1][: len(plain)])
        found += made
    x = np.stack(found, 1)
    x = x - x.mean(0)
    return x / np.maximum(x.std(0), 1e-12), causes, effects


def rows_worth(numbers: Array) -> float:
    r"""Return how many rows the rows of some numbers are worth where dependence is judged by correlations, up to n.

    .. math:: n \Big/ \max\Big(1, \operatorname*{median}_{i < j} \frac{E[x_i^2 x_j^2]}{1 + 2 \rho_{ij}^2}\Big)

    with numbers standardised. Between independent numbers a correlation has the variance 1/n times that ratio, which is
    one for normal ones. Where some rows are wild in all columns at once (other experiments, common volatility) it is
    larger, and correlations that mean nothing pass for strong ones.

    Args:
        numbers: Numbers, ``(n, k)``; fewer than two of them leave all rows.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(2000, 3))
        >>> wild = x * np.exp(np.random.default_rng(1).normal(size=(2000, 1)))
        >>> round(rows_worth(x), -2), rows_worth(wild) < 500
        (2000.0, True)
    """
    n, k = numbers.shape
    if k < 2:
        return float(n)
    x = (numbers - numbers.mean(0)) / np.maximum(numbers.std(0), 1e-12)
    pairs = np.triu_indices(k, 1)
    ratio = ((x**2).T @ x**2 / n)[pairs] / (1 + 2 * (x.T @ x / n)[pairs] ** 2)
    return float(n / max(1.0, float(np.median(ratio))))


def found_by_order(net: ColumnMechanisms, batch: Batch, *, price: float = 1.0) -> Tensor:
    r"""Return the arrows that pay for themselves in the best order of columns, ``(d, d)`` bool, cause first.

    A parameter costs :math:`\tfrac12 \log m + \tfrac12 \log d` nats, with m what the rows are worth and d columns: the
    extended Bayesian information criterion, which allows for the many arrows that are tried.

    Reference:
        Extended Bayesian Information Criteria for Model Selection with Large Model Spaces (Chen and Chen, 2008).
        https://doi.org/10.1093/biomet/asn034

    Args:
        net: The mechanisms, which have looked at the data.
        batch: Rows; those that lack an entry are left out, with a warning.
        price: Factor on the price of a parameter.

    Raises:
        CombinationError: There are too many columns.
        InputError: Hardly a row is whole.
    """
    if len(net.family.sorts) > MOST:
        raise CombinationError(
            f"A search of orders is for up to {MOST} columns, but there are {len(net.family.sorts)}: its time rises "
            "with the fourth power. Leave columns out, give the graph, or set search=gradients."
        )
    whole = batch.tensor if batch.observed is None else batch.tensor[batch.observed.all(1)]
    if len(whole) < LEAST_ROWS:
        raise InputError(
            f"A graph is looked for in rows without missing entries, but {len(whole)} of {batch.rows} are whole, fewer "
            f"than {LEAST_ROWS}. Fill the rows in first, or set search=gradients."
        )
    if len(whole) < batch.rows:
        warnings.warn(
            f"The graph was looked for in {len(whole):,} of {batch.rows:,} rows: the others lack an entry.",
            stacklevel=2,
        )
    x, causes, effects = features_of(net, whole, bent=net.n_hidden > 0)
    numbers = [effects[i][0] for i, sort in enumerate(net.family.sorts) if sort not in CODED]
    rows = rows_worth(x[:, numbers])
    price *= 1 + log(len(causes)) / log(rows)  # the score has half the logarithm of the rows alone
    score = BlockScore(x.T @ x / len(x), rows, causes, effects, price)
    return torch.from_numpy(best_graph(score, starts=STARTS if len(causes) <= FEW else 1))
