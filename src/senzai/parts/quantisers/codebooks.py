"""Lists of code vectors that follow the data: who was nearest, how often, and what becomes of entries nobody uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, final

import torch
from torch import Tensor, nn

from ...core.errors import SettingError
from ...core.random import current_noise

Total: TypeAlias = Callable[[Tensor], Tensor]
"""Sum over all processes of a run."""

INITIAL_VECTORS = 4096
LLOYD = 5


@final
class Usage(nn.Module):
    """How often each code is used: a running mean of counts per step, and the counts of the step under way.

    Args:
        n_codes: Number of codes.
        decay: What is kept of the running mean at each step.
    """

    counts: Tensor
    pending: Tensor

    def __init__(self, n_codes: int, *, decay: float = 0.99) -> None:
        super().__init__()
        self.n_codes, self.decay = n_codes, decay
        self.register_buffer("counts", torch.ones(n_codes))
        self.register_buffer("pending", torch.zeros(n_codes))

    @torch.no_grad()
    def observe(self, codes: Tensor) -> None:
        """Count codes of some rows of a step."""
        self.pending.add_(code_counts(codes, self.n_codes).to(self.pending))

    @torch.no_grad()
    def begin(self, codes: Tensor) -> None:
        """Take the running counts from codes of the data."""
        self.counts.copy_(code_counts(codes, self.n_codes))

    @torch.no_grad()
    def settle(self, total: Total) -> Tensor:
        """End a step: let the running counts follow those of all rows; return what was new times ``1 - decay``.

        A step in which nobody counted changes nothing.
        """
        new = total(self.pending)
        share = (1 - self.decay) * (new.sum() > 0).to(new)
        self.counts.lerp_(new, share)
        self.pending.zero_()
        return share

    @property
    def perplexity(self) -> Tensor:
        """Perplexity of the running counts: how many codes are in use, if all were used alike."""
        return perplexity(self.counts)

    @property
    def used(self) -> Tensor:
        """Share of codes that are used at least a hundredth as often as the mean one."""
        return (self.counts > 0.01 * self.counts.mean()).to(self.counts.dtype).mean()


def code_counts(codes: Tensor, n_codes: int) -> Tensor:
    """Return how often each code stands in ``codes``, ``(n_codes,)``."""
    return torch.bincount(codes.flatten(), minlength=n_codes)


def perplexity(counts: Tensor) -> Tensor:
    r"""Return :math:`\exp(-\sum_k p_k \log p_k)` of counts: between 1 and their number.

    Example:
        >>> perplexity(torch.tensor([5.0, 5.0, 0.0])), perplexity(torch.tensor([3.0, 0.0]))
        (tensor(2.), tensor(1.))
    """
    p = counts / counts.sum().clamp_min(torch.finfo(counts.dtype).tiny)
    return torch.exp(-torch.special.xlogy(p, p).sum())


@final
class Codebook(nn.Module):
    r"""Code vectors that are learned by gradients, or as running means of the vectors nearest to them.

    With ``ema`` and decay :math:`\gamma`, after each step, over the rows of all its pieces and processes,

    .. math:: N_k \leftarrow \gamma N_k + (1 - \gamma) n_k, \quad
        m_k \leftarrow \gamma m_k + (1 - \gamma) \sum_{i: k(i) = k} x_i, \quad
        e_k = \frac{m_k}{\tilde N_k}, \quad \tilde N_k = \frac{N_k + \epsilon}{N + K \epsilon} N, \; N = \sum_k N_k

    A code used less than ``revive`` times as often as the mean one takes the place of a vector drawn from the rows of
    the step, and counts as an average one from then on.

    Reference:
        Neural Discrete Representation Learning (van den Oord et al., 2017), appendix A.1.
        https://arxiv.org/abs/1711.00937

    Args:
        n_codes: Number of code vectors, K.
        width: Their width.
        ema: Running means; else a parameter.
        decay: Decay of the running means and counts.
        epsilon: Pseudo-count of each code (Laplace smoothing).
        revive: Least use, as a share of the mean one; 0 lets dead codes be.
    """

    sums: Tensor
    moved: Tensor
    vectors: Tensor

    def __init__(
        self, n_codes: int, width: int, *, ema: bool = True, decay: float = 0.99, epsilon: float = 1e-5,
        revive: float = 0.01,
    ) -> None:
        super().__init__()
        if n_codes < 2 or width < 1 or not 0 <= decay < 1 or not epsilon > 0 or not 0 <= revive < 1:
            raise SettingError(
                "A codebook needs `n_codes >= 2`, `code_dim >= 1`, `0 <= decay < 1`, `epsilon > 0`, `0 <= revive < 1`, "
                f"but got n_codes={n_codes!r}, code_dim={width!r}, decay={decay!r}, epsilon={epsilon!r}, "
                f"revive={revive!r}."
            )
        self.n_codes, self.width, self.ema, self.epsilon, self.revive = n_codes, width, ema, epsilon, revive
        self.usage = Usage(n_codes, decay=decay)
        start = torch.randn(n_codes, width)
        if ema:
            self.register_buffer("vectors", start)
            self.register_buffer("sums", start.clone())
        else:
            self.vectors = nn.Parameter(start)
        self.register_buffer("moved", torch.zeros(2, n_codes, width))  # of the step under way: sums, and candidates

    # --- use --------------------------------------------------------------------------------------------------------
    @torch.no_grad()
    def nearest(self, x: Tensor) -> Tensor:
        """Return the number of the nearest code vector, ``(*lead, width)`` to ``(*lead,)``."""
        return (x @ self.vectors.T - 0.5 * self.vectors.square().sum(-1)).argmax(-1)

    def look_up(self, codes: Tensor) -> Tensor:
        """Return code vectors, ``(*lead,)`` to ``(*lead, width)``."""
        return nn.functional.embedding(codes, self.vectors)

    # --- learning ---------------------------------------------------------------------------------------------------
    @torch.no_grad()
    def observe(self, x: Tensor, codes: Tensor) -> None:
        """Remember vectors ``(B, N, width)`` of some rows of a step and the codes they got."""
        self.usage.observe(codes)
        self.moved[0].index_add_(0, codes.flatten(), x.reshape(-1, self.width).to(self.moved.dtype))
        if self.revive:
            self.moved[1].add_(self._candidates(x))

    def _candidates(self, x: Tensor) -> Tensor:
        """One vector for each code, drawn from the rows of the whole step; zero where it lies in another piece."""
        noise, (n_rows, n_places, _) = current_noise(), x.shape
        total = noise.total or n_rows
        u = noise.uniform((self.n_codes, 2), row_dim=2, device=x.device)
        row = (u[:, 0] * total).long().clamp(max=total - 1) - noise.offset
        place = (u[:, 1] * n_places).long().clamp(max=n_places - 1)
        here = (row >= 0) & (row < n_rows)
        return torch.where(here[:, None], x[row.clamp(0, n_rows - 1), place], 0.0).to(self.moved.dtype)

    @torch.no_grad()
    def settle(self, total: Total) -> None:
        """End a step: move running means, and put dead codes where data are."""
        new, candidates = total(self.moved)
        share = self.usage.settle(total)
        counts = self.usage.counts
        if self.ema:
            self.sums.lerp_(new, share)
            kept = self.sums / smoothed(counts, self.epsilon)[:, None]
            self.vectors.copy_(torch.where(share > 0, kept, self.vectors))
        if self.revive:
            mean = counts.mean()
            dead = (counts < self.revive * mean) & (share > 0)
            self.vectors.copy_(torch.where(dead[:, None], candidates, self.vectors))
            counts.copy_(torch.where(dead, mean, counts))
            if self.ema:
                self.sums.copy_(torch.where(dead[:, None], mean * candidates, self.sums))
        self.moved.zero_()  # last: alone, the sum over all processes is this very tensor

    @torch.no_grad()
    def begin(self, x: Tensor) -> None:
        """Start as the centres of a few rounds of k-means on vectors ``(*lead, width)`` of the data."""
        x = x.reshape(-1, self.width).to(self.vectors.dtype)
        if len(x) > INITIAL_VECTORS:
            keys = current_noise().uniform((len(x),), device=x.device)
            x = x[keys.topk(INITIAL_VECTORS).indices]
        self.vectors.copy_(spread_out(x, self.n_codes))
        for _ in range(LLOYD):
            codes = self.nearest(x)
            counts = code_counts(codes, self.n_codes).to(x.dtype)
            sums = torch.zeros_like(self.vectors).index_add_(0, codes, x)
            self.vectors.copy_(torch.where(counts[:, None] > 0, sums / counts[:, None].clamp_min(1), self.vectors))
        self.usage.begin(self.nearest(x))
        if self.ema:
            self.sums.copy_(self.vectors * smoothed(self.usage.counts, self.epsilon)[:, None])


def smoothed(counts: Tensor, epsilon: float) -> Tensor:
    """Return counts with ``epsilon`` added to each and their sum kept (Laplace smoothing).

    Example:
        >>> smoothed(torch.tensor([0.0, 2.0]), 1.0)
        tensor([0.5000, 1.5000])
    """
    n = counts.sum()
    return (counts + epsilon) / (n + len(counts) * epsilon) * n


def spread_out(x: Tensor, n: int) -> Tensor:
    """Return ``n`` of the vectors ``(M, d)``, each drawn with the squared distance from those before (k-means++).

    Once every vector has been taken, further ones are drawn from all of them.

    Reference:
        k-means++: The Advantages of Careful Seeding (Arthur and Vassilvitskii, 2007).
    """
    u = current_noise().uniform((n,), device=x.device)
    chosen = x[(u[:1] * len(x)).long().clamp(max=len(x) - 1)]
    found, far = [chosen], (x - chosen).square().sum(-1)
    for i in range(1, n):
        weight = torch.where(far.sum() > 0, far, torch.ones_like(far)).cumsum(0)
        index = torch.searchsorted(weight, u[i : i + 1] * weight[-1]).clamp(max=len(x) - 1)
        found.append(x[index])
        far = torch.minimum(far, (x - x[index]).square().sum(-1))
    return torch.cat(found)
