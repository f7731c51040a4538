"""Rows that are private at every site, as the server sees it: the budget, the schema from noisy counts, the promise."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import InputError, SettingError
from ..core.secret import WORDS, Floats, Secret
from ..data import KINDS, Schema
from ..data.budgeted import Budget
from ..data.options import Options, parse
from ..data.split import split_indices
from ..models.generative import Generative
from ..objectives.base import Objective
from ..runs.training.private_runs import OFF, refuse_looking
from ..runs.training.requests import Request
from ..training.privacy import Entry, Privacy, PrivateSettings, SiteSpent, refuse_hopeless
from ..training.private import refuse_mixing
from .ledger import Asked, Plan, spent, step_rows
from .settings import Federation

if TYPE_CHECKING:
    from .state import State

COUNTED = "how frequent levels are, and where numbers lie, at each site"


# --- before the first round -----------------------------------------------------------------------------------------
def refuse_unprivate(settings: Federation, request: Request) -> None:
    """Refuse what would look at rows of sites outside their budgets, and budgets that would mean nothing.

    Raises:
        SettingError: There is something of the kind.
    """
    if request.training.private is not None:
        raise SettingError(
            "Rows of sites are private by a setting of the federation, but it was given as one of training. Give "
            "--private epsilon=3 (federation={'private': {'epsilon': 3}})."
        )
    if settings.private is not None:
        refuse_looking(request)
        kind = KINDS[request.kind]
        request.data["public"] = kind.public_schema(parse(kind.name, kind.options, request.data))
    elif request.data.get("public") is not None:
        raise SettingError("A public schema is for private training. Add --private epsilon=3.")


def asked_of_sites(settings: Federation, rows: Mapping[str, int] | None = None) -> Asked | None:
    """Return what every site is asked about privacy; with the rows of all sites known, delta is decided."""
    if settings.private is None:
        return None
    private = settings.private
    if rows is not None:
        private = private.model_copy(update={"delta": private.delta_for(sum(rows.values()))})
    return Asked(private=private, steps=settings.rounds * settings.local_steps)


def widths(kind: Any, options: Options, n: int) -> dict[str, int]:
    """Return of how many counts each column has, in the order in which they cross.

    Raises:
        SettingError: A column cannot be counted without values that a site would have to send.
    """
    kind.infer_private(kind.blank(options, n), options, Budget.none())
    budget = Budget(0.0, 0.0, Secret.seeded(0))
    kind.infer_private(kind.blank(options, n), options, budget)
    return {name: len(budget.counts[name]) for name in sorted(budget.counts)}


def schema_of(kind: Any, options: Options, n: int, sums: Floats | None) -> Schema:
    """Return the schema of all sites: what is public, and the sums of noisy counts where there are any.

    Raises:
        InputError: They are not as many as there should be.
    """
    budget = Budget.none()
    if sums is not None:
        found = widths(kind, options, n)
        if len(sums) != sum(found.values()):
            raise InputError(f"Sites must send {sum(found.values())} counts, but sent {len(sums)}.")
        parts = np.split(sums, np.cumsum(list(found.values()))[:-1])
        budget = Budget(0.0, 0.0, Secret.seeded(0), summed=dict(zip(found, parts, strict=True)))
    schema: Schema = kind.infer_private(kind.blank(options, n), options, budget)
    return schema


def refuse_unlearnable(
    asked: Asked, schema: Schema, rows: Mapping[str, int], batch_size: int | None, model: Generative,
    objective: Objective,
) -> None:
    r"""Refuse what cannot be private, and budgets under which the mean of all sites would be noise at best.

    The mean of updates with weights :math:`w_i` has noise of :math:`\sqrt{\sum_i w_i^2 \sigma_i^2 / L_i^2}` times the
    clip, which one site of :math:`L = \sum_i L_i` expected rows would have with :math:`\sigma = L` times that. No site
    has less noise than the largest, whose :math:`\sigma` is taken for all: it takes an accountant seconds to find one.

    Raises:
        CombinationError: Rows cannot be kept apart in this objective.
        SettingError: Nothing can be learned with this budget.
    """
    refuse_mixing(model, objective)
    ns = [train_rows(schema, n) for n in rows.values()]
    sizes, noise = [step_rows(n, batch_size) for n in ns], Plan.of(asked, max(ns), batch_size).noise
    total, whole = sum(sizes), sum(ns)
    level = sqrt(sum((n / whole / size) ** 2 for n, size in zip(ns, sizes, strict=True)))
    refuse_hopeless(
        noise * level * total, batch_size=total, steps=asked.steps, epsilon=asked.private.epsilon,
        n_parameters=sum(p.numel() for p in model.own_parameters()),
    )


def train_rows(schema: Schema, n: int) -> int:
    """Return on how many of ``n`` rows a site trains."""
    return len(split_indices(n, schema.split)["train"])


# --- after each round -----------------------------------------------------------------------------------------------
def spent_by_sites(state: State) -> dict[str, SiteSpent]:
    """Return what each site has spent: as it says itself, and where it was asked and silent since, its whole budget."""
    asked = asked_of_sites(state.settings, state.rows)
    assert asked is not None  # the caller knows
    start = SiteSpent(epsilon=asked.private.schema_share * asked.private.epsilon, delta=asked.private.delta or 0.0)
    found = dict.fromkeys(state.rows, start)
    for line in state.history:
        told = {h["name"]: h["spent"] for h in line["sites"]}
        strange = any(v is None and name not in found for name, v in told.items())
        for name in found:
            if told.get(name) is not None:
                found[name] = SiteSpent.model_validate(told[name])
            elif name in told or strange:  # a site that nobody knows by name is one of those that did not say theirs
                found[name] = _most(state, asked, name)
    return found


def _most(state: State, asked: Asked, name: str) -> SiteSpent:
    """Return the most that a site may have spent: it takes no step beyond those that its noise is planned for."""
    n = train_rows(Schema.model_validate(state.spec.data_schema), state.rows[name])
    plan = Plan.of(asked, n, state.spec.training.batch_size)
    most = spent(asked, plan, asked.steps, counted=asked.private.schema_share > 0)
    return most.model_copy(update={"heard": False})


def epsilon_of_rows(state: State) -> float | None:
    """Return epsilon of single rows so far: the largest of the sites'; ``None`` where they are not private."""
    return None if state.settings.private is None else max(s.epsilon for s in spent_by_sites(state).values())


