"""What codes tell of numbers that rows have: properties of molecules, attributes of bars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core.errors import InputError
from .catalogue import NEEDS, Case, measure
from .results import Figure, Floats, bootstrap, spread

ROWS = 4000
SHRINKAGES = (0.01, 0.1, 1.0, 10.0, 100.0)

NEEDS["numbers"] = (
    lambda case: case.rows.numbers is not None,
    "It is about numbers that rows have; fit with properties=... to name some.",
)


def explained(codes: Floats, numbers: Floats, *, seed: int = 0) -> Figure:
    r"""R² of a ridge regression from codes, fitted to one half of the rows and judged on the other.

    .. math:: R^2 = 1 - \frac{\sum_i (y_i - \hat y_i)^2}{\sum_i (y_i - \bar y)^2}

    One says that the code tells the number exactly, zero no more than its mean; how much the regression shrinks is
    chosen within the half that it is fitted to.

    Args:
        codes: Rows by dimensions.
        numbers: Number of each row, ``(N,)``, all finite.
        seed: Seed of the halves, and of the bootstrap behind the error.

    Raises:
        InputError: There are too few rows, or the number is the same in all.

    Example:
        >>> z = np.random.default_rng(0).normal(size=(200, 3))
        >>> explained(z, 2 * z[:, 0] - z[:, 2]).value > 0.999
        True
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    order = np.random.default_rng(seed).permutation(len(numbers))
    fit, judge = order[: len(order) // 2], order[len(order) // 2 :]
    if len(fit) < 5 or numbers[judge].std() == 0 or numbers[fit].std() == 0:
        raise InputError(f"R² needs ten rows whose numbers differ, but got {len(numbers)}. Give more rows.")
    reader = make_pipeline(StandardScaler(), RidgeCV(SHRINKAGES)).fit(codes[fit], numbers[fit])
    missed = (reader.predict(codes[judge]) - numbers[judge]) ** 2
    apart = (numbers[judge] - numbers[judge].mean()) ** 2

    def at(rows: Any) -> float:
        return float(1 - missed[rows].mean() / apart[rows].mean()) if apart[rows].mean() > 0 else float("nan")

    again = bootstrap(len(judge), at, seed=seed, repeats=50)
    return Figure(at(np.arange(len(judge))), spread(again)[0], len(judge), seed, "R²", {"fitted_on": len(fit)})


@measure(
    "numbers", "how well codes tell the numbers that rows have (R² of a ridge regression)", usual=True,
    needs=("inference", "rows", "numbers"), cost=lambda c, p: p.row * min(ROWS, len(c.rows)) + 0.5,
)
def numbers(case: Case) -> Mapping[str, Any]:
    """R² for each number that was learned."""
    from ..models import verbs

    some, _ = case.some(ROWS, "numbers")
    assert some.numbers is not None  # the catalogue has seen to it
    codes = np.concatenate([z.flatten(1).double().cpu().numpy() for z in verbs.encode(case.latent, some)], 1)
    found: dict[str, Any] = {}
    for i, name in enumerate(case.extras.numbers or [str(i) for i in range(some.numbers.shape[1])]):
        column = some.numbers[:, i].double().cpu().numpy()
        known = np.isfinite(column)
        try:
            found[name] = explained(codes[known], column[known], seed=case.seed)
        except InputError as err:
            found[f"why not {name}"] = str(err)
    return found
