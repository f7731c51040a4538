"""The one list of recipes, which the command line, documentation, tests and saved models read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..core.registry import Registry
from ..models.generative import Generative
from ..objectives.base import Objective
from .frame import Frame
from .settings import NETWORK_SETTINGS, OWN_SETTINGS, objective_settings, slots

NONE: Mapping[str, Any] = {}
Made: TypeAlias = tuple[Generative, Objective]


@dataclass(frozen=True)
class Recipe:
    """A named model.

    Args:
        name: What users type.
        title: One line for lists.
        paper: Where it comes from.
        make: ``frame -> (model, objective)``.
        settings: Settings of its own, beside those of its parts, networks and objective.
        training: Settings of training that it asks for, where the user sets none.
    """

    name: str
    title: str
    paper: str
    make: Callable[[Frame], Made]
    settings: tuple[str, ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict)


RECIPES: Registry[Recipe] = Registry("recipe")


def recipe(
    name: str, *, title: str, paper: str, settings: tuple[str, ...] = (), training: Mapping[str, Any] = NONE
) -> Callable[[Callable[[Frame], Made]], Callable[[Frame], Made]]:
    """Register a function as a recipe; ``settings`` names what it reads with ``frame.get``.

    ``training`` are settings of training that it asks for.
    """

    def keep(make: Callable[[Frame], Made]) -> Callable[[Frame], Made]:
        RECIPES.add(name)(Recipe(name, title, paper, make, settings, training))
        return make

    return keep


def names() -> tuple[str, ...]:
    """Return every setting of every recipe: what chooses parts, and what needs no dot.

    Example:
        >>> {"encoder", "prior", "hidden", "beta", "n_lower"} <= set(names())
        True
    """
    own = (name for found in RECIPES.values() for name in found.settings)
    return tuple(dict.fromkeys((*OWN_SETTINGS, *NETWORK_SETTINGS, *slots(), *own, *objective_settings())))


def build(name: str, frame: Frame) -> Made:
    """Return model and objective of a recipe for one kind of data and the user's settings.

    Raises:
        UnknownNameError: No such recipe.
        SettingError: A setting is unknown or was not used by this recipe.
        CombinationError: The parts cannot work together.
    """
    model, objective = RECIPES[name].make(frame)
    frame.settings.check(names(), name)
    model.check()
    objective.admit(model)
    return model, objective
