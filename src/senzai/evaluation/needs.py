"""What measures of the catalogue may need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from ..models.generative import needs_density

NEEDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "tensor": (lambda c: isinstance(c.rows.x, Tensor), "It needs data of one modality."),
    "steps": (
        lambda c: c.extras.steps and isinstance(c.rows.x, Tensor) and c.rows.x.ndim == 3,
        "It is about rows along time (steps, columns); these have another form.",
    ),
    "inference": (lambda c: c.model.infers, "It needs an inference of latents; this model draws rows without one."),
    "density": (lambda c: needs_density(c.model) is None, "It needs a density of the data; this model has none."),
    "samples": (
        lambda c: c.rows.lengths is None,
        "It compares rows of one size with samples; these are sequences of different lengths, and what stands behind "
        "their ends is no data.",
    ),
    "labels": (lambda c: len(np.unique(c.labelled[1])) > 1, "It needs labels of two classes; the rows have none."),
    "factors": (lambda c: c.extras.factors is not None, "It needs known factors (factors=...); none were given."),
    "train": (lambda c: c.extras.train is not None, "It needs training rows, which are not here."),
    "strangers": (
        lambda c: c.extras.train is not None and c.extras.held_out,
        "It needs training rows beside held-out rows of the same data; judge the test rows of the run's data.",
    ),
    "shadows": (
        lambda c: c.extras.shadows is not None,
        "It trains runs like this one on halves of its rows, so it is taken where it is named: --also NAME.",
    ),
    "other": (lambda c: c.extras.other is not None, "It needs another data set (against=...); none was given."),
    "anomaly": (lambda c: c.extras.anomaly is not None, "It needs to know the class of anomalies (anomaly=...)."),
    "users": (
        lambda c: c.extras.users is not None,
        "It needs rows that are sets of items of which some are held out, and the training rows.",
    ),
    "rows": (lambda c: len(c.rows) >= 30, "It needs 30 rows at least."),
}
"""What a measure may need: how to see whether it is there, and what to say if it is not."""
