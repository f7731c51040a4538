"""Eight bits under a quantum circuit and under classical priors of as many parameters: exact log-likelihoods.

Two sources of codes: handwritten digits of scikit-learn, encoded by a bernoulli-vae of eight bits (its modes), and
crops of two by four pixels from the middle of the static binarisation of MNIST (a copy that was not compared with the
original byte for byte). Each prior is fitted to the frequencies of all 256 codes among training rows by Adam, from five
seeds, and judged on codes of test rows; nothing was chosen on test rows. All log-likelihoods are exact: every prior
knows the probability of every code. The table is the exception in size: 255 parameters, each count raised by a half.
"""

from __future__ import annotations

import time
from math import log, sqrt
from typing import Any

import numpy as np
import torch

import senzai
from senzai.core.random import forked
from senzai.core.spec import make
from senzai.distributions.bit_table import index_of
from senzai.nn.costs import costs_of

from .common import static_mnist

BITS, STEPS, LR, LAYERS = 8, 80, 0.1, 2
PRIORS: dict[str, dict[str, Any]] = {
    "born": {"layers": LAYERS},
    "rbm": {"n_hidden": 4},
    "bit_made": {"n_hidden": 2},
    "bernoulli": {"learned": True},
}


def digits_codes(*, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return codes of training and test rows, as places among all 256."""
    run = senzai.fit(
        "digits",
        recipe="bernoulli-vae",
        n_latent=BITS,
        hidden=[128],
        steps=steps,
        sampler="none",
        seed=0,
        progress=False,
    )
    dataset = run.dataset("digits")
    codes = index_of(torch.as_tensor(np.asarray(run.encode(dataset))))
    parts = dataset.split_indices()
    return codes[parts["train"]], codes[parts["test"]]


def crop_codes() -> tuple[torch.Tensor, torch.Tensor]:
    """Return two by four pixels from the middle of binarised MNIST, as places among all 256."""
    whole = static_mnist()

    def crops(name: str) -> torch.Tensor:
        pictures = whole[name].reshape(-1, 28, 28)
        return index_of(torch.from_numpy(pictures[:, 13:15, 12:16].reshape(-1, BITS).astype(np.float32)))

    return crops("train"), crops("test")


def fitted(name: str, settings: dict[str, Any], share: torch.Tensor, seed: int, *, steps: int) -> dict[str, Any]:
    """Fit one prior to frequencies of codes; return its log probabilities, time and cost."""
    with forked(seed):
        prior = make(f"prior/{name}", n_latent=BITS, **settings)
    optimiser = torch.optim.Adam(prior.parameters(), LR)
    every = make("prior/bit_table", n_latent=BITS).every
    began = time.process_time()
    for _ in range(steps):
        loss = -(share * prior().log_prob(every)).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    seconds = time.process_time() - began
    with torch.no_grad():
        log_p = prior().log_prob(every).double()
    cost = next((dict(c) for _, c in costs_of(prior)), {"gates": 0, "circuits": 0})
    return {"log_p": log_p, "seconds": seconds, "parameters": sum(p.numel() for p in prior.parameters()), **cost}


def judged(train: torch.Tensor, test: torch.Tensor, *, seeds: int, steps: int) -> dict[str, Any]:
    """Return a row for each prior, and the difference of each to the circuit on the same test rows."""
    counts = torch.bincount(train, minlength=2**BITS).double()
    share = (counts / counts.sum()).float()
    rows: dict[str, Any] = {}
    means: dict[str, torch.Tensor] = {}
    for label, settings in PRIORS.items():
        found = [fitted(label, settings, share, seed, steps=steps) for seed in range(seeds)]
        values = [float(f["log_p"][test].mean()) for f in found]
        means[label] = torch.stack([f["log_p"] for f in found]).mean(0)
        rows[label] = {
            "log_likelihood": float(np.mean(values)),
            "by_seed": values,
            "se_of_seeds": float(np.std(values, ddof=1) / sqrt(seeds)) if seeds > 1 else None,
            "parameters": found[0]["parameters"],
            "cpu_seconds": float(np.mean([f["seconds"] for f in found])),
            "gates": found[0].get("gates", 0),
            "circuits": found[0].get("circuits", 0),
        }
        print(label, rows[label], flush=True)
    table = ((counts + 0.5) / (counts.sum() + 0.5 * len(counts))).log()
    for label, log_p, size in (("table", table, 2**BITS - 1), ("uniform", torch.full_like(table, -BITS * log(2)), 0)):
        means[label] = log_p
        rows[label] = {"log_likelihood": float(log_p[test].mean()), "parameters": size, "cpu_seconds": 0.0}
    for label, row in rows.items():
        gap = (means[label] - means["born"])[test]
        row |= {"minus_born": float(gap.mean()), "minus_born_se_of_rows": float(gap.std() / sqrt(len(gap)))}
    best = max(rows, key=lambda k: rows[k]["log_likelihood"])
    matched = [k for k in PRIORS if k != "bernoulli"]
    return {
        "n_train": len(train),
        "n_test": len(test),
        "codes_seen": int((counts > 0).sum()),
        "priors": rows,
        "best": best,
        "best_of_matched": max(matched, key=lambda k: rows[k]["log_likelihood"]),
    }


def measure(rounds: int, *, quick: bool) -> dict[str, Any]:
    """Return the tables of both sources of codes."""
    seeds, steps = (1, 3) if quick else (max(rounds, 5), STEPS)
    began = time.process_time()
    found = {
        "digits": judged(*digits_codes(steps=20 if quick else 500), seeds=seeds, steps=steps),
        "mnist crops": judged(*crop_codes(), seeds=seeds, steps=steps),
    }
    return {**found, "bits": BITS, "steps": steps, "lr": LR, "seeds": seeds, "cpu_seconds": time.process_time() - began}
