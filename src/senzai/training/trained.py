"""The protocol of a run, for verbs, reports and measures, so that none of them imports the class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..core.batch import Batch
from ..data import Dataset, Schema
from ..models.generative import Generative
from .bundle import Spec
from .samplers import Samplers

Metrics = dict[str, Any]


class Trained(Protocol):
    """A trained model with the schema of its data, and the way from a user's data to batches.

    ``lock`` is held while a verb runs. ``reference`` is what anomaly scores compare with, where it was made.
    """

    spec: Spec
    model: Generative
    folder: Path | None
    metrics: Metrics
    reference: Any
    heard: list[dict[str, Any]]

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """Held while a verb runs; the thread that has it may take it again."""

    @property
    def samplers(self) -> Samplers:
        """What samples are drawn from."""

    @property
    def history(self) -> list[dict[str, Any]]:
        """Progress, validations and warnings of training."""

    @property
    def schema(self) -> Schema:
        """What the training data are."""

    def dataset(self, data: object, *, options: Mapping[str, Any] | None = None) -> Dataset:
        """Return data as the model reads them, or by options of their own."""

    def part(self, data: object, split: str | None = None) -> np.ndarray[Any, Any]:
        """Return row numbers of a split."""

    def pieces(self, dataset: Dataset) -> Iterator[tuple[int, Batch]]:
        """Yield the first row of a piece, and the piece."""

    def source(self, data: object = None) -> object:
        """Return the data if given, else what the run was trained on."""

    def discrete_step(self) -> float | None:
        """Distance of neighbouring values where the data are discrete."""

    def keep(self, change: Callable[[Metrics], Metrics]) -> None:
        """Change the numbers measured so far, in memory and in the run's folder."""
