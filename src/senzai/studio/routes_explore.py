"""Routes that look into a run: the map, single points, ways, new rows, holes and strange rows."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from ..core.errors import InputError, SettingError
from ..data import Dataset
from ..evaluation.results import plain
from ..models import verbs
from .anomalies import StrangeRows, make_scores
from .desk import Desk, waited
from .latents import POINTS, decoded
from .maps import LatentMap, make_map
from .shown import drawn, drawn_answer, grid, originals
from .writing import exported

BINARY = "application/octet-stream"
AT_ONCE = 64
LARGEST_SAMPLE = 10_000
Many = Annotated[list[int], Query(min_length=1, max_length=AT_ONCE)]


def in_json(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document as JSON has it."""
    found: dict[str, Any] = plain(document)
    return found


class LatentPoints(BaseModel):
    """Points to decode, and the row whose condition they have."""

    points: list[list[float]] = Field(max_length=POINTS)
    like: int = 0


class Ends(BaseModel):
    """Two rows, and the number of steps from one to the other."""

    a: int
    b: int
    steps: int = Field(9, ge=2, le=25)


class NewRows(BaseModel):
    """New rows that are wanted."""

    n: int = Field(24, ge=1, le=LARGEST_SAMPLE)
    seed: int | None = Field(None, ge=0)
    temperature: float = Field(1.0, gt=0, le=10)
    given: dict[str, Any] = Field(default_factory=dict)
    sampler: str = "auto"
    export: bool = False


class Chosen(BaseModel):
    """Rows by their numbers."""

    rows: list[int] = Field(min_length=1, max_length=200_000)


class EditedRows(BaseModel):
    """Rows with holes: values in the order of names; ``None`` is a hole."""

    names: list[str]
    rows: list[list[Any]] = Field(min_length=1, max_length=500)
    records: bool = True
    seed: int = Field(0, ge=0)


def need_rows(dataset: Dataset, rows: Any) -> np.ndarray[Any, Any]:
    """Return row numbers that are there.

    Raises:
        InputError: One is not.
    """
    at = np.asarray(rows, dtype=np.int64)
    if len(at) and not (at.min() >= 0 and at.max() < len(dataset)):
        raise InputError(f"Rows are numbered 0 to {len(dataset) - 1}, but got {int(at.max())}. Choose another.")
    return at


class Views:
    """The map and the scores of runs, made once and kept while the model stays what it is."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def key(self, what: str, name: str, data: str = "") -> tuple[Any, ...]:
        """Return under which key the work of a run is found."""
        return what, name, self.desk.open(name).mark, data

    def dataset(self, name: str, data: str = "") -> Dataset:
        """Return the run's own data, or others of the workspace as the run reads them."""
        opened = self.desk.open(name)
        return opened.run.dataset(self.desk.workspace.data(data)) if data else opened.own

    def map(self, name: str) -> Any:
        """Return the map of a run, or how far it is."""
        run = self.desk.open(name).run
        return waited(self.desk.shop.get(
            self.key("map", name), lambda work: make_map(run, self.dataset(name), work)
        ))

    def ready(self, name: str) -> LatentMap:
        """Return the map of a run that is there, waiting for it."""
        run = self.desk.open(name).run
        work = self.desk.shop.get(self.key("map", name), lambda w: make_map(run, self.dataset(name), w))
        found = work.wait()
        assert isinstance(found, LatentMap)
        return found

    def scores(self, name: str, data: str) -> Any:
        """Return the scores of rows, or how far they are."""
        run = self.desk.open(name).run
        return waited(self.desk.shop.get(
            self.key("scores", name, data), lambda work: make_scores(run, self.dataset(name, data), work)
        ))


def about_map(found: LatentMap) -> dict[str, Any]:
    """Return what the page needs to know about a map."""
    low, high = (np.percentile(found.codes, q, axis=0) for q in (1, 99))
    return in_json({
        "n": len(found.index), "total": len(found.dataset), "names": found.form.names, "order": found.order,
        "use": found.use, "rated": found.rated, "low": low, "high": high, "mean": found.mean,
        "whole": len(found.index) == len(found.dataset),
        "colourings": [{"name": c.name, "first": c.first} for c in found.colourings],
        "attributes": [{"name": a.name, "level": a.level, "direction": a.direction, "share": round(a.share, 3)}
                       for a in found.attributes],
    })


