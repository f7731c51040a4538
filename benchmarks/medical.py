"""Pneumonia on chest radiographs of 28 x 28 pixels by a model of normal ones, and example volumes there and back.

PneumoniaMNIST: 1,214 normal training pictures, of which a tenth validates; the test set has 234 normal and 390 with
pneumonia. Nothing was chosen on test rows: the model is the default `vae`, the score `auto`; `chosen` is the method
that is best on the 524 validation pictures, which have pneumonia among them. Beside it, on the pixels of the same
training rows: isolation forest, distance to the fifth nearest neighbour, and PyOD's VAE with its own settings, where
it is installed. Maps are distances from restorations; what is stated of them is how much larger their mean is in
pictures with pneumonia, for nobody has drawn where it is. This is research data; nothing here is for diagnosis.

Privacy: the model is trained again on a random half of the normal training pictures; the other half are strangers from
the same hospital. The attack calls a picture a member where its bound is high, or where a sample lies near to it.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

import senzai
from senzai.evaluation.membership import membership

from .common import need_data

VOLUMES = ("anatomical.nii", "example4d.nii.gz", "functional.nii", "image_10426.nii.gz", "standard.nii.gz",
           "mni_icbm152_gm_tal_nlin_sym_09a_converted.nii.gz")
SEEDS = 3
METHODS = ("auto", "elbo", "reconstruction", "knn", "input_knn", "complexity")


def pneumonia() -> dict[str, np.ndarray[Any, Any]]:
    """Return pictures and labels of the parts."""
    with np.load(need_data("pneumoniamnist/pneumoniamnist.npz")) as z:
        return {k: z[k] for k in z.files}


def measure(*, steps: int = 400, quick: bool = False) -> dict[str, Any]:
    """Measure detection, maps, privacy, and the way of volumes there and back."""
    torch.set_num_threads(1)
    z = pneumonia()
    normal = z["train_images"][z["train_labels"].reshape(-1) == 0]
    test, sick = z["test_images"], z["test_labels"].reshape(-1)
    if quick:
        normal, steps, test, sick = normal[:200], 20, test[::10], sick[::10]
    found: dict[str, Any] = {"what": (__doc__ or "").strip(), "steps": steps, "normal": len(normal), "test": len(test)}
    val = (z["val_images"], z["val_labels"].reshape(-1))
    found["detection"] = detection(normal, test, sick, val, steps=steps, seeds=1 if quick else SEEDS)
    found["privacy"] = privacy(normal, steps=steps)
    found["volumes"] = [there_and_back(name) for name in VOLUMES[: 2 if quick else None]]
    return found


def detection(normal: Any, test: Any, sick: Any, val: Any, *, steps: int, seeds: int) -> dict[str, Any]:
    """Return areas under the ROC curve on the test set."""
    found: dict[str, Any] = {"senzai": {}, "seconds": []}
    for seed in range(seeds):
        began = time.process_time()
        run = senzai.fit(normal, seed=seed, steps=steps, sampler="none", test=0, progress=False)
        found["seconds"].append(time.process_time() - began)
        before = {}
        for method in METHODS:
            both = run.score(np.concatenate([val[0], test]), method=method, reference=normal)
            before[method] = float(roc_auc_score(val[1], both[: len(val[1])]))
            found["senzai"].setdefault(method, []).append(float(roc_auc_score(sick, both[len(val[1]) :])))
        best = max(before, key=lambda m: before[m])
        found.setdefault("chosen", []).append({"method": best, "test": found["senzai"][best][-1], "validation": before})
        print("seed", seed, {m: v[-1] for m, v in found["senzai"].items()}, flush=True)
        if seed == 0:
            found["maps"] = mapped(run, test[::8], sick[::8])
    flat, other = (x.reshape(len(x), -1) / 255.0 for x in (normal, test))
    forest = [IsolationForest(random_state=s).fit(flat).score_samples(other) for s in range(seeds)]
    near = NearestNeighbors(n_neighbors=5).fit(flat).kneighbors(other)[0][:, -1]
    found["isolation forest"] = [float(roc_auc_score(sick, -f)) for f in forest]
    found["kNN, fifth neighbour"] = float(roc_auc_score(sick, near))
    found["PyOD VAE"] = pyod(flat, other, sick, seeds)
    print({k: v for k, v in found.items() if k not in ("senzai", "maps")}, flush=True)
    return found


def mapped(run: Any, test: Any, sick: Any) -> dict[str, float]:
    """Return means of the maps of some pictures."""
    began = time.process_time()
    maps = np.asarray(run.score_map(test), np.float64).reshape(len(test), -1)
    found = {
        "pictures": len(test), "seconds": time.process_time() - began,
        "mean_of_normal": float(maps[sick == 0].mean()), "mean_of_pneumonia": float(maps[sick == 1].mean()),
        "auroc_of_means": float(roc_auc_score(sick, maps.mean(1))),
    }
    print(found, flush=True)
    return found


def pyod(train: Any, test: Any, sick: Any, seeds: int) -> list[float] | None:
    """Return what PyOD's VAE gets with its own settings; ``None`` where PyOD is not installed."""
    try:
        from pyod.models.vae import VAE
    except ImportError:
        return None
    areas = []
    for seed in range(seeds):
        model = VAE(random_state=seed, verbose=0)
        model.fit(train)
        areas.append(float(roc_auc_score(sick, model.decision_function(test))))
    return areas


def privacy(normal: Any, *, steps: int) -> dict[str, Any]:
    """Return how well members of the training rows are told from strangers."""
    order = np.random.default_rng(0).permutation(len(normal))
    inside, outside = normal[order[: len(order) // 2]], normal[order[len(order) // 2 :]]
    run = senzai.fit(inside, seed=0, steps=steps, sampler="mixture", validation=0, test=0, progress=False)
    samples = np.asarray(run.sample(1000, seed=1))
    found = membership(
        members=run.log_likelihood(inside, k=16), strangers=run.log_likelihood(outside, k=16), samples=samples,
        training=inside, held_out=outside,
    )
    print(found, flush=True)
    return found


def there_and_back(name: str) -> dict[str, Any]:
    """Fit on a volume, sample, reconstruct, write, and compare the affine of the file with the first one."""
    import nibabel as nib

    path = need_data(f"medical_samples/{name}")
    size = min(16, *nib.load(path).shape[:3])
    with tempfile.TemporaryDirectory() as tmp:
        run = senzai.fit(
            path, frames="each", patch="x".join(str(min(16, n)) for n in nib.load(path).shape[:3]), validation=0,
            test=0, steps=5, n_latent=4, sampler="none", progress=False, overlap=0 if size == 16 else 0.5,
        )
        run.kind.write(run.sample(1, seed=0), Path(tmp, "new.nii.gz"), run.schema)
        dataset = run.dataset(path)
        run.kind.write(run.reconstruct(dataset), Path(tmp, "again"), dataset.schema)
        first, again = nib.load(path), [nib.load(p) for p in sorted(Path(tmp, "again").iterdir())]
        return {
            "file": name, "volumes": len(again), "sample": list(nib.load(Path(tmp, "new.nii.gz")).shape),
            "same_affine": all(bool((a.affine == first.affine).all()) for a in again),
            "same_size": all(a.shape == first.shape[:3] for a in again),
        }
