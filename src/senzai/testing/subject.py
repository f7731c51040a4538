"""What is examined: an entry of a registry inside a small model, built as a user's settings would build it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from inspect import signature
from typing import Any

import torch

from ..core.batch import Batch
from ..core.errors import SettingError, UnknownNameError, UserError
from ..core.examples import Example, examples_of
from ..core.random import forked
from ..core.spec import REGISTRIES, name_of, registry, to_spec
from ..distributions.family import Family
from ..models.generative import Generative
from ..objectives.base import Objective
from ..recipes import RECIPES, Frame, Settings
from ..recipes.settings import SLOT_OF
from .data import DATA, N_CLASSES, Data

ROWS = 24
SMALL: Mapping[str, Any] = {"n_latent": 2, "hidden": (8,), "width": 4}
"""Settings that keep a model small; an example's own win."""

SMALL_PARTS: Mapping[str, Any] = {"hidden": (8,)}
DOTTED = ("prior", "posterior", "likelihood")
FRAMES: tuple[Mapping[str, int], ...] = (
    {}, {"n_condition": N_CLASSES}, {"n_classes": N_CLASSES}, {"n_classes": N_CLASSES, "n_condition": N_CLASSES},
)
TRIED = ("real", "binary", "pictures", "count", "category")
"""Data tried, in this order, for an entry that names none."""

LENGTH = 8
"""Steps of the training that schedules are told of."""

JITTER = 0.1
"""Spread of what is added to every fresh weight, so that nothing is at a special value such as zero."""


@dataclass(frozen=True)
class Subject:
    """An entry in one small construction.

    Args:
        entry: ``role/name``.
        example: How it is built, with everything decided.
        small: Settings that keep the rest small.
    """

    entry: str
    example: Example
    small: Mapping[str, Any] = field(default_factory=lambda: SMALL)

    @property
    def role(self) -> str:
        """Role of the entry, ``prior`` or ``recipe``, say."""
        return self.entry.partition("/")[0]

    @property
    def data(self) -> Data:
        """What the rows are."""
        return DATA[self.example.data or TRIED[0]]

    @property
    def event(self) -> tuple[int, ...]:
        """Shape of one row."""
        event: tuple[int, ...] = tuple(self.example.frame.get("event", self.data.event))
        return event

    def __str__(self) -> str:
        chosen = ", ".join(f"{k}={v}" for k, v in (self.example.settings or {}).items())
        about = ", ".join(f"{k}={v}" for k, v in self.example.frame.items())
        return " ".join(s for s in (f"recipe {self.example.recipe} on {self.example.data} data", chosen, about) if s)

    def batch(self, n: int = 6, *, seed: int = 1) -> Batch:
        """Return ``n`` rows."""
        frame = self.example.frame
        asked = {k: frame[k] for k in ("n_classes", "n_condition", "masked", "n_numbers") if k in frame}
        return self.data.rows(n, seed=seed, event=self.event, **asked)

    def other(self, *, settings: Mapping[str, Any] | None = None, **frame: Any) -> Subject:
        """Return the same entry with other settings or another frame."""
        now = self.example
        changed = {**(now.settings or {}), **(settings or {})}
        return replace(self, example=replace(now, settings=changed, frame={**now.frame, **frame}))

    def build(self) -> tuple[Generative, Objective]:
        """Return model and objective as the recipe makes them, with random weights.

        Raises:
            UserError: The parts refuse each other, or a setting was not used.
        """
        settings = dict(self.example.settings or {})
        given: dict[str, Any] = {
            "event": self.data.event, "ragged": self.data.ragged, "n_rows": ROWS,
            "n_labelled": ROWS if self.example.frame.get("n_classes") else 0, **self.example.frame,
        }
        frame = Frame(
            proposal=self.data.proposal, settings=Settings({**self.small, **settings}), **given,
            makers={} if self.example.make is None else {self.entry: self.example.make},
        )
        model, objective = RECIPES[self.example.recipe].make(frame)
        unused = [name for name in settings if name not in frame.settings.asked]
        if unused:
            raise SettingError(f"Every setting of an example is used, but {', '.join(unused)} was not ({self}).")
        model.check()
        objective.admit(model)
        return model, objective

    def fresh(self, seed: int = 0) -> tuple[Generative, Objective]:
        """Return model and objective ready to train: initialised from rows, equipped, every weight a little moved."""
        with forked(seed):
            model, objective = self.build()
            model.initialise(self.batch(ROWS, seed=2))
            objective.equip(model)
            with torch.no_grad():
                for p in model.parameters():
                    p.add_(JITTER * torch.randn_like(p))
        return model.train(), objective.over(LENGTH)

    def idle(self) -> dict[str, str]:
        """Return the patterns of parameters declared idle: by the entry, and by every part around it."""
        around = [example.idle for example in self._around()]
        return {pattern: why for found in (*around, self.example.idle) for pattern, why in found.items()}

    def excuse(self, exam: str) -> str | None:
        """Return why a part around the entry is excused from an exam, if one is."""
        return next((e.excused[exam] for e in self._around() if exam in e.excused), None)

    def _around(self) -> list[Example]:
        parts = sorted(name.split("/", 1) for name in self.names() - {self.entry})
        return [example for role, name in parts for example in examples_of(registry(role)[name])]

    def names(self) -> set[str]:
        """Return ``role/name`` of every part in model and objective."""
        with forked(0):
            model, objective = self.build()
        return set(parts_named(to_spec(model))) | set(parts_named(to_spec(objective)))


