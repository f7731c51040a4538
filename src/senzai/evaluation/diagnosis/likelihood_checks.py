"""Checks of the likelihood: its support, its scale, its tails, columns that dominate the loss."""

from __future__ import annotations

from .facts import DiagnosisFacts
from .finding import MEASURED, Finding, Remedy, check
from .training_checks import thrown_about

WIDE, NARROW = 0.5, 2.5
TAILS, THIN = 0.002, 0.5
BULK = 1.5
OUTSIDE = 0.05
DOMINATES = 0.7
CONSEQUENCES = (
    "blur", "posterior_collapse", "low_diversity", "holes", "overfitting",
    "unused_latents", "too_few_latents", "amortisation_gap", "loose_bound", "memorisation",
    "rate_vanishes", "too_little_data",
)
SCALES = ("likelihood_tails", "likelihood_too_narrow", "likelihood_too_wide", "likelihood_bounded")
THEIS = "Theis et al., 2016, https://arxiv.org/abs/1511.01844: a density of discrete data can be made arbitrarily high"


@check(
    "likelihood_binary", "bits under a density, or no bits under Bernoulli", needs=("values", "density"),
    explains=(*CONSEQUENCES, *SCALES, "unstable", "spikes", "column_dominates"),
)
def binary(facts: DiagnosisFacts) -> Finding | None:
    """Data of zeros and ones under a density."""
    if facts.values != "binary" or not facts.density:
        return None
    return Finding(
        "likelihood_binary", "illness", "share of entries that are 0 or 1, under a density", 1.0, 0.99, True, THEIS,
        "All values are 0 or 1, but the likelihood is a density of real numbers: it can be made as high as one likes.",
        Remedy("Take the likelihood of bits.", {"likelihood": "bernoulli"}),
    )


@check(
    "likelihood_counts", "counts under a density", needs=("values", "density"),
    explains=(*CONSEQUENCES, *SCALES, "unstable", "spikes", "column_dominates"),
)
def counts(facts: DiagnosisFacts) -> Finding | None:
    """Whole numbers under a density."""
    if facts.values != "count" or not facts.density:
        return None
    return Finding(
        "likelihood_counts", "illness", "share of entries that are whole and not negative, under a density", 1.0, 0.99,
        True, THEIS,
        "All values are counts, but the likelihood is a density of real numbers: it gives weight to fractions and to "
        "numbers below zero.", Remedy("Take a likelihood of counts.", {"likelihood": "negative_binomial"}),
    )


@check(
    "likelihood_bounded", "bounded data under an unbounded density", needs=("outside", "values"),
    explains=CONSEQUENCES,
)
def bounded(facts: DiagnosisFacts) -> Finding | None:
    """Draws fall outside the range of the data."""
    outside = facts.outside or 0.0
    if outside <= OUTSIDE or facts.values != "unit" or not facts.density:
        return None
    return Finding(
        "likelihood_bounded", "illness", "share of predicted values outside the range of the data", outside, OUTSIDE,
        True, "a normal around the middle of its data puts 5 % beyond two deviations; " + MEASURED,
        f"{outside:.0%} of what the model predicts lies outside the range of the data, where nothing can be.",
        Remedy("Take a likelihood on the unit interval.", {"likelihood": "beta"}),
    )


@check(
    "likelihood_too_wide", "the noise scale of the likelihood is too large", needs=("dispersion",),
    explains=(*CONSEQUENCES, "likelihood_bounded"),
)
def wide(facts: DiagnosisFacts) -> Finding | None:
    """Errors are much smaller than the model says."""
    ratio = facts.dispersion if facts.dispersion is not None else 1.0
    if ratio >= WIDE or not facts.told.bounds:
        return None
    return Finding(
        "likelihood_too_wide", "illness", "squared errors over their predicted variance", ratio, WIDE, False,
        "Rybkin et al., 2021, https://arxiv.org/abs/2006.13202: calibrated is 1; the margin is " + MEASURED,
        f"Errors are {1 / max(ratio, 1e-9) ** 0.5:.2g} times smaller than the model expects: its scale is too large, "
        "and detail is not worth its rate.",
        Remedy("Let the scale be the best one for the residuals.", {"likelihood": "normal_optimal"}),
    )


@check(
    "likelihood_too_narrow", "the noise scale of the likelihood is too small", needs=("dispersion", "bulk", "density"),
    explains=CONSEQUENCES,
)
def narrow(facts: DiagnosisFacts) -> Finding | None:
    """Errors are much larger than the model says, everywhere and not in a few entries."""
    ratio = facts.dispersion if facts.dispersion is not None else 1.0
    if ratio <= NARROW or (facts.bulk or 0.0) < BULK or not facts.told.bounds:
        return None
    return Finding(
        "likelihood_too_narrow", "illness", "squared errors over their predicted variance", ratio, NARROW, True,
        "Rybkin et al., 2021, https://arxiv.org/abs/2006.13202: calibrated is 1; the margin is " + MEASURED,
        f"Errors are {ratio ** 0.5:.2g} times larger than the model expects: its scale is too small, and the "
        "distortion drowns the rate.",
        Remedy("Let the scale be the best one for the residuals.", {"likelihood": "normal_optimal"}),
    )


@check(
    "likelihood_tails", "values far out that the likelihood holds for impossible", needs=("tails", "bulk"),
    explains=(*CONSEQUENCES, "unstable", "spikes"),
)
def tails(facts: DiagnosisFacts) -> Finding | None:
    """Some entries lie five deviations away, and the middle one is far nearer than expected.

    After an unstable training, residuals say nothing about the data.
    """
    share = facts.tails or 0.0
    if share <= TAILS or not facts.density or (facts.bulk or 0.0) >= THIN or thrown_about(facts):
        return None
    return Finding(
        "likelihood_tails", "illness", "share of entries five predicted deviations away", share, TAILS, True,
        "Chebyshev allows 0.04, a normal 6e-7; between them: " + MEASURED,
        f"{share:.2%} of the entries lie five deviations away, where a normal has one in two million, while most are "
        "nearer than expected: the tails are heavier than the likelihood's.",
        Remedy("Take heavier tails.", {"likelihood": "student_t"}),
    )


@check(
    "column_dominates", "one column or channel drowns the others", needs=("column_share", "n_dims"),
    explains=(*CONSEQUENCES, "unstable", "spikes", "likelihood_too_narrow"),
)
def dominates(facts: DiagnosisFacts) -> Finding | None:
    """Most of the distortion is about one column."""
    share, n = facts.column_share or 0.0, facts.n_dims or 3
    if share <= DOMINATES:
        return None
    own = Remedy("Let each column have a scale of its own.", {"likelihood": "normal", "shared": ("scale",)})
    if facts.values == "count":
        own = Remedy("Let each column have a dispersion of its own.", {"likelihood": "negative_binomial"})
    return Finding(
        "column_dominates", "illness", "share of one column in the distortion that varies", share, DOMINATES, True,
        f"equal shares are 1 / {n}; " + MEASURED,
        f"Column {facts.column} alone makes {share:.0%} of the distortion that varies; the others hardly count.",
        own,
    )
