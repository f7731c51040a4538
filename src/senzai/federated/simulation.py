"""Many sites in one process: the same messages, answered one site after the other."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import SettingError
from ..core.files import user_path
from ..data import detect_kind
from ..runs.run import Run
from .flower import as_server, flower
from .rounds import Announce
from .settings import Federation
from .splits import SitePart, parts
from .state import folder_of

SITES = "sites"
"""Where simulated sites keep what a real one keeps in its own folder."""


def simulate(
    data: object | Sequence[object], *, out: str | Path, sites: int = 3, by: str | None = None,
    recipe: str | None = None, settings: Mapping[str, Any] | None = None, federation: Mapping[str, Any] | None = None,
    overwrite: bool = False, seed: int = 0, announce: Announce | None = None, kind: str | None = None,
) -> Run:
    """Let parts of a table be sites that train together, and return the run.

    Args:
        data: A table that is divided, or a list with the data of each site.
        out: Folder of the run; the rounds are kept beside it.
        sites: How many sites the table is divided into.
        by: Column by whose values it is divided, so that sites differ; by default rows are dealt at random.
        recipe: Name of the recipe.
        settings: Settings of data, model and training, by name.
        federation: Settings of the federation, by name; see :class:`Federation`.
        overwrite: Begin again, and replace the run.
        seed: Seed of the division.
        announce: Told of every round.
        kind: Kind of the data.

    Raises:
        SenzaiError: The data, the settings, or the training.

    Example:
        >>> import tempfile, pandas as pd, numpy as np
        >>> x = np.random.default_rng(0).normal(size=(400, 2))
        >>> table = pd.DataFrame({"a": x[:, 0], "b": x[:, 0] + 0.1 * x[:, 1]})
        >>> run = simulate(table, out=tempfile.mkdtemp() + "/run", federation={"rounds": 2, "local_steps": 5})
        >>> run.sample(3).shape, run.metrics["federated"]["sites"]
        ((3, 2), 3)
    """
    flower()
    from .grids import Inside
    from .rounds import federate
    from .site import Site

    given: list[SitePart]
    if isinstance(data, list | tuple):
        given = [SitePart(f"site-{i}", part) for i, part in enumerate(data, 1)]
    else:
        given = parts(data, sites, by=by, seed=seed)
    if len(given) < 2:
        raise SettingError(f"A federation has two sites or more, but got {len(given)}. Give sites=2 (--sites 2).")
    chosen = kind or detect_kind(given[0].data, settings or {})
    told = Federation.parse({"sites": len(given), "min_sites": min(len(given), 2), **(federation or {})})
    as_server()
    folder = user_path(out, output=True)
    if overwrite:
        shutil.rmtree(folder_of(folder), ignore_errors=True)
    kept = None if told.private is None else folder_of(folder) / SITES  # ledgers that a second start finds again
    grid = Inside(Site(s.data, name=s.name, state=None if kept is None else kept / s.name) for s in given)
    return federate(
        grid, told, out=out, kind=chosen, recipe=recipe, given=settings, overwrite=overwrite, announce=announce,
    )
