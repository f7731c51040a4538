"""Topics: coherence and diversity by hand, perplexity by definition, topics that are found again, the verb."""

import json
import math
from itertools import combinations

import numpy as np
import pytest
import torch

import senzai
from senzai.core.batch import Batch
from senzai.core.errors import CombinationError, SettingError
from senzai.data.sparse import Sparse
from senzai.distributions import MultinomialGivenTotal
from senzai.evaluation.topics import (
    diversity,
    has_topics,
    npmi,
    of_batch,
    perplexities,
    ranked,
    topic_weights,
    topic_words,
    usual_shares,
)
from senzai.nn import TopicDecoder


def sparse(x):
    return of_batch(Batch(torch.as_tensor(np.asarray(x))))


# --- coherence and diversity ------------------------------------------------------------------------------------------
def test_npmi_by_hand():
    """Of four documents a is in three, b in two, both in one: log((1/4) / (3/4 * 2/4)) / log 4."""
    corpus = sparse([[1, 0, 0], [3, 2, 0], [1, 0, 0], [0, 1, 5]])
    found = npmi(np.array([[0, 1]]), corpus)[0]
    assert found == pytest.approx(math.log(0.25 / (0.75 * 0.5)) / math.log(4))


@pytest.mark.parametrize(("words", "value"), [([0, 1], 1.0), ([0, 2], -1.0), ([0, 3], 0.0), ([3, 4], 1.0)])
def test_npmi_at_its_ends(words, value):
    """Always together, never together, independent, both everywhere."""
    corpus = sparse([[1, 1, 0, 1, 1], [1, 1, 0, 1, 1], [0, 0, 1, 1, 1], [0, 0, 1, 1, 1]])
    assert npmi(np.array([words]), corpus)[0] == pytest.approx(value)


def test_npmi_of_groups_is_the_mean_over_pairs():
    rng = np.random.default_rng(0)
    x = rng.poisson(0.7, (60, 12))
    words = np.stack([rng.permutation(12)[:5] for _ in range(4)])
    there = x > 0

    def pair(i, j):
        p, a, b = (there[:, i] & there[:, j]).mean(), there[:, i].mean(), there[:, j].mean()
        return -1.0 if p == 0 else math.log(p / (a * b)) / -math.log(p)

    known = [np.mean([pair(i, j) for i, j in combinations(group, 2)]) for group in words]
    assert npmi(words, sparse(x)) == pytest.approx(known)


def test_counts_beyond_one_and_words_without_documents_change_nothing():
    x = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0]])
    words = np.array([[0, 1], [0, 2]])
    assert npmi(words, sparse(7 * x)) == pytest.approx(npmi(words, sparse(x)))
    assert npmi(words, sparse(x))[1] == -1.0


def test_diversity_by_hand():
    assert diversity(np.array([[0, 1, 2], [3, 4, 5]])) == 1.0
    assert diversity(np.array([[0, 1, 2], [0, 1, 2]])) == 0.5


def test_relevance():
    weights, usual = np.log([[0.5, 0.3, 0.2]]), np.array([0.8, 0.1, 0.1])
    assert ranked(weights, usual, relevance=1).argmax() == 0
    assert ranked(weights, usual, relevance=0)[0] == pytest.approx(np.log([0.5 / 0.8, 3.0, 2.0]))


# --- perplexity -------------------------------------------------------------------------------------------------------
def test_perplexity_is_that_of_words_one_by_one():
    share = torch.tensor([0.5, 0.25, 0.25])
    x = torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 4.0], [0.0, 0.0, 0.0]])
    log_p = MultinomialGivenTotal(share.log(), 3).log_prob(x)
    found = perplexities(log_p, x)
    nats = [-(2 * math.log(0.5) + math.log(0.25)), -4 * math.log(0.25)]
    assert found["perplexity_bound"].value == pytest.approx(math.exp(sum(nats) / 7))
    assert found["perplexity_bound_by_document"].value == pytest.approx(math.exp((nats[0] / 3 + nats[1] / 4) / 2))
    assert found["perplexity_bound"].n == 2  # an empty document says nothing


# --- the decoder ------------------------------------------------------------------------------------------------------
def test_a_mixture_mixes():
    net = TopicDecoder(2, (3,), mixture=True)
    z = torch.tensor([[0.25, 0.75]])
    known = 0.25 * net.topics[0].softmax(0) + 0.75 * net.topics[1].softmax(0)
    assert torch.allclose(net(z)[0].exp(), known)


def test_a_product_is_normed_over_the_batch_in_training_and_by_running_moments_afterwards():
    net = TopicDecoder(3, (4,), momentum=1.0)
    z = torch.softmax(torch.randn(50, 3), -1)
    made = net(z)
    assert torch.allclose(made.mean(0), torch.zeros(4), atol=1e-5)
    assert torch.allclose(made.var(0, correction=0), torch.ones(4), atol=0.05)
    assert torch.allclose(net.eval()(z), made, atol=1e-4)
    assert torch.allclose(net(z[:2]), made[:2], atol=1e-4)  # of two rows, and no longer by their own moments
    assert net.mixes_rows
    assert not TopicDecoder(3, (4,), norm=False).mixes_rows


