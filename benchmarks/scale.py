"""Training at scale: two processes beside one, shards on disk beside memory, and the cost of a row as rows grow.

Every measurement is a process of its own with one thread. Wall time is what a user waits; processor time is what the
work takes, and is the figure to trust where other programs share the cores.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

COLUMNS = 28
PER_FILE, PER_GROUP = 200_000, 50_000
SMALL_ROWS, FULL_ROWS = 1_000_000, 90_000_000
"""Rows of 28 columns of double precision: about 0.2 and 20 GB of Parquet."""
SIZES = (100_000, 1_000_000, 10_000_000)
STEPS = 600
MODEL = {"n_latent": 4, "hidden": [128, 128], "batch_size": 512, "sampler": "none", "schedule": "constant",
         "validation": 0.01, "test": 0.01, "log_every": 50, "validate_every": 10**9}

CHILD = """
import json, resource, sys, time
import senzai
from senzai.training.events import Progressed
facts = json.loads(sys.argv[1])
class Clock:
    def __init__(self): self.at = []
    def on(self, event, training):
        if isinstance(event, Progressed):
            self.at.append((event.step, time.perf_counter(), time.process_time()))
if __name__ == "__main__":
    clock, began = Clock(), time.process_time()
    listeners = [clock] if facts["devices"] == 1 else []
    run = senzai.fit(facts["data"], settings=facts["settings"], out=facts["out"], devices=facts["devices"],
                     listeners=listeners, progress=False)
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(kind) for kind in kinds]
    told = run.metrics["fit"]
    print(json.dumps({
        "rows_per_second": told["samples_per_second"], "seconds": told["seconds"], "steps": told["steps"],
        "processor_seconds": sum(u.ru_utime + u.ru_stime for u in used), "progress": clock.at,
        "peak_gib": max(u.ru_maxrss for u in used) / 2**20, "batch_size": told["batch_size"],
        "preparing_processor_seconds": clock.at[0][2] - began if clock.at else None,
    }))
"""


def write_shards(folder: Path, rows: int, seed: int = 0) -> Path:
    """Write columns that hang together through four hidden numbers as Parquet shards."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(4, COLUMNS))
    for i, start in enumerate(range(0, rows, PER_FILE)):
        n = min(PER_FILE, rows - start)
        values = rng.normal(size=(n, 4)) @ weights + 0.3 * rng.normal(size=(n, COLUMNS))
        frame = pd.DataFrame(values, columns=[f"c{j:02d}" for j in range(COLUMNS)])
        frame.to_parquet(folder / f"part-{i:05d}.parquet", row_group_size=PER_GROUP)
    return folder


def measured(data: Path, place: Path, *, devices: int = 1, **settings: Any) -> dict[str, Any]:
    """Train in a process of its own and return what it took."""
    out = tempfile.mkdtemp(dir=place) + "/run"
    facts = {"data": str(data), "out": out, "devices": devices, "settings": {**MODEL, **settings}}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(facts)], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def rate(found: dict[str, Any], since: int) -> dict[str, float]:
    """Return rows per second of wall and of processor time from a step on."""
    some = [p for p in found["progress"] if p[0] >= since]
    (first, wall, cpu), (last, wall_end, cpu_end) = some[0], some[-1]
    rows = (last - first) * found["batch_size"]
    return {"rows_per_second": rows / (wall_end - wall), "rows_per_processor_second": rows / (cpu_end - cpu)}


def processes(place: Path, steps: int, rounds: int) -> dict[str, Any]:
    """Two processes of a thread each beside one, on the same global batch; alternating runs."""
    data = write_shards(place / "few", 100_000)
    settings = {"steps": steps, "batch_size": 4096, "hidden": [256, 256]}
    both: dict[int, list[dict[str, Any]]] = {1: [], 2: []}
    for _ in range(rounds):
        for devices in both:
            both[devices].append(measured(data, place, devices=devices, **settings))
    rates = {d: [f["rows_per_second"] for f in found] for d, found in both.items()}
    return {
        "rows_per_second": rates, "speedup": max(rates[2]) / max(rates[1]), "steps": steps, "batch_size": 4096,
        "processor_seconds": {d: [f["processor_seconds"] for f in found] for d, found in both.items()},
    }


