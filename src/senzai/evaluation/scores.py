r"""Scores of strangeness, higher is stranger, each with shares of the features that add up to it.

No single score is best everywhere; ``auto`` asks of several how rare theirs is among rows that were held out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.errors import BundleError, CombinationError, SettingError
from ..core.random import Noise, using
from ..core.registry import suggestion
from ..dist import elementwise
from ..dist.ops import expected
from ..models.base import LatentModel
from ..models.modes import judging
from ..nn.inputs import as_float
from .marginals import Marginals, middle_and_spread, spread_of
from .neighbours import itself, nearest
from .units import Units
from .vectors import vectors

METHODS = ("auto", "elbo", "nll", "reconstruction", "residual", "knn", "input_knn", "marginal", "middle")
MEMBERS = ("reconstruction", "knn", "input_knn", "marginal", "middle")
"""What ``auto`` is made of: what the model cannot explain, and what is strange about the row by itself."""
NEIGHBOURS = 5
SHARE = 20
"""A row is compared with the nearest one in so many training rows: anomalies of one kind have each other near."""
ROWS = 512
NUMBERS = 4_000_000
"""Numbers that one piece of work may hold: of very many features, fewer rows are scored at once."""


@dataclass(frozen=True)
class Scores:
    """Scores of rows.

    Args:
        values: One per row, ``(N,)``; higher is stranger.
        shares: Share of each feature, and last that of the latent code, ``(N, d + 1)``; they add up to the score.
    """

    values: Tensor
    shares: Tensor


@dataclass(frozen=True)
class Reference:
    """What rows are compared with.

    Args:
        inputs: Training rows as vectors, ``(M, D)``, in the units of the data, NaN where missing.
        residuals: Their residuals, likewise.
        owner: Feature that each of the D places belongs to.
        spread: Standard deviation of inputs and of residuals, ``(2, D)``.
        units: From the model's numbers to those of the data; ``None`` where they are the same.
        held: Scores of held-out rows by method, ascending.
    """

    inputs: Tensor
    residuals: Tensor
    owner: Tensor
    spread: Tensor
    units: Units | None = None
    held: dict[str, Tensor] = field(default_factory=dict)

    @cached_property
    def centre(self) -> Tensor:
        """Mean of the inputs, ``(D,)``."""
        return self.inputs.nanmean(0).nan_to_num()

    @cached_property
    def marginals(self) -> Marginals:
        """How often the values of each place are, by themselves."""
        return Marginals.of(self.inputs, self.owner)

    @cached_property
    def middle(self) -> tuple[Tensor, Tensor]:
        """Median and usual spread of each place."""
        return middle_and_spread(self.inputs, self.spread[0])

    def tensors(self) -> dict[str, Tensor]:
        """Return everything under plain names, to be saved."""
        plain = {"inputs": self.inputs, "residuals": self.residuals, "owner": self.owner, "spread": self.spread}
        units = {} if self.units is None else {"units.model": self.units.model, "units.data": self.units.data}
        return {**plain, **units, **{f"held.{name}": v for name, v in self.held.items()}}

    @classmethod
    def of(cls, tensors: dict[str, Tensor]) -> Reference:
        """Return a reference from its tensors.

        Raises:
            BundleError: They are those of another version.
        """
        held = {n.removeprefix("held."): v for n, v in tensors.items() if n.startswith("held.")}
        if "owner" not in tensors or set(held) != set(METHODS):
            raise BundleError(
                "The rows kept in this run were kept by another version of senzai, which compared them otherwise. "
                "Give the training data again: run.score(data, reference=training_data)."
            )
        units = Units(tensors["units.model"], tensors["units.data"]) if "units.model" in tensors else None
        return cls(tensors["inputs"], tensors["residuals"], tensors["owner"], tensors["spread"], units, held)


def make_reference(
    model: LatentModel, train: Batch, held: Batch, *, units: Units | None = None, k: int = 16, seed: int = 0
) -> Reference:
    """Return what rows are compared with: training rows, and the scores of rows that were held out."""
    raw = _Raw.of(model, train, units, k=k, seed=seed)
    spread = torch.stack([spread_of(raw.inputs, raw.owner), spread_of(raw.residuals, raw.owner)])
    reference = Reference(raw.inputs, raw.residuals, raw.owner, spread, units)
    judged = _Raw.of(model, held, units, k=k, seed=seed)
    for method in METHODS[1:]:
        reference.held[method] = _one(judged, method, reference).values.sort().values
    reference.held["auto"] = _auto(judged, reference).values.sort().values
    return reference


def rows_at_once(width: int) -> int:
    """Return how many rows of so many numbers are worked on at once.

    Example:
        >>> rows_at_once(16), rows_at_once(160_000)
        (512, 25)
    """
    return max(1, min(ROWS, NUMBERS // max(1, width)))


@dataclass(frozen=True)
class SameForAll(Noise):
    """Noise that is the same for every row, so that what is said of a row does not depend on its place."""

    def normal(self, shape: tuple[int, ...], *, row_dim: int = 1, **like: Any) -> Tensor:
        """Standard normal numbers, equal along the rows."""
        return self._repeated(torch.randn, tuple(shape), row_dim, **like)

    def uniform(self, shape: tuple[int, ...], *, row_dim: int = 1, **like: Any) -> Tensor:
        """Uniform numbers, equal along the rows."""
        return self._repeated(torch.rand, tuple(shape), row_dim, **like)

    def _repeated(self, make: Any, shape: tuple[int, ...], row_dim: int, **like: Any) -> Tensor:
        one = (*shape[:row_dim], 1, *shape[row_dim + 1 :]) if len(shape) > row_dim else shape
        numbers: Tensor = make(one, generator=self.generator, **like)
        return numbers.expand(shape)


@dataclass(frozen=True)
class _Raw:
    """What every score is made from, for some rows."""

    costs: Tensor
    rate: Tensor
    nll: Tensor
    inputs: Tensor
    residuals: Tensor
    owner: Tensor
    weighted: Tensor

    @classmethod
    def of(cls, model: LatentModel, batch: Batch, units: Units | None, *, k: int, seed: int) -> _Raw:
        family = getattr(getattr(model, "likelihood", None), "family", None)
        if family is None:
            raise CombinationError("Scores by feature need a model with one likelihood over the features of a row.")
        found: dict[str, list[Tensor]] = {n: [] for n in ("costs", "rate", "nll", "inputs", "residuals", "weighted")}
        owner = torch.zeros(0, dtype=torch.long)
        with judging(model):
            rows = rows_at_once(k * batch.tensor[:1].numel())
            for start in range(0, len(batch), rows):
                some = batch.take(slice(start, start + rows))
                noise = SameForAll.seeded(seed, device=some.device)
                part, owner = _piece(model, family, some, units, k, noise)
                for name, value in part.items():
                    found[name].append(value)
        return cls(**{n: torch.cat(v) for n, v in found.items()}, owner=owner)


def _piece(
    model: LatentModel, family: Any, batch: Batch, units: Units | None, k: int, noise: Noise
) -> tuple[dict[str, Tensor], Tensor]:
    with using(noise):
        seen = model.infer(batch, k)
    costs = -elementwise(seen.likelihood, as_float(batch.tensor)).flatten(2)
    log_w = seen.log_w
    weight = torch.softmax(log_w, 0)
    rate = sum((seen.average(g.rate()) for g in seen.groups), torch.zeros(len(batch)))
    inputs, owner = vectors(family, as_float(batch.tensor), batch.observed)
    with using(Noise(point=True)):
        middle = expected(model.infer(batch, 1).likelihood)[0]
    back, _ = vectors(family, middle, batch.observed)
    if units is not None:
        inputs, back = units(inputs), units(back)
    return {
        "costs": costs.mean(0), "rate": rate, "nll": -seen.bound(), "inputs": inputs, "residuals": inputs - back,
        "weighted": (weight.unsqueeze(-1) * costs).sum(0),
    }, owner


def score(
    model: LatentModel, batch: Batch, method: str = "auto", *, reference: Reference | None = None, k: int = 16,
    seed: int = 0,
) -> Scores:
    r"""Score rows; a row's score depends on that row, the model and the reference alone.

    ============== ===================================================================================
    elbo           :math:`E_q[-\log p(x|z)] + \mathrm{KL}`, the negative evidence lower bound
    nll            the importance-weighted :math:`-\log p(x)`
    reconstruction :math:`E_q[-\log p(x|z)]`, the negative reconstruction probability
    residual       squared, standardised residual of the expected reconstruction
    knn            mean distance of the residual to its five nearest ones among training rows
    input_knn      mean distance of the row itself to the nearest twentieth of training rows
    marginal       :math:`-\sum_j \log p_j(x_j)`, each column by itself, of a smooth density
    middle         squared distance from the median of each column, in usual spreads
    auto           mean :math:`-\log p`, where p is the p-value of reconstruction and of the last four
    ============== ===================================================================================

    Residuals and distances are taken in the units of the data (see :class:`Units`). ``auto`` is Fisher's way to join
    p-values: one score that has never been so high counts, whatever the others say.

    References:
        Variational Autoencoder based Anomaly Detection using Reconstruction Probability (An and Cho, 2015).
        Statistical Methods for Research Workers (Fisher, 1932), section 21.1.

    Args:
        model: Trained model.
        batch: Rows.
        method: One of the above.
        reference: See :func:`make_reference`; the first three methods need none.
        k: Draws per row.
        seed: Seed of the draws.

    Raises:
        SettingError: There is no such method, or it needs a reference.
    """
    if method not in METHODS:
        raise SettingError(
            f"A score is one of {', '.join(METHODS)}, but got {method!r}.{suggestion(method, list(METHODS))}"
        )
    if reference is None and method not in ("elbo", "nll", "reconstruction"):
        raise SettingError(f"The score {method!r} compares rows with training rows. Give a reference.")
    raw = _Raw.of(model, batch, None if reference is None else reference.units, k=k, seed=seed)
    if method == "auto" and reference is not None:
        return _auto(raw, reference)
    return _one(raw, method, reference)


def _one(raw: _Raw, method: str, reference: Reference | None) -> Scores:
    if method == "elbo":
        return _complete(raw.costs.sum(1) + raw.rate, raw.costs)
    if method == "reconstruction":
        return _complete(raw.costs.sum(1), raw.costs)
    if method == "nll":
        return _complete(raw.nll, raw.weighted)
    assert reference is not None
    values, shares = _compared(raw, method, reference)
    return _complete(values, _by_feature(shares, raw))


def _compared(raw: _Raw, method: str, reference: Reference) -> tuple[Tensor, Tensor]:
    """Return a score that compares rows with training rows, and the share of each place."""
    if method in ("input_knn", "knn"):
        own = itself(raw.inputs, reference.inputs)
    if method == "input_knn":
        n = max(NEIGHBOURS, len(reference.inputs) // SHARE)
        return nearest(raw.inputs - reference.centre, reference.inputs - reference.centre, reference.spread[0], own, n)
    if method == "knn":
        return nearest(raw.residuals, reference.residuals, reference.spread[1], own, NEIGHBOURS)
    if method == "marginal":
        shares = reference.marginals(raw.inputs)
    elif method == "middle":
        median, usual = reference.middle
        shares = ((raw.inputs - median) / usual).square().nan_to_num()
    else:
        shares = (raw.residuals / reference.spread[0]).square().nan_to_num()
    return shares.sum(1), shares


def _complete(values: Tensor, shares: Tensor) -> Scores:
    """Give what no feature accounts for to the latent code."""
    return Scores(values, torch.cat([shares, (values - shares.sum(1)).unsqueeze(1)], 1))


def _by_feature(shares: Tensor, raw: _Raw) -> Tensor:
    out = shares.new_zeros(len(shares), raw.costs.shape[1])
    return out.index_add(1, raw.owner.to(shares.device), shares)


def _auto(raw: _Raw, reference: Reference) -> Scores:
    rarities, shares = [], []
    for method in MEMBERS:
        found = _one(raw, method, reference)
        rarity = rarity_among(found.values, reference.held[method])
        blame = found.shares.clamp_min(0)
        total = blame.sum(1, keepdim=True)
        even = torch.full_like(blame, 1 / blame.shape[1])
        rarities.append(rarity)
        shares.append(torch.where(total > 0, blame / total.clamp_min(1e-12), even) * rarity.unsqueeze(1))
    return _complete(torch.stack(rarities).mean(0), torch.stack(shares).mean(0)[:, :-1])


def rarity_among(values: Tensor, held: Tensor) -> Tensor:
    r"""Return :math:`-\log p` of each value among held-out scores, without jumps; it goes on beyond the largest.

    Example:
        >>> rarity_among(torch.tensor([-9.0, 2.0, 4.0, 8.0]), torch.tensor([1.0, 2.0, 3.0, 4.0]))
        tensor([0.0000, 0.5108, 1.6094, 3.6094])
    """
    rank, n = rank_among(values, held), len(held)
    return -torch.log1p(-rank.clamp(max=1) * n / (n + 1)) + (rank - 1).clamp_min(0)


def rank_among(values: Tensor, held: Tensor) -> Tensor:
    """Return the share of held-out scores up to each value, without jumps; it goes on beyond the largest.

    Example:
        >>> rank_among(torch.tensor([-9.0, 2.0, 2.5, 8.0]), torch.tensor([1.0, 2.0, 3.0, 4.0]))
        tensor([0.0000, 0.5000, 0.6250, 3.0000])
    """
    n, values = len(held), values.contiguous().to(held.dtype)
    spread = (held[-1] - held[n // 2 - 1]).clamp_min(1e-9)
    ends = torch.cat([(held[0] - spread).unsqueeze(0), held])
    at = torch.searchsorted(ends, values).clamp(1, n)
    gap = (ends[at] - ends[at - 1]).clamp_min(1e-12)
    between = ((values - ends[at - 1]) / gap).clamp(0, 1)
    return (at - 1 + between) / n + (values - held[-1]).clamp_min(0) / spread


def p_values(values: Tensor, held: Tensor) -> Tensor:
    r"""Return conformal p-values, ``(N,)``: the share of held-out rows that are at least as strange.

    .. math:: p = \frac{1 + \#\{s_i \ge s\}}{n + 1}

    If a row comes from where the held-out rows come from, :math:`P(p \le \alpha) \le \alpha` for every model and score.

    Reference:
        Testing for Outliers with Conformal p-values (Bates et al., 2023). https://arxiv.org/abs/2104.08279
    """
    at_least = len(held) - torch.searchsorted(held, values.contiguous(), side="left")
    return (1 + at_least).double() / (len(held) + 1)


def threshold(held: Tensor, contamination: float) -> float:
    """Return the score that a share ``contamination`` of held-out rows exceeds.

    Raises:
        SettingError: It is no share.
    """
    if not 0 < contamination < 1:
        raise SettingError(f"`0 < contamination < 1` must hold, but got {contamination!r}. It is a share of rows.")
    return float(torch.quantile(held.double(), 1 - contamination))

