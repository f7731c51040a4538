"""A step computes what it says: batches, gradients, averages, rates, schedules."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from senzai.core.errors import InputError, SettingError
from senzai.core.random import forked
from senzai.objectives import ELBO, LinearWarmup, Objective
from senzai.training import checks
from senzai.training.events import Finished, Progressed, Validated
from senzai.training.feed import Feed, FeedPlan, shares
from senzai.training.schedules import COURSES, Plateau, learning_rate_factor
from senzai.training.settings import TrainSettings
from senzai.training.weights import Average

CPU = torch.device("cpu")


# --- batches ----------------------------------------------------------------------------------------------------------
def test_rows_of_a_step_depend_on_seed_and_step_alone():
    plan = FeedPlan(50, 16, seed=3)
    assert plan.steps_per_epoch == 4  # 16 + 16 + 16 + 2
    again = FeedPlan(50, 16, seed=3)
    for epoch in (0, 1, 7):
        order = plan.order(epoch)
        assert torch.equal(order, again.order(epoch))
        rows = torch.cat([plan.rows(order, i) for i in range(4)])
        assert sorted(rows.tolist()) == list(range(50))
    assert not torch.equal(plan.order(0), plan.order(1))
    assert not torch.equal(plan.order(0), FeedPlan(50, 16, seed=4).order(0))


@pytest.mark.parametrize(("n", "least", "steps"), [(50, 2, 4), (49, 2, 3), (48, 2, 3), (50, 3, 3)])
def test_a_rest_that_is_too_small_to_share_is_left_out(n, least, steps):
    assert FeedPlan(n, 16, 0, least).steps_per_epoch == steps


def test_a_plan_refuses_what_cannot_be_shared():
    with pytest.raises(InputError, match="at least 4 rows, but there are 3"):
        FeedPlan(3, 3, 0, 4)
    with pytest.raises(SettingError, match="each of 4 devices"):
        FeedPlan(30, 3, 0, 4)


@pytest.mark.parametrize("n", [2, 7, 16])
def test_pieces_cover_a_batch_without_overlap(n):
    for parts in (1, 2):
        cuts = shares(n, parts)
        assert [i for a, b in cuts for i in range(a, b)] == list(range(n))
        assert max(b - a for a, b in cuts) - min(b - a for a, b in cuts) <= 1


@pytest.mark.parametrize("world", [1, 2])
@pytest.mark.parametrize("accumulate", [1, 2, 5])
def test_processes_and_pieces_together_see_each_row_once(make_rows, world, accumulate):
    rows = make_rows(33, 4)
    plan = FeedPlan(33, 8, 0, world)
    whole = Feed(rows, np.arange(33), plan, device=CPU)
    for step in range(plan.steps_per_epoch):
        pieces = [
            piece
            for rank in range(world)
            for piece in Feed(
                rows, np.arange(33), plan, device=CPU, rank=rank, world=world, accumulate=accumulate
            ).pieces_of(step)
        ]
        together = torch.cat([p.batch.x for p in pieces])
        assert torch.equal(together, whole.pieces_of(step)[0].batch.x)
        assert [p.offset for p in pieces] == [sum(len(q.batch) for q in pieces[:i]) for i in range(len(pieces))]
        assert {p.total for p in pieces} == {len(together)}


def test_streamed_batches_are_those_from_memory_in_the_same_order(make_rows):
    rows, index = make_rows(40), np.arange(3, 40)
    held, streamed = (Feed(rows, index, FeedPlan(37, 8, 1), device=CPU, in_memory=m, accumulate=1) for m in (True,
                                                                                                             False))
    for start, stop in ((0, 13), (4, 6), (9, 9)):  # over two epochs, within one, nothing
        a, b = list(held.run(start, stop)), list(streamed.run(start, stop))
        assert [s for s, _ in a] == [s for s, _ in b] == list(range(start, stop))
        for (_, p), (_, q) in zip(a, b, strict=True):
            assert torch.equal(p[0].batch.x, q[0].batch.x)


def test_streaming_stops_reading_when_nobody_listens(make_rows):
    class Slow:
        def __init__(self):
            self.rows, self.taken = make_rows(64), 0

        def __len__(self):
            return 64

        def take(self, index):
            self.taken += 1
            return self.rows.take(index)

    source = Slow()
    steps = Feed(source, np.arange(64), FeedPlan(64, 8, 0), device=CPU, in_memory=False).run(0, 1000)
    next(steps)
    steps.close()
    assert source.taken <= 4


def test_an_error_while_reading_ahead_reaches_the_loop():
    class Broken:
        def __len__(self):
            return 8

        def take(self, index):
            raise InputError("row 3 is unreadable")

    with pytest.raises(InputError, match="row 3"):
        list(Feed(Broken(), np.arange(8), FeedPlan(8, 4, 0), device=CPU, in_memory=False).run(0, 2))


# --- one step ---------------------------------------------------------------------------------------------------------
def gradients(training, step=0):
    """The gradient of a step, and what was watched."""
    stepper = training.steppers[0]
    stepper._update = lambda fine: None
    with forked(0):
        sums, norm, fine = stepper(training.feed.pieces_of(step), step, True)
    assert bool(fine)
    return torch.cat([p.grad.flatten() for p in training.model.parameters() if p.grad is not None]), sums, norm


@pytest.mark.parametrize("accumulate", [2, 3, 16])
def test_accumulated_gradients_are_those_of_the_whole_batch(make, accumulate):
    whole, sums, norm = gradients(make())
    pieces, other, other_norm = gradients(make(accumulate=accumulate))
    torch.testing.assert_close(pieces, whole, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(other, sums, rtol=1e-6, atol=0)
    torch.testing.assert_close(other_norm, norm, rtol=1e-6, atol=0)


def test_the_loss_of_a_run_does_not_depend_on_accumulate(make, train):
    def losses(accumulate):
        return [e.metrics["loss"] for e in train(make(accumulate=accumulate, log_every=1)).of(Progressed)]

    # Nine is more than the six rows at the end of an epoch. Differences of summation order grow step by step.
    assert np.allclose(losses(1), losses(9), rtol=2e-5)


def test_the_loss_is_a_mean_over_rows_and_noise_belongs_to_rows(make):
    training = make()
    stepper, pieces = training.steppers[0], training.feed.pieces_of(0)
    with forked(0):
        loss, sums = stepper.forward(pieces[0], 0)
    assert loss.item() == pytest.approx(sums[0].item() / 16, rel=1e-6)
    half = make(accumulate=2)
    with forked(0):
        parts = [half.steppers[0].forward(p, 0)[0].item() for p in half.feed.pieces_of(0)]
    assert sum(parts) == pytest.approx(loss.item(), rel=1e-6)


def test_the_gradient_norm_and_clipping(make, train):
    gradient, _, norm = gradients(make())
    assert float(norm) == pytest.approx(gradient.norm().item(), rel=1e-6)
    clipped, _, reported = gradients(make(clip=0.5))
    assert float(reported) == pytest.approx(float(norm))  # what is shown is the norm before
    assert clipped.norm().item() == pytest.approx(0.5, rel=1e-4)
    torch.testing.assert_close(clipped / clipped.norm(), gradient / gradient.norm())
    loose, _, _ = gradients(make(clip=1e6))
    assert torch.equal(loose, gradient)


def test_separate_rates_reach_their_sides(make, train):
    training = make(steps=1, encoder_lr=1e-2, decoder_lr=1e-4, schedule="constant", validate_every=1)
    before = {n: p.detach().clone() for n, p in training.model.named_parameters()}
    train(training)
    for name, p in training.model.named_parameters():
        moved = (p.detach() - before[name]).abs().max().item()  # the first step of Adam is the rate itself
        assert moved == pytest.approx(1e-2 if name.startswith("posterior") else 1e-4, rel=1e-2), name
    alone = make(encoder_lr=0.5).steppers[0].optimiser.groups
    assert sorted({g.lr for g in alone}) == [0.01, 0.5]


def test_weight_decay_shrinks_matrices_only(make):
    training = make(weight_decay=0.1)
    decayed = {id(p) for g in training.steppers[0].optimiser.groups if g.weight_decay for p in g.params}
    for name, p in training.model.named_parameters():
        assert (id(p) in decayed) == (p.ndim > 1 and name.endswith("weight")), name
    assert sum(len(g.params) for g in training.steppers[0].optimiser.groups) == len(
        list(training.model.parameters())
    )


def test_every_step_is_the_step_of_adamw(make, train):
    """The whole loop against a plain one: same rows, same noise, torch's own AdamW."""
    training, other = make(steps=7, schedule="constant", weight_decay=0.05), make(weight_decay=0.05)
    names = dict(other.model.named_parameters())
    plain = torch.optim.AdamW([
        {"params": [p for n, p in names.items() if n.endswith("weight")], "weight_decay": 0.05},
        {"params": [p for n, p in names.items() if not n.endswith("weight")], "weight_decay": 0.0},
    ], lr=0.01)
    with forked(0):
        for step in range(7):
            plain.zero_grad()
            loss, _ = other.steppers[0].forward(other.feed.pieces_of(step)[0], step)
            loss.backward()
            plain.step()
    training.best = None
    training.validation = None
    tape = train(training)
    assert tape.of(Finished)[0].step == 7
    last = training.good.model
    for name, p in names.items():
        torch.testing.assert_close(last[name], p.detach(), rtol=1e-5, atol=1e-7)


