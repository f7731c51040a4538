"""Exams of use: training that can be stopped, a saved model that is the same model, points by default."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..core.batch import Batch, tensors
from ..core.errors import CombinationError, UserError
from ..core.random import forked
from ..core.spec import from_spec, to_spec
from ..models import verbs
from ..models.generative import Generative
from ..objectives.base import Objective
from ..training import bundle
from ..training.checkpoint import load_checkpoint, load_tensors, save_checkpoint
from ..training.events import Reached
from ..training.feed import Feed, FeedPlan
from ..training.loop import Training
from ..training.settings import TrainSettings
from .exam import exam
from .looking import GlobalDraws, first_step, same_bits, terms_of, told
from .subject import LENGTH, ROWS, Subject

CPU = torch.device("cpu")
STEPS, STOP = 4, 2


@dataclass(frozen=True)
class RowsInMemory:
    """Rows in memory, as a feed takes them."""

    batch: Batch

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self.batch)

    def take(self, index: Any) -> Batch:
        """Return the rows at ``index``."""
        return self.batch.take(torch.as_tensor(np.asarray(index)))


def training_of(subject: Subject, model: Generative, objective: Objective) -> Training:
    """Return a run of the one loop over the subject's rows."""
    steps = max(STEPS, objective.over(LENGTH).settled_after)
    settings = TrainSettings(steps=steps, batch_size=ROWS // 3, log_every=1, precision="fp32", lr=1e-3)
    feed = Feed(RowsInMemory(subject.batch(ROWS, seed=2)), np.arange(ROWS), FeedPlan(ROWS, ROWS // 3, 0), device=CPU)
    return Training(model, objective, feed, settings)


def run(training: Training, *, to: int, save: Path | None = None) -> None:
    """Train to a step, and save a checkpoint at ``STOP`` on the way."""
    with forked(0):
        for event in training.events():
            if isinstance(event, Reached):
                if event.step == STOP and save is not None:
                    save_checkpoint(training, save)
                training.stop_early = event.step >= to


def trained(subject: Subject) -> tuple[Generative, Objective]:
    """Return a model and its objective after a few steps."""
    with forked(0):
        model, objective = subject.build()
        model.initialise(subject.batch(ROWS, seed=2))
        run(training_of(subject, model, objective), to=STEPS)
    return model, objective


# --- resume ---------------------------------------------------------------------------------------------------------
@exam("resume", after=["terms", "gradients", "spec"])
def resume(subject: Subject) -> Iterator[str]:
    """Does a run that was stopped and resumed end with the very bits of one that was not?"""
    with forked(0), tempfile.TemporaryDirectory() as folder:
        model, objective = subject.build()
        tree = to_spec(model)
        model.initialise(subject.batch(ROWS, seed=2))
        path = Path(folder) / "checkpoint.safetensors"
        run(training_of(subject, model, objective), to=STEPS, save=path)
        with forked(99):
            again = from_spec(tree)
            training = training_of(subject, again, objective)
        load_checkpoint(training, path)
        run(training, to=STEPS)
    ends, other = model.state_dict(), again.state_dict()
    wrong = [name for name, value in ends.items() if not same_bits([value], [other[name]])]
    if wrong:
        yield f"a resumed run must end as one that was never stopped, but {', '.join(wrong[:4])} differs"


# --- saved ----------------------------------------------------------------------------------------------------------
@exam("saved", without=["schedule"], after=["spec", "resume", "points"])
def saved(subject: Subject) -> Iterator[str]:
    """Does a trained model that was saved and loaded give the same numbers bit for bit?"""
    model, _ = trained(subject)
    batch = subject.batch()
    with tempfile.TemporaryDirectory() as folder:
        bundle.save_weights(Path(folder), model)
        tensors, _ = load_tensors(Path(folder) / bundle.WEIGHTS)
    with forked(98):
        again = from_spec(to_spec(model))
    again.load_state_dict(tensors)
    for name, before in told(model, batch).items():
        if not same_bits(before, told(again, batch)[name]):
            yield f"{name} must be the same after saving and loading, but is not: keep what it needs in buffers"
            return


# --- points ---------------------------------------------------------------------------------------------------------
@exam("points", without=["schedule"], after=["shapes"])
def points(subject: Subject) -> Iterator[str]:
    """Do encode, reconstruct, sample and interpolate give points by default, and draws that only the seed decides?"""
    model, _ = subject.fresh()
    batch = subject.batch(4)
    c = None if batch.c is None else batch.c[:4]
    ways: dict[str, Any] = {"sample(seed=1)": lambda: tensors(verbs.sample(model, 4, seed=1, c=c))}
    ways |= {} if not model.infers else {
        "encode": lambda: verbs.encode(model, batch),
        "encode(seed=1)": lambda: verbs.encode(model, batch, seed=1),
        "reconstruct": lambda: tensors(verbs.reconstruct(model, batch)),
        "reconstruct(seed=1)": lambda: tensors(verbs.reconstruct(model, batch, seed=1)),
        "interpolate": lambda: tensors(
            verbs.interpolate(model, batch.take(slice(0, 1)), batch.take(slice(1, 2)), steps=3)
        ),
    }
    with forked(21):
        for name, way in ways.items():
            modes = [m.training for m in model.modules()]
            state = torch.get_rng_state()
            with GlobalDraws() as taken:
                first = list(way())
            if taken.names or not torch.equal(state, torch.get_rng_state()):
                yield f"{name} must leave the caller's random state alone, but draws from it: {', '.join(taken.names)}"
            torch.rand(7)
            if not same_bits(first, way()):
                yield f"{name} must give the same numbers twice, but does not"
            if modes != [m.training for m in model.modules()]:
                yield f"{name} must leave the model in the mode it was in, but does not"
        if same_bits(ways["sample(seed=1)"](), tensors(verbs.sample(model, 4, seed=2, c=c))):
            yield "samples of another seed must be others, but are the same"


# --- combinations ---------------------------------------------------------------------------------------------------
PANEL: dict[str, dict[str, Any]] = {
    "a full-covariance posterior": {"settings": {"posterior": "full_normal"}},
    "a mixture prior": {"settings": {"prior": "mixture", "prior.n_components": 3}},
    "a learned prior": {"settings": {"prior": "learned_normal"}},
    "a likelihood of Student's t": {"settings": {"likelihood": "student_t"}},
    "a likelihood that pools rows": {"settings": {"likelihood": "normal_optimal"}},
    "an importance-weighted number of draws": {"settings": {"n_samples": 3}},
    "a condition": {"n_condition": 3},
    "labels": {"n_classes": 3},
    "missing values": {"masked": True},
}


@exam("combinations", without=["schedule"], after=["terms", "gradients"])
def combinations(subject: Subject) -> Iterator[str]:
    """Does every common combination either train, or get refused with the reason when it is built?"""
    for name, change in PANEL.items():
        own = subject.example.settings or {}
        slots = {k.partition(".")[0] for k in change.get("settings", {})}
        if slots & {k.partition(".")[0] for k in own} or set(change) & set(subject.example.frame):
            continue
        if "likelihood" in slots and subject.data.family not in ("normal",):
            continue
        yield from (f"with {name}: {fault}" for fault in faults_of_building(subject.other(**change)))


def faults_of_building(subject: Subject) -> Iterator[str]:
    """Yield what is wrong with a combination that may be refused when it is built, but not later, nor without words."""
    try:
        model, objective = subject.fresh()
    except UserError as err:
        if len(str(err)) < 40:
            yield f"it is refused without a reason: {str(err)!r}"
        return
    except Exception as err:
        yield f"building it raises {type(err).__name__}: {err}"
        return
    try:
        for player in objective.players(model):
            loss = terms_of(model, player, subject.batch(), first_step(player, objective)).loss
            loss.mean().backward()
            if not bool(torch.isfinite(loss).all()):
                yield f"the loss of {player.name} is not finite"
    except CombinationError as err:
        yield f"it is refused only when it runs ({err}): check it when it is built"
    except Exception as err:
        yield f"it is built, but then raises {type(err).__name__}: {err}"
