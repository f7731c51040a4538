"""Features of windows of series that are learned without labels, for distances between sets of windows."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import InputError
from ..core.local_random import locally_seeded
from ..core.random import derive
from ..nn.inputs import as_float
from ..nn.products import Linear
from .features import Features, fit_network, need_rows

WIDTH = 32
DILATIONS = (1, 2, 4)


@final
class WindowEncoder(nn.Module):
    """Dilated convolutions along time, and the mean and the largest of each channel over the steps.

    Args:
        columns: Columns of a window.
        n: Features, an even number.

    Example:
        >>> WindowEncoder(3, 8)(torch.zeros(5, 24, 3)).shape
        torch.Size([5, 8])
    """

    def __init__(self, columns: int, n: int) -> None:
        super().__init__()
        widths = (columns, *(WIDTH for _ in DILATIONS[:-1]), n // 2)
        self.layers = nn.ModuleList(
            nn.Conv1d(a, b, 3, padding=d, dilation=d) for a, b, d in zip(widths, widths[1:], DILATIONS, strict=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features ``(N, n)`` of windows ``(N, steps, columns)``."""
        h = x.transpose(1, 2)
        for i, layer in enumerate(self.layers):
            h = layer(h if i == 0 else F.relu(h))
        return torch.cat([h.mean(2), h.amax(2)], 1)


def contrastive_features(
    train: Tensor, n: int = 64, *, seed: int = 0, steps: int = 300, batch_size: int = 64, noise: float = 0.2,
    hidden: float = 0.2, temperature: float = 0.2
) -> Features:
    r"""Features of a self-supervised encoder of windows: it learned to tell which two views are of one window.

    .. math:: -\log \frac{\exp(u_i^\top v_i / \tau)}{\sum_j \exp(u_i^\top v_j / \tau)}

    A view is a window with noise, steps that are hidden, and another scale; u and v are unit vectors made of the
    features of two views. What survives all that, shape along time above all, is what the features hold.

    Reference:
        A simple framework for contrastive learning of visual representations (Chen et al., 2020).
        https://arxiv.org/abs/2002.05709

    Args:
        train: Training windows, ``(N, steps, columns)``.
        n: Features, an even number.
        seed: Seed of weights and views.
        steps: Steps of training.
        batch_size: Windows of a step.
        noise: Standard deviation of the noise of a view, in those of the column.
        hidden: Share of the steps that a view hides.
        temperature: Divides the products.

    Raises:
        InputError: These are no windows, or fewer than two.
    """
    if train.ndim != 3:
        raise InputError(
            f"Contrastive features are of windows (N, steps, columns), but got {tuple(train.shape)}. Use pca or random."
        )
    x = as_float(train)
    need_rows(len(x), 2)
    middle = x.mean((0, 1))
    spread = (x - middle).square().mean((0, 1)).sqrt()
    spread = torch.where(spread > 0, spread, torch.ones_like(spread))
    with locally_seeded(derive(seed, "contrastive features")):
        body, head = WindowEncoder(x.shape[2], n), Linear(n, WIDTH)

        def view(rows: Tensor) -> Tensor:
            scale = 1 + 0.2 * torch.randn(len(rows), 1, 1)
            shown = (torch.rand(*rows.shape[:2], 1) >= hidden).float()
            found = body(shown * (scale * rows + noise * torch.randn_like(rows)))
            return F.normalize(head(F.relu(found)), dim=1)

        def loss(rows: Tensor, _: Tensor) -> Tensor:
            z = (rows - middle) / spread
            return F.cross_entropy(view(z) @ view(z).T / temperature, torch.arange(len(rows)))

        fit_network([body, head], x, loss, steps, batch_size)
    body.eval()
    return Features(f"contrastive-{n}", lambda rows: body((rows - middle) / spread))
