"""What a recipe is made of, found out by making it small: its parts, and its settings with their defaults."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from ..core.errors import UserError
from ..core.examples import examples_of
from ..core.random import forked
from ..core.registry import Registry
from ..core.spec import REGISTRIES, to_spec
from ..data.proposal import Choice, Proposal
from .frame import Frame
from .provided import PROVIDED
from .registry import RECIPES, Recipe, build
from .settings import Settings

BY_DATA = "by data"
_LABELS = {"n_classes": 3, "n_labelled": 50}
_SHAPES = (
    ((16,), "normal", "mlp"), ((8, 4), "normal", "mlp"), ((1, 16, 16), "normal", "conv"), ((16,), "bernoulli", "mlp"),
    ((1, 16, 16), "bernoulli", "conv"), ((1, 64, 64), "continuous_bernoulli", "conv"),
)
_SYMBOLS = Choice("recurrent_tokens", {"n": 8})
_COLUMNS = {
    "sorts": ("normal", "category", "binary", "count", "steps"), "sizes": (0, 3, 2, 0, 4), "cuts": ((-1.0, 0.0, 1.0),),
}
_TABLE, _TABLE_CODER = Choice("mixed", _COLUMNS), Choice("table", _COLUMNS)
PROBES: tuple[Mapping[str, Any], ...] = (
    *(
        {"event": event, "proposal": Proposal(likelihood=Choice(family), encoder=Choice(network)), **given}
        for given in ({}, _LABELS, {"n_condition": 3}, {**_LABELS, "n_condition": 3})
        for event, family, network in _SHAPES
    ),
    {"event": (5,), "proposal": Proposal(likelihood=_TABLE, encoder=_TABLE_CODER)},
    {"event": (1, 16, 16), "n_numbers": 3, "proposal": Proposal(likelihood=Choice("bernoulli"), encoder=Choice("mlp"))},
    {"event": (8,), "ragged": True, "proposal": Proposal(likelihood=_SYMBOLS, encoder=_SYMBOLS)},
)
"""Data that a recipe may be made for, in the order of trying."""

DECIDED = ("n_latent", "n_lower", "network", "encoder", "decoder", "hidden", "shared")
"""Settings whose defaults follow from the data."""


@dataclass(frozen=True)
class About:
    """Facts about a recipe.

    Args:
        recipe: Its name, title and paper.
        family: What it and its neighbours have in common.
        parts: Names of its parts by role: model, prior, posterior, likelihood, objective.
        settings: Settings with their defaults, as users give them.
    """

    recipe: Recipe
    family: str
    parts: Mapping[str, str]
    settings: Mapping[str, Any]


def families(recipes: Registry[Recipe] = RECIPES) -> dict[str, list[Recipe]]:
    """Return the recipes under what they have in common: the first line of the file they are written in.

    Example:
        >>> [r.name for r in families()["The plain recipes"]][:2]
        ['vae', 'beta-vae']
    """
    found: dict[str, list[Recipe]] = {}
    plain_first = sorted(recipes.values(), key=lambda r: not str(r.make.__module__).endswith(".basic"))
    for r in plain_first:
        found.setdefault(family_of(r), []).append(r)
    return found


def family_of(recipe: Recipe) -> str:
    """Return the first line of the file that a recipe is written in."""
    module = inspect.getdoc(sys.modules.get(recipe.make.__module__)) or "Others"
    return module.splitlines()[0].rstrip(".")


def about(name: str) -> About:
    """Return what a recipe is made of.

    Raises:
        UnknownNameError: There is no such recipe.

    Example:
        >>> found = about("beta-vae")
        >>> found.parts["prior"], found.parts["likelihood"], found.settings["beta"]
        ('standard_normal', 'by data', 4.0)
    """
    recipe = RECIPES[name]
    needed = [dict(e.settings) for e in examples_of(recipe.make) if e.settings]
    for given, probe in product(({}, *needed), PROBES):
        frame = Frame(n_rows=100, settings=Settings(given), **probe)
        try:
            with forked(0):
                model, objective = build(name, frame)
        except UserError:
            continue
        nodes = list(parts_of([to_spec(model), to_spec(objective)]))
        asked, proposed = frame.settings.asked, frame.proposal.likelihood.name
        asked |= {k: BY_DATA for k, v in asked.items() if k in DECIDED or (k, v) == ("likelihood", proposed)}
        return About(recipe, family_of(recipe), _parts(nodes, asked), _settings(nodes, asked))
    return About(recipe, family_of(recipe), {}, {})


def parts_of(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield every part of a spec, outer ones first, as its name and arguments."""
    level = [tree]
    while level:
        yield from (node for node in level if isinstance(node, dict) and "part" in node)
        level = [v for n in level for v in (n.values() if isinstance(n, dict) else n if isinstance(n, list) else ())]


def _parts(nodes: list[dict[str, Any]], asked: Mapping[str, Any]) -> dict[str, str]:
    found = {"model": _named(nodes, "model")}
    for role in ("prior", "posterior", "likelihood"):
        found[role] = asked.get(role) or _named(nodes, role)
    found["objective"] = _named(nodes, "objective")
    return {role: name for role, name in found.items() if name}


def _named(nodes: list[dict[str, Any]], role: str) -> str:
    names = [node["part"].partition("/") for node in nodes]
    return next((name for r, _, name in names if r == role), "")


def _settings(nodes: list[dict[str, Any]], asked: Mapping[str, Any]) -> dict[str, Any]:
    found = {k: v for k, v in asked.items() if v not in (None, ()) and "." not in k}
    for slot in ("prior", "posterior", "likelihood"):
        own = [n for n in nodes if n["part"].partition("/")[2] == asked.get(slot)]
        found |= {f"{slot}.{k}": v for k, v in _plain(own[:1]).items()}
    return found | _plain([n for n in nodes if n["part"].startswith("objective/")][:1])


def _plain(nodes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the arguments that a user may set: numbers, words, and lists of them."""
    given = nodes[0]["args"] if nodes else {}
    return {k: v for k, v in given.items() if k not in PROVIDED and k not in REGISTRIES and _is_plain(v)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)
