"""Features: numbers of a row in which sets of rows are compared; each has a name that goes with every result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..core.errors import InputError
from ..core.local_random import locally_seeded
from ..core.random import derive
from ..nn.inputs import as_float
from ..nn.products import Linear
from .results import Floats

ROWS = 1024


@dataclass(frozen=True)
class Features:
    """A named map from rows to feature vectors.

    Args:
        name: What every number made with these features is labelled with.
        read: Takes rows ``(N, *event)``, gives ``(N, n_features)``.

    Example:
        >>> user = Features("my-network", lambda x: x.flatten(1))
        >>> user(torch.zeros(3, 1, 4, 4)).shape
        (3, 16)
    """

    name: str
    read: Callable[[Tensor], Tensor]

    def __call__(self, x: Tensor) -> Floats:
        """Return the features of rows, in pieces, in float64."""
        with torch.no_grad():
            pieces = [self.read(as_float(x[i : i + ROWS])).double() for i in range(0, len(x), ROWS)]
        return torch.cat(pieces).cpu().numpy()


def raw_features() -> Features:
    """The entries themselves."""
    return Features("entries", lambda x: x.flatten(1))


def pca_features(train: Tensor, n: int = 64) -> Features:
    """Principal components of the training rows, not whitened; ``n`` of them where there are so many.

    Args:
        train: Training rows, ``(N, *event)``, two at least.
        n: Components.
    """
    x = as_float(train).flatten(1).double()
    need_rows(len(x), 2)
    mean = x.mean(0)
    kept = min(n, x.shape[1], len(x) - 1)
    centred = x - mean
    if len(x) > x.shape[1]:
        vectors = torch.linalg.eigh(centred.T @ centred).eigenvectors.flip(1)[:, :kept]
    else:
        vectors = torch.linalg.svd(centred, full_matrices=False).Vh[:kept].T
    return Features(f"pca-{kept}", lambda rows: (rows.flatten(1).double() - mean) @ vectors)


def random_features(event: tuple[int, ...], n: int = 64, *, seed: int = 0) -> Features:
    """Features of a network that was never trained: convolutions for pictures, else dense layers.

    Reference:
        An empirical study on evaluation metrics of generative adversarial networks (Xu et al., 2018).
        https://arxiv.org/abs/1806.07755
    """
    with locally_seeded(derive(seed, "random features")):
        network = backbone(event, n).eval()
    return Features(f"random-{n}", network)


def classifier_features(
    train: Tensor, labels: Tensor, n: int = 64, *, seed: int = 0, steps: int = 400, batch_size: int = 128
) -> Features:
    """Features of a classifier trained on labelled training rows: its last hidden layer.

    Args:
        train: Training rows.
        labels: Class of each.
        n: Features.
        seed: Seed of weights and batches.
        steps: Steps of training.
        batch_size: Rows of a step.

    Raises:
        InputError: Fewer than two classes.
    """
    classes, y = torch.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise InputError(f"A classifier needs two classes, but got {len(classes)}. Use PCA or random features.")
    with locally_seeded(derive(seed, "classifier features")):
        body, head = backbone(tuple(train.shape[1:]), n), Linear(n, len(classes))

        def loss(x: Tensor, rows: Tensor) -> Tensor:
            return F.cross_entropy(head(F.relu(body(x))), y[rows])

        fit_network([body, head], train, loss, steps, batch_size)
    return Features(f"classifier-{n}", body.eval())


def denoising_features(
    train: Tensor, n: int = 64, *, seed: int = 0, steps: int = 400, batch_size: int = 128, noise: float = 0.5
) -> Features:
    """Features of a self-supervised encoder: it learned to restore training rows from noisy ones.

    Reference:
        Extracting and composing robust features with denoising autoencoders (Vincent et al., 2008).
        https://doi.org/10.1145/1390156.1390294

    Args:
        train: Training rows.
        n: Features.
        seed: Seed of weights, noise and batches.
        steps: Steps of training.
        batch_size: Rows of a step.
        noise: Standard deviation of the noise, in those of the data.
    """
    x = as_float(train)
    need_rows(len(x), 2)
    width = prod(x.shape[1:])
    spread = x.std() if x.std() > 0 else x.new_ones(())
    with locally_seeded(derive(seed, "denoising features")):
        body, head = backbone(tuple(x.shape[1:]), n), nn.Sequential(nn.ReLU(), Linear(n, width))

        def loss(rows: Tensor, _: Tensor) -> Tensor:
            restored = head(body(rows + noise * spread * torch.randn_like(rows)))
            return F.mse_loss(restored, rows.flatten(1)) / spread.square()

        fit_network([body, head], x, loss, steps, batch_size)
    return Features(f"denoising-{n}", body.eval())


def need_rows(n: int, least: int) -> None:
    """Refuse too few rows.

    Raises:
        InputError: There are fewer than ``least``.
    """
    if n < least:
        raise InputError(f"At least {least} rows are needed, but got {n}. Give more.")


def backbone(event: tuple[int, ...], n: int) -> nn.Module:
    """A small network from rows to ``n`` numbers: three strided convolutions for pictures, else two dense layers."""
    if len(event) == 3 and min(event[1:]) >= 8:
        sizes = (event[0], 32, 64, 64)
        layers: list[nn.Module] = []
        for a, b in pairwise(sizes):
            layers += [nn.Conv2d(a, b, 3, stride=2, padding=1), nn.ReLU()]
        left = prod(-(-s // 8) for s in event[1:])  # halved three times, upwards
        return nn.Sequential(*layers, nn.Flatten(), Linear(sizes[-1] * left, n))
    return nn.Sequential(nn.Flatten(), Linear(prod(event), 256), nn.ReLU(), Linear(256, n))


def fit_network(
    parts: list[nn.Module], x: Tensor, loss: Callable[[Tensor, Tensor], Tensor], steps: int, batch_size: int
) -> None:
    """Fit a feature network with Adam, inside a seeded block."""
    parameters = [p for part in parts for p in part.parameters()]
    optimiser = torch.optim.Adam(parameters, 1e-3)
    with torch.enable_grad():
        for _ in range(steps):
            rows = torch.randint(len(x), (min(batch_size, len(x)),))
            optimiser.zero_grad(set_to_none=True)
            torch.autograd.backward(loss(as_float(x[rows]), rows))
            optimiser.step()
    for p in parameters:
        p.requires_grad_(False)
