"""What a kind suggests for its data: parts by their registered names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Choice:
    """A part by its registered name.

    Args:
        name: Its name, without the role.
        settings: Its arguments, as far as the data decide them.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a kind suggests for its data. What a recipe asks for goes before it, what the user sets before both.

    Args:
        likelihood: A likelihood, or a family whose numbers a decoder gives.
        encoder: Network from a batch to features.
        decoder: Network from latents to the numbers of the family; by default the one named like the encoder.
        recipe: Recipe of a fit for which the user names none.
        shared: Raw numbers of the family that are learned once for all rows and are no output of the network.
        training: Settings of training that suit these data, where the user sets none.
        modalities: What is proposed for each modality by name, where rows have several; see :func:`several`.
        reason: One plain sentence.

    Example:
        >>> Proposal(likelihood=Choice("mixed"), encoder=Choice("table"), decoder=Choice("mlp")).recipe
        'vae'
    """

    likelihood: Choice
    encoder: Choice = field(default_factory=lambda: Choice("mlp"))
    decoder: Choice | None = None
    recipe: str = "vae"
    shared: tuple[str, ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict)
    modalities: Mapping[str, Modality] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Modality:
    """One of several tensors of a row.

    Args:
        event: Its shape.
        proposal: Likelihood and networks for it.
    """

    event: tuple[int, ...]
    proposal: Proposal


def several(modalities: Mapping[str, Modality], **more: Any) -> Proposal:
    """Return the proposal for rows of several modalities: one encoder and one likelihood for each, joined.

    Example:
        >>> bits = Modality((4,), Proposal(likelihood=Choice("bernoulli")))
        >>> several({"left": bits, "right": bits}).encoder.name
        'modalities'
    """
    chosen = Choice("modalities")
    return Proposal(likelihood=chosen, encoder=chosen, decoder=Choice("mlp"), modalities=modalities, **more)
