"""Recipes for rows of several modalities: pictures beside sentences beside columns, any of them missing."""

from __future__ import annotations

from typing import Any

from ..core.errors import CombinationError
from ..core.examples import example
from ..models.flat import Flat
from ..objectives.base import Objective
from ..parts.posteriors.experts import Experts
from .frame import Frame
from .registry import Made, recipe


def need_modalities(frame: Frame) -> None:
    """Refuse rows of one tensor.

    Raises:
        CombinationError: Rows have one.
    """
    if not frame.proposal.modalities:
        raise CombinationError(
            "This recipe joins several modalities, but rows have one tensor. Give a table with pictures or sentences, "
            "or a dictionary of views (kind=multimodal); for rows of one sort use the recipe vae."
        )


def bound(frame: Frame, **defaults: Any) -> Objective:
    """Return the bound that weighs modalities by their size."""
    return frame.objective("modalities", **defaults)


def joined(frame: Frame, combine: str, prior_expert: bool | None = None, **bound_by: Any) -> Made:
    """Return experts joined in one way, and their bound."""
    need_modalities(frame)
    posterior = frame.posterior("experts", combine=combine, prior_expert=prior_expert)
    return Flat(frame.prior(), posterior, frame.likelihood("modalities")), bound(frame, **bound_by)


@example(data="pair")
@recipe(
    "mvae",
    title="Product of an expert for each modality and of the prior; subsets are learned beside the whole row",
    paper="Wu and Goodman, Multimodal Generative Models for Scalable Weakly-Supervised Learning, 2018, https://arxiv.org/abs/1802.05335",
)
def mvae(frame: Frame) -> Made:
    """Product of experts; single modalities and a random subset are scored beside all of them."""
    return joined(frame, "product", subsets=1)


@example(data="pair")
@recipe(
    "mmvae",
    title="Mixture of an expert for each modality: each speaks for the whole row",
    paper="Shi et al., Variational Mixture-of-Experts Autoencoders, 2019, https://arxiv.org/abs/1911.03393",
)
def mmvae(frame: Frame) -> Made:
    """Mixture of experts."""
    return joined(frame, "mixture")


@example(data="pair")
@recipe(
    "mopoe",
    title="Mixture over all subsets of modalities of the product of their experts; the default up to four modalities",
    paper="Sutter, Daunhawer and Vogt, Generalized Multimodal ELBO, 2021, https://arxiv.org/abs/2105.02470",
)
def mopoe(frame: Frame) -> Made:
    """Mixture of products of experts."""
    return joined(frame, "mixture_of_products")


@example(data="pair")
@recipe(
    "mvtcae",
    title="Product of experts with a bound of their total correlation; the default for more than four modalities",
    paper="Hwang et al., Multi-View Representation Learning via Total Correlation Objective, 2021, https://openreview.net/forum?id=4UWZGqW0KmS",
)
def mvtcae(frame: Frame) -> Made:
    """Product of experts, each pulled to what all of them say together; the prior is none of them, as in the paper."""
    return joined(frame, "product", prior_expert=False, correlation=0.9)


@example(data="pair")
@recipe(
    "mmvae-plus",
    title="Mixture of experts about shared latents, with private latents of each modality beside them",
    paper="Palumbo, Daunhawer and Vogt, MMVAE+, 2023, https://openreview.net/forum?id=sdQGxouELX",
    settings=("n_private",),
)
def mmvae_plus(frame: Frame) -> Made:
    """A modality is decoded from shared latents and its own; those of others are drawn from the prior."""
    need_modalities(frame)
    shared, private = frame.n_latent, frame.get("n_private", max(1, frame.n_latent // 4))
    m = len(frame.proposal.modalities)
    experts, decoders = frame.inner(n_latent=shared + private), frame.inner(n_latent=shared + private)
    posterior = experts.posterior("experts", combine="mixture", private=private)
    if not isinstance(posterior, Experts):
        raise CombinationError(
            f"Private latents are spoken of by experts, but got a {type(posterior).__name__}. Leave posterior=... out, "
            "or use the recipe mmvae."
        )
    prior = frame.inner(n_latent=shared + m * private).prior()
    return Flat(prior, posterior, decoders.likelihood("modalities", private=private)), bound(frame)


@example(data="pair")
@recipe(
    "jmvae",
    title="An encoder of all modalities together, and one of each alone that is pulled to it",
    paper="Suzuki, Nakayama and Matsuo, Joint Multimodal Learning with Deep Generative Models, 2016, https://arxiv.org/abs/1611.01891",
)
def jmvae(frame: Frame) -> Made:
    """The joint posterior where a row has everything, a product of experts where it has not."""
    need_modalities(frame)
    posterior = frame.posterior("joint_experts")
    return Flat(frame.prior(), posterior, frame.likelihood("modalities")), bound(frame, to_experts=0.1)
