"""A distribution of which draws are known but no density."""

from __future__ import annotations

from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from senzai.core.errors import CombinationError


class Unscored(Distribution):
    """What latents follow that came about through further variables, which nobody can integrate out.

    Args:
        batch_shape: ``(B,)``.
        event_shape: Shape of one latent.
        reason: Half a sentence that says why there is no density.

    Example:
        >>> Unscored((3,), (2,), "its draws went through a simulation").log_prob(torch.zeros(3, 2))
        Traceback (most recent call last):
        ...
        senzai.core.errors.CombinationError: This needs the density of the posterior, which is not known: its draws ...
    """

    has_rsample = False

    def __init__(self, batch_shape: tuple[int, ...], event_shape: tuple[int, ...], reason: str) -> None:
        self.reason = reason
        super().__init__(torch.Size(batch_shape), torch.Size(event_shape), validate_args=False)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        """Nothing."""
        return {}

    @property
    def support(self) -> constraints.Constraint:
        """Real vectors."""
        return constraints.real_vector

    def _refuse(self, what: str) -> NoReturn:
        raise CombinationError(
            f"This needs {what} of the posterior, which is not known: {self.reason}. "
            "Use what is drawn from the model's own inference, or another posterior."
        )

    def log_prob(self, value: Tensor) -> Tensor:
        """Refuse."""
        self._refuse("the density")

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Refuse: draws come from the inference."""
        self._refuse("free draws")
