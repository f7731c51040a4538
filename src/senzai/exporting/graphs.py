"""What is exported of a model: modules from tensors to tensors, with examples of what they take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from ..core.batch import Batch
from ..core.errors import CombinationError
from ..core.random import Noise, using
from ..distributions import elementwise
from ..distributions.ops import draw, expected
from ..models.base import LatentModel
from ..models.generative import Generative
from ..nn.inputs import as_float
from ..parts.likelihoods.decoded import Likelihood, hearing_raw
from .tape import Recorder, Replay, Wanted, wanted

SCORE_DRAWS, SCORE_SEED = 16, 0
"""As ``score`` has them where nobody says otherwise."""


@dataclass(frozen=True)
class Graph:
    """One graph to export.

    Args:
        name: Its name, and that of its file.
        module: Called with the inputs in their order.
        inputs: Examples by name; their first axis counts rows, but for noise.
        outputs: Names of what comes back.
        noise: What the inputs at the end are drawn from, by name.
    """

    name: str
    module: nn.Module
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]
    noise: dict[str, Wanted] = field(default_factory=dict)

    def rows_axis(self, name: str) -> int | None:
        """Return which axis of an input counts rows."""
        if name not in self.noise:
            return 0
        shape = self.noise[name].shape
        return shape.index(None) if None in shape else None

    def outcome(self, given: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Return what torch makes of other inputs, in the order of the outputs."""
        with torch.no_grad():
            found = self.module(*(given[name] for name in self.inputs))
        return found if isinstance(found, tuple) else (found,)


@final
class Encode(nn.Module):
    """Rows to the point and, where it has a formula, the standard deviation of their posteriors."""

    def __init__(self, model: LatentModel, names: tuple[str, ...], *, scales: bool) -> None:
        super().__init__()
        self.model, self.names, self.scales = model, names, scales

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Return ``mean`` and perhaps ``scale``, ``(B, n)``, groups side by side."""
        told = dict(zip(self.names, given, strict=True))
        batch = Batch(told["x"], c=told.get("c"), mask=told.get("mask"))
        if not self.scales:
            return (torch.cat([z.flatten(1).float() for z in self.model.points(batch)], 1),)
        with using(Noise(point=True)):
            seen = self.model.infer(batch)
            mean = torch.cat([z.flatten(1).float() for z in seen.latents()], 1)
            parts = [torch.zeros_like(g.z) if g.q is None else g.q.stddev.expand_as(g.z) for g in seen.groups]
            return mean, torch.cat([seen.chosen(s).flatten(1).float() for s in parts], 1)


@final
class Decode(nn.Module):
    """Latents side by side, ``(B, n)``, to the raw numbers of the likelihood and the expected row."""

    def __init__(self, model: LatentModel, like: tuple[Tensor, ...]) -> None:
        super().__init__()
        self.model = model
        self.shapes = [tuple(z.shape[1:]) for z in like]
        self.dtypes = [z.dtype for z in like]
        self.widths = [prod(s) for s in self.shapes]

    def divided(self, z: Tensor) -> tuple[Tensor, ...]:
        """Return one tensor for each group of latents."""
        parts = zip(z.split(self.widths, 1), self.shapes, self.dtypes, strict=True)
        return tuple(p.unflatten(1, s).to(d) for p, s, d in parts)

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Return ``raw`` where there is one tensor of them, and ``point``."""
        with hearing_raw() as heard:
            p = self.model.generate(self.divided(given[0]), given[1] if len(given) > 1 else None)
        shown = _one(expected(p))
        return (*(heard if len(heard) == 1 else ()), shown)


@final
class DrawPrior(nn.Module):
    """Noise to latents of the prior, side by side."""

    def __init__(self, model: LatentModel, axis: tuple[int, int], *, conditioned: bool) -> None:
        super().__init__()
        self.model, self.axis, self.conditioned = model, axis, conditioned

    def forward(self, *given: Tensor) -> Tensor:
        """Return ``z``."""
        c, noise = (given[0], given[1:]) if self.conditioned else (None, given)
        with using(Replay(given=list(noise))):
            z = self.model.sample_prior(noise[self.axis[0]].shape[self.axis[1]], c)
        return torch.cat([g.flatten(1).float() for g in z], 1)


