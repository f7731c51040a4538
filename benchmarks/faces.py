"""Drawn faces of 32 x 32 pixels through codes on a grid and back, and samples from their codes.

A network that reads the named factors of faces (a small convolutional one, trained on 8,000 faces that no model here
saw) judges: how many factors it reads right in held-out faces and in their reconstructions, and Fréchet distances in
its last hidden layer. The distances are no FID and compare only within this file; the floor is that of other faces.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import senzai
from senzai.data.faces import FACTORS, N_NAMED, factors_of, labels_of, render
from senzai.evaluation.samples import frechet_distance
from senzai.runs.training.after_fit import after_fit

from .common import kept

SIDE, TRAIN, HELD, READER = 32, 4_000, 500, 8_000
SAMPLERS = ("mixture", "flow_matching", "spatial_flow_matching")
HAIR = [f.name for f in FACTORS].index("hair")
SIZES = [len(f.values) for f in FACTORS[:N_NAMED]]


class Reader(nn.Module):
    """Tells the named factors of a face, and whether it smiles."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.PixelUnshuffle(2)]
        for a, b, stride in ((12, 48, 1), (48, 64, 2), (64, 96, 2)):
            layers += [nn.Conv2d(a, b, 3, stride, 1), nn.GroupNorm(4, b), nn.SiLU()]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(96 * 16, 64), nn.SiLU())
        self.heads = nn.ModuleList(nn.Linear(64, n) for n in (*SIZES, 3))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return logits of each factor."""
        h = self.body(x)
        return [head(h) for head in self.heads]


def tensors(x: Any) -> Tensor:
    """Return pictures in [0, 1], channels first."""
    return torch.from_numpy(np.array(x, dtype=np.float32) / 255).permute(0, 3, 1, 2).contiguous()


def classes_of(factors: np.ndarray[Any, Any]) -> Tensor:
    """Return the named factors and the expression as class numbers, ``(N, named + 1)``."""
    order = {"frowning": 0, "neutral": 1, "smiling": 2}
    expression = [order[str(e)] for e in labels_of(factors)["expression"]]
    return torch.from_numpy(np.column_stack([factors[:, :N_NAMED], expression]).astype(np.int64))


def reader(epochs: int, n: int) -> Reader:
    """Return a trained reader."""
    torch.manual_seed(0)
    factors = factors_of(range(100_000, 100_000 + n))
    x, y = tensors(render(factors, SIDE)), classes_of(factors)
    net = Reader()
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=0.02)
    course = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, total_steps=epochs * (n // 64))
    for _ in range(epochs):
        for rows in torch.randperm(n).split(64)[: n // 64]:
            loss = sum(F.cross_entropy(a, y[rows, i]) for i, a in enumerate(net(x[rows])))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            course.step()
    return net.eval()


@torch.no_grad()
def read(net: Reader, x: Any, y: Tensor) -> dict[str, float]:
    """Return the share of each factor read right, and of all named ones."""
    told = [logits.argmax(1) for logits in net(tensors(x))]
    names = [*(f.name for f in FACTORS[:N_NAMED]), "expression"]
    found = {name: float((t == y[:, i]).double().mean()) for i, (name, t) in enumerate(zip(names, told, strict=True))}
    return {**found, "all named": float(np.mean([found[n] for n in names[:N_NAMED]]))}


@torch.no_grad()
def distance(net: Reader, a: Any, b: Any) -> float:
    """Return the Fréchet distance in the reader's last hidden layer."""
    one, other = (net.body(tensors(x)).double().numpy() for x in (a, b))
    return frechet_distance(one, other, repeats=0).value


def measure(*, steps: int = 1000, quick: bool = False) -> dict[str, Any]:
    """Train, reconstruct, sample, judge."""
    torch.set_num_threads(1)
    n, steps, epochs = (600, 20, 1) if quick else (TRAIN, steps, 8)
    net = reader(epochs, 500 if quick else READER)
    factors = factors_of(range(n + 2 * HELD))
    x, y = render(factors, SIDE), classes_of(factors)
    train, held, other = x[:n], x[n : n + HELD], x[n + HELD :]
    labels = labels_of(factors)["hair"]
    found: dict[str, Any] = {
        "what": (__doc__ or "").strip(), "rows": n, "steps": steps, "real": read(net, held, y[n : n + HELD]),
        "floor": distance(net, other, held), "recipes": {},
    }
    plans: dict[str, dict[str, Any]] = {
        "kl-autoencoder": {"recipe": "kl-autoencoder", "settings": {"condition": "label"}},
        "vae": {"recipe": "vae", "settings": {"n_latent": 64}},
    }
    for name, plan in plans.items():
        began = time.process_time()
        data = (train, labels[:n]) if "condition" in plan["settings"] else train
        rows = (held, labels[n : n + HELD]) if "condition" in plan["settings"] else held
        run = senzai.fit(data, recipe=plan["recipe"], settings={**plan["settings"], "steps": steps, "sampler": "none"},
                         progress=False)
        found["recipes"][name] = one = {"seconds": time.process_time() - began}
        again = np.asarray(run.reconstruct(rows))
        error = float(np.square(again / 255.0 - held / 255.0).mean())
        bound = float(run.log_likelihood(rows, k=1).mean())
        one |= {
            "numbers": run.encode(rows).shape[1], "psnr": -10 * math.log10(error), "squared_error": error,
            "bits_per_dim": -bound / (math.log(2) * held[0].size),
            "reconstructions": read(net, again, y[n : n + HELD]),
            "frechet_of_reconstructions": distance(net, again, held),
            "samples": {"prior": {"frechet": distance(net, run.sample(HELD, seed=1), held)}},
        }
        print(name, {k: v for k, v in one.items() if k != "reconstructions"}, one["reconstructions"], flush=True)
        dataset = run.dataset(data)
        for sampler in SAMPLERS[::2] if name == "kl-autoencoder" else SAMPLERS[:1]:
            began = time.process_time()
            chosen = run.spec.training.model_copy(update={"sampler": sampler})
            run.samplers = after_fit(run.model, dataset, chosen, steps)
            one["samples"][sampler] = {
                "seconds": time.process_time() - began, "frechet": distance(net, run.sample(HELD, seed=1), held),
            }
            print(name, sampler, one["samples"][sampler], flush=True)
        if name == "kl-autoencoder":
            one["guidance"] = guided(run, net)
            print(one["guidance"], flush=True)
        if folder := kept(f"faces-{name}"):
            run.save(folder)
    return found


def guided(run: Any, net: Reader) -> dict[str, float]:
    """Return the share of samples that the reader sees with the hair that was asked for, by guidance."""
    found = {}
    for weight in (1.0, 2.0, 4.0):
        right = []
        for i, name in enumerate(FACTORS[HAIR].values):
            made = run.sample(40, seed=2, given={"label": name}, guidance=weight)
            with torch.no_grad():
                right.append(float((net(tensors(made))[HAIR].argmax(1) == i).double().mean()))
        found[str(weight)] = float(np.mean(right))
    return found
