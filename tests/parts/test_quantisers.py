"""Quantisers: codes and vectors belong together, gradients are the formulas', codebooks move as written."""

from __future__ import annotations

from itertools import pairwise, product
from math import exp, log, prod

import pytest
import torch

from senzai.core.errors import SettingError
from senzai.core.random import Noise, using
from senzai.parts import FSQ, LFQ, VQ, Codebook, ResidualVQ, perplexity
from senzai.parts.quantisers.codebooks import Usage, smoothed, spread_out
from senzai.parts.quantisers.vector import rotated, straight_through


def alone(x):
    return x


QUANTISERS = {
    "vq": lambda: VQ(3, n_codes=7),
    "vq by gradients": lambda: VQ(3, n_codes=7, ema=False),
    "vq with rotation": lambda: VQ(3, n_codes=7, gradient="rotation"),
    "residual": lambda: ResidualVQ(3, depth=2, n_codes=5),
    "residual by gradients": lambda: ResidualVQ(3, depth=2, n_codes=5, ema=False, gradient="rotation"),
    "fsq": lambda: FSQ((4, 3, 2)),
    "lfq": lambda: LFQ(3, diversity=0.0),
}


@pytest.fixture(params=QUANTISERS)
def quantiser(request):
    return QUANTISERS[request.param]().double()


GRIDS = ["fsq of three", "fsq of two", "fsq of bits", "lfq"]


# --- codes and vectors ----------------------------------------------------------------------------------------------
def test_a_vector_is_that_of_its_codes(quantiser):
    q = quantiser(torch.randn(4, 6, 3, dtype=torch.double))
    assert q.codes.shape == (4, 6 * quantiser.depth)
    assert q.codes.dtype == torch.long
    torch.testing.assert_close(quantiser.embed(q.codes), q.values)
    if quantiser.depth == 1:  # greedy codes of several lists may come nearer to their own sum
        torch.testing.assert_close(quantiser.embed(quantiser.nearest(q.values)), q.values)


