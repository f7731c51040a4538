"""Settings of a training run: frozen, checked, saved with the model."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ..core.errors import SettingError
from ..core.registry import suggestion
from .optimisers import checked
from .privacy import PrivateSettings

Positive = Annotated[float, Field(gt=0)]
NESTED = {"optimiser": "optimiser_settings", "private": "private"}
"""Settings that have settings of their own, which follow a dot, and where these are kept."""
AUTO_STEPS = 6_000
"""Steps that a run without ``epochs`` or ``steps`` takes at least, within 20 to 400 epochs."""


class TrainSettings(BaseModel):
    """How to train. Everything has a default; ``None`` means "decided from the data".

    Args:
        epochs: Passes over the training rows.
        steps: Optimiser steps, instead of ``epochs``.
        batch_size: Rows per optimiser step, over all devices together.
        accumulate: Pieces a batch is split into to save memory; the result is the same.
        lr: Learning rate; by default 1.5e-3 at 64 rows a batch, growing with the root of the batch size.
            ``encoder_lr`` and ``decoder_lr`` set the two sides apart.
        optimiser: ``adamw``, ``adam``, ``sgd``, ``rmsprop`` or ``adamax``; its own settings follow a dot:
            ``optimiser.momentum=0.9`` of sgd and rmsprop, ``optimiser.nesterov=true`` of sgd,
            ``optimiser.betas=[0.9, 0.99]`` of adam and adamax, ``optimiser.alpha=0.99`` of rmsprop, ``optimiser.eps``.
        optimiser_settings: Those settings, by name.
        weight_decay: Decoupled weight decay of matrices, whatever the optimiser; biases and scales are left alone.
        schedule: Course of the learning rate: constant, cosine, one_cycle, plateau or follow. With ``follow`` the
            length follows validation too, and ``steps`` or ``epochs`` are the most a run takes.
        lr_warmup: Steps over which the learning rate rises from zero.
        clip: Largest gradient norm.
        ema: Decay of averaged weights, which are then validated and saved.
        patience: Validations without improvement before stopping early; ``None`` never stops early.
        precision: ``auto`` computes networks in bfloat16 where the hardware multiplies it natively.
        by_length: Whether rows of about one length share a batch, so that less time goes into padding.
        compile: Use ``torch.compile`` (the first step takes tens of seconds).
        gradient_checkpointing: Forget what blocks of the networks computed and compute it again on the way back: less
            memory for more work, and the same numbers. Convolutions and transformers have such blocks.
        shard_model: Divide parameters, gradients and moments over the processes (torch's ``fully_shard``), for a model
            that does not fit one device; the numbers stay the same. One process alone has nothing to divide.
        seed: Seed of initial weights, order of rows and noise.
        log_every: Steps between progress events.
        validate_every: Steps between validations; by default an epoch, at most 200 validations a run.
        checkpoint_seconds: Least time between two checkpoints.
        recoveries: How often a loss that is not finite is answered with the last good state and half the rate.
        memory_gb: Data larger than this are streamed from disk; by default a third of the free memory.
        max_validation_rows: Rows used in a validation during training.
        init_from: Run whose weights this one begins with where they fit by name and shape, such as one on smaller
            pictures; units and ranges are those of the data at hand.
        sampler: What to fit to the latents after training, to draw samples from: ``auto`` chooses between the prior, a
            mixture and a flow on validation rows, ``none`` keeps the prior, a name takes that one.
        private: Train with differential privacy; its settings follow a dot: ``private.epsilon=3``, ``private.delta``,
            ``private.clip``, ``private.accountant``, ``private.schema_share``, ``private.noise_seed``; see
            :class:`senzai.training.privacy.PrivateSettings`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: Annotated[int, Field(ge=1)] | None = None
    steps: Annotated[int, Field(ge=1)] | None = None
    batch_size: Annotated[int, Field(ge=1)] | None = None
    accumulate: Annotated[int, Field(ge=1)] = 1
    lr: Positive | None = None
    encoder_lr: Positive | None = None
    decoder_lr: Positive | None = None
    optimiser: Literal["adamw", "adam", "sgd", "rmsprop", "adamax"] = "adamw"
    optimiser_settings: dict[str, Any] = {}
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    schedule: Literal["constant", "cosine", "one_cycle", "plateau", "follow"] = "cosine"
    lr_warmup: Annotated[int, Field(ge=0)] = 0
    clip: Positive | None = None
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    patience: Annotated[int, Field(ge=1)] | None = None
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    by_length: bool = False
    compile: bool = False
    gradient_checkpointing: bool = False
    shard_model: bool = False
    seed: Annotated[int, Field(ge=0)] = 0
    log_every: Annotated[int, Field(ge=1)] = 50
    validate_every: Annotated[int, Field(ge=1)] | None = None
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 30.0
    recoveries: Annotated[int, Field(ge=0)] = 3
    memory_gb: Positive | None = None
    max_validation_rows: Annotated[int, Field(ge=1)] = 10_000
    init_from: str | None = None
    sampler: str = "auto"
    private: PrivateSettings | None = None

    @field_validator("sampler")
    @classmethod
    def _known_sampler(cls, name: str) -> str:
        if name in ("auto", "none"):
            return name
        from .densities import SAMPLERS

        if name not in SAMPLERS:
            known = ["auto", "none", *SAMPLERS]
            raise ValueError(f"a sampler is one of {', '.join(known)}")
        return name

    @classmethod
    def parse(cls, values: dict[str, Any]) -> TrainSettings:
        """Return settings from plain values, or an error that names every fault at once.

        Raises:
            SettingError: A name is unknown or a value is out of range.

        Example:
            >>> TrainSettings.parse({"lr": "0.01"}).lr
            0.01
            >>> TrainSettings.parse({"optimiser": "sgd", "optimiser.momentum": 0.9}).optimiser_settings
            {'momentum': 0.9}
        """
        plain = {k: v for k, v in values.items() if k.partition(".")[0] not in NESTED or k in cls.model_fields}
        for group, name in NESTED.items():
            own = {k.partition(".")[2]: v for k, v in values.items() if k.startswith(f"{group}.")}
            if own:
                plain[name] = {**(plain.get(name) or {}), **own}
        try:
            made = cls.model_validate(plain)
        except ValidationError as err:
            raise SettingError(" ".join(_explain(e) for e in err.errors())) from None
        wrong = {"compile": made.compile, "private": made.private is not None}
        if made.shard_model and (bad := [name for name, there in wrong.items() if there]):
            raise SettingError(
                "shard_model=true gathers the weights of a part when it is called, which rules out compiled steps and "
                f"gradients of single rows, but got {' and '.join(bad)}. Leave one of them out."
            )
        return made.model_copy(update={"optimiser_settings": checked(made.optimiser, made.optimiser_settings)})

    def proposed(self, defaults: Mapping[str, Any]) -> TrainSettings:
        """Return the settings with what the data propose, where the user set nothing; epochs rule out proposed steps.

        A length that the user set is the length: a proposed schedule that would follow validation is one cycle then.

        Example:
            >>> TrainSettings.parse({"epochs": 3}).proposed({"steps": 100, "batch_size": 64}).batch_size
            64
        """
        mine = self.model_fields_set | ({"steps"} if self.epochs is not None else set())
        told = {k: v for k, v in defaults.items() if k not in mine}
        if told.get("schedule") == "follow" and "steps" in mine:
            told["schedule"] = "one_cycle"
        return self.model_copy(update=told)

    def chosen_batch_size(self, n_rows: int) -> int:
        """Return the batch size: given, or a power of two from 32 to 512 so that an epoch has a hundred steps or so."""
        if self.batch_size is not None:
            return min(self.batch_size, n_rows)
        power: int = 1 << (n_rows // 100).bit_length()
        return min(n_rows, max(32, min(512, power)))

    def resolved(self, batch_size: int) -> TrainSettings:
        """Return the settings with the learning rate decided."""
        if self.lr is not None:
            return self
        return self.model_copy(update={"lr": min(4.5e-3, max(5e-4, 1.5e-3 * (batch_size / 64) ** 0.5))})

    def total_steps(self, steps_per_epoch: int) -> int:
        """Return how many optimiser steps the run takes."""
        if self.steps is not None:
            return self.steps
        epochs = self.epochs or min(400, max(20, ceil(AUTO_STEPS / steps_per_epoch)))
        return epochs * steps_per_epoch


def _explain(error: Any) -> str:
    name = ".".join(str(p) for p in error["loc"])
    known = list(TrainSettings.model_fields)
    if error["type"] == "extra_forbidden":
        return f"Unknown training setting {name!r}.{suggestion(name, known)} Known: {', '.join(known)}."
    return f"Training setting {name!r}: {error['msg']}, but got {error['input']!r}."
