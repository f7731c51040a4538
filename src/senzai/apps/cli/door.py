"""The list of commands, and the one place where an error becomes a message and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from ...core.errors import InputError, RunInterrupted, SenzaiError
from . import (
    comparing,
    complete,
    describing_tables,
    federate,
    judge,
    look,
    new,
    output,
    serve,
    share,
    studio,
    train,
    tuning,
    use,
)
from .listed import as_listed, registered

ABOUT = "Train, judge and use variational autoencoders: from a file on disk to a model that generates and explains."
WHERE = "[dim]Start with[/] senzai demo[dim], then[/] senzai fit DATA --out RUN[dim]. Each verb has[/] --help[dim].[/]"


class _Stopped(Exception):
    """Carries an interrupted run past the parser, which would treat it as a bare Ctrl-C."""

    def __init__(self, cause: RunInterrupted) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Door(TyperGroup):
    """Runs a verb; exit code 0 is done, 1 a run that failed, 2 a user's mistake, 130 and 143 a signal."""

    listing = False

    def main(self, args: Sequence[str] | None = None, *_: Any, **extra: Any) -> NoReturn:
        """Run the command line and leave with its exit code."""
        words = list(sys.argv[1:] if args is None else args)
        as_json = "--json" in words
        with output.only_a_document() if as_json else nullcontext(), output.warnings_in_words():
            code = self._run(words, as_json)
        sys.exit(code)

    def invoke(self, ctx: Any) -> Any:
        """Run a verb."""
        try:
            return super().invoke(ctx)
        except RunInterrupted as err:
            raise _Stopped(err) from err

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of this name: one of these, or one that is made from a verb."""
        own = super().get_command(ctx, cmd_name)
        if own is not None or not self.listing:
            from .outside import command_for

            return own or command_for(cmd_name)
        return as_listed(cmd_name.replace("-", "_"))

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands; in the help, verbs whose commands are made from them stand there too."""
        own = super().list_commands(ctx)
        made = [name.replace("_", "-") for name in registered()] if self.listing else []
        return [*own, *sorted(set(made) - set(own))]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, with every verb in its list."""
        self.listing = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self.listing = False

    def _run(self, words: list[str], as_json: bool) -> int:
        try:
            _check_words(words)
            done = super().main(args=words, prog_name="senzai", standalone_mode=False)
        except Exception as err:
            return _fail(err.cause if isinstance(err, _Stopped) else err, as_json)
        return done if isinstance(done, int) else 0


def _check_words(words: Sequence[str]) -> None:
    """Refuse words that no system can pass on or open; click would look for a file of that name before a verb does."""
    for word in words:
        if "\0" in word or any("\ud800" <= letter <= "\udfff" for letter in word):
            raise InputError(
                f"A word of a command is UTF-8 without a zero byte, but got {word[:80]!a}. Rename the file."
            )


def _fail(err: BaseException, as_json: bool) -> int:
    """Say what went wrong, and return the exit code."""
    code, message = _judged(err)
    out = output.console(error=True)
    if message and (usage := _usage(err)):
        out.print(usage, markup=False)
    if message:  # there is none where no verb was given, and the help is the answer
        out.print("[bold red]Error:[/] ", end="")
        out.print(message, markup=False)
    if os.environ.get("SENZAI_DEBUG") == "1":
        import traceback

        out.print("".join(traceback.format_exception(err)), markup=False)
    if as_json:
        output.reply(True, {"error": {"type": type(err).__name__, "message": message, "exit_code": code}})
    return code


def _judged(err: BaseException) -> tuple[int, str]:
    if isinstance(err, SenzaiError | RunInterrupted):
        return err.exit_code, str(err)
    if callable(tell := getattr(err, "format_message", None)):  # a word that the parser did not understand
        return int(getattr(err, "exit_code", 2)), tell()
    if isinstance(err, typer.Abort):
        return 130, "Stopped."
    if isinstance(err, OSError) and err.errno is not None:
        place = f" ({err.filename})" if err.filename else ""
        return 2, f"The system refused to read or write: {err.strerror}{place}. Check the place and its free space."
    if isinstance(err, MemoryError) or type(err).__name__ == "OutOfMemoryError":
        return 1, f"There is not enough memory ({err}). Try --set batch_size=... or --set accumulate=4."
    return 1, (
        f"This is a bug in senzai: {type(err).__name__}: {err}. "
        "Set SENZAI_DEBUG=1 to see where, and please report it with the command you gave."
    )


def _usage(err: BaseException) -> str:
    context = getattr(err, "ctx", None)
    return f"{context.get_usage()}\nTry: {context.command_path} --help" if context is not None else ""


app = typer.Typer(
    cls=Door, help=ABOUT, epilog=WHERE, no_args_is_help=True, rich_markup_mode="rich",
    pretty_exceptions_enable=False, context_settings={"help_option_names": ["--help", "-h"]},
)


def _version(asked: bool) -> None:
    if asked:
        from ... import __version__

        typer.echo(f"senzai {__version__}")
        raise typer.Exit


@app.callback()
def _start(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Nothing to do before a verb."""


