"""Sorting settings: one flat list of names from the user, for the data, the model and the loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...core.causal_graph import as_text
from ...core.errors import SettingError
from ...core.registry import suggestion
from ...data import KINDS, detect_kind
from ...data.options import dotted, gathered, names_of
from ...recipes import names
from ...training.settings import NESTED, TrainSettings

SPLIT_SEED = "split_seed"
LENGTHS = ("epochs", "steps")
GOING_ON = {*LENGTHS, "shard_model"}
"""Settings that may change when a run goes on."""


@dataclass(frozen=True)
class Request:
    """What the user asked for, sorted.

    Args:
        kind: Kind of the data.
        data: Options of the kind.
        model: Settings of the recipe's parts.
        training: Settings of the loop.
    """

    kind: str
    data: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    training: TrainSettings = field(default_factory=TrainSettings)


def sort_settings(source: object, kind: str | None, settings: Mapping[str, Any]) -> Request:
    """Sort settings into those of the data, of the model and of the loop.

    ``seed`` is the seed of training; the division into training, validation and test rows has its own,
    ``split_seed``, so that runs with several seeds see the same rows.

    Raises:
        SettingError: Nobody knows a setting; the nearest name is suggested.

    Example:
        >>> r = sort_settings("digits", None, {"lr": 0.01, "beta": 2.0, "split_seed": 3})
        >>> r.kind, r.training.lr, r.model, r.data
        ('images', 0.01, {'beta': 2.0}, {'seed': 3})
    """
    chosen = kind or detect_kind(source, settings)
    options, nested = set(names_of(KINDS[chosen].options)) - {"seed"}, dotted(KINDS[chosen].options)
    train = set(TrainSettings.model_fields)
    data: dict[str, Any] = {}
    model: dict[str, Any] = {}
    training: dict[str, Any] = {}
    settable = names()
    known = sorted({*options, *train, *settable, SPLIT_SEED})
    for name, value in settings.items():
        if name == SPLIT_SEED:
            data["seed"] = value
        elif "." in name and name.partition(".")[0] in nested:
            data |= gathered({**data, name: value}, nested)
        elif name in train or name.partition(".")[0] in NESTED:
            training[name] = value
        elif name in options:
            data[name] = value
        elif name.partition(".")[0] in settable:
            model[name] = value
        else:
            near = suggestion(name.partition(".")[0], known)
            raise SettingError(f"Unknown setting {name!r}.{near} Known: {', '.join(known)}.")
    return Request(chosen, data, model, TrainSettings.parse(training))


def as_written(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as they are saved: a graph that came as an object or a file is the text of its arrows.

    Example:
        >>> as_written({"graph": [("a", "b")], "lr": 0.1})
        {'graph': 'a>b', 'lr': 0.1}
    """
    return {k: as_text(v) if k == "graph" else v for k, v in settings.items()}


def lengthened(training: TrainSettings, more: Mapping[str, Any]) -> TrainSettings:
    """Return the settings of a run that goes on for more epochs or steps, or with the model divided or not.

    Raises:
        SettingError: A setting would change on which the numbers depend, or the run would become shorter.

    Example:
        >>> lengthened(TrainSettings(steps=100), {"steps": 200}).steps
        200
    """
    if wrong := sorted(set(more) - GOING_ON):
        raise SettingError(
            "A run goes on with its own settings; only epochs and steps can be raised, and shard_model set, but got "
            f"{', '.join(wrong)}. Train a new run for other settings."
        )
    if not set(more) & set(LENGTHS):
        return TrainSettings.parse({**training.model_dump(), **more}) if more else training
    if training.private is not None:
        raise SettingError(
            "A private run has spent its budget on the steps it was planned with, so it cannot be made longer. "
            "Train a new run with more steps and a budget of its own; both together cost the sum of their epsilons."
        )
    course = "one_cycle" if training.schedule == "follow" else training.schedule  # its length is known now
    new = TrainSettings.parse({**training.model_dump(), "epochs": None, "steps": None, "schedule": course, **more})
    for name in LENGTHS:
        old, now = getattr(training, name), getattr(new, name)
        if old is not None and now is not None and now < old and training.schedule != "follow":
            raise SettingError(f"A run can be made longer, not shorter: it has {name}={old}, but got {name}={now}.")
    return new
