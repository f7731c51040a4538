"""The verbs that complete, judge and add rows: impute, score, augment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from ...data import Dataset
from ...data.frame_files import to_polars
from . import augment as augmenting
from . import impute as filling

if TYPE_CHECKING:
    from ..protocol import Trained


class RowVerbs:
    """Verbs of a run that answer row by row."""

    def impute(self: Trained, data: object, *, draws: int | None = None, k: int = 100, seed: int = 0) -> Any:
        """Return data with their missing entries filled in from p(x_missing | x_observed); the others as they are.

        Latents are drawn from the posterior given what is observed and weighted by importance.

        Args:
            data: A table or an array with missing entries.
            draws: Give a list of so many draws (multiple imputations); by default one answer: means, and the commonest
                of categories.
            k: Latents drawn for each row.
            seed: Seed of the draws.
        """
        return filling.impute(self, data, draws=draws, k=k, seed=seed)

    def score(
        self: Trained, data: object, *, method: str = "auto", shares: bool = False, contamination: float | None = None,
        false_alarm: float | None = None, k: int = 16, seed: int = 0, reference: object = None,
    ) -> Any:
        """Return how strange each row is, ``(N,)``, higher is stranger; see ``senzai.evaluation.scores.score``.

        With any of the following, a frame with the column ``score`` and what was asked for.

        Args:
            data: Rows.
            method: ``auto``, ``elbo``, ``nll``, ``reconstruction``, ``residual``, ``knn``, ``input_knn``, ``marginal``
                or ``middle``.
            shares: Also what each column adds to the score.
            contamination: Flag rows beyond the score that this share of held-out rows exceeds.
            false_alarm: Flag rows whose conformal p-value is at most this: of normal rows, no larger share is flagged.
            k: Draws per row.
            seed: Seed of the draws.
            reference: Data to compare with, where the training data are not at hand.
        """
        from . import score as scoring

        return scoring.scores(
            self, data, method=method, shares=shares, contamination=contamination, false_alarm=false_alarm, k=k,
            seed=seed, reference=reference,
        )

    def augment(self: Trained, column: str, value: object, n: int, *, data: object = None, seed: int = 0) -> Any:
        """Return ``n`` new rows of a table with a value in a column, drawn around training rows that have it.

        Args:
            column: Name of the column.
            value: The rare value.
            n: How many rows.
            data: The training data, where they are somewhere else now; only their training rows are used.
            seed: Seed of the draws.
        """
        return augmenting.augment(self, self.source(data), column, value, n, seed=seed)


def like(z: Tensor, dataset: Dataset, names: list[str] | None = None) -> Any:
    """Return numbers of rows in the form of the data they belong to; by default the columns are those of codes."""
    form = dataset.schema.form
    if form == "torch":
        return z
    if form not in ("pandas", "table", "polars"):
        return z.numpy()
    import pandas as pd

    columns = names or [f"z{i}" for i in range(z.shape[1])]
    made = pd.DataFrame(z.numpy(), index=dataset.index, columns=columns)
    return to_polars(made) if form == "polars" else made
