"""Random operations of torch that take their numbers from a local generator instead of the global one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from .random import Noise, derive, using
from .renamed import old_attributes


class LocalRandom(TorchDispatchMode):
    """Make every random operation of torch inside the block use the generator of ``noise``.

    For samplers of other libraries that only use the global generator. Its state does not change, in any thread.

    Example:
        >>> with LocalRandom(Noise.seeded(1)):
        ...     a = torch.rand(1)
        >>> bool(a == torch.rand(1, generator=torch.Generator().manual_seed(1)))
        True
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False: otherwise torch would load its compiler, which takes two seconds, only to skip this mode."""
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
def locally_seeded(seed: int) -> Iterator[None]:
    """Draw the same numbers inside the block as :func:`forked` would, without touching the global generator.

    For verbs that make and fit something small. Every operation takes a little longer.

    Example:
        >>> from senzai.core.random import forked
        >>> with locally_seeded(1):
        ...     a = torch.nn.Linear(2, 3).weight
        >>> with forked(1):
        ...     b = torch.nn.Linear(2, 3).weight
        >>> bool((a == b).all())
        True
    """
    with using(Noise.seeded(derive(seed, "noise"))), LocalRandom(Noise.seeded(seed)):
        yield


__getattr__ = old_attributes(__name__, {"Steered": "LocalRandom", "steered": "locally_seeded"})
