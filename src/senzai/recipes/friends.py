"""Models whose weights other libraries read and write."""

from __future__ import annotations

from ..core.errors import CombinationError
from ..core.examples import example
from ..models.flat import Flat
from ..nn.kl_folder import KLFolder, load_into, read_folder
from .frame import Frame
from .registry import Made, recipe


@example(
    data="pictures", settings={"blocks": (4, 8), "layers": 1, "norm_groups": 2, "posterior.channels": 2},
)
@recipe(
    "autoencoder-kl",
    title="The autoencoder of latent diffusion, layer by layer: folders of diffusers are read and written",
    paper="Rombach et al., Latent Diffusion Models, 2022, https://arxiv.org/abs/2112.10752",
    settings=("blocks", "layers", "norm_groups", "weights"), training={"batch_size": 16, "lr": 5e-4},
)
def autoencoder_kl(frame: Frame) -> Made:
    """``blocks=(64, 128, 128)`` halves twice; ``weights=FOLDER`` starts from one that diffusers saved."""
    if len(frame.event) != 3:
        raise CombinationError(f"This recipe needs images, but rows have the shape {frame.event}. Use vae.")
    given = read_folder(frame.word("weights", "")) if frame.get("weights", "") else None
    shape = _shape(frame, given)
    levels = frame.proposal.likelihood.settings.get("levels", 2)
    for name, value in shape.items():
        frame.settings.setdefault(f"encoder.{name}", value)
        frame.settings.setdefault(f"decoder.{name}", value)
    channels = given.channels if given else frame.get("posterior.channels", 4)
    for name, value in {"levels": levels, "latent_channels": channels}.items():
        frame.settings.setdefault(f"encoder.{name}", value)
    frame.prefer(encoder="autoencoder_kl", decoder="autoencoder_kl", likelihood="discretised_logistic")
    frame.settings.setdefault("posterior.channels", channels)
    frame.settings.setdefault("likelihood.levels", levels)
    frame.settings.setdefault("shared", ("log_scale",))
    posterior = frame.posterior("kl_maps")
    inner = frame.inner(n_latent=posterior.event[0])
    model = Flat(inner.prior(), posterior, inner.likelihood())
    if given is not None:
        load_into(model, given)
    return model, frame.elbo()


def _shape(frame: Frame, given: KLFolder | None) -> dict[str, object]:
    if given is not None:
        return {
            "blocks": given.blocks, "layers": given.layers, "norm_groups": given.groups, "attention": given.attention,
        }
    return {
        "blocks": tuple(frame.get("blocks", (64, 128, 128))), "layers": frame.get("layers", 2),
        "norm_groups": frame.get("norm_groups", 32),
    }
