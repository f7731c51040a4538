"""What happens when training is done: priors are fitted to the latents, and one of them is chosen to sample from."""

from __future__ import annotations

import numpy as np

from ...core.errors import CombinationError
from ...core.random import derive
from ...data import Dataset
from ...models.base import latent_model
from ...models.generative import Generative
from ...training.densities import aggregate
from ...training.samplers import MOST_ROWS, Samplers, codes_of, fit_samplers, training_work
from ...training.settings import TrainSettings


def after_fit(model: Generative, dataset: Dataset, settings: TrainSettings, steps: int) -> Samplers:
    """Fit what the finished run draws its samples from, and choose on validation rows."""
    seed = derive(settings.seed, "sampler")
    rows = np.random.default_rng(seed)
    parts, most = dataset.split_indices(), dataset.rows.at_once(MOST_ROWS)
    train, validation = (
        dataset.batch(np.sort(rows.permutation(parts[name])[:most])) if len(parts[name]) else None
        for name in ("train", "validation")
    )
    assert train is not None  # there was something to train on
    work = training_work(model, settings.chosen_batch_size(len(parts["train"])), steps)
    return fit_samplers(model, train, validation, sampler=settings.sampler, seed=seed, steps=steps, work=work)


def refuse_sampler(model: Generative, dataset: Dataset, settings: TrainSettings) -> None:
    """Refuse a sampler that was asked for and that this model cannot have, before training.

    Raises:
        CombinationError: The latents are no real vectors with a prior of their own.
    """
    if settings.sampler not in ("auto", "none"):
        try:
            some = dataset.batch(np.sort(dataset.split_indices()["train"][:2]))
            codes_of(model, some, seed=0)
            if settings.sampler == "aggregate":
                aggregate(latent_model(model), some)
        except CombinationError as err:
            raise CombinationError(f"sampler={settings.sampler} is impossible here: {err}. Leave it out.") from err
