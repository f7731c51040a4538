"""Cure: a second run with the first remedy, compared with the first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import SettingError
from ..data import Dataset
from ..evaluation.diagnosis import CHECKS, Diagnosis, Finding
from .fit import fit
from .run import Run
from .verbs.compare import Comparison, compare_rows
from .verbs.diagnose import DRAWS, ROWS, diagnose
from .verbs.registry import verb


@dataclass(frozen=True)
class Cure:
    """A run and the second run, side by side.

    Args:
        finding: What was treated.
        settings: Settings of the second run.
        before: Diagnosis of the first.
        after: Diagnosis of the second, with the same rows.
        quantity: The quantity of the finding, before and after.
        improved: Whether it moved to the right side of its threshold, or a tenth nearer.
        comparison: Log-likelihoods of both on the same held-out rows.
        kept: ``"before"`` or ``"after"``: which of them is better on held-out rows.
        run: The better one.
    """

    finding: Finding
    settings: Mapping[str, Any]
    before: Diagnosis
    after: Diagnosis
    quantity: tuple[float, float | None]
    improved: bool
    comparison: Comparison | None
    kept: str
    run: Run

    def document(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "finding": self.finding.document(), "settings": {k: plain_setting(v) for k, v in self.settings.items()},
            "quantity": {"before": self.quantity[0], "after": self.quantity[1]}, "improved": self.improved,
            "before": self.before.document(), "after": self.after.document(), "kept": self.kept,
            "comparison": None if self.comparison is None else self.comparison.document(),
        }


def plain_setting(value: Any) -> Any:
    """Return a setting as JSON has it."""
    return list(value) if isinstance(value, tuple) else value


@verb("cure", group="Judge", takes="own rows", answers="document", steered=False)
def cure(
    run: Run, data: object = None, *, out: str | Path | None = None, before: Diagnosis | None = None,
    seed: int = 0, rows: int = ROWS, k: int = DRAWS, factors: object = None, reading: Mapping[str, Any] | None = None,
) -> Cure:
    """Train again with the first remedy that is a change of settings, and keep the better of the two runs.

    The criterion is the log-likelihood of the same held-out rows under what samples are drawn from; where the two are
    within two standard errors of each other, or are not to be compared (a density and a mass), the one with the better
    quantity is kept.

    Args:
        run: A run.
        data: Its training data, where they are not where they were.
        out: Folder of the second run.
        before: Diagnosis of the run, if it is known.
        seed: Seed of rows and draws.
        rows: Rows to look at, at most.
        k: Draws per row.
        factors: As in :func:`diagnose`.
        reading: How ``data`` are read, where that is not how the run's own were.

    Raises:
        SettingError: Nothing was found that a setting could mend.
    """
    options: dict[str, Any] = {"rows": rows, "k": k, "seed": seed, "factors": factors}
    before = before or diagnose(run, run.dataset(run.source(data), options=reading), **options)
    finding = next((f for f in before.findings if f.remedy.can_be_tried), None)
    if finding is None:
        raise SettingError(
            "A cure needs a finding that a setting can mend, but "
            + (f"the first is {before.findings[0].name!r}: {before.findings[0].remedy.words}" if before.findings
               else "nothing was found: the model is well.")
        )
    settings = {**treated(run.spec.settings, finding), **(reading or {})}
    source = run.source(data)
    again = fit(
        source, recipe=finding.remedy.recipe or run.spec.recipe, out=out, settings=settings,
        kind=None if isinstance(source, Dataset) else run.schema.kind, progress=False,
    )
    after = diagnose(again, source, **options)
    return judged(run, again, before, after, finding, settings, source, seed=seed, k=k, reading=reading)


def treated(settings: Mapping[str, Any], finding: Finding) -> dict[str, Any]:
    """Return settings with a remedy; what belonged to a part that is exchanged goes, and ``None`` removes a setting.

    Example:
        >>> from senzai.evaluation.diagnosis import Remedy
        >>> f = Finding("a", "note", "", 1, 1, True, "", "", Remedy("", {"likelihood": "beta", "encoder_lr": None}))
        >>> treated({"likelihood": "normal_fixed", "likelihood.scale": 3.0, "encoder_lr": 1e-9, "lr": 0.1}, f)
        {'likelihood': 'beta', 'lr': 0.1}
    """
    new = finding.remedy.settings
    kept = {k: v for k, v in settings.items() if k.partition(".")[0] not in new or k in new}
    parts = {"objective": ("beta", "warmup", "free_bits")}
    gone = {name for part in new for name in parts.get(part, ()) if new[part] != "elbo" and name not in new}
    merged = {**{k: v for k, v in kept.items() if k.partition(".")[0] not in gone}, **new}
    return {k: v for k, v in merged.items() if v is not None}


def judged(
    run: Run, again: Run, before: Diagnosis, after: Diagnosis, finding: Finding, settings: Mapping[str, Any],
    data: object, *, seed: int, k: int, reading: Mapping[str, Any] | None = None,
) -> Cure:
    """Compare two runs and choose one."""
    there = after.of(finding.name)
    value = there.value if there is not None else value_of(after, before, finding)
    improved = better(finding, value) if value is not None else finding.name in after.well
    same = before.facts.density == after.facts.density or run.discrete_step() is not None
    both = {"before": run, "after": again}
    comparison = compare_rows(both, data, k=k, seed=seed, options=reading) if same else None
    kept = "after" if improved else "before"
    if comparison is not None:
        pair = comparison.differences["after"]
        if abs(pair.value) > 2 * pair.se:
            kept = "after" if comparison.best == "after" else "before"
    return Cure(
        finding, settings, before, after, (finding.value, value), improved, comparison, kept,
        again if kept == "after" else run,
    )


def better(finding: Finding, value: float) -> bool:
    """Whether a quantity is on the right side of its threshold, or a tenth nearer to it than it was.

    Example:
        >>> from senzai.evaluation.diagnosis import Remedy
        >>> f = Finding("a", "note", "", 4.0, 2.0, True, "", "", Remedy(""))
        >>> better(f, 3.9), better(f, 3.0), better(f, 1.0)
        (False, True, True)
    """
    sign = 1 if finding.above else -1
    nearer = sign * (finding.value - value) > 0.1 * abs(finding.value)
    return nearer or sign * (finding.threshold - value) > 0


def value_of(after: Diagnosis, before: Diagnosis, finding: Finding) -> float | None:
    """Return the number behind a finding that is no longer one: the fact that had its value."""
    names = [n for n in CHECKS[finding.name].needs if getattr(before.facts, n) == finding.value]
    found = getattr(after.facts, names[0]) if names else None
    return float(found) if isinstance(found, int | float) else None
