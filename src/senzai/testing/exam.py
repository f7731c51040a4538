"""Exams: what is asked of every entry, how it is asked, and what is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ..core.errors import SenzaiError
from ..core.registry import Registry
from .subject import Subject, entries, entry_of, subjects

Ask: TypeAlias = Callable[[Subject], Iterator[str]]
Verdict: TypeAlias = Literal["passed", "failed", "excused", "not asked"]


NEEDS = "it comes after what failed: "


class NotAsked(Exception):
    """An exam has nothing to ask of a subject; the text says why."""


@dataclass(frozen=True)
class ExamResult:
    """What one exam says about one construction of an entry.

    Args:
        entry: ``role/name``.
        exam: Name of the exam.
        verdict: ``passed``, ``failed``, ``excused`` (declared, with a reason) or ``not asked``.
        text: What is wrong, or why nothing was asked.
        where: The construction.
    """

    entry: str
    exam: str
    verdict: Verdict
    text: str
    where: str

    def __str__(self) -> str:
        return f"{self.entry}: {self.exam} {self.verdict}: {self.text} [{self.where}]"


@dataclass(frozen=True)
class Exam:
    """One question.

    Args:
        name: By which it is excused.
        asks: The question in one sentence.
        run: Yields what is wrong.
        roles: Roles it is asked of; all without any.
        without: Roles it is not asked of.
        after: Exams that must be passed first: what they find would be found here once more.
    """

    name: str
    asks: str
    run: Ask
    roles: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


EXAMS: Registry[Exam] = Registry("exam")
"""All exams by name."""


def exam(
    name: str, *, roles: Sequence[str] = (), without: Sequence[str] = (), after: Sequence[str] = ()
) -> Callable[[Ask], Ask]:
    """Register a generator of faults as an exam; the first line of its docstring is the question."""

    def keep(run: Ask) -> Ask:
        asks = (run.__doc__ or "").strip().splitlines()[0]
        EXAMS.add(name)(Exam(name, asks, run, tuple(roles), tuple(without), tuple(after)))
        return run

    return keep


def examine(what: Any, exams: Iterable[str] | None = None) -> list[ExamResult]:
    """Let an entry sit the exams and return what failed; an empty list is a pass.

    Args:
        what: ``role/name``, the class of a registered part, or the function of a recipe.
        exams: Names of some exams; all by default.

    Raises:
        UnknownNameError: There is no such entry or exam.

    Example:
        >>> examine("prior/learned_normal", ["shapes", "gradients", "rows"])
        []
    """
    return [f for f in transcript(what, exams) if f.verdict == "failed"]


def transcript(what: Any, exams: Iterable[str] | None = None) -> list[ExamResult]:
    """Return every verdict about an entry, also what was passed, excused, or not asked and why.

    Example:
        >>> [f.verdict for f in transcript("prior/mixture", ["shapes", "rates"])]
        ['passed', 'not asked']
    """
    entry = entry_of(what)
    asked = in_order([EXAMS[name] for name in (EXAMS if exams is None else exams)])
    try:
        constructions = subjects(entry)
    except Exception as err:
        said = str(err) if isinstance(err, SenzaiError) else f"{type(err).__name__}: {err}"
        return [ExamResult(entry, "construction", "failed", said, "the default rule")]
    return [found for subject in constructions for found in _sit(subject, asked)]


def in_order(exams: Sequence[Exam]) -> list[Exam]:
    """Return exams so that each comes after those it needs."""
    left, found = list(exams), list[Exam]()
    while left:
        waiting = {e.name for e in left}
        ready = [e for e in left if not waiting.intersection(e.after)]
        found += ready or left
        left = [e for e in left if e not in found]
    return found


def _sit(subject: Subject, exams: Sequence[Exam]) -> Iterator[ExamResult]:
    failed: set[str] = set()
    for asked in exams:
        verdict, text = _verdict(subject, asked, failed)
        if verdict == "failed" or text.startswith(NEEDS):
            failed.add(asked.name)
        yield ExamResult(subject.entry, asked.name, verdict, text, str(subject))


def _verdict(subject: Subject, asked: Exam, failed: set[str]) -> tuple[Verdict, str]:
    if (asked.roles and subject.role not in asked.roles) or subject.role in asked.without:
        return "not asked", f"it is not for a {subject.role}"
    first = sorted(failed.intersection(asked.after))
    if first:
        return "not asked", NEEDS + ", ".join(first)
    try:
        faults = list(asked.run(subject))
    except NotAsked as err:
        return "not asked", str(err)
    except Exception as err:  # whatever a part throws is a finding about it
        faults = [f"{type(err).__name__}: {err}"]
    reason = subject.example.excused.get(asked.name)
    if reason is None:
        return _judged(faults, subject, asked.name)
    return ("excused", reason) if faults else ("failed", f"It is excused ({reason}), but passes. Drop the excuse.")


def _judged(faults: list[str], subject: Subject, exam: str) -> tuple[Verdict, str]:
    around = subject.excuse(exam) if faults else None
    if around is not None:
        return "excused", around
    return ("failed", "; ".join(faults)) if faults else ("passed", "")


# --- for pytest, which is not imported ----------------------------------------------------------------------------
def exam_of(what: Any, exams: Iterable[str] | None = None) -> Callable[[], None]:
    """Return a test of one entry: a function without arguments, to be given a name that starts with ``test_``.

    It raises ``AssertionError`` with everything that was found. What is examined need not be registered yet.
    """
    asked = None if exams is None else list(exams)

    def test() -> None:
        found = examine(what, asked)
        if found:
            raise AssertionError("\n".join(map(str, found)))

    return test


def cases(role: str | None = None) -> dict[str, Any]:
    """Return arguments for ``@pytest.mark.parametrize(**cases("prior"))``: every entry of a role, or of all roles.

    The test takes ``entry``, and asks ``assert not examine(entry)``.

    Example:
        >>> cases("prior")["argnames"], "prior/mixture" in cases("prior")["argvalues"]
        ('entry', True)
    """
    found = entries(role)
    return {"argnames": "entry", "argvalues": found, "ids": found}
