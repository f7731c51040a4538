"""What a recipe builds with: the shape of the data, what their kind proposes, and the settings a user gave.

Settings are plain names, with a dot for settings of a part: ``n_latent=16``, ``prior=mixture``,
``prior.n_components=32``, ``likelihood=student_t``, ``warmup=linear``, ``warmup.steps=2000``. What the user set wins
over what the recipe asks for, which wins over what the kind of data proposes.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

from ..core.errors import CombinationError, SettingError
from ..core.registry import suggestion
from ..core.spec import make, registry
from ..distributions.family import Family
from ..nn.inputs import Decoder, Encoder, Scaling
from ..objectives.base import Objective
from ..objectives.warmup import Constant, Warmup
from ..parts.base import AnyLikelihood, AnyPosterior, Prior
from ..parts.classifiers import check_classes
from ..parts.conditionals import Conditional
from ..parts.likelihoods.decoded import Likelihood, decoded_shape
from ..parts.posteriors.amortised import Posterior
from ..parts.priors.codes import CodePrior
from ..parts.quantisers.coders import Coder
from ..parts.quantisers.vector import Quantiser
from .rows import modal_encoder, modal_likelihood, seeing_holes

NETWORK_SETTINGS = (
    "hidden", "width", "residual", "n_stages", "activation", "dropout", "norm", "skip", "spectral",
)
SLOTS = (
    "n_latent", "curvature", "n_categories", "network", *NETWORK_SETTINGS, "prior", "posterior", "likelihood", "shared",
    "objective", "warmup", "n_lower", "n_levels", "n_blocks", "channels", "observed", "inference", "coder",
    "code_dim", "quantiser", "code_prior",
)
"""Settings of every recipe. A recipe with a part of its own kind gives it a slot of its own here."""

PROVIDED: dict[str, Callable[[Frame], Any]] = {
    "n_latent": lambda frame: frame.n_latent,
    "event": lambda frame: frame.event,
    "n_condition": lambda frame: frame.n_condition,
    "n_classes": lambda frame: frame.n_classes,
    "n_rows": lambda frame: frame.n_rows,
    "encoder": lambda frame: frame.encoder(),
    "posterior": lambda frame: frame.posterior(),
    "curvature": lambda frame: frame.get("curvature", 1.0),
    "n_categories": lambda frame: frame.get("n_categories", None),
    "masked": lambda frame: frame.masked,
    "scaling": lambda frame: frame.scaling,
    "code_dim": lambda frame: frame.code_dim,
    "maps": lambda frame: frame.decoder((MAPS, *frame.event)),
    "output": lambda frame: frame.output(),
}
"""Arguments of parts that come from the data or from other parts: a part that has one of these names gets it."""


MAPS = 8
"""Maps of the size of a row that latents become before a decoder that goes entry by entry."""

OUTPUTS = {"binary": "bernoulli", "levels": "discretised_logistic_mixture"}
"""Families of single entries in such a decoder, by what the data are."""


def objective_settings() -> tuple[str, ...]:
    """Return the settings of all registered objectives, which need no dot: ``beta``, ``free_bits`` and others."""
    names = {f.name for _, cls in registry("objective").items() for f in dataclasses.fields(cls)}
    return tuple(sorted(names - set(PROVIDED) - set(SLOTS)))


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
        ragged: Whether rows come with lengths.
        n_condition: Width of the condition.
        n_classes: Number of classes of the label; 0 without one.
        n_rows: Number of training rows.
        own_encoder: Encoder that the data propose, where it is another than the network's.
        encoder_settings: Its settings.
        n_labelled: How many of them have a label.
        modalities: Fields of the frame of each modality by name, where rows have several.
        feature_shape: Shape of the features that a decoder starts from, where these are no vector.
        settings: What the user set.
    """

    event: tuple[int, ...]
    family: str
    family_settings: dict[str, Any] = field(default_factory=dict)
    shared: tuple[str, ...] = ()
    network: str = "mlp"
    masked: bool = False
    ragged: bool = False
    n_condition: int = 0
    n_classes: int = 0
    n_rows: int = 0
    own_encoder: str | None = None
    encoder_settings: dict[str, Any] = field(default_factory=dict)
    n_labelled: int = 0
    modalities: dict[str, dict[str, Any]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)
    _posterior: AnyPosterior | None = None
    feature_shape: tuple[int, ...] | None = None
    _fixed_latent: int | None = None
    _coder: Coder | None = None
    _code_dim: int = 0

    # --- settings ---------------------------------------------------------------------------------------------------
    def get(self, name: str, default: Any) -> Any:
        """Return what the user set, else ``default``; the name counts as used."""
        self._used.add(name)
        return self.settings.get(name, default)

    def prefer(self, **defaults: Any) -> None:
        """Set what the recipe wishes of networks, where the user set nothing."""
        self.settings = {**defaults, **self.settings}

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
        takes = _parameters(registry(role)[name])
        given = {**fixed, **(defaults if name == default else {}), **own}
        if isinstance(given.get("output"), str):
            given["output"] = self.output(given["output"])
        provided = {k: PROVIDED[k](self) for k in takes if k in PROVIDED and k not in given}
        return make(f"{role}/{name}", **provided, **given)

    def check_all_used(self, recipe: str) -> None:
        """Refuse settings nobody asked for.

        Raises:
            SettingError: A setting is unknown, or this recipe has no use for it.
        """
        for name in self.settings:
            if name in self._used:
                continue
            known = names()
            if name.partition(".")[0] not in known:
                near = suggestion(name, list(known))
                raise SettingError(f"Unknown setting {name!r}.{near} Known: {', '.join(known)}.")
            raise SettingError(f"The recipe {recipe!r} with these parts has no use for {name!r}. Leave it out.")

    # --- parts ------------------------------------------------------------------------------------------------------
    @property
    def n_latent(self) -> int:
        """Width of the latent code: set, or from the size of a row (2 to 32)."""
        if self._fixed_latent is not None:
            return self._fixed_latent
        size = prod(self.event)
        width: int = self.get("n_latent", 32 if len(self.event) == 3 and size > 256 else max(2, min(16, size // 2)))
        return width

    def inner(self, *, n_latent: int | None = None, without: tuple[str, ...] = (), **changes: Any) -> Frame:
        """Return the frame of a part of a larger model: other sizes, the same settings but for those in ``without``.

        Args:
            n_latent: Width of the latents there.
            without: Settings that are not about that part.
            changes: Other fields of the frame.
        """
        kept = {k: v for k, v in self.settings.items() if k.partition(".")[0] not in without}
        width = self._fixed_latent if n_latent is None else n_latent
        return dataclasses.replace(self, settings=kept, _posterior=None, _fixed_latent=width, **changes)

    def of_codes(self, width: int, n_latent: int, *, n_condition: int = 0) -> Frame:
        """Return the frame of a model whose rows are the codes, ``(width,)``, of the model below it."""
        return self.inner(
            n_latent=n_latent, without=("likelihood", "shared", "network", "posterior"), event=(width,),
            family="normal", family_settings={}, shared=(), network="mlp", masked=False, ragged=False, modalities={},
            n_condition=n_condition, own_encoder=None, encoder_settings={},
        )

    @property
    def hidden(self) -> tuple[int, ...]:
        """Widths of the hidden layers of fully connected networks."""
        default = (512, 512) if prod(self.event) > 256 else (256, 256)
        given = self.get("hidden", default)
        return tuple(given) if isinstance(given, list | tuple) else (given,)

    def conditional(
        self, n_in: int, n_latent: int, family: Family | None = None, *, deep: bool = False, calm: bool = False
    ) -> Conditional:
        """Return p(a | given), by default a diagonal normal; one hidden layer, or all of them where it is ``deep``."""
        chosen = make("family/normal") if family is None else family
        found: Conditional = make(
            "conditional/mlp", n_in=n_in, n_latent=n_latent, family=chosen,
            hidden=self.hidden if deep else self.hidden[:1], activation=self.get("activation", "relu"), calm=calm,
        )
        return found

    @property
    def classes(self) -> int:
        """Number of classes.

        Raises:
            CombinationError: The data have no label, or it is a condition already.
        """
        if self.n_condition:
            raise CombinationError(
                "This recipe infers the label itself, but the data come with a condition. Leave condition=... out."
            )
        return check_classes(self.n_classes)

    @property
    def alpha(self) -> float:
        """Weight of the classification loss per labelled row: set, or a tenth of all rows over the labelled ones.

        And at least 50: a row costs a hundred nats, its label two; where that counts little the latents take it all.
        """
        share: float = self.get("alpha", max(50.0, 0.1 * self.n_rows / max(1, self.n_labelled)))
        return share

    def prior(self, name: str = "standard_normal", **defaults: Any) -> Prior:
        """Return the prior: the recipe's, unless the user chose a posterior on another space and no prior."""
        prior: Prior = self._part("prior", "prior", self._fitting(name), defaults)
        return prior

    def _fitting(self, name: str) -> str:
        chosen = self.settings.get("posterior")
        if "prior" in self.settings or not isinstance(chosen, str):
            return name
        roles = [registry(role) for role in ("posterior", "family") if chosen in registry(role)]
        usual: str = roles[0][chosen].usual_prior if roles else name
        known = registry("prior")
        return name if known[name].lives_on in ("any", known[usual].lives_on) else usual

    def posterior(self, name: str = "normal", **defaults: Any) -> AnyPosterior:
        """Return the posterior with its encoder, the same one each time: a prior may hold it.

        Its name is that of a posterior, or of a family whose numbers an encoder gives.
        """
        if self._posterior is None:
            if self.word("posterior", name) in registry("posterior"):
                self._posterior = self._part("posterior", "posterior", name, defaults)
            else:
                made: Family = self._part("family", "posterior", name, defaults)
                self._posterior = Posterior(self.encoder(), made, self.n_latent)
        return self._posterior

    def likelihood(self, family: str | None = None, **defaults: Any) -> AnyLikelihood:
        """Return the likelihood: the recipe's, or the family that the data propose, with its decoder."""
        if self.modalities:
            return modal_likelihood(self)
        default, own = (self.family, self.family_settings) if family is None else (family, defaults)
        if self.word("likelihood", default) in registry("likelihood"):
            whole: AnyLikelihood = self._part("likelihood", "likelihood", default, own)
            return whole
        made: Family = self._part("family", "likelihood", default, own)
        proposed = self.shared if self.settings.get("likelihood", default) == self.family else ()
        given = self.get("shared", proposed)
        shared = (given,) if isinstance(given, str) else tuple(given if isinstance(given, list | tuple) else [given])
        decoder = self.decoder(decoded_shape(made, tuple(self.event), shared))
        return seeing_holes(Likelihood(decoder, made, self.event, shared=shared), self)

    @property
    def scaling(self) -> Scaling | None:
        """How encoders scale their input: bits, levels and shares by their range, everything else as usual."""
        bounded = registry("family")[self.family].support in ("binary", "levels", "unit", "interval")
        return "range" if bounded else None

    def encoder(self) -> Encoder:
        """Return the encoder network."""
        if self.modalities:
            return modal_encoder(self)
        network = self.word("network", self.network)
        own = self.own_encoder if network == self.network else None
        fixed = dict(self.encoder_settings) if own else {"scaling": self.scaling}
        encoder: Encoder = make(
            f"encoder/{own or network}", event=self.event, masked=self.masked or self.ragged,
            n_condition=self.n_condition, **fixed, **self._network_settings("encoder", own or network),
        )
        return encoder

    def decoder(self, raw_shape: tuple[int, ...]) -> Decoder:
        """Return the decoder network."""
        if self.feature_shape is not None:
            last: Decoder = make("decoder/feature_map", feature_shape=self.feature_shape, raw_shape=raw_shape)
            return last
        grids = () if self._coder is None else self._coder.grids
        network = "spatial" if grids else self.word("network", self.network)
        settings = self._network_settings("decoder", network) | ({"grids": grids} if grids else {})
        if "hidden" in settings:
            settings["hidden"] = tuple(settings["hidden"])[::-1]
        decoder: Decoder = make(
            f"decoder/{network}", n_latent=self.n_latent, raw_shape=raw_shape, n_condition=self.n_condition, **settings
        )
        return decoder

    def _network_settings(self, role: str, network: str) -> dict[str, Any]:
        takes = _parameters(registry(role)[network])
        default = {"hidden": self.hidden} if "hidden" in takes else {}
        asked = [k for k in NETWORK_SETTINGS if k in takes and (k in self.settings or k in default)]
        return {k: self.get(k, default.get(k)) for k in asked}

    def output(self, name: str | None = None) -> Family:
        """Return the family of single entries in a decoder that goes entry by entry."""
        proposed = registry("family")[self.family]
        chosen = name or OUTPUTS.get(proposed.support, self.family)
        levels = self.family_settings.get("levels", self.family_settings.get("n", 2))
        takes = _parameters(registry("family")[chosen])
        family: Family = make(f"family/{chosen}", **{k: levels for k in ("levels", "n") if k in takes})
        return family

    # --- codes ------------------------------------------------------------------------------------------------------
    @property
    def code_dim(self) -> int:
        """Width of a code vector: that of the quantiser made before, or set."""
        width: int = self._code_dim or self.get("code_dim", 16)
        return width

    def quantiser(self, name: str = "vq", **defaults: Any) -> Quantiser:
        """Return a quantiser, another one each time."""
        quantiser: Quantiser = self._part("quantiser", "quantiser", name, defaults)
        self._code_dim = quantiser.width
        return quantiser

    def coder(self, **defaults: Any) -> Coder:
        """Return the coder: a grid of vectors for an image under convolutions, else a set of them."""
        name = "grid" if self.word("network", self.network) == "conv" else "set"
        fits = {k: v for k, v in defaults.items() if k in _parameters(registry("coder")[name])}
        settings = self._network_settings("coder", self.word("coder", name))
        if fits != defaults and self.word("coder", name) == name:
            raise CombinationError(
                f"This recipe needs codes on grids ({', '.join(defaults)}), but the network makes a set of codes. "
                "Use it for images, with network=conv."
            )
        self._coder = self._part("coder", "coder", name, fits, **settings)
        self._fixed_latent = self._coder.size
        return self._coder

    def code_prior(self, quantisers: tuple[Quantiser, ...], name: str = "transformer", **defaults: Any) -> CodePrior:
        """Return the prior over the codes of all levels."""
        assert self._coder is not None  # made before its prior
        entries = sum(n * q.depth for n, q in zip(self._coder.places, quantisers, strict=True))
        prior: CodePrior = self._part(
            "code_prior", "code_prior", name, defaults, n_values=quantisers[0].n_codes, n_entries=entries
        )
        return prior

    # --- objective --------------------------------------------------------------------------------------------------
    def elbo(self, **defaults: Any) -> Objective:
        """Return the evidence lower bound, unless the user names another objective."""
        return self.objective("elbo", **defaults)

    def objective(self, name: str, **defaults: Any) -> Objective:
        """Return an objective: the recipe's, or the one the user names; its settings need no dot."""
        chosen = self.word("objective", name)
        takes = _parameters(registry("objective")[chosen])
        own = dict(defaults) if chosen == name else {}
        own |= {k: self.get(k, None) for k in objective_settings() if k in takes and k in self.settings}
        if "warmup" in takes:
            own["warmup"] = self.warmup(own.get("warmup"))
        objective: Objective = self._part("objective", "objective", name, {}, **own)
        return objective

    def warmup(self, default: Warmup | None = None) -> Warmup:
        """Return the warm-up of the rate: the recipe's, or none, unless the user names one."""
        if "warmup" not in self.settings:
            return Constant() if default is None else default
        warmup: Warmup = self._part("schedule", "warmup", "constant", {})
        return warmup


def names() -> tuple[str, ...]:
    """Return every setting of every recipe."""
    return (*SLOTS, *objective_settings())


def _parameters(cls: Any) -> tuple[str, ...]:
    return tuple(inspect.signature(cls).parameters)
