"""The bound of images, sharpened by a patch critic that joins in late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, final

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.arguments import at_least
from ..core.batch import Batch
from ..core.errors import CombinationError
from ..core.examples import example
from ..core.spec import part
from ..distributions.ops import expected
from ..distributions.within import within
from ..models.base import Inference, LatentModel
from ..nn.critics import check_critic
from ..parts.likelihoods.decoded import Likelihood
from .base import Player, Terms
from .checks import need_images
from .code_critics import CRITIC, codes_of, critic_of
from .regularised import Regularised, need_weights
from .row_critics import add_critic, log_odds, need_means, real_rows, reconstruction, row_critic, sum_of
from .warmup import begun, in_steps


@part("objective", "sharpened")
@example(idle={"aux.critic.out.bias": "While both hinges are open their pulls on the last bias cancel exactly."})
@final
@dataclass(frozen=True, kw_only=True)
class Sharpened(Regularised):
    r"""The bound of images plus a patch critic that joins in late, for reconstructions with texture.

    .. math:: L = \text{distortion} + \beta \cdot \text{rate} - s \lambda \, \overline{D(\tilde x)} \;[t \ge t_0],
        \qquad \lambda = \frac{\|\nabla_r \text{distortion}\|}{\|\nabla_r \overline{D(\tilde x)}\| + 10^{-4}}

    with the raw numbers r that the decoder gives for a row. So the critic pulls at each row s times as hard as the data
    do, whatever the likelihood and its scale; the paper compares gradients of the last layer, over the batch.

    The critic is the second player and minimises the hinge loss with a penalty on its slope at real rows (R1),
    :math:`\overline{(1 - D(x))_+ + (1 + D(\tilde x))_+} + \frac{r}{2} \|\nabla_x \overline{D(x)}\|^2`, in standardised
    units; both begin at step t0. With the critic the sum is no bound any more; distortion and rate are watched as they
    are.

    Reference:
        Taming Transformers (Esser et al., 2021), the patch critic. https://arxiv.org/abs/2012.09841
        Which Training Methods for GANs do actually Converge? (Mescheder et al., 2018), R1.
        https://arxiv.org/abs/1801.04406
        Analyzing and Improving the Image Quality of StyleGAN (Karras et al., 2020), lazily.
        https://arxiv.org/abs/1912.04958

    Args:
        beta: Weight of the rate.
        warmup: How that weight rises.
        sharp_weight: How hard the critic pulls, as a share of the pull of the data; the formula's s.
        start: First step of the critic; below 1 a share of the training.
        r1: Weight of the critic's slope.
        r1_every: Steps from one look at that slope to the next, which then counts as often (lazy regularisation).
        critic_width: Channels of its first convolution.
        critic_depth: Its convolutions that halve the image.
        critic_lr: Its learning rate.
    """

    is_bound: ClassVar[bool] = False
    sharp_weight: float = 0.2
    start: float = 0.5
    r1: float = 1.0
    r1_every: int = 1
    critic_width: int = 32
    critic_depth: int = 3
    critic_lr: float = 1e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        need_weights(sharp_weight=self.sharp_weight, start=self.start, r1=self.r1, critic_lr=self.critic_lr)
        check_critic(self.critic_width, self.critic_depth)
        at_least(1, r1_every=self.r1_every)

    def check(self, model: LatentModel) -> None:
        """Refuse data that are no images, and decoders that go entry by entry."""
        need_images(model, "A patch critic")
        decoder_of(model)

    def equip(self, model: LatentModel) -> None:
        """Add the critic."""
        add_critic(model, width=self.critic_width, depth=self.critic_depth)

    def over(self, total_steps: int) -> Sharpened:
        """Return the objective with its start in steps."""
        return replace(self, warmup=self.warmup.over(total_steps), start=in_steps(self.start, total_steps))

    def plays(self, step: int) -> bool:
        """Whether the critic has joined in.

        Raises:
            SettingError: The start is a share and the length of the training is not known.
        """
        return begun(self.start, step)

    def further(self, model: LatentModel, batch: Batch, seen: Inference, step: int) -> Mapping[str, Tensor]:
        """Return the critic's term; zero before it has joined in."""
        if not self.plays(step):
            return {"sharp": seen.log_lik.new_zeros(len(batch))}
        pull = self.sharp_weight * balance(model, batch, seen)
        return {"sharp": -pull * log_odds(row_critic(model), reconstruction(seen))}

    def players(self, model: LatentModel) -> tuple[Player, ...]:
        """The model, then the critic from its first step on."""
        theirs = tuple(critic_of(model).parameters())
        lr = self.critic_lr or None
        return (
            Player("model", model.own_parameters(), self, mixes_rows=model.mixes_rows),
            Player(CRITIC, theirs, self.critic_loss, mixes_rows=model.mixes_rows, lr=lr, when=self.plays),
        )

    def critic_loss(self, model: LatentModel, batch: Batch, step: int) -> Terms:
        """Return the critic's hinge loss and its slope, ``(B,)``."""
        critic, flat = row_critic(model), need_means(model)
        with torch.no_grad():
            fake = expected(flat.likelihood(codes_of(flat, batch), batch.c))
        looks = step % self.r1_every == 0
        u = critic.standardised(real_rows(batch, fake)).requires_grad_(looks)
        scores = critic.judge(u)[0]
        steep = scores.new_zeros(len(batch))
        if looks:
            (slope,) = torch.autograd.grad(scores.mean(-1).sum(), u, create_graph=True)
            steep = 0.5 * self.r1 * self.r1_every * slope.square().flatten(1).sum(-1)
        parts = {"yes": F.relu(1 - scores).mean(-1), "no": F.relu(1 + critic(fake)[0]).mean(-1), "slope": steep}
        return Terms(sum_of(parts), parts, {})

    @property
    def comparable(self) -> bool:
        """Scores of a critic that learns cannot be compared from step to step."""
        return False

    @property
    def settled_after(self) -> int:
        """When the critic has joined in and the warm-up is over."""
        return max(self.warmup.end, int(self.start))


def decoder_of(model: LatentModel) -> Likelihood:
    """Return a likelihood that decodes all raw numbers of a row at once.

    Raises:
        CombinationError: It goes entry by entry.
    """
    likelihood = need_means(model).likelihood
    if not isinstance(likelihood, Likelihood):
        raise CombinationError(
            f"A patch critic pulls at what a decoder says of a whole row, but {type(likelihood).__name__} goes "
            "entry by entry. Use a likelihood such as normal."
        )
    return likelihood


def balance(model: LatentModel, batch: Batch, seen: Inference) -> Tensor:
    """Return how much harder the data pull at each row's raw numbers than the critic does, ``(B,)``, no gradient."""
    likelihood, z = decoder_of(model), seen.groups[0].z[:1].detach()
    with torch.no_grad():
        raw = likelihood.raw(z, batch.c)
    with torch.enable_grad():  # validation runs without gradients
        raw.requires_grad_()
        p = likelihood.of(raw)
        told = within(p, batch)
        data, critic = (
            size_of_slope(says, raw)
            for says in (told.log_prob(batch.tensor), log_odds(row_critic(model), expected(p)[0]))
        )
    return data / (critic + 1e-4)


def size_of_slope(values: Tensor, raw: Tensor) -> Tensor:
    """Return the length of each row's derivative with respect to its raw numbers ``(1, B, ...)``."""
    (slope,) = torch.autograd.grad(values.sum(), raw, retain_graph=True)
    return slope[0].square().flatten(1).sum(-1).sqrt()
