"""The registry of verbs: what can be done with a run, which runs it fits, and how several threads share it.

A verb is a function of a run and what it is given. :class:`senzai.Run` has it as a method, and the command line as a
command; both go through :func:`hold`, which says why a verb does not fit a run before any work, and holds the run's
lock. The modules of this package register the verbs that senzai has, packages from elsewhere their own.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any, Literal, TypeAlias, TypeVar

from torch import nn

from ...core.errors import CombinationError, SettingError
from ...core.random import derive
from ...core.registry import Registry
from ...data import Schema
from ...training.trained import Trained

Takes: TypeAlias = Literal["nothing", "number", "rows", "own rows", "one row", "two rows", "runs"]
"""What a verb is given first; ``own rows`` are those the run was trained on where no others are given."""
Answers: TypeAlias = Literal["rows", "codes", "scores", "document", "file"]
Unfit: TypeAlias = Callable[[Schema, nn.Module], str | None]
Notes: TypeAlias = Callable[[Schema, nn.Module, Mapping[str, Any]], tuple[str, ...]]
"""What an answer with these settings assumes, one sentence each."""
ByRow: TypeAlias = Callable[[Schema, nn.Module, Mapping[str, Any]], bool]
"""Whether, with these settings, what is said of a row depends on the row alone."""
Function = TypeVar("Function", bound=Callable[..., Any])

PACKAGE = __name__.rpartition(".")[0]
INPUTS: Mapping[Takes, int] = {
    "nothing": 0, "number": 1, "rows": 1, "own rows": 1, "one row": 1, "two rows": 2, "runs": 1,
}
"""Arguments of a verb after the run, by what it takes; all others are settings."""
BESIDE = ("curing", "sweep")
"""Modules of ``senzai.runs`` that train again and register a verb; they cannot be in this package."""


def parameters_of(function: Callable[..., Any]) -> tuple[inspect.Parameter, ...]:
    """Return the parameters of a function; types written as text are looked up, where they are to be found."""
    names = vars(importlib.import_module(function.__module__))

    def looked_up(annotation: Any) -> Any:
        try:
            return eval(annotation, names) if isinstance(annotation, str) else annotation
        except NameError:  # imported for type checkers only
            return annotation

    found = inspect.signature(function).parameters.values()
    return tuple(p.replace(annotation=looked_up(p.annotation)) for p in found)


def unless_seeded(schema: Schema, model: nn.Module, settings: Mapping[str, Any]) -> bool:
    """Say that a row's answer depends on the row alone, but with a seed: rows that are alike get draws of their own."""
    return settings.get("seed") is None


def fits_every_run(schema: Schema, model: nn.Module) -> None:
    """Accept every run."""


@dataclass(frozen=True, kw_only=True)
class Verb:
    """Something to do with a run.

    Args:
        name: Its name: of the method, and of the command.
        group: What it is listed with: ``Use``, ``Judge``, ``Look``, or a word of one's own.
        run: Does it: called with the run, what the verb takes, and its settings by keyword.
        takes: What it is given.
        answers: What comes back: rows or codes or scores of rows (arrays or frames), a document (a mapping of plain
            values, or something with ``document()``), or the path of a file that was written.
        unfit: Why the verb cannot be used with a run, as one sentence with the way out; ``None`` where it can.
        summary: One sentence.
        settings: Frozen dataclass of its settings, given to ``run`` as the last argument; ``None`` where these are
            plain keywords of ``run``.
        steered: Whether draws from torch's global generator are given numbers of a generator of the verb's own, which
            its setting ``seed`` seeds; a verb that has generators of its own does without.
        by_row: Whether the numbers that it answers for a row depend on that row alone, with settings that were given;
            rows of several who ask may then be answered by one call. ``None`` says never.
        together: Whether what it answers for a row depends on the other rows that are given, or on their number, so
            that it is not done with parts of them.
        own_hand: Whether it acts in the user's name beyond the run (a file somewhere, an upload), so that no server
            does it for whoever asks.
        notes: What is to be said with every answer: what it assumes.
        arriving: Called with the run and the settings, returns what takes steps as they come (``push`` and ``finish``),
            for verbs that need not see everything before they answer.
    """

    name: str
    group: str
    run: Callable[..., Any]
    takes: Takes
    answers: Answers
    unfit: Unfit = fits_every_run
    summary: str = ""
    settings: type[Any] | None = None
    steered: bool = True
    by_row: ByRow | None = None
    together: bool = False
    own_hand: bool = False
    notes: Notes | None = None
    arriving: Callable[..., Any] | None = None

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or self.name.startswith("_"):
            raise SettingError(f"A verb is called by a name of Python, but got {self.name!r}. Choose another.")
        inputs = list(inspect.signature(self.run).parameters.values())[1:]
        if len(inputs) < INPUTS[self.takes]:
            raise SettingError(
                f"The verb {self.name!r} takes {self.takes}, so that its function needs {INPUTS[self.takes]} "
                f"arguments after the run, but it has {len(inputs)}. Change one of the two."
            )

    @property
    def package(self) -> str:
        """Package that registered it, or the module where that is in no package."""
        known = VERBS.package_of(self.name) if self.name in VERBS else None
        return known or str(self.run.__module__).partition(".")[0]

    @property
    def inputs(self) -> tuple[inspect.Parameter, ...]:
        """The arguments that it takes after the run."""
        return self._after_run()[: INPUTS[self.takes]]

    @property
    def parameters(self) -> tuple[inspect.Parameter, ...]:
        """Its settings, with their types and defaults."""
        if self.settings is not None:
            return parameters_of(self.settings)
        return self._after_run()[INPUTS[self.takes] :]

    def _after_run(self) -> tuple[inspect.Parameter, ...]:
        return parameters_of(self.run)[1:]

    def need(self, schema: Schema, model: nn.Module) -> None:
        """Refuse a run that the verb does not fit.

        Raises:
            CombinationError: It does not; the message says why, and the way out.
        """
        why = self.unfit(schema, model)
        if why is not None:
            raise CombinationError(why)

    def __call__(self, run: Trained, *inputs: Any, **settings: Any) -> Any:
        """Do it, with a run that is held already."""
        with self._drawing(settings.get("seed")):
            if self.settings is not None:
                return self.run(run, *inputs, self.settings(**settings))
            return self.run(run, *inputs, **settings)

    def _drawing(self, seed: object) -> Any:
        if not self.steered:
            return nullcontext()
        from ...core.local_random import locally_seeded

        return locally_seeded(derive(seed if isinstance(seed, int) else secrets.randbits(62), "verb", self.name))


