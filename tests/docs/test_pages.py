"""Every registered recipe has a page with the same headings, and pages name only what exists."""

import re

import pytest

from senzai.core.spec import registry
from senzai.recipes import RECIPES
from senzai.recipes.frame import names
from senzai.training.settings import TrainSettings

HEADINGS = ["Model", "Bound", "Symbols and names in code", "When to use", "Settings", "Source", "Measured results"]


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_has_a_page_with_the_fixed_headings(root, name):
    page = root / "docs" / "recipes" / f"{name}.md"
    assert page.is_file(), f"No page for the recipe {name!r}."
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.M) == HEADINGS
    assert text.startswith(f"# {name}\n")
    assert re.search(r"https?://", text.split("## Source")[1])


def test_no_page_is_about_a_recipe_that_does_not_exist(root):
    assert {p.stem for p in (root / "docs" / "recipes").glob("*.md")} == set(RECIPES)


def test_settings_and_families_named_in_the_how_to_exist(root):
    text = (root / "docs" / "how-to.md").read_text(encoding="utf-8")
    known = {*names(), *TrainSettings.model_fields, "values", "size", "missing"}
    for name, value in re.findall(r"`([a-z_.]+)=([a-z_0-9.]+)`", text):
        assert name.partition(".")[0] in known, name
        role = {"likelihood": "family", "prior": "prior", "warmup": "schedule"}.get(name)
        assert role is None or value in registry(role), (name, value)
