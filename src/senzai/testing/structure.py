"""Exams of form: shapes, what terms hold, gradients, and whether a part can be written down and made again."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from ..core.batch import Batch, tensors
from ..core.errors import UserError
from ..core.random import forked
from ..core.spec import arguments_of, from_spec, make, name_of, to_spec
from ..models import verbs
from ..models.base import Inference, LatentModel
from ..models.generative import Generative
from ..models.modes import judging
from ..parts.base import AnyLikelihood, AnyPosterior, Prior
from ..recipes.provided import PROVIDED
from .exam import NotAsked, exam
from .looking import differ, first_step, frozen_others, inferred, same_bits, terms_of, told
from .subject import LENGTH, Subject

B, K = 6, 4
ODD_VALUES = (-1, 0, float("nan"))


# --- shapes ---------------------------------------------------------------------------------------------------------
@exam("shapes", without=["schedule"])
def shapes(subject: Subject) -> Iterator[str]:
    """Do draws lead, then rows: (K, B, *event) for latents, (K, B) for log densities, all of them finite?"""
    model, _ = subject.fresh()
    batch = subject.batch(B)
    if isinstance(model, LatentModel):
        yield from _of_inference(inferred(model, batch, K), model)
        yield from _of_parts(subject, model)
        given = model.given(batch)
        with forked(3):
            z = model.sample_prior(5, None if given is None else given[:5])
        if any(len(g) != 5 for g in z):
            yield f"sample_prior(5) must give 5 latents per group, but gives {[tuple(g.shape) for g in z]}"
    yield from _of_density(model, batch)
    x = verbs.sample(model, 5, seed=3, c=None if batch.c is None else batch.c[:5])
    shapes = [tuple(t.shape) for t in tensors(x)]
    wanted = [(5, *t.shape[1:]) for t in tensors(batch.x)]
    if shapes != wanted:
        yield f"five samples must have the shape {wanted[0]}, but have {shapes[0]}"


def _of_density(model: Generative, batch: Batch) -> Iterator[str]:
    with judging(model):
        log_p = model.log_prob(batch)
    if (log_p is not None) != model.exact:
        yield f"log_prob must give the density where `exact` is true, and None elsewhere, but exact={model.exact}"
    if log_p is not None:
        yield from _is("log_prob", log_p, [(B,)])


def _of_inference(seen: Inference, model: LatentModel) -> Iterator[str]:
    lead = (seen.n_samples, B)
    if seen.n_samples % K:
        yield f"{K} draws must give {K} latents a row, or a multiple of it, but give {seen.n_samples}"
    for g in seen.groups:
        if tuple(g.z.shape[:2]) != lead:
            yield f"the latents of {g.name!r} must lead with {lead}, but have the shape {tuple(g.z.shape)}"
        for what, value in (("log_q", g.log_q), ("log_p", g.log_p)):
            yield from _is(f"{what} of {g.name!r}", value, [lead])
        yield from _is(f"the rate of {g.name!r}", g.rate(), [lead, (1, B)])
    yield from _is("log_lik", seen.log_lik, [lead])
    yield from _is("log_w", seen.log_w, [lead])
    for name, extra in seen.extras.items():
        yield from _is(f"the extra {name!r}", extra, [(B,)])
    if seen.log_mix is not None:
        yield from _is("log_mix", seen.log_mix.exp(), [lead, (seen.n_samples, 1)])  # a weight of zero is a weight
        if differ(seen.log_mix.exp().sum(0), torch.ones_like(seen.log_mix[0])) is not None:
            yield "the weights exp(log_mix) must add up to one over the draws, but do not"


def _of_parts(subject: Subject, model: LatentModel) -> Iterator[str]:
    batch = subject.batch(B)
    for part in model.modules():
        if name_of(part) != subject.entry or subject.role not in ("prior", "posterior", "likelihood"):
            continue
        with torch.no_grad():
            if isinstance(part, AnyPosterior):
                q = part(batch)
                if (tuple(q.batch_shape), tuple(q.event_shape)) != ((B,), tuple(part.event)):
                    yield f"q(z|x) must have batch shape {(B,)} and event {part.event}, but has {q}"
            elif isinstance(part, Prior) and subject.example.recipe == "vae":
                p = part(batch.c)
                if tuple(p.event_shape) != (part.n_latent,) or tuple(p.batch_shape) not in ((), (B,)):
                    yield f"p(z) must have event shape {(part.n_latent,)}, and one or {B} rows, but is {p}"
            elif isinstance(part, AnyLikelihood) and subject.example.recipe == "vae":
                p = part(torch.zeros(K, B, 2), batch.c)
                event = subject.event if not isinstance(batch.x, dict) else ()
                if (tuple(p.batch_shape), tuple(p.event_shape)) != ((K, B), event):
                    yield f"p(x|z) must have batch shape {(K, B)} and event {event}, but is {p}"


def _is(what: str, value: Tensor, allowed: list[tuple[int, ...]]) -> Iterator[str]:
    if tuple(value.shape) not in allowed:
        yield f"{what} must have the shape {' or '.join(map(str, allowed))}, but has {tuple(value.shape)}"
    elif not bool((torch.isfinite(value) | ((what == "log_mix") & (value == -torch.inf))).all()):
        yield f"{what} must be finite, but is not"


# --- terms ----------------------------------------------------------------------------------------------------------
@exam("terms", after=["shapes"])
def terms(subject: Subject) -> Iterator[str]:
    """Is there one finite loss per row, the sum of its parts, with the true rate and distortion to watch?"""
    model, objective = subject.fresh()
    players = objective.players(model)
    doubled = [name for name, n in Counter(p.name for p in players).items() if n > 1]
    if doubled:
        yield f"players must have names of their own, but {', '.join(doubled)} is used more than once"
    for i, player in enumerate(players):
        found = terms_of(model, player, subject.batch(B), first_step(player, objective))
        for name, value in {"the loss": found.loss, **found.parts, **found.watch}.items():
            yield from _is(f"{name} of {player.name}", value, [(B,)])
        if found.parts and differ(sum(found.parts.values(), torch.zeros(B)), found.loss) is not None:
            yield f"the parts of {player.name} must add up to its loss, but {sorted(found.parts)} do not"
        missing = {"distortion", "rate"} - set(found.watch) if model.infers else set()
        if i == 0 and missing:
            yield f"the first player must watch {' and '.join(sorted(missing))}, for people and for the best weights"


@exam("schedule", roles=["schedule"])
def schedule(subject: Subject) -> Iterator[str]:
    """Does the factor stay within 0 and 1, and is it 1 from its end on?"""
    with forked(0):
        _, objective = subject.build()
    name = next(k for k, v in arguments_of(objective).items() if name_of(v) == subject.entry)
    warmup = arguments_of(objective.over(LENGTH))[name]
    values = [warmup.factor(step) for step in range(warmup.end + 20)]
    if not all(0 <= v <= 1 for v in values):
        yield f"a factor must lie within 0 and 1, but runs from {min(values)} to {max(values)}"
    if set(values[warmup.end :]) != {1.0}:
        yield f"the factor must be 1 from step {warmup.end} on, but is {values[warmup.end :][:5]}"


# --- gradients ------------------------------------------------------------------------------------------------------
@exam("gradients", without=["schedule"], after=["terms"])
def gradients(subject: Subject) -> Iterator[str]:
    """Does every parameter get a finite gradient, other than zero, from the player that moves it?"""
    model, objective = subject.fresh()
    moved: dict[int, bool] = {}
    names = {id(p): name for name, p in model.named_parameters()}
    for player in objective.players(model):
        unknown = [p for p in player.parameters if id(p) not in names]
        if unknown:
            yield f"{player.name} moves {len(unknown)} parameters that are not in the model: add them to `model.aux`"
        for seed in (3, 4):
            model.zero_grad(set_to_none=True)
            with frozen_others(model, player):
                step = first_step(player, objective)
                terms_of(model, player, subject.batch(B, seed=seed), step, seed=seed).loss.mean().backward()
            for p in player.parameters:
                if p.grad is not None and not bool(torch.isfinite(p.grad).all()):
                    yield f"the gradient of {names.get(id(p))} must be finite, but is not"
                moved[id(p)] = moved.get(id(p), False) or (p.grad is not None and bool((p.grad != 0).any()))
    yield from _still(subject, {names[k]: v for k, v in moved.items() if k in names}, model)


def _still(subject: Subject, moved: dict[str, bool], model: Generative) -> Iterator[str]:
    trained = {name: moved.get(name, False) for name, p in model.named_parameters() if p.requires_grad}
    idle = subject.idle()
    for name, moves in trained.items():
        if not moves and not any(fnmatch(name, pattern) for pattern in idle):
            yield f"nothing moves {name}: it gets no gradient. Declare it as idle with the reason, or use it"
    for pattern in subject.example.idle:
        if all(moves for name, moves in trained.items() if fnmatch(name, pattern)):
            yield f"{pattern} is declared idle, but everything it names gets a gradient. Drop the declaration"


# --- spec -----------------------------------------------------------------------------------------------------------
@exam("spec", after=["terms"])
def spec(subject: Subject) -> Iterator[str]:
    """Is the tree made again from its JSON the same tree, with the same numbers bit for bit?"""
    model, objective = subject.fresh()
    for what in (model, objective):
        for part in what.modules() if isinstance(what, nn.Module) else (what,):
            yield from _tells_all(part)
    written = json.dumps([to_spec(model), to_spec(objective)])
    with forked(77):
        again, objective_again = from_spec(json.loads(written))
        objective_again.equip(again)
    if json.dumps([to_spec(again), to_spec(objective_again)]) != written:
        yield "the spec of what was made from a spec must be that spec, but is another"
    if [type(m) for m in model.modules()] != [type(m) for m in again.modules()] or _ties(model) != _ties(again):
        yield "what is made from a spec must have the same modules, shared ones once, but has others"
        return
    again.load_state_dict(model.state_dict())
    yield from _same_numbers(subject, (model, objective), (again.train(), objective_again))


def _tells_all(part: Any) -> Iterator[str]:
    if name_of(part) is None:
        return
    if "_senzai_name" not in vars(type(part)):
        yield f"{type(part).__name__} would be saved as {name_of(part)}, its base class: register it under its own name"
        return
    takes = set(signature(type(part)).parameters)
    if set(arguments_of(part)) != takes:
        yield f"{name_of(part)} takes {sorted(takes)}, but its spec holds {sorted(arguments_of(part))}"


def _ties(model: nn.Module) -> set[frozenset[str]]:
    names: dict[int, set[str]] = {}
    for name, p in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(p), set()).add(name)
    return {frozenset(group) for group in names.values() if len(group) > 1}


def _same_numbers(subject: Subject, a: Any, b: Any) -> Iterator[str]:
    batch = subject.batch(B)
    if isinstance(a[0], LatentModel):
        numbers = [[inferred(m, batch, 2).log_w] for m in (a[0], b[0])]
    else:
        numbers = [[v for values in told(m, batch).values() for v in values] for m in (a[0], b[0])]
    if not same_bits(*numbers):
        yield "a model made again with the same weights must say the same bit for bit, but does not"
    for one, two in zip(a[1].players(a[0]), b[1].players(b[0]), strict=True):
        step = first_step(one, a[1])
        losses = [terms_of(m, player, batch, step).loss for m, player in ((a[0], one), (b[0], two))]
        if not same_bits(losses[:1], losses[1:]):
            yield f"the loss of {one.name} must be the same for a model and objective made again, but is not"


# --- refusals of settings -------------------------------------------------------------------------------------------
@exam("settings")
def settings(subject: Subject) -> Iterator[str]:
    """Is an odd value of a numeric argument either taken or refused in words, never answered with a crash?"""
    with forked(0):
        model, objective = subject.build()
    found = [n for tree in (to_spec(model), to_spec(objective)) for n in nodes(tree) if n["part"] == subject.entry]
    if not found:
        raise NotAsked("a recipe has no arguments of its own")
    for name, value in found[0]["args"].items():
        if isinstance(value, bool) or not isinstance(value, int | float) or name in PROVIDED:
            continue
        for odd in ODD_VALUES:
            try:
                _made_with(found[0], name, odd)
            except UserError as err:
                if len(str(err)) < 20:
                    yield f"{name}={odd} must be refused with the rule and the way out, but the answer is {str(err)!r}"
            except Exception as err:
                yield f"{name}={odd} must be taken or refused in words, but raises {type(err).__name__}: {err}"


def _made_with(node: dict[str, Any], name: str, odd: float) -> Any:
    """Make a part of a spec with one argument changed; what torch warns about is no matter here."""
    made: dict[int, Any] = {}
    with forked(0), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make(node["part"], **{k: odd if k == name else from_spec(v, made) for k, v in node["args"].items()})


def nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield every entry of a spec that is a part."""
    if isinstance(tree, dict):
        if "part" in tree:
            yield tree
        for value in tree.values():
            yield from nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from nodes(value)
