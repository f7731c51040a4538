"""Names of pandas' dtypes as plain text, and exactly back."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

OBJECT: Any = np.dtype(object)
ARROW = "arrow: "
NESTED = ("struct", "list", "large_list", "fixed_size_list", "map", "union", "extension", "run_end", "sparse_union")
"""What an Arrow type begins with whose values are made of several."""


def name_of(dtype: Any) -> str:
    """Return a name from which :func:`dtype_of` makes the dtype again; categories are kept elsewhere.

    Example:
        >>> import pandas as pd
        >>> name_of(pd.Series(["a"]).dtype), name_of(pd.StringDtype("python")), name_of(pd.Series([1.5]).dtype)
        ('str', 'string[python]', 'float64')
    """
    import pandas as pd

    if isinstance(dtype, pd.StringDtype):
        return f"string[{dtype.storage}]" if dtype.na_value is pd.NA else "str"
    if isinstance(dtype, pd.CategoricalDtype):
        return "category"
    return f"{ARROW}{dtype.pyarrow_dtype}" if isinstance(dtype, pd.ArrowDtype) else str(dtype)


def dtype_of(name: str) -> Any:
    """Return the dtype of a name.

    Example:
        >>> str(dtype_of("arrow: decimal128(7, 3)")), str(dtype_of("Int64"))
        ('decimal128(7, 3)[pyarrow]', 'Int64')
    """
    import pandas as pd

    if name.startswith(ARROW):
        return pd.ArrowDtype(arrow_type(name.removeprefix(ARROW)))
    return pd.api.types.pandas_dtype(name)


def arrow_type(text: str) -> Any:
    """Return the Arrow type that is written so."""
    import pyarrow as pa

    if found := re.fullmatch(r"timestamp\[(\w+), tz=(.+)\]", text):
        return pa.timestamp(*found.groups())
    if found := re.fullmatch(r"decimal(\d+)\((\d+), (-?\d+)\)", text):
        return getattr(pa, f"decimal{found[1]}")(int(found[2]), int(found[3]))
    if found := re.fullmatch(r"dictionary<values=(.+), indices=(\w+), ordered=(\d)>", text):
        return pa.dictionary(arrow_type(found[2]), arrow_type(found[1]), ordered=found[3] == "1")
    if found := re.fullmatch(r"fixed_size_binary\[(\d+)\]", text):
        return pa.binary(int(found[1]))
    return pa.type_for_alias(text)


def arrow_series(values: Any, dtype: Any) -> Any:
    """Return Python values as a Series of an Arrow dtype."""
    import pandas as pd
    import pyarrow as pa

    kind = dtype.pyarrow_dtype
    made = pa.array(values, kind.value_type if pa.types.is_dictionary(kind) else kind)
    if pa.types.is_dictionary(kind):
        made = made.dictionary_encode().cast(kind)
    return pd.Series(pd.arrays.ArrowExtensionArray(made))


def scale_of(values: Any) -> int:
    """Return how many digits after the point decimals have."""
    return max((max(0, -int(v.as_tuple().exponent)) for v in values if v.is_finite()), default=0)
