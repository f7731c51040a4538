"""The same networks and losses in bare loops of torch calls: no library, no checks, no metrics, no noise to repeat.

They say how much of the time is the matrix products and updates that every implementation has to do. Each loop is an
iterator that takes one step at a time, so that turns of it can alternate with turns of another.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

FAR = 1e30
"""A cut point that no logistic variable reaches."""


def rows_per_second(x: np.ndarray, *, epochs: int, batch_size: int = 100, lr: float = 1e-3) -> float:
    """Train 784-512-16 with Adam for some epochs; return rows per second."""
    steps = bit_steps(torch.from_numpy(x).float(), batch_size=batch_size, lr=lr)
    n = epochs * -(-len(x) // batch_size)
    start = time.perf_counter()
    for _ in range(n):
        next(steps)
    return epochs * len(x) / (time.perf_counter() - start)


def orders(n: int, batch_size: int) -> Iterator[Tensor]:
    """Yield the rows of one batch after another, in a new order every epoch."""
    while True:
        yield from torch.randperm(n).split(batch_size)


def drawn(h: Tensor) -> tuple[Tensor, Tensor]:
    """Return latents and the sum of their rates."""
    loc, log_scale = h.chunk(2, -1)
    rate = 0.5 * (loc.square() + (2 * log_scale).exp() - 1 - 2 * log_scale).sum()
    return loc + torch.randn_like(loc) * log_scale.exp(), rate


def bit_steps(
    data: Tensor, *, batch_size: int, hidden: int = 512, n_latent: int = 16, lr: float = 1e-3
) -> Iterator[None]:
    """Train a VAE of bits with one hidden layer on each side, Adam and the closed-form rate."""
    encoder = nn.Sequential(nn.Linear(data.shape[1], hidden), nn.ReLU(), nn.Linear(hidden, 2 * n_latent))
    decoder = nn.Sequential(nn.Linear(n_latent, hidden), nn.ReLU(), nn.Linear(hidden, data.shape[1]))
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=lr, fused=True)
    for index in orders(len(data), batch_size):
        batch = data[index]
        z, rate = drawn(encoder(batch))
        distortion = F.binary_cross_entropy_with_logits(decoder(z), batch, reduction="sum")
        optimiser.zero_grad(set_to_none=True)
        ((distortion + rate) / len(batch)).backward()
        optimiser.step()
        yield


class Columns:
    """A table cut up for a loop by hand: numbers standardised, codes of one padded width, cut points looked up.

    Args:
        family: Sorts of columns, sizes, cut points and spikes.
        batch: All rows.
    """

    def __init__(self, family: Any, batch: Any) -> None:
        sorts, sizes = np.array(family.sorts), np.array(family.sizes)
        self.place = {k: np.flatnonzero(sorts == k) for k in ("normal", "student_t", "steps", "count")}
        self.n = {k: len(v) for k, v in self.place.items()}
        self.coded = np.flatnonzero(np.isin(sorts, ["category", "binary"]))
        self.x = torch.nan_to_num(batch.x.float())
        self.seen = torch.ones_like(self.x) if batch.mask is None else batch.mask.float()
        width = torch.tensor(np.maximum(sizes[self.coded], 2))
        self.first = torch.cat([torch.zeros(1, dtype=torch.long), width.cumsum(0)])
        self.real = torch.arange(int(width.max()) if len(width) else 0) < width[:, None]
        self.places = torch.where(self.real, self.first[:-1, None] + torch.arange(self.real.shape[1]), 0)
        self.codes = self.x[:, self.coded].long().clamp_min(0).minimum(width - 1)
        self._prepare(family.cuts)
        spikes = [family.spikes[i] if family.spikes else None for i in self.numbers.tolist()]
        self.spiked = torch.tensor([i for i, v in enumerate(spikes) if v is not None], dtype=torch.long)
        self.spike = torch.tensor([v for v in spikes if v is not None])
        self.whole = self.spiked >= self.n["normal"] + self.n["student_t"]
        self.there = (self.x[:, self.numbers[self.spiked]] - self.spike).abs() < 1e-4

    def _prepare(self, cuts: Any) -> None:
        steps = self.x[:, self.place["steps"]].long().clamp_min(0)
        longest, rows = max((len(c) for c in cuts), default=0), torch.arange(len(cuts))
        ends = torch.tensor([[-FAR, *c, *[FAR] * (1 + longest - len(c))] for c in cuts]).reshape(len(cuts), longest + 2)
        self.below, self.above = ends[rows, steps], ends[rows, steps + 1]
        middle = (torch.sigmoid(self.below) + torch.sigmoid(self.above)) / 2
        kinds = [self.x[:, self.place[k]] for k in ("normal", "student_t")]
        counts = torch.log1p(self.x[:, self.place["count"]].clamp_min(0))
        v = torch.cat([*kinds, torch.logit(middle, eps=1e-6), counts], 1)
        self.numbers = torch.tensor(np.concatenate(list(self.place.values())))
        self.values = (v - v.mean(0)) / v.std(0).clamp_min(1e-6) * self.seen[:, self.numbers]

    @property
    def n_out(self) -> int:
        """How many numbers the decoder gives."""
        return 2 * len(self.numbers) + self.n["student_t"] + len(self.spiked) + int(self.first[-1])

    def distortion(self, out: Tensor, rows: Tensor) -> Tensor:
        """Return the sum of all columns' losses over what was seen."""
        m, seen = len(self.numbers), self.seen[rows]
        t, g = 2 * m + self.n["student_t"], len(self.spiked)
        loss = self.of_numbers(out[:, :m], out[:, m : 2 * m], out[:, 2 * m : t], rows)
        if g:
            gate, inner = out[:, t : t + g], loss[:, self.spiked]
            rest = inner - F.logsigmoid(-gate)
            own = -F.logsigmoid(gate)
            there = torch.where(self.whole, -torch.logaddexp(-own, -rest), own)
            loss = loss.index_copy(1, self.spiked, torch.where(self.there[rows], there, rest))
        total = (loss * seen[:, self.numbers]).sum()
        if len(self.coded):
            logits = out[:, t + g :][:, self.places].masked_fill(~self.real, -FAR)
            codes = self.codes[rows]
            loss = F.cross_entropy(logits.flatten(0, 1), codes.flatten(), reduction="none").view(codes.shape)
            total = total + (loss * seen[:, self.coded]).sum()
        return total

    def of_numbers(self, a: Tensor, b: Tensor, c: Tensor, rows: Tensor) -> Tensor:
        """Return the loss of each column of numbers, steps and counts."""
        x, scale = self.x[rows][:, self.numbers], F.softplus(b) + 0.1
        losses, at = [], 0
        for kind, n in self.n.items():
            v, loc, s = (t[:, at : at + n] for t in (x, a, scale))
            if n and kind == "normal":
                losses.append(0.5 * ((v - loc) / s).square() + s.log() + 0.9189385)
            elif n and kind == "student_t":
                df = F.softplus(c) + 2.0
                tail = 0.5 * (df + 1) * torch.log1p(((v - loc) / s).square() / df)
                constant = torch.lgamma(0.5 * df) - torch.lgamma(0.5 * (df + 1)) + 0.5 * (3.1415927 * df).log()
                losses.append(tail + s.log() + constant)
            elif n and kind == "steps":
                up, low = (self.above[rows] - loc) / s, (self.below[rows] - loc) / s
                losses.append(-F.logsigmoid(up) - F.logsigmoid(-low) - torch.log(-torch.expm1(low - up)))
            elif n:
                r = b[:, at : at + n].exp()
                gammas = torch.lgamma(r + v) - torch.lgamma(r) - torch.lgamma(v + 1)
                losses.append((r + v) * torch.log(r + loc.exp()) - gammas - r * r.log() - v * loc)
            at += n
        return torch.cat(losses, 1)


