"""Counts of cells, and of other rows whose depth is their own."""

from __future__ import annotations

from ..core.examples import example
from ..models.flat import Flat
from ..objectives.warmup import ShareWarmup
from .frame import COUNTS, Frame
from .registry import Made, recipe


@example(data="count", settings={})
@recipe(
    "count-vae",
    title="Counts given the depth of their row, under negative binomial noise: cells and genes",
    paper="Lopez et al., Deep generative modeling for single-cell transcriptomics, 2018, "
    "https://doi.org/10.1038/s41592-018-0229-2",
)
def count_vae(frame: Frame) -> Made:
    """One hidden layer on log counts; the weight of the rate rises over a quarter of the training."""
    frame.prefer(encoder="profile", hidden=(128,), n_latent=10, norm="layer", activation="relu")
    if frame.word("encoder", "profile") == "profile":  # it does not see the batch, which codes are not to tell
        frame.prefer(**{
            "encoder.input_dropout": 0.0, "encoder.dropout": 0.1, "encoder.log": True, "encoder.n_condition": 0,
        })
    model = Flat(frame.prior(), frame.posterior(), frame.likelihood(COUNTS))
    return model, frame.elbo(warmup=ShareWarmup(0.25))
