"""Rows of symbols: texts, and whatever else is one symbol after another."""

from __future__ import annotations

from ..core.examples import example
from ..models.flat import Flat
from ..objectives.warmup import ShareWarmup
from .frame import Frame
from .registry import Made, recipe


@example(data="symbols")
@recipe(
    "text-vae",
    title="Symbols one after another from a code that is worth something: skips, hidden symbols, a bag of symbols",
    paper="Bowman et al., Generating Sentences from a Continuous Space, 2016, https://arxiv.org/abs/1511.06349",
)
def text_vae(frame: Frame) -> Made:
    """The usual model; training also asks the code which symbols a row has."""
    objective = frame.objective("bag_of_symbols", bag_weight=2.0, fade=ShareWarmup(0.8), free_bits=0.5)
    return Flat(frame.prior(), frame.posterior(), frame.likelihood()), objective
