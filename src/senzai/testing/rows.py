"""Exams of rows: each stands for itself, whatever stands beside it, however the batch is cut, whatever is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from ..core.batch import Batch, Data, concatenate
from ..core.errors import UserError
from ..core.random import Noise, forked
from ..objectives.base import Player
from .exam import NotAsked, exam
from .looking import differ, first_step, terms_of
from .subject import LENGTH, Subject

B = 6


def loss_of(subject: Subject, index: int, batch: Batch, *, noise: Noise | None = None, offset: int = 0) -> Tensor:
    """Return the loss per row of one player in a fresh model, in training mode."""
    model, objective = subject.fresh()
    player = objective.players(model)[index]
    noise = noise or Noise.seeded(5, offset=offset, total=B)
    return terms_of(model, player, batch, first_step(player, objective), noise=noise).loss.detach()


def separate_players(subject: Subject) -> list[tuple[int, Player]]:
    """Return the players whose rows do not mix, with their positions."""
    model, objective = subject.fresh()
    found = [(i, p) for i, p in enumerate(objective.players(model)) if not p.mixes_rows]
    if not found:
        raise NotAsked("every player says that it mixes rows")
    return found


@exam("rows", without=["schedule"], after=["terms"])
def rows(subject: Subject) -> Iterator[str]:
    """Does the loss of a row stay what it is when the other rows of its batch are exchanged?"""
    batch, others = subject.batch(B), subject.batch(B, seed=9)
    kept = torch.arange(B) % 2 == 0
    mixed = spliced(batch, others, kept)
    for i, player in separate_players(subject):
        gap = differ(loss_of(subject, i, batch)[kept], loss_of(subject, i, mixed)[kept])
        if gap is not None:
            yield f"the loss of {player.name} for a row changes by {gap:.3g} with other rows; only `mixes_rows` may"


def spliced(a: Batch, b: Batch, kept: Tensor) -> Batch:
    """Return the rows of ``a`` where ``kept``, else those of ``b``."""
    index = torch.where(kept, torch.arange(len(a)), torch.arange(len(a)) + len(a))
    return concatenate([a, b]).take(index)


@exam("batch size", without=["schedule"], after=["rows"])
def batch_size(subject: Subject) -> Iterator[str]:
    """Is the loss of a row the same alone as in a batch, when every draw is its point?"""
    batch = subject.batch(B)
    for i, player in separate_players(subject):
        whole = loss_of(subject, i, batch, noise=Noise(point=True))
        pieces = [loss_of(subject, i, batch.take(s), noise=Noise(point=True)) for s in (slice(0, 1), slice(1, B))]
        gap = differ(torch.cat(pieces), whole)
        if gap is not None:
            yield f"the loss of {player.name} for a row changes by {gap:.3g} with the number of rows"


@exam("noise", without=["schedule"], after=["rows", "batch size"])
def noise(subject: Subject) -> Iterator[str]:
    """Does a row draw the same numbers in whichever piece of its batch it is computed?"""
    batch = subject.batch(B)
    for i, player in separate_players(subject):
        whole = loss_of(subject, i, batch)
        pieces = [loss_of(subject, i, batch.take(slice(a, b)), offset=a) for a, b in ((0, 2), (2, B))]
        gap = differ(torch.cat(pieces), whole)
        if gap is not None:
            yield (
                f"the loss of {player.name} for a row changes by {gap:.3g} with the piece it is computed in, which the "
                "draws do. Draw with `senzai.distributions.draw` from standard noise, or register how the "
                "distribution is drawn"
            )


# --- what a row does not have --------------------------------------------------------------------------------------
@exam("padding", without=["schedule"], after=["terms"])
def padding(subject: Subject) -> Iterator[str]:
    """Is what stands behind the end of a row, or in a modality that it has not, without any influence?"""
    batch = subject.batch(B)
    if batch.lengths is None and batch.present is None:
        raise NotAsked("the rows of these data have no end before the last step, and all that there is")
    yield from _unmoved(subject, batch, _passed(subject, batch), "where a row has nothing")


# --- missing values -------------------------------------------------------------------------------------------------
@exam("masks", without=["schedule"], after=["terms", "padding"])
def masks(subject: Subject) -> Iterator[str]:
    """Is what stands at an unobserved place without any influence, on weights, losses and gradients?"""
    hidden = subject.other(masked=True)
    batch = hidden.batch(B)
    try:
        with forked(0):
            hidden.build()
        whole = _passed(hidden, batch)
    except UserError as err:
        raise NotAsked(f"missing values are refused: {err}") from None
    yield from _unmoved(hidden, batch, whole, "at unobserved places")


def _unmoved(subject: Subject, batch: Batch, whole: dict[str, Tensor], where: str) -> Iterator[str]:
    """Say what changes where something else is put wherever nothing was seen."""
    for what, hole in (("another valid value", subject.batch(B, seed=9).x), ("NaN", None)):
        now = _passed(subject, filled_with(batch, hole))
        for name, before in whole.items():
            gap = differ(now[name], before)
            if gap is not None:
                yield f"{name} changes by {gap:.3g} with {what} {where}"
                break


def filled_with(batch: Batch, hole: Data | None) -> Batch:
    """Return a batch with other data, or NaN, wherever nothing was seen."""
    seen = batch.seen

    def put(name: str, x: Tensor, other: Data | None) -> Tensor:
        there = seen[name]
        value = torch.nan if other is None else other[name] if isinstance(other, dict) else other
        return x if there is None else torch.where(there, x, value)

    if isinstance(batch.x, dict):
        return replace(batch, x={name: put(name, x, hole) for name, x in batch.x.items()})
    return replace(batch, x=put("", batch.x, hole))


def _passed(subject: Subject, batch: Batch) -> dict[str, Tensor]:
    """Return what a model makes of a batch: its initial state, and the losses and gradients of all players."""
    with forked(0):
        model, objective = subject.build()
        model.initialise(batch)
        objective.equip(model)
        objective = objective.over(LENGTH)
    found = {f"the initial {k}": v.clone() for k, v in model.state_dict().items()}
    for player in objective.players(model.train()):
        model.zero_grad(set_to_none=True)
        loss = terms_of(model, player, batch, first_step(player, objective)).loss
        loss.mean().backward()
        found[f"the loss of {player.name}"] = loss.detach()
        for name, p in model.named_parameters():
            if p.grad is not None:
                found[f"the gradient of {name} for {player.name}"] = p.grad.clone()
    return found