def map_routes(desk: Desk) -> APIRouter:
    """Return the routes of the map."""
    router, views = APIRouter(prefix="/api/runs/{name}"), Views(desk)

    @router.get("/map")
    def about(name: str) -> Any:
        """Return what the map is, or how far it is (202)."""
        found = views.map(name)
        return about_map(found) if isinstance(found, LatentMap) else found

    @router.delete("/map")
    def cancel(name: str) -> dict[str, Any]:
        """Stop making the map."""
        return {"stopped": desk.shop.cancel(views.key("map", name))}

    @router.get("/map/plane")
    def plane(name: str, x: int | None = None, y: int | None = None) -> dict[str, Any]:
        """Return origin and axes of a plane, by default the widest."""
        _, origin, axes = views.ready(name).plane(None if x is None or y is None else (x, y))
        return in_json({"origin": origin, "axes": axes})

    @router.get("/map/points")
    def points(name: str, x: int | None = None, y: int | None = None) -> Response:
        """Return places of all rows of the map: 32-bit floats, little-endian, x and y in turns."""
        xy, *_ = views.ready(name).plane(None if x is None or y is None else (x, y))
        return Response(xy.astype("<f4").tobytes(), media_type=BINARY)

    @router.get("/map/rows")
    def rows(name: str) -> Response:
        """Return the number of each row of the map: 32-bit whole numbers."""
        return Response(views.ready(name).index.astype("<i4").tobytes(), media_type=BINARY)

    @router.get("/map/colours/{i}")
    def colours(name: str, i: int) -> dict[str, Any]:
        """Return one colouring: a byte a row, and what each byte means."""
        every = views.ready(name).colourings
        if not 0 <= i < len(every):
            raise SettingError(f"Colourings are numbered 0 to {len(every) - 1}, but got {i}. Choose another.")
        return in_json(every[i].packed)

    return router


def point_routes(desk: Desk) -> APIRouter:
    """Return the routes of rows and of points between them."""
    router, views = APIRouter(prefix="/api/runs/{name}"), Views(desk)

    @router.get("/rows")
    def rows(name: str, at: Many) -> dict[str, Any]:
        """Return rows of the run's own data as they are drawn."""
        dataset = views.dataset(name)
        some = need_rows(dataset, at)
        return {"rows": at, "drawn": drawn(dataset.batch(some).x, dataset.schema, dataset.rows.about(some)),
                "labels": _labels(dataset, some), "total": len(dataset)}

    @router.get("/codes")
    def codes(name: str, at: Many) -> dict[str, Any]:
        """Return the latent codes of rows."""
        dataset = views.dataset(name)
        run = desk.open(name).run
        found = run.encode(dataset.take(need_rows(dataset, at)))
        return {"codes": plain(np.asarray(found, dtype=float).reshape(len(at), -1))}

    @router.post("/decode")
    def decode(name: str, wanted: LatentPoints) -> dict[str, Any]:
        """Return what points of the latent space decode to."""
        found = views.ready(name)
        like = found.dataset.batch(need_rows(found.dataset, [wanted.like]))
        return {"drawn": decoded(found.run, found.form, wanted.points, like)}

    @router.post("/interpolate")
    def interpolate(name: str, ends: Ends) -> dict[str, Any]:
        """Return the rows on the way from one row to another."""
        run, dataset = desk.open(name).run, views.dataset(name)
        need_rows(dataset, [ends.a, ends.b])
        made = run.do("interpolate", dataset.take([ends.a]), dataset.take([ends.b]), steps=ends.steps)
        return {"drawn": drawn_answer(run, made), "grid": grid(made, run.schema),
                "changes": plain(getattr(made, "attrs", {}).get("changes"))}

    @router.post("/export")
    def export(name: str, chosen: Chosen) -> dict[str, Any]:
        """Write rows as their kind does; say under which name they can be fetched."""
        dataset = views.dataset(name)
        rows = originals(dataset, need_rows(dataset, chosen.rows))
        return {"file": exported(desk.workspace, rows, dataset.schema, f"{name}-rows"), "n": len(chosen.rows)}

    return router


def _labels(dataset: Dataset, at: Any) -> list[Any] | None:
    """Return the class of each row, where rows have one."""
    y, label = dataset.rows.targets.y, dataset.schema.label
    return None if y is None or label is None else plain([label.classes[int(i)] if i >= 0 else None for i in y[at]])


