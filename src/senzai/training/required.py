"""Plug-in packages that a run needs: which ones, and whether they are installed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from ..core import plugins
from ..core.registry import Registry
from ..core.spec import registry
from ..data import KINDS
from ..recipes import RECIPES
from ..recipes.about import parts_of


def packages_of(recipe: str, kind: str, *trees: Any) -> dict[str, str]:
    """Return the packages that a run needs besides senzai, with their versions.

    Args:
        recipe: Name of its recipe.
        kind: Kind of its data.
        trees: Specs of its model and objective.

    Example:
        >>> packages_of("vae", "table", {"part": "prior/mixture", "args": {}})
        {}
    """
    named = [part["part"].partition("/") for tree in trees for part in parts_of(tree)]
    entries: list[tuple[Registry[Any], str]] = [(registry(role), name) for role, _, name in named]
    return dict(sorted(_versions([(RECIPES, recipe), (KINDS, kind), *entries])))


def _versions(entries: list[tuple[Registry[Any], str]]) -> Iterator[tuple[str, str]]:
    for names, name in entries:
        package = names.package_of(name) if name in names else None
        if package not in (None, plugins.SENZAI):
            yield str(package), plugins.version_of(str(package)) or "unknown"


def need_packages(needed: Mapping[str, str]) -> None:
    """Refuse to load a run without the packages that it is made of.

    Args:
        needed: Their names and the versions that the run was made with.

    Raises:
        MissingExtraError: One is not installed, or could not be loaded.

    Warns:
        UserWarning: One is installed in another version.
    """
    for package, version in needed.items():
        plugins.PLUGINS.need(package, to="load this run")
        if (here := plugins.version_of(package)) != version:
            warnings.warn(
                f"This run was made with {package} {version}, and {here} is installed. Should it behave otherwise: "
                f"pip install {package}=={version}", UserWarning, stacklevel=2,
            )
