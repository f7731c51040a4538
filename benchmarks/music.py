"""Two-bar melodies of POP909: notes that come back, shown the notes before and from the code alone; ways between rows.

The track MELODY of 909 songs, read in 4/4, windows of two bars; a song is in one part of the split (rows of 725 train,
92 validate, 92 are the test, about). Nothing was chosen on test rows. A *symbol* is what stands at a sixteenth: a pitch
that begins, a hold or a rest. A *note* is one of them that begins.

Ways between two rows are compared with a crossfade of symbols between the same ends, which takes each symbol from the
other end with the probability of the place. Two numbers say how smooth they are: ``step``, the mean over ways of the
largest share of symbols that change between two neighbours, and ``cost``, by how many nats a symbol the rows in between
are less likely than the ends, under a language of trigrams learned from the training rows, which no model has seen.
``ordered`` is a crossfade whose symbols change once each.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from typing import Any

import numpy as np
import torch

from senzai.core.random import Noise
from senzai.data.symbols import END
from senzai.distributions.tokens import before_the_end
from senzai.models import verbs
from senzai.models.modes import judging

from .common import kept_run, need_data

OPTIONS = {"melody": "MELODY", "meter": "4/4"}
SETTINGS: dict[str, Any] = {
    "n_latent": 64, "steps": 10_000, "lr": 2e-3, "batch_size": 64, "schedule": "cosine", "sampler": "none",
    "likelihood.width": 160, "likelihood.embedding": 64, "encoder.width": 96, "encoder.embedding": 64,
}
ROWS, WAYS, PLACES = 1000, 100, 9
FIRST = 4
"""The lowest symbol of a note that begins."""


def taught(model: Any, rows: Any) -> torch.Tensor:
    """Return the likeliest symbol at each step, shown the right ones before it."""
    with judging(model), torch.no_grad():
        (z,) = verbs.encode(model, rows)
        x = rows.tensor.long()
        network = model.likelihood.network
        before = torch.cat([x.new_full((len(x), 1), END), x[:, :-1]], 1)
        states = network.states(before, z)
        context = z.unsqueeze(1).expand(-1, x.shape[1], -1)
        return network.logits(states.flatten(0, 1), context.flatten(0, 1)).argmax(-1).view(x.shape)


def right(made: torch.Tensor, rows: torch.Tensor) -> dict[str, float]:
    """Return the share of symbols that are right, and of the notes that begin."""
    x = rows.long()
    inside, same = before_the_end(x) & (x != END), made.long() == x
    notes = inside & (x >= FIRST)
    return {"symbols": float(same[inside].float().mean()), "notes": float(same[notes].float().mean())}


class Trigrams:
    """Symbols after the two before them, mixed with those after one and with all of them.

    Args:
        rows: Symbols ``(N, T)``.
    """

    def __init__(self, rows: torch.Tensor) -> None:
        self.counts: list[Counter[tuple[int, ...]]] = [Counter(), Counter(), Counter()]
        self.before: list[Counter[tuple[int, ...]]] = [Counter(), Counter(), Counter()]
        for row in rows.long().tolist():
            for t in range(2, len(row)):
                for k in range(3):
                    self.counts[k][tuple(row[t - k : t + 1])] += 1
                    self.before[k][tuple(row[t - k : t])] += 1

    def cost(self, rows: torch.Tensor) -> float:
        """Return nats a symbol."""
        total, n = 0.0, 0
        for row in rows.long().tolist():
            for t in range(2, len(row)):
                p = 1e-4
                for k, share in enumerate((0.1, 0.3, 0.6)):
                    seen = self.before[k][tuple(row[t - k : t])]
                    p += share * self.counts[k][tuple(row[t - k : t + 1])] / seen if seen else 0.0
                total, n = total - math.log(p), n + 1
        return total / n


def largest_steps(ways: torch.Tensor) -> float:
    """Return the mean over ways ``(N, K, T)`` of the largest share of symbols that change between two neighbours."""
    changed = (ways[:, 1:] != ways[:, :-1]).float().mean(-1)
    return float(changed.max(1).values.mean())


def smoothness(model: Any, rows: Any, known: Trigrams, seed: int) -> dict[str, Any]:
    """Return how smooth ways through the latent space are, and crossfades between the same ends."""
    (z,) = verbs.encode(model, rows)
    a, b = z[: len(z) // 2], z[len(z) // 2 :]
    share = torch.linspace(0, 1, PLACES).view(1, -1, 1)
    with judging(model):
        made = verbs.decode(model, ((a.unsqueeze(1) * (1 - share) + b.unsqueeze(1) * share).flatten(0, 1),))
    ways = torch.as_tensor(np.asarray(made)).view(len(a), PLACES, -1)
    own = Noise.seeded(seed)
    u = own.uniform((len(a), PLACES, ways.shape[-1]), device=torch.device("cpu"))
    faded = torch.where(u < share, ways[:, -1:], ways[:, :1])
    faded[:, 0], faded[:, -1] = ways[:, 0], ways[:, -1]
    held = torch.rand(len(a), 1, ways.shape[-1], generator=torch.Generator().manual_seed(seed))
    once = torch.where(held < share, ways[:, -1:], ways[:, :1])
    once[:, 0], once[:, -1] = ways[:, 0], ways[:, -1]
    ends = known.cost(ways[:, [0, -1]].flatten(0, 1))
    return {
        name: {"step": largest_steps(way), "cost": known.cost(way[:, 1:-1].flatten(0, 1)) - ends}
        for name, way in (("latent", ways), ("crossfade", faded), ("ordered", once))
    }


def trained(data: Any, seed: int, **settings: Any) -> Any:
    """Return a run; with ``SENZAI_RUNS`` set, that of an earlier start, gone on with if it was stopped."""
    given = {**OPTIONS, **SETTINGS, **settings, "kind": "music", "seed": seed, "split_seed": 0, "progress": False}
    return kept_run(f"music-{seed}", data, given)


def one(data: Any, seed: int, *, part: str = "test", **settings: Any) -> dict[str, Any]:
    """Train once, and return what is measured on rows of a part."""
    run = trained(data, seed, **settings)
    dataset = run.dataset(data)
    parts = dataset.split_indices()
    index, known = parts[part], Trigrams(dataset.batch(parts["train"]).tensor)
    rows = dataset.batch(index[np.random.default_rng(0).permutation(len(index))[:ROWS]])
    made = torch.as_tensor(np.asarray(verbs.reconstruct(run.model, rows)))
    found = run.evaluate(data, k=10, split="validation" if part == "validation" else "test")
    return {
        "minutes": run.metrics["fit"]["seconds"] / 60, "rate": found["rate"], "elbo": found["elbo"],
        "active_units": found["active_units"], "taught": right(taught(run.model, rows), rows.tensor),
        "free": right(made, rows.tensor), "ways": smoothness(run.model, rows.take(slice(0, 2 * WAYS)), known, seed),
    }


def measure(rounds: int, *, quick: bool = False) -> dict[str, Any]:
    """Return medians over seeds."""
    data = str(need_data("pop909/pop909_midi.tar.gz"))
    runs = []
    for seed in range(1 if quick else rounds):
        runs.append(one(data, seed, **({"steps": 20} if quick else {})))
        print(runs[-1], flush=True)

    def median(*names: str) -> float:
        values: list[Any] = runs
        for name in names:
            values = [v[name] for v in values]
        return statistics.median(values)

    return {
        "protocol": __doc__, "options": OPTIONS, "settings": SETTINGS, "seeds": len(runs), "runs": runs,
        "median": {
            **{name: median(name) for name in ("minutes", "rate", "active_units")},
            **{f"{how}_{what}": median(how, what) for how in ("taught", "free") for what in ("symbols", "notes")},
            **{f"{way}_{what}": median("ways", way, what) for way in ("latent", "crossfade", "ordered")
               for what in ("step", "cost")},
        },
    }
