"""What other packages make of the same rows. A script of its own, so that another interpreter can run it.

``python others.py detectors FOLDER SEEDS`` scores every ``*.rows.npz`` of a folder; ``python others.py tvae REAL.csv
MADE.csv SEED CATEGORIES`` writes as many rows as were read. Neither imports senzai.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np


def detectors(folder: str, seeds: int) -> None:
    """Score rows by PyOD's detectors with their defaults, on standardised columns.

    PCA keeps as many components as the rows have: it would divide by the variance of the others, which is nothing.
    """
    from pyod.models.ecod import ECOD
    from pyod.models.iforest import IForest
    from pyod.models.knn import KNN
    from pyod.models.pca import PCA
    from pyod.models.vae import VAE
    from sklearn.preprocessing import StandardScaler

    known = {
        "vae": lambda s: VAE(random_state=s), "ecod": lambda s: ECOD(),
        "pca": lambda s: PCA(n_components=int(np.linalg.matrix_rank(x)), random_state=s),
        "iforest": lambda s: IForest(random_state=s), "knn": lambda s: KNN(),
    }
    for path in sorted(Path(folder).glob("*.rows.npz")):
        x = StandardScaler().fit_transform(np.load(path)["x"])
        found = {}
        for name, make in known.items():
            for seed in range(1 if name in ("pca", "ecod", "knn") else seeds):
                start = time.process_time()
                model = make(seed)
                model.fit(x)
                found[f"{name}.{seed}"] = np.nan_to_num(model.decision_scores_)
                found[f"{name}.{seed}.seconds"] = time.process_time() - start
        np.savez(path.with_name(path.name.replace(".rows.", ".scores.")), **found)
    Path(folder, "versions.json").write_text(json.dumps({p: version(p) for p in ("pyod", "scikit-learn", "torch")}))


def tvae(real: str, made: str, seed: int, categories: str) -> None:
    """Train TVAE with its defaults, and write as many rows."""
    import pandas as pd
    import torch
    from ctgan import TVAE

    torch.manual_seed(seed)
    np.random.seed(seed)
    frame = pd.read_csv(real)
    start, used = time.perf_counter(), time.process_time()
    model = TVAE()
    model.fit(frame, [c for c in categories.split(",") if c])
    rows = model.sample(len(frame))
    took = {"seconds": time.perf_counter() - start, "processor_seconds": time.process_time() - used}
    rows.to_csv(made, index=False)
    told = {**took, "versions": {p: version(p) for p in ("ctgan", "torch")}, "threads": torch.get_num_threads()}
    Path(f"{made}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if sys.argv[1] == "detectors":
        detectors(sys.argv[2], int(sys.argv[3]))
    else:
        tvae(sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5])
