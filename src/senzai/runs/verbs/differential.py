"""Differential: which genes two groups of rows express differently."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from ...core.errors import SettingError
from ...core.random import Noise, derive, using
from ...core.registry import suggestion
from ...data import Dataset
from ...data.sparse import entries
from ...evaluation.differential import compare, differs
from ...models.base import latent_model
from ...models.modes import judging
from .normalised import condition_at, log_share_of, needs_shares
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained

LEAST_ROWS = 2
MEANS, CELLS = 200, 5000
HELD = 2**28
"""Bytes of shares that are held at once."""


@verb("differential", group="Use", takes="rows", answers="scores", unfit=needs_shares, steered=False, together=True)
def differential(
    run: Trained, data: object, *, by: str, first: str, second: str | None = None, delta: float = 0.25,
    fdr: float = 0.05, of: Literal["cells", "means"] = "cells", mode: Literal["change", "vanilla"] = "change",
    pairs: int | None = None, given: Mapping[str, object] | None = None, offset: float = 1e-6, seed: int = 0,
) -> Any:
    """Say for each gene how probably two groups of rows express it differently.

    Args:
        run: The run.
        data: Rows with facts about them.
        by: Fact that divides them: a column of ``obs``.
        first: Value of the first group.
        second: Value of the second group; by default all other rows.
        delta: Log2 ratio from which a gene differs.
        fdr: Expected share of false ones among the genes that are called different.
        of: Compare "cells", a random one of each group, as scvi-tools does, or the "means" of the groups.
        mode: "change" asks for a ratio beyond delta, "vanilla" which of the two is larger.
        pairs: Draws; by default 5000 of cells, 200 of means.
        given: What rows are taken to be conditioned on instead of their own, by name.
        offset: What is added to shares before their logarithm.
        seed: Seed of the draws.
    """
    import pandas as pd

    dataset = run.dataset(data)
    groups = groups_of(dataset, by, first, second)
    rng = np.random.default_rng(derive(seed, "differential"))
    found = compare(
        lambda rows, own: drawn_shares(run, dataset, rows, own, given), *groups, delta=delta, of=of, mode=mode,
        pairs=pairs or (CELLS if of == "cells" else MEANS), offset=offset, rng=rng,
    )
    means = [mean_share(dataset, rows) for rows in groups]
    made = pd.DataFrame({
        "gene": list(map(str, run.schema.columns or ())), "probability": found.probability,
        "bayes_factor": found.bayes_factor, "log2_change": found.change, "log2_change_sd": found.change_sd,
        "share_first": means[0], "share_second": means[1], "differs": differs(found.probability, fdr),
    })
    return made.sort_values("probability", ascending=False, kind="stable", ignore_index=True)


def groups_of(dataset: Dataset, by: str, first: str, second: str | None) -> tuple[Any, Any]:
    """Return the rows of two groups.

    Raises:
        SettingError: A group has fewer than two rows.
    """
    fact = dataset.kind.fact(dataset.source, dataset.schema, by)
    known = sorted(set(fact))
    others = fact != str(first) if second is None else fact == str(second)
    found = []
    for name, rows in ((first, fact == str(first)), (second, others)):
        at = np.flatnonzero(rows)
        if len(at) < LEAST_ROWS:
            raise SettingError(
                f"A group has {LEAST_ROWS} rows at least, but {by}={name} has {len(at)}.{suggestion(str(name), known)} "
                f"Values of {by!r}: {', '.join(known[:12])}."
            )
        found.append(at)
    return found[0], found[1]


def drawn_shares(
    run: Trained, dataset: Dataset, rows: Any, seed: int, given: Mapping[str, object] | None
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return shares of each gene at codes drawn from the posterior, ``(n, genes)``."""
    model, found = latent_model(run.model), []
    most = max(1, HELD // (8 * run.schema.size))
    for start in range(0, len(rows), most):
        batch = dataset.batch(rows[start : start + most])
        c = condition_at(run, dataset, start, batch, given)
        with judging(run.model), using(Noise.seeded(derive(seed, "codes", start), device=batch.device)):
            z = tuple(g.z[0] for g in model.infer(batch).groups)
            found.append(log_share_of(model.generate(z, c)).exp())
    return torch.cat(found).double().cpu().numpy()


def mean_share(dataset: Dataset, rows: Any) -> Any:
    """Return the share of all counts of some rows that each gene has."""
    part = entries(dataset.rows, rows)
    weight = None if part.values is None else np.asarray(part.values, np.float64)
    total = np.bincount(np.asarray(part.indices), weights=weight, minlength=part.n_columns)
    return total / max(1.0, total.sum())
