"""CIFAR-10, bits per dimension of a VQ-VAE with the prior over its codes, in a budget of seconds.

Published: 4.67 bits per dimension for VQ-VAE and 4.51 for a VAE of the same capacity, lower bounds, after 250,000 steps
on all 50,000 images on a GPU (van den Oord et al., 2017, section 4.1). Here: 9,500 images, the time given, two cores.
The number says how far this gets, not how good the method is.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np
import torch

from senzai.runs import fit
from senzai.training.events import Event, Progressed
from senzai.training.loop import Training

from ..common import need_data
from . import Row

SECONDS = 600.0
PUBLISHED = {"vq-vae": 4.67, "vae": 4.51}
SETTINGS: dict[str, Any] = {
    "network": "conv", "n_stages": 1, "width": 32, "residual": True, "code_prior.width": 128,
    "code_prior.n_layers": 3, "batch_size": 64, "lr": 1e-3, "ema": 0.999, "schedule": "constant",
    "likelihood": "discretised_logistic_mixture", "log_every": 20, "sampler": "none",
}
"""A grid of 8 x 8 codes; widths are what two cores can train in ten minutes."""


class Deadline:
    """Stops training when its time is over."""

    def __init__(self, seconds: float) -> None:
        self.end = time.perf_counter() + seconds

    def on(self, event: Event, training: Training) -> None:
        """Look at the clock at every progress."""
        if isinstance(event, Progressed) and time.perf_counter() > self.end:
            training.stop_early = True


def reproduce(recipe: str, budget: float = 1.0, quick: bool = False, *, seed: int = 0) -> dict[str, Any]:
    """Train for ``budget`` times ten minutes (a few seconds if ``quick``), then score test images."""
    with np.load(need_data("cifar10/cifar10_10k.npz")) as z:
        train, test = z["x_train"], z["x_test"]
    seconds = 5.0 if quick else SECONDS * budget
    chosen = {**SETTINGS, "validate_every": 100_000}
    if quick:
        train, test = train[:400], test[:20]
        chosen |= {"width": 8, "code_prior.width": 16, "code_prior.n_layers": 1, "log_every": 1}
    if recipe == "vq-vae":
        chosen |= {"code_dim": 16, "quantiser.n_codes": 512}
    start = time.perf_counter()
    run = fit(
        train, recipe=recipe, validation=0.05, test=0.0, seed=seed, steps=1_000_000, progress=True,
        listeners=[Deadline(seconds)], **chosen,
    )
    found = run.evaluate(test, k=1, split="all")
    parts = ("bits_per_dim", "bits_per_dim_se", "distortion", "rate", "code_perplexity", "codes_used", "code_bits",
             "code_bits_uniform", "n_places", "n_codes", "n")
    uniform = (found["distortion"] / np.log(2) + found["code_bits_uniform"]) / test[0].size
    return {
        "row": f"CIFAR-10, {recipe}", "value": found["bits_per_dim"], "standard_error": found["bits_per_dim_se"],
        "unit": "bits per dimension, a bound", "better": "lower",
        "protocol": "CIFAR-10, 8-bit; discretised logistic mixture; the bound distortion - log p(codes) of "
        "test images under the transformer over the codes, which learns in the same run",
        "differs": "10,000 of 50,000 training images (500 of them for validation), 1,000 of 10,000 test images, "
        "another network, 8 x 8 codes, a budget of seconds in place of 250,000 steps; bits_per_dim counts codes under "
        "the learned prior, bits_per_dim_uniform_prior as if all were alike",
        "recipe": recipe, "settings": chosen, "seed": seed, "budget_seconds": seconds,
        "steps": run.metrics["fit"]["steps"], "parameters": sum(p.numel() for p in run.model.parameters()),
        "train_seconds": run.metrics["fit"]["seconds"], "train_and_score_seconds": time.perf_counter() - start,
        "threads": torch.get_num_threads(),
        **{name: found[name] for name in parts}, "bits_per_dim_uniform_prior": float(uniform),
        "published": PUBLISHED["vq-vae"], "published_vae": PUBLISHED["vae"],
        "source": "van den Oord et al., Neural Discrete Representation Learning, 2017, https://arxiv.org/abs/1711.00937",
        "difference": found["bits_per_dim"] - PUBLISHED["vq-vae"],
    }


ROWS = {
    f"{recipe}-cifar10": Row(f"CIFAR-10 bits per dimension of {recipe} in ten minutes", partial(reproduce, recipe))
    for recipe in ("vq-vae", "fsq-vae")
}
