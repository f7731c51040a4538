"""What a model is that knows causes: interventions, counterfactuals, and what is assumed for them to mean anything."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from ..core.batch import Batch
from ..core.causal_graph import CausalGraph

GIVEN = "The graph was given, not learned: that its arrows are the causes, and that none is missing, is assumed."
LEARNED = (
    "The graph was learned from observations: it may be wrong, and others fit as well; check it before you act on it."
)
NO_CONFOUNDERS = "No hidden common cause of two things in the graph is assumed."
SAME_MECHANISMS = (
    "What is set changes nothing else than what follows from it: all other mechanisms are assumed to stay."
)
ORDERED_NOISE = (
    "Counterfactuals hold if numbers rise with their noise and categories are chosen as by Gumbel noise: data cannot "
    "tell."
)


class CausalModel(ABC):
    """A model with a graph of causes over named nodes, which can be set."""

    @property
    @abstractmethod
    def graph(self) -> CausalGraph:
        """Which node causes which."""

    @property
    @abstractmethod
    def is_learned(self) -> bool:
        """Whether the graph was learned from the data."""

    @abstractmethod
    def intervene(self, n: int, values: Mapping[str, float], *, seed: int) -> Tensor:
        """Return ``n`` rows of the model in which nodes are set: their causes are cut, their effects follow.

        Args:
            n: How many.
            values: The model's number of each node that is set.
            seed: Seed of the draws.
        """

    @abstractmethod
    def counterfactual(self, batch: Batch, values: Mapping[str, float], *, seed: int) -> Tensor:
        """Return rows as they would have been, had nodes been set: their own noise, the mechanisms of the model.

        Args:
            batch: What happened.
            values: The model's number of each node that is set.
            seed: Seed of what the rows leave open about their noise.
        """

    def assumptions(self, *, counterfactual: bool = False) -> tuple[str, ...]:
        """Return what has to be true for an answer to be about causes, one sentence each."""
        source = LEARNED if self.is_learned else GIVEN
        found = (f"Graph: {self.graph.text() or 'no arrows'}. {source}", NO_CONFOUNDERS, SAME_MECHANISMS)
        return (*found, ORDERED_NOISE) if counterfactual else found


def told(model: nn.Module) -> dict[str, str]:
    """Return the graph of a model that has one, and whether it was learned, in words and by name; else nothing."""
    if not isinstance(model, CausalModel):
        return {}
    return {"graph": model.graph.text() or "no arrows", "graph_is": "learned" if model.is_learned else "given"}


def needs_causes(model: nn.Module) -> str | None:
    """Say why a model cannot be intervened on; ``None`` where it can."""
    if isinstance(model, CausalModel):
        return None
    return (
        f"To set something and see what follows takes a graph of causes, but this model ({type(model).__name__}) has "
        'none: it knows what goes together, not what causes what. Fit with recipe=causal-table and graph="a>b;b>c".'
    )
