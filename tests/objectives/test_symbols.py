"""The bag of symbols: what the head says of a row's symbols, each counted once, and nothing behind the end."""

import pytest
import torch
import torch.nn.functional as F

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError, SettingError
from senzai.core.random import Noise, using
from senzai.distributions import NormalFamily
from senzai.models import Flat
from senzai.nn.tokens import RecurrentTokenEncoder
from senzai.objectives import ELBO, BagOfSymbols
from senzai.parts import Posterior, StandardNormal
from senzai.parts.likelihoods import RecurrentTokens

N, T = 6, 5
ROWS = torch.tensor([[3, 4, 0, 5, 5], [2, 2, 5, 3, 0]]).float()
LENGTHS = torch.tensor([3, 5])


@pytest.fixture
def model():
    torch.manual_seed(0)
    likelihood = RecurrentTokens(2, (T,), N, width=8, embedding=4)
    return Flat(StandardNormal(2), Posterior(RecurrentTokenEncoder(N, width=4, embedding=4), NormalFamily(), 2),
                likelihood).eval()


def loss_of(objective, model, x=ROWS):
    objective.equip(model)
    with using(Noise.seeded(0)):
        return objective(model, Batch(x, lengths=LENGTHS), 0)


def test_the_bag_is_the_sum_over_the_symbols_that_a_row_has(model):
    objective = BagOfSymbols(bag_weight=2.0)
    terms = loss_of(objective, model)
    head = model.aux["bag_of_symbols"]
    with using(Noise.seeded(0)):
        z = model.infer(Batch(ROWS, lengths=LENGTHS)).groups[0].z[0]
    log_p = F.log_softmax(head(z), -1)
    by_hand = torch.stack([log_p[0, 3] + log_p[0, 4] + log_p[0, 0],
                           2 * log_p[1, 2] + log_p[1, 5] + log_p[1, 3] + log_p[1, 0]])
    assert torch.allclose(terms.parts["bag"], -2 * by_hand, atol=1e-6)
    assert torch.allclose(terms.loss, terms.parts["distortion"] + terms.parts["rate"] + terms.parts["bag"])


def test_without_bag_and_floor_it_is_the_bound(model):
    bag = loss_of(BagOfSymbols(bag_weight=0.0), model)
    with using(Noise.seeded(0)):
        bound = ELBO()(model, Batch(ROWS, lengths=LENGTHS), 0)
    assert torch.allclose(bag.loss, bound.loss)


def test_what_stands_behind_the_end_changes_nothing(model):
    objective = BagOfSymbols()
    objective.equip(model)
    other = ROWS.clone()
    other[0, 3:] = torch.tensor([1.0, 2.0])
    with using(Noise.seeded(0)):
        a = objective(model, Batch(ROWS, lengths=LENGTHS), 0).loss
    with using(Noise.seeded(0)):
        b = objective(model, Batch(other, lengths=LENGTHS), 0).loss
    assert torch.equal(a, b)


def test_the_head_learns_and_is_no_part_of_the_model(model):
    objective = BagOfSymbols()
    objective.equip(model)
    (player,) = objective.players(model)
    head = {id(p) for p in model.aux["bag_of_symbols"].parameters()}
    assert head <= {id(p) for p in player.parameters}
    assert not head & {id(p) for p in model.own_parameters()}


def test_other_models_are_refused(model):
    from senzai.distributions import BernoulliFamily
    from senzai.nn import MLPDecoder, MLPEncoder
    from senzai.parts import Likelihood

    bits = Flat(StandardNormal(2), Posterior(MLPEncoder((5,), (4,)), NormalFamily(), 2),
                Likelihood(MLPDecoder(2, (1, 5), (4,)), BernoulliFamily(), (5,)))
    with pytest.raises(CombinationError, match="rows of symbols"):
        BagOfSymbols().admit(bits)
    with pytest.raises(SettingError, match="bag_weight"):
        BagOfSymbols(bag_weight=-1.0)


def test_a_code_that_is_asked_for_each_place_is_asked_for_each(model):
    terms = loss_of(BagOfSymbols(bag_weight=1.0, placed=True), model)
    with using(Noise.seeded(0)):
        z = model.infer(Batch(ROWS, lengths=LENGTHS)).groups[0].z[0]
    log_p = F.log_softmax(model.aux["bag_of_symbols"](z).view(2, T, N), -1)
    by_hand = [sum(log_p[i, t, int(ROWS[i, t])] for t in range(int(n))) for i, n in enumerate(LENGTHS)]
    assert torch.allclose(terms.parts["bag"], -torch.stack(by_hand), atol=1e-6)


def test_numbers_that_are_not_known_count_nothing(model):
    objective = BagOfSymbols(number_weight=4.0, n_numbers=2)
    objective.equip(model)
    told = torch.tensor([[1.0, -1.0], [float("nan"), 0.5]])
    batch = Batch(ROWS, lengths=LENGTHS, numbers=told)
    with using(Noise.seeded(0)):
        terms = objective(model, batch, 0)
    with using(Noise.seeded(0)):
        z = model.infer(batch).groups[0].z[0]
    missed = model.aux["numbers"](z) - told
    by_hand = torch.stack([(missed[0] ** 2).sum(), missed[1, 1] ** 2]) * 2.0
    assert torch.allclose(terms.parts["numbers"], by_hand, atol=1e-5)
    assert torch.isfinite(terms.loss).all()
    assert len(objective.players(model)[0].parameters) == len(list(model.parameters()))
