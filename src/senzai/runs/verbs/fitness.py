"""Why a verb does not fit a run: what several verbs ask of a model and of the data it was trained on."""

from __future__ import annotations

from torch import nn

from ...data import Schema
from ...models.base import Classifies
from ...models.generative import Generative, needs_density, needs_inference
from ...models.structured import Structured


def needs_latents(schema: Schema, model: nn.Module) -> str | None:
    """Ask for a model that infers latents from rows."""
    return needs_inference(model) if isinstance(model, Generative) else None


def needs_a_density(schema: Schema, model: nn.Module) -> str | None:
    """Ask for a model that gives log p(x), exactly or by an inference."""
    return needs_density(model) if isinstance(model, Generative) else None


def needs_prediction(schema: Schema, model: nn.Module) -> str | None:
    """Ask for a model with a classifier, or of a part of a row given the rest."""
    if isinstance(model, Structured) or (isinstance(model, Classifies) and model.n_classes):
        return None
    return (
        f"Classes are predicted by a model with a classifier, but {type(model).__name__} has none. Fit one of the "
        "recipes m1, m2 and m1-m2; a part of a row is predicted from the rest by the recipe cvae-structured."
    )
