"""Makes sets of rows with missing entries comparable: the same entries missing in each, filled with the same number."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.random import derive
from ..nn.inputs import as_float


def middle_of(batch: Batch) -> Tensor:
    """Return the mean of each entry over the rows where it is observed, 0 where it never is, ``(*event)``.

    Example:
        >>> middle_of(Batch(torch.tensor([[1.0], [3.0], [99.0]]), mask=torch.tensor([[True], [True], [False]])))
        tensor([2.])
    """
    x, seen = as_float(batch.tensor), batch.observed
    if seen is None:
        return x.mean(0)
    seen = seen.expand_as(x)
    return torch.where(seen, x, torch.zeros_like(x)).sum(0) / seen.sum(0).clamp_min(1)


def filled(batch: Batch, middle: Tensor | None = None) -> Tensor:
    """Return the rows with the middle of each entry in its holes; rows without holes as they are."""
    if batch.observed is None:
        return batch.tensor
    x = as_float(batch.tensor)
    return torch.where(batch.observed.expand_as(x), x, middle_of(batch) if middle is None else middle)


def with_same_holes(
    held: Batch, made: Tensor, known: Batch, *, middle: Tensor, seed: int
) -> tuple[Tensor, Tensor, Tensor, float]:
    """Return held-out rows, samples and training rows with holes that come alike in all three.

    A sample is given the holes of one of the held-out rows, drawn at random; so is a set without holes where another
    has some. If holes do not depend on what would stand there, sets of one distribution stay sets of one distribution.

    Args:
        held: Held-out rows.
        made: Samples, without holes.
        known: Training rows.
        middle: What stands in a hole, ``(*event)``.
        seed: Seed of whose holes each row is given.

    Returns:
        The three sets, and the share of entries that are missing in the first.
    """
    ours, theirs = held.observed, known.observed
    if ours is None and theirs is None:
        return held.tensor, made, known.tensor, 0.0
    rng = np.random.default_rng(derive(seed, "holes"))

    def lent(mask: Tensor, n: int) -> Tensor:
        rows = np.concatenate([rng.permutation(len(mask)) for _ in range(-(-n // len(mask)))])[:n]
        return mask[torch.from_numpy(rows)]

    ours = lent(theirs, len(held)) if ours is None and theirs is not None else ours
    assert ours is not None  # one of them has holes
    theirs = lent(ours, len(known)) if theirs is None else theirs
    sets = (Batch(held.tensor, mask=ours), Batch(made, mask=lent(ours, len(made))), Batch(known.tensor, mask=theirs))
    a, b, c = (filled(rows, middle) for rows in sets)
    return a, b, c, 1 - float(ours.expand_as(held.tensor).double().mean())