def made_routes(desk: Desk) -> APIRouter:
    """Return the routes of what a model makes: new rows, and what stands in holes."""
    router, views = APIRouter(prefix="/api/runs/{name}"), Views(desk)

    @router.get("/given")
    def given(name: str) -> dict[str, Any]:
        """Say what new rows can be given, and which values were seen together."""
        run = desk.open(name).run
        condition, features = run.schema.condition, run.kind.features(run.schema)
        told = {} if condition is None else {
            n: sorted({v[i] for v in condition.values if v[i] is not None}, key=str)[:200]
            for i, n in enumerate(condition.names)}
        label = run.schema.label
        if not told and label is not None and fits(run, label.name, label.classes[0]):
            told = {label.name: list(label.classes)}
        names = [] if features is None or not run.model.infers else map(str, features.names)
        others = [n for n in names if n not in told]
        return in_json({"conditions": told, "features": others,
                      "samplers": {"chosen": run.samplers.chosen, "why": run.samplers.why}})

    @router.post("/sample")
    def sample(name: str, wanted: NewRows) -> dict[str, Any]:
        """Make new rows."""
        run = desk.open(name).run
        seed = secrets.randbits(31) if wanted.seed is None else wanted.seed
        made = run.do("sample", wanted.n, seed=seed, temperature=wanted.temperature, given=wanted.given or None,
                      sampler=wanted.sampler)
        about: dict[str, Any] = {"seed": seed}
        if wanted.export:
            return about | {"file": exported(desk.workspace, made, run.schema, f"{name}-new")}
        return about | {"drawn": drawn_answer(run, made), "grid": grid(made, run.schema),
                        "ess": plain(getattr(made, "attrs", {}).get("ess"))}

    @router.get("/grid")
    def rows(name: str, start: int = Query(0, ge=0), n: int = Query(15, ge=1, le=200), holes: bool = True) -> Any:
        """Return rows as a table to edit, those with holes first."""
        dataset = views.dataset(name)
        index = _with_holes(dataset) if holes else np.arange(len(dataset))
        index = index if len(index) else np.arange(len(dataset))
        some = index[start : start + n]
        return {"rows": plain(some), "holes": len(index), "grid": grid(originals(dataset, some), dataset.schema)}

    @router.post("/impute")
    def impute(name: str, edited: EditedRows) -> dict[str, Any]:
        """Fill in what is missing; the rest stays what it is."""
        run = desk.open(name).run
        source = run.kind.from_json(_as_given(edited), run.schema)
        return {"grid": grid(run.do("impute", source, seed=edited.seed), run.schema)}

    return router


def fits(run: Any, name: str, value: Any) -> bool:
    """Whether new rows can be given a value of the label."""
    from ..runs.verbs.sample import with_label_as_condition

    return with_label_as_condition(run.schema, run.model, {name: value}).condition is not None


def _as_given(edited: EditedRows) -> Any:
    if edited.records:
        return [dict(zip(edited.names, row, strict=True)) for row in edited.rows]
    return edited.rows


def _with_holes(dataset: Dataset, most: int = 20_000) -> np.ndarray[Any, Any]:
    """Return rows that lack something, of the first many."""
    mask = dataset.batch(np.arange(min(len(dataset), most))).observed
    if mask is None:
        return np.arange(0)
    found: np.ndarray[Any, Any] = (~mask.flatten(1).all(1)).nonzero().flatten().numpy()
    return found


def strange_routes(desk: Desk) -> APIRouter:
    """Return the routes of strange rows."""
    router, views = APIRouter(prefix="/api/runs/{name}/anomalies"), Views(desk)

    def ready(name: str, data: str) -> StrangeRows:
        while not isinstance(found := views.scores(name, data), StrangeRows):
            continue
        return found

    @router.get("")
    def about(name: str, data: str = "") -> Any:
        """Say that scores are there, or how far they are (202)."""
        found = views.scores(name, data)
        return {"n": len(found.values), "names": found.names} if isinstance(found, StrangeRows) else found

    @router.delete("")
    def cancel(name: str, data: str = "") -> dict[str, Any]:
        """Stop scoring."""
        return {"stopped": desk.shop.cancel(views.key("scores", name, data))}

    @router.get("/scores")
    def scores(name: str, data: str = "") -> Response:
        """Return scores, then the share of held-out rows that are as strange: 32-bit floats."""
        found = ready(name, data)
        both = np.concatenate([found.values, found.rare]).astype("<f4")
        return Response(both.tobytes(), media_type=BINARY)

    @router.get("/reasons")
    def reasons(name: str, at: Many, data: str = "") -> dict[str, Any]:
        """Return rows as they are drawn, each with the columns that make it strange."""
        found = ready(name, data)
        some = need_rows(found.dataset, at)
        run, batch = desk.open(name).run, found.dataset.batch(some)
        with run.lock:
            expected = verbs.reconstruct(run.model, batch)
        return {"rows": at, "drawn": drawn(batch.x, run.schema), "expected": drawn(expected, run.schema),
                "reasons": [found.reasons(int(i)) for i in some]}

    @router.get("/colours")
    def colours(name: str) -> dict[str, Any]:
        """Return the scores as colours of the rows of the map."""
        found, index = ready(name, ""), views.ready(name).index
        made = found.colouring()
        from dataclasses import replace

        return in_json(replace(made, index=made.index[index]).packed)

    @router.post("/export")
    def export(name: str, chosen: Chosen, data: str = "") -> dict[str, Any]:
        """Write rows as their kind does."""
        found = ready(name, data)
        rows = originals(found.dataset, need_rows(found.dataset, chosen.rows))
        file = exported(desk.workspace, rows, found.dataset.schema, f"{name}-anomalies")
        return {"file": file, "n": len(chosen.rows)}

    return router
