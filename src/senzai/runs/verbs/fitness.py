"""Why a verb does not fit a run: what several verbs ask of a model and of the data it was trained on."""

from __future__ import annotations

from torch import nn

from ...data import Schema
from ...models.base import Classifies, LatentModel
from ...models.structured import Structured


def needs_latents(schema: Schema, model: nn.Module) -> str | None:
    """Ask for a model that infers latents from rows."""
    if isinstance(model, LatentModel):
        return None
    return (
        f"Latents are inferred by a model with an encoder, but {type(model).__name__} has none: it only generates. "
        "Fit a variational autoencoder: recipe=vae."
    )


def needs_prediction(schema: Schema, model: nn.Module) -> str | None:
    """Ask for a model with a classifier, or of a part of a row given the rest."""
    if isinstance(model, Structured) or (isinstance(model, Classifies) and model.n_classes):
        return None
    return (
        f"Classes are predicted by a model with a classifier, but {type(model).__name__} has none. Fit one of the "
        "recipes m1, m2 and m1-m2; a part of a row is predicted from the rest by the recipe cvae-structured."
    )
