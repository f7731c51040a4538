"""How symbols are chosen one after another, for the verbs that make rows."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields

from torch import nn

from ...core.errors import CombinationError, SettingError
from ...distributions.tokens import Decoding, decoding
from ...parts.likelihoods.tokens import TokenLikelihood


def choosing(model: nn.Module, asked: Mapping[str, float] | None) -> AbstractContextManager[None]:
    """Choose symbols as asked inside the block: ``temperature``, ``top_p``, ``beam``; see ``Decoding``.

    Raises:
        CombinationError: Something is asked of a model whose rows are not made symbol by symbol.
        SettingError: A name is unknown, or a number out of its range.
    """
    if not asked:
        return nullcontext()
    if not any(isinstance(part, TokenLikelihood) for part in model.modules()):
        raise CombinationError(
            f"How symbols are chosen is about rows of symbols that are made one after another, but got "
            f"decoding={dict(asked)} for other rows. Leave it out."
        )
    known = [field.name for field in fields(Decoding)]
    if unknown := [name for name in asked if name not in known]:
        raise SettingError(f"Symbols are chosen by {', '.join(known)}, but got {unknown[0]!r}. Leave it out.")
    if float(asked.get("beam", 1)) % 1:
        raise SettingError(f"`beam` is a whole number, but got {asked['beam']!r}.")
    given = {k: float(v) for k, v in asked.items()}
    return decoding(Decoding(given.get("temperature", 1.0), given.get("top_p", 1.0), int(given.get("beam", 1))))
