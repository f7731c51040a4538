"""Counts of cells: simulated with known factors, and real ones; beside scvi-tools in an environment of its own.

Every method sees the same training rows; figures are of held-out rows. Seconds are those of the processor. Held-out
log-likelihood is importance-weighted with as many draws for both, given the depth of each row.
"""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

import senzai
from senzai.evaluation.mixing import neighbours_of, shares_among, silhouette

from .common import machine, need_data, peak_mib

SIZES = {"quick": (300, 60), "small": (1200, 200), "full": (20_000, 2000)}
TYPES, BATCHES, CHANGED = 4, 2, 0.2
DRAWS = 50
PEER = Path(__file__).with_name("cells_peer.py")


@dataclass(frozen=True)
class Simulated:
    """Cells with what they were made of.

    Args:
        x: Counts.
        kind: Type of each cell.
        batch: Batch of each cell.
        change: Log2 ratio of the mean share of each gene between types 0 and 1.
    """

    x: Any
    kind: Any
    batch: Any
    change: Any


def simulate(n: int, genes: int, *, seed: int) -> Simulated:
    """Make cells: types with genes of their own, batches, a gradient within types, gamma-Poisson noise, depths."""
    rng = np.random.default_rng(seed)
    base = rng.normal(0, 1.2, genes)
    own = rng.normal(0, 1.0, (TYPES, genes)) * (rng.random((TYPES, genes)) < CHANGED)
    moved, slope = rng.normal(0, 0.4, (BATCHES, genes)), rng.normal(0, 0.3, genes) * (rng.random(genes) < 0.1)
    kind, batch, along = rng.integers(TYPES, size=n), rng.integers(BATCHES, size=n), rng.normal(size=n)
    logits = base + own[kind] + moved[batch] + along[:, None] * slope
    share = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    depth = np.exp(rng.normal(np.log(3.0 * genes), 0.4, n))
    rate = share * depth[:, None] * rng.gamma(4.0, 1 / 4.0, (n, genes))
    pure = [np.exp(base + own[k]) / np.exp(base + own[k]).sum() for k in range(2)]
    return Simulated(rng.poisson(rate), kind, batch, np.log2(pure[0] / pure[1]))


def annotated(made: Simulated) -> Any:
    """Return them as an AnnData."""
    import anndata
    import pandas as pd
    from scipy.sparse import csr_matrix

    names = pd.Index([f"cell{i}" for i in range(len(made.x))], dtype=object)
    obs = pd.DataFrame({"type": made.kind.astype(str), "batch": made.batch.astype(str)}, index=names).astype(object)
    var = pd.DataFrame(index=pd.Index([f"gene{i}" for i in range(made.x.shape[1])], dtype=object))
    return anndata.AnnData(csr_matrix(made.x.astype(np.float32)), obs=obs, var=var)


def geometry(codes: Any, kind: Any, batch: Any | None) -> dict[str, float]:
    """Return how types lie apart and batches together."""
    at = np.random.default_rng(0).permutation(len(codes))[:2000]
    codes, kind = np.asarray(codes, np.float64)[at], np.unique(kind, return_inverse=True)[1][at]
    near = neighbours_of(codes)
    found = {"type_silhouette": float(silhouette(codes, kind).mean()),
             "neighbour_type_share": float((kind[near] == kind[:, None]).mean())}
    if batch is not None:
        batch = np.unique(batch, return_inverse=True)[1][at]
        shares = shares_among(batch, near)
        entropy = -np.where(shares > 0, shares * np.log(np.maximum(shares, 1e-12)), 0).sum(1)
        found |= {"batch_silhouette": float(silhouette(codes, batch).mean()),
                  "neighbour_batch_entropy": float(entropy.mean() / np.log(batch.max() + 1))}
    return found


def calls(probability: Any, differs: Any, change: Any, delta: float) -> dict[str, float]:
    """Return how well changed genes are found, and the share of false ones among those called."""
    from sklearn.metrics import roc_auc_score

    truth = np.abs(change) >= delta
    called = np.asarray(differs, bool)
    false = float((called & ~truth).sum() / max(1, called.sum()))
    return {"auroc": float(roc_auc_score(truth, probability)), "called": int(called.sum()),
            "changed": int(truth.sum()), "false_discovery": false}


def ours(data: Any, parts: dict[str, Any], *, batch: str | None, label: str, steps: int | None, change: Any) -> Any:
    """Fit this package, and return what is judged."""
    began = time.process_time()
    given = {"condition": batch} if batch else {}
    run = senzai.fit(
        data[parts["train"]].copy(), **given, validation=0.1, test=0.0, sampler="none", progress=False,
        **({"steps": steps} if steps else {}),
    )
    seconds = time.process_time() - began
    held = data[parts["test"]].copy()
    log_p = np.asarray(run.log_likelihood(held, k=DRAWS))
    found = {
        "processor_seconds": seconds, "steps": run.metrics["fit"]["steps"],
        "held_out_log_likelihood": float(log_p.mean()), "held_out_se": float(log_p.std() / np.sqrt(len(log_p))),
        **geometry(run.encode(held).obsm["X_senzai"], held.obs[label], held.obs[batch] if batch else None),
    }
    if change is not None:
        for of, pairs in (("cells", 2000), ("means", 100)):
            told = run.differential(
                data[parts["train"]].copy(), by=label, first="0", second="1", of=of, pairs=pairs,
                given={batch: "0"} if batch else None,
            ).set_index("gene").loc[list(data.var_names)]
            found[f"differential_{of}"] = calls(told["probability"], told["differs"], change, 0.25)
    return found


