"""Few categories enter by a product with ones and zeros, many by looking them up: the same numbers."""

from __future__ import annotations

import pytest
import torch

from senzai.core.batch import Batch
from senzai.nn import TableEncoder, table


@pytest.mark.parametrize("masked", [True, False])
def test_a_product_says_what_looking_up_says(monkeypatch, masked):
    encoder = TableEncoder((4,), ("category", "normal", "binary", "category"), (3, 0, 2, 7), hidden=(8,), masked=masked)
    x = torch.tensor([[0.0, 0.3, 1.0, 6.0], [2.0, -1.0, 0.0, 9.0], [1.0, 2.0, 1.0, 0.0]])  # 9: unheard of, the last
    mask = torch.tensor([[True, True, False, True], [True, False, True, True], [False] * 4]) if masked else None
    found = []
    for few in (table.FEW, 0):
        monkeypatch.setattr(table, "FEW", few)
        out = encoder(Batch(x, mask=mask))
        found.append((out, torch.autograd.grad(out.square().sum(), encoder.lookup.weight)[0]))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)
    assert encoder.lookup.weight.numel()
    assert float(found[0][1].abs().sum()) > 0
