"""How sites come to one schema and one untrained model: outlines of columns, sums of counts, stand-in rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..core.errors import InputError
from ..core.random import derive
from ..data import KINDS, Dataset
from ..data.options import parse
from ..models.generative import Generative
from ..objectives.base import Objective
from ..recipes import RECIPES
from ..runs.fit import make
from ..runs.training.requests import Request
from ..training import bundle
from .exchange import Exchange
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
    kind = KINDS[request.kind]
    options = dict(request.data)
    if settings.site_column is not None:
        options["condition"] = (*(options.get("condition") or ()), settings.site_column)
    set_ = parse(kind.name, kind.options, options)
    body: dict[str, Any] = {"kind": kind.name, "options": options, "site_column": settings.site_column}
    answers = exchange.ask(OUTLINE, body, nodes)
    names = {n: str(a["site"]) for n, a in answers.items()}
    if len(set(names.values())) < len(names):
        twice = sorted(n for n in set(names.values()) if list(names.values()).count(n) > 1)
        raise InputError(f"Sites need names of their own, but {twice[0]!r} comes twice. Give others: --name NAME.")
    outlines = {names[n]: a["outline"] for n, a in sorted(answers.items(), key=lambda item: names[item[0]])}
    rows = {name: int(o["rows"]) for name, o in outlines.items()}
    plan = kind.plan(outlines, set_)
    sums = _sums(exchange, nodes, {**body, "plan": plan}, settings, rows)
    for _ in range(settings.passes - 1):
        plan = kind.refined(plan, sums)
        sums = _sums(exchange, nodes, {**body, "plan": plan}, settings, rows)
    n = min(sum(rows.values()), STAND_INS)
    seed = request.training.seed
    schema, stand_ins = kind.agreed(outlines, plan, sums, set_, rows=n, seed=derive(seed, "stand-ins"))
    dataset = Dataset(schema.but(n_rows=n), stand_ins, kind)
    proposal = kind.propose(schema)
    recipe = recipe or proposal.recipe
    steps = settings.rounds * settings.local_steps
    wanted = request.training.proposed({**proposal.training, **RECIPES[recipe].training})
    course = "one_cycle" if wanted.schedule in ("follow", "plateau") else wanted.schedule
    wanted = wanted.model_copy(update={
        "epochs": None, "steps": steps, "schedule": course, "patience": None, "sampler": "none",
    })
    model, objective = make(recipe, replace(dataset), request.model, wanted.seed)
    spec = spec_of(recipe, given, wanted, schema, rows, model, objective)
    return Agreed(spec, model, rows, options)


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