# --- averages ---------------------------------------------------------------------------------------------------------
def test_the_running_average_follows_its_formula(make_model):
    model = make_model()
    average, expected = Average(model, 0.9), model.prior.loc.new_zeros(())
    weight = model.likelihood.bias
    expected = weight.detach().clone()
    for t in range(1, 200):
        with torch.no_grad():
            weight.fill_(float(t))
        average.update(model)
        decay = min(0.9, t / (t + 9))
        expected = decay * expected + (1 - decay) * weight.detach()
    torch.testing.assert_close(average.state(model)["likelihood.bias"], expected)
    live = {k: v.clone() for k, v in model.state_dict().items()}
    with average.applied(model):
        torch.testing.assert_close(model.likelihood.bias.detach(), expected)
    assert all(torch.equal(v, live[k]) for k, v in model.state_dict().items())


def test_a_shared_parameter_is_averaged_under_both_names(make_model):
    model = make_model()
    model.posterior.extra = model.likelihood.decoder
    average = Average(model, 0.5)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with torch.no_grad():
        for p in model.parameters():
            p.add_(1.0)
    average.update(model)
    with average.applied(model):
        for name, p in model.named_parameters():
            torch.testing.assert_close(p.detach(), before[name] + 0.9, msg=name)


def test_averaged_weights_are_validated_and_kept(make, train, same):
    training = make(ema=0.95, validate_every=5)
    tape = train(training)
    finished = tape.of(Finished)[0]
    best = min(tape.of(Validated), key=lambda e: e.metrics["loss"])
    assert finished.best_step == best.step
    assert training.evaluate()["loss"] == pytest.approx(best.metrics["loss"], abs=0)
    assert not same(training.good.model, training.model.state_dict())  # a longer run would go on from the live ones


