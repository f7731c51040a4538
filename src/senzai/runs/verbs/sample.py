"""Sample: new rows in the form of the training data."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ...core.errors import CombinationError
from ...data import KINDS, Schema
from ...data.schema import Condition
from ...models.base import Classifies, latent_model
from ...models.generative import Generative
from ...models.probed import Probed
from . import given as conditional
from .decoding import choosing
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained


@verb("sample", group="Use", takes="number", answers="rows", steered=False)
def sample(
    run: Trained, n: int, *, seed: int | None = None, noise: bool | None = None, temperature: float = 1.0,
    given: Mapping[str, object] | None = None, sampler: str = "auto", guidance: float | None = None,
    decoding: Mapping[str, float] | None = None,
) -> Any:
    """Make new rows in the form of the training data."""
    with_noise = KINDS[run.schema.kind].shows == "draws" if noise is None else noise
    chosen = secrets.randbits(62) if seed is None else seed
    model, schema = drawing(run, sampler, guidance), with_label_as_condition(run.schema, run.model, given)
    with choosing(model, decoding):
        return conditional.sample(model, schema, n, given or {}, seed=chosen, noise=with_noise, temperature=temperature)


def drawing(run: Trained, sampler: str = "auto", guidance: float | None = None) -> Generative:
    """Return the model with the prior that latents are drawn from, guided if asked.

    Raises:
        UnknownNameError: The run has no such sampler.
        CombinationError: The prior cannot be guided.
    """
    model = run.samplers.apply_to(run.model, sampler)
    if guidance is None:
        return model
    latent = latent_model(model)
    if latent.top_prior is None:
        raise CombinationError("Guidance is of a prior over latents, but this model has none of its own. Leave it out.")
    return latent.with_prior(latent.top_prior.guided(guidance))


def with_label_as_condition(schema: Schema, model: Generative, given: Mapping[str, object] | None) -> Schema:
    """Return the schema; for a model that infers the label, with the label as what a given one conditions on."""
    label = schema.label
    infers = isinstance(model, Classifies) and not isinstance(model, Probed)
    if not given or schema.condition is not None or label is None or not infers:
        return schema
    n = len(label.classes)
    values = tuple((c,) for c in label.classes)
    return schema.but(condition=Condition(names=(label.name,), width=n, values=values, shares=(1 / n,) * n))
