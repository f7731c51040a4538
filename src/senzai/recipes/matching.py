"""Codes matched to the prior all together instead of row by row, and autoencoders without noise in the code."""

from __future__ import annotations

from ..models.flat import Flat
from .bounds import plain
from .frame import Frame
from .registry import Made, recipe


@recipe(
    "info-vae",
    title="Codes matched to the prior as a whole by MMD, no rate: informative codes that still sample",
    paper="Zhao et al., InfoVAE, 2019, https://arxiv.org/abs/1706.02262",
)
def info_vae(frame: Frame) -> Made:
    """The MMD-VAE, the paper's alpha = 1: a normal posterior, weight 1000, one normal kernel."""
    return plain(frame, frame.objective("mmd", beta=0.0, mmd_weight=1000.0, kernel="rbf"))


@recipe(
    "wae",
    title="Wasserstein autoencoder: point codes matched to the prior by MMD",
    paper="Tolstikhin et al., Wasserstein Auto-Encoders, 2018, https://arxiv.org/abs/1711.01558",
)
def wae(frame: Frame) -> Made:
    """Nearly deterministic codes, inverse multiquadratic kernels of several widths."""
    posterior = frame.posterior("normal_fixed", scale=0.01)
    return Flat(frame.prior(), posterior, frame.likelihood()), frame.objective("mmd", beta=0.0)


@recipe(
    "rae",
    title="Regularised autoencoder: a deterministic code of limited size and a smooth decoder",
    paper="Ghosh et al., From Variational to Deterministic Autoencoders, 2020, https://arxiv.org/abs/1903.12436",
)
def rae(frame: Frame) -> Made:
    """Weights of the decoder kept small; ``smoothing=gradient``, ``smoothing=none`` and ``spectral=true`` vary it."""
    posterior = frame.posterior("normal_fixed", scale=0.01)
    return Flat(frame.prior(), posterior, frame.likelihood()), frame.objective("rae")
