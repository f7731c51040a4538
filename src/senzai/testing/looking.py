"""How exams look at a subject: losses under given noise, players, and whether numbers agree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ..core.batch import Batch, tensors
from ..core.random import Noise, forked, using
from ..models import verbs
from ..models.base import Inference, LatentModel
from ..models.generative import Generative
from ..models.modes import judging
from ..objectives.base import Objective, Player, Terms
from .exam import NotAsked

STEPS_LOOKED_AT = 100_000
STANDARD_ERRORS = 5.0


def first_step(player: Player, objective: Objective) -> int:
    """Return the first step at which a player plays with its weights settled, or the first at which it plays."""
    start = objective.settled_after
    for step in chain(range(start, start + 1000), range(STEPS_LOOKED_AT)):
        if player.plays_at(step):
            return step
    raise AssertionError(f"The player {player.name!r} does not play within {STEPS_LOOKED_AT} steps.")


def terms_of(
    model: Generative, player: Player, batch: Batch, step: int, *, noise: Noise | None = None, seed: int = 5
) -> Terms:
    """Return a player's terms; everything random comes from ``seed``, or from ``noise`` where that is given."""
    with forked(seed), using(noise or Noise.seeded(seed)):
        return player.loss(model, batch, step)


def latent(model: Generative) -> LatentModel:
    """Return a model as one with latents.

    Raises:
        NotAsked: It has none, and an exam of latents has nothing to ask.
    """
    if not isinstance(model, LatentModel):
        raise NotAsked(f"the model ({type(model).__name__}) draws rows without latents")
    return model


def inferred(generator: Generative, batch: Batch, k: int, *, seed: int = 5) -> Inference:
    """Return what a model in evaluation mode infers from a batch with ``k`` draws, without gradients."""
    model = latent(generator)
    with forked(seed), judging(model):
        seen = model.infer(batch, k)
        _ = seen.log_w  # log densities are computed when first read: now, in evaluation mode
    return seen


def told(model: Generative, batch: Batch) -> dict[str, list[Tensor]]:
    """Return the numbers that a model gives for a batch in evaluation mode, by what they are."""
    found = {"sample": tensors(verbs.sample(model, 3, seed=1, c=None if batch.c is None else batch.c[:3]))}
    if not isinstance(model, LatentModel):
        with judging(model):
            log_p = model.log_prob(batch)
        return found | ({} if log_p is None else {"log_prob": [log_p]})
    return found | {
        "the bound": [inferred(model, batch, 3).log_w],
        "encode": list(verbs.encode(model, batch)),
        "reconstruct": tensors(verbs.reconstruct(model, batch)),
    }


@contextmanager
def frozen_others(model: Generative, player: Player) -> Iterator[None]:
    """Freeze every parameter that is not the player's, as the loop does."""
    mine = {id(p) for p in player.parameters}
    others = [p for p in model.parameters() if p.requires_grad and id(p) not in mine]
    for p in others:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in others:
            p.requires_grad_(True)


def differ(a: Tensor, b: Tensor, *, rtol: float = 1e-4, atol: float = 1e-4) -> float | None:
    """Return the largest difference of two tensors if it is more than rounding, else ``None``."""
    if a.shape != b.shape:
        return float("inf")
    if torch.allclose(a, b, rtol=rtol, atol=atol, equal_nan=False):
        return None
    return float((a.double() - b.double()).abs().max())


class GlobalDraws(TorchDispatchMode):
    """Notes down what draws from torch's global generator inside the block, also where its state is put back.

    Example:
        >>> with GlobalDraws() as taken:
        ...     _ = torch.rand(1, generator=torch.Generator()), torch.randn(1)
        >>> taken.names
        ['randn']
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and note it down if it may be random and moved the generator."""
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **(kwargs or {}))
        before = torch.get_rng_state()
        out = func(*args, **(kwargs or {}))
        if not torch.equal(before, torch.get_rng_state()):
            self.names.append(func.overloadpacket.__name__)
        return out


def same_bits(a: Iterable[Tensor], b: Iterable[Tensor]) -> bool:
    """Whether two lists of tensors are equal bit for bit."""
    first, second = list(a), list(b)
    return len(first) == len(second) and all(
        u.dtype == v.dtype and u.shape == v.shape and torch.equal(u, v) for u, v in zip(first, second, strict=True)
    )


def too_far(value: Tensor, truth: Tensor | float, se: Tensor, *, slack: float = 1e-3) -> bool:
    """Whether any value is further from the truth than five standard errors."""
    return not bool(((value - truth).abs() <= STANDARD_ERRORS * se + slack).all())


def mean_and_se(values: Tensor) -> tuple[Tensor, Tensor]:
    """Mean over the first axis, and its standard error."""
    v = values.double()
    return v.mean(0), v.std(0) / len(v) ** 0.5
