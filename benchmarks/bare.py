"""The same network and loss in a bare loop of torch calls: no library, no checks, no metrics, no noise to repeat.

It says how much of the time is the matrix products and updates that every implementation has to do.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


def rows_per_second(x: np.ndarray, *, epochs: int, batch_size: int = 100, lr: float = 1e-3) -> float:
    """Train 784-512-16 with Adam for some epochs; return rows per second."""
    data = torch.from_numpy(x).float()
    encoder = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 32))
    decoder = nn.Sequential(nn.Linear(16, 512), nn.ReLU(), nn.Linear(512, 784))
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=lr, fused=True)
    start = time.perf_counter()
    for _ in range(epochs):
        for index in torch.randperm(len(data)).split(batch_size):
            batch = data[index]
            loc, log_scale = encoder(batch).chunk(2, -1)
            logits = decoder(loc + torch.randn_like(loc) * log_scale.exp())
            distortion = F.binary_cross_entropy_with_logits(logits, batch, reduction="sum")
            rate = 0.5 * (loc.square() + (2 * log_scale).exp() - 1 - 2 * log_scale).sum()
            optimiser.zero_grad(set_to_none=True)
            ((distortion + rate) / len(batch)).backward()
            optimiser.step()
    return epochs * len(data) / (time.perf_counter() - start)


def table_step_ms(dataset: Any, batch: Any, *, batch_size: int, steps: int, lr: float = 1e-3) -> float:
    """Train a table VAE by hand: numbers standardised, codes looked up, a loss for each sort of column, holes masked.

    The widths are those of senzai's defaults for tables; counts are Poisson and steps categories, as one would write
    them. Returns milliseconds of processor time a step.
    """
    table = dataset.schema.table
    sorts, sizes = np.array(table.sorts), np.array(table.sizes)
    x = torch.nan_to_num(batch.x.float())
    seen = torch.ones_like(x) if batch.mask is None else batch.mask.float()
    coded = np.flatnonzero(np.isin(sorts, ["category", "binary", "steps"]))
    plain = np.flatnonzero(np.isin(sorts, ["normal", "student_t"]))
    counts = np.flatnonzero(sorts == "count")
    width = torch.tensor(np.maximum(sizes[coded], 2))
    start = torch.cat([torch.zeros(1, dtype=torch.long), width.cumsum(0)])
    real = torch.arange(int(width.max())) < width[:, None]
    numbers = torch.tensor(np.concatenate([plain, counts]))
    values = torch.cat([x[:, plain], torch.log1p(x[:, counts].clamp_min(0))], 1)
    values = (values - values.mean(0)) / values.std(0).clamp_min(1e-6)
    codes = x[:, coded].long().clamp_min(0).minimum(width - 1)
    n_out = 2 * len(plain) + len(counts) + int(start[-1])
    lookup = nn.EmbeddingBag(int(start[-1]), 256, mode="sum")
    first = nn.Linear(len(numbers) + x.shape[1], 256)
    encoder = nn.Sequential(nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 16))
    decoder = nn.Sequential(nn.Linear(8, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, n_out))
    parts = nn.ModuleList([lookup, first, encoder, decoder])
    optimiser = torch.optim.Adam(parts.parameters(), lr=lr, fused=True)
    places = torch.where(real, start[:-1, None] + torch.arange(real.shape[1]), 0)
    k, m = len(plain), len(counts)
    order: list[torch.Tensor] = []
    for i in range(steps + 1):
        if i == 1:
            began = time.process_time()  # the first step loads what torch loads lazily
        if not order:
            order = list(torch.randperm(len(x)).split(batch_size))
        rows = order.pop()
        v, c, s = values[rows], codes[rows], seen[rows]
        bag = lookup(c + start[:-1], per_sample_weights=s[:, coded])
        h = encoder(first(torch.cat([v * s[:, numbers], s], 1)) + bag)
        loc, log_scale = h.chunk(2, -1)
        out = decoder(loc + torch.randn_like(loc) * log_scale.exp())
        mean, spread, rate = out[:, :k], F.softplus(out[:, k : 2 * k]) + 0.1, out[:, 2 * k : 2 * k + m]
        normal = 0.5 * ((v[:, :k] - mean) / spread).square() + spread.log()
        poisson = rate.exp() - x[rows][:, counts] * rate
        logits = out[:, 2 * k + m :][:, places].masked_fill(~real, -1e30)
        category = F.cross_entropy(logits.flatten(0, 1), c.flatten(), reduction="none").view(c.shape)
        distortion = (normal * s[:, plain]).sum() + (poisson * s[:, counts]).sum() + (category * s[:, coded]).sum()
        kl = 0.5 * (loc.square() + (2 * log_scale).exp() - 1 - 2 * log_scale).sum()
        optimiser.zero_grad(set_to_none=True)
        ((distortion + kl) / len(rows)).backward()
        optimiser.step()
    return 1000 * (time.process_time() - began) / steps
