"""New rows like those of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .base import VAEEstimator


@final
class VAESynthesizer(VAEEstimator):
    """Learns a table and makes new rows in its columns, dtypes, categories and ranges.

    The arguments are those of :class:`VAEEstimator`.

    Example:
        >>> import pandas as pd
        >>> pets = pd.DataFrame({"kind": ["cat", "dog"] * 40, "age": range(80)})
        >>> new = VAESynthesizer(steps=20, random_state=0).fit(pets).sample(3, random_state=0)
        >>> list(new), len(new), set(new["kind"]) <= {"cat", "dog"}
        (['kind', 'age'], 3, True)
    """

    def fit(self, X: Any, y: Any = None) -> VAESynthesizer:
        """Train; ``y`` is ignored."""
        self._keep(self._fit_run(self._checked(X, reset=True)))
        return self

    def sample(
        self, n_samples: int = 1, *, random_state: int | np.random.RandomState | None = None,
        given: Mapping[str, object] | None = None,
    ) -> Any:
        """Return new rows in the form of the training data.

        Args:
            n_samples: How many.
            random_state: Seed.
            given: Values that some columns must have.
        """
        check_is_fitted(self, "run_")
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        return self.run_.sample(n_samples, seed=seed, noise=True, given=given)