@final
class DrawRows(nn.Module):
    """Raw numbers and noise to rows drawn from the likelihood."""

    def __init__(self, likelihood: Likelihood) -> None:
        super().__init__()
        self.likelihood = likelihood

    def forward(self, *given: Tensor) -> Tensor:
        """Return ``x``."""
        with using(Replay(given=list(given[1:]))):
            return draw(self.likelihood.of(given[0]), grad=False).float()


@final
class DrawAll(nn.Module):
    """Noise to rows, for models without an inference."""

    def __init__(self, model: Generative, axis: tuple[int, int], *, conditioned: bool) -> None:
        super().__init__()
        self.model, self.axis, self.conditioned = model, axis, conditioned

    def forward(self, *given: Tensor) -> Tensor:
        """Return ``x``."""
        c, noise = (given[0], given[1:]) if self.conditioned else (None, given)
        with using(Replay(given=list(noise))):
            return _one(self.model.simulate(noise[self.axis[0]].shape[self.axis[1]], c)).float()


@final
class Score(nn.Module):
    """Rows to what anomaly scores are made of, under draws that are the same for all rows."""

    def __init__(self, model: LatentModel, names: tuple[str, ...], noise: list[Tensor]) -> None:
        super().__init__()
        self.model, self.names = model, names
        for i, numbers in enumerate(noise):
            self.register_buffer(f"noise_{i}", numbers)
        self.n = len(noise)

    def forward(self, *given: Tensor) -> tuple[Tensor, ...]:
        """Return ``costs`` of each entry of a row, ``(B, d)``, ``rate`` and ``nll``, ``(B,)``."""
        told = dict(zip(self.names, given, strict=True))
        batch = Batch(told["x"], c=told.get("c"), mask=told.get("mask"))
        with using(Replay(given=[getattr(self, f"noise_{i}") for i in range(self.n)])):
            seen = self.model.infer(batch, SCORE_DRAWS)
            costs = -elementwise(seen.likelihood, as_float(batch.tensor)).flatten(2)
            rate = torch.stack([seen.average(g.rate()) for g in seen.groups]).sum(0)
            return costs.mean(0), rate, -seen.bound()


def _one(x: Any) -> Tensor:
    if isinstance(x, dict):
        raise CombinationError(
            f"A graph gives rows of one tensor, but these have the modalities {', '.join(x)}. Use the run itself."
        )
    tensor: Tensor = x
    return tensor


# --- of a model -----------------------------------------------------------------------------------------------------
def encoder(model: LatentModel, batch: Batch) -> Graph:
    """Return the graph from rows to their codes."""
    given = _of_rows(batch)
    with using(Noise(point=True)), torch.no_grad():
        seen = model.infer(batch)
        scales = _have_scales([g.q for g in seen.groups])
    names = ("mean", "scale") if scales else ("mean",)
    return Graph("encoder", Encode(model, tuple(given), scales=scales), given, names)


def decoder(model: LatentModel, batch: Batch) -> Graph:
    """Return the graph from codes to rows."""
    with using(Noise(point=True)), torch.no_grad():
        z = model.infer(batch).latents()
    c = model.given(batch)
    given = {"z": torch.cat([g.flatten(1).float() for g in z], 1)} | ({} if c is None else {"c": c})
    module = Decode(model, z)
    with torch.no_grad():
        n = len(module(*given.values()))
    return Graph("decoder", module, given, ("raw", "point")[2 - n :])


def prior(model: LatentModel, batch: Batch) -> Graph:
    """Return the graph from noise to latents of the prior."""
    c = model.given(batch)

    def drawn(n: int) -> object:
        return model.sample_prior(n, None if c is None else c[:1].expand(n, -1))

    def make(axis: tuple[int, int], conditioned: bool) -> nn.Module:
        return DrawPrior(model, axis, conditioned=conditioned)

    return _from_noise("prior", drawn, "z", c, len(batch), make)


