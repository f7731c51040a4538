"""What recipes build for rows that are not one whole tensor: with holes, with an end, of several modalities."""

from __future__ import annotations

from typing import Any, Protocol

import torch

from ..core.batch import Batch
from ..core.spec import make
from ..distributions.within import within
from ..nn.inputs import Encoder
from ..parts.base import AnyLikelihood
from ..parts.likelihoods.decoded import Likelihood


class AnyFrame(Protocol):
    """What is asked of a frame here."""

    event: tuple[int, ...]
    masked: bool
    ragged: bool
    n_condition: int
    modalities: dict[str, dict[str, Any]]
    _used: set[str]

    @property
    def n_latent(self) -> int:
        """Width of the latent code."""

    def inner(self, *, n_latent: int | None = None, **changes: Any) -> AnyFrame:
        """Return the frame of a part."""

    def encoder(self) -> Encoder:
        """Return an encoder."""

    def likelihood(self) -> AnyLikelihood:
        """Return a likelihood."""


def seeing_holes(likelihood: Likelihood, frame: AnyFrame) -> Likelihood:
    """Return a likelihood if its marginals are known, or rows come without holes and ends.

    Raises:
        CombinationError: They are not known.
    """
    if frame.masked or frame.ragged:
        x = torch.zeros(1, *frame.event)
        with torch.no_grad():
            p = likelihood.eval()(torch.zeros(1, 1, frame.n_latent), torch.zeros(1, frame.n_condition))
            within(p, Batch(x, mask=torch.ones_like(x, dtype=torch.bool)))
        likelihood.train()
    return likelihood


def frames_of(frame: AnyFrame) -> dict[str, AnyFrame]:
    """Return a frame for each modality: the settings of all, with what its own data propose."""
    return {
        name: frame.inner(n_latent=frame.n_latent, **{"modalities": {}, **fields})
        for name, fields in frame.modalities.items()
    }


def modal_encoder(frame: AnyFrame) -> Encoder:
    """Return an encoder for each modality, joined."""
    frames = frames_of(frame)
    encoder: Encoder = make("encoder/modalities", encoders={name: one.encoder() for name, one in frames.items()})
    frame._used |= set().union(*(one._used for one in frames.values()))
    return encoder


def modal_likelihood(frame: AnyFrame) -> AnyLikelihood:
    """Return a likelihood for each modality, joined."""
    frames = frames_of(frame)
    made: AnyLikelihood = make(
        "likelihood/modalities", likelihoods={name: one.likelihood() for name, one in frames.items()}
    )
    frame._used |= set().union(*(one._used for one in frames.values()))
    return made
