"""Autoencoders with codes on a grid, four times smaller a side: pictures of 128 pixels, one thread.

``emoji``: 3,583 pictures of emoji, a tenth held out by a fixed permutation. ``photographs``: pieces of 128 pixels of
the training pictures of BSDS500, held out are the middles of its validation pictures. So many minutes of processor time
at the recipe's own settings; the steps that fit are measured on ten. PSNR is of all held-out pixels together, 8 bits;
``bits`` is what the code costs, its rate, and ``numbers`` how many it has.

``step``: milliseconds of processor time a picture of one training step, in turns: this package, a loop by hand over the
very same two networks with a squared error, this package with blocks computed again (gradient checkpointing), and
diffusers' AutoencoderKL of about as many parameters; and the bytes that autograd keeps between forward and backward.

``large``: a smooth picture of 4,096 pixels a side through a model of 128, in pieces that overlap by a quarter, in a
process of its own: the peak of its memory, and how much neighbouring columns differ where a piece begins or ends,
beside all other columns.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import senzai
from senzai.core.batch import Batch
from senzai.nn.recomputing import gradient_checkpointing

from .common import kept, need_data

SIDE, RECIPE = 128, "kl-autoencoder"
SHEET = 6
Pixels = np.ndarray[Any, Any]

LARGE = """
import json, sys
import numpy as np
from PIL import Image
import senzai
from benchmarks.common import peak_mib
run = senzai.load(sys.argv[1])
before = peak_mib()
data = run.dataset(sys.argv[2], options={"patch": 128})
whole = np.asarray(run.reconstruct(data)[0])
peak = peak_mib()
np.save(sys.argv[3], whole)
print(json.dumps({"before": before, "after": peak, "stride": data.source.stride[0]}))
"""


def emoji() -> tuple[Pixels, Pixels]:
    """Emoji on white, and those held out."""
    paths = sorted(need_data("noto_emoji/128").glob("*.png"))
    found = []
    for path in paths:
        with Image.open(path) as image:
            page = Image.new("RGBA", image.size, "white")
            page.alpha_composite(image.convert("RGBA"))
            found.append(np.asarray(page.convert("RGB").resize((SIDE, SIDE))))
    x = np.stack(found)[np.random.default_rng(0).permutation(len(found))]
    n = len(x) // 10
    return x[n:], x[:n]


def photographs(per_picture: int = 12) -> tuple[Pixels, Pixels]:
    """Random pieces of training photographs, and the middles of others."""
    rng, parts = np.random.default_rng(0), []
    for part, n in (("train", per_picture), ("val", 0)):
        pieces = []
        for path in sorted(need_data(f"bsds500/{part}").rglob("*.jpg")):
            x = np.asarray(Image.open(path).convert("RGB"))
            h, w = x.shape[0] - SIDE, x.shape[1] - SIDE
            places = [(int(rng.integers(h)), int(rng.integers(w))) for _ in range(n)] or [(h // 2, w // 2)]
            pieces += [x[a : a + SIDE, b : b + SIDE] for a, b in places]
        parts.append(np.stack(pieces))
    return parts[0], parts[1]


SETS: dict[str, Callable[[], tuple[Pixels, Pixels]]] = {"emoji": emoji, "photographs": photographs}


def trained(x: Pixels, steps: int, **more: Any) -> tuple[Any, float]:
    """Return a run and its processor seconds."""
    began = time.process_time()
    run = senzai.fit(x, recipe=RECIPE, steps=steps, sampler="none", test=0.0, validation=0.02, progress=False, **more)
    return run, time.process_time() - began


def quality(name: str, minutes: float) -> dict[str, Any]:
    """Train for so many minutes, and judge held-out pictures."""
    train, held = SETS[name]()
    trained(train[:200], 2)  # what is loaded once
    first, second = trained(train, 2)[1], trained(train, 12)[1]
    per_step = max(1e-3, (second - first) / 10)
    steps = max(20, int((60 * minutes - first) / per_step))
    run, seconds = trained(train, steps)
    made = np.asarray(run.reconstruct(held))
    error = float(np.square(made / 255.0 - held / 255.0).mean())
    found = run.evaluate(held, k=1, only=["elbo"])
    if folder := kept(f"spatial-{name}"):
        run.save(folder, overwrite=True)
        sheet(held[:SHEET], made[:SHEET], folder.with_suffix(".png"))
    return {
        "pictures": len(train), "held_out": len(held), "steps": steps, "processor_seconds": seconds,
        "psnr": -10 * math.log10(error), "numbers": int(run.encode(held[:1]).shape[1]),
        "bits_a_pixel": found["rate"] / math.log(2) / SIDE**2,
        "bits_of_a_picture": found["rate"] / math.log(2),
        "parameters": sum(p.numel() for p in run.model.parameters()),
    }


def sheet(real: Pixels, made: Pixels, path: Path) -> None:
    """Write pictures and below them what came back."""
    Image.fromarray(np.concatenate([np.concatenate(list(rows), 1) for rows in (real, made)], 0)).save(path)


# --- a step ---------------------------------------------------------------------------------------------------------
def step(rounds: int, *, quick: bool) -> dict[str, Any]:
    """Return milliseconds a picture by who trains, and the bytes kept for the way back."""
    few, more = (2, 4) if quick else (3, 13)
    x = np.random.default_rng(0).integers(0, 256, (200, SIDE, SIDE, 3), np.uint8)
    rows = 32
    run, _ = trained(x, 2)
    batch = run.dataset(x).batch().take(slice(0, rows))
    ways = loops(run, batch, rows)
    each: dict[str, list[float]] = {}
    for turn in range(1 if quick else rounds):
        for name, sparing in (("senzai", False), ("senzai, computed again", True)):
            seconds = [trained(x, n, gradient_checkpointing=sparing, seed=turn, validate_every=10**6)[1]
                       for n in (few, more)]
            each.setdefault(name, []).append(1000 * (seconds[1] - seconds[0]) / (more - few) / rows)
        for name, way in ways.items():
            way()
            began = time.process_time()
            for _ in range(more - few):
                way()
            each.setdefault(name, []).append(1000 * (time.process_time() - began) / (more - few) / rows)
    return {"rows": rows, "ms_a_picture": {k: statistics.median(v) for k, v in each.items()}, "each": each,
            "kept_mib": {str(sparing): kept_mib(run, batch, sparing=sparing) for sparing in (False, True)}}


def loops(run: Any, batch: Batch, rows: int) -> dict[str, Callable[[], None]]:
    """Return one step of each loop that is no business of this package."""
    model, floats = run.model, batch.tensor.float() / 255
    encoder, decoder = model.posterior.encoder, model.likelihood.decoder
    head = torch.nn.Conv2d(encoder.channels, 8, 1)
    own = [*encoder.parameters(), *decoder.parameters(), *head.parameters()]
    adam = torch.optim.AdamW(own, 2e-3, fused=True)

    def by_hand() -> None:
        loc, raw = head(encoder.map(Batch(batch.tensor))).chunk(2, 1)
        z = loc + torch.randn_like(loc) * (0.5 * raw).exp()
        made = decoder(z.flatten(1))[:, 0]
        rate = 0.5 * (loc.square() + raw.exp() - 1 - raw).sum()
        loss = ((made - floats).square().sum() * 50 + rate) / rows
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()

    n = sum(p.numel() for p in model.parameters())
    net, n_theirs = theirs(n)
    other = torch.optim.AdamW(net.parameters(), 1e-3, fused=True)
    few = floats[: max(1, rows // 8)]  # its steps are long; milliseconds are a picture's

    def diffusers() -> None:
        spread = net.encode(few).latent_dist
        loss = (net.decode(spread.sample()).sample - few).square().sum() + spread.kl().sum()
        other.zero_grad(set_to_none=True)
        loss.backward()
        other.step()

    return {"by hand": by_hand, f"diffusers, {n_theirs / n:.2f} of the parameters": scaled(diffusers, rows / len(few))}


def scaled(way: Callable[[], None], times: float) -> Callable[[], None]:
    """Return a step that is taken so often that it has seen as many pictures as the others."""

    def often() -> None:
        for _ in range(round(times)):
            way()

    return often


def theirs(n: int) -> tuple[Any, int]:
    """Return diffusers' network whose number of parameters is nearest, and that number."""
    from diffusers import AutoencoderKL

    found = []
    for width in (8, 16, 24, 32, 48, 64):
        net = AutoencoderKL(
            in_channels=3, out_channels=3, latent_channels=4, layers_per_block=1, norm_num_groups=8,
            block_out_channels=(width, 2 * width, 4 * width), down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3, sample_size=SIDE, mid_block_add_attention=False,
        )
        found.append((net, sum(p.numel() for p in net.parameters())))
    return min(found, key=lambda one: abs(math.log(one[1] / n)))


