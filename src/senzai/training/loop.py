"""The one training loop. It yields events; whoever consumes them decides when to save, show or stop."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from ..core.errors import SettingError, TrainingError
from ..core.random import Noise, derive, using
from ..models.base import LatentModel
from ..nn.precision import native_bf16
from ..objectives.base import Objective
from . import autopsy
from .comms import Comms
from .events import Event, Finished, Interrupted, Progressed, Recovered, Started, Validated
from .feed import Feed
from .schedules import Plateau, learning_rate_factor
from .settings import TrainSettings
from .signals import Interrupt
from .step import Stepper, watched
from .weights import Average, Snapshot, clone

BF16_FROM_PARAMETERS = 200_000
"""Below this many parameters casting costs more than the faster products save (``benchmarks/precision.py``)."""


@dataclass(frozen=True)
class Progress:
    """Where a run stands; everything a resumed run needs besides tensors."""

    step: int = 0
    best_step: int = 0
    best_loss: float = float("inf")
    since_best: int = 0
    recoveries: int = 0
    lr_factor: float = 1.0
    plateau: float = 1.0
    best_elbo: float = float("-inf")
    rows: int = 0
    done: bool = False


class Training:
    """A run: model, objective, feeds, settings, and where it stands.

    Args:
        model: What is trained, on its device already.
        objective: What is minimised.
        feed: Training rows.
        validation: Validation rows, or ``None``: then the last weights are kept.
        settings: How to train.
        comms: The processes of this run.
        interrupt: Asked once per step whether a signal came.

    Raises:
        CombinationError: The objective cannot train this model.
        SettingError: The warm-up would not finish.
    """

    def __init__(
        self, model: LatentModel, objective: Objective, feed: Feed, settings: TrainSettings, *,
        validation: Feed | None = None, comms: Comms | None = None, interrupt: Interrupt | None = None,
    ) -> None:
        objective.check(model)
        self.model, self.objective, self.feed, self.validation = model, objective, feed, validation
        settings = settings.resolved(feed.plan.batch_size)
        self.settings, self.comms = settings, comms or Comms()
        self.interrupt = interrupt or Interrupt()
        self.device = feed.device
        self.total_steps = settings.total_steps(feed.plan.steps_per_epoch)
        check_warmup(objective, self.total_steps)
        self.validate_every = settings.validate_every or max(feed.plan.steps_per_epoch, self.total_steps // 200)
        self.dtype = network_dtype(settings.precision, model, self.device)
        self.steppers = [
            Stepper(model, p, settings, device=self.device, comms=self.comms, dtype=self.dtype)
            for p in objective.players(model)
        ]
        self.average = Average(model, settings.ema) if settings.ema else None
        self.plateau = Plateau(active=settings.schedule == "plateau")
        self.progress = Progress()
        self.best: dict[str, Tensor] | None = None
        self.good = self.snapshot()
        self.stop_early = False

    # --- state ------------------------------------------------------------------------------------------------------
    def snapshot(self) -> Snapshot:
        """Return a copy of all that training changes."""
        return Snapshot.of(self.model, [s.optimiser for s in self.steppers], self.average, self.progress.step)

    def restore(self, state: Snapshot) -> None:
        """Put back what :meth:`snapshot` copied."""
        state.put(self.model, [s.optimiser for s in self.steppers], self.average)

    def resume(self, state: Snapshot, best: dict[str, Tensor] | None, progress: Progress) -> None:
        """Continue from a checkpoint."""
        self.restore(state)
        self.best, self.progress, self.good = best, progress, state
        self.plateau.factor = progress.plateau

    def facts(self) -> dict[str, float | int | bool]:
        """Return the progress as plain values."""
        return asdict(replace(self.progress, plateau=self.plateau.factor))

    # --- the loop ---------------------------------------------------------------------------------------------------
    def events(self) -> Iterator[Event]:
        """Train, yielding what happens. Set ``stop_early`` while handling an event to stop after it."""
        began = time.perf_counter()
        yield self._started()
        meter = Meter()
        self.model.train()
        while self.progress.step < self.total_steps and not self.stop_early:
            for event in self._stretch(meter, began):
                yield event
                if isinstance(event, Interrupted):
                    return
                if self.stop_early:
                    break
        early = self.progress.step < self.total_steps
        self._settle()
        yield Finished(self.progress.step, self.progress.best_step, early, time.perf_counter() - began)

    def _started(self) -> Started:
        n = sum(p.numel() for p in self.model.parameters())
        plan = self.feed.plan
        precision = "bf16" if self.dtype is torch.bfloat16 else "fp32"
        return Started(self.progress.step, self.total_steps, plan.steps_per_epoch, plan.batch_size, n, precision)

    def _stretch(self, meter: Meter, began: float) -> Iterator[Event]:
        """Run until the end, or until a recovery has moved the run back."""
        for step, pieces in self.feed.run(self.progress.step, self.total_steps):
            rate = self._set_rates(step)
            fine: Tensor | None = None
            for stepper in self.steppers:
                sums, norm, ok = stepper(pieces, step)
                fine = ok if fine is None else fine & ok
                meter.add(stepper.loss.names, sums, norm, rows=pieces[0].total)
            assert fine is not None  # an objective has at least one player
            meter.watch(fine)
            if self.average is not None:
                self.average.update(self.model)
            self.progress = replace(self.progress, step=step + 1, rows=self.progress.rows + pieces[0].total)
            look = (step + 1) % self.settings.log_every == 0 or step + 1 == self.total_steps
            check = (step + 1) % self.validate_every == 0 or step + 1 == self.total_steps
            if (self.device.type == "cpu" or look or check) and meter.failed():
                meter.reset()
                yield self._recover(step)
                return
            if look:
                yield meter.event(self, rate, began)
            if check:
                yield self._validate(began)
            signal = self.interrupt.requested(self.comms)
            if signal:
                yield Interrupted(self.progress.step, signal)
                return

    def _set_rates(self, step: int) -> float:
        s = self.settings
        factor = learning_rate_factor(s.schedule, step, self.total_steps, s.lr_warmup)
        factor *= self.progress.lr_factor * self.plateau.factor
        return [stepper.set_rate(factor) for stepper in self.steppers][0]

    def _recover(self, step: int) -> Recovered:
        """Explain, go back to the last good state and lower the learning rate; give up after a few tries."""
        with using(Noise.seeded(derive(self.settings.seed, "step", self.steppers[0].player.name, step))):
            piece = self.feed.at(step)[0]
            text = autopsy.explain(self.model, self.steppers[0].player, piece.batch, step)
        tries = self.settings.recoveries - self.progress.recoveries - 1
        if tries < 0:
            self.restore(self.good)
            raise TrainingError(
                f"The loss must stay finite, but at step {step + 1} {text}. Going back and halving the learning rate "
                f"{self.settings.recoveries} times did not help. Lower lr, set clip=1, or choose a likelihood with "
                "heavier tails; the last good state was kept."
            )
        self.restore(self.good)
        factor = self.progress.lr_factor / 2
        self.progress = replace(
            self.progress, step=self.good.step, recoveries=self.progress.recoveries + 1, lr_factor=factor
        )
        return Recovered(step + 1, self.good.step, tries, factor, text)

    # --- validation -------------------------------------------------------------------------------------------------
    def _validate(self, began: float) -> Validated:
        if self.average is not None:
            with self.average.applied(self.model):
                metrics = self.evaluate()
        else:
            metrics = self.evaluate()
        settled = self.progress.step >= self.objective.settled_after
        best = settled and metrics["loss"] < self.progress.best_loss
        if best:
            self.best = clone(self.average.state(self.model) if self.average else self.model.state_dict())
            self.progress = replace(
                self.progress, best_step=self.progress.step, best_loss=metrics["loss"],
                best_elbo=metrics["elbo"], since_best=0,
            )
        elif settled:
            self.progress = replace(self.progress, since_best=self.progress.since_best + 1)
        self.plateau.observe(self.progress.since_best)
        self.good = self.snapshot()
        epoch = self.progress.step / self.feed.plan.steps_per_epoch
        return Validated(
            self.progress.step, epoch, metrics, best, self.progress.best_step, self.progress.since_best, settled,
            time.perf_counter() - began,
        )

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Return means over the validation rows with settled weights and noise that never changes."""
        feed = self.validation or self.feed
        self.model.eval()
        sums: dict[str, Tensor] = {}
        rows = 0
        first = self.steppers[0].player
        step = max(self.progress.step, self.objective.settled_after)
        for i in range(feed.plan.steps_per_epoch):
            for piece in feed.at(i):
                seed = derive(self.settings.seed, "validation", i)
                noise = Noise.seeded(seed, device=self.device, offset=piece.offset, total=piece.total)
                with using(noise):
                    terms = watched(first.loss(self.model, piece.batch, step))
                for k, v in terms.items():
                    sums[k] = sums.get(k, torch.zeros((), dtype=torch.float64)) + v.double().sum().cpu()
            rows += pieces_total(feed, i)
        self.model.train()
        totals = self.comms.sum(torch.stack(list(sums.values()))) / rows
        found = dict(zip(sums, totals.tolist(), strict=True))
        found["elbo"] = -(found["distortion"] + found["rate"])
        return found

    def _settle(self) -> None:
        """Leave the best weights in the model."""
        if self.best is not None:
            self.model.load_state_dict(self.best)
        elif self.average is not None:
            self.model.load_state_dict(self.average.state(self.model))
        self.model.eval()
        self.progress = replace(self.progress, done=True)


