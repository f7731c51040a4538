"""Commands of verbs that have none here, those of other packages above all: made from the signature of the verb."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import typer
from typer import Argument, Option

from ...core.docstrings import argument_help
from ...core.errors import SettingError, UnknownNameError
from .arriving import STANDARD_INPUT, answer_lines
from .files import in_form_for, refuse_existing, write_codes, write_rows
from .loading import read_for, run_for
from .options import Data, File, Json, Overwrite, OwnData, Reading, RunFolder, place
from .output import plain, reply
from .settings import parse_given, parse_set, parse_value
from .use import ROW, row_of

if TYPE_CHECKING:
    from ...runs import Run
    from ...runs.verbs.registry import Takes, Verb

PLAIN = (bool, int, float, str, Path)
MAPPINGS = (dict, Mapping)
SEVERAL = (tuple, list, Sequence, *MAPPINGS)
OneRow = Annotated[str, Argument(metavar="DATA", help=ROW, show_default=False)]
Runs = Annotated[list[Path], Argument(metavar="RUN...", help="Folders of other runs.", show_default=False)]
Number = Annotated[int, Option("-n", "--number", min=1, help="How many.")]
ARGUMENTS: Mapping[Takes, tuple[Any, ...]] = {
    "nothing": (), "number": (Number,), "rows": (Data,), "own rows": (OwnData,), "one row": (OneRow,),
    "two rows": (OneRow, OneRow), "runs": (Runs,),
}
READS = ("rows", "own rows", "one row", "two rows")
Maybe = Annotated[Path | None, Option("--output", "-o", metavar="FILE", help="Where to.", callback=place)]
SHOWN = 60
"""Lines of a table that are printed where it is not written to a file."""
DEFAULTS: Mapping[Takes, Any] = {"number": 100, "own rows": None}
WRITES = ("rows", "codes", "scores")
WITH_SUFFIXES = (".csv", ".tsv", ".parquet")


def command_for(name: str) -> Any:
    """Return the command of a verb, or ``None`` where nobody registered one under this name."""
    from ...runs.verbs.registry import verb_named

    try:
        found = verb_named(name.replace("-", "_"))
    except UnknownNameError:
        return None
    helped = {"help_option_names": ["--help", "-h"]}
    alone = typer.Typer(add_completion=False, rich_markup_mode="rich", context_settings=helped)
    alone.command(found.name)(as_function(found))
    return typer.main.get_command(alone)


def as_function(verb: Verb) -> Callable[..., None]:
    """Return what Typer reads the command from: a function with the types of the verb, and its arguments as words."""
    helps = argument_help(verb.run if verb.settings is None else verb.settings)
    words = {p.name: as_word(p, helps.get(p.name, "")) for p in verb.parameters if can_be_typed(verb, p)}
    inputs = tuple(p.name for p in verb.inputs)

    def command(**given: Any) -> None:
        settings = {name: read(given.pop(name)) for name, (_, read) in words.items()}
        _carry_out(verb, tuple(given.pop(name) for name in inputs), settings, **given)

    parameters = [_keyword("run_", RunFolder)]
    default = DEFAULTS.get(verb.takes, inspect.Parameter.empty)
    kinds = zip(inputs, ARGUMENTS[verb.takes], strict=True)
    parameters += [_keyword(name, kind, default) for name, kind in kinds]
    parameters += [parameter for parameter, _ in words.values()]
    if verb.takes in READS and "set" not in words:  # a verb may have the option for values of its own
        parameters.append(_keyword("reading_", Reading, None))
    if verb.answers in WRITES:
        optional = (Maybe, None) if verb.answers == "scores" else (File,)
        parameters += [_keyword("output_", *optional), _keyword("overwrite_", Overwrite, False)]
    elif any(_is_output(verb, p) for p in verb.parameters):
        parameters += [_keyword("output_", Maybe, None), _keyword("overwrite_", Overwrite, False)]
    parameters.append(_keyword("as_json_", Json, False))
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what inspect looks at first
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    command.__doc__ = verb.summary + ("" if verb.package == "senzai" else f" [dim](from {verb.package})[/]")
    return command


def can_be_typed(verb: Verb, parameter: inspect.Parameter) -> bool:
    """Whether a setting is an option: not where only Python can give it and there is a default.

    Raises:
        SettingError: Only Python can give it, and there is no default.
    """
    kind, _ = _without_none(parameter.annotation)
    anything = kind in (Any, object, inspect.Parameter.empty) or kind in PLAIN
    if anything or get_origin(kind) in (Literal, *SEVERAL) or kind in SEVERAL:
        return not _is_output(verb, parameter)
    if parameter.default is inspect.Parameter.empty:
        raise SettingError(
            f"A verb is a command where its settings can be typed, but {verb.name!r} needs {parameter.name!r}, a "
            f"{getattr(kind, '__name__', kind)}. Give it a default, or use it from Python: run.{verb.name}(...)."
        )
    return False


def _is_output(verb: Verb, parameter: inspect.Parameter) -> bool:
    return verb.answers == "file" and parameter.name == "path"


def _keyword(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


# --- settings -------------------------------------------------------------------------------------------------------
def as_word(parameter: inspect.Parameter, told: str) -> tuple[inspect.Parameter, Callable[[Any], Any]]:
    """Return a setting as an option of the command line, and how what was typed becomes the setting.

    Numbers, text, paths, switches and choices are what they are; several values are typed with commas, a mapping as
    NAME=VALUE, repeated; anything else as in ``--set``.
    """
    kind, optional = _without_none(parameter.annotation)
    empty = parameter.default is inspect.Parameter.empty
    name = parameter.name.rstrip("_")  # from_: a word that Python keeps for itself
    flags = (f"--{name.replace('_', '-')}", *([f"-{parameter.name}"] if len(parameter.name) == 1 else []))
    if kind in PLAIN or get_origin(kind) is Literal:
        typed = kind | None if optional else kind
        return _keyword(parameter.name, Annotated[typed, _option(kind, flags, told)], parameter.default), _same
    if get_origin(kind) in MAPPINGS or kind in MAPPINGS:
        several = Annotated[list[str] | None, Option(*flags, metavar="NAME=VALUE", help=told)]
        return _keyword(parameter.name, several, None), lambda words: parse_given(words or []) or parameter.default
    one = (get_args(kind) or (Any,))[0] if get_origin(kind) in (tuple, list, Sequence) else None
    read = parse_value if one is None else lambda text: tuple(_one(part, one) for part in text.split(","))
    metavar = "VALUE" if one is None else "VALUES"
    text = Annotated[str | None, Option(*flags, metavar=metavar, help=told, show_default=False)]
    required = Annotated[str, Option(*flags, metavar=metavar, help=told)]
    default = inspect.Parameter.empty if empty else None
    return (
        _keyword(parameter.name, required if empty else text, default),
        lambda typed: parameter.default if typed is None else read(typed),
    )


def _option(kind: Any, flags: tuple[str, ...], told: str) -> Any:
    return Option(*([f"{flags[0]}/--no-{flags[0][2:]}"] if kind is bool else flags), help=told)


def _same(value: Any) -> Any:
    return value


def _one(text: str, kind: Any) -> Any:
    return kind(text.strip()) if kind in (int, float, str) else parse_value(text.strip())


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [a for a in get_args(annotation) if a is not type(None)]
        return (kinds[0] if len(kinds) == 1 else Any), True
    return annotation, False


# --- doing ----------------------------------------------------------------------------------------------------------
def _carry_out(
    verb: Verb, inputs: Sequence[Any], settings: dict[str, Any], *, run_: Path, reading_: list[str] | None = None,
    output_: Path | None = None, overwrite_: bool = False, as_json_: bool,
) -> None:
    """Do a verb, write what it answers, and say so."""
    from ...data import Dataset

    if output_ is not None:
        refuse_existing(output_, overwrite_)
    model = run_for(verb.name, run_)
    if verb.takes == "rows" and inputs[0] == STANDARD_INPUT:
        answer_lines(verb, model, settings, output_, as_json=as_json_)
        return
    if verb.answers == "file" and output_ is not None:
        settings["path"] = output_
    given = _opened(model, verb, inputs, parse_set(reading_ or []))
    if verb.answers in ("codes", "scores"):
        given = [in_form_for(one, output_) if isinstance(one, Dataset) else one for one in given]
    answer = model.do(verb.name, *given, **settings)
    if output_ is None and callable(text := getattr(answer, "to_string", None)):
        said, lines = _said(answer, verb)
        table = {verb.name: answer.to_dict(orient="records")}
        reply(as_json_, table | said, plain_lines(text(index=False, max_rows=SHOWN)), *lines)
        return
    if verb.answers not in WRITES or output_ is None:
        document = as_document(answer, verb)
        reply(as_json_, document, *(f"[dim]  {plain(k)}  [/]{plain(v)}" for k, v in document.items()))
        return
    write_answer(answer, output_, verb, model)
    n = len(answer)
    document = {"out": str(output_), "n": n, **{k: v for k, v in settings.items() if _is_shown(v)}}
    notes = {} if verb.notes is None else {"assumptions": list(verb.notes(model.schema, model.model, settings))}
    said, lines = _said(answer, verb, but=notes)
    lines += [f"[dim]  {plain(note)}[/]" for note in notes.get("assumptions", ())]
    reply(as_json_, document | said | notes, f"{n:,} {verb.answers} are in {plain(output_)}", *lines)


def _said(answer: Any, verb: Verb, *, but: Collection[str] = ()) -> tuple[dict[str, Any], list[str]]:
    """Return what an answer says of itself (``attrs`` of a frame), and lines that print it, one for each note."""
    said = as_document(dict(getattr(answer, "attrs", {})), verb)
    notes = [f"[dim]  {plain(note)}[/]" for note in said.get("notes", ())]
    return said, [f"[dim]  {plain(k)}  [/]{plain(v)}" for k, v in said.items() if k not in (*but, "notes")] + notes


def plain_lines(text: str) -> str:
    """Return a table as it is, none of its cells read as markup."""
    return "\n".join(map(plain, text.splitlines()))


def _is_shown(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str | list | tuple)


def _opened(model: Run, verb: Verb, inputs: Sequence[Any], reading: dict[str, Any]) -> list[Any]:
    from ...runs import load

    if verb.takes == "rows":
        return [read_for(model, inputs[0], reading)]
    if verb.takes == "own rows" and inputs[0] is None and not reading and verb.inputs[0].default is None:
        return [None]  # it opens them where it needs them: a new user is given by a setting
    if verb.takes == "own rows":
        return [read_for(model, model.source(inputs[0]), reading)]
    if verb.takes in ("one row", "two rows"):
        return [row_of(model, text, reading) for text in inputs]
    return [[load(folder) for folder in inputs[0]]] if verb.takes == "runs" else list(inputs)


def as_document(answer: Any, verb: Verb) -> dict[str, Any]:
    """Return an answer as plain values by name."""
    from ...evaluation.results import plain as as_plain

    if verb.answers == "file":
        return {"out": str(answer)}
    found = as_plain(answer.document() if callable(getattr(answer, "document", None)) else answer)
    return dict(found) if isinstance(found, Mapping) else {verb.name: found}


def write_answer(answer: Any, output: Path, verb: Verb, model: Run) -> None:
    """Write rows as their kind does, and numbers of rows as a table or an array.

    Raises:
        InputError: The suffix is not one of these.
        OutputError: The file cannot be written.
    """
    import numpy as np
    import pandas as pd

    beside = output.suffix.lower() in model.kind.beside and not isinstance(answer, pd.DataFrame | np.ndarray)
    if verb.answers == "rows" or beside:
        write_rows(answer, output, model.schema)
        return
    if getattr(answer, "ndim", 0) == 1 and output.suffix.lower() in WITH_SUFFIXES:
        answer = pd.DataFrame({verb.name: np.asarray(answer)})
    write_codes(answer, output, [str(c) for c in answer.columns] if hasattr(answer, "columns") else None)
