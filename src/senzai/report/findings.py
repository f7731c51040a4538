"""What a report measures for itself: few rows, few draws, all of them stated on the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.batch import Batch, Data
from ..core.errors import SenzaiError
from ..core.random import derive
from ..data import Dataset, Schema
from ..data.split import permutation
from ..evaluation import DistortionAndRate, elbo
from ..models import verbs
from ..models.base import LatentModel, Latents, latent_model
from ..models.generative import Generative
from ..training.samplers import Samplers

Floats = NDArray[np.float64]
T = TypeVar("T")

ENOUGH = 200
SHOWN_ROWS = 12
ROW_DRAWS = 32
TRAVERSED = 6
PLACES = 9
PAIRS = 3
NO_INFERENCE = (
    "This model draws rows and has no inference: a row has no code, so there are no reconstructions, no latent map and "
    "no traversals."
)


@dataclass(frozen=True)
class Scope:
    """How much of the data a page looks at.

    Args:
        mapped: Rows of the latent map, at most.
        samples: New rows.
        compared: Rows that are compared with their reconstructions beside the few that are shown.
    """

    mapped: int = 1000
    samples: int = 12
    compared: int = 0


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
        return names.get(self.part, "rows of the data, including training rows")


@dataclass(frozen=True)
class Shown:
    """A few rows, their reconstructions, and the lower bound of each in nats, ``(n,)``, where there is one."""

    batch: Batch
    index: NDArray[np.int64]
    reconstructions: Data
    elbo: Floats | None


@dataclass(frozen=True)
class Codes:
    """Where rows lie in the latent space: posterior points ``(n, d)``, and the distortion of each row, one draw a row.

    ``rates`` is the mean rate of each dimension, where the posterior lets it be divided; ``variances`` are of the
    posterior means over the ``varied`` rows that were evaluated.
    """

    points: Floats
    distortion: Floats | None
    rates: Floats | None
    names: tuple[str, ...]
    variances: Floats
    varied: int


@dataclass(frozen=True)
class Traversal:
    """One row decoded while one latent takes each of ``values``: latents ``z``, their condition, decoded rows ``x``."""

    name: str
    values: Floats
    z: Latents
    c: Tensor | None
    x: Data


@dataclass(frozen=True)
class Path:
    """Two rows of the data, the points ``z`` on the line between their codes, their condition, decoded rows ``x``."""

    ends: tuple[int, int]
    z: Latents
    c: Tensor | None
    x: Data


@dataclass(frozen=True)
class Findings:
    """Everything that was measured for one page; what a model does not have is ``None`` or empty.

    Args:
        model: What was looked at.
        dataset: Where the rows come from.
        schema: Schema of the model.
        held: Rows that training did not see.
        mapped: Rows of the latent map and of comparisons with samples: the same, or all rows where those are few.
        samples: New rows.
        noisy: Whether these are draws; else expected values.
        source: What the latents of new rows were drawn from.
        shown: The first few of the held rows.
        codes: Where the rows of the map lie.
        compared: Reconstructions of held rows, of as many as are compared one entry with another.
        traversals: One row moved along single latents.
        paths: Ways between pairs of rows.
        missing: Why something could not be measured, by its name.
    """

    model: Generative
    dataset: Dataset
    schema: Schema
    held: Held
    mapped: Held
    samples: Data | None = None
    noisy: bool = True
    source: str = "prior"
    shown: Shown | None = None
    codes: Codes | None = None
    compared: Data | None = None
    traversals: tuple[Traversal, ...] = ()
    paths: tuple[Path, ...] = ()
    missing: dict[str, str] = field(default_factory=dict)


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


# --- codes ------------------------------------------------------------------------------------------------------------
def bound_of(model: LatentModel, batch: Batch, **options: Any) -> DistortionAndRate | None:
    """Return the lower bound of each row, or nothing where the model has none."""
    try:
        return elbo(model, batch, **options)
    except SenzaiError:
        return None


def find_shown(model: LatentModel, held: Held, *, seed: int) -> Shown:
    """Reconstruct a few rows."""
    few = held.batch.take(slice(0, SHOWN_ROWS))
    cost = bound_of(model, few, n_samples=ROW_DRAWS, seed=seed)
    bound = None if cost is None else cost.elbo.numpy()
    return Shown(few, held.index[:SHOWN_ROWS], verbs.reconstruct(model, few), bound)


def find_codes(model: LatentModel, batch: Batch, *, seed: int) -> Codes:
    """Place rows in the latent space."""
    groups = verbs.encode(model, batch)
    cost = bound_of(model, batch, seed=seed)
    rates = [] if cost is None else [r.flatten() for r in cost.rate_per_dimension.values()]
    divided = bool(rates) and sum(map(len, rates)) == sum(g[0].numel() for g in groups)
    names = [f"{'' if len(groups) == 1 else f'{i}.'}{j}" for i, g in enumerate(groups) for j in range(g[0].numel())]
    points = torch.cat([g.flatten(1) for g in groups], 1).double().numpy()
    return Codes(
        points, None if cost is None else cost.distortion.numpy(),
        torch.cat(rates).double().numpy() if divided else None, tuple(names),
        points.var(0, ddof=1) if len(points) > 1 else np.zeros(len(names)), len(points),
    )


def by_use(codes: Codes) -> NDArray[np.int64]:
    """Return latent dimensions, the most used first: by rate, or by spread where the rate cannot be divided."""
    use = codes.variances if codes.rates is None else codes.rates
    return np.argsort(-use, kind="stable")


def find_traversals(model: LatentModel, row: Batch, codes: Codes) -> tuple[Traversal, ...]:
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
        found.append(Traversal(codes.names[flat], values, z, c, verbs.decode(model, z, c=c)))
    return tuple(found)


def find_paths(model: LatentModel, held: Held) -> tuple[Path, ...]:
    """Walk in straight lines between pairs of rows, of different labels where there are labels."""
    found = []
    for a, b in pair_up(held.batch, PAIRS):
        first, second = (held.batch.take(slice(i, i + 1)) for i in (a, b))
        z, c = verbs.between(model, first, second, steps=PLACES)
        found.append(Path((int(held.index[a]), int(held.index[b])), z, c, verbs.decode(model, z, c=c)))
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


# --- all --------------------------------------------------------------------------------------------------------------
def measure(
    model: Generative, dataset: Dataset, schema: Schema, held: Held, scope: Scope, *, rates: Floats | None, seed: int,
    samplers: Samplers | None = None,
) -> Findings:
    """Measure everything a page shows but its headline; ``rates`` of the latents are taken where they are known."""
    missing: dict[str, str] = {}
    mapped = held
    if held.total < ENOUGH and held.own:
        mapped = hold(dataset, schema, rows=scope.mapped, seed=seed, part="all")
    noisy = dataset.kind.shows == "draws"
    source = samplers or Samplers()
    samples = attempt(
        "samples", lambda: find_samples(source.apply_to(model), dataset, schema, scope.samples, noisy=noisy, seed=seed),
        missing,
    )
    found = Findings(
        model, dataset, schema, held, mapped, samples, noisy, source.chosen, missing=missing
    )
    if not model.infers:
        missing["codes"] = NO_INFERENCE
        return found
    return infer(found, scope, rates=rates, seed=seed)


def infer(found: Findings, scope: Scope, *, rates: Floats | None, seed: int) -> Findings:
    """Add what takes an inference: reconstructions, codes, and ways through the latent space."""
    model, held, missing = latent_model(found.model), found.held, found.missing
    few = held.batch.take(slice(0, scope.compared))
    shown = attempt("reconstructions", lambda: find_shown(model, held, seed=seed), missing)
    compared = attempt("reconstructions", lambda: verbs.reconstruct(model, few), missing) if len(few) else None
    codes = attempt("codes", lambda: codes_of(found, rates, seed=seed), missing)
    moved = None
    if codes is not None:
        row = held.batch.take(slice(0, 1))
        moved = attempt("traversals", lambda: find_traversals(model, row, codes), missing)
    paths = attempt("interpolations", lambda: find_paths(model, held), missing)
    return replace(
        found, shown=shown, compared=compared, codes=codes, traversals=moved or (), paths=paths or ()
    )


def attempt(name: str, find: Callable[[], T], missing: dict[str, str]) -> T | None:
    """Return what is found, or nothing, and keep the reason under ``name``."""
    try:
        return find()
    except SenzaiError as err:
        missing[name] = str(err)
        return None


def codes_of(found: Findings, rates: Floats | None, *, seed: int) -> Codes:
    """Place the rows of the map; rates and variances stay those of the rows that were evaluated."""
    model = latent_model(found.model)
    codes = find_codes(model, found.held.batch, seed=seed)
    if found.mapped is not found.held:
        wider = find_codes(model, found.mapped.batch, seed=seed)
        alone = len(found.held.batch) < 2
        codes = wider if alone else replace(wider, variances=codes.variances, varied=codes.varied)
    if rates is not None and len(rates) == len(codes.names):
        codes = replace(codes, rates=rates)
    return codes


def find_samples(
    model: Generative, dataset: Dataset, schema: Schema, n: int, *, noisy: bool, seed: int
) -> Data:
    """Draw new rows, under conditions as the data have them."""
    drawn = derive(seed, "samples")
    c = dataset.kind.condition({}, n, schema, seed=drawn)
    return verbs.sample(model, n, seed=drawn, c=c, noise=noisy)


def label_names(held: Held, schema: Schema) -> list[Any] | None:
    """Return the class of each row, ``None`` where it is not known; ``None`` if there are no labels."""
    y = held.batch.y
    if y is None or schema.label is None:
        return None
    known = [True] * len(held.batch) if held.batch.y_known is None else held.batch.y_known.tolist()
    return [schema.label.classes[i] if k else None for i, k in zip(y.tolist(), known, strict=True)]