def test_a_condition_shifts_words_alike_for_all_topics():
    net = TopicDecoder(2, (3,), n_condition=2, norm=False).eval()
    z, c = torch.eye(2), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    shift = net(z, c) - net(z, 0 * c)
    assert torch.allclose(shift, net.shift.weight.T)


# --- topics that are found again --------------------------------------------------------------------------------------
K, V = 4, 40


def corpus(n=400, seed=0):
    """Documents of latent Dirichlet allocation: each topic has ten words of its own."""
    rng = np.random.default_rng(seed)
    topics = np.kron(np.eye(K), np.ones(V // K)) + 0.02
    topics /= topics.sum(1, keepdims=True)
    share = rng.dirichlet(np.full(K, 0.2), n)
    return np.stack([rng.multinomial(40, s @ topics) for s in share]), share


SMALL = {
    "kind": "documents", "n_latent": K, "hidden": (32,), "steps": 150, "lr": 0.02, "progress": False,
    "sampler": "none",
}


MODELS = {
    "product": {"recipe": "prodlda"},
    "mixture": {"recipe": "dirichlet-topics", "decoder.mixture": True},
}


@pytest.fixture(scope="module", params=MODELS)
def run(request):
    return senzai.fit(corpus()[0], **SMALL, **MODELS[request.param])


def test_topics_of_a_simulated_corpus_are_found_again(run):
    x, _ = corpus()
    words = topic_words(topic_weights(run.model), sparse(x), V // K)
    blocks = sorted(np.bincount(group // (V // K), minlength=K).argmax() for group in words)
    pure = np.mean([np.bincount(group // (V // K), minlength=K).max() / len(group) for group in words])
    assert pure > 0.5  # of a product, whose topics may stand for two of the corpus; chance is 0.25
    if run.model.likelihood.decoder.mixture:  # what the corpus was drawn from: each topic has one place
        assert blocks == list(range(K))


def test_shares_of_new_documents_sum_to_one_and_agree_with_the_truth(run):
    x, share = corpus(100, seed=1)
    code = run.encode(x)
    assert code.shape == (100, K)
    assert code.sum(1) == pytest.approx(np.ones(100), abs=1e-4)
    right = np.corrcoef(code.T, share.T)[:K, K:]
    if run.model.likelihood.decoder.mixture:
        assert (right.max(1) > 0.7).all()
        assert sorted(right.argmax(1)) == list(range(K))


def test_the_verb(run):
    x, _ = corpus()
    found = run.topics(x, words=5)
    json.dumps(found)
    assert [len(t["words"]) for t in found["topics"]] == [5] * K
    assert sum(t["share"] for t in found["topics"]) == pytest.approx(1, abs=1e-4)
    shares = [t["share"] for t in found["topics"]]
    assert shares == sorted(shares, reverse=True)
    assert found["window"] == "document"
    assert "400 documents" in found["corpus"]
    assert found["diversity"] == 1.0
    names = list(run.schema.columns)
    by_hand = npmi(np.array([[names.index(w) for w in t["words"]] for t in found["topics"]]), sparse(x))
    assert [t["npmi"] for t in found["topics"]] == pytest.approx(list(by_hand))
    with pytest.raises(SettingError, match="2 <= words"):
        run.topics(x, words=1)


def test_evaluate_measures_topics(run):
    found = run.evaluate(corpus()[0], k=5)["measured"]["topics"]
    words = found["perplexity_bound"]["value"]
    assert 10 < words < V
    assert found["npmi"]["window"] == "document"
    assert 0 < found["diversity"]["value"] <= 1


def test_the_report_shows_topics(run, tmp_path):
    page = run.report(tmp_path / "r.html", data=corpus()[0]).read_text()
    assert "Topics" in page
    assert "Map of 4 topics" in page
    assert "Hellinger" not in page


def test_other_runs_have_no_topics():
    x = corpus(60)[0]
    other = senzai.fit(x, kind="documents", recipe="mult-vae", n_latent=2, hidden=(4,), steps=1, progress=False)
    assert not has_topics(other.model)
    with pytest.raises(CombinationError, match="prodlda"):
        other.topics(x)
    plain = senzai.fit(np.random.default_rng(0).random((30, 3)), n_latent=2, steps=1, progress=False)
    with pytest.raises(CombinationError, match="kind=documents"):
        plain.topics()


def test_usual_shares_count_every_word():
    found = usual_shares(Sparse.of(np.array([0, 0]), np.array([0, 1]), np.array([3.0, 1.0]), shape=(1, 3)))
    assert found == pytest.approx(np.array([3.5, 1.5, 0.5]) / 5.5)
