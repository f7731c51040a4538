"""What a recipe builds with: the shape of the data, what their kind proposes, and the settings a user gave.

Settings are plain names, with a dot for settings of a part: ``n_latent=16``, ``prior=mixture``,
``prior.n_components=32``, ``likelihood=student_t``, ``warmup=linear``, ``warmup.steps=2000``. What the user set wins
over what the recipe asks for, which wins over what the kind of data proposes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, final

import torch

from ..core.batch import Batch
from ..core.errors import SettingError
from ..core.spec import make, registry
from ..data.proposal import Choice, Proposal
from ..distributions.family import Family
from ..distributions.within import within
from ..nn.inputs import Decoder, Encoder, Scaling
from ..objectives.base import Objective
from ..objectives.warmup import Constant, Warmup
from ..parts.base import AnyLikelihood, AnyPosterior, Prior
from ..parts.conditionals import Conditional
from ..parts.likelihoods.decoded import Likelihood, decoded_shape
from ..parts.posteriors.amortised import Posterior
from .provided import PROVIDED
from .settings import NETWORK_SETTINGS, SLOT_OF, Settings, objective_settings, parameters

OUTPUTS = {"binary": "bernoulli", "levels": "discretised_logistic_mixture"}
"""Families of single entries in a decoder that goes entry by entry, by what the data are."""

COUNTS = "negative_binomial_given_depth"
"""Family of counts whose row has a depth."""

NETWORKS = ("encoder", "decoder", "coder")
"""Roles that share the settings of networks."""

NOTHING: Mapping[str, Any] = {}


@final
@dataclass
class Frame:
    """The place where a recipe's parts meet data and settings.

    Args:
        event: Shape of one row.
        proposal: What the kind of data suggests.
        masked: Whether rows come with a mask.
        ragged: Whether rows come with lengths.
        n_condition: Width of the condition.
        n_classes: Number of classes of the label; 0 without one.
        n_rows: Number of training rows.
        n_numbers: Numbers of a row that codes are to tell.
        n_facts: Numbers that are known of each entry of a row.
        n_labelled: How many of them have a label.
        names: Names of the entries of a row, where they have some.
        number_names: Names of the numbers that codes are to tell.
        settings: What the user set.
        modal_masks: Of several modalities, those that come with a mask; all that do, where it is not said.
        modal_lengths: Likewise with lengths.
        own_decoder: Decoder that a model asks for, where its latents are no plain vector.
        code_width: Width of the code vectors of a model with codes, once its quantiser is made.
        makers: How a part is made otherwise than from settings, by ``role/name``.

    Example:
        >>> frame = Frame((4,), Proposal(likelihood=Choice("bernoulli")), settings=Settings({"encoder.norm": "layer"}))
        >>> frame.encoder().n_features, frame.likelihood().family
        (256, BernoulliFamily())
    """

    event: tuple[int, ...]
    proposal: Proposal
    masked: bool = False
    ragged: bool = False
    n_condition: int = 0
    n_classes: int = 0
    n_rows: int = 0
    n_numbers: int = 0
    n_facts: int = 0
    n_labelled: int = 0
    names: tuple[str, ...] = ()
    number_names: tuple[str, ...] = ()
    settings: Settings = field(default_factory=Settings)
    modal_masks: frozenset[str] | None = None
    modal_lengths: frozenset[str] | None = None
    own_decoder: Choice | None = None
    code_width: int | None = None
    makers: Mapping[str, Callable[[Frame], Any]] = field(default_factory=dict)
    _posterior: AnyPosterior | None = None
    _fixed_latent: int | None = None

    # --- settings ---------------------------------------------------------------------------------------------------
    def get(self, name: str, default: Any) -> Any:
        """Return what the user set, else ``default``; the name counts as used."""
        return self.settings.ask(name, default)

    def word(self, name: str, default: str) -> str:
        """Return a setting that names something."""
        return self.settings.word(name, default)

    def prefer(self, **defaults: Any) -> None:
        """Set what the recipe wishes of networks, where the user set nothing."""
        for name, value in defaults.items():
            self.settings.setdefault(name, value)

    def part(
        self, role: str, default: str, defaults: Mapping[str, Any] = NOTHING, *, slot: str | None = None,
        fixed: Mapping[str, Any] = NOTHING,
    ) -> Any:
        """Make the part that the user named, or the recipe's, with the settings of either.

        The setting ``encoder=NAME`` chooses a part of the role ``encoder``, ``encoder.dropout=0.1`` sets an argument of
        it. Arguments of :data:`PROVIDED` come from the data and from other parts.

        Args:
            role: Role of the part.
            default: Name of the recipe's choice.
            defaults: Arguments of the recipe's choice.
            slot: Setting that chooses it; by default named like the role.
            fixed: Arguments that whatever is chosen gets, unless the user sets them.
        """
        slot = slot or SLOT_OF.get(role, role)
        name = self.word(slot, default)
        if f"{role}/{name}" in self.makers:
            return self.makers[f"{role}/{name}"](self)
        takes = parameters(registry(role)[name])
        shared = self._network_settings(role, takes)
        given = {**fixed, **shared, **(defaults if name == default else {}), **self.settings.own(slot)}
        if isinstance(given.get("output"), str):
            given["output"] = self.output(given["output"])
        provided = {k: PROVIDED[k](self) for k in takes if k not in given and k != role and k in PROVIDED}
        return make(f"{role}/{name}", **provided, **given)

    def _network_settings(self, role: str, takes: tuple[str, ...]) -> dict[str, Any]:
        """Return the settings without a dot that a network takes; a decoder widens where an encoder narrows."""
        if role not in NETWORKS:
            return {}
        found = {k: self.get(k, None) for k in NETWORK_SETTINGS if k in takes and k in self.settings}
        if "hidden" in takes:
            found["hidden"] = self.hidden[::-1] if role == "decoder" else self.hidden
        return found

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
        width = self._fixed_latent if n_latent is None else n_latent
        kept = self.settings.without(*without)
        return dataclasses.replace(self, settings=kept, _posterior=None, _fixed_latent=width, **changes)

    def of_codes(self, width: int, n_latent: int, *, n_condition: int = 0) -> Frame:
        """Return the frame of a model whose rows are the codes, ``(width,)``, of the model below it."""
        return self.inner(
            n_latent=n_latent, without=("likelihood", "shared", "network", "encoder", "decoder", "posterior"),
            event=(width,), proposal=Proposal(likelihood=Choice("normal")), masked=False, ragged=False,
            n_condition=n_condition,
        )

    def of_modalities(self) -> dict[str, Frame]:
        """Return a frame for each modality that the data propose: their event and parts, the settings of all."""
        without = ("likelihood", "shared", "network", "encoder", "decoder", "posterior")
        return {
            name: self.inner(
                n_latent=self.n_latent, without=without, event=one.event, proposal=one.proposal,
                masked=self.masked if self.modal_masks is None else name in self.modal_masks,
                ragged=self.ragged if self.modal_lengths is None else name in self.modal_lengths,
            )
            for name, one in self.proposal.modalities.items()
        }

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

    def prior(self, name: str = "standard_normal", **defaults: Any) -> Prior:
        """Return the prior: the recipe's, unless the user chose a posterior on another space and no prior."""
        prior: Prior = self.part("prior", self._fitting(name), defaults)
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
                self._posterior = self.part("posterior", name, defaults)
            else:
                made: Family = self.part("family", name, defaults, slot="posterior")
                self._posterior = Posterior(self.encoder(), made, self.n_latent)
        return self._posterior

    def likelihood(self, family: str | None = None, **defaults: Any) -> AnyLikelihood:
        """Return the likelihood: the recipe's, or the family that the data propose, with its decoder."""
        proposal = self.proposal.likelihood
        default, own = (proposal.name, proposal.settings) if family is None else (family, defaults)
        if self.word("likelihood", default) in registry("likelihood"):
            whole: AnyLikelihood = self.part("likelihood", default, own)
            return whole
        made: Family = self.part("family", default, own)
        is_proposed = self.settings.get("likelihood", default) == proposal.name
        proposed = self.proposal.shared if is_proposed else made.usually_shared
        given = self.get("shared", proposed)
        shared = (given,) if isinstance(given, str) else tuple(given if isinstance(given, list | tuple) else [given])
        decoder = self.decoder(decoded_shape(made, tuple(self.event), shared))
        by = {"shared_by": self.n_condition} if shared and self._shared_by_condition() else {}
        return self._seeing_masks(Likelihood(decoder, made, self.event, shared=shared, **by))

    def at_depth(self) -> AnyLikelihood:
        """Return the likelihood of counts given a depth that the last latent says: of one latent less.

        Raises:
            SettingError: There is one latent alone.
        """
        if self.n_latent < 2:
            raise SettingError("A depth that is inferred takes a latent, but there is one alone. Set n_latent=2.")
        inner = self.inner(n_latent=self.n_latent - 1, without=("likelihood",))
        return inner.likelihood(self.word("counts", COUNTS))

    def _shared_by_condition(self) -> bool:
        """Whether the shared raw numbers depend on the condition.

        Raises:
            SettingError: They cannot: there is no condition, or the word is none of the two.
        """
        by = self.word("shared_by", "element")
        if by not in ("element", "condition") or (by == "condition" and not self.n_condition):
            raise SettingError(
                "What all rows share is of the element (shared_by=element) or, where rows have a condition, of both "
                f"(shared_by=condition), but got {by!r} with a condition of width {self.n_condition}. Choose one."
            )
        return by == "condition"

    def _seeing_masks(self, likelihood: Likelihood) -> Likelihood:
        """Refuse a likelihood without known marginals where rows come with a mask or lengths."""
        if self.masked or self.ragged:
            x = torch.zeros(1, *self.event)
            with torch.no_grad():
                p = likelihood.eval()(torch.zeros(1, 1, self.n_latent), torch.zeros(1, self.n_condition))
                within(p, Batch(x, mask=torch.ones_like(x, dtype=torch.bool)))
            likelihood.train()
        return likelihood

    @property
    def scaling(self) -> Scaling | None:
        """How encoders scale their input: bits, levels and shares by their range, everything else as usual."""
        return "range" if self.support in ("binary", "levels", "unit", "interval") else None

    @property
    def support(self) -> str | None:
        """What the values are, as the proposed likelihood says; ``None`` where it does not."""
        name = self.proposal.likelihood.name
        found = next((registry(r)[name] for r in ("family", "likelihood") if name in registry(r)), None)
        return getattr(found, "support", None)

    @property
    def network(self) -> str:
        """Name of encoder and decoder together: set, or as proposed for the decoder."""
        return self.word("network", self._decoder.name)

    @property
    def _decoder(self) -> Choice:
        """The proposed decoder: by default the one named like the encoder."""
        name = self.proposal.encoder.name
        return self.proposal.decoder or Choice(name if name in registry("decoder") else "mlp")

    def encoder(self) -> Encoder:
        """Return the encoder network."""
        proposed = self.proposal.encoder if self.network == self._decoder.name else Choice(self.network)
        takes = parameters(registry("encoder")[self.word("encoder", proposed.name)])
        fixed = {"masked": True} if self.ragged and "masked" in takes else {}  # it sees where a row ends
        encoder: Encoder = self.part("encoder", proposed.name, proposed.settings, fixed=fixed)
        return encoder

    def decoder(self, raw_shape: tuple[int, ...]) -> Decoder:
        """Return the decoder network."""
        proposed = self._decoder if self.network == self._decoder.name else Choice(self.network)
        proposed = self.own_decoder or proposed
        decoder: Decoder = self.part("decoder", proposed.name, proposed.settings, fixed={"raw_shape": raw_shape})
        return decoder

    def output(self, name: str | None = None) -> Family:
        """Return the family of single entries in a decoder that goes entry by entry."""
        proposed = self.proposal.likelihood
        chosen = name or OUTPUTS.get(str(self.support), proposed.name)
        levels = proposed.settings.get("levels", proposed.settings.get("n", 2))
        takes = parameters(registry("family")[chosen])
        family: Family = make(f"family/{chosen}", **{k: levels for k in ("levels", "n") if k in takes})
        return family

    # --- objective --------------------------------------------------------------------------------------------------
    def elbo(self, **defaults: Any) -> Objective:
        """Return the evidence lower bound, unless the user names another objective."""
        return self.objective("elbo", **defaults)

    def objective(self, name: str, **defaults: Any) -> Objective:
        """Return an objective: the recipe's, or the one the user names; its settings need no dot."""
        chosen = self.word("objective", name)
        takes = parameters(registry("objective")[chosen])
        own = dict(defaults) if chosen == name else {}
        own |= {k: self.get(k, None) for k in objective_settings() if k in takes and k in self.settings}
        if "warmup" in takes:
            own["warmup"] = self.warmup(own.get("warmup"))
        objective: Objective = self.part("objective", name, fixed=own)
        return objective

    def warmup(self, default: Warmup | None = None) -> Warmup:
        """Return the warm-up of the rate: the recipe's, or none, unless the user names one."""
        if "warmup" not in self.settings:
            return Constant() if default is None else default
        warmup: Warmup = self.part("schedule", "constant")
        return warmup

