"""Objectives that ask for codes whose dimensions can be moved one by one."""

from __future__ import annotations

from ..objectives.warmup import ShareWarmup
from .bounds import plain
from .frame import Frame
from .registry import Made, recipe


@recipe(
    "annealed-vae",
    title="Rate driven to a capacity that grows over the first half of training",
    paper="Burgess et al., Understanding disentangling in beta-VAE, 2018, https://arxiv.org/abs/1804.03599",
)
def annealed_vae(frame: Frame) -> Made:
    """Capacity 25 nats, weight 1000."""
    return plain(frame, frame.objective("capacity", warmup=ShareWarmup(0.5)))


@recipe(
    "beta-tc-vae",
    title="Only the dependence between latent dimensions is penalised, estimated from the batch",
    paper="Chen et al., Isolating Sources of Disentanglement in VAEs, 2018, https://arxiv.org/abs/1802.04942",
)
def beta_tc_vae(frame: Frame) -> Made:
    """Total correlation counted six times."""
    return plain(frame, frame.objective("tc", beta=6.0))


@recipe(
    "dip-vae",
    title="Covariance of the codes driven to the identity",
    paper="Kumar et al., Variational Inference of Disentangled Latent Concepts, 2018, https://arxiv.org/abs/1711.00848",
)
def dip_vae(frame: Frame) -> Made:
    """The second variant; ``dip=i`` is the first."""
    return plain(frame, frame.objective("dip"))


@recipe(
    "factor-vae",
    title="Dependence between latent dimensions penalised as a critic estimates it: a second player",
    paper="Kim and Mnih, Disentangling by Factorising, 2018, https://arxiv.org/abs/1802.05983",
)
def factor_vae(frame: Frame) -> Made:
    """Total correlation counted ten times on top of the rate's own."""
    return plain(frame, frame.objective("factor"))
