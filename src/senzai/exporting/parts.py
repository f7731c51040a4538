"""Which graphs a model is exported as, and why one of them is left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch

from ..core.batch import Batch
from ..core.errors import CombinationError, UserError
from ..models.base import LatentModel
from ..models.generative import Generative
from ..models.modes import judging
from ..models.structured import Structured
from .checking import Checked, check
from .graphs import Graph, decoder, drawer, encoder, prior, scorer, simulator
from .onnx_files import onnx_of

Report = Callable[[str], None]


@dataclass(frozen=True)
class Refusal:
    """What cannot be exported.

    Args:
        what: Which models.
        why: The reason.
    """

    what: str
    why: str


REFUSALS: tuple[Refusal, ...] = (
    Refusal("posteriors that find latents by gradients: `hamiltonian-vae`, `riemannian-vae`, `sa-vae`",
            "A graph computes forwards alone."),
    Refusal("likelihoods that make a row entry by entry: `made-vae`, `pixel-vae`, `language-model`",
            "A graph makes a row in one go."),
    Refusal("models of a part of a row given the rest: `cvae-structured`",
            "What is predicted from is neither a condition nor a whole row."),
    Refusal("rows of several modalities, rows with lengths of their own: `text-vae`, texts, molecules, music",
            "A graph takes one tensor of one shape."),
    Refusal("tables with time zones, periods, intervals, durations, times of day or other Python objects",
            "The runtime reads and writes cells with NumPy alone."),
)
"""What is refused as a whole; docs/exporting.md shows this list."""


@dataclass(frozen=True)
class GraphPart:
    """A graph that was exported and checked."""

    graph: Graph
    blob: bytes
    checked: Checked


@dataclass(frozen=True)
class Parts:
    """All graphs of a model.

    Args:
        parts: By name.
        missing: Verbs that the export has not, with the reason; ``drawer`` where rows are shown, but not drawn.
    """

    parts: Mapping[str, GraphPart]
    missing: Mapping[str, str]


def parts_of(
    model: Generative, batch: Batch, *, sampled: Generative | None = None, fixed: int | None = None, timed: bool = True,
    draws: bool = True, scores: bool = True, report: Report | None = None,
) -> Parts:
    """Return the checked graphs of a model.

    Args:
        model: The model.
        batch: Some of its rows, which graphs are traced and checked with.
        sampled: The model with the prior that samples are drawn from, if that is another.
        fixed: The one batch size of the graphs; any by default.
        timed: Measure how long graphs and model take.
        draws: Export what draws from the likelihood need as well.
        scores: Export what scores need as well.
        report: Told what is being done.

    Raises:
        CombinationError: The model cannot be exported.
    """
    need_whole_rows(model)
    made, missing = dict[str, GraphPart](), dict[str, str]()

    def add(graph: Graph) -> Graph:
        if report is not None:
            report(f"Exporting and checking the {graph.name}.")
        blob = onnx_of(graph, batch=fixed).SerializeToString()
        made[graph.name] = GraphPart(graph, blob, check(graph, blob, batch=fixed, timed=timed))
        return graph

    def attempt(verb: str, make: Callable[[], Graph]) -> None:
        try:
            add(make())
        except UserError as err:
            missing[verb] = str(err)

    with judging(model), judging(sampled or model):
        if not isinstance(model, LatentModel):
            add(simulator(model, batch))
            reason = "The model draws rows without an inference of latents. Fit a recipe with an encoder, such as vae."
            return Parts(made, dict.fromkeys(("encode", "reconstruct", "score"), reason))
        rows = _with_mask_if_it_can(model, batch)
        add(encoder(model, rows))
        found = add(decoder(model, rows))
        other = sampled if isinstance(sampled, LatentModel) else model
        attempt("sample", lambda: prior(other, rows))
        if draws:
            attempt("drawer", lambda: drawer(model, found))
        if scores:
            attempt("score", lambda: scorer(model, rows))
    return Parts(made, missing)


def need_whole_rows(model: Generative) -> None:
    """Refuse a model of a part of a row.

    Raises:
        CombinationError: It is one.
    """
    if isinstance(model, Structured):
        raise CombinationError(
            f"A graph takes whole rows, but this model ({type(model).__name__}) predicts a part of a row from the "
            "rest. Use the run itself."
        )


def _with_mask_if_it_can(model: LatentModel, batch: Batch) -> Batch:
    """Return the batch, without its mask where the likelihood has no marginals."""
    if batch.mask is None:
        return batch
    try:
        with torch.no_grad():
            _ = model.infer(batch.take(slice(0, 2))).groups
    except CombinationError:
        return replace(batch, mask=None)
    return batch
