"""Live progress on stderr, with rate and distortion shown separately where the model has them."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..core import terminal
from .events import Event, Failed, Finished, Interrupted, Progressed, Recovered, Started, Validated
from .loop import Training


class ProgressBar:
    """A bar that shows distortion and rate of training rows, else the headline, and the headline of validation rows."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or terminal.console(error=True)
        self.bar = Progress(
            TextColumn("[bold]training"), BarColumn(bar_width=24), MofNCompleteColumn(),
            TextColumn("{task.fields[numbers]}"), TimeRemainingColumn(), console=self.console, transient=False,
        )
        self.task = self.bar.add_task("training", total=None, numbers="")
        self.train = self.validation = ""

    def on(self, event: Event, training: Training) -> None:
        """Move the bar."""
        if isinstance(event, Started):
            self.bar.update(self.task, total=event.total_steps, completed=event.step)
            self.bar.start()
        elif isinstance(event, Progressed):
            m = event.metrics
            name, value = training.headline(m)
            parts = f"distortion {m['distortion']:.2f} + rate {m['rate']:.2f} nats" if name == "elbo" else ""
            self.train = f"{parts or f'{words(name)} {value:.4g}'} · {event.samples_per_second:,.0f} rows/s"
            self._show(event.step)
        elif isinstance(event, Validated):
            name, value = training.headline(event.metrics)
            self.validation = f"validation {words(name)} {value:.2f}{' *' if event.best else ''}"
            self._show(event.step)
        elif isinstance(event, Recovered):
            self.console.print(
                f"[yellow]step {event.step}: {escape(event.explanation)}. Back to step {event.back_to}, "
                f"learning rate x {event.lr_factor:g} ({event.tries_left} tries left).[/]"
            )
        elif isinstance(event, Finished | Interrupted | Failed):
            self.bar.stop()

    def _show(self, step: int) -> None:
        numbers = " · ".join(t for t in (self.train, self.validation) if t)
        self.bar.update(self.task, completed=step, numbers=numbers)


def words(name: str) -> str:
    """Return the name of a headline as people read it.

    Example:
        >>> words("elbo"), words("log_likelihood")
        ('ELBO', 'log likelihood')
    """
    return "ELBO" if name == "elbo" else name.replace("_", " ")
