"""A table of ten thousand mixed columns through every verb: processor time and the largest resident memory of each."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import senzai

from .common import peak_mib

ROWS, COLUMNS = 1000, 10_000


def frame(rows: int, columns: int) -> pd.DataFrame:
    """Return columns of five types that hang together through eight hidden numbers, some entries missing."""
    rng = np.random.default_rng(0)
    z = rng.normal(size=(rows, 8))
    made: dict[str, Any] = {}
    for j in range(columns):
        s = z @ rng.normal(size=8) / 3 + rng.normal(size=rows) * 0.5
        kinds: list[Callable[[Any], Any]] = [
            lambda s: np.round(s, 6), lambda s: rng.poisson(np.exp(np.clip(s, -3, 6) + 4)),
            lambda s: np.array(list("abcde"))[np.clip(np.digitize(s, [-1, -0.3, 0.3, 1]), 0, 4)], lambda s: s > 0,
            lambda s: np.clip(np.rint(s * 2), -5, 5).astype(int),
        ]
        made[f"{('real', 'count', 'category', 'truth', 'step')[j % 5]}{j}"] = kinds[j % 5](s)
    found = pd.DataFrame(made)
    found.iloc[::7, ::5] = np.nan
    return found


def measured(work: Callable[[], Any]) -> dict[str, float]:
    """Return processor seconds and peak resident memory of one verb, in a process that has done others before."""
    reset = Path("/proc/self/clear_refs")
    if reset.exists():
        reset.write_text("5")
    start = time.process_time()
    work()
    return {"cpu_seconds": round(time.process_time() - start, 1), "peak_mib": round(peak_mib())}


def all_of_it(*, quick: bool = False) -> dict[str, Any]:
    """Run every verb once."""
    rows, columns = (60, 50) if quick else (ROWS, COLUMNS)
    with tempfile.TemporaryDirectory() as folder:
        source, place = Path(folder, "wide.csv"), Path(folder, "run")
        frame(rows, columns).to_csv(source, index=False)
        runs: list[Any] = []
        verbs: dict[str, Callable[[], Any]] = {
            "fit, 30 steps": lambda: runs.append(senzai.fit(source, out=place, steps=30, progress=False)),
            "sample -n 100": lambda: runs[0].sample(100, seed=0), "score": lambda: runs[0].score(source),
            "encode": lambda: runs[0].encode(source), "impute -k 20": lambda: runs[0].impute(source, k=20),
            "load": lambda: senzai.load(place), "evaluate -k 20": lambda: runs[0].evaluate(source, k=20),
            "report": lambda: runs[0].report(),
        }
        found = {}
        for name, work in verbs.items():
            found[name] = measured(work)
            print(name, found[name], flush=True)
        return {"rows": rows, "columns": columns, "bytes": source.stat().st_size, "verbs": found}
