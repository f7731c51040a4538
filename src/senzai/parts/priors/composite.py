"""The prior that keeps a posterior near what it was a while ago."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import final

import torch
from torch import Tensor
from torch.distributions import Distribution

from ...core.arguments import at_least
from ...core.batch import Batch
from ...core.errors import CombinationError, SettingError
from ...core.examples import example
from ...core.spec import part
from ...distributions.mixtures import Mixture
from ..base import AnyPosterior, Prior, check_width, diagonal
from .aggregate import check_event


@part("prior", "composite")
@example(recipe="recvae", settings={})
@final
class CompositePrior(Prior):
    r"""A standard normal, a wide normal, and in training the posterior of the row itself as it was a while ago.

    .. math:: p(z \mid x) = w_1 \mathcal N(z; 0, I) + w_2\, q_{\text{old}}(z \mid x) + w_3 \mathcal N(z; 0, e^{v} I)

    The old posterior keeps an encoder that alternates with its decoder from forgetting. It is no prior of new rows: in
    evaluation p(z) is the mixture of the two normals, so that bounds stay bounds and rows can be drawn. The rate is
    estimated from the draws.

    Reference:
        RecVAE (Shenbin et al., 2020). https://arxiv.org/abs/1912.11160

    Args:
        n_latent: Width of the latent code.
        posterior: The posterior of the model.
        weights: Of the standard normal, the old posterior and the wide normal.
        log_variance: Log variance of the wide normal, v.
        every: Training steps after which the old posterior is the present one.

    Raises:
        SettingError: Weights are not positive.
    """

    loc: Tensor
    scale: Tensor
    taken: Tensor

    def __init__(
        self, n_latent: int, posterior: AnyPosterior, *, weights: tuple[float, float, float] = (0.15, 0.75, 0.1),
        log_variance: float = 10.0, every: int = 20,
    ) -> None:
        super().__init__()
        at_least(1, every=every)
        check_event(posterior, check_width(n_latent))
        if not all(w > 0 for w in weights):
            raise SettingError(f"Weights of a mixture are above 0, but got weights={weights!r}.")
        normal_of(posterior.example())
        self.n_latent, self.every, self.weights = n_latent, every, weights
        self._borrowed = (posterior,)  # in a tuple: a module of its own, it would be saved twice
        self.before = deepcopy(posterior).requires_grad_(False)
        self.register_buffer("loc", torch.zeros(2, n_latent))
        wide = torch.tensor([[0.0], [log_variance / 2]]).exp()
        self.register_buffer("scale", wide.expand(2, n_latent).clone())
        self.register_buffer("taken", torch.zeros((), dtype=torch.long))

    def forward(self, c: Tensor | None = None) -> Distribution:
        """Return p(z)."""
        first, _, last = self.weights
        return Mixture(self.loc.new_tensor([first, last]).log(), diagonal(self.loc, self.scale))

    def of(self, batch: Batch) -> Distribution:
        """Return in training, for each row, the mixture with its old posterior."""
        if not self.training:
            return super().of(batch)
        with torch.no_grad():
            q = self.before(batch)
        base = normal_of(q)
        assert base is not None  # there is a q
        n = len(batch)
        loc = torch.stack([self.loc[:1].expand(n, -1), base.loc, self.loc[1:].expand(n, -1)], 1)
        scale = torch.stack([self.scale[:1].expand(n, -1), base.scale, self.scale[1:].expand(n, -1)], 1)
        logits = self.loc.new_tensor(self.weights).log().expand(n, 3)
        return Mixture(logits, diagonal(loc, scale))

    def after_step(self, total: Callable[[Tensor], Tensor]) -> None:
        """Let the old posterior become the present one, now and then."""
        self.taken += 1
        if int(self.taken) % self.every == 0:
            self.before.load_state_dict(self._borrowed[0].state_dict())


def normal_of(q: Distribution | None) -> torch.distributions.Normal | None:
    """Return the normals that a posterior is made of; ``None`` where nobody knows yet what it will be.

    Raises:
        CombinationError: It is something else.
    """
    base = None if q is None else getattr(q, "base_dist", None)
    if q is not None and not isinstance(base, torch.distributions.Normal):
        raise CombinationError(
            f"A composite prior needs a normal posterior, but got {type(q).__name__}. Choose posterior=normal."
        )
    return base
