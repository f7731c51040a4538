"""Five families of generators on digits, the numbers of Adult and a ring of 25 normals: `senzai families`, three seeds.

Each data set has so many minutes for everything: five families, three seeds and a run at ten times the learning rate.
What it took in fact is in the file, and so is how far the likelihoods of the ring lie from its known density.
"""

from __future__ import annotations

import time
from typing import Any

import torch

from senzai.runs.families import compare_families

from .common import need_data

MINUTES = {"ring": 5.0, "digits": 2.0, "adult": 2.0}


def adult() -> Any:
    """Return the numeric columns of Adult's training rows."""
    import pandas as pd

    frame = pd.read_csv(need_data("adult/adult.data"), header=None, skipinitialspace=True)
    numeric = frame.select_dtypes("number")
    return numeric.set_axis([f"number {c}" for c in numeric.columns], axis=1)


def measure(*, sets: list[str] | None = None, quick: bool = False) -> dict[str, Any]:
    """Compare the families on each set."""
    torch.set_num_threads(1)
    found: dict[str, Any] = {"what": (__doc__ or "").strip(), "sets": {}}
    for name in sets or list(MINUTES):
        minutes, began = (0.05 if quick else MINUTES[name]), time.perf_counter()
        data = adult() if name == "adult" else name
        one = compare_families(
            data, minutes=minutes, seeds=1 if quick else 3, announce=lambda said: print(said, flush=True)
        )
        one["seconds_in_fact"] = time.perf_counter() - began
        one["within_its_budget"] = one["seconds_in_fact"] <= 60 * minutes
        if one["floor"].get("log_likelihood") is not None:
            one["nats_below_the_truth"] = below_the_truth(one)
        found["sets"][name] = one
        print(name, one["seconds_in_fact"], one.get("nats_below_the_truth"), flush=True)
    return found


def below_the_truth(one: dict[str, Any]) -> dict[str, float]:
    """Return how far the mean log-likelihood of held-out points lies below that of the density they came from."""
    truth = one["floor"]["log_likelihood"]
    each = {name: family["summary"].get("likelihood", {}).get("value") for name, family in one["families"].items()}
    return {name: truth - value for name, value in each.items() if value is not None}
