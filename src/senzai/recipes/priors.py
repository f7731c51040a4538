"""Recipes whose prior is learned."""

from __future__ import annotations

from ..core.examples import example
from ..models.flat import Flat
from .frame import Frame
from .registry import Made, recipe


@recipe(
    "vamp-vae",
    title="VampPrior: the prior is a mixture of the posteriors of learned pseudo-inputs",
    paper="Tomczak and Welling, VAE with a VampPrior, 2018, https://arxiv.org/abs/1705.07120",
)
def vamp_vae(frame: Frame) -> Made:
    """The posterior itself, at pseudo-inputs that start at training rows."""
    return Flat(frame.prior("vamp"), frame.posterior(), frame.likelihood()), frame.elbo()


@recipe(
    "exemplar-vae",
    title="Exemplar prior: a kernel density on the codes of training rows, leave-one-out in training",
    paper="Norouzi, Fleet and Norouzi, Exemplar VAE, 2020, https://arxiv.org/abs/2004.04795",
)
def exemplar_vae(frame: Frame) -> Made:
    """Training rows, kept in the model, are the prior."""
    return Flat(frame.prior("exemplar"), frame.posterior(), frame.likelihood()), frame.elbo()


@recipe(
    "flow-prior-vae",
    title="Prior that is a flow: RealNVP, MAF or neural splines (prior.kind)",
    paper="Chen et al., Variational Lossy Autoencoder, 2017, https://arxiv.org/abs/1611.02731",
)
def flow_prior_vae(frame: Frame) -> Made:
    """A standard normal seen through an invertible network."""
    return Flat(frame.prior("flow"), frame.posterior(), frame.likelihood()), frame.elbo()


@recipe(
    "autoregressive-prior-vae",
    title="Prior over one latent dimension after the other, each a mixture of normals",
    paper="Chen et al., Variational Lossy Autoencoder, 2017, https://arxiv.org/abs/1611.02731",
)
def autoregressive_prior_vae(frame: Frame) -> Made:
    """A masked network gives every conditional."""
    return Flat(frame.prior("autoregressive"), frame.posterior(), frame.likelihood()), frame.elbo()


@recipe(
    "lars-vae",
    title="Resampled prior: standard normal proposals, accepted with a learned probability",
    paper="Bauer and Mnih, Resampled Priors for Variational Autoencoders, 2019, https://arxiv.org/abs/1810.11428",
)
def lars_vae(frame: Frame) -> Made:
    """Truncated rejection sampling with an estimated normaliser."""
    return Flat(frame.prior("lars"), frame.posterior(), frame.likelihood()), frame.elbo()


@example(settings={"prior.hidden": (8,)})
@recipe(
    "hierarchical-prior-vae",
    title="Prior with latents of its own: a second autoencoder on the latents, trained with the first",
    paper="Klushyn et al., Learning Hierarchical Priors in VAEs, 2019, https://arxiv.org/abs/1905.04982",
)
def hierarchical_prior_vae(frame: Frame) -> Made:
    """A hyper-prior that is integrated out by importance weights."""
    return Flat(frame.prior("two_stage"), frame.posterior(), frame.likelihood()), frame.elbo()


@recipe(
    "latent-flow-matching-vae",
    title="Latent diffusion in its deterministic form: a velocity field from noise to codes, fitted by flow matching",
    paper="Rombach et al., Latent Diffusion Models, 2022, https://arxiv.org/abs/2112.10752",
)
def latent_flow_matching_vae(frame: Frame) -> Made:
    """The autoencoder and the field are two players."""
    model = Flat(frame.prior("flow_matching"), frame.posterior(), frame.likelihood())
    return model, frame.objective("latent_matching")
