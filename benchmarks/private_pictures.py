"""Fashion-MNIST at epsilon = 10: pictures of a private run beside those of the same run without noise.

Both runs have the same networks, steps and expected rows a step; the floor is that of other real pictures. Distances
are Fréchet's, in features with a name, of as many pictures on either side; they are no FID.
"""

from __future__ import annotations

import gzip
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import senzai
from senzai.evaluation import frechet_distance, pca_features, random_features

from .common import kept, need_data

EPSILON, DELTA, STEPS, BATCH, ROWS = 10.0, 1e-5, 300, 1024, 5000
SETTINGS: dict[str, Any] = {
    "test": 0, "values": "unit", "network": "mlp", "hidden": (64,), "n_latent": 8, "lr": 5e-3, "schedule": "cosine",
    "sampler": "none", "progress": False,
}


def clothes(part: str) -> np.ndarray:
    """Return grey pictures of ``train`` or ``t10k``, ``(N, 28, 28)``."""
    with gzip.open(need_data(f"fashion_mnist/{part}-images-idx3-ubyte.gz")) as file:
        return np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)


def sheet(made: np.ndarray, path: Path, side: int = 8) -> None:
    """Write pictures as one, in rows of ``side``."""
    from PIL import Image

    rows = made[: side * side].reshape(side, side, 28, 28).transpose(0, 2, 1, 3)
    Image.fromarray(np.ascontiguousarray(rows.reshape(28 * side, 28 * side))).save(path)


def measure(rounds: int, *, quick: bool = False) -> dict[str, Any]:
    """Measure both runs, seed by seed.

    Args:
        rounds: Seeds.
        quick: Few rows and steps, to see that it works.
    """
    train, test = clothes("train"), clothes("t10k")
    train, steps, batch, n = (train[:3000], 3, 300, 200) if quick else (train, STEPS, BATCH, ROWS)

    def tensor(x: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.array(x[:n], dtype=np.float32)[:, None] / 255)

    features = (pca_features(tensor(train), 64), random_features((1, 28, 28), 64, seed=0))
    runs: list[dict[str, Any]] = []
    for seed in range(rounds):
        for name, more in (
            ("private", {"private": {"epsilon": EPSILON, "delta": DELTA}}), ("plain", {"validation": 0.0}),
        ):
            used = time.process_time()
            run = senzai.fit(train, steps=steps, batch_size=batch, seed=seed, **SETTINGS, **more)
            made = np.asarray(run.sample(n, seed=seed))
            promised = run.spec.privacy
            runs.append({
                "run": name, "seed": seed, "epsilon": None if promised is None else promised.epsilon,
                "noise": None if promised is None else promised.noise, "processor_seconds": time.process_time() - used,
                "parameters": sum(p.numel() for p in run.model.parameters()), **_distances(tensor(made), tensor(test),
                                                                                           features),
            })
            print(runs[-1], flush=True)
            folder = kept("private_pictures")
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                sheet(made, folder / f"{name}-{seed}.png")
    floor = _distances(tensor(train[::-1]), tensor(test), features)
    return {"delta": DELTA, "steps": steps, "batch_size": batch, "pictures": n, "runs": runs, "real_pictures": floor}


def _distances(a: torch.Tensor, b: torch.Tensor, features: Any) -> dict[str, float]:
    return {
        f"frechet_{f.name}": frechet_distance(f(a), f(b), features=f.name, repeats=0).value for f in features
    }
