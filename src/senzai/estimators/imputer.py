"""Missing values filled in from the model; observed ones stay what they were."""

from __future__ import annotations

from typing import Any, ClassVar, final

import numpy as np
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from .base import VAEEstimator


@final
class VAEImputer(OneToOneFeatureMixin, TransformerMixin, VAEEstimator):  # type: ignore[misc]  # scikit-learn: untyped
    r"""Fills missing values with :math:`\mathbb{E}[x_\text{missing} | x_\text{observed}]`, or with a draw.

    Missing entries are part of the model: masked in the likelihood and marked for the encoder. The expectation is taken
    with
    importance weights; numbers get means, categories their most probable value.

    Reference:
        MIWAE: Deep Generative Modelling and Imputation of Incomplete Data Sets (Mattei and Frellsen, 2019).
        https://arxiv.org/abs/1812.02633

    Args:
        recipe: Name of a recipe.
        draw: Fill in one draw from the conditional distribution (for multiple imputation) instead of its mean.
        k: Draws per row.
        **more: As for :class:`VAEEstimator`.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(60, 3))
        >>> x[0, 1] = np.nan
        >>> whole = VAEImputer(steps=20, random_state=0).fit_transform(x)
        >>> bool(np.isfinite(whole).all()), bool((whole[1:] == x[1:]).all())
        (True, True)
    """

    _allow_nan: ClassVar[bool] = True

    def __init__(
        self, recipe: str = "vae", *, draw: bool = False, k: int = 100, n_latent: int | None = None,
        steps: int | None = None, batch_size: int | None = None, lr: float | None = None, values: str = "real",
        settings: Any = None, random_state: int | np.random.RandomState | None = None, verbose: bool = False,
    ) -> None:
        super().__init__(
            recipe, n_latent=n_latent, steps=steps, batch_size=batch_size, lr=lr, values=values, settings=settings,
            random_state=random_state, verbose=verbose,
        )
        self.draw, self.k = draw, k

    def fit(self, X: Any, y: Any = None) -> VAEImputer:
        """Train on rows with holes; ``y`` is ignored."""
        self._keep(self._fit_run(self._checked(X, reset=True)))
        self.seed_ = self._seed()
        return self

    def transform(self, X: Any) -> Any:
        """Return the rows with their holes filled."""
        check_is_fitted(self, "run_")
        data = self._checked(X, reset=False)
        if hasattr(data, "columns"):
            filled = self.run_.impute(data, draws=1 if self.draw else None, k=self.k, seed=self.seed_)
            return filled[0] if self.draw else filled
        out = np.array(data, dtype=np.float64)
        holes = np.isnan(out)
        rows = holes.any(1)
        if rows.any():
            made = self.run_.impute(out[rows], draws=1 if self.draw else None, k=self.k, seed=self.seed_)
            out[rows] = np.where(holes[rows], np.asarray(made[0] if self.draw else made), out[rows])
        return out