def _verb(panel: str, function: Callable[..., None], *examples: str) -> None:
    shown = "\n\n".join(("[dim]Example[/]", *(f"  {line}".replace("[", "\\[") for line in examples)))
    app.command(rich_help_panel=panel, epilog=shown)(function)


_verb("Train", train.demo, "senzai demo")
_verb("Train", train.fit, "senzai fit digits --out runs/digits", "senzai fit rows.csv --out runs/rows --set n_latent=8")
_verb("Train", train.resume, "senzai resume runs/digits --set epochs=200")
_verb("Train", tuning.tune, "senzai tune people.csv --out tuned --trials 50 --processes 2",
      "senzai tune digits --out tuned --space n_latent=2..32 --space lr=1e-4..1e-2:log --set epochs=20")
app.add_typer(federate.app, name="federate", rich_help_panel="Train")
_verb("Judge", judge.evaluate, "senzai evaluate runs/digits digits --k 500")
_verb("Judge", judge.diagnose, "senzai diagnose runs/digits", "senzai diagnose runs/digits --cure --out runs/better")
_verb("Judge", judge.compare, "senzai compare runs/digits runs/better")
_verb("Judge", comparing.families, "senzai families digits --minutes 10 --out runs/families")
_verb("Judge", judge.report, "senzai report runs/digits -o digits.html")
_verb("Use", use.sample, "senzai sample runs/digits -n 9 --seed 1 -o new.npy", "senzai sample runs/digits -o sheet.png")
_verb("Use", use.encode, "senzai encode runs/digits digits -o codes.csv")
_verb("Use", use.reconstruct, "senzai reconstruct runs/digits digits -o again.npy")
_verb("Use", use.predict, "senzai predict runs/m2 digits -o classes.csv")
_verb("Use", use.interpolate, "senzai interpolate runs/digits digits:0 digits:7 --steps 9 -o way.png")
_verb("Use", use.traverse, "senzai traverse runs/digits digits:0 --dim 3 -o dim3.png")
_verb("Use", complete.score, "senzai score runs/people people.csv --shares --false-alarm 0.01 -o scores.csv")
_verb("Use", complete.impute, "senzai impute runs/people people.csv -o whole.csv",
      "senzai impute runs/people people.csv --draws 5 -o five.csv")
_verb("Use", complete.augment, 'senzai augment runs/people --column income --value ">50K" -n 500 -o more.csv')
_verb("Share", serve.serve, "senzai serve runs/people --port 8000",
      "senzai serve runs --host 0.0.0.0 --token-file token")
_verb("Share", share.pack, "senzai pack runs/digits -o digits.zip", "senzai sample digits.zip -o new.npy")
_verb("Share", share.push, "senzai push runs/digits user/digits", "senzai sample hf://user/digits -o new.npy")
_verb("Look", look.info, "senzai info runs/digits", "senzai info rows.csv")
_verb("Look", describing_tables.schema, "senzai schema people.csv -o schema.json")
_verb("Look", look.recipes, "senzai recipes")
_verb("Look", look.kinds, "senzai kinds --json")
_verb("Look", studio.studio, "senzai studio", "senzai studio runs --port 9000")
_verb("Extend", new.new, "senzai new part wide_normal", "senzai new kind spectra --out ../senzai-spectra")
_verb("Look", look.verbs, "senzai verbs")


def main() -> NoReturn:
    """Run the command line on the arguments of this process."""
    app()
    raise SystemExit(0)
