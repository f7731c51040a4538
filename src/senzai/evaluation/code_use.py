"""What a code is worth to the decoder: the loss when codes are exchanged, and what comes back from a code alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.errors import CombinationError
from ..core.random import Noise, derive, using
from ..distributions.tokens import END, TokenPrefix, TokenSequence
from ..models import verbs
from ..models.base import LatentModel
from ..models.modes import judging
from .catalogue import NEEDS, Case, measure
from .results import Figure
from .statistics import mean_se, ratio_of_means

ROWS = 1000
PIECE = 256


def exchanged_codes(model: LatentModel, batch: Batch, *, seed: int = 0) -> Figure:
    r"""Return how many nats a row's distortion rises by when its code is that of another row.

    .. math:: \mathbb{E}\big[-\log p(x | z') + \log p(x | z)\big], \qquad z \sim q(z | x), \quad z' \sim q(z | x')

    Rows are shifted by one in a random order, so that none keeps its code. Zero says that the decoder does not read the
    code. Conditions stay with their rows.

    Args:
        model: A model with latents.
        batch: Rows, two at least.
        seed: Seed of draws and of the order.
    """
    n = len(batch)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(derive(seed, "exchange")))
    other = torch.empty_like(order)
    other[order] = order.roll(1)
    drawn: list[tuple[Tensor, ...]] = []
    own: list[Tensor] = []
    risen: list[Tensor] = []
    with judging(model):
        for start in range(0, n, PIECE):
            with using(Noise.seeded(derive(seed, "codes", start), device=model.device)):
                found = model.infer(batch.take(slice(start, start + PIECE)), 1)
            drawn.append(tuple(g.z for g in found.groups))
            own.append(found.log_lik[0])
        z = tuple(torch.cat([d[i] for d in drawn], 1) for i in range(len(drawn[0])))
        for start in range(0, n, PIECE):
            at = other[start : start + PIECE].to(z[0].device)
            given = tuple(group[:, at] for group in z)
            risen.append(model.infer(batch.take(slice(start, start + PIECE)), 1, z=given).log_lik[0])
    rise = (torch.cat(own) - torch.cat(risen)).double().cpu()
    return Figure(float(rise.mean()), mean_se(rise), n, seed, "exchanged_codes")


@measure(
    "code_use", "what the decoder loses when codes of rows are exchanged", needs=("inference", "rows"),
    cost=lambda c, p: 3 * p.draw * min(ROWS, len(c.rows)),
)
def code_use(case: Case) -> Mapping[str, Any]:
    """Nats a row that the right code is worth."""
    some, _ = case.some(ROWS, "code_use")
    try:
        return {"exchanged_codes": exchanged_codes(case.latent, some, seed=case.seed)}
    except (CombinationError, NotImplementedError) as error:
        return {"exchanged_codes": None, "reason": str(error)}


# --- symbols --------------------------------------------------------------------------------------------------------
def are_symbols(case: Case) -> bool:
    """Whether rows are sequences of symbols that a decoder makes one after another."""
    return case.model.infers and isinstance(case.first.likelihood, TokenSequence | TokenPrefix)


NEEDS["symbols"] = (are_symbols, "It is about rows of symbols that are made one after another; these are others.")


def recovered(rows: Tensor, made: Tensor, *, unknown: int | None = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Return for each row how many symbols it has, how many of them others have too, and how many in the same place.

    Ends do not count. An unknown symbol counts among those that a row has, and is never recovered.

    Args:
        rows: Symbols ``(N, T)`` up to an end, :data:`senzai.distributions.tokens.END`.
        made: Likewise.
        unknown: The symbol for what has none.

    Example:
        >>> a, b = torch.tensor([[5, 6, 6, 0]]), torch.tensor([[6, 5, 6, 7]])
        >>> [int(v) for v in recovered(a, b)]
        [3, 3, 1]
    """
    counts = []
    for row, other in zip(rows.long().tolist(), made.long().tolist(), strict=True):
        a, b = _until_end(row), _until_end(other)
        in_place = sum(x == y != unknown for x, y in zip(a, b, strict=False))
        shared = sum(min(a.count(s), b.count(s)) for s in set(a) - {unknown})
        counts.append((len(a), shared, in_place))
    found = torch.tensor(counts, dtype=torch.float64).reshape(-1, 3)
    return found[:, 0], found[:, 1], found[:, 2]


def _until_end(row: list[int]) -> list[int]:
    return row[: row.index(END)] if END in row else row


@measure(
    "symbols", "symbols that come back from the code alone; perplexity as the bound it is", usual=True,
    needs=("symbols", "rows"), cost=lambda c, p: 5 * p.row * min(ROWS, len(c.rows)),
)
def symbols(case: Case) -> Mapping[str, Any]:
    """Decode rows from their codes without showing the symbols before, and compare."""
    some, _ = case.some(ROWS, "symbols")
    n, shared, in_place = recovered(some.tensor, torch.as_tensor(verbs.reconstruct(case.model, some)))
    exact = (shared == n) & (in_place == n)
    values = {"recovered": shared, "recovered_in_place": in_place}
    figures: dict[str, Any] = {
        name: Figure(*ratio_of_means(v, n), len(n), None, name) for name, v in values.items() if bool(n.sum() > 0)
    }
    figures["rows_exact"] = Figure(float(exact.double().mean()), mean_se(exact.double()), len(n), None, "rows_exact")
    steps = None if some.lengths is None or isinstance(some.lengths, dict) else case.rows.lengths
    if isinstance(steps, Tensor):
        nats, se = ratio_of_means(-case.estimate.per_row.cpu(), steps.cpu())
        value = float(np.exp(nats))
        details = {"draws": case.k, "of": "symbols with their ends"}
        figures["perplexity_bound"] = Figure(value, value * se, len(steps), case.seed, "perplexity_bound", details)
    return figures
