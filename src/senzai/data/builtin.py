"""Data sets that come with the libraries, for demonstrations and tests without a network."""

from __future__ import annotations

import numpy as np

from senzai.core.extras import need

from .readers import Raw
from .sources import BUILT_IN


@BUILT_IN.add("digits")
def digits() -> Raw:
    """1797 handwritten digits of 8 x 8 pixels with the levels 0 to 16 and their class (scikit-learn's copy of UCI's).

    Example:
        >>> digits().x.shape
        (1797, 8, 8)
    """
    bunch = need("sklearn.datasets", extra="all", to="load the digits").load_digits()
    return Raw(x=bunch.images.astype(np.uint8), y=bunch.target, label_name="digit", label_asked=True)
