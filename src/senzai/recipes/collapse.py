"""Ways to keep a powerful decoder from ignoring the code."""

from __future__ import annotations

from ..models.flat import Flat
from .bounds import plain
from .frame import Frame
from .registry import Made, recipe


@recipe(
    "aggressive-vae",
    title="The encoder is trained ten times as often as the decoder at first, so that it does not lag behind",
    paper="He et al., Lagging Inference Networks and Posterior Collapse, 2019, https://arxiv.org/abs/1901.05534",
)
def aggressive_vae(frame: Frame) -> Made:
    """One step of the decoder for ten of the encoder during the first fifth of the training."""
    return plain(frame, frame.objective("aggressive"))


@recipe(
    "delta-vae",
    title="A posterior whose rate is above a floor in every dimension of every row",
    paper="Razavi et al., Preventing Posterior Collapse with delta-VAEs, 2019, https://arxiv.org/abs/1901.03416",
)
def delta_vae(frame: Frame) -> Made:
    """A tenth of a nat per dimension at least."""
    return Flat(frame.prior(), frame.posterior("committed", delta=0.1), frame.likelihood()), frame.elbo()


@recipe(
    "bn-vae",
    title="Posterior means of fixed spread over the batch: the mean rate cannot vanish",
    paper="Zhu et al., A Batch Normalized Inference Network Keeps the KL Vanishing Away, 2020, https://arxiv.org/abs/2004.12585",
)
def bn_vae(frame: Frame) -> Made:
    """Spread one half."""
    return Flat(frame.prior(), frame.posterior("batch_normed", gamma=0.5), frame.likelihood()), frame.elbo()


@recipe(
    "skip-vae",
    title="The code enters every layer of the decoder, so that no layer can lose it",
    paper="Dieng et al., Avoiding Latent Variable Collapse with Generative Skip Models, 2019, https://arxiv.org/abs/1807.04863",
)
def skip_vae(frame: Frame) -> Made:
    """The usual model with skips."""
    frame.prefer(skip=True)
    return plain(frame, frame.elbo())
