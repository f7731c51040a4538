"""A model that is divided over two processes trains as one that is not, and its files are those of any run."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from torch import nn

from senzai.core.errors import SettingError, TrainingError
from senzai.core.random import forked
from senzai.testing import entries, subjects
from senzai.testing.running import RowsInMemory
from senzai.training.checkpoint import load_checkpoint, load_tensors, save_checkpoint
from senzai.training.comms import Comms
from senzai.training.events import Progressed, Recovered
from senzai.training.feed import Feed, FeedPlan
from senzai.training.grouping import groups
from senzai.training.loop import Training
from senzai.training.settings import TrainSettings
from senzai.training.shares import held, is_divided, whole

from .pairs import two

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or torch.cuda.is_available(), reason="two processes are a fork, which CUDA does not survive"
)
FEW = (
    "recipe/vae", "recipe/autoencoder-kl", "recipe/nsf-vae", "recipe/flow-prior-vae", "recipe/flow", "recipe/vdvae",
    "recipe/cevae", "recipe/vae-gan", "recipe/vq-vae", "recipe/text-vae", "recipe/exemplar-vae",
)
N = 26


def training_of(entry, comms, *, like=None, steps=4, at=0, **more):
    """Return a run on 26 rows in batches of 8: the last batch of an epoch has two, one for each process."""
    subject = subjects(entry)[at]
    with forked(0):
        model, objective = subject.build()
        model.initialise(subject.batch(N, seed=2))
    settings = TrainSettings.parse({
        "steps": max(steps, objective.over(8).settled_after), "batch_size": 8, "log_every": 1, "precision": "fp32",
        "lr": 2e-3, "validate_every": 2, **more,
    })

    def feed(n, size, accumulate):
        plan = FeedPlan(n, size, 0, comms.world)
        return Feed(RowsInMemory(subject.batch(N, seed=2)), np.arange(n), plan, device=torch.device("cpu"),
                    rank=comms.rank, world=comms.world, accumulate=accumulate)

    return Training(model, objective, feed(N, 8, settings.accumulate), settings, validation=feed(8, 8, 1), comms=comms)


def course(training, *, to=None, save=None):
    """Train to a step or the end, perhaps save there; return the norms of gradients and the losses on the way."""
    found = []
    with forked(0):
        for event in training.events():
            if isinstance(event, Progressed):
                found.append([event.grad_norm, event.metrics["loss"]])
            training.stop_early = to is not None and training.progress.step >= to
            if training.stop_early and save is not None:  # every process has a part in it
                save_checkpoint(training, save if training.comms.is_main else None)
                save = None
    return found


def weights(training):
    return {k: whole(v).clone() for k, v in training.model.state_dict().items()}


def apart(a, b):
    """Return the largest difference of two states."""
    return max((float((a[k].double() - b[k].double()).abs().max()) for k in a if a[k].numel()), default=0.0)


def compared(entry, comms, **more):
    """Train divided, undivided in two processes and, as the truth, in one; return how far apart they end."""
    divided, both, one = (
        training_of(entry, c, shard_model=s, **more) for c, s in ((comms, True), (comms, False), (Comms(), True))
    )
    start = weights(one)
    courses = [course(t) for t in (divided, both, one)]
    ends = [weights(t) for t in (divided, both, one)]
    return {
        "divided": all(is_divided(p) for p in divided.model.parameters() if p.ndim),
        "alone": not any(is_divided(p) for p in one.model.parameters()),
        "moved": apart(start, ends[2]), "both": apart(ends[0], ends[1]), "one": apart(ends[0], ends[2]),
        "courses": courses, "best": [divided.progress.best_step, one.progress.best_step],
    }


@pytest.mark.filterwarnings("ignore:Grad strides do not match")  # of the undivided one
@pytest.mark.parametrize("entry", FEW)
def test_a_divided_model_trains_as_a_whole_one(entry, tmp_path):
    first, second = two(lambda comms: compared(entry, comms, optimiser="sgd"), tmp_path)
    assert first["divided"]
    assert first["alone"]
    assert first["moved"] > 0
    assert first["both"] == second["both"] == 0  # the sums of the same two processes
    assert first["one"] < 1e-7 + 1e-3 * first["moved"]
    assert first["courses"] == second["courses"]
    divided, _, one = first["courses"]
    np.testing.assert_allclose(divided, one, rtol=2e-4, atol=1e-6)  # norms and losses, step by step
    assert first["best"][0] == first["best"][1]


# --- what each process holds ------------------------------------------------------------------------------------------
def bytes_held(comms):
    training = training_of("recipe/vae", comms, shard_model=True)
    course(training, to=2)
    good = training.good
    mine = [*training.model.parameters(), *good.model.values(), *training.steppers[0].optimiser.tensors().values()]
    shares = [held(t) for t in mine if is_divided(t)]
    return {
        "held": sum(t.untyped_storage().nbytes() for t in shares),
        "whole": sum(t.numel() * t.element_size() for t in mine if is_divided(t)),
        "divided": sum(is_divided(t) for t in mine), "parameters": len(list(training.model.parameters())),
    }


def test_each_process_holds_half_of_weights_moments_and_copies(tmp_path):
    for said in two(bytes_held, tmp_path):
        assert said["divided"] == 4 * said["parameters"]  # weights, the last good ones, two moments
        assert said["held"] <= 0.55 * said["whole"]  # a first axis of odd length has a row of padding


# --- files ------------------------------------------------------------------------------------------------------------
HARD = {"ema": 0.9, "clip": 1.0, "accumulate": 2, "weight_decay": 0.01, "schedule": "plateau"}


def stopped(comms, folder, optimiser):
    """Stop after three steps, go on from the file, and return how far that is from never stopping."""
    path = folder / "last.safetensors"
    more = {**HARD, "optimiser": optimiser, "shard_model": True}
    whole_way = training_of("recipe/vae", comms, **more)
    course(whole_way)
    course(training_of("recipe/vae", comms, **more), to=3, save=path)
    comms.barrier()
    again = training_of("recipe/vae", comms, **more)
    load_checkpoint(again, path)
    shares = all(is_divided(again.good.model[n]) for n, p in again.model.named_parameters() if p.ndim)
    course(again)
    return {"apart": apart(weights(whole_way), weights(again)), "shares": shares}


@pytest.mark.parametrize("optimiser", ["adamw", "adam", "sgd", "rmsprop", "adamax"])
def test_a_checkpoint_of_shares_is_an_ordinary_one(tmp_path, optimiser):
    for said in two(lambda comms: stopped(comms, tmp_path, optimiser), tmp_path):
        assert said == {"apart": 0, "shares": True}
    one = training_of("recipe/vae", Comms(), **HARD, optimiser=optimiser)
    course(one, to=3, save=tmp_path / "one.safetensors")
    files = [load_tensors(tmp_path / name)[0] for name in ("last.safetensors", "one.safetensors")]
    assert files[0].keys() == files[1].keys()
    for name, value in files[0].items():
        torch.testing.assert_close(value, files[1][name], rtol=2e-3, atol=1e-6, msg=name)
    alone = training_of("recipe/vae", Comms(), **HARD, optimiser=optimiser)
    load_checkpoint(alone, tmp_path / "last.safetensors")  # what two began, one ends
    course(alone)
    never = training_of("recipe/vae", Comms(), **HARD, optimiser=optimiser)
    course(never)
    assert apart(weights(alone), weights(never)) < 2e-5


# --- what goes wrong --------------------------------------------------------------------------------------------------
def broken(comms):
    """Train with a layer that fails once in one process, then with one that always does."""
    found = {}
    for name, times in (("once", 1), ("always", 10**6)):
        training = training_of("recipe/vae", comms, shard_model=True, recoveries=2, lr=0.01)
        calls = []

        def fail(module, args, output, calls=calls, times=times, training=training):
            calls.append(training.progress.recoveries)
            return output * float("nan") if module.training and len(calls) > 2 and calls[-1] < times else output

        if comms.rank == 1:
            training.model.likelihood.decoder.register_forward_hook(fail)
        events = []
        try:
            with forked(0):
                for event in training.events():
                    events += [event.explanation] if isinstance(event, Recovered) else []
        except TrainingError as err:
            found["error"] = str(err)
        found[name] = events
        found[f"{name} finite"] = all(bool(torch.isfinite(held(p)).all()) for p in training.model.parameters())
    return found


def test_a_loss_that_is_not_finite_in_one_process_is_undone_in_both(tmp_path):
    first, second = two(broken, tmp_path)
    assert first == second
    assert len(first["once"]) == 1
    assert "the first layer with such numbers is likelihood.decoder" in first["once"][0]
    assert len(first["always"]) == 2
    assert "The loss must stay finite" in first["error"]
    assert first["once finite"]
    assert first["always finite"]


def test_what_cannot_go_together_is_refused(tmp_path):
    with pytest.raises(SettingError, match=r"rules out .* but got compile\. Leave one of them out"):
        TrainSettings.parse({"shard_model": True, "compile": True})
    with pytest.raises(SettingError, match="but got private"):
        TrainSettings.parse({"shard_model": True, "private.epsilon": 3})
    good = training_of("recipe/vae", Comms())
    with pytest.raises(SettingError, match="Leave shard_model out"):
        Training(good.model, good.objective, good.feed, TrainSettings(shard_model=True), rule=lambda *a: torch.zeros(1))


# --- what is gathered apart -------------------------------------------------------------------------------------------
class Odd(nn.Module):
    """Parts that must not be gathered apart, each for a reason of its own, and two that may."""

    def __init__(self):
        super().__init__()
        self.fine, self.read, self.hidden = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.sloped, self.tied, self.twin, self.idle = (nn.Linear(4, 4) for _ in range(4))
        self.twin.weight = self.tied.weight
        self.norm = nn.BatchNorm1d(4)

    def loss(self):
        x = torch.ones(3, 4, requires_grad=True)
        y = self.twin(self.tied(self.norm(self.fine(x)))) @ self.read.weight + self.read(x)
        (slope,) = torch.autograd.grad(self.sloped(x).square().sum(), x, create_graph=True)
        return y.sum() + slope.square().sum() + self.hidden.forward(x).sum()


def test_parts_are_gathered_apart_where_their_weights_are_used_in_their_calls_alone():
    model = Odd()
    before = model.norm.running_mean.clone()
    assert groups(model, model.loss) == ["fine", "norm"]
    assert torch.equal(model.norm.running_mean, before)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_weight_that_only_one_of_two_owners_used_is_tied():
    model = nn.ModuleDict({"one": nn.Linear(4, 4), "other": nn.Linear(4, 4), "rest": nn.Linear(4, 4)})
    model["other"].weight = model["one"].weight
    assert groups(model, lambda: model["rest"](model["one"](torch.ones(1, 4)))) == ["rest"]


class Answer:
    def __init__(self, value):
        self.value = value


class Wrapped(nn.Module):
    """What a call returns hides the tensors: torch could not see when the gradient comes back."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.ones(2))

    def forward(self, x):
        return Answer(self.inner(x))


def test_a_part_that_returns_no_tensors_is_not_gathered_apart():
    model = nn.ModuleDict({"outer": Wrapped()})
    assert groups(model, lambda: model["outer"](torch.ones(1, 4)).value * model["outer"].scale.sum()) == ["outer.inner"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Grad strides do not match")
@pytest.mark.parametrize("entry", entries("recipe"))
def test_every_recipe_trains_divided(entry, tmp_path):
    for at in range(len(subjects(entry))):
        first, second = two(lambda comms, at=at: compared(entry, comms, optimiser="sgd", at=at), tmp_path)
        assert first["both"] == second["both"] == 0
