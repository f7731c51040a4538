"""Generators without an encoder: a density of the data, matched velocities, a critic."""

from __future__ import annotations

from ..core.errors import CombinationError
from ..models import Explicit, Implicit
from ..nn.layers import size_of
from .frame import Frame
from .registry import Made, recipe

NUMBERS = ("real", "unit", "interval", "levels")


@recipe(
    "flow",
    title="Normalising flow on the data: an exact density of real numbers, no latents",
    paper="Durkan et al., Neural Spline Flows, 2019, https://arxiv.org/abs/1906.04032",
)
def flow(frame: Frame) -> Made:
    """Splines by default; ``prior.kind=maf`` or ``realnvp`` are affine, ``prior=mixture`` is a mixture of normals."""
    need_numbers(frame, "A density of the data", ("real",))
    inner = frame.inner(n_latent=size_of(frame.event))
    return Explicit(inner.prior("flow"), frame.event), frame.objective("maximum_likelihood")


@recipe(
    "flow-matching",
    title="Flow matching on the data: noise is carried to rows along a learned velocity, no latents and no density",
    paper="Lipman et al., Flow Matching for Generative Modeling, 2023, https://arxiv.org/abs/2210.02747",
)
def flow_matching(frame: Frame) -> Made:
    """A fully connected field, followed in ``prior.n_steps`` Runge-Kutta steps."""
    need_numbers(frame, "Flow matching", NUMBERS)
    inner = frame.inner(n_latent=size_of(frame.event))
    return Explicit(inner.prior("flow_matching", hidden=(256, 256, 256)), frame.event), frame.objective("flow_matching")


@recipe(
    "gan",
    title="Generative adversarial network: a generator against a critic, no latents of rows and no density",
    paper="Goodfellow et al., Generative Adversarial Nets, 2014, https://arxiv.org/abs/1406.2661",
)
def gan(frame: Frame) -> Made:
    """The non-saturating loss with a gradient penalty on the critic (R1)."""
    need_numbers(frame, "A generator", NUMBERS)
    if frame.n_condition:
        raise CombinationError("The critic is told no condition, so that none can be given. Leave condition=... out.")
    decoder = frame.decoder((1, *frame.event))
    return Implicit(decoder, frame.event, frame.n_latent, scaling=frame.scaling), frame.objective("non_saturating")


def need_numbers(frame: Frame, what: str, supports: tuple[str, ...]) -> None:
    """Refuse data with holes, and values that no smooth map gives.

    Raises:
        CombinationError: The data are of another sort.
    """
    if frame.support not in supports:
        raise CombinationError(
            f"{what} needs values that are {' or '.join(supports)}, but these are {frame.support}. Use a recipe with a "
            "likelihood, such as vae, or say values=real if they are measurements."
        )
    if frame.masked or frame.ragged:
        raise CombinationError(f"{what} needs whole rows, but some entries are missing. Use a recipe such as vae.")
