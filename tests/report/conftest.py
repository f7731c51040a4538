"""Runs for reports: tiny models, barely trained, without a face."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from senzai.core.random import forked
from senzai.data import Dataset, Schema, open_data
from senzai.models.base import LatentModel
from senzai.recipes import Frame, Settings, build
from senzai.training import bundle
from senzai.training.samplers import Samplers
from senzai.training.settings import TrainSettings

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """A page, taken apart; an element that is closed by another, or never, is an error."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.charts, self.texts, self.ids = [], [], [], [], []
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        assert len(given) == len(attrs), f"an attribute twice in <{tag}>"
        self.tags.append((tag, given))
        self.ids += [given["id"]] if "id" in given else []
        if tag not in VOID:
            self.open.append((tag, given))

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        last, _ = self.open.pop()
        assert last == tag, f"<{last}> is closed by </{tag}>"

    def handle_data(self, data):
        tag, attrs = self.open[-1] if self.open else ("", {})
        if tag == "script" and attrs.get("type") == "application/json":
            self.charts.append(json.loads(data, parse_constant=self.refuse))
        elif tag not in ("script", "style"):
            self.texts.append(data)

    @staticmethod
    def refuse(name):
        raise AssertionError(f"a chart holds {name}")

    @property
    def text(self):
        return re.sub(r"[ \n\t]+", " ", " ".join(self.texts))


def _loads(page: Page) -> list[str]:
    """Everything a browser would fetch."""
    urls = [a.get(k) or "" for t, a in page.tags for k in ("src", "srcset", "data", "poster", "action") if k in a]
    urls += [a.get("href") or "" for t, a in page.tags if t in ("link", "base")]
    return [u for u in urls if not u.startswith("data:")]


def _strip(html: str) -> str:
    """The page without the library, which is somebody else's."""
    return re.sub(r'(<script type="application/gzip" id="plotly">)[^<]*', r"\1", html)


def _check(html: str) -> Page:
    own = _strip(html)
    page = Page(own)
    assert not _loads(page)
    assert "@import" not in own
    assert not re.search(r"url\((?!data:|\$\{)", own)
    assert not re.search(r"https?://[^\s\"'<]*\.(js|css|woff2?|png)", own)
    assert not re.search(r"\b(nan|NaN|None|inf|Infinity|undefined)\b", page.text), page.text
    assert len(page.ids) == len(set(page.ids))
    anchors = {a["href"][1:] for t, a in page.tags if t == "a" and a.get("href", "").startswith("#")}
    assert anchors <= set(page.ids)
    assert all(a.get("alt") for t, a in page.tags if t == "img")
    return page


@dataclass
class FakeRun:
    """What a report asks of a run."""

    spec: bundle.Spec
    model: LatentModel
    schema: Schema
    metrics: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    folder: Path | None = None
    samplers: Samplers = field(default_factory=Samplers)


def _make_run(
    data: object, *, options: dict[str, Any] | None = None, n_latent: int = 3, recipe: str = "vae",
    source: str = "memory", **more: Any,
):
    """Return an untrained run and its data."""
    dataset: Dataset = data if isinstance(data, Dataset) else open_data(data, options=options)
    settings = {"n_latent": n_latent}
    with forked(0):
        first = dataset.batch(np.arange(min(len(dataset), 100)))
        frame = Frame(
            dataset.schema.event_shape, dataset.propose(), masked=first.mask is not None, settings=Settings(settings),
        )
        model, objective = build(recipe, frame)
        model.initialise(first)
    spec = bundle.new_spec(
        recipe=recipe, settings=settings, training=TrainSettings(), data_schema=dataset.schema.model_dump(mode="json"),
        source=source, model=model, objective=objective,
    )
    return FakeRun(spec, model.eval(), dataset.schema, **more), dataset


def _history(steps: int = 6) -> list[dict[str, Any]]:
    """Return a short history, as a run writes it."""
    lines = []
    for i in range(1, steps + 1):
        terms = {"loss": 100.0 / i, "distortion": 90.0 / i, "rate": 10.0 / i}
        lines.append({"kind": "train", **terms, "step": 50 * i, "epoch": float(i)})
        lines.append({"kind": "validation", **terms, "step": 50 * i, "best": True, "best_step": 50 * i})
    return lines


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def make_run():
    """Make an untrained run and its data."""
    return _make_run


@pytest.fixture
def history():
    """Make a short history."""
    return _history()


@pytest.fixture
def check():
    """Take a page apart; it must be whole, load nothing, and hold no number that is none."""
    return _check


@pytest.fixture
def strip():
    """Return a page without the library, which is somebody else's."""
    return _strip
