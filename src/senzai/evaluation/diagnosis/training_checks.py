"""Checks of training itself, from its history alone: numbers that are not finite, spikes, gradients."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from statistics import median

from .facts import DiagnosisFacts
from .finding import MEASURED, MOST_SEVERE, Finding, Remedy, check

SPIKE = 10.0
WILD = 50.0
PLATEAU = 3e-4
EVERYTHING = (
    "posterior_collapse", "rate_vanishes", "over_regularised", "under_regularised", "blur", "holes", "low_diversity",
    "amortisation_gap", "loose_bound", "overfitting", "overfitting_starts", "memorisation", "unused_latents",
    "too_few_latents", "likelihood_too_wide", "likelihood_too_narrow", "spikes",
)


def of_rate(facts: DiagnosisFacts) -> Remedy:
    """A lower learning rate with clipped gradients."""
    now = facts.told.lr or 1e-3
    lower = float(f"{min(1e-3, now / 10):.2g}")
    return Remedy("Lower the learning rate and clip gradients.", {"lr": lower, "clip": 1.0})


@check("unstable", "a loss that is not finite", needs=("history",), explains=EVERYTHING, live=True)
def broken(facts: DiagnosisFacts) -> Finding | None:
    """The last good state had to be restored."""
    lines = [h for h in facts.history or () if h.get("kind") == "recovered"]
    if not lines:
        return None
    return Finding(
        "unstable", "illness", "times that a loss was not finite", float(len(lines)), 0.5, True,
        "no loss may be; by definition",
        f"The loss was not finite at step {lines[0]['step']}: {str(lines[0].get('explanation', '')).rstrip('.')}.",
        of_rate(facts),
    )


@check("spikes", "losses or gradients that jump", needs=("history",), explains=EVERYTHING[:-1], live=True)
def spikes(facts: DiagnosisFacts) -> Finding | None:
    """The loss jumps up by many times what it usually moves, or gradients grow far beyond their usual size."""
    lines = [h for h in facts.history or () if h.get("kind") == "train" and h.get("loss") is not None]
    if len(lines) < 6:
        return None
    rising = sum(int(h.get("step", 0)) < (facts.settled_after or 0) for h in lines)
    jump = worst_jump([float(h["loss"]) for h in lines], rising=rising) if facts.told.comparable else 0.0
    norms = [float(h["grad_norm"]) for h in lines if h.get("grad_norm") is not None]
    usual = median(norms[: max(3, len(norms) // 2)]) if len(norms) > 5 else float("inf")
    grown = max(norms[2:], default=0.0) / max(usual, 1e-12)
    if jump <= SPIKE and grown <= WILD:
        return None
    by_loss = jump / SPIKE >= grown / WILD
    quantity = "highest jump of the loss over its usual move" if by_loss else "highest gradient norm over the usual one"
    value, limit = (jump, SPIKE) if by_loss else (grown, WILD)
    return Finding(
        "spikes", "illness", quantity, value, limit, True,
        "Chowdhery et al., 2022, https://arxiv.org/abs/2204.02311, section 5.1 (spikes); the factor: " + MEASURED,
        f"Training is unstable: the {quantity} is {value:.3g}.", of_rate(facts),
    )


def thrown_about(facts: DiagnosisFacts) -> bool:
    """Whether losses or gradients jumped so far that earlier progress is lost."""
    found = None if facts.history is None else spikes(facts)
    return found is not None and found.severity >= MOST_SEVERE


def worst_jump(losses: Sequence[float], *, rising: int = 0) -> float:
    """Highest rise of a loss over the lowest of its past, in usual moves; rises below a tenth of its way do not count.

    Args:
        losses: Losses, in order.
        rising: How many of them were logged while the rate was still being weighed in: there a loss rises by design,
            and only a rise over the last three counts.

    Example:
        >>> worst_jump([9.0, 5.0, 4.0, 3.5, 3.4, 3.3, 3.2]) < 1 < worst_jump([9.0, 5.0, 4.0, 3.5, 90.0, 3.3, 3.2])
        True
    """
    moves = [abs(b - a) for a, b in itertools.pairwise(losses)]
    jump, settled = 0.0, min(max(rising, 1), len(losses))
    for i in range(1, settled):
        jump = max(jump, losses[i] - min(losses[max(0, i - 3) : i]))
    lowest = losses[settled - 1]
    for loss in losses[settled:]:
        jump = max(jump, loss - lowest)
        lowest = min(lowest, loss)
    way = losses[0] - min(losses)
    return jump / max(median(moves), 1e-9) if jump > 0.1 * way else 0.0


@check("barren_plateau", "a circuit whose gradients vanish", needs=("gradient_power",))
def plateau(facts: DiagnosisFacts) -> Finding | None:
    """Derivatives at fresh starts are so small that no affordable number of shots would show them."""
    power = facts.gradient_power or 0.0
    if power >= PLATEAU:
        return None
    return Finding(
        "barren_plateau", "weakness", "mean square of a derivative at fresh angles", power, PLATEAU, False,
        "McClean et al., 2018, https://arxiv.org/abs/1803.11173; it takes about 3,000 shots for each derivative",
        f"Derivatives of the circuit's angles have a mean square of {power:.2g} where training starts: about "
        f"{1 / max(power, 1e-12):,.0f} shots for each to be told from zero. More qubits make it exponentially worse.",
        Remedy("Start from small angles, and take fewer layers.", {"prior.start": "small", "prior.layers": 2}),
    )
