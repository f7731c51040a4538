"""Every registered recipe has a page with the same headings, and pages name only what exists."""

import inspect
import re

import pytest

from senzai.core.spec import REGISTRIES, registry
from senzai.recipes import RECIPES, about, index_page, names
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
    assert {p.stem for p in (root / "docs" / "recipes").glob("*.md")} == {*RECIPES, "index"}


def test_the_list_of_recipes_is_what_the_registry_says(root):
    page = root / "docs" / "recipes" / "index.md"
    write = f"from senzai.recipes import index_page; open({str(page.relative_to(root))!r}, 'w').write(index_page())"
    assert page.read_text(encoding="utf-8") == index_page(), f'Write it again: python -c "{write}"'


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_what_a_recipe_is_made_of_is_known_and_can_be_set(name):
    found = about(name)
    assert {"model", "objective"} <= set(found.parts)
    assert "likelihood" in found.parts or not registry("model")[found.parts["model"]].infers
    assert {k.partition(".")[0] for k in found.settings} <= set(names())


def test_settings_and_families_named_in_the_how_to_exist(root):
    text = (root / "docs" / "how-to.md").read_text(encoding="utf-8")
    known = {*names(), *TrainSettings.model_fields, "values", "size", "missing"}
    for name, value in re.findall(r"`([a-z_.]+)=([a-z_0-9.]+)`", text):
        assert name.partition(".")[0] in known, name
        role = {"warmup": "schedule"}.get(name, name)
        known_here = {*registry(role), *registry("family")} if role in REGISTRIES else {value}
        assert value in known_here, (name, value)
    for recipe in re.findall(r"`--recipe ([a-z0-9-]+)", text):
        assert recipe in RECIPES, recipe
    for part, setting in re.findall(r"`(prior|posterior)=([a-z_]+)[ `]", text):
        assert setting in {*registry(part), *registry("family")}, (part, setting)
    for slot, value, setting in re.findall(r"`(prior|posterior)=([a-z_]+) \1\.([a-z_]+)=", text):
        taken = inspect.signature({**registry("family"), **registry(slot)}[value]).parameters
        assert setting in taken, (slot, value, setting)
