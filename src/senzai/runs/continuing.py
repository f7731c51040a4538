"""Train a run on other rows."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

from ..core.errors import CombinationError
from ..data.schema import Split
from ..objectives.warmup import Constant
from ..training.comms import Comms
from ..training.places import Place
from ..training.settings import TrainSettings
from .fit import name_of
from .run import Run
from .training.train import train


def train_on(run: Run, data: object, *, validation: float = 0.0, **more: Any) -> Run:
    """Train a run further, on other rows of the same kind; the run itself is left as it was.

    Units, likelihood and all other decisions stay those of the first data; the optimiser starts anew and a warm-up is
    over. The result is in memory; ``save`` it.

    Args:
        run: Trained run.
        data: More rows.
        validation: Share of them held out, by which the best step is chosen.
        **more: Training settings to change: ``steps``, ``epochs``, ``lr`` ….

    Raises:
        UserError: Data or settings cannot be used.

    Example:
        >>> from senzai.runs import fit
        >>> run = fit("digits", steps=2, n_latent=2)
        >>> train_on(run, "digits", steps=3).metrics["fit"]["steps"]
        3
    """
    from .watching import Watch

    if run.spec.privacy is not None:
        raise CombinationError(
            "A private run cannot be trained on: what it guarantees holds for the rows and the steps it was planned "
            "with. Train a new private run."
        )
    with run.lock:
        opened, model = run.dataset(data), deepcopy(run.model)
    split = Split(seed=run.schema.split.seed, validation=validation, test=0.0)
    dataset = replace(opened, schema=opened.schema.but(split=split))
    kept = run.spec.training.model_dump() | {"steps": None, "epochs": None}
    spec = run.spec.model_copy(update={"training": TrainSettings.parse({**kept, **more}), "source": name_of(data)})
    objective: Any = spec.make_objective()
    if hasattr(objective, "warmup"):
        objective = replace(objective, warmup=Constant())
    nowhere = Place(None, None, main=True)
    return train(dataset, model, objective, spec, nowhere, Comms(), [Watch()], fresh=True)
