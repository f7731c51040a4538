"""Routes about runs: train, watch, stop, go on, judge and compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from ..core.errors import SettingError
from ..data import Schema
from ..data.kind import Kind
from ..evaluation.results import plain
from ..report.views import view_of
from ..runs.verbs.registry import fitting, verb_named
from ..serving.problems import RequestError
from ..training import bundle
from ..training.listeners import read_history
from .desk import Desk
from .workspace import is_finished

LINES = 4000
"""Lines of a history that are sent at once."""
SANDBOX = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "media-src data:"
)
"""For a report: it may draw itself, but is nobody to this page and reaches nothing."""
IN_TURN = 60


class TrainingWish(BaseModel):
    """A wish to train."""

    data: str
    name: str
    recipe: str | None = None
    kind: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    settings: dict[str, Any] = Field(default_factory=dict)


class JobSettings(BaseModel):
    """Settings of what is asked."""

    settings: dict[str, Any] = Field(default_factory=dict)


class Pair(BaseModel):
    """Two runs."""

    a: str
    b: str


def summary(desk: Desk, name: str, jobs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what a list of runs says about one."""
    folder = desk.workspace.run(name)
    spec = bundle.read_spec(folder)
    schema = Schema.model_validate(spec.data_schema)
    job = next((j for j in jobs if name in (j["run"], j.get("makes")) and j["what"] in ("fit", "resume", "verb")), None)
    working = job is not None and job["state"] == "working"
    metrics = bundle.read_metrics(folder)
    state = "training" if working and job and job["what"] in ("fit", "resume") else (
        "finished" if is_finished(folder) else "unfinished")
    return {
        "name": name, "recipe": spec.recipe, "kind": schema.kind, "lede": view_of(schema).lede(schema), "state": state,
        "changed": (folder / "spec.json").stat().st_mtime, "fit": plain(metrics.get("fit", {})),
        "source": Path(spec.source).name, "job": job,
    }


