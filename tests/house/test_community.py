"""The files that a project has for people and for services: they parse, and say what the package says of itself."""

from __future__ import annotations

import re
import tomllib

import pytest

import senzai

yaml = pytest.importorskip("yaml")
FILES = ("CITATION.cff", "CODE_OF_CONDUCT.md", "SECURITY.md", ".github/workflows/release.yml")


def parsed(root, name):
    return yaml.safe_load((root / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", FILES)
def test_there_is_one_and_it_names_no_person_and_no_address(root, name):
    text = (root / name).read_text(encoding="utf-8")
    assert not re.search(r"[\w.+-]+@[\w-]+\.\w", re.sub(r"uses: \S+", "", text))


def test_the_citation_is_of_this_version(root):
    found = parsed(root, "CITATION.cff")
    about = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert found["cff-version"] == "1.2.0"
    assert found["version"] == senzai.__version__ == about["version"]
    assert found["license"] == about["license"]
    assert found["authors"] == [{"name": "The senzai developers"}]
    assert {"message", "title", "type"} <= set(found)


def test_issue_forms_ask_for_something(root):
    forms = sorted((root / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    assert len(forms) >= 4
    for path in forms:
        found = parsed(root, path.relative_to(root))
        if path.stem == "config":
            continue
        assert {"name", "description", "body"} <= set(found)
        ids = [field["id"] for field in found["body"]]
        assert len(ids) == len(set(ids))
        assert any(field.get("validations", {}).get("required") for field in found["body"])


def test_a_release_is_published_without_a_token_and_only_after_the_tests(root):
    found = parsed(root, ".github/workflows/release.yml")
    publish, build = found["jobs"]["publish"], found["jobs"]["build"]
    assert found[True]["push"]["tags"] == ["v*"]  # YAML reads `on` as true
    assert publish["needs"] == "build"
    assert publish["permissions"] == {"id-token": "write"}
    assert found["permissions"] == {"contents": "read"}
    assert publish["environment"]["name"] == "pypi"
    steps = [step.get("run", "") for step in build["steps"]]
    assert any("scripts/test" in step for step in steps)
    assert any("twine check --strict" in step for step in steps)
    assert not re.search(r"secrets\.|password|api.token", (root / ".github/workflows/release.yml").read_text(), re.I)
    for job in found["jobs"].values():
        assert job["timeout-minutes"] <= 60
