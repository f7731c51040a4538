"""How a model uses its lists of codes: perplexity, share in use, bits."""

from __future__ import annotations

from math import log
from typing import Any

import torch

from ..core.batch import Batch
from ..models.base import LatentModel
from ..models.verbs import encode
from ..parts.quantisers.codebooks import code_counts, perplexity


def code_figures(model: LatentModel, batch: Batch, *, rate: float) -> dict[str, Any]:
    r"""Return how rows use the codebooks of a model; nothing for a model without codes.

    The perplexity of a list is :math:`\exp(-\sum_k p_k \log p_k)` of the frequencies of its codes over all places
    and rows, between 1 and its length.

    Args:
        model: What is judged.
        batch: Rows.
        rate: Mean rate in nats.

    Returns:
        ``code_perplexity`` (mean over lists), ``codes_used`` (share of all codes in use), ``n_codes``
        (length of a list), ``n_places`` (codes of a row), ``code_bits`` (the rate in bits), ``code_bits_uniform`` (if
        all codes were alike), and the first two for each list in ``code_books``.
    """
    books = model.books(encode(model, batch))
    if not books:
        return {}
    counts = {name: code_counts(codes.cpu(), n).double() for name, (codes, n) in books.items()}
    each = {
        name: {"perplexity": float(perplexity(c)), "used": float((c > 0).double().mean()), "n_codes": len(c)}
        for name, c in counts.items()
    }
    places = {name: codes[0].numel() for name, (codes, _) in books.items()}
    return {
        "code_perplexity": sum(e["perplexity"] for e in each.values()) / len(each),
        "codes_used": float((torch.cat(list(counts.values())) > 0).double().mean()),
        "n_codes": max(len(c) for c in counts.values()),
        "n_places": sum(places.values()),
        "code_bits": rate / log(2),
        "code_bits_uniform": sum(places[name] * log(len(c)) for name, c in counts.items()) / log(2),
        "code_books": each,
    }


def code_notes(model: LatentModel) -> list[str]:
    """Say what the numbers of a deterministic model are."""
    if not model.deterministic:
        return []
    return [
        "A row has one code: elbo and log_likelihood are the same lower bound, log p(x | code) + log p(code), and more "
        "draws would not tighten it."
    ]
