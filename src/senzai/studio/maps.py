"""The latent map: rows as points of a plane, and what they can be coloured by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import CombinationError, SenzaiError, SettingError
from ..core.random import derive
from ..data import Dataset
from ..evaluation import elbo
from ..models import verbs
from ..models.base import latent_model
from ..report.blocks import Colouring
from ..report.colouring import WordsOf, by_label, by_numbers, offered
from ..report.findings import Findings, Held
from ..report.numbers import number
from ..report.views import view_of
from ..runs import Run
from .latents import Attribute, Floats, LatentForm, attributes, flat
from .slow import SlowWork

ROWS, PIECE = 100_000, 2048
RATED, FITTED = 512, 20_000
"""Rows that say how much each dimension is used; rows that directions are fitted to."""


@dataclass(frozen=True)
class LatentMap:
    """Rows in the latent space.

    Args:
        run: Whose space it is.
        dataset: Whose rows they are.
        index: Their numbers.
        codes: Where they lie, ``(N, size)``.
        form: What those numbers are.
        use: How much each dimension is used: its rate in nats, or its variance.
        rated: Whether ``use`` is rates.
        colourings: What they can be coloured by.
        named: Those of them that the user has a name for: label and columns.
    """

    run: Run
    dataset: Dataset
    index: NDArray[np.int64]
    codes: Floats
    form: LatentForm
    use: NDArray[np.float64]
    rated: bool
    colourings: tuple[Colouring, ...]
    named: tuple[Colouring, ...]

    @cached_property
    def mean(self) -> Floats:
        """The middle of the points."""
        found: Floats = self.codes.mean(0)
        return found

    @cached_property
    def axes(self) -> Floats:
        """Two unit vectors that the plane has, ``(2, size)``: those along which the points lie widest."""
        if self.form.size == 2:
            return np.eye(2, dtype=np.float32)
        if self.form.size == 1:
            return np.array([[1.0], [0.0]], dtype=np.float32)
        some = self.codes[:: max(1, len(self.codes) // FITTED)] - self.mean
        *_, axes = np.linalg.svd(some, full_matrices=False)
        found = np.zeros((2, self.form.size), dtype=np.float32)
        found[: len(axes[:2])] = axes[:2]
        return found

    def plane(self, dims: tuple[int, int] | None) -> tuple[Floats, Floats, Floats]:
        """Return places ``(N, 2)`` of the rows, the origin, and the two axes of a plane, by default the widest one.

        Raises:
            SettingError: There are no such dimensions.
        """
        if dims is None:
            origin, axes = self.mean, self.axes
        else:
            if not all(0 <= d < self.form.size for d in dims):
                raise SettingError(f"Dimensions are 0 to {self.form.size - 1}, but got {dims}. Choose others.")
            origin, axes = self.mean.copy(), np.eye(self.form.size, dtype=np.float32)[list(dims)]
            origin[list(dims)] = 0
        xy = (self.codes - origin) @ axes.T
        if self.form.size == 1:  # one number: spread evenly by rank of the row, so that points do not hide each other
            xy[:, 1] = np.linspace(-1, 1, len(xy)) * max(float(np.std(xy[:, 0])), 1e-6)
        return np.ascontiguousarray(xy, dtype=np.float32), origin, axes

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """Dimensions, the most used first."""
        return np.argsort(-self.use, kind="stable")

    @cached_property
    def attributes(self) -> list[Attribute]:
        """Directions of what has a name."""
        step = max(1, len(self.codes) // FITTED)
        some = [replace(c, index=c.index[::step]) for c in self.named]
        return attributes(self.codes[::step], some)


def make_map(run: Run, dataset: Dataset, work: SlowWork[Any]) -> LatentMap:
    """Place rows of the data in the latent space of a run, all of them or as many as a map holds.

    Raises:
        CombinationError: The model has no latents, or none that can be mapped.
    """
    if not run.model.infers:
        raise CombinationError(
            "A map needs a model that infers latents from rows, but this one only draws rows. Fit a recipe such as vae."
        )
    n = dataset.rows.at_once(min(ROWS, len(dataset)))
    index = np.arange(len(dataset))
    if n < len(dataset):
        rng = np.random.default_rng(derive(run.spec.training.seed, "mapped"))
        index = np.sort(rng.choice(len(dataset), n, replace=False))
    codes, form = _codes(run, dataset, index, work)
    work.at(96, 100)
    use, rated = _use(run, dataset, index, codes)
    shown = Findings(run.model, dataset, run.schema, held := _held(dataset, index), held)
    made = [*by_label(held, run.schema), *view_of(run.schema).colourings(shown)]
    work.at(99, 100)
    latents = [by_numbers(f"z{form.names[j]}", codes[:, j].astype(float), _texts(codes[:, j]))
               for j in np.argsort(-use)[:8]]
    found = LatentMap(run, dataset, index, codes, form, use, rated, (), tuple(made))
    xy = found.plane(None)[0].astype(np.float64)
    return replace(found, colourings=(*(offered(made, xy, None) if made else ()), *latents))


def _texts(values: Floats) -> WordsOf:
    return WordsOf(values.tolist(), lambda v: number(float(v), 3))


def _held(dataset: Dataset, index: NDArray[np.int64]) -> Held:
    return Held(dataset.batch(index), index, "all", len(dataset), own=True)


def _codes(
    run: Run, dataset: Dataset, index: NDArray[np.int64], work: SlowWork[Any]
) -> tuple[Floats, LatentForm]:
    """Encode rows piece by piece."""
    found, form = [], None
    for start in range(0, len(index), PIECE):
        work.at(95 * start // len(index), 100)
        batch = dataset.batch(index[start : start + PIECE])
        with run.lock:
            z = verbs.encode(run.model, batch)
        form = form or LatentForm.of(z)
        if tuple(tuple(g.shape[1:]) for g in z) != form.shapes:
            raise CombinationError(
                "A map needs as many latents for each row, but those of this model grow with the row. "
                "Fit a recipe with one code a row, such as vae."
            )
        found.append(flat(z))
    if form is None:
        raise CombinationError("A map needs rows, but the data have none.")
    return np.concatenate(found), form


def _use(run: Run, dataset: Dataset, index: NDArray[np.int64], codes: Floats) -> tuple[NDArray[np.float64], bool]:
    """Return the rate of each dimension where it can be divided, else the variance of the codes."""
    some = index[:: max(1, len(index) // RATED)][:RATED]
    try:
        with run.lock:
            cost = elbo(latent_model(run.model), dataset.batch(some), seed=0)
        rates = np.concatenate([r.flatten().double().numpy() for r in cost.rate_per_dimension.values()])
    except (SenzaiError, ValueError):
        rates = np.zeros(0)
    if len(rates) == codes.shape[1]:
        return rates, True
    return codes.var(0).astype(np.float64), False
