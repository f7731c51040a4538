"""Windows of the TimeGAN stock series: discriminative and predictive scores by that paper's protocol.

All windows of 24 steps train the generator, and as many samples as windows are judged, on the scale on which the
windows go from 0 to 1. Judge and pupil are those of ``senzai.evaluation.temporal``: a recurrent layer of half the
columns, 2000 and 5000 steps of 128 windows, Adam. Settings of the fit are what the kind proposes, but for a fixed
number of steps, since no window is held out; nothing was chosen by the scores. Published (Diffusion-TS, table 1):
TimeGAN .102 and .038, TimeVAE .145 and .039.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd
import torch

import senzai
from senzai.core.batch import only
from senzai.data import open_data
from senzai.evaluation.temporal import (
    JudgeSettings,
    autocorrelation_distance,
    discriminative_score,
    in_range,
    predictive_score,
    spectrum_distance,
)
from senzai.models import verbs

from .common import need_data

PUBLISHED = {"TimeGAN": {"discriminative": 0.102, "predictive": 0.038},
             "TimeVAE": {"discriminative": 0.145, "predictive": 0.039}}
STEPS, LAGS = 2000, 12
OPTIONS = {"window": 24, "validation": 0.0, "test": 0.0}


def measure(rounds: int = 3, *, steps: int = STEPS, quick: bool = False) -> dict[str, Any]:
    """Return the scores of each seed."""
    frame = pd.read_csv(need_data("timegan_stock/stock_data.csv"))
    course = {"steps": 20} if quick else {}
    found = []
    for seed in range(1 if quick else rounds):
        began = time.perf_counter()
        run = senzai.fit(frame, kind="series", seed=seed, steps=20 if quick else steps, schedule="one_cycle",
                         sampler="none" if quick else "mixture", **OPTIONS)
        fitted = time.perf_counter() - began
        data = open_data(frame, kind="series", options=OPTIONS)
        x = data.batch().tensor
        made = only(verbs.sample(run.samplers.apply_to(run.model), len(x), seed=seed)).float()
        real, new = in_range(x, made)
        judged = discriminative_score(real, new, JudgeSettings(seed=seed, **course))
        taught = predictive_score(real, new, JudgeSettings(seed=seed, **course))
        found.append({
            "seed": seed, "fit_seconds": fitted, "discriminative": judged.document(), "predictive": taught.document(),
            "autocorrelation_distance": autocorrelation_distance(x.double().numpy(), made.double().numpy(), LAGS),
            "spectrum_distance": spectrum_distance(x.double().numpy(), made.double().numpy()),
        })
        print(found[-1], flush=True)
    mean = {k: float(np.mean([f[k]["value"] for f in found])) for k in ("discriminative", "predictive")}
    return {"windows": len(x), "steps": steps, "seeds": found, "mean": mean, "published": PUBLISHED,
            "threads": torch.get_num_threads()}
