"""What of a row there is to score: observed entries, as many steps as it has, the modalities that it has."""

from __future__ import annotations

from torch.distributions import Distribution

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError

from .modalities import Modalities, PresentModalities
from .ops import given_row, marginal, prefix


def within(p: Distribution, batch: Batch) -> Distribution:
    """Return p(x) of what the rows of a batch have: the one way models score what is there.

    A mask leaves the marginal over the observed entries, lengths the first steps of each row, ``present`` the
    modalities that a row has; what is given of a row and not modelled, such as its depth, is that of the row. Value and
    gradient of ``log_prob`` do not depend on what stands elsewhere, NaN included. Draws and means keep their shape.

    Args:
        p: Distribution of whole rows, batch shape ``(*lead, B)``.
        batch: The rows.

    Raises:
        CombinationError: The marginals of ``p`` are not known, or rows and ``p`` do not have the same modalities.

    Example:
        >>> import torch
        >>> from torch.distributions import Independent, Normal
        >>> p = Independent(Normal(torch.zeros(2, 3), 1.0), 1)
        >>> x = torch.tensor([[0.0, float("nan"), float("nan")], [0.0, 0.0, 0.0]])
        >>> within(p, Batch(x, lengths=torch.tensor([1, 3]))).log_prob(x)
        tensor([-0.9189, -2.7568])
    """
    if isinstance(p, Modalities) != isinstance(batch.x, dict):
        raise CombinationError(
            f"Rows of several modalities need a likelihood with one part for each, but got {type(p).__name__} for "
            f"{', '.join(batch.modalities) or 'one tensor'}. Use the likelihood `modalities`, or rows of one tensor."
        )
    if not isinstance(p, Modalities):
        return _one(p, batch)
    if (missing := set(p.parts) ^ set(batch.modalities)):
        raise CombinationError(
            f"Likelihood and rows have the same modalities, but {', '.join(sorted(missing))} is on one side alone. "
            "Give rows of what the model was made for."
        )
    rows = batch.present or {}
    told = {name: _one(part, batch.part(name)) for name, part in p.parts.items()}
    return Modalities({k: PresentModalities(q, rows[k]) if k in rows else q for k, q in told.items()})


def _one(p: Distribution, batch: Batch) -> Distribution:
    """Return a distribution over one tensor, of what is there."""
    p = given_row(p, batch.tensor, batch.observed)
    if batch.mask is not None:
        seen = batch.observed
        assert seen is not None  # there is a mask
        return marginal(p, seen)
    if batch.lengths is not None:
        assert not isinstance(batch.lengths, dict)  # one tensor
        return prefix(p, batch.lengths)
    return p
