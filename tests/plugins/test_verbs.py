"""A verb that a package registers is a method of a run and a command."""

from __future__ import annotations

import json

import numpy as np

import senzai
from senzai.runs.verbs.registry import VERBS

SHOP = """
    from senzai.runs.verbs.fitness import needs_latents
    from senzai.runs.verbs.registry import verb


    @verb("suggest", group="Shop", takes="rows", answers="scores", unfit=needs_latents)
    def suggest(run, data, *, top: int = 3):
        '''Recommend the nearest codes.'''
        return run.encode(data)[:, :1].repeat(top, axis=1)
"""
X = np.random.default_rng(0).normal(size=(40, 3))
TINY = {"steps": 2, "n_latent": 2, "hidden": [6]}


def test_a_method_of_every_run_by_its_entry_point(here):
    here.install("senzai-shop", {"senzai_shop": SHOP})
    run = senzai.fit(X, **TINY)
    assert run.suggest(X, top=4).shape == (40, 4)
    assert VERBS["suggest"].package == "senzai-shop"
    assert VERBS["encode"].package == "senzai"
    assert run.info()["verbs"]["suggest"] is None


def test_a_command_by_its_entry_point(site, tmp_path):
    site.install("senzai-shop", {"senzai_shop": SHOP})
    np.save(data := tmp_path / "x.npy", X)
    run, out = tmp_path / "run", tmp_path / "out.csv"
    senzai.fit(str(data), out=run, **TINY)
    done = site.process("-m", "senzai", "suggest", str(run), str(data), "--top", "2", "-o", str(out), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"out": str(out), "n": 40, "top": 2}
    assert len(out.read_text().splitlines()) == 41
    listed = site.process("-m", "senzai", "verbs")
    assert "senzai-shop" in listed.stdout
    assert "from senzai-shop" in site.process("-m", "senzai", "suggest", "--help").stdout


def test_a_verb_cannot_take_the_name_of_one_of_senzai(site):
    """Not even where the package is loaded first."""
    for name in ("encode", "traverse", "cure"):
        site.install(f"senzai-{name}", {f"senzai_{name}": SHOP.replace("suggest", name)})
    done = site.run("""
        from senzai.data import KINDS
        from senzai.runs.verbs.registry import VERBS, verb_named
        list(KINDS)  # which loads the packages
        print([verb_named(name).run.__module__ for name in ("encode", "traverse", "cure")])
        print([VERBS[name].package for name in ("encode", "traverse", "cure")])
    """)
    assert done.stdout.splitlines() == [
        "['senzai.runs.verbs.encode', 'senzai.runs.verbs.paths', 'senzai.runs.curing']",
        "['senzai', 'senzai', 'senzai']",
    ], done.stderr
