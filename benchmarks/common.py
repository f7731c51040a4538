"""What every benchmark needs: data, the machine in words, medians of alternating runs, and a place for results."""

from __future__ import annotations

import gzip
import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

HERE = Path(__file__).parent
RESULTS = HERE / "results"
DATA = Path(os.environ.get("SENZAI_DATA", HERE.parent.parent / "shared" / "data"))


def kept(name: str) -> Path | None:
    """Return where a long run is kept, so that it can be gone on with after a stop: below ``SENZAI_RUNS``, if set."""
    return Path(os.environ["SENZAI_RUNS"]) / name if "SENZAI_RUNS" in os.environ else None


def kept_run(name: str, data: Any, given: dict[str, Any]) -> Any:
    """Return a run that is trained now, or the one that is kept under a name, gone on with if it was stopped."""
    import senzai

    folder = kept(name)
    if folder is None or not (folder / "spec.json").exists():
        return senzai.fit(data, **given, out=folder)
    return senzai.load(folder) if (folder / "weights.safetensors").exists() else senzai.resume(folder, data=data)


def need_data(name: str) -> Path:
    """Return a file of the development data, or stop with a sentence."""
    path = DATA / name
    if not path.exists():
        sys.exit(f"{path} is not here. Set SENZAI_DATA to the folder with the development data.")
    return path


def grey_mnist(part: str) -> np.ndarray:
    """Return MNIST images of ``train`` or ``t10k``, ``(N, 784)`` uint8."""
    with gzip.open(need_data(f"mnist/{part}-images-idx3-ubyte.gz")) as file:
        return np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)


def binarised_mnist(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return train and test bits: one Bernoulli draw per pixel with a fixed seed."""
    rng = np.random.default_rng(seed)
    train, test = grey_mnist("train"), grey_mnist("t10k")
    return tuple((rng.random(x.shape) < x / 255).astype(np.uint8) for x in (train, test))  # type: ignore[return-value]


def static_mnist() -> dict[str, np.ndarray]:
    """Return the fixed binarisation that the literature uses: train 50,000, valid 10,000, test 10,000."""
    with np.load(need_data("static_mnist/static_mnist.npz")) as z:
        return {k: np.unpackbits(z[k], axis=1)[:, :784] for k in ("train", "valid", "test")}


def machine() -> dict[str, Any]:
    """Return the machine and versions in words."""
    model = ""
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), "")
    return {
        "processor": model or platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {p: _version(p) for p in ("senzai", "torch", "numpy", "pythae")},
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except ImportError:
        return None


def clock(work: Callable[[], Any]) -> float:
    """Return the seconds that ``work`` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def alternate(rounds: int, **jobs: Callable[[], float]) -> dict[str, dict[str, Any]]:
    """Run the jobs in turn, round after round, so that both see the same machine; return medians and all values."""
    seen: dict[str, list[float]] = {name: [] for name in jobs}
    for i in range(rounds):
        for name, job in jobs.items():
            seen[name].append(job())
            print(f"  round {i + 1}: {name} {seen[name][-1]:.4g}", flush=True)
    return {name: {"median": statistics.median(v), "values": v} for name, v in seen.items()}


def peak_mib() -> float:
    """Return the largest resident memory of this process so far, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count the parent's memory at the fork
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 if sys.platform != "darwin" else peak / 2**20


def write(name: str, found: dict[str, Any]) -> Path:
    """Write a result with machine, versions and date."""
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    full = {"benchmark": name, "date": time.strftime("%Y-%m-%d"), "machine": machine(), **found}
    path.write_text(json.dumps(full, indent=2) + "\n")
    print(f"written: {path}")
    return path
