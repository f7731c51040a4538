"""Private pictures: their number, size and levels are taken as known, and no pixel is looked at."""

from __future__ import annotations

from typing import Any

import numpy as np

from senzai.core.batch import Batch
from senzai.core.errors import CombinationError

from .. import deciding, values
from ..budgeted import Budget
from ..facts import bytes_facts
from ..kind import KINDS, Opened
from ..options import ImageOptions, Options
from ..private_kinds import PrivateKinds, hidden
from ..schema import Schema
from . import layout


class PrivatePictures(PrivateKinds):
    """Arrays of 8-bit pictures, of which nothing is known but how many there are and how large they are."""

    def infer_private(self, opened: Opened, options: Options, budget: Budget) -> Schema:
        """Take the shape of the array; levels are those of bytes, whichever of them are there.

        Raises:
            CombinationError: These are no bytes in memory, or something was asked for that would look at them.
        """
        data = opened.data
        if not isinstance(data, np.ndarray) or data.dtype != np.uint8:
            raise CombinationError(
                "Private training takes pictures as an array of bytes (uint8), whose levels are known without looking, "
                f"but got {opened.origin} of {opened.dtype}. Convert it: (pixels * 255).astype('uint8')."
            )
        _refuse_looking(opened, options)
        event = layout.event_of(tuple(data.shape), str(opened.facts.get("layout", "NCHW")))
        conv = options.conv_from if isinstance(options, ImageOptions) else 16
        schema = deciding.decide(
            KINDS[self.name], opened, options, event_shape=event, facts=bytes_facts(), levels=True, conv_from=conv,
        )
        return schema.but(fingerprint=private_fingerprint(schema))

    def made_up(self, schema: Schema, n: int, seed: int) -> Batch:
        """Return pictures of which every pixel is any level."""
        made = np.random.default_rng(seed).integers(0, 256, (n, *schema.event_shape), dtype=np.uint8)
        x, mask = values.encode(made, schema)
        return Batch(x, mask=mask)


def _refuse_looking(opened: Opened, options: Options) -> None:
    looks = {
        "label": opened.labels is not None, "condition": bool(options.condition), "groups": options.groups is not None,
        "time": options.time is not None, "concepts": bool(opened.numbers), "missing": options.missing == "keep",
    }
    if asked := [name for name, there in looks.items() if there]:
        raise CombinationError(
            f"Private training takes pictures alone, but {', '.join(asked)} would be decided by looking at what else "
            "there is. Give the array of the pictures by itself."
        )


def private_fingerprint(schema: Schema) -> str:
    """Return a fingerprint of size and number, and of no pixel."""
    told: list[Any] = [list(schema.event_shape), schema.values, schema.n_levels, schema.n_rows]
    return hidden(repr(told))
