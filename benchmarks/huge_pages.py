"""Training with many draws a row: large tensors on huge pages, which senzai asks torch for, and on ordinary ones."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from typing import Any

import senzai

from .common import HERE, alternate, binarised_mnist

ROWS, DRAWS = 2000, 50


def child(steps: int) -> None:
    """Train an importance-weighted autoencoder, and print processor seconds and page faults over its steps."""
    x, _ = binarised_mnist()
    settings: dict[str, Any] = {
        "recipe": "iwae", "n_samples": DRAWS, "network": "mlp", "hidden": [200, 200], "n_latent": 50,
        "batch_size": 100, "precision": "fp32", "sampler": "none", "validate_every": 100_000,
    }
    senzai.fit(x[:ROWS], steps=5, progress=False, **settings)  # imports, and the first growth of the heap
    before = resource.getrusage(resource.RUSAGE_SELF)
    senzai.fit(x[:ROWS], steps=steps, progress=False, **settings)
    after = resource.getrusage(resource.RUSAGE_SELF)
    spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    print(json.dumps([spent / steps, (after.ru_minflt - before.ru_minflt) / steps]))


def measure(rounds: int, *, quick: bool = False) -> dict[str, Any]:
    """Compare both, each in a process of its own."""
    faults: dict[str, list[float]] = {"huge": [], "ordinary": []}

    def run(pages: str) -> float:
        env = {**os.environ, "THP_MEM_ALLOC_ENABLE": "1" if pages == "huge" else "0"}
        code = f"from benchmarks.huge_pages import child; child({2 if quick else 60})"
        said = subprocess.run(
            [sys.executable, "-c", code], env=env, cwd=HERE.parent, check=True, capture_output=True, text=True
        ).stdout
        seconds, count = json.loads(said.splitlines()[-1])
        faults[pages].append(count)
        return float(seconds)

    seen = alternate(rounds, huge=lambda: run("huge"), ordinary=lambda: run("ordinary"))
    return {
        "task": f"iwae, {DRAWS} draws of each of 100 rows of 784 bits, single precision", "unit": "CPU seconds a step",
        **seen, "faults_per_step": faults, "ratio": seen["ordinary"]["median"] / seen["huge"]["median"],
    }