def shards(place: Path, rows: int, steps: int, rounds: int) -> dict[str, Any]:
    """Shards on disk beside the same rows in memory: rates once each group was read, and before; peak memory."""
    data = write_shards(place / "shards", rows)
    epoch = int(rows * 0.98) // MODEL["batch_size"]  # type: ignore[operator]
    found: dict[str, list[dict[str, Any]]] = {"memory": [], "disk": []}
    for _ in range(rounds):
        for name, in_memory in (("memory", True), ("disk", False)):
            one = measured(data, place, in_memory=in_memory, steps=epoch + steps)
            found[name].append({
                "first_epoch": rate(one, 0), "later": rate(one, epoch), "peak_gib": one["peak_gib"],
                "preparing_processor_seconds": one["preparing_processor_seconds"],
            })
    def best(name: str, part: str) -> float:
        return float(max(f[part]["rows_per_processor_second"] for f in found[name]))

    return {
        "rows": rows, "bytes": sum(p.stat().st_size for p in data.iterdir()), "runs": found,
        "share_of_memory_rate": best("disk", "later") / best("memory", "later"),
        "share_in_first_epoch": best("disk", "first_epoch") / best("memory", "first_epoch"),
        "peak_gib": max(f["peak_gib"] for f in found["disk"]),
    }


def growing(place: Path, sizes: tuple[int, ...]) -> dict[str, Any]:
    """Processor seconds per row of one epoch from shards, its preparation included, as rows grow."""
    seconds = {}
    for rows in sizes:
        data = write_shards(place / f"rows{rows}", rows)
        one = measured(data, place, in_memory=False, steps=int(rows * 0.98) // MODEL["batch_size"])  # type: ignore[operator]
        seconds[rows] = {"per_row_us": 1e6 * one["processor_seconds"] / rows, "peak_gib": one["peak_gib"]}
        for file in data.iterdir():
            file.unlink()
    return {"sizes": seconds}


def shuffling(rows: int = 400_000, block: int = 9362) -> dict[str, float]:
    """How well rows that were sorted are mixed: spread of batch means of their place, beside that of a full shuffle.

    1 is a full shuffle; reading in order would give the square root of the batch size.
    """
    from senzai.training.feed import FeedPlan

    cuts = np.append(np.arange(0, rows, block), rows)
    spread = {}
    for name, blocks in (("full", None), ("lanes", cuts)):
        plan = FeedPlan(rows, 512, 0, blocks=blocks)
        order = plan.order(0)
        means = [float(plan.rows(order, i).double().mean()) for i in range(plan.steps_per_epoch - 1)]
        spread[name] = float(np.std(means))
    return {**spread, "ratio": spread["lanes"] / spread["full"]}


PARTS = ("shuffling", "processes", "shards", "growth")


def run(parts: Sequence[str] = (), *, rounds: int = 1, full: bool = False, quick: bool = False) -> dict[str, Any]:
    """Return the measurements of some parts, or of all."""
    rows, steps = FULL_ROWS if full else SMALL_ROWS, STEPS
    sizes = SIZES if full else SIZES[:2]
    if quick:
        rows, steps, sizes, rounds = 20_000, 60, (5_000, 10_000), 1
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        jobs: dict[str, Callable[[], dict[str, Any]]] = {
            "shuffling": partial(shuffling, *((40_000, 500) if quick else ())),
            "processes": partial(processes, place, steps // 4, rounds),
            "shards": partial(shards, place, rows, steps, rounds),
            "growth": partial(growing, place, sizes),
        }
        return {f"scale_{part}": jobs[part]() for part in parts or PARTS}
