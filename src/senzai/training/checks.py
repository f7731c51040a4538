"""Checks before and during training: precision, warm-up, weights."""

from __future__ import annotations

import torch
from torch import nn

from ..core.errors import SettingError
from ..models.generative import Generative
from ..nn.precision import native_bf16
from ..nn.recomputing import Recomputable
from ..objectives.base import Objective
from .settings import TrainSettings
from .shares import held
from .step import GradientRule, gradient_of_mean, total_norm

BF16_FROM_PARAMETERS = 200_000
"""Smaller models stay in float32 under ``precision="auto"``: a rule of thumb, not a measured limit."""


def all_finite(model: nn.Module) -> bool:
    """Whether every weight that this process holds is finite (this synchronises)."""
    parameters = [held(p.detach()) for p in model.parameters()]
    return not parameters or bool(torch.isfinite(total_norm(parameters)))


def check_warmup(objective: Objective, total_steps: int) -> None:
    """Refuse a warm-up that is longer than the training.

    Raises:
        SettingError: The weight of the rate would never reach its final value.
    """
    if objective.settled_after > total_steps:
        raise SettingError(
            f"The warm-up must finish during training, but it takes {objective.settled_after} steps of {total_steps}. "
            "Shorten it, or train longer; otherwise the model is never trained on its own objective."
        )


def check_validation(settings: TrainSettings, validated: bool) -> None:
    """Refuse settings that watch validation rows where there are none.

    Raises:
        SettingError: Early stopping or the plateau schedule would never act.
    """
    wishes = {"patience": settings.patience is not None, "schedule=plateau": settings.schedule == "plateau"}
    asked = [name for name, wished in wishes.items() if wished]
    if asked and not validated:
        raise SettingError(f"{' and '.join(asked)} needs validation rows, but there are none. Set validation=0.1.")


def check_recomputing(settings: TrainSettings, model: nn.Module) -> None:
    """Refuse gradient checkpointing where it would save nothing, or where weights are gathered when they are used.

    Raises:
        SettingError: The model has no blocks to compute again, or is divided over processes.
    """
    if not settings.gradient_checkpointing:
        return
    if settings.shard_model:
        raise SettingError(
            "gradient_checkpointing computes blocks again when the weights that shard_model=true gathers for them are "
            "gone. Leave one of the two out, or raise accumulate to save memory."
        )
    if not any(isinstance(m, Recomputable) for m in model.modules()):
        raise SettingError(
            "gradient_checkpointing needs networks of blocks, such as convolutions or transformers, but this model has "
            "none. Leave it out, or raise accumulate to save memory."
        )


def check_rule(settings: TrainSettings, rule: GradientRule) -> None:
    """Refuse a gradient rule that looks at weights where these are divided over processes.

    Raises:
        SettingError: It is not the ordinary one.
    """
    if settings.shard_model and rule is not gradient_of_mean:
        raise SettingError(
            f"shard_model=true divides the gradient of the mean loss, but got the rule {rule!r}, which may take "
            "gradients row by row. Leave shard_model out."
        )


def network_dtype(precision: str, model: Generative, device: torch.device) -> torch.dtype | None:
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