# --- schedules --------------------------------------------------------------------------------------------------------
def test_cosine_ends_at_a_hundredth():
    assert learning_rate_factor("cosine", 0, 100, 0) == 1
    assert learning_rate_factor("cosine", 50, 100, 0) == pytest.approx(0.505)
    assert learning_rate_factor("cosine", 100, 100, 0) == pytest.approx(0.01)


def test_one_cycle_has_its_peak_at_thirty_percent():
    values = [learning_rate_factor("one_cycle", s, 1000, 0) for s in range(1001)]
    assert values[0] == pytest.approx(0.04)
    assert int(np.argmax(values)) == 300
    assert max(values) == 1
    assert values[-1] == pytest.approx(0.0004)
    assert values[:301] == sorted(values[:301])
    assert values[300:] == sorted(values[300:], reverse=True)


def test_every_named_schedule_can_be_chosen():
    allowed = TrainSettings.model_fields["schedule"].annotation.__args__
    assert set(allowed) == set(COURSES)


def test_the_warm_up_of_the_rate_is_a_line():
    assert [learning_rate_factor("constant", s, 100, 4) for s in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]


def test_the_plateau_halves_after_five_validations_without_improvement():
    plateau = Plateau(active=True)
    factors = []
    for since_best in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 1]:
        plateau.observe(since_best)
        factors.append(plateau.factor)
    assert factors == [1] * 5 + [0.5] * 5 + [0.25] * 3
    for since_best in range(1, 100):
        plateau.observe(since_best)
    assert plateau.factor == 0.01
    idle = Plateau(active=False)
    idle.observe(5)
    assert idle.factor == 1