def kept_mib(run: Any, batch: Batch, *, sparing: bool) -> float:
    """Return the memory that autograd keeps after the way forward."""
    held: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    objective = run.spec.make_objective()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t), gradient_checkpointing(sparing):
        kept_alive = objective(run.model, batch, 0)
    del kept_alive
    return sum(held.values()) / 2**20


# --- a large picture --------------------------------------------------------------------------------------------------
def large(*, quick: bool) -> dict[str, Any]:
    """Return memory and seams."""
    train, _ = photographs(2)
    run, _ = trained(train, 5 if quick else 200)
    side = 512 if quick else 4096
    few = np.random.default_rng(1).integers(0, 256, (side // 32, side // 32, 3), np.uint8)
    page = Image.fromarray(few).resize((side, side), Image.Resampling.BICUBIC)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        run.save(place / "run")
        page.save(place / "large.png")
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", LARGE, str(place / "run"), str(place / "large.png"), str(place / "whole.npy")],
            check=True, capture_output=True, text=True,
        )
        told = json.loads(done.stdout.strip().splitlines()[-1])
        seconds, whole = time.perf_counter() - began, np.load(place / "whole.npy")
    return {"side": side, "shape": list(whole.shape), "seconds": seconds, "mib_before": told["before"],
            "mib_peak": told["after"], "step_at_seams": seams(whole, told["stride"])}


def seams(whole: Pixels, stride: int) -> dict[str, float]:
    """Return the mean step of grey levels from column to column where a piece begins or ends, and elsewhere."""
    steps = np.abs(np.diff(whole.astype(np.float64), axis=1)).mean((0, 2))
    starts = np.arange(stride, whole.shape[1] - SIDE, stride)
    at = np.unique([*(starts - 1), *(starts + SIDE - stride - 1)])
    return {"at_seams": float(steps[at].mean()), "elsewhere": float(np.delete(steps, at).mean())}


def measure(rows: list[str], rounds: int, minutes: float, *, quick: bool = False) -> dict[str, Any]:
    """Return one result for each row."""
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for row in rows or ["emoji", "photographs", "step", "large"]:
        if row in SETS:
            found[f"spatial_{row}"] = quality(row, 0.2 if quick else minutes)
        else:
            found[f"spatial_{row}"] = step(rounds, quick=quick) if row == "step" else large(quick=quick)
        print(row, found[f"spatial_{row}"], flush=True)
    return found
