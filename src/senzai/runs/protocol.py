"""What the verbs need to know about a run: a protocol, so that they and the run do not import each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..core.batch import Batch
from ..data import Dataset, Schema
from ..models.generative import Generative
from ..training.bundle import Spec
from ..training.samplers import Samplers

if TYPE_CHECKING:
    from ..evaluation.scores import Reference


class Trained(Protocol):
    """A trained model with the schema of its data, and the way from a user's data to batches."""

    spec: Spec
    model: Generative
    folder: Path | None
    metrics: dict[str, Any]
    reference: Reference | None
    heard: list[dict[str, Any]]

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
