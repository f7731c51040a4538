"""Recipes that know what causes what."""

from __future__ import annotations

from typing import Any

from ..core.causal_graph import CausalGraph, as_text, mentioned, parsed
from ..core.errors import CombinationError, SettingError
from ..core.examples import example
from ..core.registry import suggestion
from ..distributions.mixed import MixedFamily
from ..models.concepts import Concepts
from ..models.flat import Flat
from ..models.structural import Structural, need_nothing_given
from ..objectives.causal import ConceptBound
from ..parts.likelihoods.treated import TreatedLikelihood
from .frame import Frame
from .registry import Made, recipe

LEARNED = "learned"
"""What is written for a graph that is to be looked for."""

NOISE = 0.1
"""Standard deviation of the noise of ``ivae``, in units of the columns: the paper's variance is 0.01."""


def graph_of(frame: Frame, nodes: tuple[str, ...]) -> CausalGraph:
    """Return the graph that the user gave.

    Raises:
        CombinationError: There is none.
        SettingError: It has a circle, or names something that is not there.
    """
    given = frame.get("graph", None)
    if given is None:
        some = ", ".join(nodes[:8]) + (" ..." if len(nodes) > 8 else "")
        raise CombinationError(
            "A model of causes needs its graph, but got none: data alone do not say what causes what. "
            f'Set graph="a>b;b>c" over {some}, or graph=learned to look for one.'
        )
    text = str(as_text(given))
    edges = parsed(text)
    if unknown := next((name for name in mentioned(text) if name not in nodes), None):
        raise SettingError(
            f"A graph is over {', '.join(nodes[:20])}, but got {unknown!r}.{suggestion(unknown, [*nodes, LEARNED])} "
            "Write cause>effect, or graph=learned to look for one."
        )
    return CausalGraph(nodes, edges)


@example(data="mixed", settings={"graph": "x0>x1;x1>x2;x0>x4"})
@example(data="mixed", settings={"graph": "learned", "price": 0.0})  # columns of the exam know nothing of each other
@example(data="mixed", settings={"graph": "learned", "search": "gradients"})
@recipe(
    "causal-table",
    title="Causes of a table: each column from its causes in a given graph and noise of its own, to set and to undo",
    paper="Pearl, Causality, 2009, https://doi.org/10.1017/CBO9780511803161",
    settings=("graph", "search", "price"),
)
def causal_table(frame: Frame) -> Made:
    """Exact noise in place of an encoder; ``hidden=0`` makes every mechanism linear."""
    need_nothing_given(frame.n_condition)
    names = names_of_columns(frame)
    family: MixedFamily = frame.part("family", "mixed", frame.proposal.likelihood.settings)
    width = frame.get("hidden", 32)
    hidden = width[0] if isinstance(width, list | tuple) else int(width)
    learned = frame.get("graph", None) == LEARNED
    edges = () if learned else graph_of(frame, names).edges
    found = {"search": frame.word("search", "orders"), "price": frame.get("price", 1.0)} if learned else {}
    model = Structural(family, names, edges, hidden=hidden, masked=frame.masked, learned=learned, **found)
    in_training = learned and not model.looks_first
    return model, frame.objective("graph_search" if in_training else "mechanisms")


@example(frame={"n_numbers": 3}, settings={"graph": "concept0>concept1;concept1>concept2"})
@recipe(
    "causal-vae",
    title="Latents are named concepts in a given graph of causes, learned from the rows whose concepts are known",
    paper="Yang et al., CausalVAE, 2021, https://arxiv.org/abs/2004.08697",
    settings=("graph",),
)
def causal_vae(frame: Frame) -> Made:
    """As many latents as concepts, unless ``n_latent`` asks for free ones behind them."""
    need_nothing_given(frame.n_condition)
    if not frame.n_numbers:
        raise CombinationError(
            "Concepts are numbers that some rows are known by, but these data have none. Name them: "
            "concepts=angle,light."
        )
    names = frame.number_names or tuple(f"concept{i}" for i in range(frame.n_numbers))
    edges = tuple((names.index(a), names.index(b)) for a, b in graph_of(frame, names).edges)
    inner = frame.inner(n_latent=max(len(names), frame.get("n_latent", len(names))))
    flat = Flat(inner.prior("structural", edges=edges), inner.posterior(), inner.likelihood())
    bound = ConceptBound(frame.elbo(), alpha=frame.get("alpha", 100.0), gamma=frame.get("gamma", 1.0))
    return Concepts(flat, names), bound


@example(data="mixed", settings={"treatment": "x2", "outcome": "x0"})
@recipe(
    "cevae",
    title="Effect of a treatment on an outcome, given what other columns show of their common causes",
    paper="Louizos et al., Causal Effect Inference with Deep Latent-Variable Models, 2017, "
    "https://arxiv.org/abs/1705.08821",
    settings=("treatment", "outcome"),
)
def cevae(frame: Frame) -> Made:
    """Latents stand for what causes both; the outcome has a network for each treatment."""
    need_nothing_given(frame.n_condition)
    names = names_of_columns(frame)
    places = {role: _place(frame, role, names) for role in ("treatment", "outcome")}
    columns: MixedFamily = frame.part("family", "mixed", frame.proposal.likelihood.settings)
    seeing = frame.inner(masked=True)  # the encoder is shown rows without treatment and outcome
    settings: dict[str, Any] = {"hidden": frame.hidden, "activation": frame.get("activation", "elu"), **places}
    likelihood = TreatedLikelihood(frame.n_latent, frame.event, columns, **settings)
    return Flat(frame.prior(), seeing.posterior(), likelihood), frame.objective("effects")


def names_of_columns(frame: Frame) -> tuple[str, ...]:
    """Return the names of the columns of a table.

    Raises:
        CombinationError: The data are none.
    """
    if frame.proposal.likelihood.name != "mixed":
        raise CombinationError("Causes are between the columns of a table, but these data are none. Set kind=table.")
    return frame.names or tuple(f"x{i}" for i in range(frame.event[0]))


def _place(frame: Frame, role: str, names: tuple[str, ...]) -> int:
    name = frame.get(role, None)
    if name is None or str(name) not in names:
        raise SettingError(
            f"The {role} is a column of the table ({', '.join(names[:12])}), but got {name!r}."
            f"{suggestion(str(name), list(names))} Set {role}=COLUMN."
        )
    return names.index(str(name))


@example(frame={"n_condition": 3}, settings={"activation": "leaky_relu"})
@recipe(
    "ivae",
    title="Identifiable latents: their prior depends on something that is known of each row, the decoder does not",
    paper="Khemakhem et al., Variational Autoencoders and Nonlinear ICA, 2020, https://arxiv.org/abs/1907.04809",
)
def ivae(frame: Frame) -> Made:
    """With enough different conditions, latents are the true sources up to their order and a map of each alone.

    The noise of real numbers is small and not learned, as in the paper: a scale that is learned starts large, and
    latents that explain less than it at first stay unused.
    """
    if not frame.n_condition:
        raise CombinationError(
            "Latents are identified by something that is known of each row (a time, a place, a class), but the data "
            "come without a condition. Set condition=label (or names of columns), or use the recipe vae."
        )
    blind = frame.inner(n_latent=frame.n_latent, n_condition=0)
    small = blind.proposal.likelihood.name == "normal"
    likelihood = blind.likelihood("normal_fixed", scale=NOISE) if small else blind.likelihood()
    return Flat(frame.prior("conditional"), frame.posterior(), likelihood), frame.elbo()
