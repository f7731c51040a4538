"""Posteriors refined row by row after training: for rows with holes that the encoder never saw, and restorations."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor
from torch.distributions import Distribution

from ..core.batch import Batch, only
from ..core.errors import CombinationError
from ..core.random import derive, using
from ..core.row_noise import RowKeys, RowNoise
from ..distributions.ops import expected
from ..nn.inputs import Standardise
from ..parts.base import AnyPosterior, Joint, LatentDraws, diagonal, latent_draws
from ..parts.posteriors.semi_amortised import SemiAmortisedPosterior, refine
from .base import LatentModel
from .flat import Flat
from .modes import judging

STEPS = 60
RATE = 0.3
DRAWS = 4
WIDER = 1.2
"""Factor on the scales that latents are drawn with: a normal without correlations is narrower than what it stands for,
and importance weights of draws from something too narrow have tails without end."""
ROUNDS = 3
"""How often a restoration looks again at what does not fit."""


@final
class RefinedPosterior(AnyPosterior):
    """Where another posterior starts, moved along the natural gradient of the bound of each row; a diagonal normal.

    Reference:
        Semi-Amortized Variational Autoencoders (Kim et al., 2018). https://arxiv.org/abs/1802.02550

    Args:
        inner: Where it starts.
        n_steps: Steps.
    """

    needs_joint = True

    def __init__(self, inner: AnyPosterior, *, n_steps: int = STEPS) -> None:
        super().__init__()
        self.inner, self.event = inner, inner.event
        self.n_steps = n_steps

    def forward(self, batch: Batch) -> Distribution:
        """Return where it starts."""
        found: Distribution = self.inner(batch)
        return found

    def propose(self, batch: Batch, joint: Joint, n_samples: int = 1, *, z: Tensor | None = None) -> LatentDraws:
        """Refine, then draw or score."""
        start = self(batch)
        loc, scale = refine(
            start.mean.detach(), start.stddev.detach().log(), joint, steps=self.n_steps, rate=RATE,
            n_draws=DRAWS,
        )
        return latent_draws(diagonal(loc, WIDER * scale.exp()), n_samples, z)


def why_not(model: object) -> str | None:
    """Return why latents of a model cannot be refined, in one sentence; ``None`` where they can."""
    if not isinstance(model, Flat):
        return (
            f"Latents are refined where there is one group of them, but {type(model).__name__} is built otherwise. "
            "Fit a recipe such as vae or kl-autoencoder."
        )
    if model.posterior.space.name != "real" or len(model.posterior.event) != 1:
        return (
            f"Latents are refined where they are real vectors, but these are {model.posterior.space.name}. "
            "Fit a recipe such as vae or kl-autoencoder."
        )
    return None


def refined(model: LatentModel, *, n_steps: int = STEPS) -> Flat:
    """Return a model whose posterior is refined on the bound of each row, everything else shared.

    Raises:
        CombinationError: Its latents are no real vectors of one group.
    """
    why = why_not(model)
    if why is not None or not isinstance(model, Flat):
        raise CombinationError(str(why))
    if isinstance(model.posterior, SemiAmortisedPosterior | RefinedPosterior):
        return model
    return Flat(model.prior, RefinedPosterior(model.posterior, n_steps=n_steps), model.likelihood).eval()


def knows_holes(model: LatentModel) -> bool:
    """Whether the encoder of a model was trained on rows that lack something."""
    return any(isinstance(m, Standardise) and m.masked for m in model.modules())


def restored(
    model: LatentModel, batch: Batch, *, share: float = 0.1, n_steps: int = STEPS, seed: int = 0,
    keys: RowKeys | None = None,
) -> Tensor:
    r"""Return what rows would be if they were like those that the model was trained on, ``(N, *event)``.

    Latents maximise the bound of what fits alone: the ``share`` of the entries that lie farthest from the expected row
    is left out, and found anew a few times, so that an anomaly does not pull its own restoration towards itself.

    .. math:: z^* \approx \arg\max_z \log p(x_S \mid z) + \log p(z), \qquad
        S = \{i : |x_i - E[x_i | z^*]| \le \text{quantile}_{1 - \text{share}}\}

    Reference:
        Unsupervised Lesion Detection via Image Restoration with a Normative Prior (You et al., 2019), with trimming in
        the place of total variation. https://arxiv.org/abs/2005.00031

    Args:
        model: Trained on rows without anomalies.
        batch: Rows.
        share: Share of the entries of a row that are left out.
        n_steps: Steps, all rounds together.
        seed: Seed of the draws.
        keys: Numbers of the rows, by which their draws are seeded.

    Raises:
        CombinationError: Latents are no real vectors.
    """
    why = why_not(model)
    if why is not None or not isinstance(model, Flat):
        raise CombinationError(str(why))
    known, prior = (RowKeys() if keys is None else keys)(batch), model.prior.of(batch)
    x = batch.tensor.to(torch.get_default_dtype())
    seen = torch.ones_like(x, dtype=torch.bool) if batch.observed is None else batch.observed
    trusted, made = seen, x
    with judging(model):
        start: Distribution = model.posterior(batch)
        loc, log_scale = start.mean, start.stddev.log()
        for steps in _divided(n_steps):
            noise = RowNoise.of(derive(seed, "restored", steps), 1, known, range(1), device=batch.device)
            joint = model.joint(batch.with_x(batch.x, trusted), prior)
            with using(noise):
                loc, log_scale = refine(loc, log_scale, joint, steps=steps, rate=RATE, n_draws=DRAWS)
            made = only(expected(model.generate((loc.unsqueeze(0),), batch.c))).squeeze(0)
            far = (x - made).abs().masked_fill(~seen, 0)
            limit = torch.quantile(far.flatten(1), 1 - share, dim=1).reshape(-1, *[1] * (x.ndim - 1))
            trusted = seen & (far <= limit)
    return made


def _divided(n_steps: int) -> list[int]:
    """Return the steps of each round: something in each, the rest in the last."""
    each = max(1, n_steps // ROUNDS)
    return [each] * (ROUNDS - 1) + [max(1, n_steps - each * (ROUNDS - 1))]
