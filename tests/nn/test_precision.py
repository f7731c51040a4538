from __future__ import annotations

import pytest
import torch

from senzai.core.batch import Batch
from senzai.distributions import BernoulliFamily, NormalFamily
from senzai.models import Flat
from senzai.nn import MLPDecoder, MLPEncoder, native_bf16, using_precision
from senzai.parts import Likelihood, Posterior, StandardNormal


@pytest.fixture
def model():
    posterior = Posterior(MLPEncoder((6,), (32,)), NormalFamily(), 2)
    return Flat(StandardNormal(2), posterior, Likelihood(MLPDecoder(2, (1, 6), (32,)), BernoulliFamily(), (6,)))


def test_networks_get_shorter_and_densities_do_not(model):
    batch, seen = Batch(torch.ones(3, 6)), []
    model.likelihood.decoder.register_forward_hook(lambda module, args, out: seen.append(out.dtype))
    exact = model.infer(batch)
    with using_precision(torch.bfloat16):
        short = model.infer(batch, z=(exact.groups[0].z,))
    assert seen == [torch.float32, torch.bfloat16]
    assert short.log_w.dtype == short.groups[0].q.mean.dtype == torch.float32
    assert not torch.equal(short.log_lik, exact.log_lik)
    torch.testing.assert_close(short.log_lik, exact.log_lik, rtol=0.05, atol=0.05)


def test_the_precision_ends_with_its_block(model):
    with pytest.raises(ZeroDivisionError), using_precision(torch.bfloat16):
        raise ZeroDivisionError
    z = torch.zeros(1, 2)
    model.likelihood.decoder.register_forward_hook(lambda module, args, out: seen.append(out.dtype))
    seen = []
    model.likelihood(z)
    assert seen == [torch.float32]


def test_the_question_about_hardware_has_an_answer():
    assert native_bf16(torch.device("cpu")) in (True, False)
    assert native_bf16(torch.device("meta")) is False
