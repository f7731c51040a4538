"""What a diagnosis says: findings with their quantity, threshold, source and remedy, and how they are put in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import inf, log
from typing import Any, Literal

from ...core.registry import Registry
from ..results import plain
from .facts import DiagnosisFacts

Grade = Literal["illness", "weakness", "note"]
GRADES: tuple[Grade, ...] = ("illness", "weakness", "note")
MOST_SEVERE = 5.0
"""Severities are cut here: 150 times a threshold is as bad as it gets."""
MEASURED = "measured on the clinic's healthy models (docs/diagnosing.md)"


@dataclass(frozen=True)
class Remedy:
    """What to change.

    Args:
        words: A sentence for people.
        settings: Settings of ``fit`` to change; empty where no setting helps.
        recipe: Another recipe, where the remedy is one.
    """

    words: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    recipe: str | None = None

    @property
    def can_be_tried(self) -> bool:
        """Whether it is a matter of settings."""
        return bool(self.settings) or self.recipe is not None


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Args:
        name: Name of the check.
        grade: How bad: an illness spoils the model, a weakness costs something, a note is for people to weigh.
        quantity: What was measured, in words.
        value: The measured number.
        threshold: Where it begins to be wrong.
        above: Whether it is wrong above the threshold, else below.
        source: Where the threshold comes from.
        sentence: What it means, in plain words.
        remedy: What to change.
        sure: Whether the number is beyond its threshold by more than its error.
    """

    name: str
    grade: Grade
    quantity: str
    value: float
    threshold: float
    above: bool
    source: str
    sentence: str
    remedy: Remedy
    sure: bool = True

    @property
    def severity(self) -> float:
        """How far the value is beyond its threshold, as the log of their ratio; at least 0, at most 5.

        Example:
            >>> Finding("a", "note", "", 4.0, 2.0, True, "", "", Remedy("")).severity == log(2)
            True
        """
        if self.threshold <= 0 or self.value <= 0:
            return MOST_SEVERE if self.value * (1 if self.above else -1) > self.threshold else 1.0
        ratio = self.value / self.threshold if self.above else self.threshold / self.value
        return min(MOST_SEVERE, max(0.0, log(ratio) if ratio < inf else MOST_SEVERE))

    def document(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        found: dict[str, Any] = plain({
            "name": self.name, "grade": self.grade, "quantity": self.quantity, "value": float(self.value),
            "threshold": float(self.threshold), "wrong": "above" if self.above else "below", "source": self.source,
            "sentence": self.sentence, "severity": self.severity, "sure": self.sure,
            "remedy": {"words": self.remedy.words, "settings": dict(self.remedy.settings),
                       "recipe": self.remedy.recipe},
        })
        return found


Examine = Callable[[DiagnosisFacts], Finding | None]


@dataclass(frozen=True)
class Check:
    """One entry of the list of checks.

    Args:
        name: What it is called.
        title: What is looked for, in a line.
        run: Facts to a finding, or ``None`` where all is well; it changes nothing and draws nothing.
        needs: Fields of :class:`DiagnosisFacts` that must be known.
        explains: Names of checks whose findings are consequences of this one.
        live: Whether the history alone is enough, so that it can run while training does.
    """

    name: str
    title: str
    run: Examine
    needs: tuple[str, ...] = ()
    explains: tuple[str, ...] = ()
    live: bool = False

    def missing(self, facts: DiagnosisFacts) -> tuple[str, ...]:
        """Return the needed facts that are not known."""
        return tuple(n for n in self.needs if getattr(facts, n) is None)


CHECKS: Registry[Check] = Registry("check")


def check(
    name: str, title: str, *, needs: tuple[str, ...] = (), explains: tuple[str, ...] = (), live: bool = False,
) -> Callable[[Examine], Examine]:
    """Register a function as a check."""

    def keep(run: Examine) -> Examine:
        CHECKS.add(name)(Check(name, title, run, needs, explains, live))
        return run

    return keep


def explained(name: str) -> frozenset[str]:
    """Return the names of all checks whose findings a finding explains, directly or through others."""
    found: set[str] = set()
    ahead = list(CHECKS[name].explains)
    while ahead:
        other = ahead.pop()
        if other not in found:
            found.add(other)
            ahead += CHECKS[other].explains
    return frozenset(found - {name})


def ranked(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Put findings in order: what nothing else explains first, the worse grade first, then by severity.

    A consequence never comes before its cause, however far beyond its threshold it is.
    """
    there = list(findings)
    because = {f.name: sum(f.name in explained(o.name) for o in there if o is not f) for f in there}
    return tuple(sorted(
        there, key=lambda f: (f.grade == "note", because[f.name], GRADES.index(f.grade), not f.sure, -f.severity)
    ))


@dataclass(frozen=True)
class Diagnosis:
    """What was found, what is well, and what could not be judged.

    Args:
        findings: Findings, the root cause first.
        well: Names of checks that found nothing.
        not_judged: Why a check could not be made, by name.
        facts: The measured numbers behind it.
    """

    findings: tuple[Finding, ...]
    well: tuple[str, ...]
    not_judged: Mapping[str, str]
    facts: DiagnosisFacts

    @property
    def first(self) -> Finding | None:
        """The root cause, if anything is wrong."""
        return self.findings[0] if self.findings else None

    def of(self, name: str) -> Finding | None:
        """Return the finding of a check, if it found something."""
        return next((f for f in self.findings if f.name == name), None)

    def document(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "healthy": not [f for f in self.findings if f.grade != "note"],
            "findings": [f.document() for f in self.findings], "well": list(self.well),
            "not_judged": dict(self.not_judged), "facts": plain(self.facts.numbers()),
        }


def examine(facts: DiagnosisFacts, *, live: bool = False) -> Diagnosis:
    """Run all checks, or those that can run while training does."""
    findings, well, unjudged = [], [], {}
    for name, entry in CHECKS.items():
        if live and not entry.live:
            continue
        missing = entry.missing(facts)
        if missing:
            reasons = [facts.missing.get(n, f"{n.replace('_', ' ')} is not known") for n in missing]
            unjudged[name] = "; ".join(dict.fromkeys(reasons)) + "."
            continue
        found = entry.run(facts)
        well.append(name) if found is None else findings.append(found)
    return Diagnosis(ranked(findings), tuple(well), unjudged, facts)
