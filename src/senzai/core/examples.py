"""Examples for the exams: how a part or recipe is built at small size, and which exams do not apply to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

_EXAMPLES = "_senzai_examples"


@dataclass(frozen=True)
class Example:
    """One small construction of a part or recipe, to be examined by ``senzai.testing``.

    Args:
        recipe: Recipe in which a part is examined.
        data: Name of small data (``senzai.testing.DATA``); by default the first that the parts accept.
        settings: Settings of the frame, as a user would give them; by default those that choose the part.
        frame: Fields of the frame that differ from what the data propose (``n_condition``, ``n_classes``, ``masked``
            …).
        excused: Exams that cannot hold for this entry, each with the reason.
        idle: Patterns of parameter names that no gradient moves, each with the reason.
        make: ``frame -> part``, where settings are not enough to make it (a part around another one).
    """

    recipe: str = "vae"
    data: str | None = None
    settings: Mapping[str, Any] | None = None
    frame: Mapping[str, Any] = field(default_factory=dict)
    excused: Mapping[str, str] = field(default_factory=dict)
    idle: Mapping[str, str] = field(default_factory=dict)
    make: Callable[[Any], Any] | None = None


def example(
    *, recipe: str = "vae", data: str | None = None, settings: Mapping[str, Any] | None = None,
    frame: Mapping[str, Any] | None = None, excused: Mapping[str, str] | None = None,
    idle: Mapping[str, str] | None = None, make: Callable[[Any], Any] | None = None,
) -> Callable[[T], T]:
    """Declare how a part's class or a recipe's function is built small; see :class:`Example` for the arguments.

    Only what the default rule cannot guess needs it. Several examples of one entry are all examined.

    Example:
        >>> @example(settings={"prior": "mixture", "prior.n_components": 3})
        ... class Mixture: ...
        >>> examples_of(Mixture)[0].settings["prior.n_components"]
        3
    """
    made = Example(recipe, data, settings, frame or {}, excused or {}, idle or {}, make)

    def keep(entry: T) -> T:
        setattr(entry, _EXAMPLES, (made, *examples_of(entry)))
        return entry

    return keep


def examples_of(entry: Any) -> tuple[Example, ...]:
    """Return what was declared on this very class or function, in the order it is written; nothing is inherited."""
    found: tuple[Example, ...] = vars(entry).get(_EXAMPLES, ())
    return found
