"""Checks of the latents: collapse, the weight of the rate, warm-ups, dimensions, codes, inference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .facts import DiagnosisFacts
from .finding import MEASURED, Finding, Remedy, check
from .sizes import wider

COLLAPSED = 0.1
SETTLED = 0.1
PEAK, LEFT = 0.5, 0.1
HIGH_PRICE, LOW_PRICE = 1.7, 0.5
UNUSED = 0.5
CROWDED, STRUCTURE = 1.0, 2.5
AMORTISED = 0.15
LOOSE = 0.15
USED_CODES = 0.5
ALEMI = "Alemi et al., 2018, https://arxiv.org/abs/1711.00464: the bound itself has price 1; the margin is " + MEASURED
LIKE_ONE: Mapping[str, Any] = {"beta": 1.0}


def of_rate(facts: DiagnosisFacts) -> Remedy:
    """What brings a rate back: the weight of the bound where it has another, else a floor under the rate."""
    if facts.beta is not None and facts.beta > 1:
        return Remedy(f"The rate is weighed {facts.beta:g} times; weigh it once.", LIKE_ONE)
    return Remedy("Give each latent a floor of rate (free bits), or a warm-up.", {"free_bits": 0.25})


@check(
    "posterior_collapse", "the code carries nothing", needs=("rate", "n_latent"),
    explains=("unused_latents", "low_diversity", "blur", "holes", "too_few_latents"),
)
def collapse(facts: DiagnosisFacts) -> Finding | None:
    """All of the rate is gone."""
    rate, n = facts.rate or 0.0, facts.n_latent or 0
    if rate >= COLLAPSED:
        return None
    return Finding(
        "posterior_collapse", "illness", "rate, nats per row", rate, COLLAPSED, False,
        "Lucas et al., 2019, https://arxiv.org/abs/1911.02469 (a rate below 0.01 in a dimension); " + MEASURED,
        f"The posterior has collapsed: {n} latents carry {rate:.3g} nats together, so that every row gets the same "
        "reconstruction.", of_rate(facts),
    )


@check(
    "rate_vanishes", "the rate was there and went away in training", needs=("history",), live=True,
    explains=("posterior_collapse", "over_regularised", "unused_latents", "blur", "low_diversity"),
)
def vanishing(facts: DiagnosisFacts) -> Finding | None:
    """The rate ends far below where it was, after the objective has settled or in the second half."""
    lines = [h for h in facts.history or () if h.get("kind") == "train" and isinstance(h.get("rate"), int | float)]
    settled = facts.settled_after or 0
    if len(lines) < 4 or lines[-1]["step"] < settled:
        return None
    rates = [float(h["rate"]) for h in lines]
    tail = max(2, len(rates) // 5)
    peak, last = max(rates), max(rates[-tail:])
    at = lines[rates.index(peak)]["step"]
    warmed = settled > 0 and at <= settled
    there = sum(r > PEAK for r in rates) >= max(3, len(rates) // 6)  # and not only while training began
    if peak < PEAK or last > min(LEFT * peak, 2 * COLLAPSED) or not (warmed or there):
        return None
    return Finding(
        "rate_vanishes", "illness", "last rate over its highest", last / peak, LEFT, False,
        "Bowman et al., 2016, https://arxiv.org/abs/1511.06349 (figure 2); " + MEASURED,
        f"The rate was {peak:.3g} nats at step {at} and is {last:.3g} now: the code was given up in training.",
        of_rate(facts),
    )


@check(
    "warmup_unfinished", "the model was hardly trained on its own objective", needs=("settled_after", "total_steps"),
    explains=("under_regularised", "holes", "amortisation_gap", "loose_bound", "overfitting"),
)
def unfinished(facts: DiagnosisFacts) -> Finding | None:
    """Too few steps after the end of the warm-up."""
    end, steps = facts.settled_after or 0, facts.total_steps or 1
    share = max(0.0, 1 - end / steps)
    if end == 0 or share >= SETTLED:
        return None
    return Finding(
        "warmup_unfinished", "illness", "share of the steps after the warm-up", share, SETTLED, False,
        "Sonderby et al., 2016, https://arxiv.org/abs/1602.02282 warm up for a tenth of training; " + MEASURED,
        f"The warm-up takes {end} of {steps} steps: the full rate was in force for {share:.0%} of training only.",
        Remedy("End the warm-up in the first third of training.", {"warmup": "share", "warmup.share": 0.3}),
    )


@check(
    "over_regularised", "the rate is weighed too much", needs=("price",),
    explains=("blur", "unused_latents", "low_diversity", "amortisation_gap", "loose_bound",
              "too_few_latents"),
)
def over(facts: DiagnosisFacts) -> Finding | None:
    """A nat of rate would buy more than a nat of distortion."""
    price, beta = facts.price or 0.0, facts.beta
    if price <= HIGH_PRICE or (beta is not None and beta <= 1):
        return None
    return Finding(
        "over_regularised", "illness", "nats of distortion that one more nat of rate would save", price, HIGH_PRICE,
        True, ALEMI,
        f"One more nat of rate would save {price:.2g} nats of distortion: the code is kept poorer than the bound asks"
        + ("." if beta is None else f" (beta={beta:g})."),
        Remedy("Weigh the rate as the bound does.", LIKE_ONE),
    )


@check(
    "under_regularised", "the rate is weighed too little", needs=("price",),
    explains=("holes", "overfitting", "memorisation", "amortisation_gap", "loose_bound", "low_diversity",
              "likelihood_too_wide", "likelihood_too_narrow"),
)
def under(facts: DiagnosisFacts) -> Finding | None:
    """The last nat of rate bought less than half a nat of distortion."""
    price, beta = facts.price if facts.price is not None else 1.0, facts.beta
    if price >= LOW_PRICE or (beta is not None and beta >= 1):
        return None
    return Finding(
        "under_regularised", "illness", "nats of distortion that the last nat of rate saved", price, LOW_PRICE, False,
        ALEMI,
        f"The last nat of rate saved only {price:.2g} nats of distortion: the code is far from the prior"
        + ("." if beta is None else f" (beta={beta:g})."),
        Remedy("Weigh the rate as the bound does.", LIKE_ONE),
    )


@check("unused_latents", "more latent dimensions than are used", needs=("rates",))
def unused(facts: DiagnosisFacts) -> Finding | None:
    """Most dimensions carry nothing."""
    rates = facts.rates or ()
    active, n = sum(r > COLLAPSED for r in rates), len(rates)
    share = 1 - active / n
    if share <= UNUSED or active == 0:
        return None
    keep = max(2, active + 1)
    return Finding(
        "unused_latents", "weakness", "share of latents with a rate below 0.1 nats", share, UNUSED, True,
        "Lucas et al., 2019, https://arxiv.org/abs/1911.02469 (collapse by dimension); " + MEASURED,
        f"{n - active} of {n} latents have collapsed and carry nothing; {active} do the work.",
        Remedy("Take fewer latents.", {"n_latent": keep}),
    )


@check(
    "too_few_latents", "fewer latent dimensions than the data need", needs=("structure", "rates", "n_latent"),
    explains=("blur", "holes", "loose_bound"),
)
def crowded(facts: DiagnosisFacts) -> Finding | None:
    """Every latent is full, and reconstructions still leave structure."""
    least, left, n = min(facts.rates or (0.0,)), facts.structure or 0.0, facts.n_latent or 1
    room = (facts.n_dims or n + 1) - n
    if least < CROWDED or left <= STRUCTURE or room < 2:
        return None
    return Finding(
        "too_few_latents", "illness", "largest eigenvalue of residual correlations over the edge of noise", left,
        STRUCTURE, True, "Marchenko and Pastur, 1967, https://doi.org/10.1070/SM1967v001n04ABEH001994; " + MEASURED,
        f"Each of the {n} latents is full ({least:.2g} nats at least), and what they leave is no noise: "
        f"one direction of it is {left:.1f} times stronger than noise would be.",
        Remedy("Take more latents.", {"n_latent": max(2 * n, min(4 * n + 4, room // 2))}),
    )


@check(
    "amortisation_gap", "the encoder misses the posteriors it could give", needs=("amortisation", "rate", "spread"),
    explains=("loose_bound", "blur", "holes", "too_few_latents"),
)
def amortised(facts: DiagnosisFacts) -> Finding | None:
    """Refining each row's posterior gains much."""
    gap, se = facts.amortisation or 0.0, facts.amortisation_se or 0.0
    least = 1.0 + AMORTISED * max(1.0, facts.rate or 1.0)
    if gap <= least:
        return None
    return Finding(
        "amortisation_gap", "illness", "amortisation gap, nats per row", gap, least, True,
        "Cremer et al., 2018, https://arxiv.org/abs/1801.03558; one nat and 15 % of the rate: " + MEASURED,
        f"The best posterior of each row beats the encoder's by {gap:.3g} nats: the encoder is too weak, or was "
        "trained too little.",
        Remedy("Train the encoder at the learning rate of the decoder, and a wider one.",
               {name: None for name in ("encoder_lr",) if name in facts.told.given} | wider(facts.told.hidden)),
        sure=gap - 2 * se > least,
    )


