"""A trust region in a latent space: where to look next, by a Gaussian process on what was scored."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...core.extras import need
from ...core.warning_filters import ignore_warnings

FIRST, LEAST, MOST = 0.8, 0.8 * 0.5**7, 1.6
"""Side of the region at first, where it starts anew, and at most; in standard deviations of the codes, times four."""
PATIENCE, LUCK = 4, 3
"""Rounds without, and with, a better row after which the region shrinks, or grows."""
LEARNED_FROM, CANDIDATES = 200, 1000
"""Nearest scored codes that the process is fitted to, and places that are compared."""
MOVED = 20
"""Dimensions of a candidate that differ from the centre, about."""


class Region:
    r"""A box around the best code so far; within it, draws from a Gaussian process say where to look.

    The process (Matérn 5/2, a length of its own in each dimension) is fitted to the scored codes that are nearest to
    the centre. Candidates differ from the centre in some dimensions, and lie no further from the origin than codes of
    rows do, because a decoder knows nothing of what is outside. Each of a round's rows is the best candidate under a
    draw of its own (Thompson sampling). The box grows where that finds better rows, and shrinks where it does not.

    Reference:
        Scalable Global Optimization via Local Bayesian Optimization (Eriksson et al., 2019).
        https://arxiv.org/abs/1910.01739

    Args:
        codes: Codes to start from, ``(N, d)``.
        seed: Seed of the candidates.
    """

    def __init__(self, codes: Tensor, seed: int) -> None:
        with ignore_warnings():  # its packages use what torch calls old
            need("botorch", extra="optimise", to="search a latent space")
        self.side, self.good, self.bad = FIRST, 0, 0
        self.scale = codes.std(0).clamp_min(1e-3) if len(codes) > 1 else torch.ones(codes.shape[1]).double()
        self.furthest = float(codes.norm(dim=1).max())
        self.rng = torch.Generator().manual_seed(seed % 2**63)

    def learn(self, *, better: bool, new: bool = True) -> None:
        """Let the region grow or shrink, or begin anew; where nothing new was decoded it is too small."""
        if not new:
            self.side = min(MOST, 1.5 * self.side)
            return
        self.good, self.bad = (self.good + 1, 0) if better else (0, self.bad + 1)
        if self.good >= LUCK:
            self.side, self.good = min(MOST, 2 * self.side), 0
        if self.bad >= PATIENCE:
            self.side, self.bad = self.side / 2, 0
        if self.side < LEAST:
            self.side = FIRST

    def propose(self, codes: Tensor, scores: np.ndarray[Any, Any], centre: int, n: int) -> Tensor:
        """Return ``n`` codes to decode and score next."""
        known = torch.from_numpy(np.isfinite(scores))
        x, y = codes[known] / self.scale, torch.from_numpy(scores)[known]
        middle = codes[centre] / self.scale
        near = (x - middle).norm(dim=1).argsort()[:LEARNED_FROM]
        x, y = x[near], y[near]
        y = (y - y.mean()) / y.std().clamp_min(1e-9) if len(y) > 1 else torch.zeros(len(y), dtype=torch.float64)
        places = self._candidates(middle)
        if len(y) < 4 or float(y.abs().max()) == 0:
            return self._inside(places[:n]).float()
        with ignore_warnings():
            chosen = self._best(x, y, places, n)
        return self._inside(chosen).float()

    def _candidates(self, middle: Tensor) -> Tensor:
        d = len(middle)
        u = torch.rand(CANDIDATES, d, generator=self.rng, dtype=torch.float64)
        moved = torch.rand(CANDIDATES, d, generator=self.rng) < min(1.0, MOVED / d)
        moved[torch.arange(CANDIDATES), torch.randint(d, (CANDIDATES,), generator=self.rng)] = True
        return middle + torch.where(moved, (u - 0.5) * 4 * self.side, 0.0)

    def _inside(self, places: Tensor) -> Tensor:
        """Return codes no further from the origin than those of rows."""
        z: Tensor = places * self.scale
        share: Tensor = (self.furthest / z.norm(dim=1, keepdim=True).clamp_min(1e-9)).clamp_max(1.0)
        return z * share

    def _best(self, x: Tensor, y: Tensor, places: Tensor, n: int) -> Tensor:
        """Return the best of the candidates under ``n`` draws from the process."""
        from botorch.fit import fit_gpytorch_mll
        from botorch.generation.sampling import MaxPosteriorSampling
        from botorch.models import SingleTaskGP
        from gpytorch.mlls import ExactMarginalLogLikelihood

        process = SingleTaskGP(x, y.unsqueeze(1))
        try:
            fit_gpytorch_mll(
                ExactMarginalLogLikelihood(process.likelihood, process), optimizer_kwargs={"options": {"maxiter": 50}}
            )
        except Exception:  # a fit that does not converge leaves its usual lengths, which do
            process = SingleTaskGP(x, y.unsqueeze(1))
        with torch.no_grad():
            chosen: Tensor = MaxPosteriorSampling(process, replacement=False)(places, num_samples=n)
        return chosen
