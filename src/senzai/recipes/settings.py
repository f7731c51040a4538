"""A user's settings of a model: names and values, which of them were used, and which names exist."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable, Mapping
from typing import Any, final

from ..core.errors import SettingError
from ..core.registry import suggestion
from ..core.spec import REGISTRIES, registry
from .provided import PROVIDED

NETWORK_SETTINGS = (
    "hidden", "width", "residual", "n_stages", "activation", "dropout", "norm", "skip", "spectral", "attention",
)
"""Settings that encoder, decoder and coder share and that need no dot: each takes those it knows."""

OWN_SETTINGS = ("n_latent", "curvature", "n_categories", "network", "shared", "shared_by", "counts", "code_dim")
"""Settings that belong to no single part."""

SLOT_OF = {"schedule": "warmup", "family": "likelihood"}
"""Setting that chooses a part, where it is not called like the role."""


def slots() -> tuple[str, ...]:
    """Return the settings that choose a part: one for each role that parts are registered in.

    Example:
        >>> {"prior", "encoder", "decoder", "warmup"} <= set(slots()), "family" in slots()
        (True, False)
    """
    return tuple(dict.fromkeys(SLOT_OF.get(role, role) for role in REGISTRIES))


def objective_settings() -> tuple[str, ...]:
    """Return the settings of all registered objectives, which need no dot: ``beta``, ``free_bits`` and others."""
    found = {f.name for cls in registry("objective").values() for f in dataclasses.fields(cls)}
    return tuple(sorted(found - {*PROVIDED, *OWN_SETTINGS, *NETWORK_SETTINGS, *slots()}))


def parameters(cls: Any) -> tuple[str, ...]:
    """Return the names of the arguments that a part takes."""
    return tuple(inspect.signature(cls).parameters)


@final
class Settings(dict[str, Any]):
    """Settings by name, with a record of every name that was used and its default.

    Example:
        >>> given = Settings({"prior": "mixture", "prior.n_components": 3, "pior": 1})
        >>> given.word("prior", "standard_normal"), given.own("prior")
        ('mixture', {'n_components': 3})
        >>> given.check(["prior", "posterior"], "vae")
        Traceback (most recent call last):
        ...
        senzai.core.errors.SettingError: Unknown setting 'pior'. Did you mean 'prior'? Known: prior, posterior.
    """

    def __init__(self, given: Mapping[str, Any] = {}, *, asked: dict[str, Any] | None = None) -> None:
        super().__init__(given)
        self.asked: dict[str, Any] = {} if asked is None else asked

    def ask(self, name: str, default: Any) -> Any:
        """Return what the user set, else ``default``; the name counts as used."""
        self.asked.setdefault(name, default)
        return self.get(name, default)

    def word(self, name: str, default: str) -> str:
        """Return a setting that names something.

        Raises:
            SettingError: It is no word.
        """
        value = self.ask(name, default)
        if not isinstance(value, str):
            raise SettingError(f"The setting {name!r} is a name, but got {value!r}. For example {name}={default}.")
        return value

    def own(self, slot: str) -> dict[str, Any]:
        """Return the settings with a dot of the part in a slot."""
        return {k.partition(".")[2]: self.ask(k, None) for k in self if k.startswith(f"{slot}.")}

    def without(self, *slots: str) -> Settings:
        """Return the settings without those of some slots; what is used of them is recorded here too."""
        return Settings({k: v for k, v in self.items() if k.partition(".")[0] not in slots}, asked=self.asked)

    def check(self, known: Iterable[str], recipe: str) -> None:
        """Refuse settings that nothing has used.

        Args:
            known: All names there are.
            recipe: Name of the recipe that was made.

        Raises:
            SettingError: A setting is unknown, or this recipe has no use for it.
        """
        names = list(known)
        for name in self:
            if name in self.asked:
                continue
            slot = name.partition(".")[0]
            if slot not in names:
                raise SettingError(f"Unknown setting {name!r}.{suggestion(slot, names)} Known: {', '.join(names)}.")
            raise SettingError(f"The recipe {recipe!r} with these parts has no use for {name!r}. Leave it out.")
