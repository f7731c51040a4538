r"""Anomaly scores, higher is more anomalous, each with shares of the features that add up to it.

No single score is best everywhere; ``auto`` asks of several how rare theirs is among rows that were held out.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..core.batch import Batch
from ..core.errors import BundleError, SettingError
from ..core.registry import suggestion
from ..models.base import LatentModel
from .evidence import Evidence
from .marginals import Marginals, middle_and_spread, spread_of
from .neighbours import NeighbourIndex, in_spreads, nearest_among
from .rarity import Rarity, crossed, joined
from .rarity import p_values as p_values
from .rarity import threshold as threshold
from .units import Coder, Units

METHODS = ("auto", "elbo", "nll", "reconstruction", "residual", "knn", "input_knn", "marginal", "middle")
CODED = "complexity"
"""A further method, for rows that have a lossless code of their own; see :class:`Reference`."""
DRAWN = ("auto", "elbo", "nll", "reconstruction", CODED)
"""Methods that draw from the posterior; what the others say does not depend on ``k`` and ``seed``."""
MEMBERS = ("elbo", "knn", "input_knn", "marginal", "middle")
"""What ``auto`` is made of: what the model cannot explain, and what is strange about the row by itself."""
NEIGHBOURS = 5
SHARE = 20
"""A row is as far as its nearest twentieth of training rows: anomalies of one kind have each other near."""


@dataclass(frozen=True)
class Scores:
    """Scores of rows.

    Args:
        values: One per row, ``(N,)``; higher is more anomalous.
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
        rows: Rows that were held out, to be scored with as many draws and the seed that others are scored with.
        draws: Draws and seed of ``held``.
        units: From the model's numbers to those of the data; ``None`` where they are the same.
        held: Scores of the held-out rows by method, in their order.
        coder: Lengths of rows in a lossless code; ``None`` where they have none.
    """

    inputs: Tensor
    residuals: Tensor
    owner: Tensor
    spread: Tensor
    rows: Batch
    draws: tuple[int, int]
    units: Units | None = None
    held: dict[str, Tensor] = field(default_factory=dict)
    coder: Coder | None = None
    _others: dict[tuple[str, int, int], Tensor] = field(default_factory=dict, repr=False)
    _rarities: dict[tuple[str, int, int], tuple[Tensor, Rarity]] = field(default_factory=dict, repr=False)

    @property
    def members(self) -> tuple[str, ...]:
        """What ``auto`` is made of."""
        return MEMBERS if self.coder is None else (*MEMBERS, CODED)

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

    @cached_property
    def known(self) -> NeighbourIndex:
        """The training rows by their content."""
        return NeighbourIndex(self.inputs)

    @cached_property
    def near_residuals(self) -> Tensor:
        """Residuals of the different training rows, in spreads, ``(M, D)``."""
        return in_spreads(self.residuals[self.known.first], self.spread[1])

    @cached_property
    def near_inputs(self) -> Tensor:
        """Training rows about their centre, in spreads, ``(M, D)``."""
        return in_spreads(self.inputs - self.centre, self.spread[0])

    def rarity(self, model: LatentModel, method: str, *, k: int, seed: int) -> Rarity:
        """Return how rare scores of a method are among those of the held-out rows; see :meth:`held_scores`."""
        held = self.held_scores(model, method, k=k, seed=seed)
        known = self._rarities.get((method, k, seed))
        if known is None or known[0] is not held:
            known = self._rarities[method, k, seed] = held, Rarity.of(held)
        return known[1]

    def held_scores(self, model: LatentModel, method: str, *, k: int, seed: int) -> Tensor:
        """Return scores of the held-out rows, ``(n,)``, by a method, made as other rows are with ``k`` and ``seed``.

        Those of ``auto`` are joined from rarities among *other* held-out rows, as those of new rows are.
        """
        if method not in DRAWN:
            k, seed = self.draws
        kept = self.held if (k, seed) == self.draws else {}
        if method in kept:
            return kept[method]
        if (method, k, seed) not in self._others:
            if method == "auto":
                found = crossed(torch.stack([self.held_scores(model, m, k=k, seed=seed) for m in self.members]))
            else:
                known = Evidence(model, self.rows, self.units, k=k, seed=seed, coder=self.coder)
                found = _one(known, method, self).values
            self._others[method, k, seed] = found
        return self._others[method, k, seed]

    def tensors(self) -> dict[str, Tensor]:
        """Return everything under plain names, to be saved."""
        plain = {"inputs": self.inputs, "residuals": self.residuals, "owner": self.owner, "spread": self.spread}
        units = {} if self.units is None else {"units.model": self.units.model, "units.data": self.units.data}
        rows = {f"rows.{f.name}": v for f in fields(Batch) if (v := getattr(self.rows, f.name)) is not None}
        held = {f"held.{name}": v for name, v in self.held.items()}
        return {**plain, **units, **rows, **held, "draws": torch.tensor(self.draws)}

    @classmethod
    def of(cls, tensors: dict[str, Tensor], coder: Coder | None = None) -> Reference:
        """Return a reference from its tensors, and the code of its rows, which counts where it counted before.

        Raises:
            BundleError: They are those of another version.
        """
        held, rows, units = (
            {n.removeprefix(start): v for n, v in tensors.items() if n.startswith(start)}
            for start in ("held.", "rows.", "units.")
        )
        if "x" not in rows or set(held) - {CODED} != set(METHODS):
            raise BundleError(
                "The rows kept in this run were kept by another version of senzai, which compared them otherwise. "
                "Give the training data again: run.score(data, reference=training_data)."
            )
        k, seed = (int(v) for v in tensors["draws"])
        return cls(
            tensors["inputs"], tensors["residuals"], tensors["owner"], tensors["spread"], _batch(rows), (k, seed),
            Units(**units) if units else None, held, coder if CODED in held else None,
        )


def _batch(rows: dict[str, Any]) -> Batch:
    return Batch(**rows)


def make_reference(
    model: LatentModel, train: Batch, held: Batch, *, units: Units | None = None, coder: Coder | None = None,
    k: int = 16, seed: int = 0,
) -> Reference:
    """Return what rows are compared with: training rows, and the scores of rows that were held out."""
    known, judged = (Evidence(model, rows, units, k=k, seed=seed, coder=coder) for rows in (train, held))
    inputs, residuals, owner = known.placed.inputs, known.placed.residuals, known.owner
    spread = torch.stack([spread_of(inputs, owner), spread_of(residuals, owner)])
    reference = Reference(inputs, residuals, owner, spread, held, (k, seed), units, coder=coder)
    for method in (*METHODS[1:], *([] if coder is None else [CODED])):
        reference.held[method] = _one(judged, method, reference).values
    reference.held["auto"] = crossed(torch.stack([reference.held[m] for m in reference.members]))
    return reference


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
    knn            mean distance of the residual to its five nearest ones among different training rows
    input_knn      distance of the row itself to the last of the nearest twentieth of training rows
    marginal       :math:`-\sum_j \log p_j(x_j)`, each column by itself, of a smooth density
    middle         distance from the median of each column, in usual spreads
    complexity     of pictures, :math:`-\log p(x) - L(x)` with the length :math:`L` of the picture as PNG, in nats
    auto           root mean square of :math:`-\log p`, where p is the p-value of elbo and of the last four or five
    ============== ===================================================================================

    Residuals and distances are taken in the units of the data (see :class:`Units`); distances are sums of absolute
    differences. A p-value goes on falling beyond the largest held-out score (see ``rarity_among``), so that in ``auto``
    one score that has never been nearly so high counts, whatever the others say. Simple pictures are likely under every
    model, so that what is smoother than the training rows would pass for normal: ``complexity`` asks whether a picture
    is as likely as pictures of its complexity are.

    References:
        Variational Autoencoder based Anomaly Detection using Reconstruction Probability (An and Cho, 2015).
        Statistical Methods for Research Workers (Fisher, 1932), section 21.1: p-values joined.
        Input Complexity and Out-of-distribution Detection with Likelihood-based Generative Models (Serrà et al., 2020).
            https://arxiv.org/abs/1909.11480
        Efficient Algorithms for Mining Outliers (Ramaswamy, Rastogi and Shim, 2000): distance to the k-th neighbour.

    Args:
        model: Trained model.
        batch: Rows.
        method: One of the above.
        reference: See :func:`make_reference`; elbo, nll and reconstruction need none.
        k: Draws per row.
        seed: Seed of the draws.

    Raises:
        SettingError: There is no such method, or it needs a reference.
    """
    need_method(method)
    if reference is None and method not in ("elbo", "nll", "reconstruction"):
        raise SettingError(f"The score {method!r} compares rows with training rows. Give a reference.")
    known = Evidence(
        model, batch, None if reference is None else reference.units, k=k, seed=seed,
        coder=None if reference is None else reference.coder,
    )
    if method == "auto" and reference is not None:
        return _auto(known, reference)
    return _one(known, method, reference)


