"""How sites come to one schema and one untrained model: outlines of columns, sums of counts, stand-in rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..core.random import derive
from ..data import KINDS, Dataset, Proposal
from ..data.options import parse
from ..data.rows import BatchRows
from ..models.generative import Generative
from ..objectives.base import Objective
from ..recipes import RECIPES
from ..runs.fit import make
from ..runs.training.private_runs import FIXED, LR, smaller
from ..runs.training.requests import Request
from ..training import bundle
from ..training.settings import TrainSettings
from .exchange import Exchange
from .private import asked_of_sites, refuse_unlearnable, schema_of, widths
from .secure import secure_mean
from .settings import Federation
from .wire import OUTLINE, TALLY

STAND_INS = 20_000
"""Rows drawn from the sums, at most, that a model looks at before it is trained."""


@dataclass(frozen=True)
class Agreed:
    """What sites agreed on.

    Args:
        spec: What is trained, and how.
        model: The model before the first round.
        rows: Rows of each site, by name.
        options: How the data are read.
    """

    spec: bundle.Spec
    model: Generative
    rows: dict[str, int]
    options: dict[str, Any]


def agree(
    exchange: Exchange, nodes: list[int], request: Request, settings: Federation, *, recipe: str | None,
    given: Mapping[str, Any],
) -> Agreed:
    """Ask the sites for outlines and counts, and return schema and model.

    Args:
        exchange: The way to the sites.
        nodes: All sites.
        request: What the user set, sorted.
        settings: How sites train together.
        recipe: Name of the recipe; by default the one that the kind proposes.
        given: What the user set, as given.

    Raises:
        SenzaiError: Sites disagree, or one of them cannot take part.
    """
    kind, asked = KINDS[request.kind], asked_of_sites(settings)
    options = dict(request.data)
    if settings.site_column is not None:
        options["condition"] = (*(options.get("condition") or ()), settings.site_column)
    set_ = parse(kind.name, kind.options, options)
    body: dict[str, Any] = {
        "kind": kind.name, "options": options, "site_column": settings.site_column,
        "private": None if asked is None else asked.model_dump(mode="json"),
    }
    answers = exchange.ask(OUTLINE, body, nodes)
    names = {n: str(a["site"]) for n, a in answers.items()}
    if len(set(names.values())) < len(names):
        twice = sorted(n for n in set(names.values()) if list(names.values()).count(n) > 1)
        raise InputError(f"Sites need names of their own, but {twice[0]!r} comes twice. Give others: --name NAME.")
    outlines = {names[n]: a["outline"] for n, a in sorted(answers.items(), key=lambda item: names[item[0]])}
    rows = {name: int(o["rows"]) for name, o in outlines.items()}
    n, seed = min(sum(rows.values()), STAND_INS), derive(request.training.seed, "stand-ins")
    if settings.private is None:
        plan = kind.plan(outlines, set_)
        sums = _sums(exchange, nodes, {**body, "plan": plan}, settings, rows)
        for _ in range(settings.passes - 1):
            plan = kind.refined(plan, sums)
            sums = _sums(exchange, nodes, {**body, "plan": plan}, settings, rows)
        schema, stand_ins = kind.agreed(outlines, plan, sums, set_, rows=n, seed=seed)
    else:
        asked = asked_of_sites(settings, rows)
        assert asked is not None
        sums = None
        if settings.private.schema_share:
            told = {**body, "private": asked.model_dump(mode="json")}
            widths(kind, set_, n)  # refuses a schema with which sites would have to send values
            sums = _sums(exchange, nodes, told, settings, rows)
        schema = schema_of(kind, set_, sum(rows.values()), sums)
        schema = schema.but(reading=set_.about_reading(options), form=str(next(iter(outlines.values()))["form"]))
        stand_ins = BatchRows([kind.made_up(schema, n, seed)])
    recipe = recipe or kind.propose(schema).recipe
    wanted = _training(kind.propose(schema), request, settings, recipe)
    model, objective = make(
        recipe, Dataset(schema.but(n_rows=n), stand_ins, kind), smaller(request.model) if asked else request.model,
        wanted.seed, private=asked is not None,
    )
    if asked is not None:
        refuse_unlearnable(asked, schema, rows, wanted.batch_size, model, objective)
        wanted = wanted.model_copy(update={"private": asked.private})
    spec = spec_of(recipe, given, wanted, schema, rows, model, objective)
    return Agreed(spec, model, rows, options)


def _training(proposal: Proposal, request: Request, settings: Federation, recipe: str) -> TrainSettings:
    """Return how all sites train: private ones choose their own batches, and nothing follows from held-out rows."""
    private = {} if settings.private is None else {"batch_size": None, "lr": LR, "schedule": "cosine"}
    wanted = request.training.proposed({**proposal.training, **RECIPES[recipe].training, **private})
    course = "one_cycle" if wanted.schedule in ("follow", "plateau") else wanted.schedule
    return wanted.model_copy(update={
        "epochs": None, "steps": settings.rounds * settings.local_steps, "schedule": course, "patience": None,
        "sampler": "none", **({} if settings.private is None else FIXED),
    })


def spec_of(
    recipe: str, given: Mapping[str, Any], training: Any, schema: Any, rows: Mapping[str, int], model: Generative,
    objective: Objective,
) -> bundle.Spec:
    """Return the spec of a run of many sites."""
    return bundle.new_spec(
        recipe=recipe, settings=dict(given), training=training, data_schema=schema.model_dump(mode="json"),
        source=f"{len(rows)} sites in memory", model=model, objective=objective,
    )


def _sums(
    exchange: Exchange, nodes: list[int], body: Mapping[str, Any], settings: Federation, rows: Mapping[str, int]
) -> Any:
    if not settings.secure:
        answers = exchange.ask(TALLY, body, nodes)
        return sum(np.array(answers[n]["tally"]) for n in sorted(answers))
    largest = float(max(rows.values()))
    found = secure_mean(
        exchange.grid, nodes, {**body, "what": TALLY}, number=0, reach=1.0, largest=largest, timeout=settings.timeout,
    )
    return np.maximum(np.rint(found.mean * largest * len(found.rows)), 0)