def simulator(model: Generative, batch: Batch) -> Graph:
    """Return the graph from noise to rows."""
    c = batch.c

    def drawn(n: int) -> object:
        return model.simulate(n, None if c is None else c[:1].expand(n, -1))

    def make(axis: tuple[int, int], conditioned: bool) -> nn.Module:
        return DrawAll(model, axis, conditioned=conditioned)

    return _from_noise("simulator", drawn, "x", c, len(batch), make)


def _from_noise(name: str, drawn: Any, output: str, c: Tensor | None, rows: int, make: Any) -> Graph:
    needed = {f"noise_{i}": w for i, w in enumerate(wanted(drawn, f"the {name}"))}
    places = [(i, w.shape.index(None)) for i, w in enumerate(needed.values()) if None in w.shape]
    if not places:
        raise CombinationError(f"The {name} draws nothing, so that there is nothing to export of it.")
    given = {} if c is None else {"c": c}
    noise = {k: w.example(rows, i) for i, (k, w) in enumerate(needed.items())}
    return Graph(name, make(places[0], c is not None), {**given, **noise}, (output,), needed)


def drawer(model: LatentModel, found: Graph) -> Graph:
    """Return the graph from raw numbers and noise to rows."""
    likelihood = getattr(model, "likelihood", None)
    if "raw" not in found.outputs or not isinstance(likelihood, Likelihood):
        raise CombinationError(
            f"Rows are drawn from raw numbers of one likelihood, but {type(model).__name__} has none of that sort "
            "alone. Draw with the run itself; expected rows are exported."
        )
    raw = found.outcome(found.inputs)[0]

    def drawn(n: int) -> object:
        return draw(likelihood.of(raw[:1].expand(n, *raw.shape[1:])), grad=False)

    needed = {f"noise_{i}": w for i, w in enumerate(wanted(drawn, type(likelihood.family).__name__))}
    noise = {k: w.example(len(raw), i) for i, (k, w) in enumerate(needed.items())}
    return Graph("drawer", DrawRows(likelihood), {"raw": raw, **noise}, ("x",), needed)


def scorer(model: LatentModel, batch: Batch) -> Graph:
    """Return the graph from rows to what scores are made of."""
    if getattr(getattr(model, "likelihood", None), "family", None) is None:
        raise CombinationError("Scores by feature need a model with one likelihood over the features of a row.")
    given = _of_rows(batch)
    heard = Recorder(torch.Generator().manual_seed(SCORE_SEED), same=True)
    module = Score(model, tuple(given), [])
    before = torch.random.get_rng_state()
    with torch.no_grad(), using(heard):
        seen = model.infer(batch, SCORE_DRAWS)
        _ = seen.log_w, [g.rate() for g in seen.groups]
    if not torch.equal(before, torch.random.get_rng_state()):
        raise CombinationError("A score under draws needs a posterior that is drawn from standard noise.")
    module = Score(model, tuple(given), heard.given)
    return Graph("scorer", module, given, ("costs", "rate", "nll"))


def _of_rows(batch: Batch) -> dict[str, Tensor]:
    if isinstance(batch.x, dict) or batch.lengths is not None:
        raise CombinationError(
            "A graph takes rows of one tensor and of one length, but these have several modalities or lengths of their "
            "own. Use the run itself, or `senzai serve`."
        )
    given = {"x": batch.x.float()}
    if batch.mask is not None:
        given["mask"] = batch.observed if batch.observed is not None else torch.ones_like(given["x"], dtype=torch.bool)
    if batch.c is not None:
        given["c"] = batch.c
    return given


def _have_scales(found: list[Distribution | None]) -> bool:
    try:
        return all(q is None or bool(q.stddev.shape) for q in found) and any(q is not None for q in found)
    except NotImplementedError:
        return False
