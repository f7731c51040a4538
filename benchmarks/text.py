"""Sentences: what a code is worth, beside the plain recipe with the same networks and the decoder without a code.

7,500 different sentences of SNLI's test file, drawn with a fixed seed: 6,000 train, 750 validate, 750 test. Settings of
``text-vae`` were chosen on validation rows. Nats are bounds for models with a code and exact for the
one without.
"""

from __future__ import annotations

import csv
import random
import statistics
import time
from typing import Any

import senzai

from .common import need_data

SENTENCES = 7500
RECIPES = ("text-vae", "vae", "language-model")
DRAWS = 100


def sentences() -> list[str]:
    """Return different sentences in a fixed random order."""
    with need_data("snli_test/test.tsv").open(encoding="utf-8", newline="") as file:
        found = sorted({text for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE) for text in row[:2]})
    random.Random(0).shuffle(found)
    return found[:SENTENCES]


def one(recipe: str, texts: list[str], seed: int, *, steps: int) -> dict[str, Any]:
    """Train once, and return what is measured on the test rows."""
    began = time.process_time()
    more = {} if recipe == "language-model" else {"n_latent": 16, "sampler": "none"}
    run = senzai.fit(texts, recipe=recipe, steps=steps, lr=3e-3, seed=seed, split_seed=0, progress=False, **more)
    seconds = time.process_time() - began
    found = run.evaluate(texts, k=DRAWS, also=["code_use"])
    measured = found["measured"]
    symbols, use = measured.get("symbols", {}), measured.get("code_use", {})
    began = time.perf_counter()
    run.sample(1000, seed=0)
    return {
        "processor_seconds": seconds, "rate": found.get("rate"), "active_units": found.get("active_units"),
        "nats_per_symbol": found["nats_per_step"],
        "elbo_per_symbol": found.get("elbo_per_step"),
        "recovered": symbols.get("recovered", {}).get("value"),
        "recovered_in_place": symbols.get("recovered_in_place", {}).get("value"),
        "exchanged_codes": use.get("exchanged_codes", {}).get("value"),
        "seconds_for_1000_samples": time.perf_counter() - began,
        "samples": run.sample(5, seed=1),
    }


def measure(rounds: int, *, quick: bool = False) -> dict[str, Any]:
    """Return medians over seeds, by recipe."""
    texts = sentences()[: 300 if quick else SENTENCES]
    found: dict[str, Any] = {}
    for recipe in RECIPES:
        runs = [one(recipe, texts, seed, steps=10 if quick else 560) for seed in range(1 if quick else rounds)]
        numbers = [name for name, value in runs[0].items() if isinstance(value, int | float)]
        found[recipe] = {
            "median": {name: statistics.median(r[name] for r in runs) for name in numbers},
            "lowest": {name: min(r[name] for r in runs) for name in numbers},
            "highest": {name: max(r[name] for r in runs) for name in numbers},
            "samples": runs[0]["samples"],
        }
        print(recipe, found[recipe]["median"], flush=True)
    return {"sentences": len(texts), "seeds": rounds, "draws": DRAWS, "recipes": found}
