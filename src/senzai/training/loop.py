"""The training loop. It yields events; listeners decide when to save, show or stop."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..core.batch import entries
from ..core.errors import TrainingError
from ..core.local_random import locally_seeded
from ..core.random import Noise, derive, using
from ..models.generative import Generative
from ..objectives.base import Objective
from . import autopsy
from .checks import all_finite, check_recomputing, check_rule, check_validation, check_warmup, network_dtype
from .comms import Comms
from .divided import Ask, mixed_with_wholes, plainly
from .events import Event, Finished, Interrupted, Progressed, Reached, Recovered, Started, Validated
from .feed import Feed, Piece
from .meter import Meter
from .schedules import Follow, Plateau, learning_rate_factor
from .settings import TrainSettings
from .sharding import divides, shard
from .signals import Interrupt
from .step import GradientRule, Stepper, gradient_of_mean, watched
from .weights import Average, Snapshot, clone

LEAST_GAIN = 0.005
"""Nats per number of a row by which validation must fall for a run to go on at the full rate (schedule ``follow``)."""


@dataclass(frozen=True)
class Progress:
    """The progress of a run: everything a resumed run needs besides tensors."""

    step: int = 0
    best_step: int = 0
    best_loss: float = float("inf")
    since_best: int = 0
    recoveries: int = 0
    lr_factor: float = 1.0
    plateau: float = 1.0
    gain_step: int = 0
    gain_loss: float = float("inf")
    falls_from: int | None = None
    ends_at: int | None = None
    headline: str = "elbo"
    best_headline: float | None = None
    rows: int = 0
    seconds: float = 0.0
    done: bool = False


class Training:
    """A run: model, objective, feeds, settings and progress.

    Args:
        model: What is trained, on its device already.
        objective: What is minimised.
        feed: Training rows.
        validation: Validation rows, or ``None``: then the last weights are the best.
        settings: How to train.
        comms: The processes of this run.
        interrupt: Asked once per step whether a signal came.
        columns: Names of the entries of a row, for messages.
        rule: How gradients come from the loss; see :data:`GradientRule`.

    Where ``shard_model`` is set and there are several processes, each holds a share of the model from now on, and what
    uses the model has to :attr:`ask` for it.

    Raises:
        CombinationError: The objective cannot train this model.
        SettingError: The warm-up would not finish.
    """

    def __init__(
        self, model: Generative, objective: Objective, feed: Feed, settings: TrainSettings, *,
        validation: Feed | None = None, comms: Comms | None = None, interrupt: Interrupt | None = None,
        columns: Sequence[str | int] = (), rule: GradientRule = gradient_of_mean,
    ) -> None:
        model.check()
        objective.admit(model)
        with locally_seeded(settings.seed):
            objective.equip(model)
        self.comms, self.columns = comms or Comms(), columns
        self.divides = divides(settings, self.comms)
        if not self.divides:
            model.aux.to(feed.device)
        self.model, self.feed, self.validation = model, feed, validation
        self.settings = settings = settings.resolved(feed.plan.batch_size)
        self.interrupt = interrupt or Interrupt()
        self.device = feed.device
        self.total_steps = settings.total_steps(feed.plan.steps_per_epoch)
        self.objective = objective = objective.over(self.total_steps)
        check_warmup(objective, self.total_steps)
        check_validation(settings, validation is not None)
        check_recomputing(settings, model)
        check_rule(settings, rule)
        self.validate_every = settings.validate_every or max(feed.plan.steps_per_epoch, self.total_steps // 200)
        self.dtype = network_dtype(settings.precision, model, self.device)
        last = self.total_steps - 1
        self.ask: Ask = shard(model, objective, feed, self.comms, last=last) if self.divides else plainly
        self.steppers = [
            Stepper(
                model, p, settings, device=self.device, comms=self.comms, dtype=self.dtype,
                prefix=f"{p.name}." if i else "", rule=rule, ask=self.ask,
            )
            for i, p in enumerate(objective.players(model))
        ]
        self.average = Average(model, settings.ema) if settings.ema else None
        self.plateau = Plateau(active=settings.schedule == "plateau")
        whole = all(s.player.span == (0, None) for s in self.steppers)
        follows = settings.schedule == "follow" and validation is not None and whole
        self.follow = Follow(self.total_steps) if follows else None
        self.meter = Meter()
        self.progress = Progress()
        self.best: dict[str, Tensor] | None = None
        self.good = self.snapshot()
        self.stop_early = False
        self._began = time.perf_counter()

    # --- state ------------------------------------------------------------------------------------------------------
    def snapshot(self) -> Snapshot:
        """Return a copy of all that training changes."""
        return Snapshot.of(self.model, [s.optimiser for s in self.steppers], self.average, self.progress.step)

    def state(self) -> Snapshot:
        """Return the state after the last step, also when the best weights have taken its place in the model."""
        return self.good if self.progress.done else self.snapshot()

    def restore(self, state: Snapshot) -> None:
        """Put back what :meth:`snapshot` copied."""
        state.put(self.model, [s.optimiser for s in self.steppers], self.average)

    def resume(
        self, now: Snapshot, progress: Progress, *, good: Snapshot, best: dict[str, Tensor] | None,
        meter: tuple[dict[str, Any], dict[str, Tensor]],
    ) -> None:
        """Continue from a checkpoint."""
        self.restore(now)
        self.good, self.best, self.progress = good, best, replace(progress, done=False)
        self.plateau.factor = progress.plateau
        self.meter.resume(*meter, step=now.step, comms=self.comms)

    def headline(self, means: Mapping[str, float]) -> tuple[str, float]:
        """Return name and value of the one number that says how training goes.

        The objective's; where a rule keeps losses of training rows to itself, the first of what it does say.
        """
        return self.objective.headline(means) if "loss" in means else next(iter(means.items()))

    def facts(self) -> dict[str, float | int | bool]:
        """Return the progress as plain values."""
        return asdict(replace(self.progress, plateau=self.plateau.factor, seconds=self.seconds()))

    def seconds(self) -> float:
        """Return the time spent training, before and after any stop."""
        return self.progress.seconds + time.perf_counter() - self._began

    # --- the loop ---------------------------------------------------------------------------------------------------
    def events(self) -> Iterator[Event]:
        """Train, yielding what happens. Set ``stop_early`` while handling an event to stop after its step."""
        self._began = time.perf_counter()
        yield self._started()
        self.model.train()
        while self.progress.step < self.last_step and not self.stop_early:
            for event in self._stretch():
                yield event
                if isinstance(event, Interrupted):
                    return
        early = self.progress.step < self.last_step
        self._settle()
        yield Finished(self.progress.step, self.progress.best_step, early, self.seconds())

    @property
    def last_step(self) -> int:
        """How many steps the run takes, as far as is known now."""
        return self.total_steps if self.follow is None else self.progress.ends_at or self.total_steps

    def _started(self) -> Started:
        n = sum(p.numel() for p in self.model.parameters())
        plan = self.feed.plan
        precision = "bf16" if self.dtype is torch.bfloat16 else "fp32"
        return Started(self.progress.step, self.total_steps, plan.steps_per_epoch, plan.batch_size, n, precision)

    def _stretch(self) -> Iterator[Event]:
        """Run until the end, or until a recovery has moved the run back."""
        every_step = self.device.type == "cpu"  # reading whether all was finite is free there
        for step, pieces in self.feed.run(self.progress.step, self.total_steps):
            rate = self._step(step, pieces)
            last = step + 1 == self.last_step
            look = last or (step + 1) % self.settings.log_every == 0
            check = last or (step + 1) % self.validate_every == 0
            if (every_step or look or check) and self._broken(thorough=look or check):
                yield self._recover()
                return
            if look:
                yield self._progressed(rate)
            if check:
                self.meter.gather(self.comms)
                if self.validation is None:
                    self.good = self.snapshot()
                else:
                    yield self._validate()
            if look or check:
                yield Reached(step + 1)
            if self.stop_early:
                return
            signal = self.interrupt.requested(self.comms)
            if signal:
                self.meter.gather(self.comms)
                yield self._recover() if self.meter.failed() else Interrupted(step + 1, signal)
                return
            if step + 1 >= self.last_step:
                return

    def _step(self, step: int, pieces: list[Piece]) -> float:
        """Let every player take one step; return the learning rate."""
        rate = self._set_rates(step)
        fine = self.meter.fine
        seen = []
        for i, stepper in enumerate(self.steppers):
            if stepper.player.plays_at(step):
                sums, norm, fine = stepper(pieces, step, fine)
                seen.append((norm, fine))
                self.meter.add(i, stepper.names, sums, rows=pieces[0].total)
        with mixed_with_wholes() if self.divides else nullcontext():
            self.model.after_step(self.comms.sum)
        self.meter.stepped(seen[0][0], fine, rows=pieces[0].total)
        if self.average is not None:
            self.average.update(self.model)
        self.progress = replace(self.progress, step=step + 1, rows=self.progress.rows + pieces[0].total)
        return rate

    def _set_rates(self, step: int) -> float:
        """Set the learning rate of every player; return that of the first one that plays."""
        s, rates = self.settings, []
        for stepper in self.steppers:
            first, end = stepper.player.span
            own = learning_rate_factor(s.schedule, step - first, (end or self.total_steps) - first, s.lr_warmup)
            if self.follow is not None:
                own = self.follow.factor(step, falls_from=self.progress.falls_from, ends_at=self.progress.ends_at)
            rate = stepper.set_rate(own * self.progress.lr_factor * self.plateau.factor)
            if stepper.player.plays_at(step):
                rates.append(rate)
        return rates[0]

    def _progressed(self, rate: float) -> Progressed:
        metrics, norm, speed = self.meter.read(self.comms)
        step = self.progress.step
        self.meter.reset(step)
        return Progressed(step, step / self.feed.plan.steps_per_epoch, metrics, rate, norm, speed, self.seconds())

    # --- recovery ---------------------------------------------------------------------------------------------------
    def _broken(self, *, thorough: bool) -> bool:
        """Whether a loss or gradient since the last look, or (if ``thorough``) a weight, is not finite."""
        if self.meter.failed() or not thorough:
            return self.meter.failed()
        return not (self.comms.every(all_finite(self.model)) if self.divides else all_finite(self.model))

    def _recover(self) -> Recovered:
        """Explain, go back to the last good state and lower the learning rate; give up after a few tries."""
        step = self.meter.failed_step() if self.meter.failed() else self.progress.step - 1
        text = self._explain(step)
        self.restore(self.good)
        self.meter.reset(self.good.step)
        self.progress = replace(self.progress, step=self.good.step)
        tries = self.settings.recoveries - self.progress.recoveries - 1
        if tries < 0:
            raise TrainingError(
                f"The loss must stay finite, but at step {step + 1} {text}. Going back and halving the learning rate "
                f"{self.settings.recoveries} times did not help. Lower lr, set clip=1, or choose a likelihood with "
                "heavier tails; the last good state was kept."
            )
        factor = self.progress.lr_factor / 2
        self.progress = replace(self.progress, recoveries=self.progress.recoveries + 1, lr_factor=factor)
        return Recovered(step + 1, self.good.step, tries, factor, text)

    def _explain(self, step: int) -> str:
        for look in (autopsy.explain, autopsy.explain_gradients):
            said = []
            for stepper in self.steppers:
                for piece in self.feed.pieces_of(step):
                    repeat = partial(stepper.drawing, piece, step)
                    with stepper.playing():
                        said += [look(self.model, stepper.player, piece.batch, step, repeat, self.columns, self.ask)]
            told = [text for text in self.comms.gather(next(filter(None, said), "")) if text]
            if told:
                return told[0]
        return "the loss was finite when it was computed again, so the update itself overflowed"

    # --- validation -------------------------------------------------------------------------------------------------
    def _validate(self) -> Validated:
        self.comms.agree(self.model.buffers())
        with nullcontext() if self.average is None else self.average.applied(self.model):
            metrics = self.evaluate()
        headline = self.objective.headline(metrics)
        settled = self.progress.step >= self.objective.settled_after
        best = settled and (not self.objective.comparable or metrics["loss"] < self.progress.best_loss)
        if best:
            self.best = clone(self.average.state(self.model) if self.average else self.model.state_dict())
            self.progress = replace(
                self.progress, best_step=self.progress.step, best_loss=metrics["loss"],
                since_best=0, headline=headline[0], best_headline=headline[1],
            )
        elif settled:
            self.progress = replace(self.progress, since_best=self.progress.since_best + 1)
        self.plateau.observe(self.progress.since_best)
        self._follow(settled)
        self.good = self.snapshot()
        now = self.progress
        return Validated(
            now.step, now.step / self.feed.plan.steps_per_epoch, metrics, best, now.best_step, now.since_best, settled,
            self.seconds(),
        )

    def _follow(self, settled: bool) -> None:
        """Where validation stopped improving, go back to the best weights and let the rate fall from there."""
        now = self.progress
        if self.follow is None or not settled:
            return
        falling = self.follow.latest if now.falls_from is None else now.falls_from
        if now.step >= falling:
            if self.follow.waited(now.step, since=max(falling, now.best_step)):
                self.progress = replace(now, falls_from=falling, ends_at=now.step)
            return
        if now.best_loss < now.gain_loss - LEAST_GAIN * self._entries():
            self.progress = now = replace(now, gain_step=now.best_step, gain_loss=now.best_loss)
        end = self.follow.over(now.best_step, now.gain_step, now.step)
        if end is not None:
            if self.best is not None and self.average is None:
                self.model.load_state_dict(self.best)
            self.progress = replace(now, falls_from=now.step, ends_at=end)

    def _entries(self) -> int:
        """Return how many numbers a row has."""
        assert self.validation is not None  # else there is nothing to follow
        return entries(self.validation.pieces_of(0)[0].batch.x)

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Return means over validation rows (else training rows) with settled weights and noise that never changes."""
        feed = self.validation or self.feed
        self.model.eval()
        sums: dict[str, Tensor] = {}
        rows = 0
        judge = self.objective.held_out(self.steppers[0].player.loss)
        step = max(self.progress.step, self.objective.settled_after)
        for i in range(feed.plan.steps_per_epoch):
            pieces = feed.pieces_of(i)
            rows += pieces[0].total
            for piece in pieces:
                seed = derive(self.settings.seed, "validation", i)
                noise = Noise.seeded(seed, device=self.device, offset=piece.offset, total=piece.total)
                with using(noise):
                    terms = watched(self.ask(judge, self.model, piece.batch, step))
                for k, v in terms.items():
                    sums[k] = sums.get(k, 0.0) + v.double().sum()
        self.model.train()
        totals = self.comms.sum(torch.stack(list(sums.values())).cpu()) / rows
        found = dict(zip(sums, totals.tolist(), strict=True))
        name, value = self.objective.headline(found)
        return {**found, name: value}

    def _settle(self) -> None:
        """Leave the best weights in the model; what a longer run would go on from is kept aside."""
        self.good = self.snapshot()
        if self.best is not None:
            self.model.load_state_dict(self.best)
        elif self.average is not None:
            self.model.load_state_dict(self.average.state(self.model))
        if self.validation is None:
            self.progress = replace(self.progress, best_step=self.progress.step)
        self.model.eval()
        self.progress = replace(self.progress, done=True)
