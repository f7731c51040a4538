"""A label among the latents: known in some rows, enumerated in the others."""

from __future__ import annotations

from dataclasses import replace
from math import log
from typing import final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn import functional as F

from ..core.batch import Batch
from ..core.errors import CombinationError
from ..core.random import CopiedRows, current_noise, using
from ..core.spec import part
from ..distributions.bases import pick
from ..distributions.copies import split_copies
from ..distributions.ops import draw
from ..distributions.within import within
from ..parts.base import AnyLikelihood, AnyPosterior, Prior
from ..parts.classifiers import Classifier
from .base import Classifies, Group, Inference, LatentModel

Latents = tuple[Tensor, ...]


@part("model", "semi_supervised")
@final
class SemiSupervised(LatentModel, Classifies):
    r"""Kingma's M2: a label y and a style z, :math:`p(x, y, z) = p(y)\, p(z)\, p(x | y, z)`.

    .. math:: \log p(x) \ge \sum_y q(y | x) \left(\mathcal{L}(x, y) - \log q(y | x)\right), \qquad
        \log p(x, y) \ge \mathcal{L}(x, y) = \mathbb{E}_{q(z|x, y)} \log \frac{p(x | y, z)\, p(z)\, p(y)}{q(z | x, y)}

    The label is not drawn: every class is inferred, with weight q(y | x) in rows without a label and weight one for
    the right one in rows with it. p(y) is uniform. Inference of a batch has ``n_classes * n_samples`` draws, the
    samples of a class one after the other, weighted by ``log_mix``; the importance-weighted bound sums over labels
    exactly.

    Reference:
        Semi-supervised Learning with Deep Generative Models (Kingma et al., 2014). https://arxiv.org/abs/1406.5298

    Args:
        prior: p(z).
        posterior: q(z | x, y); its condition is the label's one-hot code.
        likelihood: p(x | y, z), likewise.
        classifier: q(y | x).

    Raises:
        CombinationError: The likelihood's scale is estimated from a whole batch, or the prior holds the posterior.
    """

    def __init__(
        self, prior: Prior, posterior: AnyPosterior, likelihood: AnyLikelihood, classifier: Classifier
    ) -> None:
        super().__init__()
        if likelihood.mixes_rows:
            raise CombinationError(
                "Enumerating labels scores each row once per class, but this likelihood takes its scale from the whole "
                "batch. Use the likelihood normal."
            )
        if getattr(prior, "posterior", None) is not None:
            raise CombinationError(
                "The posterior needs a label for each row, but this prior asks it about rows that have none. "
                "Use prior=standard_normal or mixture."
            )
        self.prior, self.posterior = prior, posterior
        self.likelihood, self.classifier = likelihood, classifier

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return self.classifier.n_classes

    def infer(
        self, batch: Batch, n_samples: int = 1, *, seen: Batch | None = None, z: Latents | None = None
    ) -> Inference:
        """Infer for every label; given latents ``(z, y)``, y one-hot, are scored as draws from q(z, y | x)."""
        shown = batch if seen is None else seen
        log_q_y = self.classify(shown)
        y = self.codes(batch.rows, n_samples, log_q_y) if z is None else z[1]
        k = len(y)
        copies = replace(shown.repeat(k), c=y.flatten(0, 1))
        q = self.posterior(copies)
        with using(CopiedRows.of(current_noise(), classes=self.n_classes, draws=n_samples)):
            flat = draw(q, (), grad=torch.is_grad_enabled()) if z is None else z[0].flatten(0, 1)
        value = flat.unflatten(0, (k, -1))
        p = within(self.likelihood(value, y), batch)
        log_mix, log_q = self.weights(batch, (y * log_q_y).sum(-1), y, n_samples)
        log_p = torch.full_like(log_q, -log(self.n_classes))
        style = Group("z", value, split_copies(q, k), split_copies(self.prior(copies.c), k))
        label = Group("y", y, None, None, log_q=log_q, log_p=log_p)
        return Inference((style, label), p, batch.x, log_mix if z is None else None)

    def codes(self, rows: int, n_samples: int, like: Tensor) -> Tensor:
        """Return one-hot codes ``(n_classes * n_samples, rows, n_classes)``, samples of a class side by side."""
        eye = torch.eye(self.n_classes, dtype=like.dtype, device=like.device)
        return eye.repeat_interleave(n_samples, 0).unsqueeze(1).expand(-1, rows, -1)

    def weights(self, batch: Batch, log_q: Tensor, y: Tensor, n_samples: int) -> tuple[Tensor, Tensor]:
        """Return the log weight of each draw, and log q(y | x), which is zero where y is known; ``(K, B)`` each."""
        log_mix = log_q
        if batch.y is not None:
            known = torch.ones_like(batch.y, dtype=torch.bool) if batch.y_known is None else batch.y_known
            right = y.gather(-1, batch.y.view(1, -1, 1).expand(len(y), -1, 1)).squeeze(-1)
            log_mix = torch.where(known, right.log(), log_q)  # zero for the label, minus infinity for others
            log_q = torch.where(known, torch.zeros_like(log_q), log_q)
        return log_mix - log(n_samples), log_q

    def generate(self, z: Latents, c: Tensor | None = None) -> Distribution:
        """Return p(x | y, z) for ``z = (z, y)``."""
        p: Distribution = self.likelihood(z[0], z[1])
        return p

    def sample_prior(self, n: int, c: Tensor | None = None) -> Latents:
        """Draw a style and a label, ``(n, n_latent)`` and one-hot; a label that is given as ``c`` is kept."""
        like = next(self.parameters())
        if c is None:
            drawn = pick(torch.zeros(n, self.n_classes, dtype=like.dtype, device=like.device), (), current_noise())
            c = F.one_hot(drawn, self.n_classes).to(like.dtype)
        p = self.prior(c)
        return draw(p, () if p.batch_shape else (n,), grad=False), c

    def scored(self, batch: Batch) -> Batch:
        """Return the batch without its labels: what is judged is log p(x)."""
        return replace(batch, y=None, y_known=None)

    def classify(self, batch: Batch) -> Tensor:
        """Return log q(y | x), ``(B, n_classes)``."""
        log_q: Tensor = self.classifier(batch)
        return log_q

    def encoder_parameters(self) -> list[nn.Parameter]:
        """Parameters of posterior and classifier."""
        return [*self.posterior.parameters(), *self.classifier.parameters()]
