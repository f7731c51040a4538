"""The measures of the catalogue: each puts an estimator to a case, on as many rows as are worth their time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ..core.batch import Batch
from ..core.errors import InputError, SenzaiError
from ..core.random import derive
from ..models import verbs
from ..nn.inputs import as_float
from .annealing import Annealing, annealed_log_likelihood
from .bracket import bidirectional
from .catalogue import NEEDS, Case, measure
from .curves import convergence
from .dependence import gaussian_total_correlation, total_correlation
from .detection import compressed_nats, detection, likelihood_paradox, typical
from .disentanglement import dci, modularity, mutual_information_gap, separated_attribute_predictability
from .gaps import inference_gaps
from .holes import middle_of, with_same_holes
from .identifiability import paired_correlation
from .interventions import FactorTable, beta_vae_score, factor_vae_score, interventional_robustness
from .likelihood import log_likelihood
from .probes import clustering, map_quality, probe
from .results import Figure, Floats
from .samples import (
    classifier_two_sample_test,
    diversity,
    drawn,
    frechet_distance,
    kernel_distance,
    memorisation,
    precision_recall_density_coverage,
    sharpness,
)
from .statistics import mean_se, random_rows
from .uncertainty import imputation_calibration, reconstruction_uncertainty

CURVE_ROWS, CURVE_K = 100, 512
CODE_ROWS, PAIR_ROWS, MAP_ROWS = 5000, 2000, 1000
SAMPLES, FAR_SAMPLES, TRAIN_ROWS = 2000, 5000, 5000
SLOW_ROWS, SIMULATED = 32, 32
HIDDEN_ROWS, HIDDEN_K = 200, 100
FACTOR_ROWS, VOTES = 10_000, 800
STRANGE_ROWS, STRANGE_K = 500, 50
HOLED = (
    "Entries are missing. Samples and rows without holes were given holes of held-out rows, as if these came at "
    "random, and each holds the mean of its column: distances are shorter than those of whole rows. Compare them with "
    "the floor."
)

Found = Mapping[str, Any]


def there(batch: Batch | None) -> Batch:
    """Return rows that the catalogue has seen to be there.

    Raises:
        InputError: They are not: a measure was called past the catalogue.
    """
    if batch is None:
        raise InputError("This measure needs more rows than those that are judged. Give them in `Extras`.")
    return batch


def rows_of(case: Case, most: int) -> int:
    """Rows that a measure takes."""
    return min(most, len(case.rows))


NEEDS["figures"] = (lambda c: c.extras.figures is not None, "The kind of these data has no figures of its own.")
NEEDS["distance"] = (lambda c: c.extras.distance is not None, "The kind of these data has no distance of its own.")
NEEDS["pairs"] = (
    lambda c: c.extras.pairs is not None, "The kind of these data says nothing of single reconstructions.",
)


# --- likelihood -----------------------------------------------------------------------------------------------------
@measure(
    "convergence", "the bound against the number of draws", usual=True, needs=("inference", "rows"),
    cost=lambda c, p: p.draw * rows_of(c, CURVE_ROWS) * min(max(2, c.k), CURVE_K),
)
def curve_of_draws(case: Case) -> Found:
    """How the importance-weighted bound still rises."""
    some, _ = case.some(CURVE_ROWS, "convergence")
    found = convergence(
        case.latent, some, k=min(max(2, case.k), CURVE_K), seed=case.seed, memory_gb=case.memory_gb
    )
    return {"k": found.ks, "bound": [b.value for b in found.bounds], "bound_se": [b.se for b in found.bounds],
            "tail_slope": found.tail_slope, "rows": len(some)}


@measure(
    "ais", "log-likelihood by annealed importance sampling", needs=("inference",),
    cost=lambda c, p: p.gradient * Annealing().passes * rows_of(c, SLOW_ROWS),
)
def annealed(case: Case) -> Found:
    """Annealed against importance-weighted on the same rows."""
    some, _ = case.some(SLOW_ROWS, "ais")
    settings = Annealing(seed=case.seed)
    found = annealed_log_likelihood(case.latent, some, settings)
    weighted = log_likelihood(case.model, some, k=case.k, seed=case.seed, memory_gb=case.memory_gb)
    rise = found.per_row - weighted.per_row
    return {
        "log_likelihood": Figure(found.mean, found.se, len(some), case.seed),
        "monte_carlo_se": found.mean_monte_carlo_se, "acceptance": float(found.acceptance.mean()),
        "ess": found.ess_median, "steps": settings.steps, "chains": settings.chains, "start": settings.start,
        "above_importance_weighted": Figure(float(rise.mean()), mean_se(rise), len(some)),
    }


@measure(
    "bdmc", "how loose the bounds are, on simulated rows (bidirectional Monte Carlo)",
    needs=("inference",),
    cost=lambda c, p: p.gradient * 2 * Annealing().passes * SIMULATED,
)
def bracketed(case: Case) -> Found:
    """The evidence of simulated rows from both sides."""
    found = bidirectional(
        case.latent, SIMULATED, Annealing(seed=case.seed), k=case.k, c=case.conditions(SIMULATED),
        memory_gb=case.memory_gb,
    )
    means = {name: float(getattr(found, name).mean()) for name in ("lower", "upper", "importance", "elbo")}
    return {**means, "gap": found.gap, "looseness": found.looseness, "elbo_looseness": found.elbo_looseness,
            "simulated_rows": SIMULATED}


@measure(
    "gaps", "amortisation and approximation gap", needs=("inference",),
    cost=lambda c, p: rows_of(c, SLOW_ROWS) * (p.gradient * 200 * 8 + p.draw * 1500),
)
def gaps(case: Case) -> Found:
    """What the encoder and its family lose."""
    some, _ = case.some(SLOW_ROWS, "gaps")
    found = inference_gaps(case.latent, some, seed=case.seed)
    return {"amortisation": found.amortisation, "approximation": found.approximation}


# --- representation -------------------------------------------------------------------------------------------------
@measure(
    "dependence", "total correlation of the aggregate posterior", usual=True, needs=("inference", "rows"),
    cost=lambda c, p: 2 * p.row * rows_of(c, PAIR_ROWS) + 5e-8 * rows_of(c, PAIR_ROWS) ** 2 * 16,
)
def dependence(case: Case) -> Found:
    """Total correlation of the mixture, and that of normal codes."""
    some, rows = case.some(PAIR_ROWS, "dependence")
    normal = gaussian_total_correlation(case.codes[rows])
    try:
        found: Any = total_correlation(case.latent, some, seed=case.seed, memory_gb=case.memory_gb)
    except SenzaiError as error:
        return {"gaussian_total_correlation": normal, "note": str(error)}
    half = at_random(some, len(some) // 2, seed=case.seed)
    fewer = total_correlation(case.latent, half, seed=case.seed, memory_gb=case.memory_gb)
    out: dict[str, Any] = {
        "total_correlation": found, "on_half_the_rows": fewer, "gaussian_total_correlation": normal,
    }
    if fewer.value - found.value > max(0.1 * found.value, 2 * (fewer.se + found.se)):
        out["note"] = "The total correlation still falls with more rows: it is too high."
    return out


@measure(
    "probes", "labels read off the codes: linear and nearest neighbours, clusters", usual=True,
    needs=("inference", "labels", "rows"), cost=lambda c, p: p.row * len(c.rows) + 2e-3 * rows_of(c, CODE_ROWS),
)
def probes(case: Case) -> Found:
    """Accuracy of simple readers, agreement of clusters."""
    rows, labels = case.labelled
    kept = np.random.default_rng(case.seed).permutation(len(rows))[:CODE_ROWS]
    codes, y = case.codes[rows[kept]], labels[kept]
    readers = {kind: probe(codes, y, kind=kind, seed=case.seed) for kind in ("linear", "knn")}
    return {**readers, **clustering(codes, y, seed=case.seed)}


@measure(
    "map", "how faithful a map of the codes in two dimensions is", usual=True, needs=("inference", "rows"),
    cost=lambda c, p: p.row * len(c.rows) + 1e-6 * rows_of(c, MAP_ROWS) ** 2,
)
def faithful(case: Case) -> Found:
    """Trustworthiness and continuity of the first two principal components of the codes."""
    _, rows = case.some(MAP_ROWS, "map")
    codes = case.codes[rows] - case.codes[rows].mean(0)
    if codes.shape[1] <= 2:
        return {"note": "The codes have two dimensions or fewer: the map is the codes themselves."}
    _, _, axes = np.linalg.svd(codes, full_matrices=False)
    return {**map_quality(codes, codes @ axes[:2].T, seed=case.seed), "map": "pca-2"}


@measure(
    "disentanglement", "scores of disentanglement against known factors", usual=True,
    needs=("inference", "factors", "rows"),
    cost=lambda c, p: p.row * len(c.rows) + 1.5e-3 * rows_of(c, FACTOR_ROWS),
)
def disentangled(case: Case) -> Found:
    """All scores on the same rows."""
    kept = np.random.default_rng(case.seed).permutation(len(case.rows))[:FACTOR_ROWS]
    codes, factors = case.codes[kept], np.asarray(case.extras.factors)[kept]
    few = slice(0, CODE_ROWS)  # of rows that were put in random order
    world = FactorTable(codes, factors)
    return {
        "mig": mutual_information_gap(codes, factors, seed=case.seed),
        "modularity": modularity(codes, factors, seed=case.seed),
        "dci": dci(codes[few], factors[few], seed=case.seed),
        "sap": separated_attribute_predictability(codes[few], factors[few], seed=case.seed),
        "mcc": paired_correlation(codes, factors, seed=case.seed),
        "factor_vae": factor_vae_score(world, votes=VOTES, seed=case.seed),
        "beta_vae": beta_vae_score(world, votes=VOTES, seed=case.seed),
        "irs": interventional_robustness(codes, factors, seed=case.seed),
    }


# --- generation -----------------------------------------------------------------------------------------------------
@measure(
    "generation", "samples against held-out rows, beside training rows against held-out rows", usual=True,
    needs=("samples", "tensor", "train", "rows"),
    cost=lambda c, p: 2 * p.row * SAMPLES + 6.0 * len(c.extras.features) * (rows_of(c, SAMPLES) / SAMPLES) ** 2 + 0.3,
)
def generation(case: Case) -> Found:
    """Distances, fidelity, diversity and copies, in each of the chosen feature spaces."""
    train, n = there(case.extras.train), rows_of(case, SAMPLES)
    held, made, known, missing = with_same_holes(
        at_random(case.rows, n, seed=case.seed), case.samples(n), at_random(train, TRAIN_ROWS, seed=case.seed),
        middle=middle_of(train), seed=case.seed,
    )
    found: dict[str, Any] = {"samples": n, "shown_as": "draws" if case.extras.noise else "expected values"}
    for wanted in case.extras.features:
        features = case.feature(wanted)
        sets = (features(held), features(made), features(known))
        found |= compared(*sets, name=features.name, seed=case.seed)
    if missing:
        found |= {"missing": missing, "note": HOLED}
    elif held.ndim == 4 and min(held.shape[2:]) >= 3:
        pictures, others, floor = (as_float(x).double().cpu().numpy() for x in (held, made, known))
        found["sharpness"] = sharpness(others, pictures)
        found["floor"]["sharpness"] = sharpness(drawn(floor, n, case.seed), pictures)
    else:
        found["note"] = "Sharpness is of pictures; these rows are none."
    return found


def at_random(batch: Batch, most: int, *, seed: int) -> Batch:
    """Return at most so many rows, chosen by the seed, in their order."""
    chosen = random_rows(len(batch), most, derive(seed, "rows at random"))
    return batch if chosen is None else batch.take(chosen)


def compared(held: Floats, made: Floats, train: Floats, *, name: str, seed: int) -> dict[str, Any]:
    """Compare samples with held-out rows, and beside them as many training rows: what no model can do better than."""

    def against(x: Floats) -> dict[str, Figure]:
        figures = (
            frechet_distance(x, held, features=name, seed=seed), kernel_distance(x, held, features=name, seed=seed),
            *precision_recall_density_coverage(held, x, features=name, seed=seed).values(),
            classifier_two_sample_test(held, x, features=name, seed=seed),
            *diversity(held, x, features=name, seed=seed).values(),
        )
        return {f.name: f for f in figures}

    copies = memorisation(made, held, train, features=name, seed=seed)
    return {**against(made), copies.name: copies, "floor": against(drawn(train, len(made), seed))}


# --- uncertainty ----------------------------------------------------------------------------------------------------
@measure(
    "new_rows", "what the kind of the data says of new rows beside training rows", usual=True,
    needs=("figures", "train"), cost=lambda c, p: 3 * p.row * SAMPLES + 5.0,
)
def new_rows(case: Case) -> Found:
    """Figures of the kind's own: of molecules, say, how many are valid, different and new."""
    train, figures = there(case.extras.train), case.extras.figures
    assert figures is not None  # the catalogue has seen to it
    found = figures(case.samples(SAMPLES), train.x)
    return {name: Figure(value, n=SAMPLES, seed=case.seed, name=name) for name, value in found.items()}


