"""Strange rows: a score for each, how rare it is among held-out rows, and which columns it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..core.errors import SenzaiError
from ..data import Dataset
from ..evaluation.scores import p_values
from ..models.base import latent_model
from ..report.colouring import WordsOf, by_numbers
from ..report.numbers import number
from ..runs import Run
from ..runs.verbs.registry import verb_named
from ..runs.verbs.score import CODE, ScoreSettings, pieces, reference_of
from .slow import SlowWork

REASONS = 4


@dataclass(frozen=True)
class StrangeRows:
    """Scores of rows.

    Args:
        dataset: The rows.
        values: The score of each.
        rare: Share of held-out rows that are at least as strange, of each.
        shares: What each column adds to the score, ``(N, columns)``.
        names: Names of the columns.
        usual: Middle and spread of each share over the rows, to say what is unusual.
    """

    dataset: Dataset
    values: NDArray[np.float64]
    rare: NDArray[np.float64]
    shares: NDArray[np.float64]
    names: tuple[str, ...]
    usual: tuple[NDArray[np.float64], NDArray[np.float64]]

    def reasons(self, row: int) -> list[dict[str, Any]]:
        """Return the columns whose share lies farthest above the usual, in units of its spread over all rows."""
        middle, spread = self.usual
        beyond = (self.shares[row] - middle) / spread
        order = np.argsort(-beyond)[:REASONS]
        return [
            {"name": self.names[j], "share": float(self.shares[row, j]), "beyond": round(float(beyond[j]), 2),
             "words": number(float(self.shares[row, j]), 3)}
            for j in order if beyond[j] > 1 and self.names[j]
        ]

    def colouring(self) -> Any:
        """Return the scores as a colouring of the rows."""
        return by_numbers("anomaly score", self.values, WordsOf(self.values.tolist(), lambda v: number(float(v), 4)))


def make_scores(run: Run, dataset: Dataset, work: SlowWork[Any], *, method: str = "auto") -> StrangeRows:
    """Score rows piece by piece.

    Raises:
        CombinationError: The run cannot score.
        InputError: There is nothing to compare with.
    """
    verb_named("score").need(run.schema, run.model)
    asked, found, shares, done = ScoreSettings(method=method, shares=True), [], [], 0
    parts = pieces(run, dataset, asked)
    while True:
        work.at(done, len(dataset) + 1)
        with run.lock:
            part = next(parts, None)
        if part is None:
            break
        found.append(part.values.double())
        shares.append(part.shares.double())
        done += len(part.values)
    values, each = torch.cat(found), torch.cat(shares).numpy()
    names = names_of(run, each.shape[1])
    middle = np.median(each, axis=0)
    spread = np.maximum(np.percentile(each, 84, axis=0) - middle, 1e-9)
    return StrangeRows(dataset, values.numpy(), _rare(run, values, asked), each, names, (middle, spread))


def names_of(run: Run, n: int) -> tuple[str, ...]:
    """Return what the shares of a score are called; of rows without named entries, only the last has a name."""
    columns = tuple(map(str, run.schema.columns or ()))
    return (*(columns if len(columns) == n - 1 else ("",) * (n - 1)), CODE)


def _rare(run: Run, values: torch.Tensor, asked: ScoreSettings) -> NDArray[np.float64]:
    """Return conformal p-values; where nothing was held out, ranks among the rows themselves."""
    try:
        with run.lock:
            held = reference_of(run).held_scores(latent_model(run.model), asked.method, k=asked.k, seed=asked.seed)
        found: NDArray[np.float64] = p_values(values, held).double().numpy()
    except SenzaiError:
        found = p_values(values, values).double().numpy()
    return found
