"""Rows of a table given some of its columns: by importance resampling where the model was not fitted for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ...core.batch import Batch, Data
from ...core.errors import SettingError
from ...core.random import Noise, derive, using
from ...data import KINDS, Schema
from ...data.conditioning import row_by_row
from ...distributions.ops import draw, expected
from ...distributions.within import within
from ...models import verbs
from ...models.base import LatentModel, latent_model
from ...models.generative import Generative
from ...models.impute import resampled
from ...models.modes import judging

PIECE = 8192
NUMBERS = 10_000_000
"""Decoded numbers that are held at once: of very wide tables, fewer rows are drawn at a time."""
MOST = 2**20
ENOUGH = 4.0
"""Effective draws that are wanted for each row, up to a thousand in all."""
HOPELESS = 10.0


def divide(given: Mapping[str, object], schema: Schema) -> tuple[dict[str, object], dict[str, object]]:
    """Return what the model is conditioned on, and what has to be reached by resampling.

    Rows whose kind has no features follow from conditions alone, so that there is nothing to resample.
    """
    names = schema.condition.names if schema.condition else ()
    if KINDS[schema.kind].features(schema) is None:
        return dict(given), {}
    return {k: v for k, v in given.items() if k in names}, {k: v for k, v in given.items() if k not in names}


def resample(
    model: LatentModel, n: int, row: Batch, c: Tensor | None, *, seed: int, noise: bool, temperature: float
) -> tuple[Tensor, float, int]:
    r"""Return ``n`` rows drawn given the observed entries of ``row``, the effective sample size and the draws made.

    Latents are drawn from the prior, weighted by :math:`p(x_{given} | z)` and resampled; then the row is drawn. More
    latents are drawn until the effective sample size is enough for ``n`` rows. Conditions are taken in turns, and
    resampled with their latents: those of ``c`` must be draws from what they are to be before anything is given.

    Raises:
        SettingError: After a million draws the effective sample size is still below ten.
    """
    seen = row.observed
    assert seen is not None  # rows that are given in part have a mask
    piece = max(256, min(PIECE, NUMBERS // row.tensor.shape[1]))
    wanted = min(ENOUGH * n, 1000.0)
    kept: list[tuple[Tensor, ...]] = []
    log_w: list[Tensor] = []
    device, made, ess = model.device, 0, 0.0
    told = row.to(device)
    with judging(model):
        while made < MOST and ess < wanted:
            for _ in range(max(1, made // piece)):
                own = Noise.seeded(derive(seed, "given", made), device=device)
                rows = None if c is None else c[torch.arange(made, made + piece) % len(c)]
                with using(replace(own, spread=temperature)):
                    z = model.sample_prior(piece, rows)
                p = within(model.generate(z, rows), told)
                kept.append(z)
                log_w.append(p.log_prob(told.tensor))
                made += piece
            weight = torch.log_softmax(torch.cat(log_w).double(), 0)
            ess = float((-torch.logsumexp(2 * weight, 0)).exp())
        if ess < HOPELESS:
            raise SettingError(
                f"Resampling needs an effective sample size of {HOPELESS:.0f}, but {made:,} draws gave {ess:.1f}: what "
                "is given is too rare for the model. Fit it with condition=COLUMN, or give less."
            )
        own = Noise.seeded(derive(seed, "resample"), device=device)
        chosen = resampled(weight.unsqueeze(1), n, own)[:, 0]
        z = tuple(torch.cat([k[i] for k in kept])[chosen] for i in range(len(kept[0])))
        picked = None if c is None else c[chosen % len(c)]
        out = []
        for start in range(0, n, piece):
            part = slice(start, start + piece)
            p = model.generate(tuple(g[part] for g in z), None if picked is None else picked[part])
            out.append(draw(p, grad=False, noise=own) if noise else expected(p))
    x = torch.cat(out)
    fixed = seen[0].to(x.device)
    return torch.where(fixed, row.tensor[0].to(x), x), ess, made


def sample(
    model: Generative, schema: Schema, n: int, given: Mapping[str, object], *, seed: int, noise: bool,
    temperature: float,
) -> Any:
    """Return ``n`` rows; see :meth:`Run.sample`. A resampled frame says how in ``attrs``."""
    kind = KINDS[schema.kind]
    conditioned, others = divide(given, schema)
    about: dict[str, Any] = {}
    places: Mapping[str, Any] = {}
    x: Data
    if others:
        verbs.check_draws(model, n, temperature)
        x, about = _resampled(model, schema, n, given, seed=seed, noise=noise, temperature=temperature)
    else:
        c, places = kind.placed(conditioned, n, schema, seed=seed)
        x = verbs.sample(model, n, seed=seed, c=c, noise=noise, temperature=temperature)
    if places or not given:
        return kind.decode(x, schema, about=places or None)
    rows = kind.decode_given(x, schema, {name: row_by_row(name, value, n) for name, value in given.items()})
    if hasattr(rows, "attrs"):
        rows.attrs.update(about)
    return rows


def _resampled(
    model: Generative, schema: Schema, n: int, given: Mapping[str, object], *, seed: int, noise: bool,
    temperature: float,
) -> tuple[Tensor, dict[str, Any]]:
    """Return rows ``(n, *event)`` by :func:`resample`, those that are given the same together; and how it went."""
    told = {name: row_by_row(name, value, n) for name, value in given.items()}
    alike: dict[tuple[str, ...], list[int]] = {}
    for i in range(n):
        alike.setdefault(tuple(repr(values[i]) for values in told.values()), []).append(i)
    kind, out, least, total = KINDS[schema.kind], [], float("inf"), 0
    for g, rows in enumerate(alike.values()):
        conditioned, others = divide({name: values[rows[0]] for name, values in told.items()}, schema)
        whole = schema.condition is None or len(conditioned) == len(schema.condition.names)
        own = derive(seed, "given rows", g) if g else seed
        c = kind.condition(conditioned, 1 if whole else PIECE, schema, seed=own)
        row = kind.evidence(others, schema)
        x, ess, made = resample(latent_model(model), len(rows), row, c, seed=own, noise=noise, temperature=temperature)
        out.append(x)
        least, total = min(least, ess), total + made
    order = torch.tensor([i for rows in alike.values() for i in rows])
    return torch.cat(out)[order.argsort()], {"ess": least, "draws": total}
