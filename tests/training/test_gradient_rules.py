"""What comes between loss and optimiser can be exchanged: here, gradients that are clipped row by row."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from senzai.core.batch import Batch
from senzai.core.random import Noise, forked, using
from senzai.distributions import NormalFamily, NormalFixedFamily
from senzai.models import Flat
from senzai.nn import MLPDecoder, MLPEncoder
from senzai.objectives import ELBO
from senzai.parts import Likelihood, Posterior, StandardNormal
from senzai.training.step import PlayerLoss, gradient_of_mean, watched

MOST = 0.7


class Taken(Noise):
    """Numbers that were drawn before, in the order of asking: those of a row can be given to a function of that row."""

    def __init__(self, numbers: list[Tensor]) -> None:
        super().__init__()
        object.__setattr__(self, "left", list(numbers))

    def normal(self, shape, *, row_dim=1, dtype=None, device=None) -> Tensor:
        return self.left.pop(0).reshape(shape)


class Noted(Noise):
    """Draws as a source does, and keeps what it drew with the axis of the rows first."""

    def __init__(self, inner: Noise) -> None:
        super().__init__()
        object.__setattr__(self, "inner", inner)
        object.__setattr__(self, "numbers", [])

    def normal(self, shape, *, row_dim=1, dtype=None, device=None) -> Tensor:
        found = self.inner.normal(shape, row_dim=row_dim, dtype=dtype, device=device)
        self.numbers.append(found.movedim(row_dim, 0))
        return found


def clipped_rows(most: float, gradients_of: Callable) -> Callable:
    """Return a rule: the gradient of every row is cut to a norm of ``most``, then their mean is taken."""

    def rule(stepper, pieces, step):
        (piece,) = pieces
        with stepper.drawing(piece, step):
            from senzai.core.random import current_noise

            noted = Noted(current_noise())
            with torch.no_grad(), using(noted):
                terms = stepper.player.loss(stepper.loss.model, piece.batch, step)
        found = gradients_of(stepper, piece.batch, step, noted.numbers)
        norm = torch.stack([g.flatten(1).square().sum(1) for g in found.values()]).sum(0).sqrt()
        factor = (most / norm).clamp(max=1.0)
        own = {id(p) for p in stepper.player.parameters}
        for name, p in stepper.loss.named_parameters():
            if id(p) in own:
                p.grad = torch.einsum("b,b...->...", factor, found[name]) / piece.total
        named = watched(terms)
        stepper.loss.names = tuple(named)
        return torch.stack([v.sum() for v in named.values()])

    return rule


def by_vmap(stepper, batch: Batch, step: int, numbers: list[Tensor]) -> dict[str, Tensor]:
    loss: PlayerLoss = stepper.loss
    parameters = {n: p.detach() for n, p in loss.named_parameters()}

    def of_row(values, x, *drawn):
        with using(Taken(list(drawn))):
            return torch.func.functional_call(loss, values, (Batch(x.unsqueeze(0)), step, 1))[0]

    found = torch.func.vmap(torch.func.grad(of_row), in_dims=(None, *[0] * (1 + len(numbers))))
    return found(parameters, batch.tensor, *numbers)


def by_loop(stepper, batch: Batch, step: int, numbers: list[Tensor]) -> dict[str, Tensor]:
    loss: PlayerLoss = stepper.loss
    rows = []
    for i in range(len(batch)):
        with using(Taken([n[i] for n in numbers])):
            value = loss(batch.take(slice(i, i + 1)), step, 1)[0]
        names, parameters = zip(*loss.named_parameters(), strict=True)
        found = torch.autograd.grad(value, parameters, allow_unused=True)
        rows.append({n: torch.zeros_like(p) if g is None else g for n, p, g in zip(names, parameters, found,
                                                                                   strict=True)})
    return {n: torch.stack([r[n] for r in rows]) for n in rows[0]}


def normal_model() -> Flat:
    with forked(3):
        return Flat(
            StandardNormal(2), Posterior(MLPEncoder((6,), (8,)), NormalFamily(), 2),
            Likelihood(MLPDecoder(2, (1, 6), (8,)), NormalFixedFamily(), (6,)),
        )


def gradients(make, rule) -> tuple[dict[str, Tensor], Tensor]:
    training = make(model=normal_model(), objective=ELBO(), rule=rule)
    stepper = training.steppers[0]
    with forked(0):
        sums, _, fine = stepper(training.feed.pieces_of(0), 0, True)
    assert bool(fine)
    return {n: p.grad.clone() for n, p in training.model.named_parameters() if p.grad is not None}, sums


def test_rows_clipped_by_vmap_are_rows_clipped_one_by_one(make):
    fast, sums = gradients(make, clipped_rows(MOST, by_vmap))
    slow, _ = gradients(make, clipped_rows(MOST, by_loop))
    assert fast.keys() == slow.keys()
    for name, found in fast.items():
        torch.testing.assert_close(found, slow[name], rtol=1e-5, atol=1e-6)
    plain, plain_sums = gradients(make, gradient_of_mean)
    torch.testing.assert_close(sums, plain_sums, rtol=1e-5, atol=1e-5)
    assert any(not torch.allclose(plain[n], fast[n], rtol=1e-2) for n in plain)  # the rule did clip


def test_a_clip_that_no_row_reaches_gives_the_gradient_of_the_mean(make):
    free, _ = gradients(make, clipped_rows(1e9, by_vmap))
    plain, _ = gradients(make, gradient_of_mean)
    assert free.keys() == plain.keys()
    for name, found in free.items():
        torch.testing.assert_close(found, plain[name], rtol=1e-5, atol=1e-6)


def test_no_row_moves_the_weights_further_than_the_clip(make):
    found, _ = gradients(make, clipped_rows(MOST, by_vmap))
    norm = torch.cat([g.flatten() for g in found.values()]).norm()
    assert float(norm) <= MOST * (1 + 1e-5)


def test_a_run_trains_under_a_rule_of_one_s_own(make, train):
    training = make(model=normal_model(), objective=ELBO(), rule=clipped_rows(MOST, by_vmap), steps=12)
    before = training.evaluate()["loss"]
    train(training)
    assert training.evaluate()["loss"] < before
    assert training.progress.step == 12


@pytest.mark.parametrize("kept", [True, False])
def test_parts_say_whether_they_keep_training_rows(kept):
    from senzai.models.generative import keepers_of_rows
    from senzai.parts import VampPrior

    with forked(0):
        posterior = Posterior(MLPEncoder((6,), (8,)), NormalFamily(), 2)
        prior = VampPrior(2, (6,), posterior, n_components=3) if kept else StandardNormal(2)
        model = Flat(prior, posterior, Likelihood(MLPDecoder(2, (1, 6), (8,)), NormalFixedFamily(), (6,)))
    assert model.keeps_rows is kept
    assert keepers_of_rows(model) == (["prior"] if kept else [])
