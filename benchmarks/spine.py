"""Speed of the spine against pythae on the same machine in the same run; see ``docs/benchmarks.md``."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from senzai.core.batch import Batch
from senzai.core.random import Noise, using
from senzai.evaluation import log_likelihood
from senzai.nn.products import linear
from senzai.objectives import ELBO
from senzai.runs import Run, fit
from senzai.runs.fit import make
from senzai.training.events import Event, Reached
from senzai.training.listeners import Listener
from senzai.training.loop import Training

from . import bare, peer
from .common import alternate, binarised_mnist, clock, peak_mib
from .turns import beside, in_turns, own_turns

SHAPE: dict[str, Any] = {"network": "mlp", "hidden": [512], "n_latent": 16}
"""784-512-16 and back, as the peer's default networks."""
EQUAL: dict[str, Any] = {
    **SHAPE, "batch_size": 100, "lr": 1e-3, "schedule": "constant", "precision": "fp32", "validation": 0, "test": 0,
}
DEFAULTS: dict[str, Any] = {**SHAPE, "validation": 0, "test": 0}
PLAIN: dict[str, Any] = {**DEFAULTS, "precision": "fp32"}
"""What the defaults are on a processor without bfloat16."""
BEST: dict[str, Any] = {"epochs": 3, "lr": 1.2e-2, "batch_size": 384, "schedule": "one_cycle"}
"""Our best settings for the time to the target: fewer epochs at a higher rate, everything else as it comes."""
TARGET = 105.0


def negative_elbo(model: Any, x: np.ndarray, seed: int = 0) -> float:
    """Return the mean one-sample negative ELBO in nats with the closed-form rate."""
    model.eval()
    total = 0.0
    with torch.inference_mode(), using(Noise.seeded(seed)):
        for i in range(0, len(x), 1000):
            total += float(ELBO()(model, Batch(torch.from_numpy(x[i : i + 1000])), 0).loss.sum())
    return total / len(x)


def throughput(epochs: int, rounds: int) -> dict[str, Any]:
    """Rows per second of both training loops, imports and reading left out, and the test ELBO after as many epochs."""
    train, test = binarised_mnist()
    peer.train(train[:1000], epochs=1)
    fit(train[:1000], epochs=1, progress=False, **EQUAL)
    elbo: dict[str, float] = {}

    def theirs() -> float:
        model, seconds = peer.train(train, epochs=epochs)
        elbo["pythae"] = -peer.negative_elbo(model, test)
        return epochs * len(train) / seconds

    def ours(name: str, settings: dict[str, Any]) -> float:
        run = fit(train, epochs=epochs, progress=False, **settings)
        elbo[name] = -negative_elbo(run.model, test)
        rate: float = run.metrics["fit"]["samples_per_second"]
        return rate

    found = alternate(
        rounds, pythae=theirs, equal=lambda: ours("equal", EQUAL), defaults=lambda: ours("defaults", DEFAULTS),
        plain=lambda: ours("plain", PLAIN), bare=lambda: bare.rows_per_second(train, epochs=epochs),
    )
    base = found["pythae"]["median"]
    return {
        "epochs": epochs,
        "rows_per_second": found,
        "ratio_equal": found["equal"]["median"] / base,
        "ratio_defaults": found["defaults"]["median"] / base,
        "ratio_plain": found["plain"]["median"] / base,
        "ratio_bare": found["equal"]["median"] / found["bare"]["median"],
        "test_elbo": elbo,
    }


class _Clock(Listener):
    """Stops the clock while the test rows are scored, and the run when they reach the target."""

    def __init__(self, test: np.ndarray) -> None:
        self.test, self.start, self.outside, self.reached = test, time.perf_counter(), 0.0, None
        self.seen: list[tuple[float, float]] = []

    def on(self, event: Event, training: Training) -> None:
        """Score the test rows after each epoch."""
        epoch_ends = isinstance(event, Reached) and event.step % training.feed.plan.steps_per_epoch == 0
        if not epoch_ends or self.reached is not None:
            return
        now = time.perf_counter()
        value = negative_elbo(training.model, self.test)
        training.model.train()
        self.seen.append((now - self.start - self.outside, value))
        if value <= TARGET:
            self.reached = now - self.start - self.outside
            training.stop_early = True
        self.outside += time.perf_counter() - now


