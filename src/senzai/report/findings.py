"""What a report measures for itself: few rows, few draws, all of them stated on the page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.batch import Batch, only
from ..core.random import derive
from ..data import KINDS, Dataset, Schema
from ..data.split import permutation
from ..evaluation import elbo
from ..evaluation.changes import Change, along
from ..models import verbs
from ..models.base import LatentModel, Latents
from ..training.samplers import Samplers

Floats = NDArray[np.float64]

MAP_ROWS = 2000
MAP_PICTURES = 1000
ENOUGH = 200
SHOWN_ROWS = 12
COMPARED = 400
SAMPLES = 48
ROW_DRAWS = 32
TRAVERSED = 6
PLACES = 9
PAIRS = 3
CHANGED = 8


@dataclass(frozen=True)
class Held:
    """Rows that training did not see, or what comes nearest.

    Args:
        batch: The rows, in an order drawn from the seed.
        index: Their numbers in the data set.
        part: "test", "validation" or "all".
        total: How many there are to choose from.
        own: Whether they come from the data the model was trained on.
    """

    batch: Batch
    index: NDArray[np.int64]
    part: str
    total: int
    own: bool

    @property
    def name(self) -> str:
        """What these rows are called on the page."""
        if not self.own:
            return "rows of the data given for this report"
        names = {"test": "held-out test rows", "validation": "validation rows"}
        return names.get(self.part, "rows of the data, training rows among them")


@dataclass(frozen=True)
class Shown:
    """A few rows, what the model makes of them, and what each costs: rate plus distortion in nats, ``(n,)``."""

    batch: Batch
    index: NDArray[np.int64]
    reconstructions: Tensor
    nats: Floats


@dataclass(frozen=True)
class Codes:
    """Where rows lie in the latent space: posterior points ``(n, d)``, and what each row costs, one draw per row.

    ``rates`` is the mean rate of each dimension, where the posterior lets it be divided; ``variances`` are of the
    posterior means over the ``varied`` rows that were evaluated.
    """

    points: Floats
    distortion: Floats
    rates: Floats | None
    names: tuple[str, ...]
    variances: Floats
    varied: int


@dataclass(frozen=True)
class Traversal:
    """One row decoded while one latent takes each of ``values``; of a table, what changes."""

    name: str
    values: Floats
    x: Tensor
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Path:
    """Two rows of the data and the decoded points on the line between their codes; of a table, what changes."""

    ends: tuple[int, int]
    x: Tensor
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Findings:
    """Everything that was measured for one page.

    Args:
        held: Rows that training did not see.
        shown: The first few of them.
        mapped: Rows of the latent map and of comparisons with samples: the same, or all rows where those are few.
        codes: Where those lie.
        compared: Reconstructions of the held rows, of as many as are compared column by column.
        samples: New rows.
        noisy: Whether these are draws; else expected values.
        traversals: One row moved along single latents.
        paths: Ways between pairs of rows.
        source: What the latents of new rows were drawn from.
    """

    held: Held
    shown: Shown
    mapped: Held
    codes: Codes
    compared: Tensor
    samples: Tensor
    noisy: bool
    traversals: tuple[Traversal, ...]
    paths: tuple[Path, ...]
    source: str


def rows_of(schema: Schema) -> int:
    """Return how many rows are looked at: fewer of pictures, which take longer."""
    return MAP_PICTURES if schema.kind == "images" else MAP_ROWS


def hold(dataset: Dataset, trained_on: Schema, *, rows: int, seed: int, part: str = "") -> Held:
    """Return at most ``rows`` rows: of ``part``, else test rows of the training data, or any rows of other data."""
    own = dataset.schema.fingerprint == trained_on.fingerprint
    asked, part, index = part, "all", np.arange(len(dataset))
    if not asked and own and len(dataset) >= dataset.schema.split.needs:
        parts = dataset.split_indices()
        part = next((p for p in ("test", "validation") if len(parts[p])), "all")
        index = parts.get(part, index)
    chosen = index[permutation(len(index), derive(seed, "report"))[:rows]]
    return Held(dataset.batch(chosen), chosen, part, len(index), own)


def find_codes(model: LatentModel, batch: Batch, *, seed: int) -> Codes:
    """Place rows in the latent space."""
    groups = verbs.encode(model, batch)
    cost = elbo(model, batch, seed=seed)
    rates = [r.flatten() for r in cost.rate_per_dimension.values()]
    divided = sum(map(len, rates)) == sum(g[0].numel() for g in groups)
    names = [f"{'' if len(groups) == 1 else f'{i}.'}{j}" for i, g in enumerate(groups) for j in range(g[0].numel())]
    points = torch.cat([g.flatten(1) for g in groups], 1).double().numpy()
    return Codes(
        points, cost.distortion.numpy(), torch.cat(rates).double().numpy() if divided else None, tuple(names),
        points.var(0, ddof=1) if len(points) > 1 else np.zeros(len(names)), len(points),
    )


def by_use(codes: Codes) -> NDArray[np.int64]:
    """Return latent dimensions, the most used first: by rate, or by spread where the rate cannot be divided."""
    use = codes.variances if codes.rates is None else codes.rates
    return np.argsort(-use, kind="stable")


def find_traversals(
    model: LatentModel, row: Batch, codes: Codes, schema: Schema | None = None
) -> tuple[Traversal, ...]:
    """Move one row along the most used latents, from the 1st to the 99th percentile of the rows."""
    groups = verbs.encode(model, row)
    places = [(g, j) for g, z in enumerate(groups) for j in range(z[0].numel())]
    found = []
    for flat in by_use(codes)[:TRAVERSED]:
        group, dim = places[flat]
        if groups[group].ndim != 2 or not groups[group].is_floating_point():  # codes have no way between them
            continue
        low, high = np.percentile(codes.points[:, flat], [1, 99])
        if high - low < 1e-6:
            low, *_, high = verbs.spaces_of(model, groups)[group].steps()
        values = np.linspace(low, high, PLACES)
        z, c = verbs.moved(model, row, dim=dim, values=torch.tensor(values, dtype=torch.float32), group=group)
        found.append(Traversal(codes.names[flat], values, *decoded(model, z, c, schema)))
    return tuple(found)


def decoded(
    model: LatentModel, z: Latents, c: Tensor | None, schema: Schema | None
) -> tuple[Tensor, tuple[Change, ...]]:
    """Return decoded latents of one row, and what changes along them."""
    changes = () if schema is None else tuple(along(model, z, c, schema, most=CHANGED))
    return only(verbs.decode(model, z, c=c)), changes


def find_paths(model: LatentModel, held: Held, schema: Schema | None = None) -> tuple[Path, ...]:
    """Walk in straight lines between pairs of rows, of different labels where there are labels."""
    found = []
    for a, b in pair_up(held.batch, PAIRS):
        first, second = (held.batch.take(slice(i, i + 1)) for i in (a, b))
        z, c = verbs.between(model, first, second, steps=PLACES)
        found.append(Path((int(held.index[a]), int(held.index[b])), *decoded(model, z, c, schema)))
    return tuple(found)


def pair_up(batch: Batch, n: int) -> list[tuple[int, int]]:
    """Return up to ``n`` pairs of rows, each row with the next unused one, of another label if there is one.

    Example:
        >>> pair_up(Batch(torch.zeros(4, 1), y=torch.tensor([0, 0, 1, 1])), 2)
        [(0, 2), (1, 3)]
    """
    free = list(range(min(len(batch), 64)))
    pairs: list[tuple[int, int]] = []
    while len(free) > 1 and len(pairs) < n:
        a = free.pop(0)
        y = batch.y
        b = next((i for i in free if y is not None and y[i] != y[a]), free[0])
        free.remove(b)
        pairs.append((a, b))
    return pairs


def measure(
    model: LatentModel, dataset: Dataset, trained_on: Schema, held: Held, *, rates: Floats | None, seed: int,
    samplers: Samplers | None = None,
) -> Findings:
    """Measure everything a page shows but its headline; ``rates`` of the latents are taken where they are known."""
    few = held.batch.take(slice(0, SHOWN_ROWS))
    cost = elbo(model, few, n_samples=ROW_DRAWS, seed=seed)
    shown = Shown(few, held.index[:SHOWN_ROWS], only(verbs.reconstruct(model, few)), -cost.elbo.numpy())
    codes, mapped = find_codes(model, held.batch, seed=seed), held
    if held.total < ENOUGH and held.own:
        mapped = hold(dataset, trained_on, rows=rows_of(trained_on), seed=seed, part="all")
        wider = find_codes(model, mapped.batch, seed=seed)
        alone = len(held.batch) < 2
        codes = wider if alone else replace(wider, variances=codes.variances, varied=codes.varied)
    if rates is not None and len(rates) == len(codes.names):
        codes = replace(codes, rates=rates)
    noisy = trained_on.kind != "images"
    first = held.batch.take(slice(0, COMPARED))
    compared = only(verbs.reconstruct(model, first)) if noisy else shown.reconstructions
    n = MAP_ROWS if noisy else SAMPLES
    drawn = derive(seed, "samples")
    c = KINDS[trained_on.kind].condition({}, n, trained_on, seed=drawn)
    source = samplers or Samplers()
    samples = only(verbs.sample(source.under(model), n, seed=drawn, c=c, noise=noisy))
    moved = find_traversals(model, few.take(slice(0, 1)), codes, trained_on)
    paths = find_paths(model, held, trained_on)
    return Findings(held, shown, mapped, codes, compared, samples, noisy, moved, paths, source.chosen)


def label_names(held: Held, schema: Schema) -> list[Any] | None:
    """Return the class of each row, ``None`` where it is not known; ``None`` if there are no labels."""
    y = held.batch.y
    if y is None or schema.label is None:
        return None
    known = [True] * len(held.batch) if held.batch.y_known is None else held.batch.y_known.tolist()
    return [schema.label.classes[i] if k else None for i, k in zip(y.tolist(), known, strict=True)]
