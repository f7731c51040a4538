"""What ``senzai new`` writes can be installed, passes its own tests and is as clean as senzai itself."""

from __future__ import annotations

import json

import pytest

from senzai.apps.cli.settings import KEY
from senzai.apps.scaffold import TEMPLATES, write_package
from senzai.core.errors import OutputError, SettingError

from .conftest import Site


@pytest.fixture(scope="module", params=sorted(TEMPLATES))
def begun(request, tmp_path_factory):
    """A package of each sort, installed in place; its folder and where it is installed."""
    top = tmp_path_factory.mktemp(request.param)
    site = Site(top / "site")
    words = ["new", request.param, "gentle_waves", "--out", str(top / "own" / "folder"), "--json"]
    done = site.process("-m", "senzai", *words)
    assert done.returncode == 0, done.stderr
    folder = top / "own" / "folder"
    assert json.loads(done.stdout)["folder"] == str(folder)
    site.link(folder)
    return request.param, folder, site


def test_its_own_tests_pass(begun):
    _, folder, site = begun
    done = site.process("-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "tests", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


def test_it_is_clean(begun):
    _, folder, site = begun
    (folder / "ruff.toml").write_text('line-length = 120\n[lint]\nselect = ["E", "F", "I", "B", "UP", "RUF", "SIM"]\n')
    done = site.process("-m", "ruff", "check", "--no-cache", str(folder))
    assert done.returncode == 0, done.stdout
    assert not [p for p in folder.rglob("*") if p.is_file() and "{{" in p.read_text(encoding="utf-8")]


def test_what_it_adds_is_listed_beside_what_senzai_has(begun):
    what, _, site = begun
    looks = {"recipe": ("recipes", "gentle-waves"), "kind": ("kinds", "gentle_waves"),
             "verb": ("verbs", "gentle_waves")}
    if what in looks:
        verb, name = looks[what]
        assert name in site.process("-m", "senzai", verb).stdout


@pytest.mark.parametrize(
    ("what", "name", "said"),
    [
        ("party", "waves", "one of part, .* but got 'party'"), ("part", "Waves", "lower-case letters"),
        ("part", "", "lower-case letters"), ("recipe", "../waves", "lower-case letters"), ("kind", "x_", "lower-case"),
    ],
)
def test_what_cannot_be_is_refused(what, name, said, tmp_path):
    with pytest.raises(SettingError, match=said):
        write_package(what, name, tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_there_is_left_alone(tmp_path):
    with pytest.raises(OutputError, match="exists"):
        write_package("part", "waves", tmp_path)
    assert not list(tmp_path.iterdir())


def test_names_become_settings(tmp_path):
    assert KEY.fullmatch("gentle_waves_components")
    folder = write_package("recipe", "gentle-waves", tmp_path / "new")
    text = (folder / "src" / "senzai_gentle_waves" / "__init__.py").read_text(encoding="utf-8")
    assert 'settings=("gentle_waves_components",)' in text