def parts_named(spec: Any) -> Iterator[str]:
    """Yield ``role/name`` of every part of a spec."""
    if isinstance(spec, list):
        for value in spec:
            yield from parts_named(value)
    elif isinstance(spec, dict):
        if "part" in spec:
            yield str(spec["part"])
        for value in spec.values():
            yield from parts_named(value)


# --- from a name to its constructions -------------------------------------------------------------------------------
def entry_of(what: Any) -> str:
    """Return ``role/name`` of an entry given by name, by class, or by the function of a recipe.

    Raises:
        UnknownNameError: Nothing of the kind is registered.
    """
    if not isinstance(what, str):
        name = getattr(what, "_senzai_name", None) or name_of(what)
        name = name or next((f"recipe/{n}" for n, r in RECIPES.items() if r.make is what), None)
        if name is None:
            raise UnknownNameError(f"An examined entry is registered, but {what!r} is not. Register it with `part`.")
        return str(name)
    role, _, short = what.partition("/")
    if role != "recipe" and role not in REGISTRIES:
        raise UnknownNameError(f"An entry is named role/name, with recipe or a role of parts, but got {what!r}.")
    _ = RECIPES[short] if role == "recipe" else registry(role)[short]
    return what


def entries(role: str | None = None) -> list[str]:
    """Return ``role/name`` of everything registered, or of one role.

    Example:
        >>> "prior/mixture" in entries("prior")
        True
    """
    found = {**{r: sorted(names) for r, names in REGISTRIES.items()}, "recipe": sorted(RECIPES)}
    if role is not None and role not in found:
        raise UnknownNameError(f"A role is one of {', '.join(found)}, but got {role!r}.")
    return [f"{r}/{name}" for r, names in found.items() for name in names if role in (None, r)]


_FOUND: dict[str, tuple[Any, tuple[Subject, ...]]] = {}


def subjects(entry: str) -> tuple[Subject, ...]:
    """Return the small constructions in which an entry is examined: those it declares, else what the rule finds.

    Raises:
        SettingError: No small construction has the entry in it.
    """
    role, _, name = entry.partition("/")
    defined: Any = RECIPES[name].make if role == "recipe" else registry(role)[name]
    if entry in _FOUND and _FOUND[entry][0] is defined:
        return _FOUND[entry][1]
    declared = examples_of(defined)
    found = tuple(_decided(entry, e) for e in declared) if declared else _guessed(entry, defined)
    _FOUND[entry] = (defined, found)
    return found


def _decided(entry: str, given: Example) -> Subject:
    """Return the first construction of an example that builds."""
    role, _, name = entry.partition("/")
    if role == "recipe":
        given = replace(given, recipe=name)
    elif given.settings is None:
        given = replace(given, settings=_chosen(role, name))
    said: list[str] = []
    frames = (given.frame,) if given.frame else FRAMES
    for data in (given.data,) if given.data else TRIED:
        for frame in frames:
            for small in (SMALL, {}):
                subject = Subject(entry, replace(given, data=data, frame=frame), small)
                try:
                    if subject.names() >= ({entry} if role != "recipe" else set()):
                        return subject
                    said.append("it is not in the model")
                except UserError as err:
                    said.append(str(err))
    raise SettingError(
        f"{entry} is examined in a small model, but none could be built: {' | '.join(dict.fromkeys(said))[:600]} "
        "Declare one with `senzai.core.examples.example`."
    )


def _chosen(role: str, name: str) -> dict[str, Any]:
    """Return the settings that choose a part."""
    slot = SLOT_OF.get(role, role)
    takes = signature(registry(role)[name]).parameters
    small = {f"{slot}.{k}": v for k, v in SMALL_PARTS.items() if k in takes and slot in DOTTED}
    return {slot: name, **small, **({"warmup.steps": 4} if role == "schedule" and "steps" in takes else {})}


def _guessed(entry: str, defined: Any) -> tuple[Subject, ...]:
    role, _, name = entry.partition("/")
    if role == "family":
        return _families(entry, defined)
    others = [] if role == "recipe" else ["vae", *(r for r in sorted(RECIPES) if r != "vae")]
    tries = [Example(), *(Example(r, settings={}) for r in others)]
    if role != "recipe" and _chosen(role, name):
        tries += [Example(r) for r in others[1:]]
    said = ""
    for given in tries:
        try:
            return (_decided(entry, given),)
        except SettingError as err:
            said = said or str(err)
    raise SettingError(said)


def _families(entry: str, defined: Any) -> tuple[Subject, ...]:
    """Return a family as a likelihood, as a posterior, or as both, whatever it can be."""
    name = entry.partition("/")[2]
    support = getattr(defined, "support", None)
    takes = signature(defined).parameters
    found = []
    latent_only = getattr(defined, "usual_prior", Family.usual_prior) != Family.usual_prior
    if support is not None and not latent_only:
        data = DATA[support]
        own = {f"likelihood.{k}": v for k, v in data.settings.items() if k in takes}
        found.append(Example(data=support, settings={"likelihood": name, **own}))
    if latent_only or support in (None, "real"):
        found.append(Example(data="real", settings={"posterior": name}))
    made = []
    for given in found:
        try:
            made.append(_decided(entry, given))
        except SettingError:
            if given is found[-1] and not made:
                raise
    return tuple(made)
