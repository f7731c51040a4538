"""Encoder and decoder as plain modules, tensors in and tensors out, for use outside of this library."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

from ..core.batch import Batch
from ..distributions.ops import expected


@final
class EncoderSurface(nn.Module):
    """Rows to the points of their posteriors, groups side by side: ``(B, *event) -> (B, n)``.

    Args:
        model: Whose inference it is.

    Example:
        >>> from senzai.data.proposal import Choice, Proposal
        >>> from senzai.recipes import Frame, build
        >>> from senzai.recipes.settings import Settings
        >>> frame = Frame((5,), Proposal(likelihood=Choice("normal")), settings=Settings({"n_latent": 2, "hidden": 8}))
        >>> model, _ = build("vae", frame)
        >>> model.surfaces()["encoder"](torch.zeros(3, 5)).shape, model.surfaces()["decoder"](torch.zeros(3, 2)).shape
        (torch.Size([3, 2]), torch.Size([3, 5]))
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model: Any = model

    def forward(self, x: Tensor, c: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Return the points."""
        return torch.cat([z.flatten(1) for z in self.model.points(Batch(x, c=c, mask=mask))], 1)


@final
class DecoderSurface(nn.Module):
    """Latents to the expected value of p(x | z): ``(B, n), ... -> (B, *event)``, one tensor for each group of latents.

    Args:
        model: Whose decoder it is.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model: Any = model

    def forward(self, *z: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the expected rows."""
        return expected(self.model.generate(z, c))
