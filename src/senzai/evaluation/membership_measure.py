"""The measure of the catalogue that attacks: who was in the training rows?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ..core.batch import Batch
from ..core.random import derive
from ..models.generative import Generative
from ..nn.inputs import as_float
from .auditing import at_rates
from .catalogue import Case, measure
from .holes import filled, middle_of
from .likelihood import log_likelihood
from .measures import SAMPLES, STRANGE_K, there
from .membership import Floats, nearest_distances
from .shadows import attacked

MEMBERS = 2000
Found = Mapping[str, Any]


@measure(
    "membership", "who was in the training rows: attacks by loss and by nearness to samples, at few false alarms",
    needs=("strangers", "density", "tensor", "samples", "rows"),
    cost=lambda c, p: 2 * p.draw * MEMBERS * STRANGE_K + 3 * p.row * SAMPLES + 2.0,
)
def membership(case: Case) -> Found:
    """Training rows against held-out ones: share found where 0.1 % and 1 % of strangers may be called members."""
    train, name = there(case.extras.train), case.extras.features[0]
    chosen = torch.from_numpy(np.random.default_rng(derive(case.seed, "members")).permutation(len(train))[:MEMBERS])
    inside, outside = train.take(chosen), case.some(MEMBERS, "strangers")[0]
    scored = [
        log_likelihood(case.model, batch, k=STRANGE_K, seed=case.seed).per_row.double().cpu().numpy()
        for batch in (case.prepared(inside), outside)
    ]
    found: dict[str, Any] = {"by_loss": at_rates(scored[0], scored[1]), "k": STRANGE_K}
    feature = case.feature(name)
    made, middle = feature(as_float(case.samples(SAMPLES))), middle_of(train)
    known, new = (feature(as_float(filled(b, middle))) for b in (inside, outside))
    found["by_samples"] = at_rates(-nearest_distances(known, made), -nearest_distances(new, made))
    return found


@measure(
    "membership_shadows", "who was in the training rows: likelihood ratios by shadow runs, which are trained for it",
    needs=("strangers", "density", "tensor", "rows", "shadows"), trains=True,
    cost=lambda c, p: 0.0 if c.extras.shadows is None else
    c.extras.shadows.n * (c.extras.shadows.seconds + 2 * p.draw * MEMBERS * STRANGE_K),
)
def membership_shadows(case: Case) -> Found:
    """The attack by likelihood ratio: each row's loss against those under runs that had it, and that had it not."""
    shadows = case.extras.shadows
    assert shadows is not None  # the catalogue has seen it

    def loss(model: Generative, rows: Batch) -> Floats:
        batch = case.prepared(rows)
        return np.asarray(-log_likelihood(model, batch, k=STRANGE_K, seed=case.seed).per_row.double().cpu().numpy())

    return {**attacked(shadows, case.model, loss, seed=case.seed), "k": STRANGE_K}
