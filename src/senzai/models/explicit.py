"""A density on the data themselves: rows in units of their own spread, drawn from a prior without a decoder."""

from __future__ import annotations

from dataclasses import replace
from typing import final

from torch import Tensor

from ..core.batch import Batch
from ..core.errors import CombinationError
from ..core.examples import example
from ..core.random import current_noise, using
from ..core.spec import part
from ..distributions.ops import draw
from ..nn.inputs import Standardise
from ..nn.layers import size_of
from ..parts.base import Prior
from .generative import Generative


@part("model", "explicit")
@example(recipe="flow", settings={"prior.hidden": (8,), "prior.n_transforms": 2})
@final
class Explicit(Generative):
    r"""Rows :math:`x = \mu + \sigma u` whose standardised numbers u follow a learned prior: no latents, no decoder.

    .. math:: \log p(x \mid c) = \log p_u\Big(\frac{x - \mu}{\sigma} \,\Big|\, c\Big) - \sum_d \log \sigma_d

    Means and spreads are those of the training rows and do not learn. Where the prior's density is exact (a flow, a
    mixture), so is that of the rows, in the units of the data.

    Reference:
        Density estimation using Real NVP (Dinh et al., 2017). https://arxiv.org/abs/1605.08803

    Args:
        prior: Distribution of the standardised numbers of a row as one vector.
        event: Shape of one row.

    Raises:
        CombinationError: The prior is over vectors of another length, or not over all real ones.

    Example:
        >>> import torch
        >>> from senzai.parts import StandardNormal
        >>> model = Explicit(StandardNormal(2), (2,))
        >>> model.initialise(Batch(torch.tensor([[0.0, -10.0], [2.0, 10.0]])))
        >>> model.log_prob(Batch(torch.tensor([[1.0, 0.0]])))  # -log(2 pi) - log(1 * 10)
        tensor([-4.1405])
    """

    def __init__(self, prior: Prior, event: tuple[int, ...]) -> None:
        super().__init__()
        size = size_of(event)
        if prior.n_latent != size or prior.lives_on != "real":
            raise CombinationError(
                f"A density of rows of {size} numbers needs a prior over as many real numbers, but got "
                f"{type(prior).__name__} over {prior.n_latent} ({prior.lives_on}). Choose another prior."
            )
        self.prior, self.event, self.units = prior, tuple(event), Standardise(event)

    @property
    def exact(self) -> bool:
        """Whether the prior's density is exact."""
        return self.prior.exact

    def standardised(self, batch: Batch) -> Tensor:
        """Return the rows as vectors in units of their own spread, ``(B, d)``."""
        u: Tensor = self.units(batch.tensor)
        return u.flatten(1)

    def log_prob(self, batch: Batch) -> Tensor | None:
        """Return the exact log density of each row in the units of the data, ``(B,)``, if the prior has one."""
        if not self.exact:
            return None
        log_p: Tensor = self.prior(batch.c).log_prob(self.standardised(batch))
        return log_p - self.units.scale.log().sum()

    def simulate(
        self, n: int, c: Tensor | None = None, *, temperature: float = 1.0, noise: bool = True
    ) -> Tensor:
        """Draw ``n`` rows; without ``noise`` they are draws as well, for there is nothing between them and the data."""
        p = self.prior(c)
        with using(replace(current_noise(), spread=temperature)):
            u = draw(p, (n,) if not p.batch_shape else (), grad=False)
        return self.units.shift + self.units.scale * u.reshape(n, *self.event)

    def forward(self, batch: Batch) -> Tensor | None:
        """Return :meth:`log_prob`."""
        return self.log_prob(batch)