@measure(
    "kind_distance", "distance of new rows to training rows that the kind of the data has, such as the Fréchet ChemNet",
    needs=("distance", "train"), cost=lambda c, p: 3 * p.row * FAR_SAMPLES + 120.0,
)
def kind_distance(case: Case) -> Found:
    """Of molecules, with the extra `fcd`, the Fréchet ChemNet distance of 5,000 new ones to the training rows."""
    train, distance = there(case.extras.train), case.extras.distance
    assert distance is not None  # the catalogue has seen to it
    found = distance(case.samples(FAR_SAMPLES), train.x)
    told = {"training_rows": len(train)}
    return {n: Figure(v, n=FAR_SAMPLES, seed=case.seed, name=n, details=told) for n, v in found.items()}


@measure(
    "reconstructions", "what the kind of the data says of rows beside their reconstructions", usual=True,
    needs=("inference", "pairs"), cost=lambda c, p: 3 * p.row * rows_of(c, HIDDEN_ROWS) + 5.0,
)
def reconstructed(case: Case) -> Found:
    """Distances of the kind's own: of sounds, say, those of their spectra."""
    pairs = case.extras.pairs
    assert pairs is not None  # the catalogue has seen to it
    chosen = random_rows(len(case.rows), HIDDEN_ROWS, derive(case.seed, "reconstructions"))
    some = case.rows if chosen is None else case.rows.take(chosen)
    found: dict[str, Any] = {}
    for name, values in pairs(some.x, verbs.reconstruct(case.model, some)).items():
        known = torch.from_numpy(values[np.isfinite(values)])
        if len(known):
            found[name] = Figure(float(known.mean()), mean_se(known), len(known), case.seed, name)
    return found


