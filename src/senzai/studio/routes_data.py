"""Routes about data: upload, what it is, and with which types it would be read."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from ..data import KINDS, Dataset, describe, open_data
from ..data.sources import BUILT_IN
from ..evaluation.results import plain
from ..recipes import RECIPES, families
from ..recipes import about as about_recipe
from ..report.views import view_of
from ..runs.verbs.registry import every_verb
from .desk import Desk
from .shown import drawn, grid, originals

PREVIEW = 12


class ReadingWish(BaseModel):
    """How data are read, where that is not to be detected."""

    kind: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)


def looked_at(dataset: Dataset) -> dict[str, Any]:
    """Return what data are, with a few rows of them."""
    schema, some = dataset.schema, np.arange(min(PREVIEW, len(dataset)))
    fields = dataset.kind.options.model_json_schema(by_alias=True)["properties"]
    return {
        **plain(describe(dataset)), "lede": view_of(schema).lede(schema),
        "entries": [asdict(e) for e in dataset.kind.entries(schema)], "options": fields,
        "grid": grid(originals(dataset, some), schema), "rows": drawn(dataset.batch(some).x, schema),
    }


def data_routes(desk: Desk) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api")

    @router.get("/about")
    def about() -> dict[str, Any]:
        """Say what this studio knows: kinds, recipes, verbs."""
        from .. import __version__

        return {
            "version": __version__, "workspace": desk.workspace.root.name, "largest": desk.workspace.largest,
            "kinds": [{"name": k, "title": v.title, "suffixes": list(v.suffixes)} for k, v in KINDS.items()],
            "recipes": {f: [{"name": r.name, "title": r.title} for r in members] for f, members in families().items()},
            "verbs": [{"name": v.name, "group": v.group, "takes": v.takes, "answers": v.answers, "summary": v.summary}
                      for v in every_verb().values()],
        }

    @router.get("/recipes/{name}")
    def recipe(name: str) -> dict[str, Any]:
        """Say what a recipe is made of, and what can be set."""
        found = about_recipe(RECIPES[name].name)
        return {"name": name, "title": found.recipe.title, "paper": found.recipe.paper, "parts": dict(found.parts),
                "settings": plain(found.settings)}

    @router.put("/data/{name}")
    @router.put("/data/{name}/{inner:path}")
    async def upload(name: str, request: Request, inner: str = "") -> dict[str, Any]:
        """Take a file, or a file of a folder."""
        size = await desk.workspace.receive(name, inner, request.stream())
        return {"name": name, "bytes": size}

    @router.delete("/data/{name}")
    def forget(name: str) -> dict[str, Any]:
        """Remove what was uploaded."""
        desk.workspace.forget(name)
        return {"name": name}

    @router.post("/data/{name}/look")
    def look(name: str, reading: ReadingWish) -> dict[str, Any]:
        """Say what data are."""
        source = desk.workspace.data(name)
        dataset = open_data(source, kind=reading.kind, options=reading.options)
        return {"name": name, **looked_at(dataset)}

    @router.get("/data")
    def every() -> dict[str, Any]:
        """List what there is to train on."""
        return {"uploads": desk.workspace.data_names(), "built_in": list(BUILT_IN)}

    return router
