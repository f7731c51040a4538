"""Checks of data and generalisation: leaks, too few rows, overfitting, copies."""

from __future__ import annotations

from .facts import DiagnosisFacts
from .finding import MEASURED, Finding, Remedy, check
from .sizes import narrower

LEAKED = 0.01
GAP = 0.5
ROWS_PER_DIMENSION = 10
COPIES = 0.65


@check(
    "leak", "held-out rows that the model was trained on", needs=("duplicates",),
    explains=("overfitting", "memorisation"),
)
def leak(facts: DiagnosisFacts) -> Finding | None:
    """Held-out rows are training rows."""
    share = facts.duplicates or 0.0
    if share <= LEAKED:
        return None
    return Finding(
        "leak", "illness", "share of held-out rows that are training rows", share, LEAKED, True,
        "none can be by chance (fewer possible rows are not judged); 1 %: Barz and Denzler, 2020, "
        "https://arxiv.org/abs/1902.00423",
        f"{share:.0%} of the held-out rows are in the training rows too: every figure about them is too good.",
        Remedy("Remove duplicate rows before splitting."),
    )


def gap_of(facts: DiagnosisFacts) -> tuple[float, bool]:
    """Generalisation gap in standard deviations of the held-out bound, and whether it is beyond its error."""
    gap, se, spread = facts.generalisation or 0.0, facts.generalisation_se or 0.0, facts.spread or 1.0
    return gap / max(spread, 1e-9), gap > 4 * se


@check(
    "too_little_data", "too few rows for so many columns", needs=("generalisation", "spread", "n_train", "n_dims"),
    explains=("overfitting", "memorisation", "amortisation_gap", "loose_bound", "low_diversity", "holes",
              "too_few_latents", "unused_latents"),
)
def little(facts: DiagnosisFacts) -> Finding | None:
    """The model does not generalise, and there are few rows for each column."""
    per, (gap, sure) = (facts.n_train or 0) / max(1, facts.n_dims or 1), gap_of(facts)
    if per >= ROWS_PER_DIMENSION or gap <= GAP or not sure:
        return None
    return Finding(
        "too_little_data", "illness", "training rows for each entry of a row", per, ROWS_PER_DIMENSION, False,
        "Harrell, Regression Modeling Strategies, 2015, section 4.4: ten to twenty observations for each variable",
        f"There are {facts.n_train} training rows for {facts.n_dims} columns, and training rows are "
        f"{facts.generalisation:.3g} nats better than others: more rows would help most.",
        Remedy("Get more rows; until then a small model.",
               {"n_latent": 2, "weight_decay": 0.1} | narrower(facts.told.hidden, 16)),
    )


@check(
    "overfitting", "training rows are much better than held-out rows", needs=("generalisation", "spread"),
    explains=("memorisation", "amortisation_gap", "loose_bound"),
)
def overfitting(facts: DiagnosisFacts) -> Finding | None:
    """The bound of training rows is far above that of others."""
    gap, sure = gap_of(facts)
    if gap <= GAP or not sure:
        return None
    words = "Choose the weights on validation rows, with a smaller network."
    return Finding(
        "overfitting", "illness", "bound of training rows above others, in deviations of a row", gap, GAP, True,
        "Cohen, 1988: half a deviation is a medium effect; four standard errors besides",
        f"Training rows are {facts.generalisation:.3g} nats better than held-out ones, {gap:.2g} deviations of a row.",
        Remedy(words, {"validation": 0.15, "patience": 5, "weight_decay": 0.05} | narrower(facts.told.hidden, 32)),
    )


@check(
    "overfitting_starts", "validation rows get worse while training rows get better", needs=("history",), live=True,
)
def diverging(facts: DiagnosisFacts) -> Finding | None:
    """The validation loss has risen for long while the training loss fell."""
    lines = facts.history or () if facts.told.comparable else ()
    checks = [h for h in lines if h.get("kind") == "validation" and h.get("settled") and h.get("loss") is not None]
    train = [h for h in lines if h.get("kind") == "train" and h.get("loss") is not None]
    if len(checks) < 8 or len(train) < 4:
        return None
    losses = [float(h["loss"]) for h in checks]
    best = min(range(len(losses)), key=losses.__getitem__)
    rise, fell = losses[-1] - losses[best], float(train[len(train) // 2]["loss"]) - float(train[-1]["loss"])
    scale = abs(losses[0] - losses[best]) + 1e-9
    if len(losses) - best < 6 or rise / scale <= 0.1 or fell <= 0 or losses[-1] <= losses[len(losses) // 2]:
        return None
    return Finding(
        "overfitting_starts", "note", "rise of the validation loss since its best, over what it had gained",
        rise / scale, 0.1, True, "Prechelt, 1998, https://doi.org/10.1007/3-540-49430-8_3; a tenth: " + MEASURED,
        f"The loss of validation rows has risen by {rise:.3g} since step {checks[best]['step']} while that of training "
        "rows falls: the weights of the best step are kept, the rest is wasted.",
        Remedy("Stop early.", {"patience": 5}),
    )


@check("memorisation", "samples that are copies of training rows", needs=("memorisation",))
def memorised(facts: DiagnosisFacts) -> Finding | None:
    """Samples are nearer to training rows than held-out rows are."""
    share, se = facts.memorisation or 0.5, facts.memorisation_se or 0.0
    if share <= COPIES:
        return None
    return Finding(
        "memorisation", "illness", "chance that a sample is nearer to a training row than a held-out row is", share,
        COPIES, True, "Meehan et al., 2020, https://arxiv.org/abs/2004.05675: 0.5 is right; the margin is " + MEASURED,
        f"A sample is nearer to a training row than a held-out row is in {share:.0%} of cases: the model repeats what "
        "it has seen.",
        Remedy("Sample from a plain prior, with a smaller network.",
               {"prior": "standard_normal", "patience": 5} | narrower(facts.told.hidden, 32)),
        sure=share - 2 * se > COPIES,
    )
