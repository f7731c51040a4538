"""A run says which packages it is made of, and is not loaded without them."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace

import numpy as np
import pytest

import senzai
from senzai.core import plugins
from senzai.core.errors import MissingExtraError
from senzai.data import KINDS

from .conftest import WAVES

TINY = {"steps": 2, "n_latent": 2, "hidden": [6]}
X = np.random.default_rng(0).normal(size=(40, 3))
RECIPE = """
    from senzai.recipes import RECIPES, recipe

    @recipe("waves", title="Waves", paper="none")
    def waves(frame):
        return RECIPES["vae"].make(frame)
"""


@pytest.fixture
def run(here, tmp_path):
    """The folder of a run whose prior is that of a package."""
    here.install("senzai-waves", {"senzai_waves": WAVES}, version="1.2")
    return senzai.fit(X, out=tmp_path / "run", prior="shifted", **TINY).folder


def spec_of(folder):
    return json.loads((folder / "spec.json").read_text())


def forget(here, monkeypatch, *, keep=()):
    """Uninstall what is not kept, and begin as a new process would."""
    from senzai.core.spec import registry

    for info in here.folder.glob("*.dist-info"):
        if not any(name in info.name for name in keep):
            for file in info.iterdir():
                file.unlink()
            info.rmdir()
    registry("prior").pop("shifted", None)
    plugins.importlib.invalidate_caches()
    monkeypatch.setattr(plugins, "PLUGINS", plugins.Plugins())


def test_a_run_says_its_packages_and_their_versions(run):
    assert spec_of(run)["plugins"] == {"senzai-waves": "1.2"}
    assert senzai.load(run).info()["plugins"] == {"senzai-waves": "1.2"}
    assert senzai.load(run).sample(3, seed=0).shape == (3, 3)


def test_a_package_is_named_for_its_recipe_alone(here, tmp_path):
    here.install("senzai-waves", {"senzai_waves": RECIPE})
    found = senzai.fit(X, out=tmp_path / "run", recipe="waves", **TINY)
    assert spec_of(found.folder)["plugins"] == {"senzai-waves": "1.0"}


def test_a_run_of_senzai_s_own_parts_needs_no_package(here, tmp_path):
    here.install("senzai-waves", {"senzai_waves": WAVES})
    assert spec_of(senzai.fit(X, out=tmp_path / "run", **TINY).folder)["plugins"] == {}


def test_a_run_is_not_loaded_without_its_package_which_is_named(run, here, monkeypatch):
    forget(here, monkeypatch)
    for use in (senzai.load, senzai.resume):
        with pytest.raises(MissingExtraError, match=r"'senzai-waves' is needed to load this.*pip install senzai-waves"):
            use(run)


def test_a_package_that_fails_is_named_with_its_reason(run, here, monkeypatch):
    forget(here, monkeypatch, keep=["senzai_waves"])
    plugins.importlib.sys.modules.pop("senzai_waves")
    (here.folder / "senzai_waves.py").write_text("import no_such_module  # a longer file than before\n" * 60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plugins.PLUGINS.load()
    with pytest.raises(MissingExtraError, match=r"'senzai-waves' is needed to load this run\. .* 'no_such_module'"):
        senzai.load(run)


def test_another_version_is_a_note(run):
    spec = spec_of(run)
    spec["plugins"]["senzai-waves"] = "1.1"
    (run / "spec.json").write_text(json.dumps(spec))
    with pytest.warns(UserWarning, match=r"made with senzai-waves 1\.1, and 1\.2 is installed.*senzai-waves==1\.1"):
        senzai.load(run)


def test_a_run_from_before_loads(run):
    spec = spec_of(run)
    del spec["plugins"]
    (run / "spec.json").write_text(json.dumps(spec))
    assert senzai.load(run).spec.plugins == {}


def test_a_kind_proposes_the_recipe_where_the_user_names_none(monkeypatch):
    kind = type(KINDS["array"])
    plain = kind.propose
    monkeypatch.setattr(kind, "propose", lambda self, schema: replace(plain(self, schema), recipe="beta-vae"))
    assert senzai.fit(X, **TINY).spec.recipe == "beta-vae"
    assert senzai.fit(X, recipe="vae", **TINY).spec.recipe == "vae"
