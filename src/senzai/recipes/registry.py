"""The one list of recipes, which the command line, documentation, tests and saved models read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from ..core.registry import Registry
from ..models.generative import Generative
from ..objectives.base import Objective
from .frame import Frame

Made: TypeAlias = tuple[Generative, Objective]


@dataclass(frozen=True)
class Recipe:
    """A named model.

    Args:
        name: What users type.
        title: One line for lists.
        paper: Where it comes from.
        make: ``frame -> (model, objective)``.
    """

    name: str
    title: str
    paper: str
    make: Callable[[Frame], Made]


RECIPES: Registry[Recipe] = Registry("recipe")


def recipe(name: str, *, title: str, paper: str) -> Callable[[Callable[[Frame], Made]], Callable[[Frame], Made]]:
    """Register a function as a recipe."""

    def keep(make: Callable[[Frame], Made]) -> Callable[[Frame], Made]:
        RECIPES.add(name)(Recipe(name, title, paper, make))
        return make

    return keep


def build(name: str, frame: Frame) -> Made:
    """Return model and objective of a recipe for one kind of data and the user's settings.

    Raises:
        UnknownNameError: No such recipe.
        SettingError: A setting is unknown or was not used by this recipe.
        CombinationError: The parts cannot work together.
    """
    model, objective = RECIPES[name].make(frame)
    frame.check_all_used(name)
    model.check()
    objective.admit(model)
    return model, objective