def pieces_total(feed: Feed, position: int) -> int:
    """Return the number of rows, over all processes, of the batch at a position of an epoch."""
    plan = feed.plan
    return min(plan.batch_size, plan.n_rows - position * plan.batch_size)


class Meter:
    """Sums on the device since the last look, read only when somebody looks."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self.names: tuple[str, ...] = ()
        self.sums: Tensor | None = None
        self.norm: Tensor | None = None
        self.fine: Tensor | None = None
        self.rows = self.steps = 0
        self.began = time.perf_counter()

    def add(self, names: tuple[str, ...], sums: Tensor, norm: Tensor, *, rows: int) -> None:
        """Add what one player saw; only the first player of a step is shown."""
        if self.names and names != self.names:
            return
        self.names = names
        self.sums = sums if self.sums is None else self.sums + sums
        self.norm = norm
        self.rows += rows
        self.steps += 1

    def watch(self, fine: Tensor) -> None:
        """Remember whether everything was finite."""
        self.fine = fine if self.fine is None else self.fine & fine

    def failed(self) -> bool:
        """Whether something was not finite since the last look (this synchronises)."""
        return self.fine is not None and not bool(self.fine)

    def event(self, training: Training, rate: float, began: float) -> Progressed:
        """Return the means and start again."""
        assert self.sums is not None and self.norm is not None  # called after at least one step
        means = (training.comms.sum(self.sums) / self.rows).tolist()
        now = time.perf_counter()
        step = training.progress.step
        found = Progressed(
            step, step / training.feed.plan.steps_per_epoch, dict(zip(self.names, means, strict=True)), rate,
            float(self.norm), self.rows / max(1e-9, now - self.began), now - began,
        )
        self.reset()
        return found


def check_warmup(objective: Objective, total_steps: int) -> None:
    """Refuse a warm-up that training would not reach the end of.

    Raises:
        SettingError: The weight of the rate would never arrive.
    """
    if objective.settled_after > total_steps:
        raise SettingError(
            f"The warm-up must finish during training, but it takes {objective.settled_after} steps of {total_steps}. "
            "Shorten it, or train longer; otherwise the model is never trained on its own objective."
        )


def network_dtype(precision: str, model: LatentModel, device: torch.device) -> torch.dtype | None:
    """Return the type networks compute in: bfloat16 if asked for, or native and worth it; ``None`` for float32.

    Raises:
        SettingError: bfloat16 was asked for and the hardware would only emulate it.
    """
    if precision == "bf16" and not native_bf16(device):
        raise SettingError("precision='bf16' needs hardware that multiplies bfloat16 natively; use 'auto' or 'fp32'.")
    large = sum(p.numel() for p in model.parameters()) >= BF16_FROM_PARAMETERS
    if precision == "bf16" or (precision == "auto" and large and native_bf16(device)):
        return torch.bfloat16
    return None
