"""Scores of the steps of a series as they come, the same numbers as of the whole series in one go."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, final

import numpy as np

from ..core.batch import concatenate
from ..core.row_noise import RowKeys
from ..data import KINDS
from ..models.base import latent_model
from .verbs.score_steps import BLOCK, block_distortions, with_mask

if TYPE_CHECKING:
    from ..training.trained import Trained


@final
class StepScores:
    r"""Scores of steps that come one after the other; see ``run.score_steps`` for what a score is.

    A step has its score as soon as no window to come holds it: ``window - 1`` steps later, one more where windows do
    not begin at every step. The score is that of the whole series in one go, bit for bit: windows are scored at the
    same places of blocks of the same size. Only about three windows are kept.

    Args:
        run: A run of series.
        k: Draws of each window.
        seed: Seed of the draws.

    Raises:
        CombinationError: The run is not of series, or of returns.

    Example:
        >>> import senzai
        >>> x = np.random.default_rng(0).normal(size=(60, 1))
        >>> run = senzai.fit(x, kind="series", window=4, steps=1, width=4, sampler="none")
        >>> stream = run.stream()
        >>> found = [stream.push(step) for step in x]
        >>> len(found[2]), len(found[3]), len(stream.finish())
        (0, 1, 3)
    """

    def __init__(self, run: Trained, *, k: int = 4, seed: int = 0) -> None:
        from .verbs.registry import verb_named

        verb_named("score_steps").need(run.schema, run.model)
        self._run, self._k, self._seed = run, k, seed
        self._steps = KINDS[run.schema.kind].arriving(run.schema)
        self._keys, self._windows, self._given = RowKeys(), 0, 0
        self._total, self._count = np.zeros(0), np.zeros(0)

    def push(self, steps: object) -> Any:
        """Take one step or several; return the scores of the steps that have them now, as ``run.score_steps`` does.

        Raises:
            InputError: The steps do not come after those before them.
            ShapeError: Columns of the model are missing.
        """
        with self._run.lock:
            self._score(list(self._steps.push(steps)))
            return self._settled(self._steps.settled)

    def finish(self) -> Any:
        """Return the scores of the steps that are left: the series has ended.

        Raises:
            ShapeError: The series is shorter than a window.
        """
        with self._run.lock:
            self._score(list(self._steps.finish()))
            return self._settled(self._steps.n)

    def _score(self, windows: list[tuple[int, Any]]) -> None:
        """Add the scores of windows to the steps that they hold, in their order."""
        left = windows
        while left:
            place = self._windows % BLOCK
            some, left = left[: BLOCK - place], left[BLOCK - place :]
            batch = concatenate([with_mask(batch) for _, batch in some])
            found = block_distortions(
                latent_model(self._run.model), batch, self._keys(batch), place=place, k=self._k, seed=self._seed
            ).double().numpy()
            self._windows += len(some)
            self._add(((start, row) for (start, _), row in zip(some, found, strict=True)))

    def _add(self, found: Iterable[tuple[int, Any]]) -> None:
        short = self._steps.n - self._given - len(self._total)
        self._total, self._count = (np.append(v, np.zeros(max(0, short))) for v in (self._total, self._count))
        for start, row in found:
            at = np.flatnonzero(~np.isnan(row))
            self._total[start - self._given + at] += row[at]
            self._count[start - self._given + at] += 1

    def _settled(self, until: int) -> Any:
        """Return the scores of steps up to one, and forget them."""
        self._add(())
        n = until - self._given
        total, count = self._total[:n], self._count[:n]
        means = np.where(count > 0, total / np.maximum(count, 1), np.nan)
        answer = self._steps.labelled(self._given, means, name="score")
        self._total, self._count, self._given = self._total[n:], self._count[n:], until
        return answer
