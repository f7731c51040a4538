"""Rows that are arrays of numbers of one sort, pictures among them: to model values and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .errors import ExportedModelError
from .numbers import Array

DISCRETE = ("binary", "levels", "count")


class ArrayRows:
    """What a description says about arrays.

    Args:
        told: The description: ``shape`` of a row in the model, ``order`` of the user's axes in it, ``support``,
            ``levels``, ``scale``, ``offset``, ``decimals``, ``dtype``, ``missing``, ``label``.
    """

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        self.shape: tuple[int, ...] = tuple(told["shape"])
        self.order: list[int] | None = told.get("order")
        self.one_channel: bool = bool(told.get("one_channel"))
        self.support: str = told["support"]
        self.scale: float = float(told.get("scale", 1.0))
        self.offset = None if told.get("offset") is None else np.asarray(told["offset"], dtype=np.float64)
        self.dtype = np.dtype(told.get("dtype", "float32"))

    @property
    def n_features(self) -> int:
        """Numbers in a row."""
        return int(np.prod(self.shape))

    def read(self, data: Any) -> Array:
        """Return user data as an array with rows first."""
        if isinstance(data, str | Path):
            path = Path(data)
            if path.suffix != ".npy":
                raise ExportedModelError(
                    f"Arrays are read from .npy files, but got {path.name!r}. Give the array itself, or save it so."
                )
            data = np.load(path, allow_pickle=False)
        x = np.asarray(data)
        if x.dtype.kind not in "biuf":
            raise ExportedModelError(f"Rows are numbers, but got an array of {x.dtype}. Convert it.")
        return x

    def encode(self, data: Any, labels: Any = None) -> dict[str, Array]:
        """Return the inputs of graphs: ``x``, and ``mask`` and ``c`` where the model has them."""
        x = self._arranged(self.read(data))
        gone = np.isnan(x) if x.dtype.kind == "f" else np.zeros(x.shape, dtype=bool)
        if gone.any() and not self.told.get("missing"):
            raise ExportedModelError(
                f"Values must be there, but row {int(np.argwhere(gone)[0][0])} has a NaN. Fill it in, or export a "
                "model that was fitted with missing values."
            )
        v = np.where(gone, 0.0, x).astype(np.float64)
        v = self._counted(v)
        v = np.where(gone, 0.0, v)
        self._refuse_foreign(v)
        found = {"x": v.astype(np.float32), "mask": ~gone}
        label = self.told.get("label")
        if label is not None:
            if labels is None:
                raise ExportedModelError(f"The model is conditioned on {label['name']!r}. Give labels=[...] of rows.")
            found["c"] = one_hot(labels, label["classes"], label["name"])
        return found

    def _arranged(self, x: Array) -> Array:
        if self.one_channel and x.ndim == len(self.shape):
            x = x[:, None]
        elif self.order is not None and x.ndim == len(self.order) + 1:
            x = x.transpose(0, *(1 + a for a in self.order))
        if x.shape[1:] != self.shape:
            raise ExportedModelError(
                f"The model takes rows of shape {self.shape}, but got {x.shape[1:]}. Give rows as it was fitted on."
            )
        return x

    def _counted(self, v: Array) -> Array:
        v = v if self.offset is None else v - self.offset
        v = v * self.scale
        if self.support in DISCRETE:
            near = np.rint(v)
            v = np.where(np.abs(v - near) < 1e-3, near, v)
        return v

    def _refuse_foreign(self, v: Array) -> None:
        if not np.isfinite(v).all():
            raise ExportedModelError("Values must be finite, but some are infinite. Replace them.")
        if self.support == "real":
            return
        tops = {"binary": 1.0, "unit": 1.0, "count": np.inf}
        top = tops.get(self.support, float((self.told.get("levels") or 1) - 1))
        bad = (v < 0) | (v > top)
        if self.support in DISCRETE:
            bad |= v != np.rint(v)
        if bad.any():
            at = tuple(np.argwhere(bad)[0])
            raise ExportedModelError(
                f"The model takes {self.support} values from 0 to {top / self.scale:g}, but got "
                f"{v[at] / self.scale:g} in row {at[0]}. Scale the data as those the model was fitted on."
            )

    def decode(self, x: Array, *, soft: bool = False) -> Array:
        """Return model values, ``(N, *shape)``, as the user's."""
        v = np.asarray(x, dtype=np.float64).reshape(-1, *self.shape)
        if self.support in DISCRETE and not soft:
            top = np.inf if self.told.get("levels") is None else self.told["levels"] - 1
            v = np.clip(np.rint(v), 0, top)
        grid = self.told.get("grid")
        if grid is not None and not soft:
            v = np.asarray(grid, dtype=np.float64)[v.astype(np.int64)]
        else:
            inverse = round(1 / self.scale)
            v = v * inverse if inverse >= 1 and abs(1 / self.scale - inverse) < 1e-9 else v / self.scale
            v = v if self.offset is None else v + self.offset
        for j, d in enumerate(self.told.get("decimals") or ()):
            if d is not None and not soft:
                v[:, j] = np.round(v[:, j], d)
        return self._outside(self._cast(v, soft=soft))

    def _cast(self, v: Array, *, soft: bool) -> Array:
        if soft and self.dtype.kind != "f":
            return v.astype(np.float32)
        if self.dtype.kind == "b":
            return np.asarray(v >= 0.5)
        if self.dtype.kind in "iu":
            info = np.iinfo(self.dtype)
            top = float(info.max) if float(info.max) <= info.max else np.nextafter(float(info.max), 0)
            return np.asarray(np.clip(np.rint(v), float(info.min), top).astype(self.dtype))
        limit = float(np.finfo(self.dtype).max)
        return np.asarray(np.clip(v, -limit, limit).astype(self.dtype))

    def _outside(self, v: Array) -> Array:
        if self.one_channel:
            return v[:, 0]
        if self.order is None:
            return v
        return np.ascontiguousarray(v.transpose(0, *(1 + i for i in np.argsort(self.order))))

    def condition(self, given: dict[str, Any], n: int, rng: np.random.Generator) -> Array | None:
        """Return the condition of ``n`` new rows; what is not given is drawn as often as it was seen."""
        label = self.told.get("label")
        if label is None:
            if given:
                raise ExportedModelError(f"The model is not conditioned on anything, but got {next(iter(given))!r}.")
            return None
        wanted = given.get(label["name"], given.get("label"))
        if wanted is None:
            wanted = [label["classes"][i] for i in rng.choice(len(label["classes"]), size=n, p=label["shares"])]
        many = list(wanted) if isinstance(wanted, list | tuple | np.ndarray) else [wanted] * n
        return one_hot(many, label["classes"], label["name"])


def one_hot(values: Any, classes: list[Any], name: str) -> Array:
    """Return codes of classes, which may be written as text, ``(N, n_classes)``."""
    number = {str(c): i for i, c in enumerate(classes)}
    told = [str(v.item() if hasattr(v, "item") else v) for v in values]
    unknown = [v for v in told if v not in number]
    if unknown:
        raise ExportedModelError(
            f"{name!r} has the classes {', '.join(list(number)[:20])}, but got {unknown[0]!r}. Choose one of them."
        )
    return np.eye(len(classes), dtype=np.float32)[[number[v] for v in told]]
