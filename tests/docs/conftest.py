"""What the code of a page registers is gone after its test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from senzai.core.spec import REGISTRIES
from senzai.data import KINDS
from senzai.evaluation.catalogue import MEASURES
from senzai.recipes import RECIPES
from senzai.report.views import VIEWS
from senzai.runs.verbs.registry import VERBS, every_verb


@pytest.fixture(autouse=True)
def nothing_stays_registered() -> Iterator[None]:
    every_verb()
    registries = (*REGISTRIES.values(), RECIPES, KINDS, MEASURES, VIEWS, VERBS)
    before = [dict(r) for r in registries]
    yield
    for registry, entries in zip(registries, before, strict=True):
        for name in [n for n in dict.keys(registry) if n not in entries]:
            dict.pop(registry, name)
