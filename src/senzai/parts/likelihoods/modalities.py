"""A likelihood of several modalities: one for each, independent given the latents."""

from __future__ import annotations

from math import prod
from typing import final

import torch
from torch import Tensor, nn

from ...core.batch import Batch
from ...core.errors import CombinationError, SettingError
from ...core.examples import example
from ...core.spec import part
from ...distributions.modalities import Modalities
from ...nn.inputs import DataInitialised
from ...nn.modalities import initialise_of
from ..base import AnyLikelihood


@example(data="pair", settings={})
@part("likelihood", "modalities")
@final
class ModalLikelihood(DataInitialised, AnyLikelihood):
    r"""Modalities that share their latents and nothing else, :math:`p(x | z) = \prod_m p_m(x_m | z)`.

    A modality that a row lacks is left out of its product. With ``private`` > 0 the last latents belong to single
    modalities, that many to each in their order: a modality sees the shared ones and its own.

    Reference:
        Multimodal Generative Models for Scalable Weakly-Supervised Learning (Wu and Goodman, 2018).
        https://arxiv.org/abs/1802.05335

    Args:
        likelihoods: Likelihood of each modality by name.
        private: Latents of each modality alone.

    Raises:
        SettingError: There is none, or ``private`` is negative.
        CombinationError: One takes its scale from the whole batch.
    """

    shows_inside = True

    def __init__(self, likelihoods: dict[str, AnyLikelihood], *, private: int = 0) -> None:
        super().__init__()
        if private < 0:
            raise SettingError(f"`private >= 0` must hold, but got private={private!r}. 0 shares all latents.")
        if not likelihoods:
            raise SettingError("Several modalities have a likelihood each, but got none. Give them by name.")
        mixed = [name for name, likelihood in likelihoods.items() if likelihood.mixes_rows]
        if mixed:
            raise CombinationError(
                f"A row that lacks a modality has no part in a scale of the batch, but {', '.join(mixed)} takes its "
                "own from there. Use the likelihood normal."
            )
        self.likelihoods = nn.ModuleDict(likelihoods)
        self.private = private
        self.event = (sum(prod(likelihood.event) for likelihood in likelihoods.values()),)

    def initialise(self, batch: Batch) -> None:
        """Let each likelihood look at the rows that have its modality."""
        for name, likelihood in self.likelihoods.items():
            initialise_of(likelihood, batch, name)

    def forward(self, z: Tensor, c: Tensor | None = None) -> Modalities:
        """Return p(x | z), one distribution for each modality, with batch shape ``z.shape[:-1]``."""
        seen = {name: self.latents_of(z, m) for m, name in enumerate(self.likelihoods)}
        return Modalities({name: likelihood(seen[name], c) for name, likelihood in self.likelihoods.items()})

    def latents_of(self, z: Tensor, m: int) -> Tensor:
        """Return the latents that modality number ``m`` sees: those shared, and its own."""
        if not self.private:
            return z
        shared = z.shape[-1] - len(self.likelihoods) * self.private
        first = shared + m * self.private
        return torch.cat([z[..., :shared], z[..., first : first + self.private]], -1)