VERBS: Registry[Verb] = Registry("verb")


def verb(
    name: str, *, group: str, takes: Takes, answers: Answers, unfit: Unfit = fits_every_run, summary: str = "",
    settings: type[Any] | None = None, steered: bool = True, by_row: ByRow | None = None, together: bool = False,
    own_hand: bool = False, notes: Notes | None = None, arriving: Callable[..., Any] | None = None,
) -> Callable[[Function], Function]:
    """Return a decorator that registers a function as a verb; see :class:`Verb`.

    Example:
        >>> from senzai.runs.verbs.registry import VERBS, verb
        >>> @verb("count_rows", group="Look", takes="rows", answers="document")
        ... def count_rows(run, data, *, twice: bool = False):
        ...     '''Say how many rows there are.'''
        ...     return {"rows": len(run.dataset(data)) * (2 if twice else 1)}
        >>> from senzai.runs import fit
        >>> fit("digits", steps=1, n_latent=2).count_rows("digits", twice=True)
        {'rows': 3594}
        >>> VERBS.pop("count_rows").summary
        'Say how many rows there are.'
    """

    def keep(function: Function) -> Function:
        first = (inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " ")
        VERBS.add(name)(Verb(
            name=name, group=group, run=function, takes=takes, answers=answers, unfit=unfit,
            summary=summary or first, settings=settings, steered=steered, by_row=by_row, together=together,
            own_hand=own_hand, notes=notes, arriving=arriving,
        ))
        return function

    return keep


# --- finding --------------------------------------------------------------------------------------------------------
def verb_named(name: str) -> Verb:
    """Return a verb; of those that senzai has, only the module that registers it is loaded.

    Raises:
        UnknownNameError: There is none of this name.
    """
    if name in _modules():
        importlib.import_module(f"{PACKAGE}.{name}")
    else:
        _load_all()
    return VERBS[name]


def every_verb() -> Mapping[str, Verb]:
    """Return all verbs, those of other packages too, by name in the order of their groups."""
    _load_all()
    return dict(sorted(VERBS.items(), key=lambda item: (item[1].group, item[0])))


@cache
def _modules() -> frozenset[str]:
    return frozenset(module.name for module in pkgutil.iter_modules(importlib.import_module(PACKAGE).__path__))


def beside(name: str) -> ModuleType:
    """Return a module beside the verbs: one that trains, and training takes verbs along."""
    return importlib.import_module(f"{PACKAGE.rpartition('.')[0]}.{name}")


@cache
def _load_all() -> None:
    """Load every module that registers a verb of senzai: a name of theirs is not left to other packages."""
    for name in sorted(_modules()):
        importlib.import_module(f"{PACKAGE}.{name}")
    for name in BESIDE:
        beside(name)


def served_verbs() -> Mapping[str, Verb]:
    """Return the verbs that a server may do for whoever asks: all but those that act in the user's name."""
    return {name: found for name, found in every_verb().items() if not found.own_hand}


def fitting(schema: Schema, model: nn.Module) -> dict[str, str | None]:
    """Return for each verb ``None`` where it fits a run, else why it does not."""
    return {name: found.unfit(schema, model) for name, found in every_verb().items()}


# --- doing ----------------------------------------------------------------------------------------------------------
def do(run: Trained, name: str, /, *inputs: Any, **settings: Any) -> Any:
    """Do a verb with a run that is not held yet.

    Raises:
        UnknownNameError: There is none of this name.
        CombinationError: It does not fit the run.
    """
    found = verb_named(name)
    with hold([run, *(_runs_of(inputs[0]) if found.takes == "runs" and inputs else ())]):
        found.need(run.schema, run.model)
        return found(run, *inputs, **settings)


@contextmanager
def hold(runs: Iterable[Trained]) -> Iterator[None]:
    """Hold the locks of runs inside the block; always in one order, so that two threads never block each other."""
    with ExitStack() as held:
        for run in sorted(set(runs), key=id):
            held.enter_context(run.lock)
        yield


def _runs_of(given: Any) -> list[Trained]:
    if isinstance(given, Mapping):
        return list(given.values())
    return list(given) if isinstance(given, list | tuple) else [given]
