"""The same network and loss in a bare loop of torch calls: no library, no checks, no metrics, no noise to repeat.

It says how much of the time is the matrix products and updates that every implementation has to do.
"""

from __future__ import annotations

import time

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
