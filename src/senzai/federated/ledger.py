"""The ledger of a site whose rows are private: what it spent, on disk before anything that cost it leaves the site."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from ..core.errors import BundleError, InputError, SettingError, TrainingError
from ..core.files import write_json
from ..core.random import derive
from ..core.secret import Secret
from ..data.budgeted import Budget
from ..runs.training.private_runs import counting, rows_of_a_step
from ..training.checkpoint import load_tensors, save_tensors
from ..training.privacy import FrozenSettings, PrivateSettings, SiteSpent, epsilon_of, noise_for
from .wire import Tensors

LEDGER, LAST = "ledger.json", "last.safetensors"


class Asked(FrozenSettings):
    """What a server asks of every site about the privacy of rows.

    Args:
        private: Budget and clip; delta is decided once the rows of all sites are known.
        steps: Steps of each site over all rounds: what the noise is planned for.
    """

    private: PrivateSettings
    steps: Annotated[int, Field(ge=1)]

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Asked:
        """Return what a message says.

        Raises:
            InputError: It cannot be.
        """
        try:
            return cls.model_validate(told)
        except ValidationError as err:
            raise InputError(f"A server asks for privacy by epsilon and steps, but sent others ({err}).") from err


class Plan(FrozenSettings):
    """How a site trains so that all its steps together keep the budget.

    Args:
        n_rows: Its training rows.
        batch_size: Expected rows of a step.
        noise: Standard deviation of the noise over the clip.
    """

    n_rows: int
    batch_size: int
    noise: float

    @property
    def rate(self) -> float:
        """Probability with which a row is in a step."""
        return self.batch_size / self.n_rows

    @classmethod
    def of(cls, asked: Asked, n_rows: int, batch_size: int | None) -> Plan:
        """Return the plan of a site with so many training rows: the noise that one table of them would get."""
        size = step_rows(n_rows, batch_size)
        epsilon, delta = left(asked, n_rows)
        noise = noise_for(epsilon, delta, size / n_rows, asked.steps, accountant=asked.private.accountant)
        return cls(n_rows=n_rows, batch_size=size, noise=noise)


def step_rows(n_rows: int, batch_size: int | None) -> int:
    """Return the expected rows of a step of a site with so many training rows."""
    return min(batch_size or rows_of_a_step(n_rows), n_rows)


def left(asked: Asked, n_rows: int) -> tuple[float, float]:
    """Return epsilon and delta of the steps: what noisy counts leave of the budget."""
    share, delta = asked.private.schema_share, asked.private.delta_for(n_rows)
    return (1 - share) * asked.private.epsilon, (1 - share) * delta


def spent(asked: Asked, plan: Plan, steps: int, *, counted: bool) -> SiteSpent:
    """Return what so many steps of a plan cost, noisy counts included where they were taken."""
    delta = asked.private.delta_for(plan.n_rows)
    cost = asked.private.schema_share * asked.private.epsilon if counted else 0.0
    if steps:
        cost += epsilon_of(
            plan.noise, plan.rate, steps, left(asked, plan.n_rows)[1], accountant=asked.private.accountant
        )
    return SiteSpent(
        epsilon=cost, delta=delta, n_rows=plan.n_rows, sample_rate=plan.rate, batch_size=plan.batch_size, steps=steps,
        noise=plan.noise,
    )


class _Page(FrozenSettings):
    """What is on disk."""

    asked: Asked
    counts_of: str = ""
    counts: tuple[float, ...] | None = None
    plan: Plan | None = None
    steps: int = 0
    answered: str = ""


class SiteLedger:
    """What a site spent on the privacy of its rows, kept in a folder.

    Steps are counted before their outcome is sent, also those of a round that failed. Each training of a round draws
    its coins and its noise from a new key, which is never kept: nothing can be subtracted. A question that comes again,
    of a server that was started anew, gets the answer that it got, which costs nothing.

    Args:
        folder: Where it is kept.
        site: Name of the site.
        asked: What the server asks.

    Raises:
        SettingError: The ledger in the folder is of another federation.
        BundleError: It is damaged.
    """

    def __init__(self, folder: Path, site: str, asked: Asked) -> None:
        self.folder, self.site = folder, site
        self.page = _read(folder / LEDGER, asked)

    @property
    def asked(self) -> Asked:
        """What the server asks."""
        return self.page.asked

    @property
    def spent(self) -> SiteSpent | None:
        """What the site has spent; ``None`` before it has a plan."""
        page = self.page
        counted = page.counts is not None
        return None if page.plan is None else spent(page.asked, page.plan, page.steps, counted=counted)

    def counts(self, of: object, n_rows: int, take: Callable[[Budget], None]) -> list[float]:
        """Return noisy counts of the columns, taken once.

        Args:
            of: What is counted, as plain values.
            n_rows: Rows of the site.
            take: Counts within a budget.

        Raises:
            SettingError: Others were taken before.
        """
        name = digest(of)
        if self.page.counts is None:
            budget, _ = counting(self.asked.private, n_rows, self._key("counts"))
            take(budget)
            flat = [float(v) for name in sorted(budget.counts) for v in budget.counts[name]]
            self._write(counts=tuple(flat), counts_of=name)
        elif self.page.counts_of != name:
            raise SettingError(
                "A site counts its columns once, but the server asks for counts by another schema. Start the server "
                "with the schema of before; another --state spends another budget on the same rows."
            )
        return list(self.page.counts or ())

    def planned(self, n_rows: int, batch_size: int | None) -> Plan:
        """Return how the site trains; decided once.

        Raises:
            InputError: The rows are others now.
        """
        plan = self.page.plan
        if plan is None:
            self._write(plan=Plan.of(self.asked, n_rows, batch_size))
        elif plan.n_rows != n_rows:
            raise InputError(
                f"A ledger is of the rows that it began with, {plan.n_rows} to train on, but there are {n_rows} now. "
                "Give the same data, or another --state, which spends another budget on them."
            )
        assert self.page.plan is not None
        return self.page.plan

    def round(self, question: object, steps: int, train: Callable[[Secret], Tensors]) -> Tensors:
        """Return the answer to a question, counted before it is sent.

        Args:
            question: What was asked, as plain values; the same question has one answer.
            steps: Steps that an answer takes.
            train: Gives it, with a key for coins and noise.

        Raises:
            TrainingError: The budget has no such steps left.
        """
        name = digest(question)
        if self.page.answered == name:
            return load_tensors(self.folder / LAST)[0]
        if self.page.steps + steps > self.asked.steps:
            raise TrainingError(
                f"A site takes the {self.asked.steps} steps that its noise was planned for, and {self.page.steps} are "
                "taken: the privacy of its rows has no more to spend. Go on without it."
            )
        try:
            answer = train(self._key("steps", self.page.steps))
            self.folder.mkdir(parents=True, exist_ok=True)
            save_tensors(self.folder / LAST, answer, {"format": "senzai-answer-1", "site": self.site})
        except BaseException:
            self._write(steps=self.page.steps + steps)  # parameters that stay may have moved
            raise
        self._write(steps=self.page.steps + steps, answered=name)
        return answer

    def _key(self, *path: int | str) -> Secret:
        seed = self.asked.private.noise_seed
        return Secret.fresh() if seed is None else Secret.seeded(derive(seed, "site", self.site, *path))

    def _write(self, **changes: Any) -> None:
        self.page = self.page.model_copy(update=changes)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / LEDGER, self.page.model_dump(mode="json"))


def _read(path: Path, asked: Asked) -> _Page:
    if not path.is_file():
        return _Page(asked=asked)
    try:
        page = _Page.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as err:
        raise BundleError(f"{str(path)!r} must be the ledger of a site, but it is damaged ({err}).") from err
    if page.asked != asked:
        raise SettingError(
            f"A ledger is of one federation, but that in {str(path.parent)!r} is of one with epsilon="
            f"{page.asked.private.epsilon:g} over {page.asked.steps} steps, of which {page.steps} are spent. Take its "
            "settings, or another --state: what it spends adds up with what this one has spent."
        )
    return page


def digest(value: object) -> str:
    """Return a hash of plain values.

    Example:
        >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}), digest({"a": 2}) == digest({"a": 1})
        (True, False)
    """
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
