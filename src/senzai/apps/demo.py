"""The demonstration: train on handwritten digits, judge beside a simple baseline, write the report, summarise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..core.errors import OutputError
from ..data import open_data
from ..runs import fit

if TYPE_CHECKING:
    from ..data import Dataset

DATA = "digits"
SETTINGS: dict[str, Any] = {"network": "mlp", "steps": 4000, "lr": 0.003}
DRAWS = 500
SMOOTHING = (0.03, 0.1, 0.3, 1.0)


def run(out: Path | None = None, *, progress: bool | None = None) -> dict[str, Any]:
    """Train, judge and report.

    Args:
        out: A new folder; by default ``runs/demo``, or the next free ``runs/demo-2``.
        progress: As in :func:`senzai.fit`.
    """
    folder = free_folder() if out is None else out
    dataset = open_data(DATA)
    with one_thread():
        model = fit(DATA, out=folder, settings=SETTINGS, progress=progress)
    measured = model.evaluate(dataset, k=DRAWS)
    from ..report import write_report

    report = write_report(model, dataset, folder / "report.html")
    schema = dataset.schema
    return {
        **model.metrics["fit"], "n_train": len(dataset.split_indices()["train"]),
        "event_shape": list(schema.event_shape), "n_levels": schema.n_levels,
        "evaluate": measured, "baseline": histogram(dataset), "report": str(report),
    }


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: layers this small take longer on several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def free_folder(parent: Path = Path("runs")) -> Path:
    """Return ``demo`` in a folder that is made if needed, or the first of ``demo-2``, ``demo-3`` … that is free."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise OutputError(f"The demo writes to {str(parent)!r}, but cannot: {err.strerror}. Use --out.") from err
    names = ["demo", *(f"demo-{i}" for i in range(2, 1000))]
    return next(parent / name for name in names if not (parent / name).exists())


def histogram(dataset: Dataset) -> dict[str, Any]:
    """Return the log-likelihood of a baseline in which pixels are independent, each with a histogram of its own.

    Its counts come from the training rows, its smoothing is the best on the validation rows.
    """
    levels = dataset.schema.n_levels or 2
    parts = {name: _flat(dataset, rows) for name, rows in dataset.split_indices().items()}
    counts = (parts["train"][:, :, None] == np.arange(levels)).sum(axis=0)

    def log_p(rows: np.ndarray[Any, Any], smoothing: float) -> np.ndarray[Any, Any]:
        table = np.log((counts + smoothing) / (counts.sum(axis=-1, keepdims=True) + smoothing * levels))
        scores: np.ndarray[Any, Any] = table[np.arange(rows.shape[1]), rows].sum(axis=1)
        return scores

    best = max(SMOOTHING, key=lambda s: log_p(parts["validation"], s).mean())
    found = log_p(parts["test"], best)
    mean = float(found.mean())
    return {
        "name": "independent pixels", "smoothing": best, "n": len(found), "log_likelihood": mean,
        "log_likelihood_se": float(found.std(ddof=1) / math.sqrt(len(found))),
        "bits_per_dim": -mean / (math.log(2) * _width(dataset)),
    }


def _width(dataset: Dataset) -> int:
    return math.prod(dataset.schema.event_shape)


def _flat(dataset: Dataset, rows: Any) -> np.ndarray[Any, Any]:
    values = dataset.batch(rows).x
    assert not isinstance(values, dict)  # images are one tensor
    return values.flatten(1).long().numpy()


def told(found: dict[str, Any]) -> list[str]:
    """Return in plain words what was learned, how good it is, and what to try next."""
    judged, simple, out = found["evaluate"], found["baseline"], found["out"]
    height, width = found["event_shape"][-2:]
    gain = judged["log_likelihood"] - simple["log_likelihood"]
    return [
        f"It learned {found['n_train']:,} handwritten digits of {height}x{width} pixels with {found['n_levels']} grey "
        f"levels in {found['seconds']:.0f} seconds; it uses {judged['active_units']} of {judged['n_latent']} latent "
        "dimensions.",
        f"On {judged['n']} digits it never saw, log p(x) is {_measured(judged)}.",
        f"A model that takes every pixel on its own gets {_measured(simple)}.",
        _verdict(gain),
        f"The report, to open in a browser: {found['report']}",
        f"New digits:     senzai sample {out} -n 64 -o digits.png",
        f"What it is:     senzai info {out}",
        "Your own data:  senzai fit DATA --out runs/mine",
    ]


def _measured(found: dict[str, Any]) -> str:
    bits = f"{found['bits_per_dim']:.2f} bits per pixel"
    return f"{found['log_likelihood']:.1f} ± {found['log_likelihood_se']:.1f} nats a digit ({bits})"


def _verdict(gain: float) -> str:
    if gain <= 0:
        return "So it has not learned how pixels belong together yet: train for longer."
    return f"So knowing how pixels belong together is worth {gain:.1f} nats a digit."
