"""Samples against reconstructions and data: distance, sharpness, variety, copies."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ...core.batch import only
from ...models import verbs
from ...nn.inputs import as_float
from ..catalogue import Case
from ..disentanglement import mutual_information_gap
from ..results import Floats
from ..samples import drawn, effective_number, frechet_distance, laplacian_energy, memorisation, nearest_pairs

MOST, AXES = 500, 16


def numbers(x: torch.Tensor) -> Floats:
    """Rows as vectors."""
    found: Floats = as_float(x).double().flatten(1).cpu().numpy()
    return found


def axes(x: Floats, most: int = AXES) -> tuple[Floats, Floats]:
    """Mean and principal axes of rows, scaled so that the data have total variance 1 along them."""
    centred = x - x.mean(0)
    _, values, vectors = np.linalg.svd(centred, full_matrices=False)
    kept = vectors[: min(most, len(values))]
    total = np.sqrt((centred @ kept.T).var(0).sum())
    return x.mean(0), kept.T / max(total, 1e-12)


def compared(case: Case) -> dict[str, Any]:
    """Distances to the data, of samples and of reconstructions shown in the same way; variety; sharpness."""
    some, _ = case.some(MOST, "diagnosed samples")
    if some.observed is not None:
        return {}
    made = case.samples(len(some))
    if not case.model.infers:
        return of_samples(case, some.tensor, made)
    again = only(verbs.reconstruct(case.model, some, seed=case.seed if case.extras.noise else None))
    x, a, b = (numbers(v) for v in (some.tensor, made, again))
    mean, directions = axes(x)
    shown = [(v - mean) @ directions for v in (x, a, b)]
    width = float(np.median(nearest_pairs(shown[0])))
    far = frechet_distance(shown[1], shown[0], seed=case.seed, repeats=20 if len(some) >= 4 else 0)
    found: dict[str, Any] = {
        "samples_frechet": far.value, "samples_frechet_se": far.se if far.se == far.se else 0.0,
        "reconstructions_frechet": frechet_distance(shown[2], shown[0], repeats=0).value,
        "variety": effective_number(shown[1], width) / max(effective_number(shown[2], width), 1e-12),
    }
    return found | sharp(some.tensor, made, only(verbs.reconstruct(case.model, some)))


def of_samples(case: Case, real: torch.Tensor, made: torch.Tensor) -> dict[str, Any]:
    """Distance and sharpness of samples, where there are no reconstructions to compare them with."""
    mean, directions = axes(numbers(real))
    x, a = ((numbers(v) - mean) @ directions for v in (real, made))
    far = frechet_distance(a, x, seed=case.seed, repeats=20 if len(real) >= 4 else 0)
    found = {"samples_frechet": far.value, "samples_frechet_se": far.se if far.se == far.se else 0.0}
    return found | {k: v for k, v in sharp(real, made, made).items() if k == "sample_sharpness"}


def sharp(real: torch.Tensor, made: torch.Tensor, again: torch.Tensor) -> dict[str, Any]:
    """High-frequency energy of pictures over that of the data; nothing for rows that are none."""
    if real.ndim != 4 or min(real.shape[2:]) < 3:
        return {}
    base = float(laplacian_energy(as_float(real).double().cpu().numpy()).mean())
    if base <= 0:
        return {}
    energy = [float(laplacian_energy(as_float(v).double().cpu().numpy()).mean()) / base for v in (made, again)]
    return {"sample_sharpness": energy[0], "reconstruction_sharpness": energy[1]}


def copies(case: Case) -> dict[str, Any]:
    """Whether samples are copies of training rows."""
    train = case.extras.train
    if train is None or case.rows.observed is not None or train.observed is not None:
        return {}
    held, made = numbers(case.rows.tensor), numbers(case.samples(min(MOST, len(case.rows))))
    held, known = drawn(held, MOST, case.seed), drawn(numbers(train.tensor), 4 * MOST, case.seed)
    mean, scale = known.mean(0), known.std(0) + 1e-9
    sets = [(v - mean) / scale for v in (made, held)]
    found = memorisation(sets[0], sets[1], (known - mean) / scale, seed=case.seed)
    return {"memorisation": found.value, "memorisation_se": found.se}


def disentangled(case: Case) -> dict[str, Any]:
    """Mutual information gap against known factors."""
    return {"mig": mutual_information_gap(case.codes, np.asarray(case.extras.factors), seed=case.seed).value}
