"""Gathers the facts of a diagnosis once: from a case, from training rows and from the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...core.batch import Batch, entries
from ...core.errors import SenzaiError
from ...core.random import derive
from ...models import verbs
from ...models.generative import needs_density
from ...nn.circuits import Circuit
from ...parts.quantisers.vector import Quantiser
from ..bits import log_volume
from ..bounds import elbo
from ..catalogue import Case
from ..curves import grouped_bound, log_weight_table
from ..gaps import inference_gaps
from ..latents import active_units
from ..likelihood import log_likelihood
from ..results import Floats
from ..statistics import mean_se, random_rows
from . import fitting, sampling
from .facts import DiagnosisFacts, Told
from .price import price_of_rate

GAP_ROWS, GAP_STEPS, GAP_DRAWS = 24, 60, 4
BOUND_ROWS = 300
TRAIN_ROWS, PRICE_ROWS = 1000, 200
MANY = 10
"""Different values that a column has on average, at least, before equal rows are a sign of anything."""

Gathered = dict[str, Any]


@dataclass(frozen=True)
class Gatherer:
    """One way to learn some facts.

    Args:
        gives: Names of the facts.
        run: Measures them.
        needs: What must be there, in words for people, and whether it is.
    """

    gives: tuple[str, ...]
    run: Callable[[Case, Told], Gathered]
    needs: tuple[tuple[str, Callable[[Case, Told], bool]], ...] = ()


def gather(case: Case, told: Told | None = None) -> DiagnosisFacts:
    """Measure everything that checks may look at; what cannot be measured is named with the reason.

    Args:
        case: Model and held-out rows; training rows stand in its extras.
        told: What the run knows besides.
    """
    told = told or Told()
    found: Gathered = {}
    missing: dict[str, str] = {}
    for one in GATHERERS:
        lacking = [words for words, there in one.needs if not there(case, told)]
        try:
            got = {} if lacking else one.run(case, told)
        except (SenzaiError, NotImplementedError, RuntimeError, ValueError) as error:
            lacking, got = [str(error).rstrip(".").splitlines()[0]], {}
        found |= {name: value for name, value in got.items() if value is not None and finite(value)}
        for name in one.gives:
            if found.get(name) is None:
                missing.setdefault(name, lacking[0] if lacking else f"{name.replace('_', ' ')} is not defined here")
    missing |= {"history": "no history was written: give the run a folder (out=...)"} if not told.history else {}
    return DiagnosisFacts(told=told, missing=missing, **found)


def finite(value: Any) -> bool:
    """Whether a value is no float that is not finite."""
    return not isinstance(value, float) or bool(np.isfinite(value))


def training_rows(case: Case, most: int = TRAIN_ROWS) -> Any:
    """Return some training rows as the model scores them; held-out ones where there are none."""
    train = case.extras.train
    if train is None:
        return case.data
    chosen = random_rows(len(train), most, derive(case.seed, "diagnosed rows"))
    return case.prepared(train if chosen is None else train.take(chosen))


# --- bound ----------------------------------------------------------------------------------------------------------
def bound(case: Case, told: Told) -> Gathered:
    """The bound, its parts and the rate of each dimension."""
    split = elbo(case.latent, case.data, seed=case.seed, memory_gb=case.memory_gb)
    shift = 0.0 if case.discrete or case.step is None else float(log_volume(case.scored, case.step).mean())
    per = [v for values in split.rate_per_dimension.values() for v in values.flatten().tolist()]
    return {
        "elbo": split.means["elbo"] + shift, "elbo_se": split.ses["elbo"],
        "spread": float(split.elbo.double().std()) if len(split.elbo) > 1 else 0.0,
        "distortion": split.means["distortion"] - shift,
        "rate": split.means["rate"], "rates": tuple(per) or None,
        "n_dims": entries(case.scored.x),
    }


def units(case: Case, told: Told) -> Gathered:
    """Latent dimensions that move with the data."""
    found = active_units(case.latent, case.data, seed=case.seed, memory_gb=case.memory_gb)
    return {"active": found.count, "n_latent": found.n_latent}


def price(case: Case, told: Told) -> Gathered:
    """What a nat of rate buys."""
    some, _ = case.some(PRICE_ROWS, "price")
    return {"price": price_of_rate(case.latent, some, seed=case.seed)}


def likelihood(case: Case, told: Told) -> Gathered:
    """Log-likelihood, and what the bound that was trained loses to it."""
    k = max(case.k, 8 * told.n_samples)
    some, _ = case.some(BOUND_ROWS, "looseness")
    table = log_weight_table(case.latent, some, k, seed=case.seed, memory_gb=case.memory_gb)
    per_row = grouped_bound(table, k)
    gap = per_row - grouped_bound(table, told.n_samples)
    shift = 0.0 if case.discrete or case.step is None else float(log_volume(case.scored, case.step).mean())
    return {"log_p": float(per_row.mean()) + shift, "looseness": float(gap.mean()), "looseness_se": mean_se(gap)}


def gaps(case: Case, told: Told) -> Gathered:
    """What amortising costs, on few rows."""
    some, _ = case.some(GAP_ROWS, "gaps")
    found = inference_gaps(
        case.latent, some, steps=GAP_STEPS, n_samples=GAP_DRAWS, seed=case.seed, lr=0.1,
        log_p=torch.zeros(len(some), dtype=torch.float64),
    ).amortisation
    return {"amortisation": found.value, "amortisation_se": found.se}


def generalising(case: Case, told: Told) -> Gathered:
    """The bound, or the exact density, of training rows against that of held-out rows."""
    ours, theirs = bounds(case, training_rows(case)), bounds(case, case.data)
    se = (mean_se(ours) ** 2 + mean_se(theirs) ** 2) ** 0.5
    return {"generalisation": float(ours.mean() - theirs.mean()), "generalisation_se": se}


def bounds(case: Case, batch: Batch) -> Tensor:
    """Return the exact log-likelihood of rows under a model that has it, else their bound."""
    if case.model.exact:
        return log_likelihood(case.model, batch).per_row
    return elbo(case.latent, batch, seed=case.seed, memory_gb=case.memory_gb).elbo.double()


def density(case: Case, told: Told) -> Gathered:
    """The exact log-likelihood."""
    shift = 0.0 if case.step is None else float(log_volume(case.scored, case.step).mean())
    return {"log_p": case.estimate.mean + shift, "n_dims": int(case.scored.tensor[0].numel())}


def duplicates(case: Case, told: Told) -> Gathered:
    """Held-out rows that are training rows too, holes and all, where that cannot happen by chance."""
    train, held = (as_vectors(b) for b in (case.extras.train, case.rows) if b is not None)
    different = np.array([len(np.unique(column[~np.isnan(column)])) for column in train.T[:200]])
    possible = ~np.isnan(held[:, :200]) @ np.log(np.maximum(different, 1))
    judged = held[possible >= 1.5 * log(len(train) + 1)]
    if np.mean(different) < MANY or not len(judged):
        return {}  # so few different rows are possible that equal ones are no sign of anything
    known = {row.tobytes() for row in train}
    return {"duplicates": float(np.mean([row.tobytes() in known for row in judged]))}


def as_vectors(batch: Batch) -> Floats:
    """Rows as vectors, NaN where an entry is missing."""
    x = batch.tensor.double()
    x = x if batch.observed is None else x.where(batch.observed.expand_as(x), torch.nan)
    return (x.flatten(1) + 0.0).cpu().numpy()  # plus zero: both zeros have the same bytes


def codes(case: Case, told: Told) -> Gathered:
    """Share of a code book that rows use."""
    if told.codes is not None:
        numbers, size = told.codes
    else:
        groups = verbs.encode(case.model, training_rows(case))
        numbers, size = torch.cat([g.flatten() for g in groups]).cpu().numpy(), books(case)[0].n_codes
    return {"used_codes": len(np.unique(np.asarray(numbers))) / size, "n_codes": size}


def books(case: Case) -> list[Quantiser]:
    """Return the quantisers of a model, if they are all of one size."""
    found = [m for m in case.model.modules() if isinstance(m, Quantiser)]
    return found if len({(q.n_codes, q.depth) for q in found}) == 1 and found[0].depth == 1 else []


def starts(case: Case, told: Told) -> Gathered:
    """Size of the derivatives that training a circuit starts from."""
    found = [c.gradient_power(seed=case.seed) for c in case.model.modules() if isinstance(c, Circuit)]
    known = [f for f in found if f is not None]
    return {"gradient_power": min(known) if known else None}


INFERS = ("the model draws rows without an inference of latents", lambda c, t: c.model.infers)
SCORES = ("the model has no density", lambda c, t: needs_density(c.model) is None)
EXACT = ("the model has no exact density", lambda c, t: c.model.exact)
HAS_TRAIN = ("the training rows are not here", lambda c, t: c.extras.train is not None)
BOUNDS = ("the objective does not bound the evidence", lambda c, t: t.bounds)
ENOUGH = ("there are fewer than 30 rows", lambda c, t: len(c.rows) >= 30)

GATHERERS: tuple[Gatherer, ...] = (
    Gatherer(("elbo", "elbo_se", "spread", "distortion", "rate", "rates", "n_dims"), bound, (INFERS,)),
    Gatherer(("active", "n_latent"), units, (INFERS, ENOUGH)),
    Gatherer(("price",), price, (INFERS, BOUNDS)),
    Gatherer(("log_p", "looseness", "looseness_se"), likelihood, (INFERS, BOUNDS)),
    Gatherer(("log_p", "n_dims"), density, (EXACT,)),
    Gatherer(("amortisation", "amortisation_se"), gaps, (INFERS, BOUNDS)),
    Gatherer(("generalisation", "generalisation_se"), generalising, (SCORES, HAS_TRAIN, ENOUGH)),
    Gatherer(("duplicates",), duplicates, (HAS_TRAIN,)),
    Gatherer(("values", "density"), lambda c, t: fitting.values(c, training_rows(c))),
    Gatherer(
        ("dispersion", "bulk", "tails", "outside"), lambda c, t: fitting.predictive(c, training_rows(c)),
        (INFERS, ENOUGH),
    ),
    Gatherer(("structure", "column_share", "column"), lambda c, t: fitting.columns(c, training_rows(c), t),
             (INFERS, ENOUGH)),
    Gatherer(
        ("samples_frechet", "reconstructions_frechet", "variety", "sample_sharpness", "reconstruction_sharpness"),
        lambda c, t: sampling.compared(c), (ENOUGH,),
    ),
    Gatherer(("memorisation", "memorisation_se"), lambda c, t: sampling.copies(c), (HAS_TRAIN, ENOUGH)),
    Gatherer(("used_codes", "n_codes"), codes, (
        INFERS,
        ("the latents are no codes of one book", lambda c, t: t.codes is not None or bool(books(c))),
    )),
    Gatherer(("gradient_power",), starts, (
        ("the model has no quantum circuit", lambda c, t: any(isinstance(m, Circuit) for m in c.model.modules())),
    )),
    Gatherer(("mig",), lambda c, t: sampling.disentangled(c),
             (INFERS, ("no known factors were given (factors=...)", lambda c, t: c.extras.factors is not None),)),
)

