"""Recipes that know what causes what."""

from __future__ import annotations

from ..core.causal_graph import Graph, as_text, parsed
from ..core.errors import CombinationError
from ..core.examples import example
from ..distributions.mixed import MixedFamily
from ..models.structural import Structural, need_nothing_given
from .frame import Frame
from .registry import Made, recipe


def graph_of(frame: Frame, nodes: tuple[str, ...]) -> Graph:
    """Return the graph that the user gave.

    Raises:
        CombinationError: There is none.
        SettingError: It has a circle, or names something that is not there.
    """
    given = frame.get("graph", None)
    if given is None:
        raise CombinationError(
            'A model of causes needs its graph, but got none: data alone do not say what causes what. Set graph="a>b;b>c"'
            f" over {', '.join(nodes[:8])}{' ...' if len(nodes) > 8 else ''}."
        )
    return Graph(nodes, parsed(str(as_text(given))))


@example(data="mixed", settings={"graph": "x0>x1;x1>x2;x0>x4"})
@recipe(
    "causal-table",
    title="Causes of a table: each column from its causes in a given graph and noise of its own, to set and to undo",
    paper="Pearl, Causality, 2009, https://doi.org/10.1017/CBO9780511803161",
    settings=("graph",),
)
def causal_table(frame: Frame) -> Made:
    """Exact noise in place of an encoder; ``hidden=0`` makes every mechanism linear."""
    need_nothing_given(frame.n_condition)
    proposal = frame.proposal.likelihood
    if proposal.name != "mixed":
        raise CombinationError("Causes are between the columns of a table, but these data are none. Set kind=table.")
    family: MixedFamily = frame.part("family", "mixed", proposal.settings)
    names = frame.names or tuple(f"x{i}" for i in range(frame.event[0]))
    width = frame.get("hidden", 32)
    hidden = width[0] if isinstance(width, list | tuple) else int(width)
    model = Structural(family, names, graph_of(frame, names).edges, hidden=hidden, masked=frame.masked)
    return model, frame.objective("mechanisms")
