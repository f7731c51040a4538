"""Sequences: rows (T, d) of any length, a latent for each step."""

from __future__ import annotations

from dataclasses import replace

from ..core.errors import CombinationError
from ..core.examples import example
from ..core.spec import make
from ..data.proposal import Choice
from ..models.state_space import StateSpace
from ..models.vrnn import VRNN
from ..nn.recurrent import Direction, Recurrent
from ..parts.transitions import Combined, GatedTransition
from .frame import Frame
from .registry import Made, recipe

INFERENCE: dict[str, tuple[Direction, bool]] = {
    "dks": ("backward", True), "st-r": ("backward", True), "st-l": ("forward", True), "st-lr": ("both", True),
    "mf-r": ("backward", False), "mf-l": ("forward", False), "mf-lr": ("both", False),
}
"""Which way the recurrent network of the inference goes, and whether it sees the draw of the step before."""


def steps_of(frame: Frame) -> tuple[int, Frame]:
    """Return the steps of a row, and the frame of one step.

    Raises:
        CombinationError: Rows are no sequences, or come with a condition.
    """
    if len(frame.event) != 2:
        raise CombinationError(
            f"This recipe is about sequences (N, T, d), but rows have the shape {frame.event}. Give an array with "
            "three axes (and kind=array), or use the recipe vae."
        )
    if frame.n_condition:
        raise CombinationError("Sequence recipes take no condition, but the data come with one. Leave condition out.")
    steps, width = frame.event
    return steps, frame.inner(event=(width,), proposal=replace(frame.proposal, encoder=Choice("mlp"), decoder=None))


@example(data="sequences")
@recipe(
    "dmm",
    title="Deep Markov model: sequences from a latent that moves in nonlinear steps",
    paper="Krishnan et al., Structured Inference Networks for Nonlinear State Space Models, 2017, "
    "https://arxiv.org/abs/1609.09869",
    settings=("inference",),
)
def dmm(frame: Frame) -> Made:
    """Gated steps; inference by a recurrent network against time and the draw of the step before."""
    steps, one = steps_of(frame)
    name = frame.word("inference", "dks")
    if name not in INFERENCE:
        raise CombinationError(f"`inference` is one of {', '.join(INFERENCE)}, but got {name!r}. Choose one.")
    direction, structured = INFERENCE[name]
    features = Recurrent(
        one.event[0], frame.get("width", 128), direction=direction, masked=frame.masked,
        scaling=frame.scaling, dropout=frame.get("dropout", 0.0),
    )
    z = one.n_latent
    recognition = Combined(z, features.width) if structured else make(
        "conditional/mlp", n_in=features.width, n_latent=z, family=make("family/normal")
    )
    emission = one.likelihood()
    return StateSpace(
        GatedTransition(z, one.hidden[-1:]), features, recognition, emission, steps, structured=structured
    ), frame.elbo()


@example(data="sequences")
@recipe(
    "vrnn",
    title="Variational recurrent network: a state that draws at every step; for speech, handwriting, music",
    paper="Chung et al., A Recurrent Latent Variable Model for Sequential Data, 2015, https://arxiv.org/abs/1506.02216",
)
def vrnn(frame: Frame) -> Made:
    """Prior, posterior and emission of each step see the state."""
    steps, one = steps_of(frame)
    width, z = frame.get("width", 128), one.n_latent
    emission = one.inner(n_latent=2 * width).likelihood()
    return VRNN(
        one.conditional(width, z), one.conditional(2 * width, z), emission, one.event[0], steps, width=width,
        masked=frame.masked, scaling=frame.scaling,
    ), frame.elbo()
