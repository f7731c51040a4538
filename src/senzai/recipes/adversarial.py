"""Models with a critic as a further player, and image terms that are no log densities."""

from __future__ import annotations

from ..core.examples import example
from .bounds import plain
from .frame import Frame
from .registry import Made, recipe


@recipe(
    "aae",
    title="Adversarial autoencoder: a critic cannot tell the codes from draws of the prior",
    paper="Makhzani et al., Adversarial Autoencoders, 2016, https://arxiv.org/abs/1511.05644",
)
def aae(frame: Frame) -> Made:
    """A normal posterior without a rate; ``posterior=normal_fixed`` makes it a WAE-GAN."""
    return plain(frame, frame.objective("adversarial_codes"))


@recipe(
    "vae-gan",
    title="Rows compared in the features of a critic that learns to tell real from made: sharp, and no bound",
    paper="Larsen et al., Autoencoding beyond pixels using a learned similarity metric, 2016, https://arxiv.org/abs/1512.09300",
)
def vae_gan(frame: Frame) -> Made:
    """Encoder, decoder and critic take turns; distances in features are small beside nats: so is the rate's weight."""
    return plain(frame, frame.objective("vae_gan", beta=0.01))


@recipe(
    "sharp-vae",
    title="Images: the bound, then a patch critic that joins in for texture",
    paper="Esser et al., Taming Transformers, 2021, https://arxiv.org/abs/2012.09841",
)
@example(
    data="pictures",
    idle={"aux.critic.out.bias": "While both hinges are open their pulls on the last bias cancel exactly."},
)
def sharp_vae(frame: Frame) -> Made:
    """The critic plays in the second half of the training."""
    return plain(frame, frame.objective("sharpened"))


@recipe(
    "ms-ssim-vae",
    title="Images: the bound plus structural similarity over several scales",
    paper="Snell et al., Learning to Generate Images with Perceptual Similarity Metrics, 2017, https://arxiv.org/abs/1511.06409",
)
@example(data="pictures")
def ms_ssim_vae(frame: Frame) -> Made:
    """Structural similarity with weight 100; ``spectrum_weight`` adds a distance of spectra."""
    return plain(frame, frame.objective("image_terms"))
