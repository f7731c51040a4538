"""Recipes with a quantum circuit, and the Boltzmann machine that one of them is compared with."""

from __future__ import annotations

from ..core.errors import CombinationError
from ..core.examples import example
from ..models.flat import Flat
from ..nn.inputs import Encoder
from ..parts.compressed import CompressedLikelihood, CompressedPosterior
from .frame import Frame
from .registry import Made, recipe


def with_bits(frame: Frame, prior: str) -> Made:
    """Return a model of eight bits, passed straight through, whose rate to the prior is exact."""
    frame.settings.setdefault("n_latent", 8)
    posterior = frame.posterior("bit_codes", estimator="straight_through")
    return Flat(frame.prior(prior), posterior, frame.likelihood()), frame.elbo()


@example(settings={"prior.layers": 2})
@recipe(
    "born-vae",
    title="Latents that are bits, with a quantum circuit as the prior over them: its probabilities are exact",
    paper="Liu and Wang, Differentiable Learning of Quantum Circuit Born Machine, 2018, https://arxiv.org/abs/1804.04168",
)
def born_vae(frame: Frame) -> Made:
    """A Born machine over eight bits."""
    return with_bits(frame, "born")


@recipe(
    "rbm-vae",
    title="Latents that are bits, with a restricted Boltzmann machine as the prior, its partition function exact",
    paper="Rolfe, Discrete Variational Autoencoders, 2017, https://arxiv.org/abs/1609.02200",
)
def rbm_vae(frame: Frame) -> Made:
    """A Boltzmann machine over eight bits."""
    return with_bits(frame, "rbm")


@example(settings={"encoder.n_kept": 1}, data="real", frame={"event": (4,)})
@recipe(
    "quantum-autoencoder",
    title="States of qubits on fewer qubits: a circuit that frees the others, and its inverse; no rate",
    paper="Romero, Olson and Aspuru-Guzik, Quantum autoencoders, 2017, https://arxiv.org/abs/1612.02806",
)
def quantum_autoencoder(frame: Frame) -> Made:
    """Rows are real amplitudes, a power of two of them; the squared error is one minus the fidelity of the trash."""
    if frame.masked or frame.ragged:
        raise CombinationError(
            "A state has all its amplitudes, but in some rows there are missing ones. Leave those rows out, or use "
            "recipe=autoencoder."
        )
    shared: Encoder = frame.part("encoder", "compressor")
    inner = frame.inner(n_latent=shared.n_features)
    posterior, likelihood = CompressedPosterior(shared), CompressedLikelihood(shared, frame.event)
    return Flat(inner.prior(), posterior, likelihood), frame.elbo(beta=0.0)
