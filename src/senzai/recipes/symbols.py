"""Rows of symbols: texts, and whatever else is one symbol after another."""

from __future__ import annotations

from ..core.errors import CombinationError
from ..core.examples import example
from ..models.flat import Flat
from ..models.language import LanguageModel
from ..objectives.warmup import ShareWarmup
from ..parts.likelihoods.tokens import TokenLikelihood
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
    objective = frame.objective("bag_of_symbols", bag_weight=2.0, fade=ShareWarmup(0.8), free_bits=0.6)
    return Flat(frame.prior(), frame.posterior(), frame.likelihood()), objective


@example(data="symbols")
@recipe(
    "music-vae",
    title="Bars of music from a code: a light rate above a floor, and a plan bar by bar where rows are long",
    paper="Roberts et al., A Hierarchical Latent Vector Model for Learning Long-Term Structure in Music, 2018, "
          "https://arxiv.org/abs/1803.05428",
)
def music_vae(frame: Frame) -> Made:
    """Weight 0.2 on the rate, a floor of half a nat a dimension, and a code that is asked for each place at first."""
    likelihood = frame.likelihood()
    if not isinstance(likelihood, TokenLikelihood):
        raise CombinationError(
            "music-vae is about rows of symbols, but the data propose another likelihood. Use the recipe vae."
        )
    objective = frame.objective(
        "bag_of_symbols", beta=0.2, bag_weight=1.0, placed=True, fade=ShareWarmup(0.8), free_bits=0.5
    )
    return Flat(frame.prior(), frame.posterior(), likelihood), objective


@example(data="symbols", excused={
    "density": "Rows are symbols, not real numbers; what all rows have together is added up where the distribution is."
})
@recipe(
    "language-model",
    title="The decoder of text-vae without a code: what its likelihood is to be judged by",
    paper="Bowman et al., Generating Sentences from a Continuous Space, 2016, https://arxiv.org/abs/1511.06349",
)
def language_model(frame: Frame) -> Made:
    """An exact likelihood of symbols one after another, and no latents."""
    likelihood = frame.inner(n_latent=0).likelihood()
    if not isinstance(likelihood, TokenLikelihood):
        raise CombinationError(
            "A language model is about rows of symbols, but the data propose another likelihood. Use the recipe vae."
        )
    return LanguageModel(likelihood), frame.objective("maximum_likelihood")
