"""Cross: some modalities of rows told from others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ...core.batch import Batch, cat
from ...core.errors import InputError, SettingError
from ...core.registry import suggestion
from ...core.row_noise import RowKeys
from ...data import Schema
from ...models import verbs
from ...objectives.modalities import only_with
from .fitness import needs_latents
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained


def needs_modalities(schema: Schema, model: nn.Module) -> str | None:
    """Ask for rows of several modalities, and for a model that infers."""
    if len(schema.fields) < 2:
        return (
            "A modality is told from another where rows have several, but those of this run have one. Fit a table with "
            "pictures or sentences, or a dictionary of views (kind=multimodal)."
        )
    return needs_latents(schema, model)


@verb("cross", group="Use", takes="rows", answers="rows", unfit=needs_modalities, steered=False)
def cross(
    run: Trained, data: object, *, from_: Sequence[str] = (), to: Sequence[str] = (), seed: int | None = None
) -> Any:
    """Tell some modalities of each row from others: a text from a picture, a picture from a text.

    Args:
        run: The run.
        data: Rows that have the modalities that are told from; what else they have is not looked at.
        from_: Modalities that are seen; by default all but those that are wanted.
        to: Modalities that are wanted; by default all but those that are seen.
        seed: Draw, with this seed; by default what is expected.
    """
    names = tuple(run.schema.fields)
    seen, wanted = _named(from_, names), _named(to, names)
    if not seen and not wanted:
        raise SettingError(f"Rows have {', '.join(names)}: name what is seen or what is wanted, from_=... or to=...")
    seen = seen or tuple(n for n in names if n not in wanted)
    wanted = wanted or tuple(n for n in names if n not in seen)
    if not wanted or not seen or set(wanted) & set(seen):
        raise SettingError(
            f"Some modalities are told from others, but got {', '.join(wanted) or 'none'} from "
            f"{', '.join(seen) or 'none'}. Name different ones."
        )
    dataset, keys, found = run.dataset(data), RowKeys(), []
    for start, batch in run.pieces(dataset):
        some = only_with(batch, list(seen))
        _need_something(some, seen, start)
        made = verbs.reconstruct(run.model, some, seed=seed, keys=keys)
        assert isinstance(made, dict)  # rows have several
        found.append({name: made[name] for name in wanted})
    return dataset.decode(cat(list(found)))


def _named(given: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    chosen = (given,) if isinstance(given, str) else tuple(given)
    for name in chosen:
        if name not in names:
            near = suggestion(str(name), list(names))
            raise SettingError(f"The modalities of a row are {', '.join(names)}, but got {name!r}.{near}")
    return chosen


def _need_something(batch: Batch, seen: Sequence[str], start: int) -> None:
    """Refuse rows that have none of what they are told from."""
    rows = batch.present or {}
    ones = torch.ones(len(batch), dtype=torch.bool, device=batch.device)
    blank = ~torch.stack([rows.get(name, ones) for name in seen]).any(0)
    if bool(blank.any()):
        row = start + int(blank.nonzero()[0])
        raise InputError(
            f"Rows are told from {', '.join(seen)}, but row {row} (from 0) has none of it. Leave such rows out, or use "
            "impute, which takes what is there."
        )
