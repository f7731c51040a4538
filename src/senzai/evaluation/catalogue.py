"""The catalogue of measures: their names, needs and costs, and the messages about missing needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.batch import Batch, Data, only
from ..core.errors import SettingError, UserError
from ..core.random import Noise, derive, using
from ..core.registry import Registry
from ..models import verbs
from ..models.base import Inference, LatentModel, latent_model
from ..models.generative import Generative
from ..models.modes import judging
from .bits import dequantise, is_discrete
from .context import contrastive_features
from .features import Features, classifier_features, denoising_features, pca_features, random_features, raw_features
from .holes import filled
from .likelihood import LikelihoodEstimate, log_likelihood
from .needs import NEEDS as NEEDS
from .results import Floats, Ints, plain
from .shadows import Shadows
from .statistics import random_rows
from .users import Users


# --- what is judged -------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Extras:
    """Optional knowledge beside model and rows.

    Args:
        train: Training rows, for features, floors and nearest neighbours.
        other: Rows of another data set, which the model should find anomalous.
        factors: Known factors of the judged rows, ``(N, F)``, whole numbers.
        anomaly: Number of the class whose rows are anomalies.
        features: Names of the features that samples are compared in (``pca``, ``random``, ``entries``, ``classifier``,
            ``denoising``, ``contrastive``), or features of one's own.
        noise: Whether samples are draws; else expected values, as pictures are shown.
        sampler: The model with the prior that samples are drawn from, where that is not its own.
        kind: Name of the kind of the rows.
        users: Users to judge a recommender by, where rows are sets of items.
        figures: What that kind says of new rows beside training rows, where it says anything.
        distance: How far that kind says that new rows are from training rows, where it says so.
        numbers: What the numbers of rows are called.
        pairs: What that kind says of each row beside its reconstruction, where it says anything.
        steps: Whether the first axis of rows of two axes is time.
        seconds: How long a row lasts, where it does.
        held_out: Whether the judged rows are of the model's own data and were not trained on.
        shadows: How runs like the judged one are trained on other rows.
        market: Returns, and ways to make paths of them, where rows are steps of prices or returns.
    """

    train: Batch | None = None
    other: Batch | None = None
    factors: Ints | None = None
    anomaly: int | None = None
    features: tuple[str | Features, ...] = ("pca",)
    noise: bool = True
    sampler: Generative | None = None
    kind: str = ""
    users: Users | None = None
    figures: Callable[[Data, Data], Mapping[str, float]] | None = None
    distance: Callable[[Data, Data], Mapping[str, float]] | None = None
    numbers: tuple[str, ...] = ()
    pairs: Callable[[Data, Data], Mapping[str, Floats]] | None = None
    steps: bool = True
    seconds: float | None = None
    market: Any = None
    held_out: bool = False
    shadows: Shadows | None = None


@dataclass(frozen=True)
class Case:
    """A model, rows and everything that several measures share, computed on first use.

    Args:
        model: What is judged.
        rows: Rows as they came.
        step: Distance of neighbouring levels, where data on a grid meet a density.
        k: Draws per row of the log-likelihood.
        seed: Seed of everything random.
        memory_gb: Most memory for one chunk of work, in GiB.
        extras: What may be known besides.
    """

    model: Generative
    rows: Batch
    step: float | None = None
    k: int = 500
    seed: int = 0
    memory_gb: float = 0.5
    extras: Extras = field(default_factory=Extras)

    @cached_property
    def scored(self) -> Batch:
        """The rows as far as the model scores them, in their own values."""
        return self.model.scored(self.rows)

    @property
    def latent(self) -> LatentModel:
        """The model as one with latents.

        Raises:
            CombinationError: It has none.
        """
        return latent_model(self.model)

    @cached_property
    def first(self) -> Inference:
        """What the model infers about the first row: what kind of distributions there are."""
        with judging(self.model), using(Noise.seeded(0, device=self.rows.device)):
            return self.latent.infer(self.scored.take(slice(0, 1)))

    @cached_property
    def discrete(self) -> bool:
        """Whether the likelihood gives masses; a density of the data themselves never does."""
        return self.model.infers and is_discrete(self.first.likelihood)

    def prepared(self, batch: Batch) -> Batch:
        """Return rows as the model scores them: dequantised where a density meets levels."""
        step, batch = None if self.discrete else self.step, self.model.scored(batch)
        return batch if step is None else dequantise(batch, step, seed=self.seed)

    @cached_property
    def data(self) -> Batch:
        """The rows as they are scored."""
        return self.prepared(self.rows)

    def some(self, most: int, purpose: str) -> tuple[Batch, Ints]:
        """At most so many of the scored rows, chosen by purpose and seed, and their numbers."""
        chosen = random_rows(len(self.rows), most, derive(self.seed, purpose))
        if chosen is None:
            return self.data, np.arange(len(self.rows))
        return self.data.take(chosen), chosen.numpy()

    @cached_property
    def estimate(self) -> LikelihoodEstimate:
        """Log-likelihoods of all rows."""
        return log_likelihood(self.model, self.data, k=self.k, seed=self.seed, memory_gb=self.memory_gb)

    @cached_property
    def codes(self) -> Floats:
        """Posterior points of all rows, ``(N, d)``, all groups side by side."""
        return self.codes_of(self.data)

    def codes_of(self, batch: Batch) -> Floats:
        """Posterior points of other rows."""
        groups = [g.flatten(1).double() for g in verbs.encode(self.model, batch)]
        return torch.cat(groups, 1).cpu().numpy()

    @cached_property
    def labelled(self) -> tuple[Ints, Ints]:
        """Numbers of the rows with a label, and their labels."""
        y, known = self.rows.y, self.rows.y_known
        if y is None or y.is_floating_point():
            return np.empty(0, np.int64), np.empty(0, np.int64)
        rows = torch.arange(len(y)) if known is None else known.nonzero()[:, 0].cpu()
        return rows.numpy(), y.cpu()[rows].numpy().astype(np.int64)

    def samples(self, n: int) -> Tensor:
        """New rows of one tensor, given conditions of judged rows."""
        model = self.model if self.extras.sampler is None else self.extras.sampler
        seed = derive(self.seed, "judged")
        return only(verbs.sample(model, n, seed=seed, c=self.conditions(n), noise=self.extras.noise))

    def conditions(self, n: int) -> Tensor | None:
        """Conditions of ``n`` judged rows: at random, and each again only after all others."""
        c = self.rows.c
        if c is None:
            return None
        order = np.random.default_rng(derive(self.seed, "conditions")).permutation(len(c))
        return c[torch.from_numpy(order[np.arange(n) % len(c)]).to(c.device)]

    def feature(self, wanted: str | Features) -> Features:
        """Make features by name, from training rows where they need any.

        Raises:
            SettingError: The name is unknown, or training rows or labels are missing.
        """
        if isinstance(wanted, Features):
            return wanted
        return make_features(wanted, self.extras.train, tuple(self.rows.tensor.shape[1:]), seed=self.seed)


FEATURES = ("pca", "entries", "random", "denoising", "contrastive", "classifier")


def make_features(name: str, train: Batch | None, event: tuple[int, ...], *, seed: int) -> Features:
    """Return features by name; those that are learned take the mean of a column where an entry is missing.

    Raises:
        SettingError: The name is unknown, or training rows or labels are missing.
    """
    if name not in FEATURES:
        raise SettingError(f"Features are one of {', '.join(FEATURES)}, but got {name!r}. Choose one of them.")
    if name == "entries":
        return raw_features()
    if name == "random":
        return random_features(event, seed=seed)
    if train is None:
        raise SettingError(f"The features {name!r} are learned from training rows, which are not here. Use 'random'.")
    if name == "pca":
        return pca_features(filled(train))
    if name == "denoising":
        return denoising_features(filled(train), seed=seed)
    if name == "contrastive":
        return contrastive_features(filled(train), seed=seed)
    known = torch.ones(len(train), dtype=torch.bool) if train.y_known is None else train.y_known
    if train.y is None or train.y.is_floating_point() or not bool(known.any()):
        raise SettingError("The features 'classifier' are learned from labels, but the training rows have none.")
    return classifier_features(filled(train)[known], train.y[known], seed=seed)


# --- what it costs --------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Pace:
    """Speed of evaluation of this model on this machine, from a short pilot.

    Args:
        draw: Seconds to infer and score one draw of one row.
        row: Seconds to encode one row, decode one draw and score it.
    """

    draw: float
    row: float

    @classmethod
    def of(cls, case: Case) -> Pace:
        """Time rows with many draws each, few and more of them, and rows with one: what grows is what counts.

        A model without an inference is timed by its samples, and no draws of latents are counted.
        """
        if not case.model.infers:
            n = min(64, len(case.rows))
            return cls(0.0, min(_seconds(lambda: case.samples(n)) for _ in range(2)) / n)
        k = min(case.k, 128)

        def took(rows: int, draws: int) -> float:
            some = case.data.take(slice(0, rows))
            return min(
                _seconds(lambda: log_likelihood(case.model, some, k=draws, memory_gb=case.memory_gb)) for _ in range(2)
            )

        few, more, most = min(2, len(case.rows)), min(18, len(case.rows)), min(128, len(case.rows))
        base, larger = took(few, k), took(more, k)
        grown = (larger - base) / max(1, more - few)
        return cls(max(grown, 0.2 * larger / more) / k, took(most, 1) / most)

    @property
    def gradient(self) -> float:
        """Seconds for one draw with a gradient: a forward pass and one twice as long back."""
        return 3 * self.draw


def _seconds(work: Callable[[], object]) -> float:
    began = perf_counter()
    work()
    return perf_counter() - began


# --- measures -------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Measure:
    """One entry of the catalogue.

    Args:
        name: What it is called, in choices and results.
        title: What it measures, in a line.
        run: Measures it; gives figures, numbers or nested mappings of them.
        cost: Seconds it will take, from the case and the pace.
        needs: What must be there; names of :data:`NEEDS`.
        usual: Whether it is taken by default.
        kinds: Names of the kinds whose rows it can judge; those of all kinds where none is named.
        trains: Whether it trains models, for which it has to be named: it is not among "all".
    """

    name: str
    title: str
    run: Callable[[Case], Mapping[str, Any]]
    cost: Callable[[Case, Pace], float]
    needs: tuple[str, ...] = ()
    usual: bool = False
    kinds: tuple[str, ...] = ()
    trains: bool = False

    def missing(self, case: Case) -> str | None:
        """Say what is missing, if anything is."""
        if self.kinds and case.extras.kind not in self.kinds:
            return f"It judges rows of the kind {' or '.join(self.kinds)}; these are of another."
        for need in sorted(self.needs, key=lambda need: need != "tensor"):  # what the rows are is said first
            if not NEEDS[need][0](case):
                return f"{NEEDS[need][1]}"
        return None


MEASURES: Registry[Measure] = Registry("measure")


def measure(
    name: str, title: str, *, needs: tuple[str, ...] = (), usual: bool = False, kinds: tuple[str, ...] = (),
    trains: bool = False, cost: Callable[[Case, Pace], float],
) -> Callable[[Callable[[Case], Mapping[str, Any]]], Callable[[Case], Mapping[str, Any]]]:
    """Register a function as a measure; see :class:`Measure`."""

    def keep(run: Callable[[Case], Mapping[str, Any]]) -> Callable[[Case], Mapping[str, Any]]:
        MEASURES.add(name)(Measure(name, title, run, cost, needs, usual, kinds, trains))
        return run

    return keep


def chosen(only: Iterable[str] | None, also: Iterable[str]) -> tuple[str, ...]:
    """Return the names to measure, in the order of the catalogue: the usual ones and ``also``, or ``only``.

    Raises:
        UnknownNameError: A name is not in the catalogue.
    """
    asked = set(only) if only is not None else {m.name for m in MEASURES.values() if m.usual} | set(also)
    for name in asked:
        MEASURES[name]
    return tuple(name for name in MEASURES if name in asked)


# --- all together ---------------------------------------------------------------------------------------------------
def estimated(case: Case, pace: Pace, names: tuple[str, ...]) -> dict[str, float]:
    """Seconds that each of the named measures will take, and ``base`` for the figures that are taken of every model."""
    n = len(case.rows)
    base = pace.draw * n * case.k + 3 * pace.row * n + 4e-8 * min(n, 10_000) ** 2
    return {"base": base, **{name: float(MEASURES[name].cost(case, pace)) for name in names}}


@dataclass(frozen=True)
class Measured:
    """What was measured, and what was not.

    Args:
        found: Plain values by name of the measure.
        missed: Why a measure was not taken, by name.
        seconds: What each took.
    """

    found: dict[str, Any]
    missed: dict[str, str]
    seconds: dict[str, float]


def take(case: Case, names: tuple[str, ...], costs: Mapping[str, float], *, budget: float | None = None) -> Measured:
    """Take measures one after another; what cannot be taken is said, with the reason, and so is what was not asked for.

    Args:
        case: What is judged.
        names: Measures to take.
        costs: Seconds that each is expected to take.
        budget: Seconds there are for all of them; a measure that would not fit is left out.
    """
    found: dict[str, Any] = {}
    missed: dict[str, str] = {}
    took: dict[str, float] = {}
    for name, entry in MEASURES.items():
        missing = entry.missing(case)
        left = None if budget is None else budget - sum(took.values())
        if missing is not None:
            missed[name] = missing
        elif name not in names:
            missed[name] = f"It was not asked for: add it with --also {name}."
        elif left is not None and costs.get(name, 0.0) > left:
            missed[name] = f"It would take about {costs[name]:.0f} s, and {max(0, left):.0f} s of the budget are left."
        else:
            began = perf_counter()
            try:
                found[name] = plain(entry.run(case))
            except UserError as error:
                missed[name] = str(error)
            took[name] = perf_counter() - began
    return Measured(found, missed, took)