@pytest.mark.parametrize("grid", [FSQ((4, 3, 2)), FSQ((8, 5)), FSQ((2, 2, 2)), LFQ(5)], ids=GRIDS)
def test_codes_and_points_of_a_grid_are_one_to_one(grid):
    codes = torch.arange(grid.n_codes)
    points = grid.embed(codes[None])[0]
    assert len({tuple(p) for p in points.tolist()}) == grid.n_codes
    if isinstance(grid, FSQ):  # the vector that is bounded to exactly this point
        half = (grid.sizes - 1) * (1 + 1e-3) / 2
        offset = 0.5 * (grid.sizes % 2 == 0)
        points = torch.atanh((points * (grid.sizes // 2) + offset) / half) - torch.atanh(offset / half)
    assert torch.equal(grid(points[None]).codes[0], codes)


def test_the_levels_of_fsq_are_the_published_ones():
    fsq = FSQ((8, 5, 2))
    assert fsq.n_codes == 8 * 5 * 2
    values = [sorted({p[i] for p in fsq.embed(torch.arange(80)).tolist()}) for i in range(3)]
    assert values[0] == [-1, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75]
    assert values[1] == [-1, -0.5, 0, 0.5, 1]
    assert values[2] == [-1, 0]
    assert fsq(torch.zeros(1, 1, 3)).values.tolist() == [[[0, 0, 0]]]
    far = fsq(torch.tensor([[[9.0, 9.0, 9.0], [-9.0, -9.0, -9.0]]])).values[0].tolist()
    assert far == [[0.75, 1, 0], [-1, -1, -1]]


def test_the_nearest_code_is_the_nearest():
    book = Codebook(50, 4)
    x = torch.randn(200, 4)
    assert torch.equal(book.nearest(x), torch.cdist(x, book.vectors).argmin(-1))


def test_lfq_takes_signs():
    q = LFQ(3)(torch.tensor([[[0.1, -7.0, 2.0]]]))
    assert q.values.tolist() == [[[1, -1, 1]]]
    assert q.codes.tolist() == [[1 + 4]]


# --- gradients ------------------------------------------------------------------------------------------------------
def test_straight_through_is_the_value_of_one_and_the_gradient_of_the_other():
    x, q = torch.randn(3, 4, requires_grad=True), torch.randn(3, 4)
    out = straight_through(x, q)
    torch.testing.assert_close(out.detach(), q)
    g = torch.randn(3, 4)
    assert torch.equal(torch.autograd.grad(out, x, g)[0], g)


def test_the_rotation_is_the_published_one():
    for _ in range(5):
        x, q = torch.randn(4, dtype=torch.double, requires_grad=True), torch.randn(4, dtype=torch.double)
        e, k = x.detach() / x.detach().norm(), q / q.norm()
        r = (e + k) / (e + k).norm()
        turn = torch.eye(4, dtype=torch.double) - 2 * torch.outer(r, r) + 2 * torch.outer(k, e)
        torch.testing.assert_close(turn @ turn.T, torch.eye(4, dtype=torch.double))
        linear = q.norm() / x.detach().norm() * turn
        out = rotated(x, q)
        torch.testing.assert_close(out.detach(), q)
        torch.testing.assert_close(linear @ x.detach(), q)
        torch.testing.assert_close(torch.autograd.functional.jacobian(lambda v, q=q: rotated(v, q), x.detach()), linear)


@pytest.mark.parametrize("q", [[0.0, 0.0], [-2.0, 0.0]])
def test_where_no_rotation_is_told_apart_the_gradient_passes_straight(q):
    x, q = torch.tensor([1.0, 0.0]), torch.tensor(q)
    torch.testing.assert_close(torch.autograd.functional.jacobian(lambda v: rotated(v, q), x), torch.eye(2))
    torch.testing.assert_close(rotated(x, q), q)


@pytest.mark.parametrize("name", ["vq", "residual", "lfq"])
def test_the_gradient_reaches_the_vectors_once(name):
    quantiser = QUANTISERS[name]().double()
    x = torch.randn(2, 3, 3, dtype=torch.double, requires_grad=True)
    g = torch.randn(2, 3, 3, dtype=torch.double)
    assert torch.equal(torch.autograd.grad(quantiser(x).values, x, g)[0], g)


def test_the_gradient_of_fsq_is_that_of_its_bound():
    fsq = FSQ((4, 3)).double()
    x = torch.randn(2, 3, 2, dtype=torch.double, requires_grad=True)
    g = torch.randn(2, 3, 2, dtype=torch.double)
    found = torch.autograd.grad(fsq(x).values, x, g)[0]
    half = (fsq.sizes - 1) * (1 + 1e-3) / 2
    shift = torch.atanh(0.5 * (fsq.sizes % 2 == 0) / half)
    expected = g * half * (1 - torch.tanh(x + shift).square()) / (fsq.sizes // 2)
    torch.testing.assert_close(found, expected)


def test_commitment_moves_vectors_and_the_codebook_term_the_codebook():
    vq = VQ(3, n_codes=7, ema=False, commitment=0.5).double()
    x = torch.randn(2, 4, 3, dtype=torch.double, requires_grad=True)
    q = vq(x)
    away = (x - vq.embed(q.codes)).detach()
    torch.testing.assert_close(q.extras["commitment"], 0.5 * away.square().sum((1, 2)))
    torch.testing.assert_close(q.extras["codebook"], away.square().sum((1, 2)))
    to_x, to_book = torch.autograd.grad(q.extras["commitment"].sum(), [x, vq.book.vectors], allow_unused=True)
    torch.testing.assert_close(to_x, away)
    assert to_book is None or not to_book.any()
    to_x, to_book = torch.autograd.grad(q.extras["codebook"].sum(), [x, vq.book.vectors], allow_unused=True)
    assert to_x is None or not to_x.any()
    expected = torch.zeros_like(to_book).index_add(0, q.codes.flatten(), -2 * away.reshape(-1, 3))
    torch.testing.assert_close(to_book, expected)


# --- rows -----------------------------------------------------------------------------------------------------------
def test_the_terms_of_a_row_do_not_know_the_size_of_its_batch(quantiser):
    x = torch.randn(64, 5, 3, dtype=torch.double)
    whole = quantiser(x)
    for n in (1, 4):
        few = quantiser(x[:n])
        assert torch.equal(few.codes, whole.codes[:n])
        for name, term in few.extras.items():
            torch.testing.assert_close(term, whole.extras[name][:n])
    assert not quantiser.mixes_rows


def test_the_entropy_over_the_batch_mixes_rows_and_says_so():
    assert LFQ(3).mixes_rows
    assert not LFQ(3, entropy=0.0).mixes_rows
    x = torch.randn(8, 5, 3)
    lfq = LFQ(3, entropy=1.0)
    p = torch.sigmoid(4 * x)

    def h(p):
        return -(p * p.log() + (1 - p) * (1 - p).log())

    expected = h(p).sum((1, 2)) - 5 * h(p.mean((0, 1))).sum()
    torch.testing.assert_close(lfq(x).extras["entropy"], expected, rtol=1e-4, atol=1e-4)


# --- codebooks ------------------------------------------------------------------------------------------------------
def test_running_means_move_as_computed_by_hand():
    book = Codebook(2, 1, decay=0.9, epsilon=0.5, revive=0.0).double()
    book.vectors.copy_(torch.tensor([[0.0], [10.0]]))
    book.sums.copy_(torch.tensor([[0.0], [20.0]]))
    book.usage.counts.copy_(torch.tensor([1.0, 2.0]))
    x = torch.tensor([[[1.0], [3.0], [8.0]]], dtype=torch.double)
    codes = book.nearest(x)
    assert codes.tolist() == [[0, 0, 1]]
    book.observe(x, codes)
    assert book.vectors.tolist() == [[0.0], [10.0]]  # nothing moves before the step has ended
    book.settle(alone)
    counts = [0.9 * 1 + 0.1 * 2, 0.9 * 2 + 0.1 * 1]  # 1.1, 1.9
    sums = [0.9 * 0 + 0.1 * 4, 0.9 * 20 + 0.1 * 8]  # 0.4, 18.8
    n = sum(counts)
    spread = [(c + 0.5) / (n + 2 * 0.5) * n for c in counts]
    assert book.usage.counts.tolist() == pytest.approx(counts)
    assert book.sums.flatten().tolist() == pytest.approx(sums)
    assert book.vectors.flatten().tolist() == pytest.approx([s / c for s, c in zip(sums, spread, strict=True)])
    before = book.vectors.clone()
    book.settle(alone)  # a step in which nobody looked
    assert torch.equal(book.vectors, before)
    assert book.usage.counts.tolist() == pytest.approx(counts)


def test_smoothing_keeps_the_sum_and_lets_no_count_be_zero():
    counts = torch.tensor([0.0, 3.0, 7.0])
    found = smoothed(counts, 1e-2)
    assert float(found.sum()) == pytest.approx(10.0)
    assert float(found[0]) == pytest.approx(1e-2 / (10 + 3e-2) * 10)


@pytest.mark.parametrize("ema", [True, False])
@pytest.mark.parametrize("cuts", [(0, 3, 6), (0, 1, 2, 6)])
def test_pieces_of_a_step_move_a_codebook_as_the_whole_does(ema, cuts):
    """In turn, as with gradient accumulation; and apart and summed, as on several processes."""
    torch.manual_seed(3)
    start = Codebook(5, 2, ema=ema, revive=0.5).double()
    start.usage.counts[2] = 1e-3  # dead
    with torch.no_grad():
        start.vectors[2] = 50.0
    x = torch.randn(6, 4, 2, dtype=torch.double)

    def copy():
        book = Codebook(5, 2, ema=ema, revive=0.5).double()
        book.load_state_dict(start.state_dict())
        return book

    def observe(book, a, b):
        with using(Noise.seeded(1, offset=a, total=6)):
            book.observe(x[a:b], book.nearest(x[a:b]))

    whole, turns = copy(), copy()
    observe(whole, 0, 6)
    whole.settle(alone)
    pieces = list(pairwise(cuts))
    for a, b in pieces:
        observe(turns, a, b)
    turns.settle(alone)
    ranks = [copy() for _ in pieces]
    for rank, (a, b) in zip(ranks, pieces, strict=True):
        observe(rank, a, b)
    sums = {"moved": sum(r.moved for r in ranks), "pending": sum(r.usage.pending for r in ranks)}
    for rank in ranks:
        rank.settle(lambda t: sums["moved" if t.ndim == 3 else "pending"].clone())
    assert not torch.equal(whole.vectors, start.vectors)
    for other in (turns, *ranks):
        for name, value in whole.state_dict().items():
            torch.testing.assert_close(other.state_dict()[name], value, msg=name)


@pytest.mark.parametrize("ema", [True, False])
def test_dead_codes_start_anew_where_data_are(ema):
    def far_but_one(**settings):
        book = Codebook(8, 2, ema=ema, **settings)
        with torch.no_grad():
            book.vectors.copy_(100.0 + torch.arange(8)[:, None])
            book.vectors[0] = 0.0
            if ema:
                book.sums.copy_(book.vectors)
        return book

    book = far_but_one(revive=0.1, decay=0.5)
    x = torch.randn(50, 3, 2)
    for step in range(40):
        with using(Noise.seeded(step)):
            book.observe(x, book.nearest(x))
        book.settle(alone)
    assert (book.vectors.norm(dim=-1) < 10).all()
    assert float(book.usage.perplexity) > 5
    left = far_but_one(revive=0.0, decay=0.9)
    for _ in range(10):
        left.observe(x, left.nearest(x))
        left.settle(alone)
    assert float(left.usage.perplexity) < 1.5
    assert (left.vectors[1:].norm(dim=-1) > 100).all()


def test_a_candidate_is_a_vector_of_the_step():
    book, x = Codebook(6, 2), torch.randn(5, 3, 2)
    with using(Noise.seeded(0)):
        found = book._candidates(x)
    rows = {tuple(v) for v in x.reshape(-1, 2).tolist()}
    assert all(tuple(v) in rows for v in found.tolist())
    assert len({tuple(v) for v in found.tolist()}) > 1


def test_a_codebook_starts_as_centres_of_the_data():
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    x = centres.repeat(40, 1) + 0.1 * torch.randn(120, 2)
    for seed in range(5):
        book = Codebook(3, 2)
        with using(Noise.seeded(seed)):
            book.begin(x)
        found = book.vectors[torch.cdist(centres, book.vectors).argmin(-1)]
        expected = torch.stack([x[i::3].mean(0) for i in range(3)])
        torch.testing.assert_close(found, expected)
        assert book.usage.counts.sort().values.tolist() == [40.0, 40.0, 40.0]
        torch.testing.assert_close(book.sums / smoothed(book.usage.counts, 1e-5)[:, None], book.vectors)


def test_more_codes_than_vectors_are_no_trouble():
    with using(Noise.seeded(0)):
        found = spread_out(torch.tensor([[1.0], [2.0]]), 6)
    assert set(found.flatten().tolist()) == {1.0, 2.0}


def test_the_error_of_residual_codes_falls_with_their_depth():
    x = torch.randn(400, 1, 4)
    errors = []
    for depth in range(1, 5):
        quantiser = ResidualVQ(4, depth=depth, n_codes=16)
        with using(Noise.seeded(0)):
            quantiser.begin(x)
        errors.append(float((quantiser(x).values - x).square().mean()))
    assert all(b < 0.8 * a for a, b in pairwise(errors)), errors


def test_residual_codes_are_greedy():
    quantiser = ResidualVQ(2, depth=2, n_codes=4, ema=False)
    x = torch.randn(1, 1, 2)
    first, second = (b.vectors.detach() for b in quantiser.books)
    k = int((first - x[0, 0]).norm(dim=-1).argmin())
    m = int((second - (x[0, 0] - first[k])).norm(dim=-1).argmin())
    q = quantiser(x)
    assert q.codes.tolist() == [[k, m]]
    torch.testing.assert_close(q.values.detach()[0, 0], first[k] + second[m])
    expected = 0.25 * ((x[0, 0] - first[k]).square().sum() + (x[0, 0] - first[k] - second[m]).square().sum())
    torch.testing.assert_close(q.extras["commitment"][0], expected)


# --- use ------------------------------------------------------------------------------------------------------------
def test_perplexity_of_counts_made_by_hand():
    assert float(perplexity(torch.tensor([1.0, 1.0, 1.0, 1.0]))) == pytest.approx(4.0)
    assert float(perplexity(torch.tensor([0.0, 9.0]))) == pytest.approx(1.0)
    p = [0.5, 0.25, 0.25]
    assert float(perplexity(torch.tensor([2.0, 1.0, 1.0]))) == pytest.approx(exp(-sum(x * log(x) for x in p)))


def test_use_follows_the_codes():
    use = Usage(3, decay=0.5)
    use.begin(torch.tensor([0, 0, 1]))
    assert use.counts.tolist() == [2.0, 1.0, 0.0]
    assert float(use.used) == pytest.approx(2 / 3)
    use.observe(torch.tensor([2, 2]))
    use.settle(alone)
    assert use.counts.tolist() == [1.0, 0.5, 1.0]
    assert use.pending.tolist() == [0.0, 0.0, 0.0]


def test_nothing_is_learned_unless_asked(quantiser):
    before = {k: v.clone() for k, v in quantiser.state_dict().items()}
    x = torch.randn(4, 6, 3, dtype=torch.double)
    quantiser(x)
    quantiser.settle(alone)
    assert all(torch.equal(before[k], v) for k, v in quantiser.state_dict().items())
    quantiser(x, learn=True)
    quantiser.settle(alone)
    assert any(not torch.equal(before[k], v) for k, v in quantiser.state_dict().items())


@pytest.mark.parametrize(("make", "says"), [
    (lambda: VQ(2, n_codes=1), "n_codes >= 2"), (lambda: VQ(2, commitment=-1.0), "commitment >= 0"),
    (lambda: VQ(2, decay=1.0), "decay < 1"), (lambda: ResidualVQ(2, depth=0), "depth >= 1"),
    (lambda: FSQ((8, 1)), "two levels"), (lambda: FSQ(()), "two levels"), (lambda: LFQ(0), "n_bits"),
    (lambda: LFQ(3, temperature=0.0), "temperature > 0"),
])
def test_what_cannot_be_is_refused(make, says):
    with pytest.raises(SettingError, match=says):
        make()


def test_all_words_of_bits_are_codes():
    words = torch.tensor(list(product([-1.0, 1.0], repeat=4)))
    assert sorted(LFQ(4)(words[None]).codes[0].tolist()) == list(range(16))
    assert prod((8, 6, 5)) == FSQ((8, 6, 5)).n_codes
