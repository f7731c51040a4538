"""A density over rows, with the interface of scikit-learn's ``KernelDensity``."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..evaluation import log_likelihood
from .base import VAEEstimator


@final
class VAEDensity(VAEEstimator):
    r"""The density :math:`p(x) = \int p(z)\,p(x|z)\,dz` of a variational autoencoder.

    ``score_samples`` is the importance-weighted estimate of :math:`\log p(x)` in nats with ``k`` draws, the same draws
    for every row: the larger ``k``, the closer to the log density from below.

    Args:
        recipe: Name of a recipe.
        k: Draws per row.
        **more: As for :class:`VAEEstimator`.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(60, 3))
        >>> density = VAEDensity(steps=20, random_state=0).fit(x)
        >>> density.score_samples(x).shape, density.sample(4, random_state=0).shape
        ((60,), (4, 3))
    """

    def __init__(
        self, recipe: str = "vae", *, k: int = 200, n_latent: int | None = None, steps: int | None = None,
        batch_size: int | None = None, lr: float | None = None, values: str = "real", settings: Any = None,
        random_state: int | np.random.RandomState | None = None, verbose: bool = False,
    ) -> None:
        super().__init__(
            recipe, n_latent=n_latent, steps=steps, batch_size=batch_size, lr=lr, values=values, settings=settings,
            random_state=random_state, verbose=verbose,
        )
        self.k = k

    def fit(self, X: Any, y: Any = None) -> VAEDensity:
        """Train; ``y`` is ignored."""
        self._keep(self._fit_run(self._checked(X, reset=True)))
        return self

    def score_samples(self, X: Any) -> Any:
        """Return log p(x) of each row in nats, ``(n,)``."""
        dataset = self._opened(X)
        return log_likelihood(self.run_.model, dataset.batch(), k=self.k, common=True).per_row.numpy()

    def score(self, X: Any, y: Any = None) -> float:
        """Return the sum of log p(x) over rows, as ``KernelDensity`` does."""
        return float(self.score_samples(X).sum())

    def sample(self, n_samples: int = 1, random_state: int | np.random.RandomState | None = None) -> Any:
        """Return new rows in the form of the training data."""
        check_is_fitted(self, "run_")
        return self._sampled(n_samples, int(check_random_state(random_state).randint(2**31 - 1)))