@measure(
    "imputation", "hidden entries: error and calibration", needs=("inference", "tensor", "rows"),
    cost=lambda c, p: p.draw * rows_of(c, HIDDEN_ROWS) * HIDDEN_K * 2,
)
def imputed(case: Case) -> Found:
    """A fifth of the entries is hidden and imputed."""
    chosen, _ = case.some(HIDDEN_ROWS, "imputation")
    return imputation_calibration(case.latent, chosen, k=HIDDEN_K, n_draws=40, seed=case.seed)


@measure(
    "uncertainty", "how uncertain reconstructions are, and where from", needs=("inference", "tensor"),
    cost=lambda c, p: p.draw * rows_of(c, HIDDEN_ROWS) * 32,
)
def uncertain(case: Case) -> Found:
    """Mean standard deviation of an entry, and the share that the code leaves open."""
    some, _ = case.some(HIDDEN_ROWS, "uncertainty")
    found = reconstruction_uncertainty(case.latent, some, seed=case.seed, memory_gb=case.memory_gb)
    share = found.between / (found.between + found.within).clamp_min(1e-12)
    per_row = found.stddev.flatten(1).mean(1)
    return {"stddev": Figure(float(per_row.mean()), mean_se(per_row), len(some), case.seed),
            "share_between": float(share.mean()), "map": found.stddev.mean(0)}