def promise(state: State) -> Privacy | None:
    """Return what the run of all sites guarantees to single rows; ``None`` where it guarantees nothing.

    Sites hold different rows, so that a row is in the mechanism of one site: what all sites together tell is as private
    as that of the site with the largest epsilon (parallel composition, McSherry, 2009).
    """
    if state.settings.private is None:
        return None
    sites, asked = spent_by_sites(state), asked_of_sites(state.settings, state.rows)
    assert asked is not None
    worst = max(sites.values(), key=lambda s: s.epsilon)
    names = ("epsilon", "delta", "n_rows", "sample_rate", "batch_size", "steps", "noise")
    return Privacy(
        **{name: getattr(worst, name) for name in names}, sites=sites, clip=asked.private.clip,
        accountant=f"Opacus, {asked.private.accountant}", generator=_words(asked.private),
        ledger=(*_of_schema(asked, worst), *(_of_site(name, s, asked) for name, s in sites.items()), *OFF),
    )


def _words(private: PrivateSettings) -> str:
    if private.noise_seed is None:
        return f"{WORDS} at each site, a new one for each round, which is never kept"
    return "SHAKE-256 of a seed in spec.json: who has the run can take the noise off, so nobody is protected"


def _of_schema(asked: Asked, worst: SiteSpent) -> tuple[Entry, ...]:
    known = Entry(what="names, types, levels and ranges of columns", how="public", why="The public schema says.")
    share = asked.private.schema_share
    if not share:
        return (known,)
    why = "Each site's noisy counts, one Gaussian mechanism at each."
    cost = {"epsilon": share * asked.private.epsilon, "delta": share * worst.delta}
    return known, Entry(what=COUNTED, how="noise", why=why, **cost)


def _of_site(name: str, found: SiteSpent, asked: Asked) -> Entry:
    share = asked.private.schema_share
    said = "" if found.heard else " It was silent when last asked: this is the most that it may have spent."
    why = (
        f"{found.steps} sums of clipped gradients of its rows, each row in a step at a probability of "
        f"{found.sample_rate:.3g}, noise {found.noise:.3g} times the clip, added at the site.{said}"
    )
    return Entry(
        what=f"parameters from {name}", how="noise", why=why, delta=(1 - share) * found.delta,
        epsilon=max(0.0, found.epsilon - share * asked.private.epsilon),
    )
