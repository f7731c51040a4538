"""What is checked before and during training: precision, warm-up, weights."""

from __future__ import annotations

import torch
from torch import nn

from ..core.errors import SettingError
from ..models.base import LatentModel
from ..nn.precision import native_bf16
from ..objectives.base import Objective
from .step import total_norm

BF16_FROM_PARAMETERS = 200_000
"""Below this many parameters casting costs more than the faster products save (``benchmarks/precision.py``)."""


def all_finite(model: nn.Module) -> bool:
    """Whether every weight is finite (this synchronises)."""
    parameters = [p.detach() for p in model.parameters()]
    return not parameters or bool(torch.isfinite(total_norm(parameters)))


def check_warmup(objective: Objective, total_steps: int) -> None:
    """Refuse a warm-up that training would not reach the end of.

    Raises:
        SettingError: The weight of the rate would never arrive.
    """
    if objective.settled_after > total_steps:
        raise SettingError(
            f"The warm-up must finish during training, but it takes {objective.settled_after} steps of {total_steps}. "
            "Shorten it, or train longer; otherwise the model is never trained on its own objective."
        )


def network_dtype(precision: str, model: LatentModel, device: torch.device) -> torch.dtype | None:
    """Return the type networks compute in: bfloat16 if asked for, or native and worth it; ``None`` for float32.

    Raises:
        SettingError: bfloat16 was asked for and the hardware would only emulate it.
    """
    if precision == "bf16" and not native_bf16(device):
        raise SettingError("precision='bf16' needs hardware that multiplies bfloat16 natively; use 'auto' or 'fp32'.")
    large = sum(p.numel() for p in model.parameters()) >= BF16_FROM_PARAMETERS
    if precision == "bf16" or (precision == "auto" and large and native_bf16(device)):
        return torch.bfloat16
    return None