# --- anomalies ------------------------------------------------------------------------------------------------------
@measure(
    "detection", "anomalies by label: how well scores find them", usual=True,
    needs=("density", "labels", "anomaly"),
    cost=lambda c, p: p.draw * (STRANGE_ROWS if c.extras.train is not None else 0) * c.k + 0.5,
)
def detected(case: Case) -> Found:
    """Ranking of minus the log-likelihood, and of its distance from the usual one where training rows are here."""
    rows, labels = case.labelled
    log_p = case.estimate.per_row.cpu().numpy()[rows]
    y = (labels == case.extras.anomaly).astype(np.int64)
    found: dict[str, Any] = {"likelihood": detection(-log_p, y, seed=case.seed)}
    if case.extras.train is not None:
        found["typicality"] = typical(log_p, _reference(case, case.k), y, seed=case.seed)
    return found


def _reference(case: Case, k: int) -> Floats:
    """Log-likelihoods of training rows, of as many draws as those they are compared with: fewer make it lower."""
    train = there(case.extras.train)
    chosen = torch.from_numpy(np.random.default_rng(case.seed).permutation(len(train))[:STRANGE_ROWS])
    batch = case.prepared(train.take(chosen))
    return log_likelihood(case.model, batch, k=k, seed=case.seed).per_row.cpu().numpy()