def need_method(method: str) -> None:
    """Refuse a score that there is not.

    Raises:
        SettingError: There is no such score.
    """
    every = (*METHODS, CODED)
    if method not in every:
        near = suggestion(method, list(every))
        raise SettingError(f"A score is one of {', '.join(every)}, but got {method!r}.{near}")


def _one(known: Evidence, method: str, reference: Reference | None) -> Scores:
    if method in DRAWN:
        drawn = known.drawn
        if method in ("nll", CODED):
            return _complete(drawn.nll if method == "nll" else drawn.nll - known.lengths, drawn.weighted)
        costs = drawn.costs.sum(1)
        return _complete(costs + drawn.rate if method == "elbo" else costs, drawn.costs)
    assert reference is not None
    values, shares = _compared(known, method, reference)
    by_feature = shares.new_zeros(len(shares), known.n_features)
    return _complete(values, by_feature.index_add(1, known.owner.to(shares.device), shares))


def _compared(known: Evidence, method: str, reference: Reference) -> tuple[Tensor, Tensor]:
    """Return a score that compares rows with training rows, and the share of each place."""
    inputs, residuals, spread = known.placed.inputs, known.placed.residuals, reference.spread
    if method in ("knn", "input_knn"):
        own, first = reference.known.find(inputs), reference.known.first
        if method == "knn":
            return nearest_among(residuals, reference.near_residuals, spread[1], own, range(NEIGHBOURS))
        n = max(NEIGHBOURS, len(reference.inputs) // SHARE)
        own = torch.where(own < 0, own, first[own])
        return nearest_among(inputs - reference.centre, reference.near_inputs, spread[0], own, range(n - 1, n))
    if method == "marginal":
        shares = reference.marginals(inputs)
    elif method == "middle":
        median, usual = reference.middle
        shares = ((inputs - median) / usual).abs().nan_to_num()
    else:
        shares = (residuals / spread[0]).square().nan_to_num()
    return shares.sum(1), shares


def _complete(values: Tensor, shares: Tensor) -> Scores:
    """Give what no feature accounts for to the latent code."""
    return Scores(values, torch.cat([shares, (values - shares.sum(1)).unsqueeze(1)], 1))


def _auto(known: Evidence, reference: Reference) -> Scores:
    found = [_one(known, method, reference) for method in reference.members]
    among = [reference.rarity(known.model, m, k=known.k, seed=known.seed) for m in reference.members]
    rarities = torch.stack([rare(f.values) for f, rare in zip(found, among, strict=True)])
    values = joined(rarities)
    weights = rarities.square() / (len(found) * values.clamp_min(1e-12))  # they add up to the score
    blame = torch.stack([_blame(f.shares) for f in found])
    return _complete(values, (blame * weights.unsqueeze(2)).sum(0)[:, :-1])


def _blame(shares: Tensor) -> Tensor:
    """Return shares of one, ``(N, d + 1)``; even ones where nothing is to blame."""
    blame = shares.clamp_min(0)
    total = blame.sum(1, keepdim=True)
    even = torch.full_like(blame, 1 / blame.shape[1])
    return torch.where(total > 0, blame / total.clamp_min(1e-12), even)
