"""Audit: what a private run gives away at least, by rows that are there to be found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...core.errors import CombinationError, SettingError
from ...core.secret import Secret
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained


@verb("audit", group="Judge", takes="nothing", answers="document", steered=False)
def audit(run: Trained, *, canaries: int = 1000, confidence: float = 0.95, seed: int = 0) -> dict[str, Any]:
    """Bound the epsilon of a private run from below: its steps are taken again with canaries, and these are guessed.

    Args:
        run: A private run.
        canaries: Rows that could be there; half of them are. The bound cannot exceed about ln(canaries / 4).
        confidence: Of the bound.
        seed: Seed of the coins.
    """
    from ...evaluation.auditing import audited
    from ...training.canaries import sing
    from ...training.private import PrivateGradients

    promised = run.spec.privacy
    if promised is None:
        raise CombinationError(
            "An audit compares a run with the epsilon it promises, but this run promises none. Fit one with private=, "
            "or attack this one: evaluate(also=['membership'])."
        )
    if canaries < 10 or not 0.5 < confidence < 1:
        raise SettingError(
            f"`canaries >= 10` and `0.5 < confidence < 1` must hold, but got {canaries!r} and {confidence!r}."
        )
    rule = PrivateGradients(promised.clip, promised.noise, promised.batch_size, Secret.fresh())
    flock = sing(rule, sample_rate=promised.sample_rate, steps=promised.steps, canaries=canaries, seed=seed)
    found = audited(flock.scores, flock.there, delta=promised.delta, confidence=confidence)
    kept = found["epsilon_at_least"] <= promised.epsilon
    return {
        **found, "epsilon": promised.epsilon, "holds": kept, "steps": promised.steps, "noise": promised.noise,
        "about": "The steps of the run, taken again with canaries in the place of rows: its code and its numbers, not "
        "its weights.",
    }