def time_to_target(max_epochs: int, rounds: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Seconds from the call of ``fit`` to a test negative ELBO of at most 105 nats."""
    train, test = binarised_mnist()
    curves: dict[str, Any] = {}

    def theirs() -> float:
        reached: list[float] = []
        curve: list[tuple[float, float]] = []

        def look(model: Any, seconds: float) -> bool:
            curve.append((seconds, peer.negative_elbo(model, test)))
            if curve[-1][1] <= TARGET:
                reached.append(seconds)
            return bool(reached)

        peer.train(train, epochs=max_epochs, after_epoch=look)
        curves["pythae"] = curve
        return reached[0] if reached else float("nan")

    def ours() -> float:
        watch = _Clock(test)
        fit(train, progress=False, listeners=[watch], **{**DEFAULTS, **settings})
        curves["senzai"] = watch.seen
        return watch.reached if watch.reached is not None else float("nan")

    found = alternate(rounds, pythae=theirs, senzai=ours)
    return {
        "target": TARGET, "settings": settings, "seconds": found,
        "ratio": found["pythae"]["median"] / found["senzai"]["median"], "curves": curves,
    }


def likelihood(n_images: int, rounds: int, k: int = 5000) -> dict[str, Any]:
    """Seconds per image of a k-sample log-likelihood, and the peak memory of ours in a process of its own."""
    train, test = binarised_mnist()
    model, _ = peer.train(train[:10_000], epochs=1)
    run = fit(train[:10_000], epochs=1, progress=False, **EQUAL)
    rows = Batch(torch.from_numpy(test[: 20 * n_images]))
    means: dict[str, float] = {}

    def ours(name: str, precision: torch.dtype | None) -> float:
        def work() -> None:
            means[name] = log_likelihood(run.model, rows, k=k, precision=precision).mean

        return clock(work) / len(rows)

    found = alternate(
        rounds,
        pythae=lambda: peer.nll_seconds_per_image(model, test, n_images=n_images, k=k),
        fp32=lambda: ours("fp32", None),
        bf16=lambda: ours("bf16", torch.bfloat16),
    )
    base = found["pythae"]["median"]
    return {
        "k": k, "seconds_per_image": found, "products_alone": products(k), "ratio_fp32": base / found["fp32"]["median"],
        "ratio_bf16": base / found["bf16"]["median"], "bf16_minus_fp32_nats": means["bf16"] - means["fp32"],
        "images": {"pythae": n_images, "senzai": len(rows)}, "peak_mib": _peak_of_likelihood(run, k),
    }


def products(k: int) -> dict[str, float]:
    """Seconds per image of the decoder's matrix products alone, with nothing around them."""
    found = {}
    for name, dtype in {"fp32": torch.float32, "bf16": torch.bfloat16}.items():
        z, a, b = (torch.randn(shape, dtype=dtype) for shape in ((k, 16), (512, 16), (784, 512)))
        with torch.inference_mode():
            linear(linear(z, a), b)
            found[name] = statistics.median(clock(lambda z=z, a=a, b=b: linear(linear(z, a), b)) for _ in range(9))
    return found


def against_bare(rounds: int) -> dict[str, Any]:
    """Processor time of a step of 784-512-16 beside the bare loop."""
    train, _ = binarised_mnist()
    dataset = fit(train[:1000], steps=2, progress=False, **EQUAL).dataset(train[:10_000])
    steps = bare.bit_steps(torch.from_numpy(train[:10_000]).float(), batch_size=100)
    ours = own_turns(make("vae", dataset, SHAPE, 0), dataset, batch_size=100)
    return beside(rounds, senzai=ours, bare=in_turns(steps))


def _peak_of_likelihood(run: Run, k: int) -> float:
    with tempfile.TemporaryDirectory() as tmp:
        run.save(Path(tmp) / "run")
        code = (
            "import sys, senzai, torch, numpy as np\n"
            "from senzai.core.batch import Batch\n"
            "from senzai.evaluation import log_likelihood\n"
            "from benchmarks.common import peak_mib, binarised_mnist\n"
            "run = senzai.load(sys.argv[1])\n"
            "x = torch.from_numpy((np.random.default_rng(0).random((100, 784)) < 0.1).astype(np.uint8))\n"
            f"log_likelihood(run.model, Batch(x), k={k})\n"
            "print(peak_mib())\n"
        )
        command = [sys.executable, "-c", code, str(Path(tmp) / "run")]
        out = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(out.stdout.strip().splitlines()[-1])


def ceiling(rounds: int) -> dict[str, Any]:
    """Training FLOP/s over the rate of matrix products in the same precision: torch's own, and the fastest there is."""
    train, _ = binarised_mnist()
    flops_per_row = 3 * 2 * (784 * 512 + 512 * 32 + 16 * 512 + 512 * 784)
    shares: dict[str, Any] = {}
    for name, settings in {"equal": EQUAL, "defaults": DEFAULTS}.items():
        runs, plain, best = [], [], []
        for _ in range(rounds):
            runs.append(fit(train, epochs=2, progress=False, **settings).metrics["fit"])
            dtype = torch.bfloat16 if runs[0]["precision"] == "bf16" else torch.float32
            plain.append(product_rate(dtype))
            best.append(max(plain[-1], product_rate(dtype, ours=True)))
        rate = statistics.median(r["samples_per_second"] for r in runs) * flops_per_row
        torchs, top = statistics.median(plain), statistics.median(best)
        shares[name] = {
            "precision": runs[0]["precision"], "training_gflops": rate / 1e9, "torch_product_gflops": torchs / 1e9,
            "best_product_gflops": top / 1e9, "share_of_torch": rate / torchs, "share": rate / top,
        }
    return {"flops_per_row": flops_per_row, **shares}


@torch.inference_mode()
def product_rate(dtype: torch.dtype, n: int = 1024, *, ours: bool = False) -> float:
    """Return FLOP/s of a square matrix product: torch's, or that of our linear layers."""
    a, b = torch.randn(n, n, dtype=dtype), torch.randn(n, n, dtype=dtype)
    work = (lambda: linear(a, b)) if ours else (lambda: a @ b)
    for _ in range(3):
        work()
    return 20 * 2 * n**3 / clock(lambda: [work() for _ in range(20)])


def start_up(rounds: int) -> dict[str, Any]:
    """Seconds of ``senzai --help``, and whether importing senzai imports torch."""
    imported = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import senzai"], capture_output=True, text=True, check=True
    ).stderr
    command = [sys.executable, "-m", "senzai", "--help"]
    times = [clock(lambda: subprocess.run(command, capture_output=True, check=True)) for _ in range(max(5, rounds))]
    return {"torch_imported": "| torch" in imported, "help_seconds": statistics.median(times), "values": times}


def all_of_it(rounds: int, *, quick: bool) -> dict[str, Any]:
    """Run everything; ``quick`` uses budgets that only show that it works."""
    torch.set_num_threads(torch.get_num_threads())
    found: dict[str, Any] = {}
    print("start-up"), found.update(start_up=start_up(rounds))
    print("throughput"), found.update(throughput=throughput(1 if quick else 5, rounds))
    print("steps"), found.update(against_bare=against_bare(2 if quick else 20 * rounds))
    print("ceiling"), found.update(ceiling=ceiling(rounds))
    print("log-likelihood"), found.update(likelihood=likelihood(2 if quick else 5, rounds))
    print("time to target"), found.update(time_to_target=time_to_target(2 if quick else 60, rounds, BEST))
    found["peak_mib_of_this_process"] = peak_mib()
    return found
