"""Anomaly detection, with the interface of scikit-learn and the attributes of PyOD."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from sklearn.base import OutlierMixin

from ..core.batch import Batch
from ..core.errors import SettingError
from ..data import Dataset
from ..evaluation.scores import make_reference, score
from ..evaluation.units import units_of
from ..models.base import latent_model
from .base import VAEEstimator
from .kept import Kept

LEAST_HELD = 5


@final
class VAEDetector(OutlierMixin, VAEEstimator):  # type: ignore[misc]  # scikit-learn: untyped
    r"""Finds rows that are unlike the others.

    As in scikit-learn, ``score_samples`` and ``decision_function`` are *lower* for more anomalous rows and ``predict``
    gives -1 for them; ``decision_scores_`` and ``labels_`` of the training rows are PyOD's: higher is more anomalous, 1
    is an anomaly.

    Args:
        recipe: Name of a recipe.
        contamination: Share of the training rows that is flagged, in (0, 0.5].
        method: ``"auto"`` (several scores together), ``"elbo"``, ``"nll"``, ``"reconstruction"``, ``"residual"``,
            ``"knn"``, ``"input_knn"``, ``"marginal"`` or ``"middle"``; see ``senzai.evaluation.scores``.
        k: Draws per row.
        **more: As for :class:`VAEEstimator`.

    Attributes:
        decision_scores_: Scores of the training rows, higher is more anomalous.
        threshold_: Score above which a row is flagged.
        offset_: Minus the threshold: ``decision_function = score_samples - offset_``.
        labels_: 1 for flagged training rows, else 0.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(100, 3))
        >>> x[0] = 9
        >>> found = VAEDetector(steps=40, contamination=0.01, random_state=0).fit(x)
        >>> found.labels_.nonzero()[0].tolist(), found.predict(x[:2]).tolist()
        ([0], [-1, 1])
    """

    def __init__(
        self, recipe: str = "vae", *, contamination: float = 0.1, method: str = "auto", k: int = 16,
        n_latent: int | None = None, steps: int | None = None, batch_size: int | None = None, lr: float | None = None,
        values: str = "real", settings: Any = None, random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(
            recipe, n_latent=n_latent, steps=steps, batch_size=batch_size, lr=lr, values=values, settings=settings,
            random_state=random_state, verbose=verbose,
        )
        self.contamination, self.method, self.k = contamination, method, k

    def fit(self, X: Any, y: Any = None) -> VAEDetector:
        """Train without labels, score the training rows, and set the threshold; ``y`` is ignored."""
        if not 0 < self.contamination <= 0.5:
            raise SettingError(f"`0 < contamination <= 0.5` must hold, but got {self.contamination!r}.")
        data = self._checked(X, reset=True)
        self._keep(self._fit_run(data))
        dataset = self._read(data)
        parts = dataset.split_indices()
        self._rng, self._kept = np.random.default_rng(0), dict[str, Kept]()
        self._learn(dataset, {"train": parts["train"], "held": parts["validation"]})
        self._flag(self.decision_scores_)
        return self

    def partial_fit(self, X: Any, y: Any = None) -> VAEDetector:
        """Train on more rows; the first call fits. Scores and threshold are those of the model as it is then.

        Rows are compared with a random sample of those of all calls, which also gives the threshold; rows that the
        first call held out stay held out. ``decision_scores_`` and ``labels_`` are those of the rows of the last call.
        """
        first = not hasattr(self, "run_")
        super().partial_fit(X, y)
        if not first:
            dataset = self._opened(X)
            self._learn(dataset, {"train": np.arange(len(dataset))})
            self._flag(self._strangeness(self._kept["all"].rows))
        return self

    def _learn(self, dataset: Dataset, parts: dict[str, Any]) -> None:
        """Keep some of the rows, compare with those of all calls, and score those of this one."""
        for name, index in {**parts, "all": np.arange(len(dataset))}.items():
            if len(index):
                self._kept[name] = Kept.of(dataset.batch(index), self._rng).joined(self._kept.get(name))
        held = self._kept.get("held")
        judged = self._kept["all"] if held is None or len(held.rows) < LEAST_HELD else held
        model = latent_model(self.run_.model)
        units = units_of(model, dataset.schema)
        self.run_.reference = make_reference(model, self._kept["train"].rows, judged.rows, units=units, k=self.k)
        self.decision_scores_ = self._strangeness(dataset.batch())

    def _flag(self, scores: Any) -> None:
        """Set the threshold by scores of rows of all calls."""
        self.offset_ = float(np.percentile(-scores, 100 * self.contamination))
        self.threshold_ = -self.offset_
        self.labels_ = (self.decision_scores_ > self.threshold_).astype(int)

    def _strangeness(self, rows: Batch) -> Any:
        found = score(latent_model(self.run_.model), rows, self.method, reference=self.run_.reference, k=self.k)
        return found.values.double().numpy()

    def score_samples(self, X: Any) -> Any:
        """Return minus the score of each row: lower is more anomalous, ``(n,)``."""
        return -self._strangeness(self._opened(X).batch())

    def decision_function(self, X: Any) -> Any:
        """Return ``score_samples`` minus the offset: negative for anomalies, ``(n,)``."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> Any:
        """Return -1 for anomalies and 1 for all other rows."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def explain(self, X: Any) -> Any:
        """Return the share of each column in the score, ``(n, d + 1)``; the last is what no column accounts for."""
        batch = self._opened(X).batch()
        found = score(latent_model(self.run_.model), batch, self.method, reference=self.run_.reference, k=self.k)
        return found.shares.double().numpy()
