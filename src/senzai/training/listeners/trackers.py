"""Trackers: listeners that write what happens where other tools show it. One registry, to which packages add."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, TypeAlias

from ...core.errors import SenzaiError
from ...core.registry import Registry
from ..events import Event, Progressed, Validated
from ..loop import Training
from .basic import Listener


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker is told about a run before it begins.

    Args:
        name: What the run is called.
        folder: Its folder, where it will be in the end; ``None`` for a run in memory.
        work: The folder it is trained in.
        settings: Recipe, kind of the data, number of rows, and every setting of training and of the model, by name.
    """

    name: str
    folder: Path | None = None
    work: Path | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


Make: TypeAlias = Callable[[TrackedRun], Listener]
TRACKERS: Registry[Make] = Registry("tracker")


def tracker(name: str) -> Callable[[Make], Make]:
    """Return a decorator that registers what makes a listener of a run.

    Example:
        >>> heard = []
        >>> @tracker("names")
        ... def names(run):
        ...     class Names:
        ...         def on(self, event, training):
        ...             heard.append(type(event).__name__)
        ...     return Names()
        >>> from senzai.runs import fit
        >>> _ = fit("digits", steps=2, n_latent=2, track="names")
        >>> heard[0], heard[-1]
        ('Started', 'Finished')
        >>> del TRACKERS["names"]
    """
    return TRACKERS.add(name)


def tracked_by(names: Sequence[str], run: TrackedRun) -> list[Listener]:
    """Return the listeners of some trackers, each so that what goes wrong in it ends nothing but itself.

    Raises:
        UnknownNameError: There is no such tracker.
        MissingExtraError: The package that it writes for is not installed.
    """
    return [Tolerated(name, TRACKERS[name](run)) for name in dict.fromkeys(names)]


class Tolerated:
    """A tracker that is left out, with a warning, once it fails: no training is lost for a server that is away.

    Args:
        name: What it is called.
        inner: The tracker.
    """

    def __init__(self, name: str, inner: Listener) -> None:
        self.name, self.inner = name, inner
        self.failed = False

    def on(self, event: Event, training: Training) -> None:
        """Pass an event on, unless the tracker has failed."""
        if self.failed:
            return
        try:
            self.inner.on(event, training)
        except SenzaiError:
            raise
        except Exception as err:
            self.failed = True
            said = f"{type(err).__name__}: {err}"
            warnings.warn(
                f"The tracker {self.name!r} failed at step {training.progress.step} and is left out; training goes on. "
                f"{said[:300]}", UserWarning, stacklevel=2,
            )


def names_of(track: str | Sequence[str], *, tensorboard: bool = False) -> tuple[str, ...]:
    """Return the names of the trackers that were asked for, each known.

    Raises:
        UnknownNameError: There is no such tracker.

    Example:
        >>> names_of("mlflow", tensorboard=True), names_of(())
        (('mlflow', 'tensorboard'), ())
    """
    given = (track,) if isinstance(track, str) else tuple(track)
    names = tuple(dict.fromkeys((*given, *(("tensorboard",) if tensorboard else ()))))
    for name in names:
        _ = TRACKERS[name]
    return names


def scalars(event: Event) -> Iterator[tuple[str, float]]:
    """Yield name and value of what a tracker draws as a curve: ``train/...`` and ``validation/...``, where finite."""
    if isinstance(event, Progressed):
        yield from (("train/lr", event.lr), ("train/grad_norm", event.grad_norm))
        yield "train/samples_per_second", event.samples_per_second
    if isinstance(event, Progressed | Validated):
        kind = "train" if isinstance(event, Progressed) else "validation"
        for name, value in event.metrics.items():
            if isfinite(value):
                yield f"{kind}/{name}", value
