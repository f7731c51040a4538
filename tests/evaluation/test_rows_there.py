"""Figures of rows that end early or have several modalities: what is counted, and what each entry costs."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Normal

from senzai.core.batch import Batch
from senzai.distributions import BernoulliFamily, NormalFamily, NormalFixedFamily
from senzai.evaluation import dimensions, evaluate
from senzai.evaluation.catalogue import Case, Extras
from senzai.evaluation.diagnosis.gather import gather
from senzai.models import Flat
from senzai.nn import MLPDecoder, MLPEncoder, ModalEncoder
from senzai.parts import Likelihood, ModalLikelihood, Posterior, StandardNormal

N = 40
LENGTHS = torch.arange(N) % 3 + 1
PRESENT = torch.arange(N) % 4 > 0
X = torch.randn(N, 3, 2, generator=torch.Generator().manual_seed(0)).double()
BITS = (torch.rand(N, 2, generator=torch.Generator().manual_seed(1)) < 0.5).double()


def constant(family, event):
    """A likelihood that says the same whatever the code: N(0.5, 1), or a fair coin for each bit."""
    part = Likelihood(MLPDecoder(2, (1, *event), (4,)), family, event)
    with torch.no_grad():
        part.decoder.out.weight.zero_()
        part.decoder.out.bias.zero_()
        part.bias.fill_(0.5 if isinstance(family, NormalFixedFamily) else 0.0)
    return part


def ragged_model():
    torch.manual_seed(0)
    return Flat(
        StandardNormal(2), Posterior(MLPEncoder((3, 2), (4,)), NormalFamily(), 2),
        constant(NormalFixedFamily(scale=1.0), (3, 2)),
    ).double()


def pair_model():
    torch.manual_seed(0)
    encoders = {"a": MLPEncoder((3, 2), (4,)), "b": MLPEncoder((2,), (4,))}
    likelihoods = {"a": constant(NormalFixedFamily(scale=1.0), (3, 2)), "b": constant(BernoulliFamily(), (2,))}
    posterior = Posterior(ModalEncoder(encoders), NormalFamily(), 2)
    return Flat(StandardNormal(2), posterior, ModalLikelihood(likelihoods)).double()


def nats_of_steps():
    log_p = Normal(torch.tensor(0.5).double(), 1.0).log_prob(X)
    return -torch.stack([log_p[i, :n].sum() for i, n in enumerate(LENGTHS.tolist())])


@pytest.mark.parametrize("value", [0.0, math.nan])
def test_bits_per_dimension_of_short_rows(value):
    there = (torch.arange(3) < LENGTHS.unsqueeze(1)).unsqueeze(-1)
    batch = Batch(torch.where(there, X, value), lengths=LENGTHS)
    model = ragged_model()
    found = evaluate(model, batch, k=20)
    nats, n_dims, steps = nats_of_steps(), 2 * LENGTHS.double(), LENGTHS.double()
    assert dimensions(batch).tolist() == n_dims.tolist()
    assert found["distortion"] == pytest.approx(float(nats.mean()), abs=1e-6)
    bits = -found["log_likelihood"] / float(n_dims.mean()) / math.log(2)
    assert found["bits_per_dim"] == pytest.approx(bits, rel=1e-9)
    assert found["nats_per_step"] == pytest.approx(-found["log_likelihood"] / float(steps.mean()), rel=1e-9)


def test_samples_are_not_compared_with_rows_of_other_lengths():
    batch = Batch(X, lengths=LENGTHS)
    found = evaluate(ragged_model(), batch, k=5, measures=["generation"], base=False, extras=Extras(train=batch))
    assert "different lengths" in found["not_measured"]["generation"]


def test_figures_of_two_modalities():
    batch = Batch({"a": X, "b": BITS}, lengths={"a": LENGTHS}, present={"b": PRESENT})
    found = evaluate(pair_model(), batch, k=20, measures=["generation", "convergence", "dependence"])
    nats = nats_of_steps() + 2 * math.log(2) * PRESENT
    n_dims = 2 * LENGTHS + 2 * PRESENT
    assert dimensions(batch).tolist() == n_dims.tolist()
    assert found["distortion"] == pytest.approx(float(nats.mean()), abs=1e-6)
    assert found["bits_per_dim"] == pytest.approx(
        -found["log_likelihood"] / float(n_dims.double().mean()) / math.log(2), rel=1e-9
    )
    assert "one modality" in found["not_measured"]["generation"]
    assert {"convergence", "dependence"} <= set(found["measured"])


def test_what_cannot_be_diagnosed_of_two_modalities_is_said():
    batch = Batch({"a": X, "b": BITS}, lengths={"a": LENGTHS}, present={"b": PRESENT})
    facts = gather(Case(pair_model(), batch, k=10, extras=Extras(train=batch)))
    assert facts.elbo < 0
    assert facts.n_dims == 8
    assert any("modalities a, b" in why for why in facts.missing.values())
