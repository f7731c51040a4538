"""What a recipe builds with: the shape of the data, what their kind proposes, and the settings a user gave.

Settings are plain names, with a dot for settings of a part: ``n_latent=16``, ``prior=mixture``,
``prior.n_components=32``, ``likelihood=student_t``, ``warmup=linear``, ``warmup.steps=2000``. What the user set wins
over what the recipe asks for, which wins over what the kind of data proposes.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from math import prod
from typing import Any

from ..core.errors import SettingError
from ..core.registry import suggestion
from ..core.spec import make, registry
from ..dist.family import Family
from ..nn.inputs import Decoder, Encoder, Scaling
from ..objectives.base import Objective
from ..objectives.warmup import Constant, Warmup
from ..parts.likelihoods import Likelihood, decoded_names
from ..parts.posteriors import Posterior
from ..parts.priors import Prior

NETWORK_SETTINGS = ("hidden", "width", "residual", "n_stages", "activation", "dropout", "norm")
OBJECTIVE_SETTINGS = ("beta", "free_bits", "n_samples")
NAMES = (
    "n_latent", "network", *NETWORK_SETTINGS, "prior", "posterior", "likelihood", "shared", "objective",
    *OBJECTIVE_SETTINGS, "warmup",
)


@dataclass
class Frame:
    """The place where a recipe's parts meet data and settings.

    Args:
        event: Shape of one row.
        family: Likelihood family that the kind of data proposes.
        family_settings: Its settings.
        shared: Raw numbers proposed to be learned once.
        network: ``"mlp"`` or ``"conv"``, as proposed.
        masked: Whether rows come with a mask.
        n_condition: Width of the condition.
        settings: What the user set.
    """

    event: tuple[int, ...]
    family: str
    family_settings: dict[str, Any] = field(default_factory=dict)
    shared: tuple[str, ...] = ()
    network: str = "mlp"
    masked: bool = False
    n_condition: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)

    # --- settings ---------------------------------------------------------------------------------------------------
    def get(self, name: str, default: Any) -> Any:
        """Return what the user set, else ``default``; the name counts as used."""
        self._used.add(name)
        return self.settings.get(name, default)

    def word(self, name: str, default: str) -> str:
        """Return a setting that names something.

        Raises:
            SettingError: It is no word.
        """
        value = self.get(name, default)
        if not isinstance(value, str):
            raise SettingError(f"The setting {name!r} is a name, but got {value!r}. For example {name}={default}.")
        return value

    def _part(self, role: str, slot: str, default: str, defaults: dict[str, Any], **fixed: Any) -> Any:
        """Make the part the user named, with its dotted settings; the recipe's defaults belong to its own choice."""
        name = self.word(slot, default)
        own = {k.partition(".")[2]: self.get(k, None) for k in self.settings if k.startswith(f"{slot}.")}
        _ = registry(role)[name]
        return make(f"{role}/{name}", **{**fixed, **(defaults if name == default else {}), **own})

    def check_all_used(self, recipe: str) -> None:
        """Refuse settings nobody asked for.

        Raises:
            SettingError: A setting is unknown, or this recipe has no use for it.
        """
        for name in self.settings:
            if name in self._used:
                continue
            if name.partition(".")[0] not in NAMES:
                near = suggestion(name, list(NAMES))
                raise SettingError(f"Unknown setting {name!r}.{near} Known: {', '.join(NAMES)}.")
            raise SettingError(f"The recipe {recipe!r} with these parts has no use for {name!r}. Leave it out.")

    # --- parts ------------------------------------------------------------------------------------------------------
    @property
    def n_latent(self) -> int:
        """Width of the latent code: set, or from the size of a row (2 to 32)."""
        size = prod(self.event)
        width: int = self.get("n_latent", 32 if len(self.event) == 3 and size > 256 else max(2, min(16, size // 2)))
        return width

    def prior(self, name: str = "standard_normal", **defaults: Any) -> Prior:
        """Return the prior."""
        prior: Prior = self._part("prior", "prior", name, defaults, n_latent=self.n_latent)
        return prior

    def posterior(self, family: str = "normal", **defaults: Any) -> Posterior:
        """Return the posterior with its encoder."""
        made: Family = self._part("family", "posterior", family, defaults)
        return Posterior(self.encoder(), made, self.n_latent)

    def likelihood(self, family: str | None = None, **defaults: Any) -> Likelihood:
        """Return the likelihood with its decoder: the recipe's family, or what the data propose."""
        default, own = (self.family, self.family_settings) if family is None else (family, defaults)
        made: Family = self._part("family", "likelihood", default, own)
        proposed = self.shared if self.settings.get("likelihood", default) == self.family else ()
        given = self.get("shared", proposed)
        shared = (given,) if isinstance(given, str) else tuple(given if isinstance(given, list | tuple) else [given])
        names = decoded_names(made, shared)
        raw_shape = (len(names), *made.raw_shape(self.event)[1:])
        return Likelihood(self.decoder(raw_shape), made, self.event, shared=shared)

    @property
    def scaling(self) -> Scaling | None:
        """How encoders scale their input: bits, levels and shares by their range, everything else as usual."""
        bounded = registry("family")[self.family].support in ("binary", "levels", "unit", "interval")
        return "range" if bounded else None

    def encoder(self) -> Encoder:
        """Return the encoder network."""
        network = self.word("network", self.network)
        encoder: Encoder = make(
            f"encoder/{network}", event=self.event, masked=self.masked, n_condition=self.n_condition,
            scaling=self.scaling, **self._network_settings("encoder", network),
        )
        return encoder

    def decoder(self, raw_shape: tuple[int, ...]) -> Decoder:
        """Return the decoder network."""
        network = self.word("network", self.network)
        settings = self._network_settings("decoder", network)
        if "hidden" in settings:
            settings["hidden"] = tuple(settings["hidden"])[::-1]
        decoder: Decoder = make(
            f"decoder/{network}", n_latent=self.n_latent, raw_shape=raw_shape, n_condition=self.n_condition, **settings
        )
        return decoder

    def _network_settings(self, role: str, network: str) -> dict[str, Any]:
        takes = _parameters(registry(role)[network])
        default = {"hidden": (512, 512) if prod(self.event) > 256 else (256, 256)}
        asked = [k for k in NETWORK_SETTINGS if k in takes and (k in self.settings or k in default)]
        return {k: self.get(k, default.get(k)) for k in asked}

    # --- objective --------------------------------------------------------------------------------------------------
    def elbo(self, **defaults: Any) -> Objective:
        """Return the objective, by default the evidence lower bound."""
        name = self.word("objective", "elbo")
        takes = _parameters(registry("objective")[name])
        asked: dict[str, Any] = {k: self.get(k, defaults.get(k)) for k in OBJECTIVE_SETTINGS if k in takes}
        own = {k: v for k, v in asked.items() if v is not None}
        if "warmup" in takes:
            own["warmup"] = self.warmup()
        objective: Objective = self._part("objective", "objective", "elbo", {}, **own)
        return objective

    def warmup(self) -> Warmup:
        """Return the warm-up of the rate: none, unless the user names one."""
        if "warmup" not in self.settings:
            return Constant()
        warmup: Warmup = self._part("schedule", "warmup", "constant", {})
        return warmup


def _parameters(cls: Any) -> tuple[str, ...]:
    return tuple(inspect.signature(cls).parameters)