@measure(
    "paradox", "another data set: found by likelihood, typicality, likelihood ratio?", usual=True,
    needs=("density", "other", "train", "tensor"), cost=lambda c, p: 3 * p.draw * STRANGE_ROWS * STRANGE_K + 1,
)
def paradox(case: Case) -> Found:
    """Whether the model finds the other data more likely than its own."""
    other = there(case.extras.other)
    numbers = torch.from_numpy(np.random.default_rng(case.seed).permutation(len(other))[:STRANGE_ROWS])
    own, strange = case.some(STRANGE_ROWS, "paradox")[1], other.take(numbers)
    mine = case.rows.take(torch.from_numpy(own))
    scored = [
        log_likelihood(case.model, case.prepared(b), k=STRANGE_K, seed=case.seed).per_row.cpu().numpy()
        for b in (mine, strange)
    ]
    sizes = [levels_of(b) for b in (mine, strange)]
    backgrounds = [None if x is None else -compressed_nats(x) for x in sizes]
    found: dict[str, Any] = dict(likelihood_paradox(
        scored[0], scored[1], _reference(case, STRANGE_K), own_background=backgrounds[0],
        other_background=backgrounds[1], seed=case.seed,
    ))
    found["log_likelihood"] = {"own": float(scored[0].mean()), "other": float(scored[1].mean()), "k": STRANGE_K}
    if "likelihood_ratio" not in found:
        found["note"] = "The likelihood ratio to a compressor needs whole numbers up to 255, none missing."
    return found


def levels_of(batch: Batch) -> Any:
    """Return data as bytes if they are whole numbers from 0 to 255 without holes, else ``None``."""
    values = as_float(batch.tensor)
    if batch.observed is not None and not bool(batch.observed.all()):
        return None
    whole = bool(((values == values.round()) & (values >= 0) & (values <= 255)).all())
    return values.cpu().numpy().astype(np.uint8) if whole else None
