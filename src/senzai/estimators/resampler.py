"""More rows for rare classes, with the face of imbalanced-learn's samplers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from ..core.batch import only
from ..core.errors import InputError, SettingError
from ..core.random import derive
from ..models import verbs
from .base import VAEEstimator, is_table


@final
class VAEResampler(VAEEstimator):
    """Adds rows to rare classes: each is a draw from what the model makes of a row of that class.

    ``fit_resample`` fits on exactly the rows it is given; inside an imbalanced-learn pipeline these are the training
    fold, so that nothing of the test fold is learned or copied.

    Args:
        recipe: Name of a recipe.
        sampling_strategy: ``"auto"`` brings every class to the size of the largest; a mapping gives the size of each
            class it names.
        **more: As for :class:`VAEEstimator`.

    Example:
        >>> import numpy as np
        >>> x, y = np.random.default_rng(0).normal(size=(60, 3)), np.arange(60) < 50
        >>> more_x, more_y = VAEResampler(steps=20, random_state=0).fit_resample(x, y)
        >>> more_x.shape, int(more_y.sum()), bool((more_x[:60] == x).all())
        ((100, 3), 50, True)
    """

    def __init__(
        self, recipe: str = "vae", *, sampling_strategy: str | Mapping[Any, int] = "auto", n_latent: int | None = None,
        steps: int | None = None, batch_size: int | None = None, lr: float | None = None, values: str = "real",
        settings: Any = None, random_state: int | np.random.RandomState | None = None, verbose: bool = False,
    ) -> None:
        super().__init__(
            recipe, n_latent=n_latent, steps=steps, batch_size=batch_size, lr=lr, values=values, settings=settings,
            random_state=random_state, verbose=verbose,
        )
        self.sampling_strategy = sampling_strategy

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def fit(self, X: Any, y: Any) -> VAEResampler:
        """Train on all rows and decide how many each class needs."""
        data, target = self._pair(X, y)
        classes, counts = np.unique(target, return_counts=True)
        have = dict(zip(classes.tolist(), counts.tolist(), strict=True))
        self.sampling_strategy_ = {c: n - have[c] for c, n in self._wanted(have).items() if n > have[c]}
        self._keep(self._fit_run(data))
        return self

    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Return all rows and labels, followed by new ones of the rare classes."""
        data, target = self.fit(X, y)._pair(X, y)
        dataset, seed = self._opened(data), self._seed()
        rows, labels = [data], [target]
        for i, (c, n) in enumerate(self.sampling_strategy_.items()):
            own = np.flatnonzero(target == c)
            rng = np.random.default_rng(derive(seed, "order", i))
            chosen = np.concatenate([rng.permutation(own) for _ in range(-(-n // len(own)))])[:n]
            x = verbs.reconstruct(self.run_.model, dataset.batch(chosen), seed=derive(seed, "class", i))
            rows.append(dataset.kind.decode(only(x).float(), dataset.schema))
            labels.append(np.full(n, c, dtype=target.dtype))
        return _stacked(rows), np.concatenate(labels)

    def _pair(self, X: Any, y: Any) -> tuple[Any, Any]:
        if y is None:
            raise InputError("This estimator requires y to be passed, but the target y is None. Give the labels.")
        data, target = self._checked(X, reset=True), column_or_1d(y, warn=True)
        check_classification_targets(target)
        if len(data) != len(target):
            raise InputError(f"Rows and labels belong together, but got {len(data)} rows and {len(target)} labels.")
        return data, target

    def _wanted(self, have: dict[Any, int]) -> dict[Any, int]:
        if self.sampling_strategy == "auto":
            return dict.fromkeys(have, max(have.values()))
        wanted = self.sampling_strategy
        if isinstance(wanted, str) or not set(wanted) <= set(have) or any(n < have[c] for c, n in wanted.items()):
            raise SettingError(
                f"`sampling_strategy` is 'auto' or the size of some of {have}, none smaller, but got {wanted!r}."
            )
        return dict(wanted)


def _stacked(rows: list[Any]) -> Any:
    if is_table(rows[0]) or hasattr(rows[0], "columns"):
        import pandas as pd

        return pd.concat(rows, ignore_index=True)
    return np.concatenate([np.asarray(r) for r in rows])
