"""How rare a score is among held-out ones: several scores on one scale, joined, and who is flagged."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import torch
from torch import Tensor

from ..core.errors import SettingError

BODY = 0.75
"""Share of held-out scores that are taken as they are; the others, some perhaps anomalies, tell how scores grow."""
FOLDS = 20


def rarity_among(values: Tensor, held: Tensor) -> Tensor:
    r"""Return :math:`-\log p` of each value among held-out scores, without jumps.

    Up to the upper quartile :math:`a` the share of held-out scores tells p. Beyond it

    .. math::
        -\log p = -\log \frac{1 + \#\{h_i > a\}}{n + 1} + \frac{(s - a)\log 2}{\mathrm{median}(h_i - a | h_i > a)},

    an exponential tail: it goes on growing at the same pace beyond the largest, and the median keeps a few anomalies
    among the held-out rows from stretching the scale that they are measured with.

    Args:
        values: Scores, ``(N,)``.
        held: Scores of held-out rows, ``(n,)``, in any order.

    Example:
        >>> rarity_among(torch.tensor([-9.0, 2.0, 4.0, 8.0]), torch.tensor([1.0, 2.0, 3.0, 4.0]))
        tensor([0.0000, 0.5108, 1.6094, 5.3062])
    """
    return Rarity.of(held)(values)


@dataclass(frozen=True)
class Rarity:
    """Held-out scores, sorted once for all who are compared with them; see :func:`rarity_among`.

    Args:
        ends: What lies below all scores, and the scores, ascending.
        edge: Their upper quartile.
        start: Rarity there.
        scale: Distance on which it grows by one beyond.
    """

    ends: Tensor
    edge: float
    start: float
    scale: float

    @classmethod
    def of(cls, held: Tensor) -> Rarity:
        """Sort held-out scores, ``(n,)``."""
        h = held.double().sort().values
        a = _quantile(h, BODY)
        beyond = h[h > a] - a
        start = log((len(h) + 1) / (1 + len(beyond)))
        scale = _quantile(beyond, 0.5) / log(2) if len(beyond) else float(h.std(correction=0)) or 1.0
        below = h[0] - (h[-1] - h[max(0, len(h) // 2 - 1)]).clamp_min(1e-9)
        return cls(torch.cat([below.unsqueeze(0), h]), a, start, scale)

    def __call__(self, values: Tensor) -> Tensor:
        """Return how rare each value is, ``(N,)``."""
        v, n = values.double().contiguous(), len(self.ends) - 1
        body = -torch.log1p(-_rank(v, self.ends) * n / (n + 1))
        tail = self.start + (v - self.edge) / self.scale
        return torch.where(v > self.edge, tail, body.clamp(max=self.start)).to(values.dtype)


def _quantile(ascending: Tensor, share: float) -> float:
    at, rest = divmod(share * (len(ascending) - 1), 1)
    some = [float(v) for v in ascending[int(at) : int(at) + 2]]
    return some[0] + rest * (some[-1] - some[0])


def _rank(values: Tensor, ends: Tensor) -> Tensor:
    """Return the share of held-out scores, ascending behind what lies below them, up to each value, without jumps."""
    n = len(ends) - 1
    at = torch.searchsorted(ends, values).clamp(1, n)
    gap = (ends[at] - ends[at - 1]).clamp_min(1e-12)
    return (at - 1 + ((values - ends[at - 1]) / gap).clamp(0, 1)) / n


def joined(rarities: Tensor) -> Tensor:
    r"""Return one number per row of rarities, ``(M, N)``: :math:`(\frac1M \sum_m r_m^2)^{1/2}`.

    Between Fisher's mean and Tippett's maximum: the rarest counts most, and two count more than one.

    Example:
        >>> joined(torch.tensor([[0.0, 1.0, 7.0], [2.0, 1.0, 1.0]]))
        tensor([1.4142, 1.0000, 5.0000])
    """
    return rarities.square().mean(0).sqrt()


def joined_among(values: Tensor, held: Tensor) -> Tensor:
    """Return the joined rarity of several scores of each row, ``(M, N)``, among those of held-out rows, ``(M, n)``."""
    return joined(torch.stack([rarity_among(v, h) for v, h in zip(values, held, strict=True)]))


def crossed(held: Tensor) -> Tensor:
    """Return the joined rarity of the held-out rows themselves, ``(n,)``, each among rows other than itself.

    Among all of them, no row could be rarer than the rarest, as a new one can: too many new rows would be flagged.

    Args:
        held: Scores of held-out rows, ``(M, n)``.
    """
    n = held.shape[1]
    if n < 2:
        return joined_among(held, held)
    out = torch.zeros(n, dtype=held.dtype)
    fold = torch.arange(n) % min(FOLDS, n)
    for i in range(min(FOLDS, n)):
        out[fold == i] = joined_among(held[:, fold == i], held[:, fold != i])
    return out


def p_values(values: Tensor, held: Tensor) -> Tensor:
    r"""Return conformal p-values, ``(N,)``: the share of held-out rows that are at least as strange.

    .. math:: p = \frac{1 + \#\{s_i \ge s\}}{n + 1}

    If a row comes from where the held-out rows come from, :math:`P(p \le \alpha) \le \alpha` for every model and score.

    Reference:
        Testing for Outliers with Conformal p-values (Bates et al., 2023). https://arxiv.org/abs/2104.08279
    """
    at_least = len(held) - torch.searchsorted(held.sort().values, values.contiguous(), side="left")
    return (1 + at_least).double() / (len(held) + 1)


def threshold(held: Tensor, contamination: float) -> float:
    """Return the score that a share ``contamination`` of held-out rows exceeds.

    Raises:
        SettingError: It is no share.
    """
    if not 0 < contamination < 1:
        raise SettingError(f"`0 < contamination < 1` must hold, but got {contamination!r}. It is a share of rows.")
    return float(torch.quantile(held.double(), 1 - contamination))