def theirs(python: str | None, data: Any, parts: dict[str, Any], *, batch: str | None, label: str, change: Any,
           epochs: int | None) -> Any:
    """Fit scvi-tools in its own environment, and return the same figures."""
    if python is None:
        return {"not_measured": "no interpreter with scvi-tools was named (--peer-python)"}
    from senzai.data.counts.annotated import write_h5ad

    with TemporaryDirectory() as folder:
        place = Path(folder)
        write_h5ad(data.copy(), place / "x.h5ad")
        np.savez(place / "parts.npz", **parts)
        asked = {"batch": batch, "label": label, "draws": DRAWS, "epochs": epochs, "differential": change is not None}
        (place / "asked.json").write_text(json.dumps(asked), encoding="utf-8")
        done = subprocess.run([python, str(PEER), folder], capture_output=True, text=True)
        if done.returncode:
            return {"not_measured": done.stderr.strip().splitlines()[-1][:300]}
        found = json.loads((place / "found.json").read_text(encoding="utf-8"))
        codes = np.load(place / "codes.npy")
        held = data[parts["test"]]
        found |= geometry(codes, held.obs[label], held.obs[batch] if batch else None)
        if change is not None:
            told = np.load(place / "differential.npz")
            found["differential_cells"] = calls(told["probability"], told["differs"], change, 0.25)
    return found


def parts_of(n: int, seed: int) -> dict[str, Any]:
    """Divide rows: a fifth is held out."""
    order = np.random.default_rng(seed).permutation(n)
    return {"test": np.sort(order[: n // 5]), "train": np.sort(order[n // 5 :])}


def measure(size: str, python: str | None, *, quick: bool, seed: int = 0) -> dict[str, Any]:
    """Return figures of simulated cells, and of real ones where they are here."""
    torch.set_num_threads(1)
    steps, epochs = (30, 2) if quick else (None, None)
    result: dict[str, Any] = {"machine": machine(), "seed": seed, "draws": DRAWS}
    if size == "smfish":
        return result | {"smfish": smfish(python, seed)}
    n, genes = SIZES["quick" if quick else size]
    made = simulate(n, genes, seed=seed)
    data, parts = annotated(made), parts_of(n, seed)
    asked: dict[str, Any] = {"batch": "batch", "label": "type", "change": made.change}
    result["simulated"] = {
        "cells": n, "genes": genes, "senzai": ours(data, parts, steps=steps, **asked),
        "scvi": theirs(python, data, parts, epochs=epochs, **asked),
    }
    return result


def smfish(python: str | None, seed: int) -> dict[str, Any]:
    """Return figures of 4,530 cells and 33 genes whose labels were published; there is one batch."""
    import anndata

    data = anndata.read_h5ad(need_data("smfish/smfish.h5ad"))
    parts = parts_of(len(data), seed)
    asked: dict[str, Any] = {"batch": None, "label": "str_labels", "change": None}
    return {
        "cells": data.n_obs, "genes": data.n_vars, "senzai": ours(data, parts, steps=None, **asked),
        "scvi": theirs(python, data, parts, epochs=None, **asked),
    }


def counts_on_disk(n: int, genes: int, density: float, folder: Path) -> None:
    """Write counts piece by piece, each gene with as many cells: one count in every stretch of genes of a cell."""
    rng = np.random.default_rng(0)
    per = max(1, round(genes * density))
    width = genes // per
    folder.mkdir()
    files = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", kind, (n * per,))
        for name, kind in (("indices", np.int32), ("values", np.uint8))
    }
    for start in range(0, n, 4096):
        shape = (min(4096, n - start), per)
        at = slice(start * per, (start + shape[0]) * per)
        files["indices"][at] = (np.arange(per) * width + rng.integers(width, size=shape)).ravel()
        files["values"][at] = np.minimum(rng.geometric(0.5, shape), 255).ravel()
    for file in files.values():
        file.flush()
    np.save(folder / "indptr.npy", np.arange(0, (n + 1) * per, per, dtype=np.int64))
    np.save(folder / "shape.npy", np.array([n, genes]))


def streamed(n: int, genes: int, density: float, folder: Path, *, steps: int) -> dict[str, Any]:
    """Fit and encode counts that stay on disk, and return the memory that took."""
    counts_on_disk(n, genes, density, folder / "m")
    before = peak_mib() / 1024
    began, wall = time.process_time(), time.perf_counter()
    run = senzai.fit(folder / "m", kind="counts", steps=steps, sampler="none", progress=False)
    fitted, fit_wall = time.process_time() - began, time.perf_counter() - wall
    fit_peak = peak_mib() / 1024
    codes = run.encode(folder / "m")
    return {
        "cells": n, "genes": genes, "density": density, "entries": n * max(1, round(genes * density)),
        "steps": run.metrics["fit"]["steps"], "codes": list(codes.shape),
        "peak_gib_before": before, "peak_gib_of_fit": fit_peak, "peak_gib": peak_mib() / 1024,
        "fit_seconds": fit_wall, "fit_processor_seconds": fitted,
        "processor_seconds": time.process_time() - began, "seconds": time.perf_counter() - wall,
    }
