"""What all estimators share: settings, validation of input, the run, and reproducible numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from ..core.errors import InputError
from ..core.random import Noise, using
from ..data import KINDS, Dataset
from ..data.masks import filled
from ..models.base import latent_model
from ..runs import Run, fit, train_on

ROWS_TO_HOLD_OUT = 40
"""Rows from which a tenth is held out to choose the best step; with fewer all rows train."""


class VAEEstimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn is published without types
    """Base of the estimators.

    Arrays and frames of numbers are rows of real numbers (``values="auto"`` lets the data decide: bits, counts,
    shares); frames with other columns are tables, with a likelihood for each column. After ``fit`` the run is in
    ``run_``: all of its verbs, ``run_.save(path)`` among them, can be used.

    The fitted networks compute in double precision, so that what is said of a row does not depend, up to 1e-12 or so,
    on which rows come with it.

    Args:
        recipe: Name of a recipe; see ``senzai recipes``.
        n_latent: Width of the latent code; ``None`` decides by the number of columns.
        steps: Optimiser steps; ``None`` decides by the number of rows.
        batch_size: Rows per step; ``None`` decides by the number of rows.
        lr: Learning rate; ``None`` decides by the batch size.
        values: What the values of arrays are: ``"real"``, or ``"auto"``.
        settings: Further settings by name, as for ``senzai.fit``.
        random_state: Seed of weights, order and noise.
        verbose: Show a progress bar.
    """

    _allow_nan: ClassVar[bool] = False

    def __init__(
        self,
        recipe: str = "vae",
        *,
        n_latent: int | None = None,
        steps: int | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        values: str = "real",
        settings: Mapping[str, Any] | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ) -> None:
        self.recipe, self.n_latent, self.steps, self.batch_size = recipe, n_latent, steps, batch_size
        self.lr, self.values, self.settings = lr, values, settings
        self.random_state, self.verbose = random_state, verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._allow_nan
        tags.input_tags.string = tags.input_tags.categorical = False
        return tags

    # --- input ------------------------------------------------------------------------------------------------------
    def _checked(self, X: Any, *, reset: bool) -> Any:
        """Return a table as it is, anything else as an array of numbers, after scikit-learn's checks.

        What a fitted estimator is given is a table if that was: one of its rows alone may look like numbers.

        Raises:
            InputError: scikit-learn finds a fault in the data.
        """
        like_table = is_table(X) if reset else self._framed and hasattr(X, "columns")
        finite: Any = "allow-nan" if self._allow_nan else True
        try:
            if like_table:
                validate_data(self, X, reset=reset, skip_check_array=True)
                if len(X) == 0:
                    raise InputError("An estimator needs at least one row, but got 0 sample(s). Give data.")
                return X
            X, _ = filled(X, "X", missing="keep")  # scikit-learn would take what lies under a mask for data
            return validate_data(self, X, reset=reset, dtype="numeric", ensure_all_finite=finite, ensure_min_samples=1)
        except ValueError as err:
            if isinstance(err, InputError):
                raise
            said = str(err).split("\n")[0].rstrip(".: ")
            raise InputError(f"{said}. {_way_out(str(err))}") from err

    def _opened(self, X: Any) -> Dataset:
        """Return data as the fitted run reads them."""
        check_is_fitted(self, "run_")
        return self._read(self._checked(X, reset=False))

    def _read(self, data: Any) -> Dataset:
        run: Run = self.run_
        return run.dataset(_as_floats(data))

    # --- fitting ----------------------------------------------------------------------------------------------------
    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _fit_run(self, X: Any, **more: Any) -> Run:
        """Train on checked data."""
        table = self._framed = is_table(X)
        n = len(X)
        if n < 2:
            raise InputError(f"Training needs at least 2 rows, but got n_samples = {n}, 1 sample. Give more data.")
        asked = {name: getattr(self, name) for name in ("n_latent", "steps", "batch_size", "lr")}
        given = {k: v for k, v in asked.items() if v is not None}
        if not table:
            given |= {"missing": "keep"} if self._allow_nan else {}
            given |= {} if self.values == "auto" else {"values": self.values}
        held = 0.1 if n >= ROWS_TO_HOLD_OUT else 0.0
        given = {"validation": held, "test": 0.0, "seed": self._seed(), **given, **more, **(self.settings or {})}
        kind = "table" if table else "array"
        run = fit(_as_floats(X), recipe=self.recipe, kind=kind, progress=self.verbose or None, **given)
        return _exact(run)

    def _keep(self, run: Run) -> None:
        self.run_ = run
        with using(Noise.seeded(0)), torch.no_grad():
            self.n_latent_ = sum(z.numel() for z in latent_model(run.model).sample_prior(1))
        self.n_iter_ = int(run.metrics["fit"]["steps"])

    # --- the way back -----------------------------------------------------------------------------------------------
    def _decoded(self, x: Any) -> Any:
        """Return model values as the user's, means unrounded."""
        schema = self.run_.schema
        return KINDS[schema.kind].decode(x.float(), schema, soft=True)

    def _sampled(self, n: int, seed: int) -> Any:
        return self.run_.sample(n, seed=seed, noise=True)

    def partial_fit(self, X: Any, y: Any = None) -> Any:
        """Train on more rows; the first call fits. Columns keep the units they had in the first call.

        Args:
            X: Rows.
            y: Ignored.

        Returns:
            The estimator.
        """
        if not hasattr(self, "run_"):
            return self.fit(X, y)
        data = self._checked(X, reset=False)
        run: Run = self.run_
        with run.lock:
            run.model.float()  # as it was trained; nothing is lost on the way
            try:
                more = train_on(run, _as_floats(data), steps=self.steps or 100, seed=self._seed())
            finally:
                run.model.double()
        self._keep(_exact(more))
        return self


def is_table(X: Any) -> bool:
    """Whether ``X`` is a frame with columns that are no plain numbers.

    Example:
        >>> import pandas as pd
        >>> is_table(pd.DataFrame({"a": [1.0]})), is_table(pd.DataFrame({"a": ["x"]}))
        (False, True)
    """
    dtypes = getattr(X, "dtypes", None)
    if dtypes is None or not hasattr(X, "columns"):
        return False
    return not all(getattr(d, "kind", "O") in "buif" for d in dtypes)


def _as_floats(X: Any) -> Any:
    return X.astype(np.float64) if isinstance(X, np.ndarray) and X.dtype.kind != "O" else X


def _exact(run: Run) -> Run:
    """Let a run compute in double precision: its model, and what it draws latents from."""
    run.model.double()
    for sampler in run.samplers.fitted.values():
        sampler.double()
    return run


def _way_out(said: str) -> str:
    """Return the advice that belongs to an error of scikit-learn about data."""
    if "NaN" in said.split("\n")[0]:
        return "Fill the holes in first (VAEImputer), or leave such rows out."
    if "Reshape your data" in said:
        return "Reshape your data: X.reshape(1, -1) for one row, X.reshape(-1, 1) for one column."
    return "Give numbers in rows and columns, as in fit."
