"""Packages of other people, installed for one test: a folder on the path with code and what pip writes beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from senzai.core import plugins
from senzai.core.registry import Registry
from senzai.core.spec import REGISTRIES
from senzai.data import KINDS
from senzai.evaluation.catalogue import MEASURES
from senzai.recipes import RECIPES
from senzai.runs.verbs.registry import VERBS, every_verb

collect_ignore_glob = ["packages/*"]  # they are installed for one test alone, and register nothing here

every_verb()
ALL: tuple[Registry[Any], ...] = (*REGISTRIES.values(), RECIPES, KINDS, MEASURES, VERBS)

WAVES = """
    import torch
    from torch import nn
    from torch.distributions import Independent, Normal

    from senzai.core.spec import part
    from senzai.parts import Prior


    @part("prior", "shifted")
    class Shifted(Prior):
        def __init__(self, n_latent: int, *, start: float = 0.0) -> None:
            super().__init__()
            self.n_latent = n_latent
            self.loc = nn.Parameter(torch.full((n_latent,), start))

        def forward(self, c=None):
            return Independent(Normal(self.loc, 1.0), 1)
"""
"""A package with one part."""


class Site:
    """A folder that packages are installed in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def install(
        self, name: str, modules: Mapping[str, str], *, version: str = "1.0", plugin: str | None = None
    ) -> None:
        """Install a package as pip would: its modules, and a ``.dist-info`` with version and entry point.

        Args:
            name: Name of the package.
            modules: Source by name of the module.
            version: Its version.
            plugin: What the entry point names; by default the first module.
        """
        for module, source in modules.items():
            (self.folder / f"{module}.py").write_text(dedent(source), encoding="utf-8")
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
        said = f"[{plugins.GROUP}]\n{name} = {plugin or next(iter(modules))}\n"
        (info / "entry_points.txt").write_text(said, encoding="utf-8")

    def link(self, project: Path, *, version: str = "0.1.0") -> None:
        """Install a project folder in place, as ``pip install -e`` would."""
        import tomllib

        facts = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        (entry,) = facts["entry-points"][plugins.GROUP].values()
        self.install(facts["name"], {}, version=facts["version"], plugin=entry)
        (self.folder / "__editable__.pth").write_text(f"{project / 'src'}\n", encoding="utf-8")
        self.paths = (*self.paths, project / "src")

    paths: tuple[Path, ...] = ()

    def run(self, code: str, *args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run code in a fresh process that has the packages."""
        return self.process("-c", dedent(code), *args, cwd=cwd)

    def process(self, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run Python with these words in a fresh process that has the packages."""
        path = os.pathsep.join(map(str, (self.folder, *self.paths)))
        env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "120"}
        return subprocess.run(
            [sys.executable, *words], capture_output=True, text=True, timeout=600, env=env, cwd=cwd or self.folder
        )


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A place to install packages in, for fresh processes."""
    return Site(tmp_path / "site")


@pytest.fixture
def here(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The same for this process: what is installed in it is found by the next look into a registry."""
    modules, before = set(sys.modules), [dict(r) for r in ALL]
    monkeypatch.syspath_prepend(str(site.folder))
    monkeypatch.setattr(plugins, "PLUGINS", plugins.Plugins())
    yield site
    for registry, kept in zip(ALL, before, strict=True):
        for name in [n for n in dict.keys(registry) if n not in kept]:
            del registry[name]
        registry.update(kept)
    for name in set(sys.modules) - modules:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(site.folder)):
            del sys.modules[name]