def table_steps(
    family: Any, batch: Any, *, batch_size: int, hidden: tuple[int, int] = (256, 256), n_latent: int = 8,
    lr: float = 1e-3,
) -> Iterator[None]:
    """Train a VAE of a table by hand: a loss for each sort of column, holes masked, the densities that senzai has.

    Numbers are normal or Student's t, counts negative binomial, steps a logistic variable between cut points that were
    looked up once, codes a softmax of one padded width, all in single precision and without care for extremes.
    """
    table = Columns(family, batch)
    wide, deep = hidden
    lookup = nn.EmbeddingBag(max(1, int(table.first[-1])), wide, mode="sum")
    first = nn.Linear(table.values.shape[1] + table.x.shape[1], wide)
    encoder = nn.Sequential(nn.ReLU(), nn.Linear(wide, deep), nn.ReLU(), nn.Linear(deep, 2 * n_latent))
    decoder = nn.Sequential(
        nn.Linear(n_latent, deep), nn.ReLU(), nn.Linear(deep, wide), nn.ReLU(), nn.Linear(wide, table.n_out)
    )
    parts = nn.ModuleList([lookup, first, encoder, decoder])
    optimiser = torch.optim.Adam(parts.parameters(), lr=lr, fused=True)
    for rows in orders(len(table.x), batch_size):
        s = table.seen[rows]
        h = first(torch.cat([table.values[rows], s], 1))
        if len(table.coded):
            h = h + lookup(table.codes[rows] + table.first[:-1], per_sample_weights=s[:, table.coded])
        z, rate = drawn(encoder(h))
        optimiser.zero_grad(set_to_none=True)
        ((table.distortion(decoder(z), rows) + rate) / len(rows)).backward()
        optimiser.step()
        yield
