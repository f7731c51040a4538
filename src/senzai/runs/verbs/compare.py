"""Which of several runs is better: paired differences on the same held-out rows, with error bars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...core.errors import InputError, SettingError
from ...core.random import derive
from ...data import Dataset
from ...evaluation import Case, Figure, elbo, log_likelihood, mean_se
from ...evaluation.bits import dimensions, log_volume
from ...evaluation.results import plain
from ...models.generative import needs_density
from ...training.trained import Trained
from .registry import hold, verb
from .sample_distance import distances, least_distance

ROWS, DRAWS = 2000, 100
CERTAIN = 0.95


@dataclass(frozen=True)
class Comparison:
    """Several runs on the same rows.

    Args:
        rows: How many.
        k: Draws per row, of those that draw.
        log_likelihood: Mean log-likelihood of each that has a density, in nats per row; higher is better.
        exact: Names of those whose log-likelihood is the density itself, neither a bound nor an estimate.
        elbo: Mean bound of each that has an inference.
        bits_per_dim: Of each that has a density.
        best: The name of the best: of the highest log-likelihood, or of the nearest samples.
        differences: How far each lies below the best, row by row, with the standard error of the paired difference; of
            samples, how much further they lie from held-out rows.
        intervals: Of the differences, 95 % for those of all pairs of runs together (Bonferroni): the best of several is
            not known beforehand, so that every run might have been compared with every other.
        equal: Names whose interval contains 0: as good as the best, for all that these rows show.
        notes: What to be careful with.
        samples: Distance of each run's samples from held-out rows, where one of the runs has no density; lower is
            better.
    """

    rows: int
    k: int
    log_likelihood: Mapping[str, Figure]
    elbo: Mapping[str, Figure]
    bits_per_dim: Mapping[str, float]
    best: str
    differences: Mapping[str, Figure]
    intervals: Mapping[str, tuple[float, float]]
    equal: tuple[str, ...]
    notes: tuple[str, ...]
    exact: tuple[str, ...] = ()
    samples: Mapping[str, Figure] = field(default_factory=dict)

    @property
    def judged_by(self) -> str:
        """What decided: ``log_likelihood``, or ``samples`` where one of the runs has no density."""
        return "samples" if self.samples else "log_likelihood"

    @property
    def verdict(self) -> str:
        """One sentence."""
        others = [n for n in self.differences if n != self.best]
        worse = [n for n in others if n not in self.equal]
        if not worse:
            return f"No run is better than the others on these {self.rows} rows."
        if not self.equal:
            return f"{self.best} is better than {' and '.join(worse)}."
        return f"{self.best} is better than {' and '.join(worse)}, and not told apart from {' and '.join(self.equal)}."

    def document(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        found: dict[str, Any] = plain({
            "rows": self.rows, "k": self.k, "best": self.best, "verdict": self.verdict, "equal": self.equal,
            "judged_by": self.judged_by,
            "runs": {name: self._of(name) for name in self.differences},
            "notes": self.notes,
        })
        return found

    def _of(self, name: str) -> dict[str, Any]:
        measured = {
            "log_likelihood": self.log_likelihood.get(name), "elbo": self.elbo.get(name),
            "bits_per_dim": self.bits_per_dim.get(name), "samples": self.samples.get(name),
            "exact": True if name in self.exact else None,
        }
        known = {k: v for k, v in measured.items() if v is not None}
        return {**known, "below_best": self.differences[name], "interval": self.intervals[name]}


def compare(
    runs: Sequence[Trained] | Mapping[str, Trained], data: object = None, *, rows: int = ROWS, k: int = DRAWS,
    seed: int = 0, sampler: str = "prior", options: Mapping[str, Any] | None = None,
) -> Comparison:
    r"""Return which run is better, by the log-likelihood of rows that none of them was trained on.

    .. math:: \bar d = \frac1n \sum_i \big(\log p_a(x_i) - \log p_b(x_i)\big), \qquad
        \mathrm{se} = s(d) / \sqrt n

    Rows differ much more from each other than two models do on a row: paired differences are the sharper comparison.
    Where one of the runs has no density, all are compared by the distance of their samples from those rows instead.

    Args:
        runs: Two runs at least, by name; a sequence is named by folder or number.
        data: The data they were trained on (their common held-out rows are used), or other data (all rows).
        rows: Rows to use at most.
        k: Draws per row.
        seed: Seed of rows and draws.
        sampler: Whose density is judged: the ``prior``, or ``auto``, what each draws samples from.
        options: How other data are read, where that is not how the runs' own were.

    Raises:
        SettingError: There are fewer than two runs, or they share no held-out rows.
        InputError: They were not trained on data of one shape, or one has a density and another masses.

    Example:
        >>> from senzai.runs import fit
        >>> small = {"n_latent": 2, "network": "mlp", "hidden": (8,), "sampler": "none"}
        >>> few, more = (fit("digits", steps=s, **small) for s in (1, 60))
        >>> found = compare({"few": few, "more": more}, rows=100, k=10)
        >>> found.best, found.equal
        ('more', ())
    """
    with hold(named(runs).values()):
        return compare_rows(named(runs), data, rows=rows, k=k, seed=seed, sampler=sampler, options=options)


@verb("compare", group="Judge", takes="runs", answers="document", steered=False)
def compare_with(
    run: Trained, others: Trained | Sequence[Trained] | Mapping[str, Trained], data: object = None, *,
    rows: int = ROWS, k: int = DRAWS, seed: int = 0, sampler: str = "prior",
) -> Comparison:
    """Say which run is better: paired differences on the same held-out rows, with error bars."""
    more = list(others.values()) if isinstance(others, Mapping) else others
    runs = [run, *more] if isinstance(more, Sequence) else [run, more]
    return compare_rows(named(runs), data, rows=rows, k=k, seed=seed, sampler=sampler)


def named(runs: Sequence[Trained] | Mapping[str, Trained]) -> dict[str, Trained]:
    """Return runs by name; equal names of folders get a number."""
    if isinstance(runs, Mapping):
        return dict(runs)
    names = [str(i + 1) if r.folder is None else r.folder.resolve().name for i, r in enumerate(runs)]
    twice = {n for n in names if names.count(n) > 1}
    return {(f"{n} ({i + 1})" if n in twice else n): r for i, (n, r) in enumerate(zip(names, runs, strict=True))}


def compare_rows(
    runs: Mapping[str, Trained], data: object = None, *, rows: int = ROWS, k: int = DRAWS, seed: int = 0,
    sampler: str = "prior", options: Mapping[str, Any] | None = None,
) -> Comparison:
    """Compare runs by name; see :func:`compare`."""
    if len(runs) < 2:
        raise SettingError(f"A comparison needs two runs at least, but got {len(runs)}. Give another one.")
    dataset, index, notes = shared_rows(runs, data, rows=rows, seed=seed, options=options)
    dense = {name: run for name, run in runs.items() if needs_density(run.model) is None}
    scores = {name: scored(run, dataset, index, k=k, seed=seed, sampler=sampler) for name, run in dense.items()}
    if len({s.masses for s in scores.values()}) > 1:
        raise InputError(
            "Log-likelihoods are compared where all are of one sort, but some of these runs have densities and others "
            "masses. Train them with likelihoods of one sort."
        )
    far: dict[str, Figure] = {}
    if len(dense) == len(runs):
        best, differences, intervals = below_best({name: s.log_p for name, s in scores.items()}, seed=seed)
    else:
        far = distances(runs, dataset, index, seed=seed, sampler=sampler)
        best, differences, intervals = least_distance(far)
        notes = (*notes, f"{', '.join(n for n in runs if n not in dense)} without a density: compared by samples.")
    means = {name: float(s.log_p.mean()) for name, s in scores.items()}
    equal = tuple(n for n, (low, _) in intervals.items() if n != best and low <= 0)
    figures = {n: Figure(means[n], mean_se(s.log_p), len(s.log_p), seed) for n, s in scores.items()}
    bounds = {
        n: Figure(float(s.elbo.mean()), mean_se(s.elbo), len(s.elbo), seed)
        for n, s in scores.items() if s.elbo is not None
    }
    bits = {n: -means[n] / scores[n].n_dims / log(2) for n in scores}
    exact = tuple(n for n, s in scores.items() if s.exact)
    return Comparison(len(index), k, figures, bounds, bits, best, differences, intervals, equal, notes, exact, far)


def below_best(
    log_p: Mapping[str, Tensor], *, seed: int = 0
) -> tuple[str, dict[str, Figure], dict[str, tuple[float, float]]]:
    r"""Return the best of several runs, how far each lies below it, and intervals of these differences.

    .. math:: \bar d \pm t_{n - 1}\Big(1 - \frac{0.05}{R (R - 1)}\Big) \, \mathrm{se}(\bar d)

    the quantile of Student's distribution for all :math:`R (R - 1) / 2` pairs of R runs. With R - 1 comparisons in
    place of these pairs, one of ten equal runs was called worse in one comparison of seven.

    Args:
        log_p: Log-likelihoods of the same rows under each run.
        seed: Seed that the figures are labelled with.

    Example:
        >>> x = torch.tensor([0.0, 1.0, 2.0, 3.0])
        >>> best, differences, intervals = below_best({"a": x, "b": x + 1})
        >>> best, differences["a"].value, intervals["a"]
        ('b', 1.0, (1.0, 1.0))
    """
    from scipy.special import stdtrit

    means = {name: float(values.mean()) for name, values in log_p.items()}
    best, pairs = max(means, key=means.__getitem__), len(log_p) * (len(log_p) - 1) / 2
    differences, intervals = {}, {}
    for name, values in log_p.items():
        d = log_p[best] - values
        t = float(stdtrit(len(d) - 1, 1 - (1 - CERTAIN) / 2 / pairs))
        mean, se = float(d.mean()), mean_se(d) if name != best else 0.0
        differences[name] = Figure(mean, se, len(d), seed, f"{best} - {name}")
        intervals[name] = (mean - t * se, mean + t * se)
    return best, differences, intervals


@dataclass(frozen=True)
class _Scored:
    log_p: Tensor
    elbo: Tensor | None
    n_dims: float
    masses: bool
    exact: bool


def scored(
    run: Trained, dataset: Dataset, index: np.ndarray[Any, Any], *, k: int, seed: int, sampler: str
) -> _Scored:
    """Score rows under a run: densities of levels as masses."""
    model = run.samplers.apply_to(run.model, sampler)
    case = Case(model, dataset.batch(index), run.discrete_step(), k, seed)
    stepped = not case.discrete and case.step is not None
    shift = log_volume(case.scored, case.step) if stepped and case.step is not None else torch.zeros(1)
    found = log_likelihood(model, case.data, k=k, seed=seed)
    bound = elbo(case.latent, case.data, seed=seed).elbo.double() + shift if model.infers else None
    n_dims = float(dimensions(case.scored).mean())
    return _Scored(found.per_row + shift, bound, n_dims, case.discrete or stepped, found.exact and not stepped)


def shared_rows(
    runs: Mapping[str, Trained], data: object, *, rows: int, seed: int, options: Mapping[str, Any] | None = None
) -> tuple[Dataset, np.ndarray[Any, Any], tuple[str, ...]]:
    """Return data as the first run reads them, and rows that no run was trained on."""
    first = next(iter(runs.values()))
    shapes = {r.schema.shape_words for r in runs.values()}
    if len(shapes) > 1:
        raise InputError(
            f"Runs are compared on the same rows, but these take rows of the shapes {sorted(map(str, shapes))}. "
            "Compare runs of one data set."
        )
    dataset = first.dataset(first.source(data), options=options)
    index, notes = set(map(int, first.part(dataset))), []
    for name, run in runs.items():
        theirs = run.dataset(first.source(data), options=options)
        if theirs.schema.fingerprint == run.schema.fingerprint:
            index -= set(map(int, theirs.split_indices()["train"]))
        elif dataset.schema.fingerprint == first.schema.fingerprint:
            notes.append(f"{name} was trained on other data; whether it has seen these rows is not known.")
    if len(index) < 2:
        raise SettingError(
            "A comparison needs rows that no run was trained on, but these runs share none. Train them with one "
            "split_seed, or give other data."
        )
    kept = np.array(sorted(index))
    rows = dataset.rows.at_once(rows)
    if len(kept) > rows:
        kept = np.sort(np.random.default_rng(derive(seed, "compared rows")).permutation(kept)[:rows])
    return dataset, kept, tuple(notes)
