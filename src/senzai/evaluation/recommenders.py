"""What a recommender is measured beside: popularity, neighbours of items, EASE in closed form, ALS."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor

from ..core.errors import MissingExtraError, SettingError
from ..core.extras import need
from ..core.memory import free_memory
from ..core.registry import Registry
from ..data.sparse import Sparse

RECOMMENDERS: Registry[type[Recommender]] = Registry("recommender")


class Recommender(ABC):
    """A method that learns from who has what, and scores every item for users who are given as what they have.

    Args:
        train: Training users by items.
        setting: Its one number; see ``settings``.
    """

    settings: ClassVar[tuple[float, ...]] = ()
    """Values of its one number that validation users choose from; none where it has none."""
    setting_name: ClassVar[str] = ""
    usual: ClassVar[float] = 0.0
    """The value where no users validate."""

    @abstractmethod
    def __init__(self, train: Sparse, setting: float) -> None: ...

    @abstractmethod
    def scores(self, seen: Sparse) -> Tensor:
        """Return a score of each item for each user, ``(n_users, n_items)``."""


def binary(matrix: Sparse) -> Any:
    """Return a matrix of SciPy with ones where there is something."""
    return Sparse(matrix.indptr, matrix.indices, None, matrix.n_columns).scipy()


@RECOMMENDERS.add("popularity")
@final
class Popularity(Recommender):
    """The same for all: how many training users have an item."""

    def __init__(self, train: Sparse, setting: float = 0.0) -> None:
        self.counts = np.bincount(np.asarray(train.indices), minlength=train.n_columns)

    def scores(self, seen: Sparse) -> Tensor:
        """Return the counts for every user."""
        return torch.from_numpy(self.counts).double().expand(seen.n_rows, -1)


@RECOMMENDERS.add("item_knn")
@final
class ItemNeighbours(Recommender):
    """The summed cosine similarity of an item to those a user has, each item's nearest neighbours counted alone."""

    settings = (20, 50, 100, 200, 500)
    setting_name = "neighbours"
    usual = 100

    def __init__(self, train: Sparse, setting: float = 100) -> None:
        x = binary(train)
        length = np.sqrt(np.asarray(x.sum(0)).ravel())
        x = x.multiply(1 / np.maximum(length, 1.0)[None, :]).tocsr()
        alike = (x.T @ x).tocsr()
        alike.setdiag(0)
        alike.eliminate_zeros()
        self.alike = nearest_items(alike, int(setting))

    def scores(self, seen: Sparse) -> Tensor:
        """Return summed similarities."""
        return torch.from_numpy((binary(seen) @ self.alike).toarray())


def nearest_items(alike: Any, k: int) -> Any:
    """Keep the k largest entries of each column of a sparse matrix."""
    from scipy.sparse import csc_array

    by_column = alike.tocsc()
    column = np.repeat(np.arange(by_column.shape[1]), np.diff(by_column.indptr))
    order = np.lexsort((by_column.indices, -by_column.data, column))
    count = np.diff(by_column.indptr)
    place = np.arange(len(order)) - np.repeat(by_column.indptr[:-1], count)
    kept = order[place < k]
    return csc_array((by_column.data[kept], (by_column.indices[kept], column[kept])), by_column.shape).tocsr()


@RECOMMENDERS.add("ease")
@final
class EASE(Recommender):
    r"""The linear map from what users have to what they have, with a zero diagonal, in closed form.

    .. math:: \min_B \|X - XB\|^2 + \lambda \|B\|^2, \; \mathrm{diag}\, B = 0: \qquad
        P = (X^\top X + \lambda I)^{-1}, \; B_{ij} = -P_{ij} / P_{jj}

    Reference:
        Embarrassingly Shallow Autoencoders for Sparse Data (Steck, 2019). https://arxiv.org/abs/1905.03375

    Args:
        train: Training users by items.
        setting: Weight of the penalty.

    Raises:
        SettingError: The map, items by items, does not fit memory.
    """

    settings = (20, 50, 100, 200, 500, 1000)
    setting_name = "lambda"
    usual = 200

    def __init__(self, train: Sparse, setting: float = 200) -> None:
        n = train.n_columns
        if 3 * 8 * n * n > free_memory():
            raise SettingError(
                f"EASE needs {3 * 8 * n * n / 1e9:.1f} GB for {n:,} items, more than is free. Raise min_item."
            )
        p = inverse_gram(binary(train), setting)
        self.map = p / -np.diag(p)[None, :]
        np.fill_diagonal(self.map, 0.0)

    def scores(self, seen: Sparse) -> Tensor:
        """Return what the map makes of what users have."""
        return torch.from_numpy(np.asarray(binary(seen) @ self.map))


def inverse_gram(x: Any, ridge: float) -> Any:
    r"""Return :math:`(X^\top X + \lambda I)^{-1}` as a dense matrix, by the smaller side of X.

    Example:
        >>> from scipy.sparse import csr_array
        >>> x = csr_array(np.array([[1.0, 0.0], [1.0, 1.0]]))
        >>> np.allclose(inverse_gram(x, 2.0) @ ((x.T @ x).toarray() + 2 * np.eye(2)), np.eye(2))
        True
    """
    from scipy.linalg import cho_factor, cho_solve

    users, items = x.shape
    if users < items:
        inner = cho_solve(cho_factor((x @ x.T).toarray() + ridge * np.eye(users)), np.eye(users))
        found = -np.asarray(x.T @ np.asarray(x.T @ inner.T).T) / ridge  # Woodbury
        found[np.diag_indices(items)] += 1 / ridge
        return found
    return cho_solve(cho_factor((x.T @ x).toarray() + ridge * np.eye(items)), np.eye(items), overwrite_b=True)


@RECOMMENDERS.add("als")
@final
class ALS(Recommender):
    """Matrix factorisation by alternating least squares, of the package ``implicit``; users are folded in.

    Raises:
        MissingExtraError: The package is not installed.
    """

    settings = (32, 64, 128)
    setting_name = "factors"
    usual = 64

    def __init__(self, train: Sparse, setting: float = 64) -> None:
        als = need("implicit.als", extra="recommend", to="measure alternating least squares beside a model")
        self.model = als.AlternatingLeastSquares(factors=int(setting), random_state=0, num_threads=0)
        self.model.fit(_matrix(train), show_progress=False)

    def scores(self, seen: Sparse) -> Tensor:
        """Return products of the factors of users and items."""
        factors = self.model.recalculate_user(np.arange(seen.n_rows), _matrix(seen))
        return torch.from_numpy(np.asarray(factors) @ np.asarray(self.model.item_factors).T)


def _matrix(matrix: Sparse) -> Any:
    """Return the class of matrices that the package takes."""
    from scipy.sparse import csr_matrix

    return csr_matrix(binary(matrix)).astype(np.float32)


def unfit(error: Exception) -> str | None:
    """Return why a recommender could not be made here; ``None`` for an error that is a fault."""
    return str(error) if isinstance(error, MissingExtraError | SettingError) else None


