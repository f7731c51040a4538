"""Shadows: runs like one that is there, trained on other rows of its data, to see what losses say of single rows."""

from __future__ import annotations

import numpy as np

from ..core.errors import SettingError
from ..core.local_random import locally_seeded
from ..core.random import derive
from ..core.secret import Secret
from ..data import Dataset, Split
from ..evaluation.shadows import Ints, Shadows
from ..models.generative import Generative
from ..nn.items import tell_entries
from ..training.bundle import Spec
from ..training.comms import Comms
from ..training.places import Place
from ..training.trained import Trained
from .training.beginning import first_rows
from .training.train import train

LEAST = 4


def shadows_of(run: Trained, dataset: Dataset, judged: Ints, n: int) -> Shadows:
    """Return how shadows of a run are trained: with its spec, for as many steps, on all rows that they are given.

    What follows from held-out rows (stopping early, the best step, a fitted sampler) is not done again. A private run
    has private shadows.

    Args:
        run: The run.
        dataset: Its own data.
        judged: Numbers of the rows that it is judged on.
        n: How many shadows.

    Raises:
        SettingError: So many cannot be.
    """
    if n < LEAST or n % 2:
        raise SettingError(
            f"Shadow runs come in pairs, each on the rows that the other has not, and two pairs are the fewest, but "
            f"got shadows={n!r}. Give an even number from {LEAST} on."
        )
    fit = run.metrics.get("fit", {})
    spec = _lasting(run.spec, int(fit.get("steps") or 1))
    return Shadows(
        members=dataset.split_indices()["train"], strangers=np.asarray(judged), take=dataset.batch, n=n,
        fit=lambda rows, seed: trained_on(spec, dataset, rows, seed), seconds=float(fit.get("seconds") or 0.0),
    )


def _lasting(spec: Spec, steps: int) -> Spec:
    course = "one_cycle" if spec.training.schedule in ("follow", "plateau") else spec.training.schedule
    return spec.model_copy(update={"training": spec.training.model_copy(update={
        "epochs": None, "steps": steps, "schedule": course, "patience": None, "sampler": "none", "validate_every": None,
    })})


def trained_on(spec: Spec, dataset: Dataset, rows: Ints, seed: int) -> Generative:
    """Return a model that was trained as a spec says, on some rows of a data set, and on all of them."""
    some = dataset.take(np.sort(rows))
    some = Dataset(
        some.schema.but(split=Split(seed=dataset.schema.split.seed, validation=0.0, test=0.0)), some.rows, some.kind
    )
    training = spec.training.model_copy(update={"seed": seed % 2**31})
    private = spec.privacy is not None
    with locally_seeded(derive(training.seed, "weights")):
        model = spec.make_model()
        tell_entries(model, some.rows.known)
        model.initialise(first_rows(some, training.seed, private=private))
    found = train(
        some, model, spec.make_objective(), spec.model_copy(update={"training": training}),
        Place(None, None, main=True), Comms(), [], fresh=True, secret=Secret.fresh() if private else None,
    )
    return found.model
