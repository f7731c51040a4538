"""A table larger than memory through every verb, each in a process of its own under a limit of memory."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

GIGABYTES = 5.0
LIMIT_MIB = 2048
PIECE = 20_000
NOTE = 4600
"""Letters of the free-text note of a customer: most of the bytes of such files, and left out of the model."""
STEPS = 300
CITIES = np.array(["Ulm", "Bonn", "Jena", "Kiel", "Trier"])
NAMES = ("customer_id", "age", "joined", "city", "plan", "orders", "paid", "discount", "rating", "visits", "score",
         "active", "note")
Result = dict[str, Any]


def made(path: Path, gigabytes: float, seed: int = 0) -> int:
    """Write a CSV of about so many gigabytes; return its rows."""
    rng = np.random.default_rng(seed)
    words = np.array(["order", "late", "parcel", "thanks", "again", "blue", "return", "please", "invoice", "door"])
    prose = " ".join(rng.choice(words, 200_000))
    n = 0
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(NAMES) + "\n")
        while file.tell() < gigabytes * 1e9:
            for line in lines(rng, n, prose):
                file.write(line)
            n += PIECE
    return n


def lines(rng: np.random.Generator, first: int, prose: str) -> Iterator[str]:
    """Yield the lines of some customers: numbers that follow from three hidden ones, holes, and a note."""
    z = rng.normal(size=(PIECE, 3))
    starts = rng.integers(0, len(prose) - NOTE, PIECE)
    columns: list[NDArray[Any]] = [
        np.char.add("C", np.arange(first, first + PIECE).astype(str)),
        np.clip(np.rint(45 + 12 * z[:, 0]), 18, 95).astype(int).astype(str),
        (np.datetime64("2015-01-01") + rng.integers(0, 4000, PIECE)).astype(str),
        CITIES[np.clip(np.rint(2 + z[:, 1] + rng.normal(size=PIECE)), 0, 4).astype(int)],
        np.where(z[:, 2] > 0.5, "pro", np.where(z[:, 2] > -1, "basic", "trial")),
        rng.poisson(np.exp(2 + 0.5 * z[:, 2])).astype(str),
        np.round(np.exp(4 + 0.6 * z[:, 2] + 0.3 * rng.normal(size=PIECE)), 2).astype(str),
        np.round(rng.beta(2, 8, PIECE), 4).astype(str),
        np.clip(np.rint(3 + z[:, 1]), 1, 5).astype(int).astype(str),
        rng.poisson(np.exp(3 + 0.4 * z[:, 0])).astype(str),
        np.round(z[:, 0] + z[:, 1] + 0.3 * rng.normal(size=PIECE), 5).astype(str),
        np.where(z[:, 2] + rng.normal(size=PIECE) > 0, "True", "False"),
    ]
    columns[6] = np.where(rng.random(PIECE) < 0.02, "", columns[6])
    columns[8] = np.where(rng.random(PIECE) < 0.03, "", columns[8])
    for cells, start in zip(zip(*columns, strict=True), starts, strict=True):
        yield f"{','.join(cells)},{prose[start : start + NOTE]}\n"


def run_limited(words: list[str]) -> tuple[Result, Result]:
    """Run the command line with at most ``LIMIT_MIB`` of data memory; return the costs and what it said.

    The limit is the system's (``RLIMIT_DATA``: heap and private mappings), so that a verb beyond it fails; the peak is
    of the resident memory, as the system counts it for that process (``wait4``). Arrow takes its memory from the
    system here: its own allocator keeps addresses that it does not use, which that limit would count.
    """
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (LIMIT_MIB * 2**20, LIMIT_MIB * 2**20))

    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        start = time.perf_counter()
        child = subprocess.Popen(
            [sys.executable, "-m", "senzai", *words, "--json"], stdout=out, stderr=err, preexec_fn=limited,
            env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"},
        )
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        out.seek(0)
        err.seek(0)
        told, why = out.read(), err.read()[-500:]
    cost: Result = {
        "seconds": round(seconds, 1), "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_mib": round(used.ru_maxrss / 1024), "exit": child.returncode,
    }
    if child.returncode:
        return {**cost, "error": why}, {}
    return cost, json.loads(told)


def verbs(data: str, run: str, folder: str) -> dict[str, list[str]]:
    """Return the words of every verb."""
    def out(name: str) -> list[str]:
        return ["-o", f"{folder}/{name}.csv"]

    return {
        "info of the data": ["info", data],
        "fit": ["fit", data, "--out", run, "--set", f"steps={STEPS}", "--no-report"],
        "encode": ["encode", run, data, *out("codes")],
        "reconstruct": ["reconstruct", run, data, *out("back")],
        "sample": ["sample", run, "-n", "1000000", "--seed", "0", *out("new")],
        "score": ["score", run, data, "--shares", "--false-alarm", "0.01", *out("scores")],
        "impute": ["impute", run, data, *out("whole")],
        "evaluate": ["evaluate", run, data, "--k", "50"],
        "augment": ["augment", run, "--column", "plan", "--value", "trial", "-n", "100000", *out("more")],
        "report": ["report", run],
        "info of the run": ["info", run],
    }


def all_of_it(share: float, *, quick: bool) -> Result:
    """Make the file, send it through every verb, and remove it."""
    gigabytes = 0.02 if quick else GIGABYTES * share
    with tempfile.TemporaryDirectory(prefix="senzai-large-") as folder:
        data = Path(folder, "customers.csv")
        rows = made(data, gigabytes)
        size = data.stat().st_size
        found: Result = {}
        for name, words in verbs(str(data), f"{folder}/run", folder).items():
            found[name], told = run_limited(words)
            if "n" in told:
                found[name]["rows"] = told["n"]
            print(f"  {name}: {found[name]}", flush=True)
            if len(words) > 2 and words[-2] == "-o":
                Path(words[-1]).unlink(missing_ok=True)
    return {
        "bytes": size, "rows": rows, "columns": len(NAMES), "note_letters": NOTE, "limit_mib": LIMIT_MIB,
        "limit": "RLIMIT_DATA of each process; peak_mib is its largest resident memory (wait4), libraries included",
        "verbs": found,
    }
