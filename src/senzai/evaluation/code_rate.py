"""What codes cost: bits of a row, and of a second where rows last some time, and how much of the lists is in use."""

from __future__ import annotations

from collections.abc import Mapping
from math import log2
from typing import Any

import torch

from ..models.quantised import Quantised
from .catalogue import NEEDS, Case, measure

ROWS = 500

NEEDS["codes"] = (
    lambda c: isinstance(c.model, Quantised), "It is about codes from lists; this model has none."
)


@measure(
    "code_rate", "bits of the codes of a row, and how much of their lists is in use", usual=True, needs=("codes",),
    cost=lambda c, p: p.row * min(ROWS, len(c.rows)),
)
def code_rate(case: Case) -> Mapping[str, Any]:
    """Bits that codes take as they are, without the prior; use and perplexity of the lists, means over lists."""
    model = case.model
    assert isinstance(model, Quantised)  # the catalogue has seen to it
    some, _ = case.some(ROWS, "code_rate")
    with torch.no_grad():
        books = model.books(model.points(some))
    places = {name: codes.shape[-1] for name, (codes, _) in books.items()}
    bits = sum(places[name] * log2(n) for name, (_, n) in books.items())
    counts = [torch.bincount(codes.flatten().long(), minlength=n).double() for codes, n in books.values()]
    shares = [c / c.sum() for c in counts]
    perplexities = [torch.special.entr(s).sum().exp() for s in shares]
    found: dict[str, Any] = {
        "codes": sum(places.values()), "bits": bits, "codes_used": float(torch.stack(
            [(c > 0).double().mean() for c in counts]).mean()),
        "perplexity": float(torch.stack(perplexities).mean()), "rows": len(some),
    }
    return found if case.extras.seconds is None else {**found, "bits_per_second": bits / case.extras.seconds}
