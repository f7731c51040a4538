"""The files of the page: words in all languages, small modules, nothing from elsewhere."""

from __future__ import annotations

import json
import re

import pytest

from senzai.studio.api import PAGE

SCRIPTS = sorted(PAGE.glob("*.js"))
WORDS = {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in (PAGE / "messages").glob("*.json")}


def test_every_language_has_the_same_words_with_the_same_gaps():
    gaps = {lang: {k: set(re.findall(r"\{\w+\}", v)) for k, v in words.items()} for lang, words in WORDS.items()}
    assert set(gaps) == {"en", "ja"}
    assert gaps["en"] == gaps["ja"]
    assert all(v.strip() for words in WORDS.values() for v in words.values())


def test_every_word_that_is_asked_for_is_there():
    asked = {k for p in SCRIPTS for k in re.findall(r'\bt\("([\w.]+)"', p.read_text(encoding="utf-8"))}
    assert len(asked) > 100
    assert not asked - set(WORDS["en"])


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.name)
def test_modules_are_small_and_write_no_markup(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 300
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert way not in text, way


def test_nothing_is_loaded_from_elsewhere():
    for path in [*SCRIPTS, PAGE / "index.html", PAGE / "studio.css"]:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//cdn|@import", text), path.name


def test_the_page_has_no_script_and_no_style_of_its_own():
    text = (PAGE / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=", text)
    assert re.findall(r"<script[^>]*>([^<]*)</script>", text) == [""]


def test_the_page_is_served_with_its_style_and_no_other_file(client):
    assert "senzai" in client.get("/").text
    assert "--paper" in client.get("/page/report.css").text
    assert client.get("/page/messages/ja.json").json() == WORDS["ja"]
    for name in ("../api.py", "..%2fapi.py", "%2e%2e/api.py", "nope.js", "messages/"):
        assert client.get(f"/page/{name}").status_code == 404
