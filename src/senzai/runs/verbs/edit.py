"""Edit: rows moved along an attribute in the latent space, from the labels or from two groups of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

from ...core.errors import CombinationError, InputError, SettingError
from ...core.registry import suggestion
from ...data import KINDS, Dataset, Schema
from ...data.schema import ClassName
from ...models import verbs
from ...models.base import LatentModel, Latents
from .fitness import needs_latents
from .registry import verb

if TYPE_CHECKING:
    from ...training.trained import Trained

MOST_ROWS = 5_000
"""Training rows of a class, at most, whose codes are averaged."""


def cannot_edit(schema: Schema, model: nn.Module) -> str | None:
    """Ask for latents that can be added to: real vectors."""
    why = needs_latents(schema, model)
    if why is not None or not isinstance(model, LatentModel) or all(space.name == "real" for space in model.spaces):
        return why
    spaces = " and ".join(space.name for space in model.spaces)
    return f"Edits add to codes, but those of this model are {spaces}. Fit a recipe with real latents, such as vae."


@verb("edit", group="Use", takes="rows", answers="rows", unfit=cannot_edit, steered=False)
def edit(
    run: Trained, data: object, *, towards: object = None, away: object = None, by: float = 1.0, like: object = None,
    unlike: object = None,
) -> Any:
    """Give rows moved along an attribute: a class of the label, or what one group of rows has and another has not.

    Args:
        run: A trained run.
        data: Rows to change.
        towards: Class of the label to go to, or a number that rows of the kind have (density, logp): to more of it.
        away: Class to come from; by default all others.
        by: How far: 1 is the way from the mean code of those without to that of those with it; below 0 the other way.
        like: Rows that have the attribute, instead of a class.
        unlike: Rows that have it not.
    """
    if not np.isfinite(by):
        raise SettingError(f"`by` is a number, but got by={by!r}. 1 is the usual way, 2 twice as far.")
    way = direction(run, towards=towards, away=away, like=like, unlike=unlike)
    batch = run.dataset(data).batch()
    moved = tuple(z + by * step for z, step in zip(verbs.encode(run.model, batch), way, strict=True))
    return KINDS[run.schema.kind].decode(verbs.decode(run.model, moved, c=batch.c), run.dataset(data).schema)


def direction(
    run: Trained, *, towards: object = None, away: object = None, like: object = None, unlike: object = None
) -> Latents:
    r"""Return the step from the mean code of one group of rows to that of another, for each group of latents.

    .. math:: d = \overline{z}_{with} - \overline{z}_{without}

    Reference:
        Autoencoding beyond pixels using a learned similarity metric (Larsen et al., 2016), section 4.
        https://arxiv.org/abs/1512.09300

    Raises:
        SettingError: Neither a class nor two groups were named, or both.
    """
    by_label, by_groups = towards is not None, like is not None or unlike is not None
    if by_label == by_groups or (by_groups and (like is None or unlike is None)) or (away is not None and by_groups):
        raise SettingError(
            "An edit goes towards a class of the label, or towards rows `like` those and `unlike` these, but got "
            f"{_named(towards=towards, away=away, like=like, unlike=unlike)}. Give towards=CLASS, or both like=... and "
            "unlike=..."
        )
    if by_label and away is None and _is_number(run, towards):
        have, have_not = _of_number(run, str(towards))
    elif by_label:
        have, have_not = _of_classes(run, towards, away)
    else:
        have, have_not = run.dataset(like), run.dataset(unlike)
    return tuple(a - b for a, b in zip(_mean_code(run, have), _mean_code(run, have_not), strict=True))


def _named(**given: object) -> str:
    found = [name for name, value in given.items() if value is not None]
    return " and ".join(found) if found else "none of them"


def _of_classes(run: Trained, towards: object, away: object) -> tuple[Dataset, Dataset]:
    """Return training rows of a class and of another one, or of all others."""
    label = run.schema.label
    if label is None:
        raise CombinationError(
            "An edit towards a class needs labels, but this run was fitted without any. Give two groups of rows "
            "instead: like=... and unlike=..."
        )
    to = _class_number(towards, label.classes)
    dataset = run.dataset(run.source(None))
    rows = run.part(dataset, "train")
    targets = dataset.rows.targets
    assert targets.y is not None  # there is a label
    y = targets.y[rows].numpy()
    known = np.ones(len(rows), bool) if targets.known is None else targets.known[rows].numpy()
    others = (y != to) if away is None else (y == _class_number(away, label.classes))
    return dataset.take(_some(rows[known & (y == to)], towards)), dataset.take(_some(rows[known & others], away))


def _is_number(run: Trained, name: object) -> bool:
    """Whether a number of rows is meant, and no class of that name."""
    label = run.schema.label
    classes = () if label is None else label.classes
    return str(name) in KINDS[run.schema.kind].quantities and str(name) not in map(str, classes)


def _of_number(run: Trained, name: str) -> tuple[Dataset, Dataset]:
    """Return the quarter of some training rows that have most of a number, and the quarter that has least."""
    dataset = run.dataset(run.source(None))
    rows = run.part(dataset, "train")
    rows = rows[:: -(-len(rows) // MOST_ROWS)]
    kind, schema = dataset.kind, dataset.schema.but(form="list")
    values = kind.quantity(kind.decode(dataset.batch(rows).x, schema), name, schema)
    rows, values = rows[np.isfinite(values)], values[np.isfinite(values)]
    if not len(rows) or values.min() == values.max():
        raise InputError(f"An edit towards {name!r} needs training rows that differ in it, but these do not.")
    low, high = np.quantile(values, (0.25, 0.75))
    low, high = (low, high) if low < high else (values.min(), values.max())
    return dataset.take(rows[values >= high]), dataset.take(rows[values <= low])


def _class_number(name: object, classes: tuple[ClassName, ...]) -> int:
    words = [str(c) for c in classes]
    if str(name) not in words:
        raise SettingError(f"Unknown class {name!r}.{suggestion(str(name), words)} Known: {', '.join(words)}.")
    return words.index(str(name))


def _some(rows: Any, what: object) -> Any:
    if not len(rows):
        raise InputError(f"An edit needs training rows of both groups, but there is none of {what or 'other classes'}.")
    return rows[:: -(-len(rows) // MOST_ROWS)]


def _mean_code(run: Trained, dataset: Dataset) -> tuple[Tensor, ...]:
    return tuple(z.mean(0) for z in verbs.encode(run.model, dataset.batch()))