@check(
    "loose_bound", "the bound is far below the evidence", needs=("looseness", "rate"), explains=("holes",),
)
def loose(facts: DiagnosisFacts) -> Finding | None:
    """Averaging over many draws gains much, where the encoder's own posterior is as good as it can be."""
    gap, se = facts.looseness or 0.0, facts.looseness_se or 0.0
    rest = gap - max(0.0, facts.amortisation or 0.0)
    least = 0.5 + LOOSE * max(1.0, facts.rate or 1.0)
    if rest <= least:
        return None
    k = facts.told.n_samples
    return Finding(
        "loose_bound", "illness", "evidence above the bound that was trained, nats per row", rest, least, True,
        "Burda et al., 2016, https://arxiv.org/abs/1509.00519 (theorem 1); 0.5 nats and 15 % of the rate: " + MEASURED,
        f"With k={k} the bound lies {rest:.3g} nats below the log-likelihood, more than a better encoder would mend.",
        Remedy("Average over more draws.", {"objective": "iwae", "n_samples": max(16, 8 * k)}),
        sure=rest - 2 * se > least,
    )


@check(
    "dead_codes", "entries of the code book that nothing uses", needs=("used_codes", "n_codes"),
    explains=("holes", "low_diversity", "blur"),
)
def dead(facts: DiagnosisFacts) -> Finding | None:
    """Rows use a small part of the code book."""
    used = facts.used_codes if facts.used_codes is not None else 1.0
    if used >= USED_CODES:
        return None
    size = facts.n_codes or 2
    return Finding(
        "dead_codes", "illness", "share of the code book in use", used, USED_CODES, False,
        "Zeghidour et al., 2021, https://arxiv.org/abs/2107.03312 (dead codes are replaced); " + MEASURED,
        f"Only {used:.0%} of {size} codes are ever used.",
        Remedy("Take fewer codes.", {"quantiser.n_codes": max(2, round(used * size))}),
    )