def in_full(desk: Desk, name: str, jobs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what is known of one run, and what can be done with it where it is finished."""
    found, folder = summary(desk, name, jobs), desk.workspace.run(name)
    spec = bundle.read_spec(folder)
    found |= {"settings": plain(spec.settings), "training": spec.training.model_dump(mode="json"),
              "metrics": plain(bundle.read_metrics(folder)), "report": (folder / "report.html").is_file(),
              "jobs": [j for j in jobs if name in (j["run"], j.get("makes"))][:8]}
    if is_finished(folder):
        run = desk.open(name).run
        found |= {"verbs": fitting(run.schema, run.model), "infers": run.model.infers,
                  "cells": type(run.kind).fill is not Kind.fill,
                  "parameters": sum(p.numel() for p in run.model.parameters())}
    return found


def pending(desk: Desk, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return runs that are being made and have no folder yet."""
    known = set(desk.workspace.run_names())
    return [{"name": j["run"], "state": "starting", "job": j, "lede": "", "recipe": j.get("recipe") or "", "fit": {}}
            for j in jobs if j["what"] == "fit" and j["state"] == "working" and j["run"] not in known]


def run_routes(desk: Desk) -> APIRouter:
    """Return the routes of runs: list, train, watch, go on."""
    router = APIRouter(prefix="/api")

    @router.get("/runs")
    def every() -> dict[str, Any]:
        """List all runs."""
        jobs = desk.jobs.every()
        found = []
        for name in desk.library.refresh():
            try:
                found.append(summary(desk, name, jobs))
            except Exception as err:  # one damaged folder hides no other
                found.append({"name": name, "state": "damaged", "why": str(err), "lede": "", "recipe": "", "fit": {}})
        return {"runs": [*pending(desk, jobs), *found]}

    @router.post("/runs", status_code=201)
    def train(wish: TrainingWish) -> dict[str, Any]:
        """Begin to train."""
        source, name = desk.workspace.data(wish.data), desk.workspace.free(wish.name)
        job = desk.jobs.start("fit", name, source=source, recipe=wish.recipe, kind=wish.kind,
                              settings={**wish.options, **wish.settings})
        return {"run": name, "job": job}

    @router.get("/runs/{name}")
    def about(name: str) -> dict[str, Any]:
        """Say what a run is, and what can be done with it."""
        jobs = desk.jobs.every()
        waiting = next((p for p in pending(desk, jobs) if p["name"] == name), None)
        if waiting is not None:
            return waiting
        try:
            return in_full(desk, name, jobs)
        except RequestError:
            ended = next((j for j in jobs if j["run"] == name and j["what"] == "fit"), None)
            if ended is None:
                raise
            return {"name": name, "state": "failed", "job": ended, "lede": "", "recipe": "", "fit": {}}

    @router.get("/runs/{name}/history")
    def history(name: str, after: int = Query(0, ge=0)) -> dict[str, Any]:
        """Return the lines of a history from a line on; what was made undone makes it begin anew."""
        lines = read_history(desk.workspace.run(name) / bundle.HISTORY)
        start = after if after <= len(lines) else 0
        return {"start": start, "lines": lines[start : start + LINES], "total": len(lines)}

    @router.post("/runs/{name}/resume", status_code=201)
    def resume(name: str, asked: JobSettings) -> dict[str, Any]:
        """Go on with training, perhaps to more steps."""
        desk.workspace.run(name)
        return {"run": name, "job": desk.jobs.start("resume", name, settings=asked.settings)}

    return router


def judge_routes(desk: Desk) -> APIRouter:
    """Return the routes of what judges runs, and of all jobs."""
    router = APIRouter(prefix="/api")

    @router.post("/runs/{name}/judge/{verb}", status_code=201)
    def judge(name: str, verb: str, asked: JobSettings) -> dict[str, Any]:
        """Begin a verb that judges a run on its own rows."""
        run, found = desk.open(name).run, verb_named(verb)
        if found.takes != "own rows" or found.answers not in ("document", "file"):
            raise SettingError(
                f"What judges a run on its own rows is started here, but {verb!r} does not. Choose another."
            )
        found.need(run.schema, run.model)
        makes = {}
        if "out" in {p.name for p in found.parameters}:
            makes = {"makes": desk.workspace.free(f"{name}-{verb}")}
        return {"run": name, "job": desk.jobs.start("verb", name, verb=verb, settings=asked.settings, **makes), **makes}

    @router.post("/compare", status_code=201)
    def compare(pair: Pair) -> dict[str, Any]:
        """Begin to compare two runs on the same rows."""
        desk.open(pair.a), desk.open(pair.b)
        if pair.a == pair.b:
            raise SettingError(f"Two runs are compared, but both are {pair.a!r}. Choose another one.")
        return {"job": desk.jobs.start("compare", pair.a, other=pair.b)}

    @router.get("/runs/{name}/report", response_model=None)
    def report(name: str) -> FileResponse:
        """Return the report of a run, shut off from this page."""
        path = desk.workspace.inside(desk.workspace.run(name) / "report.html")
        if not path.is_file():
            raise RequestError(f"The run {name!r} has no report yet. Make one first.", 404)
        return FileResponse(path, media_type="text/html; charset=utf-8", headers={"content-security-policy": SANDBOX})

    @router.get("/jobs")
    def jobs() -> dict[str, Any]:
        """List all jobs."""
        return {"jobs": desk.jobs.every()[:IN_TURN]}

    @router.get("/jobs/{name}")
    def job(name: str) -> dict[str, Any]:
        """Say how far a job is."""
        return desk.jobs.about(name)

    @router.post("/jobs/{name}/stop")
    def stop(name: str) -> dict[str, Any]:
        """Ask a job to stop; what it did is kept."""
        desk.jobs.stop(name)
        return desk.jobs.about(name)

    return router