def test_the_schedule_reaches_the_optimiser(make, train):
    tape = train(make(steps=10, schedule="cosine", lr_warmup=2, log_every=1, lr=0.02))
    rates = [e.lr for e in tape.of(Progressed)]
    assert rates == [0.02 * learning_rate_factor("cosine", s, 10, 2) for s in range(10)]


# --- when to stop, what to keep ---------------------------------------------------------------------------------------
def test_the_best_weights_are_in_the_model_at_the_end(make, train, same):
    kept = {}
    training = make(steps=60, lr=0.5, validate_every=3, schedule="constant")

    def look(event, training):
        if isinstance(event, Validated):
            kept[event.step] = {k: v.clone() for k, v in training.model.state_dict().items()}

    class Keep:
        on = staticmethod(look)

    tape = train(training, Keep)
    losses = {e.step: e.metrics["loss"] for e in tape.of(Validated)}
    best = min(losses, key=losses.get)
    assert tape.of(Finished)[0].best_step == best < 60
    assert same(kept[best], training.model.state_dict())
    assert training.evaluate()["loss"] == losses[best]


def test_without_validation_rows_nothing_is_validated_and_the_last_weights_stay(make, train):
    training = make(n_validation=0, validate_every=5)
    tape = train(training)
    assert tape.of(Validated) == []
    assert tape.of(Finished)[0].best_step == training.total_steps


@pytest.mark.parametrize("wish", [{"patience": 3}, {"schedule": "plateau"}])
def test_what_watches_validation_rows_needs_some(make, wish):
    with pytest.raises(SettingError, match="validation"):
        make(n_validation=0, **wish)


def test_early_stopping_waits_for_the_end_of_the_warm_up(make, train):
    from senzai.training.listeners import EarlyStopping

    objective = ELBO(warmup=LinearWarmup(30))
    training = make(steps=400, lr=0.3, validate_every=2, objective=objective, schedule="constant")
    tape = train(training, EarlyStopping(3))
    seen = tape.of(Validated)
    assert not any(e.best for e in seen if e.step < 30)
    assert all(e.settled == (e.step >= 30) and (e.settled or e.since_best == 0) for e in seen)
    finished = tape.of(Finished)[0]
    assert finished.early
    assert finished.step < 400
    assert finished.best_step >= 30
    assert [e.since_best for e in seen[-4:]] == [0, 1, 2, 3]
    assert finished.step == finished.best_step + 3 * 2


def test_a_warm_up_is_validated_at_its_end_weight(make):
    warm = make(objective=ELBO(warmup=LinearWarmup(20)), steps=20)
    plain = make()
    assert warm.evaluate() == plain.evaluate()


def test_a_warm_up_that_would_not_finish_is_refused(make):
    with pytest.raises(SettingError, match=r"takes 21 steps of 20.*Shorten it, or train longer"):
        make(objective=ELBO(warmup=LinearWarmup(21)), steps=20)
    make(objective=ELBO(warmup=LinearWarmup(20)), steps=20)


# --- settings ---------------------------------------------------------------------------------------------------------
def test_all_faults_of_the_settings_are_named_at_once():
    with pytest.raises(SettingError) as caught:
        TrainSettings.parse({"lr": -1, "batch_sise": 3, "schedule": "cosin"})
    text = str(caught.value)
    assert "'lr'" in text
    assert "-1" in text
    assert "Did you mean 'batch_size'?" in text
    assert "'schedule'" in text
    assert "cosine" in text


