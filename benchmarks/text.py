"""Sentences: what a code is worth, beside the plain recipe with the same networks and the decoder without a code.

7,500 different sentences of SNLI's test file, drawn with a fixed seed: 6,000 train, 750 validate, 750 test. Settings of
``text-vae`` were chosen on validation rows. Nats are bounds for models with a code and exact for the
one without. Perplexities depend on the vocabulary: one more row has every word of the training sentences as a symbol
(``least=1``). ``speed`` has a training step beside a loop over the same layers written by hand, and the time to decode
1,000 sentences of up to 20 symbols.
"""

from __future__ import annotations

import csv
import random
import statistics
import time
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

import senzai
from senzai.models.modes import judging

from .common import need_data

SENTENCES = 7500
RECIPES = ("text-vae", "vae", "language-model", "text-vae, every word", "language-model, every word")
DRAWS = 100


def sentences() -> list[str]:
    """Return different sentences in a fixed random order."""
    with need_data("snli_test/test.tsv").open(encoding="utf-8", newline="") as file:
        found = sorted({text for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE) for text in row[:2]})
    random.Random(0).shuffle(found)
    return found[:SENTENCES]


def one(name: str, texts: list[str], seed: int, *, steps: int) -> dict[str, Any]:
    """Train once, and return what is measured on the test rows."""
    began = time.process_time()
    recipe, _, every = name.partition(", ")
    more: dict[str, Any] = {} if recipe == "language-model" else {"n_latent": 16, "sampler": "none"}
    more |= {"least": 1, "max_symbols": 10**5} if every else {}
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


class Hand(nn.Module):
    """The layers of ``text-vae`` at its defaults, written down once more: what a step costs without the library."""

    def __init__(self, n: int, n_latent: int = 16) -> None:
        super().__init__()
        self.seen, self.said = nn.Embedding(n, 128), nn.Embedding(n, 128)
        self.ways = nn.ModuleList(nn.GRU(128, 128, batch_first=True) for _ in range(2))
        self.head = nn.Linear(512, 2 * n_latent)
        self.first, self.net = nn.Linear(n_latent, 256), nn.GRU(128 + n_latent, 256, batch_first=True)
        self.out, self.skip, self.bag = nn.Linear(256, n), nn.Linear(n_latent, n, bias=False), nn.Linear(n_latent, n)

    def forward(self, x: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
        inside = torch.arange(x.shape[1]) < length[:, None]
        turn = torch.where(inside, length[:, None] - 1 - torch.arange(x.shape[1]), torch.arange(x.shape[1]))
        v = self.seen(x)
        ahead = self.ways[0](v)[0]
        back = self.ways[1](v.gather(1, turn[..., None].expand_as(v)))[0]
        h = torch.cat([ahead, back.gather(1, turn[..., None].expand_as(back))], -1)
        mean = (h * inside[..., None]).sum(1) / length[:, None]
        loc, scale = self.head(torch.cat([h.masked_fill(~inside[..., None], -1e9).amax(1), mean], -1)).chunk(2, -1)
        scale = F.softplus(scale) + 1e-4
        z = loc + scale * torch.randn_like(loc)
        before = self.said(torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1))
        told = torch.cat([before, z[:, None].expand(-1, x.shape[1], -1)], -1)
        states = self.net(told, torch.tanh(self.first(z))[None])[0][inside]
        rows = inside.nonzero()[:, 0]
        nll = F.cross_entropy(self.out(states) + self.skip(z)[rows], x[inside], reduction="sum")
        bag = -(self.bag(z).log_softmax(-1).gather(1, x) * inside).sum()
        rate = 0.5 * (loc**2 + scale**2 - 1 - 2 * scale.log()).sum(0).clamp_min(0.6 * len(x)).sum()
        return (nll + bag + rate) / len(x)


def speed(texts: list[str], *, quick: bool) -> dict[str, float]:
    """Return milliseconds of a step of either, in turns, and seconds to decode 1,000 sentences."""
    few, more = (2, 6) if quick else (20, 80)
    how: dict[str, Any] = {"n_latent": 16, "sampler": "none", "progress": False, "batch_size": 128, "max_tokens": 20}

    def ours(steps: int) -> tuple[float, Any]:
        began = time.process_time()
        run = senzai.fit(texts, steps=steps, validate_every=10**6, **how)
        return time.process_time() - began, run

    _, run = ours(few)
    batch = run.dataset(texts).batch()
    hand = Hand(run.schema.n_levels or 2)
    optimiser = torch.optim.AdamW(hand.parameters(), 3e-3, fused=True)
    each: dict[str, list[float]] = {"ours": [], "by_hand": []}
    for turn in range(1 if quick else 3):
        (short, _), (long, run) = ours(few), ours(more)
        each["ours"].append((long - short) / (more - few))
        began = time.process_time()
        for i in range(more):
            at = torch.randperm(len(batch), generator=torch.Generator().manual_seed(1000 * turn + i))[:128]
            some = batch.take(at)
            length = some.lengths
            loss = hand(some.tensor[:, : int(length.max())].long(), length)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        each["by_hand"].append((time.process_time() - began) / more)
    z = torch.randn(1000, 16)
    began = time.perf_counter()
    with judging(run.model), torch.no_grad():
        run.model.generate((z[None],)).mode  # noqa: B018 - what is timed
    seconds = time.perf_counter() - began
    a, b = (1000 * statistics.median(each[name]) for name in ("ours", "by_hand"))
    return {"ms_a_step": a, "ms_a_step_by_hand": b, "ratio": a / b, "seconds_to_decode_1000": seconds}


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
    return {
        "sentences": len(texts), "seeds": rounds, "draws": DRAWS, "speed": speed(texts, quick=quick), "recipes": found,
    }
