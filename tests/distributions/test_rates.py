"""The rate of normals: to the last bit what torch's rule gives."""

from __future__ import annotations

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from senzai.distributions.closed import closed


@pytest.mark.parametrize("lead", [(3,), (2, 3), (1, 1)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_rate_of_normals_is_that_of_torch(lead, dtype):
    g = torch.Generator().manual_seed(0)
    loc, scale = torch.randn(*lead, 4, generator=g, dtype=dtype), torch.rand(*lead, 4, generator=g, dtype=dtype) + 0.1
    given = [t.requires_grad_() for t in (loc, scale)]
    q, p = Independent(Normal(*given), 1), Independent(Normal(loc.detach()[..., :1, :].mean(0), 0.7), 1)
    assert torch.equal(closed(q, p), kl_divergence(q, p))
    slopes = [torch.autograd.grad(f(q, p).sum(), given) for f in (closed, kl_divergence)]
    assert all(torch.equal(a, b) for a, b in zip(*slopes, strict=True))