@pytest.mark.parametrize(
    "wrong", [{"ema": 1.0}, {"steps": 0}, {"accumulate": 0}, {"clip": 0}, {"precision": "fp16"}, {"lr": float("nan")}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(SettingError, match=next(iter(wrong))):
        TrainSettings.parse(wrong)


def test_sizes_decided_from_the_data():
    s = TrainSettings()
    assert [s.chosen_batch_size(n) for n in (10, 1000, 10_000, 100_000)] == [10, 32, 128, 512]
    assert TrainSettings(batch_size=64).chosen_batch_size(10) == 10
    assert s.total_steps(20) == 300 * 20
    assert s.total_steps(10_000) == 20 * 10_000
    assert TrainSettings(epochs=2).total_steps(7) == 14


# --- precision --------------------------------------------------------------------------------------------------------
def test_bf16_is_refused_where_it_would_be_emulated(make, monkeypatch):
    monkeypatch.setattr(checks, "native_bf16", lambda device: False)
    with pytest.raises(SettingError, match="natively"):
        make(precision="bf16")
    assert make(precision="auto").dtype is None


def test_auto_precision_needs_hardware_and_size(make, monkeypatch):
    monkeypatch.setattr(checks, "native_bf16", lambda device: True)
    assert make().dtype is None
    monkeypatch.setattr(checks, "BF16_FROM_PARAMETERS", 10)
    assert make().dtype is torch.bfloat16
    assert make(precision="fp32").dtype is None


def test_bf16_computes_densities_in_single_precision(make, train, monkeypatch):
    monkeypatch.setattr(checks, "native_bf16", lambda device: True)
    seen: Counter = Counter()

    class Watched(Objective):
        def __call__(self, model, batch, step):
            found = model.infer(batch)
            seen.update([found.log_lik.dtype, found.groups[0].q.mean.dtype, found.groups[0].rate().dtype])
            return ELBO()(model, batch, step)

    layers: Counter = Counter()
    half, full = (make(precision=p, steps=60, objective=Watched()) for p in ("bf16", "fp32"))
    half.model.posterior.encoder.register_forward_hook(lambda m, i, o: layers.update([o.dtype]))
    elbos = [train(t).of(Validated)[-1].metrics["elbo"] for t in (half, full)]
    assert set(seen) == {torch.float32}
    assert set(layers) == {torch.bfloat16, torch.float32}  # training, and validation in full
    assert {p.dtype for p in half.model.parameters()} == {torch.float32}
    assert elbos[0] == pytest.approx(elbos[1], abs=0.1)


def test_the_bound_improves_and_metrics_add_up(make, train):
    tape = train(make(steps=100, log_every=10, validate_every=10))
    first, last = tape.of(Validated)[0].metrics, tape.of(Validated)[-1].metrics
    assert last["elbo"] > first["elbo"]
    for event in [*tape.of(Progressed), *tape.of(Validated)]:
        m = event.metrics
        assert m["loss"] == pytest.approx(m["distortion"] + m["rate"], rel=1e-5)
        assert m.get("elbo", -m["loss"]) == pytest.approx(-m["loss"], rel=1e-6)


def test_rows_of_about_one_length_share_a_batch():
    lengths = torch.randint(1, 40, (1030,), generator=torch.Generator().manual_seed(0))
    plan, plain = FeedPlan(1030, 16, seed=3, lengths=lengths), FeedPlan(1030, 16, seed=3)
    order = plan.order(0)
    assert torch.equal(order.sort().values, torch.arange(1030))
    assert torch.equal(order, plan.order(0))
    assert not torch.equal(order, plan.order(1))

    def padding(plan):
        batches = [lengths[b].float() for b in plan.order(0)[:1024].split(16)]
        return sum(float((b.max() - b).sum()) for b in batches) / float(lengths.sum())

    assert padding(plan) < 0.15 * padding(plain)
    means = torch.stack([lengths[b].float().mean() for b in order[:1024].split(16)])
    assert abs(float(torch.corrcoef(torch.stack([means, torch.arange(64.0)]))[0, 1])) < 0.3  # no course along an epoch
    assert torch.equal(order[1024:], plain.order(0)[1024:])  # what is left is any rows
