"""Mixtures of normals fitted to latents by scikit-learn's EM, alone and given a condition, chosen on held-out codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.random import derive
from ..core.warning_filters import ignore_warnings
from ..distributions.numeric import positive_raw
from ..parts import FullMixture, GivenMixture, MixtureOfNormals, Prior
from ..parts.base import FLOOR
from .draws import PosteriorDraws, standard
from .shared_forms import SharedForms, shared_forms

MIXTURES = {"diag": (1, 5, 10, 20, 40), "full": (1, 2, 5, 10)}
"""Numbers of components that the search tries, for each form of covariance."""
ROWS_PER_COMPONENT = 20
FULL_UP_TO = 512
"""Latents up to which mixtures with full covariances are tried."""
LEAST_OF_CLASS = 20
"""Codes that each class needs for a mixture of its own."""
RIDGE = 1e-3
"""Share of the rows that is added to the sums of squares of a condition."""
NEVER = -40.0
"""Log weight of the components of other classes."""


def mixture(codes: PosteriorDraws, seed: int) -> Prior:
    """Return the mixture of normals, diagonal or full, that held-out codes are likeliest under.

    scikit-learn's EM fits them; number of components and form of covariance are decided on a sixth of the codes: more
    components are tried as long as they help. The winner goes on from there with all codes.

    Given a condition c it is p(z | c): latents of a model that is told c still depend on it, and a mixture that knows
    nothing of c would draw those of another one. Held-out codes decide between: no c; means that are linear in c; and,
    where c is the code of a class, a mixture for each class, with covariances of its own or with common ones.
    """
    loc, scale = standard(codes.z)
    z = ((codes.z - loc) / scale).double().numpy()
    plain, score = searched(*divided(z, seed), seed)
    if codes.c is not None:
        c = codes.c.detach().double().cpu().numpy()
        ways: list[tuple[float, Callable[[], FittedGiven] | None]] = [(score, None), moved_by(z, c, seed)]
        ways += [of_classes(z, classes_of(c), seed), in_common(z, c, seed)] if by_class(c) else []
        made = max(ways, key=lambda way: way[0])[1]
        if made is not None:
            return given_prior(made(), loc, scale, c.shape[1])
    return as_prior(em(z, plain.n_components, plain.covariance_type, seed, start=plain), loc, scale)


def divided(z: Any, seed: int) -> tuple[Any, Any]:
    """Return most rows to fit on and a sixth to decide on."""
    order = np.random.default_rng(derive(seed, "mixture")).permutation(len(z))
    cut = max(1, len(z) // 6)
    return z[order[cut:]], z[order[:cut]]


def searched(fit: Any, held: Any, seed: int) -> tuple[Any, float]:
    """Return scikit-learn's mixture that held-out rows are likeliest under, and their mean log density."""
    best, chosen = -inf, None
    for form, counts in MIXTURES.items():
        if form == "full" and fit.shape[1] > FULL_UP_TO:
            continue
        size, before = 1 if form == "diag" else fit.shape[1] // 2, -inf
        for n in counts:
            if n > 1 and n * ROWS_PER_COMPONENT * max(1, size) > len(fit):
                break
            found = em(fit, n, form, seed)
            score = float(found.score(held))
            if score > best:
                best, chosen = score, found
            if score <= before:
                break
            before = score
    assert chosen is not None  # one normal always has a score
    return chosen, best


def em(z: Any, n: int, form: str, seed: int, start: Any = None) -> Any:
    """Return scikit-learn's mixture, fitted; from where ``start`` ended, if it is given."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    model = GaussianMixture(
        n, covariance_type=form, reg_covar=1e-4, max_iter=60, random_state=derive(seed, "em", n, form) % 2**32,
        weights_init=getattr(start, "weights_", None), means_init=getattr(start, "means_", None),
        precisions_init=getattr(start, "precisions_", None),
    )
    with ignore_warnings(ConvergenceWarning):  # the result is judged on held-out rows
        return model.fit(z)


def as_prior(found: Any, loc: Tensor, scale: Tensor) -> Prior:
    """Return scikit-learn's mixture of standardised codes as a prior over the codes."""
    weights, means, covariances = (
        torch.as_tensor(getattr(found, name)) for name in ("weights_", "means_", "covariances_")
    )
    n, d = means.shape
    full = covariances.ndim == 3
    prior = FullMixture(d, n_components=n) if full else MixtureOfNormals(d, n_components=n)
    with torch.no_grad():
        prior.logits.copy_(weights.log())
        prior.loc.copy_(loc + scale * means)
        if isinstance(prior, FullMixture):
            tril = scale.double().unsqueeze(1) * torch.linalg.cholesky(covariances)
            rows, columns = torch.tril_indices(d, d, -1)
            prior.log_diagonal.copy_((tril.diagonal(dim1=1, dim2=2) - FLOOR).clamp_min(1e-6).log())
            prior.below.copy_(tril[:, rows, columns])
        else:
            prior.raw_scale.copy_(positive_raw(scale * covariances.sqrt(), FLOOR))
    return prior


# --- given a condition ------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class FittedGiven:
    """A mixture given a condition, of standardised codes.

    Args:
        weights: Weight of each component, ``(J,)``; of its class, where it has one.
        means: Their means, ``(J, d)``.
        covariances: Their variances ``(J, d)``, or covariances ``(J, d, d)``.
        shift: What moves them all, times the condition, ``(d, n_condition)``.
        owner: Number of the class of each component; there is no shift then.
    """

    weights: Any
    means: Any
    covariances: Any
    shift: Any
    owner: Any = None


