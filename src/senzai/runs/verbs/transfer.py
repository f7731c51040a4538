"""Transfer: rows as they would be with another label, with what else is in them kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from ...core.batch import Batch, Data, cat
from ...core.errors import CombinationError, SettingError
from ...core.registry import suggestion
from ...data import KINDS, Schema
from ...distributions.rewriting import rewritten
from ...distributions.tokens import TokenSequence
from ...models import verbs
from ...models.base import Latents, latent_model
from ...models.modes import judging
from .decoding import choosing
from .edit import direction
from .fitness import needs_latents
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained

Way = Literal["auto", "condition", "direction"]


def cannot_transfer(schema: Schema, model: nn.Module) -> str | None:
    """Ask for classes and for latents."""
    if schema.label is None:
        return (
            "Rows are transferred to another class of the label, but this run was fitted without any. Fit with "
            "label=..., and best with condition=label."
        )
    return needs_latents(schema, model)


def is_conditioned(schema: Schema) -> bool:
    """Whether the model is conditioned on the label alone."""
    return schema.condition is not None and schema.label is not None and schema.condition.names == (schema.label.name,)


@verb("transfer", group="Use", takes="rows", answers="rows", unfit=cannot_transfer, steered=False)
def transfer(
    run: Trained, data: object, *, to: str, way: Way = "auto", by: float = 1.0, keep: float | None = None,
    guidance: float = 1.0, decoding: Mapping[str, float] | None = None,
) -> Any:
    """Give rows as they would be with another label, with what else is in them kept.

    Args:
        run: The run.
        data: Rows, with their labels where the model is conditioned on it.
        to: Class that they go to.
        way: ``condition``: the code stays and is decoded under the other class; ``direction``: the code moves from the
            mean of the other classes to that of this one. ``auto`` takes the first where the model is conditioned.
        by: How far codes move; 1 is the way from mean to mean.
        keep: Of rows of symbols, the share that stays: only what speaks most for the row's own class is written anew.
        guidance: With ``keep``, how much more a new symbol must speak for the class than against the old one.
        decoding: Without ``keep``, how symbols are chosen.
    """
    label = run.schema.label
    assert label is not None  # the verb fits the run
    words = [str(c) for c in label.classes]
    if str(to) not in words:
        raise SettingError(f"Unknown class {to!r}.{suggestion(str(to), words)} Known: {', '.join(words[:20])}.")
    if way not in ("auto", "condition", "direction") or not np.isfinite(by):
        raise SettingError(f"`way` is auto, condition or direction, and `by` a number, but got {way!r} and {by!r}.")
    if keep is not None and decoding:
        raise SettingError("Rows are kept in part, or decoded anew, but got keep and decoding. Leave one out.")
    chosen = way if way != "auto" else "condition" if is_conditioned(run.schema) else "direction"
    if chosen == "condition" and not is_conditioned(run.schema):
        raise CombinationError(
            "A code is decoded under another class by a model that is conditioned on the label, but this one is not. "
            "Fit with condition=label, or use way=direction."
        )
    dataset, kind = run.dataset(data), KINDS[run.schema.kind]
    step = None if chosen == "condition" else tuple(by * s for s in direction(run, towards=to))
    made = []
    with choosing(run.model, decoding):
        for _, batch in run.pieces(dataset):
            z = verbs.encode(run.model, batch)
            moved = z if step is None else tuple(g + s for g, s in zip(z, step, strict=True))
            c = batch.c if step is not None else kind.condition({label.name: to}, len(batch), run.schema)
            made.append(_decoded(run, batch, (z, batch.c), (moved, c), keep, guidance))
    own = None if keep is None else dataset.rows.about(np.arange(len(dataset))).get("unknown")
    return dataset.decode(cat(made), about=None if own is None else {"own": own})  # words that stay, known or not


def _decoded(
    run: Trained, batch: Batch, old: tuple[Latents, Tensor | None], new: tuple[Latents, Tensor | None],
    keep: float | None, guidance: float,
) -> Data:
    """Return rows decoded under the other class, or those of the batch with some symbols written anew."""
    if keep is None:
        return verbs.decode(run.model, new[0], c=new[1])
    latent = latent_model(run.model)
    with judging(run.model), torch.no_grad():
        before, behind = (latent.generate(z, c) for z, c in (old, new))
        if not isinstance(before, TokenSequence) or not isinstance(behind, TokenSequence):
            raise CombinationError(
                "`keep` is about rows of symbols that are made one after another, but these rows are others. "
                "Leave it out."
            )
        return rewritten(before, behind, batch.tensor, keep=keep, guidance=guidance)
