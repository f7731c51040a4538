"""Dimension reduction: rows to the means of their latent codes, and back."""

from __future__ import annotations

from typing import Any, final

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from ..core.errors import ShapeError
from ..models import verbs
from .base import VAEEstimator


@final
class VAETransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, VAEEstimator):  # type: ignore[misc]  # scikit-learn: untyped
    r"""Dimension reduction with a variational autoencoder: :math:`x \mapsto \mathbb{E}_{q(z|x)}[z]`.

    ``transform`` gives the means of the latent codes, ``inverse_transform`` the expected rows of codes. Works in
    ``Pipeline``, ``ColumnTransformer`` and ``GridSearchCV``, and with ``set_output(transform="pandas")``. The arguments
    are those of :class:`VAEEstimator`.

    Attributes:
        run_: The trained run with all its verbs.
        n_latent_: Width of the code.
        n_iter_: Optimiser steps taken.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(60, 5))
        >>> coder = VAETransformer(n_latent=2, steps=20, random_state=0).fit(x)
        >>> coder.transform(x).shape, coder.inverse_transform(coder.transform(x)).shape
        ((60, 2), (60, 5))
    """

    def fit(self, X: Any, y: Any = None) -> VAETransformer:
        """Train.

        Args:
            X: Rows, ``(n, d)``, or a frame.
            y: Ignored.
        """
        self._keep(self._fit_run(self._checked(X, reset=True)))
        return self

    def transform(self, X: Any) -> Any:
        """Return latent means, ``(n, n_latent)``."""
        dataset = self._opened(X)
        (z,) = verbs.encode(self.run_.model, dataset.batch())[:1]
        return z.flatten(1).double().numpy()

    def inverse_transform(self, Z: Any) -> Any:
        """Return the expected row of each code, in the columns of the training data.

        Raises:
            ShapeError: The codes do not have the width of the latent space.
        """
        check_is_fitted(self, "run_")
        z = check_array(Z, dtype=np.float64)
        if z.shape[1] != self.n_latent_:
            raise ShapeError(f"Codes have {self.n_latent_} columns, but got {z.shape[1]}. Give what transform gave.")
        x = verbs.decode(self.run_.model, (torch.from_numpy(z),))
        return self._decoded(x)

    @property
    def _n_features_out(self) -> int:
        return int(self.n_latent_)
