"""All figures of a model on some data, as plain numbers with their errors and notes on their limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from math import isfinite, log
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.errors import CombinationError
from ..core.random import derive
from ..models.base import Classifies, LatentModel
from ..models.generative import Generative, needs_density
from ..models.verbs import classify
from . import code_use as _code_use  # noqa: F401  fills the catalogue
from . import measures as _measures  # noqa: F401  likewise
from . import mixing as _mixing  # noqa: F401  likewise
from . import numbers as _numbers  # noqa: F401  likewise
from . import recommending as _recommending  # noqa: F401  likewise
from .bits import bits_per_dim, dimensions, log_volume
from .bounds import DistortionAndRate, elbo
from .catalogue import MEASURES, Case, Extras, Pace, chosen, estimated, take
from .chunks import check_settings
from .codes import code_figures, code_notes
from .latents import Information, active_units, information_rows, mutual_information
from .likelihood import LikelihoodEstimate
from .results import plain
from .statistics import mean_se, random_rows, ratio_of_means

LOW_ESS = 10.0


def evaluate(
    model: Generative,
    batch: Batch,
    *,
    k: int = 500,
    seed: int = 0,
    discrete_step: float | None = None,
    memory_gb: float = 0.5,
    rows: int | None = None,
    base: bool = True,
    measures: Iterable[str] = (),
    extras: Extras | None = None,
    budget: float | None = None,
    announce: Callable[[dict[str, float]], None] | None = None,
) -> dict[str, Any]:
    """Judge a model on some rows.

    Args:
        model: What is judged; its training mode is left as it was.
        batch: Rows.
        k: Draws per row for the log-likelihood.
        seed: Seed of everything random.
        discrete_step: Distance of neighbouring levels, if the data lie on a grid and the likelihood is a density. The
            data are then dequantised and all figures are about masses, not densities.
        memory_gb: Most memory for one chunk of work, in GiB.
        rows: Rows to use at most, chosen at random; all by default.
        base: Whether to take the figures of every model: bound, log-likelihood, units, information.
        measures: Names from the catalogue (``senzai.evaluation.MEASURES``) to take besides; see ``chosen``.
        extras: What may be known beside model and rows: training rows, factors, another data set.
        budget: Seconds available for the measures; measures that would not fit are left out and named.
        announce: Called beforehand with the seconds that each part is expected to take.

    Returns:
        Numbers that JSON can hold (``None`` where there is none), all in nats per row unless the name says otherwise.
        ``*_se`` are standard errors over rows, ``monte_carlo_se`` that of the mean log-likelihood due to the draws
        alone. ``notes`` are plain sentences about what to be careful with. ``measured`` holds what the catalogue gave,
        by name, and ``not_measured`` why something is not there.

    Example:
        >>> from senzai.distributions import BernoulliFamily, NormalFamily
        >>> from senzai.models import Flat
        >>> from senzai.nn import MLPDecoder, MLPEncoder
        >>> from senzai.parts import Likelihood, Posterior, StandardNormal
        >>> model = Flat(
        ...     StandardNormal(2),
        ...     Posterior(MLPEncoder((5,), (8,)), NormalFamily(), 2),
        ...     Likelihood(MLPDecoder(2, (1, 5), (8,)), BernoulliFamily(), (5,)),
        ... )
        >>> figures = evaluate(model, Batch(torch.ones(20, 5)), k=50)
        >>> figures["n"], figures["k"], figures["n_latent"], figures["elbo"] <= figures["log_likelihood"] + 0.5
        (20, 50, 2, True)
        >>> figures["not_measured"]["probes"]
        'It needs labels of two classes; the rows have none.'
    """
    began = perf_counter()
    check_settings(batch, k, memory_gb)
    case = _case(model, batch, k, seed, discrete_step, memory_gb, rows, extras or Extras())
    names = chosen(tuple(measures), ())
    costs: dict[str, float] = {}
    if announce is not None or budget is not None:
        costs = estimated(case, Pace.of(case), tuple(n for n in names if MEASURES[n].missing(case) is None))
        if not base:
            costs.pop("base")
        if announce is not None:
            announce(costs)
    figures: dict[str, Any] = {"n": len(case.rows), "n_given": len(batch), "seed": seed}
    figures["notes"] = _base(figures, case) if base else []
    measured = take(case, names, costs, budget=budget)
    figures["measured"], figures["not_measured"] = measured.found, measured.missed
    figures["timing"] = {"estimated": sum(costs.values()) if costs else None, "measures": measured.seconds}
    figures["seconds"] = perf_counter() - began
    return {name: plain(value) for name, value in figures.items()}


def _case(
    model: Generative, batch: Batch, k: int, seed: int, step: float | None, memory_gb: float, rows: int | None,
    extras: Extras,
) -> Case:
    picked = random_rows(len(batch), rows, derive(seed, "rows"))
    if picked is not None:
        batch = batch.take(picked)
        if extras.factors is not None:
            extras = replace(extras, factors=extras.factors[picked.numpy()])
    return Case(model, batch, step, k, seed, memory_gb, extras)


def _base(figures: dict[str, Any], case: Case) -> list[str]:
    """Take the figures that every model of its kind has, and say what to be careful with."""
    if not isinstance(case.model, LatentModel):
        return _without_latents(figures, case)
    step = None if case.discrete else case.step
    volume = 0.0 if step is None else log_volume(case.scored, step)
    options: dict[str, Any] = {"seed": case.seed, "memory_gb": case.memory_gb}
    split = elbo(case.latent, case.data, **options)
    information, informed = _information(case)
    figures |= {
        **_bound_figures(split, volume),
        **_likelihood_figures(case.estimate, volume, dimensions(case.scored)),
        **_unit_figures(case.latent, case.data, **options),
        **code_figures(case.latent, case.data, rate=split.means["rate"]),
        **_information_figures(information),
        **_class_figures(case.model, case.rows),
        **_step_figures(case.scored, split, case.estimate, volume),
    }
    return [*_notes(figures, informed=informed, discrete=case.discrete, step=step), *code_notes(case.latent)]


def _without_latents(figures: dict[str, Any], case: Case) -> list[str]:
    """Take the exact log-likelihood of a model that has one; of one without a density samples alone are judged."""
    if needs_density(case.model):
        return ["The model has no density: there is no log-likelihood, and what is judged is its samples."]
    volume = 0.0 if case.step is None else log_volume(case.scored, case.step)
    figures |= _likelihood_figures(case.estimate, volume, dimensions(case.scored)) | {"exact": case.step is None}
    figures |= _step_figures(case.scored, None, case.estimate, volume)
    return _density_notes(figures, discrete=False, step=case.step)


def likelihood_figures(
    model: Generative, batch: Batch, *, k: int = 500, seed: int = 0, discrete_step: float | None = None,
    memory_gb: float = 0.5,
) -> dict[str, Any]:
    """Return the figures of :func:`evaluate` that are about the density of the data alone.

    For a model with another prior in place of its own: the same draws from the posterior are weighted by it, so that
    differences from the figures of the model itself are paired.

    Args:
        model: What is judged.
        batch: Rows.
        k: Draws per row for the log-likelihood.
        seed: Seed of everything random.
        discrete_step: As in :func:`evaluate`.
        memory_gb: Most memory for one chunk of work, in GiB.

    Returns:
        Bound, distortion, rate, log-likelihood and bits, with their errors.
    """
    case = Case(model, batch, discrete_step, k, seed, memory_gb)
    volume = 0.0 if case.discrete or discrete_step is None else log_volume(case.scored, discrete_step)
    figures = {
        **_bound_figures(elbo(case.latent, case.data, seed=seed, memory_gb=memory_gb), volume),
        **_likelihood_figures(case.estimate, volume, dimensions(case.scored)),
    }
    return {name: plain(value) for name, value in figures.items() if name != "rate_per_dimension"}


# --- figures --------------------------------------------------------------------------------------------------------
def _bound_figures(split: DistortionAndRate, volume: Tensor | float) -> dict[str, Any]:
    means, ses = split.means, split.ses
    shift = float(torch.as_tensor(volume).mean())
    per_dimension = [v for values in split.rate_per_dimension.values() for v in values.flatten().tolist()]
    return {
        "elbo": means["elbo"] + shift,
        "elbo_se": ses["elbo"],
        "distortion": means["distortion"] - shift,
        "distortion_se": ses["distortion"],
        "rate": means["rate"],
        "rate_se": ses["rate"],
        "rate_per_group": dict(split.rate_per_group) if len(split.rate_per_group) > 1 else None,
        "rate_per_dimension": per_dimension or None,
    }


def _likelihood_figures(estimate: LikelihoodEstimate, volume: Tensor | float, n_dims: Tensor) -> dict[str, Any]:
    log_p = estimate.per_row + volume
    nats, nats_se = ratio_of_means(-log_p, n_dims)
    return {
        "log_likelihood": float(log_p.mean()),
        "log_likelihood_se": estimate.se,
        **({"exact": True} if estimate.exact else _draw_figures(estimate)),
        "bits_per_dim": bits_per_dim(nats, 1),
        "bits_per_dim_se": bits_per_dim(nats_se, 1),
    }


def _draw_figures(estimate: LikelihoodEstimate) -> dict[str, Any]:
    return {
        "monte_carlo_se": estimate.mean_monte_carlo_se, "k": estimate.k, "ess": estimate.ess_median,
        "ess_low": estimate.ess_low,
    }


def _unit_figures(model: LatentModel, batch: Batch, **options: Any) -> dict[str, Any]:
    if len(batch) < 2 or model.deterministic:
        return {"active_units": None, "n_latent": None}
    units = active_units(model, batch, **options)
    return {"active_units": units.count, "n_latent": units.n_latent}


def _class_figures(model: Generative, batch: Batch) -> dict[str, Any]:
    """Share of labelled rows whose most probable class is the right one, for a model with a classifier."""
    if not isinstance(model, Classifies) or not model.n_classes or batch.y is None:
        return {}
    known = torch.ones_like(batch.y, dtype=torch.bool) if batch.y_known is None else batch.y_known
    right = (classify(model, batch).argmax(1) == batch.y)[known].double()
    if not len(right):
        return {"accuracy": None, "accuracy_se": None, "n_labelled": 0}
    return {"accuracy": float(right.mean()), "accuracy_se": mean_se(right), "n_labelled": len(right)}


def _step_figures(batch: Batch, split: DistortionAndRate | None, estimate: LikelihoodEstimate,
                  volume: Tensor | float) -> dict[str, Any]:
    """Nats per step of sequences: all nats over all steps, as such models are compared; without latents no bound."""
    if batch.lengths is None or isinstance(batch.lengths, dict):  # steps of several modalities do not add up
        return {}
    steps = batch.lengths.double()
    nats, se = ratio_of_means(-(estimate.per_row + volume), steps)
    bound = {} if split is None else {"elbo_per_step": -ratio_of_means(-(split.elbo + volume), steps)[0]}
    return {"steps": int(steps.sum()), **bound, "nats_per_step": nats, "nats_per_step_se": se}


def _information(case: Case) -> tuple[Information | None, str]:
    if case.latent.deterministic:
        return None, ""
    most = min(information_rows(g.q) for g in case.first.groups)
    some, _ = case.some(most, "information")
    try:
        return mutual_information(case.latent, some, seed=case.seed, memory_gb=case.memory_gb), ""
    except CombinationError as error:
        return None, str(error)


def _information_figures(found: Information | None) -> dict[str, Any]:
    return {
        "mutual_information": found and found.mutual_information,
        "mutual_information_se": found and found.mutual_information_se,
        "mutual_information_rows": found and found.n,
        "aggregate_gap": found and found.aggregate_gap,
        "aggregate_gap_se": found and found.aggregate_gap_se,
    }


# --- words ----------------------------------------------------------------------------------------------------------
def _notes(figures: dict[str, Any], *, informed: str, discrete: bool, step: float | None) -> list[str]:
    notes = []
    if figures["ess_low"] < min(LOW_ESS, 0.5 * figures["k"]):
        notes.append(
            f"One row in twenty has an effective sample size below {figures['ess_low']:.1f} of k = {figures['k']}: "
            "the log-likelihood may be a loose lower bound and its Monte Carlo error too small; raise k."
        )
    if informed:
        notes.append(informed)
    elif (found := figures["mutual_information"]) and found > 0.8 * log(figures["mutual_information_rows"]):
        notes.append("The mutual information is near its ceiling, the log of the number of rows: it may be larger.")
    return [*notes, *_density_notes(figures, discrete=discrete, step=step)]


def _density_notes(figures: dict[str, Any], *, discrete: bool, step: float | None) -> list[str]:
    notes = []
    if not isfinite(figures["log_likelihood"]):
        notes.append("Some rows have no finite log-likelihood: they lie outside the support of the model.")
    if step is not None:
        notes.append(f"The data were dequantised with step {step:g}: bounds and bits are about masses of levels.")
    elif not discrete:
        notes.append("Log-likelihood and bits are of a density: they depend on the units of the data.")
    return notes
