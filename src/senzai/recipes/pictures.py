"""Images with latents on a grid: sharp pictures of any size, and a generative model over their codes."""

from __future__ import annotations

from ..core.errors import CombinationError, SettingError
from ..core.examples import example
from ..data.proposal import Choice
from ..models.flat import Flat
from ..parts.posteriors.maps import MapPosterior
from .frame import Frame
from .registry import Made, recipe

FACTORS = {2: 0, 4: 1, 8: 2, 16: 3}


def on_grid(frame: Frame) -> Made:
    """Return an autoencoder whose code is a map, smaller than the picture by a factor.

    Raises:
        CombinationError: The data are no images.
    """
    if len(frame.event) != 3:
        raise CombinationError(
            f"Latents on a grid need images, but rows have the shape {frame.event}. Use a recipe such as vae."
        )
    factor = frame.get("factor", 4)
    if factor not in FACTORS:
        raise SettingError(f"`factor` is one of {', '.join(map(str, FACTORS))}, but got {factor!r}. 4 keeps details.")
    frame.prefer(encoder="spatial", n_stages=FACTORS[factor])
    posterior = frame.posterior("maps")
    if not isinstance(posterior, MapPosterior):
        raise CombinationError(
            f"This recipe has latents on a grid, but posterior={type(posterior).__name__}. Leave posterior=... out."
        )
    of_maps = frame.inner(n_latent=posterior.event[0], own_decoder=Choice("spatial", {"grids": (posterior.grid,)}))
    return Flat(of_maps.prior(), posterior, of_maps.likelihood()), frame.elbo()


@example(data="pictures", settings={"width": 4, "factor": 2, "posterior.channels": 2})
@recipe(
    "kl-autoencoder",
    title="Images whose code is a map, 4 or 8 times smaller a side: nothing is flattened, details stay where they are",
    paper="Rombach et al., Latent Diffusion Models, 2022, https://arxiv.org/abs/2112.10752",
    settings=("factor",),
)
def kl_autoencoder(frame: Frame) -> Made:
    """Residual convolutions after a space-to-depth stem, ``factor=4``, ``posterior.channels=4``, ``attention=true``."""
    return on_grid(frame)


@example(data="pictures", settings={"width": 4, "factor": 2, "posterior.channels": 2})
@recipe(
    "latent-image",
    title="The same autoencoder, and flow matching over its maps, fitted afterwards: a model of images that samples",
    paper="Rombach et al., Latent Diffusion Models, 2022, https://arxiv.org/abs/2112.10752",
    settings=("factor",), training={"sampler": "spatial_flow_matching"},
)
def latent_image(frame: Frame) -> Made:
    """With ``condition=label`` the field is guided: ``sample`` takes ``guidance``."""
    return on_grid(frame)
