"""A variational autoencoder whose first latents are named concepts that cause each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

from ..core.batch import Batch, only
from ..core.causal_graph import CausalGraph
from ..core.errors import CombinationError
from ..core.examples import example
from ..core.random import Noise, derive
from ..core.spec import part
from ..distributions.ops import expected
from ..parts.priors.structural import StructuralPrior
from .causal import CausalModel
from .flat import Flat
from .modes import judging
from .wrapped import Wrapped

NAMED = "Concepts are what the labelled rows say they are: a latent stands for one as far as the encoder finds it."


@part("model", "concepts")
@example(recipe="causal-vae", frame={"n_numbers": 3}, settings={"graph": "concept0>concept1;concept1>concept2"})
@final
class Concepts(Wrapped[Flat], CausalModel):
    r"""Concepts with names, :math:`z_i = f_i(z_{pa(i)}, e_i)`, free latents behind them, and a decoder of all.

    A row is read by the encoder, its noise follows exactly from its latents, and what is set is sent along the graph
    before the row is decoded again.

    Reference:
        CausalVAE (Yang et al., 2021). https://arxiv.org/abs/2004.08697

    Args:
        inner: Prior, posterior and likelihood; the prior is structural.
        names: Names of the concepts, the first latents.

    Raises:
        CombinationError: The prior has no graph, or the posterior is no diagonal normal.
    """

    def __init__(self, inner: Flat, names: tuple[str, ...]) -> None:
        super().__init__(inner)
        prior = inner.prior
        if not isinstance(prior, StructuralPrior) or prior.n_latent < len(names):
            raise CombinationError(
                f"Concepts need prior=structural over {len(names)} latents at least, but got {type(prior).__name__} "
                f"over {prior.n_latent}. Leave prior=... out, or set n_latent={len(names)}."
            )
        self.names, self._prior = tuple(names), (prior,)
        edges = tuple((self.names[int(a)], self.names[int(b)]) for a, b in prior.graph.edges)
        self._graph = CausalGraph(self.names, edges)

    @property
    def structure(self) -> StructuralPrior:
        """The prior."""
        return self._prior[0]

    @property
    def graph(self) -> CausalGraph:
        """Which concept causes which."""
        return self._graph

    @property
    def is_learned(self) -> bool:
        """Never: it is given."""
        return False

    def assumptions(self, *, counterfactual: bool = False) -> tuple[str, ...]:
        """Return what has to be true for an answer to be about causes."""
        return (*super().assumptions(counterfactual=counterfactual), NAMED)

    # --- concepts ---------------------------------------------------------------------------------------------------
    def concepts(self, q: Distribution) -> Normal:
        """Return the posterior of each concept, ``(B, concepts)``.

        Raises:
            CombinationError: It is no diagonal normal.
        """
        base: Any = q.base_dist if isinstance(q, Independent) else None
        if not isinstance(base, Normal):
            raise CombinationError("Concepts need posterior=normal, one number each. Leave posterior=... out.")
        k = len(self.names)
        return Normal(base.loc[..., :k], base.scale[..., :k], validate_args=False)

    def _values(self, values: Mapping[str, float]) -> dict[int, float]:
        return {self.names.index(name): float(value) for name, value in values.items()}

    def intervene(self, n: int, values: Mapping[str, float], *, seed: int) -> Tensor:
        """Return ``n`` expected rows in which concepts are set; see :meth:`CausalModel.intervene`."""
        with judging(self):
            e = Noise.seeded(derive(seed, "do"), device=self.device).normal((n, self.structure.n_latent), row_dim=0,
                                                                         device=self.device)
            return self._shown(self.structure.follow(e, self._values(values)))

    def counterfactual(self, batch: Batch, values: Mapping[str, float], *, seed: int) -> Tensor:
        """Return the expected rows that would have been."""
        with judging(self):
            return self._shown(self.changed(self.points(batch)[0], values))

    def changed(self, z: Tensor, values: Mapping[str, float]) -> Tensor:
        """Return latents as they would have been: what does not follow from what is set stays as it is."""
        set_ = self._values(values)
        new = self.structure.follow(self.structure.noise_of(z), set_)
        moved = {int(i) for i in self.structure.graph.below(map(str, set_))} | set(set_)
        which = torch.tensor([i in moved for i in range(z.shape[-1])], device=z.device)
        return torch.where(which, new, z)

    def _shown(self, z: Tensor) -> Tensor:
        return only(expected(self.inner.generate((z,))))

    def check(self) -> None:
        """Refuse what the inner model refuses, and a posterior that is no diagonal normal."""
        super().check()
        q = self.inner.posterior.example()
        if q is not None:
            self.concepts(q)