Way = tuple[float, Callable[[], FittedGiven]]
"""Mean log density of held-out codes, and what makes the mixture with all of them."""


def moved_by(z: Any, c: Any, seed: int) -> Way:
    """Return a mixture of what is left of codes after their means, which are linear in the condition."""
    (fit, held), (given, other) = divided(z, seed), divided(c, seed)
    shift = regression(fit, given)
    found, score = searched(fit - given @ shift.T, held - other @ shift.T, seed)

    def made() -> FittedGiven:
        whole = regression(z, c)
        last = em(z - c @ whole.T, found.n_components, found.covariance_type, seed, start=found)
        return FittedGiven(last.weights_, last.means_, last.covariances_, whole)

    return score, made


def regression(z: Any, c: Any) -> Any:
    """Return the slopes of means that are linear in a condition, ``(d, n_condition)``; near ties are divided evenly."""
    centred = c - c.mean(0)
    square = centred.T @ centred + RIDGE * len(c) * np.eye(c.shape[1])
    return np.linalg.solve(square, centred.T @ (z - z.mean(0))).T


def by_class(c: Any) -> bool:
    """Whether a condition is the code of a class, and every class that occurs has enough rows."""
    one_hot = bool(((c == 0) | (c == 1)).all() and (c.sum(1) == 1).all())
    return one_hot and int(np.unique(classes_of(c), return_counts=True)[1].min()) >= LEAST_OF_CLASS


def classes_of(c: Any) -> Any:
    """Return the numbers of classes by their codes."""
    return c.argmax(1)


def of_classes(z: Any, classes: Any, seed: int) -> Way:
    """Return a mixture for each class."""
    (fit, held), (own, other) = divided(z, seed), divided(classes, seed)
    found, total = {}, 0.0
    for k in np.unique(classes):
        some = held[other == k]
        found[k], score = searched(fit[own == k], some if len(some) else fit[own == k], seed)
        total += score * len(some)

    def made() -> FittedGiven:
        last = {k: em(z[classes == k], m.n_components, m.covariance_type, seed, start=m) for k, m in found.items()}
        full = any(m.covariances_.ndim == 3 for m in last.values())
        return FittedGiven(
            np.concatenate([m.weights_ for m in last.values()]), np.concatenate([m.means_ for m in last.values()]),
            np.concatenate([covariances(m, full=full) for m in last.values()]), None,
            np.concatenate([np.full(m.n_components, k) for k, m in last.items()]),
        )

    return total / len(held), made


def in_common(z: Any, c: Any, seed: int) -> Way:
    """Return mixtures of classes that share their covariances; see :class:`SharedForms`."""
    (fit, held), (given, other) = divided(z, seed), divided(c, seed)
    best, chosen = -inf, 1
    for n in MIXTURES["full"]:
        if z.shape[1] > FULL_UP_TO or (n > 1 and n * ROWS_PER_COMPONENT * (z.shape[1] // 2) > len(fit)):
            break
        score = sharing(fit, given, n, seed).score(held, classes_of(other))
        if score <= best:
            break
        best, chosen = score, n

    def made() -> FittedGiven:
        found = sharing(z, c, chosen, seed)
        k, n, d = found.means.shape
        forms = np.tile(found.covariances, (k, 1, 1))
        owner = np.repeat(np.arange(k), n)
        return FittedGiven(found.weights.reshape(-1), found.means.reshape(-1, d), forms, None, owner)

    return best, made


def sharing(z: Any, c: Any, n: int, seed: int) -> SharedForms:
    """Fit ``n`` common forms, from a mixture of what is left of codes after the means of their classes."""
    shift = regression(z, c)
    left = z - c @ shift.T
    return shared_forms(z, classes_of(c), em(left, n, "full", seed).predict_proba(left), shift.T)


def covariances(found: Any, *, full: bool) -> Any:
    """Return the covariances of a mixture in one form."""
    if not full or found.covariances_.ndim == 3:
        return found.covariances_
    return np.stack([np.diag(v) for v in found.covariances_])


def given_prior(found: FittedGiven, loc: Tensor, scale: Tensor, width: int) -> Prior:
    """Return a mixture of standardised codes given a condition as a prior over the codes."""
    n, d = found.means.shape
    full = found.covariances.ndim == 3
    prior = GivenMixture(d, n_components=n, n_condition=width, full=full)
    spread = torch.from_numpy(found.covariances)
    with torch.no_grad():
        prior.logits.copy_(torch.from_numpy(found.weights).log())
        prior.loc.copy_(loc + scale * torch.from_numpy(found.means))
        if found.shift is not None and prior.shift is not None:
            prior.shift.copy_(scale.unsqueeze(1) * torch.from_numpy(found.shift))
        elif prior.gates is not None:
            own = torch.from_numpy(found.owner).unsqueeze(1) == torch.arange(width)
            prior.gates.copy_(torch.where(own, 0.0, NEVER))
        deviation = spread.sqrt() if not full else torch.linalg.cholesky(spread).diagonal(dim1=1, dim2=2)
        prior.raw_scale.copy_(positive_raw(scale * deviation, FLOOR))
        if prior.below is not None:
            rows, columns = torch.tril_indices(d, d, -1)
            prior.below.copy_((scale.double().unsqueeze(1) * torch.linalg.cholesky(spread))[:, rows, columns])
    return prior
