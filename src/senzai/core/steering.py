"""Random operations of torch that take their numbers from a generator at hand instead of the global one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from .random import Noise, derive, using


class Steered(TorchDispatchMode):
    """Let every random operation of torch inside the block take its numbers from the generator of ``noise``.

    For samplers that are not ours and know only the global generator, which stays as it is, in all threads.

    Example:
        >>> with Steered(Noise.seeded(1)):
        ...     a = torch.rand(1)
        >>> bool(a == torch.rand(1, generator=torch.Generator().manual_seed(1)))
        True
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Leave the compiler alone: torch would load it, two seconds of work, to tell it to skip this."""
        return False

    def __init__(self, noise: Noise) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's
        self.generator = noise.generator

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, with the generator if it takes one."""
        kwargs = dict(kwargs or {})
        if torch.Tag.nondeterministic_seeded in func.tags and kwargs.get("generator") is None:
            packet, name = func.overloadpacket, func._overloadname
            steered = "generator" if name == "default" else f"{name}_generator"
            if any(a.name == "generator" for a in func._schema.arguments):
                kwargs["generator"] = self.generator
            elif steered in packet.overloads():
                func, kwargs["generator"] = getattr(packet, steered), self.generator
        return func(*args, **kwargs)


@contextmanager
def steered(seed: int) -> Iterator[None]:
    """Draw the same numbers inside the block as under :func:`forked`, in this thread alone, with nothing global.

    For work of a verb that makes and fits something small; every operation takes a little longer.

    Example:
        >>> from senzai.core.random import forked
        >>> with steered(1):
        ...     a = torch.nn.Linear(2, 3).weight
        >>> with forked(1):
        ...     b = torch.nn.Linear(2, 3).weight
        >>> bool((a == b).all())
        True
    """
    with using(Noise.seeded(derive(seed, "noise"))), Steered(Noise.seeded(seed)):
        yield
