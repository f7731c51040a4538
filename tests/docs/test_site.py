"""The documentation site: every page is in it, it fetches nothing, and formulas are rendered when it is built."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import yaml

pytest.importorskip("latex2mathml")

from markdown import Markdown

from scripts.site import hooks
from scripts.site.mathml import FormulaError, mathml


@pytest.fixture(scope="module")
def settings(root):
    return yaml.safe_load((root / "mkdocs.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def rendered():
    extensions = ["scripts.site.mathml", "tables", "pymdownx.superfences"]
    return lambda text: Markdown(extensions=extensions).convert(text)


def test_every_page_is_in_the_navigation(root, settings):
    there = {str(p.relative_to(root / "docs")) for p in (root / "docs").rglob("*.md")}
    linked = {p for p in there if p.startswith("recipes/")}  # from the list of recipes
    named = set(hooks.leaves(hooks.complete(settings["nav"], root / "docs")))
    assert there - named - linked == set()
    assert named - there == set(hooks.FROM_ROOT.values())


def test_a_page_without_a_place_becomes_a_guide(tmp_path):
    for name in ("index.md", "how-to.md", "series.md"):
        (tmp_path / name).touch()
    nav = ["index.md", {"Guides": ["how-to.md", {"Studio": "studio.md"}]}]
    assert hooks.complete(nav, tmp_path) == ["index.md", {"Guides": ["how-to.md", "series.md"]}]


def test_every_module_has_a_page_in_the_reference():
    names = list(hooks.modules())
    assert len(names) > 300
    assert {"senzai", "senzai.data.kind", "senzai.parts.priors.flow"} <= set(names)
    assert not [n for n in names if "._" in n or "template" in n]
    assert set(hooks.leaves(hooks.reference_nav(names))) == {hooks.page_of(n) for n in names}


def test_a_page_links_to_the_modules_in_it():
    page = hooks.reference_page("senzai.parts.priors", list(hooks.modules()))
    assert "::: senzai.parts.priors\n" in page
    assert "[senzai.parts.priors.flow](flow.md)" in page


def test_pages_that_may_come_later_are_left_out_until_they_are_there(root, tmp_path):
    entry = {"Use": ["how-to.md", {"Studio": "studio.md"}]}
    assert hooks._there(entry, tmp_path) == {"Use": ["how-to.md"]}
    (tmp_path / "studio.md").touch()
    assert hooks._there(entry, tmp_path) == entry
    assert hooks._there({"Use": [{"Typo": "no-page.md"}]}, tmp_path) == {"Use": [{"Typo": "no-page.md"}]}


def test_formulas_become_mathml(rendered):
    text = "A rate $R \\ge 0$ and\n\n$$\\frac12 x\n+ y$$\n\ncosts $5 and $6, `$x$`.\n\n```\n$y$\n```\n"
    page = rendered(text)
    assert page.count("<math ") == 2
    assert page.count('display="block"') == 1
    for kept in ("$5 and $6", "<code>$x$</code>", "$y$"):
        assert kept in page


def test_formulas_of_docstrings_become_mathml(rendered):
    text = "A sum\n\n.. math:: a +\n    b\n\nwith :math:`a > 0` of :class:`~senzai.models.Flat`::\n\n    code\n"
    page = rendered(text)
    assert page.count("<math ") == 2
    assert "<code>Flat</code>:" in page
    assert "math::" not in page


def test_examples_of_docstrings_are_code(rendered):
    page = rendered("Example:\n>>> f(x)[0][1]\n'_a_ *b*'\n\nAfter.")
    assert "'_a_ *b*'" in re.sub("<[^>]*>", "", page).replace("&#39;", "'")
    assert "<em>" not in page
    assert "<p>After.</p>" in page


@pytest.mark.parametrize("source", [r"\nosuchcommand x", r"\frac{1"])
def test_a_formula_that_is_not_understood_is_an_error(source):
    with pytest.raises(FormulaError):
        mathml(source, display=False)


def test_a_formula_is_what_it_says():
    tags = re.findall(r"<(\w+)", mathml(r"\frac{a}{b_1} + \sqrt{x}", display=False))
    assert tags == ["math", "mrow", "mfrac", "mrow", "mi", "mrow", "msub", "mi", "mn", "mo", "msqrt", "mrow", "mi"]


def test_a_page_that_fetches_something_is_refused(caplog):
    class File:
        src_uri = "how-to.md"

    class Page:
        file = File

    fetching = '<script src="https://example.org/x.js"></script><link rel="stylesheet" href="https://example.org/x.css">'
    for html, warnings in ((fetching, 2), ('<a href="https://example.org">x</a><script src="x.js"></script>', 0)):
        caplog.clear()
        hooks.on_post_page(html, Page, None)
        assert len(caplog.records) == warnings


def test_nothing_of_the_site_is_set_to_be_fetched(settings):
    assert settings["theme"]["font"] is False
    assert "offline" in settings["plugins"]
    assert settings["extra"]["polyfills"] == ["assets/iframe-worker.js"]
    assert not re.search(r"https?://", str({**settings, "nav": None}))


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_search_works_from_disk(root, tmp_path):
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(build, cwd=root, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    sync = pytest.importorskip("playwright.sync_api")
    fetched = []
    with sync.sync_playwright() as p:
        options = {"args": ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]}
        try:
            browser = p.chromium.launch(executable_path="/usr/bin/chromium", **options)
        except sync.Error as e:
            pytest.skip(f"no browser: {e}")
        page = browser.new_page()
        page.on("request", lambda r: fetched.append(r.url))
        page.goto((tmp_path / "site" / "index.html").as_uri())
        page.fill("input.md-search__input", "posterior collapse")
        page.wait_for_selector(".md-search-result__item", timeout=60_000)
        assert "ollapse" in page.inner_text(".md-search-result__list")
        browser.close()
    assert not [u for u in fetched if not u.startswith(("file:", "data:", "blob:", "about:"))]
