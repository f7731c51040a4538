"""What objectives ask of a model before they train it; each refusal says why and what to do."""

from __future__ import annotations

from torch.distributions import Distribution

from ..core.errors import CombinationError
from ..distributions.ops import factors
from ..models.base import LatentModel
from ..models.flat import Flat


def need_flat(model: LatentModel, what: str) -> Flat:
    """Return a model with one group of latents.

    Raises:
        CombinationError: It has another structure.
    """
    if not isinstance(model, Flat):
        raise CombinationError(
            f"{what} is defined for one group of latents with q(z | x) and p(z), but the model is a "
            f"{type(model).__name__}. Use a flat model, or the elbo."
        )
    return model


def need_vectors(model: LatentModel, what: str) -> Flat:
    """Return a flat model whose latents are vectors of real numbers that gradients can reach.

    Raises:
        CombinationError: The latents are codes, or cannot be drawn differentiably, or are no vectors.
    """
    flat = need_flat(model, what)
    q = flat.posterior.example()
    if q is not None:
        check_real(q, what)
    return flat


def need_own_density(model: Flat, what: str) -> None:
    """Refuse a posterior whose latents come from another distribution than the one it returns.

    Raises:
        CombinationError: They do: it climbs the joint density, say.
    """
    if model.posterior.needs_joint:
        raise CombinationError(
            f"{what} needs the density of the latents under q(z | x), but {type(model.posterior).__name__} draws them "
            "in a way that has none of its own. Use a posterior such as normal, or the elbo."
        )


def check_real(q: Distribution, what: str) -> None:
    """Refuse a posterior without real, reparameterised vectors.

    Raises:
        CombinationError: q is not of that kind.
    """
    discrete = q.support is not None and q.support.is_discrete
    if discrete or not q.has_rsample or len(q.event_shape) != 1:
        raise CombinationError(
            f"{what} needs latents that are vectors of real numbers drawn differentiably (distances between codes "
            f"mean nothing), but the posterior is {named(q)}. Use a posterior such as normal, or the elbo."
        )


def need_reparameterised(model: LatentModel, what: str) -> Flat:
    """Return a flat model whose draws carry gradients.

    Raises:
        CombinationError: They do not.
    """
    flat = need_flat(model, what)
    q = flat.posterior.example()
    if q is not None and not q.has_rsample:
        raise CombinationError(
            f"{what} takes the gradient along the draw z(x, noise), but the posterior is {named(q)}, which cannot be "
            "reparameterised. Use gradient=plain with a normal posterior, or another objective."
        )
    need_own_density(flat, what)
    return flat


def need_factors(model: LatentModel, what: str) -> Flat:
    """Return a flat model whose posterior has one-dimensional marginals.

    Raises:
        CombinationError: They are not known.
    """
    flat = need_vectors(model, what)
    q = flat.posterior.example()
    if q is not None:
        factors_of(q, what)
    need_own_density(flat, what)
    return flat


def factors_of(q: Distribution, what: str) -> Distribution:
    """Return the one-dimensional marginals of q.

    Raises:
        CombinationError: They are not known.
    """
    found = factors(q)
    if found is None:
        raise CombinationError(
            f"{what} needs the density of each latent dimension under q(z | x), but for {named(q)} it is not known. "
            "Use posterior=normal or full_normal, or factor-vae, which only needs draws."
        )
    return found


def need_images(model: LatentModel, what: str) -> tuple[int, int, int]:
    """Return channels, height and width of the data.

    Raises:
        CombinationError: The data are no images.
    """
    event = tuple(need_flat(model, what).likelihood.event)
    if len(event) != 3:
        raise CombinationError(
            f"{what} compares images of shape (channels, height, width), but the data have the shape {event}. "
            "Use the elbo for other data."
        )
    return event


def named(p: Distribution) -> str:
    """Return the name of a distribution as people know it."""
    base = getattr(p, "base_dist", None)
    return type(p if base is None else base).__name__
