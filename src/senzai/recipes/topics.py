"""Topics of documents."""

from __future__ import annotations

from ..core.examples import example
from ..models.flat import Flat
from ..objectives.warmup import ShareWarmup
from .frame import Frame
from .recommending import items
from .registry import Made, recipe

TOPICS = 50


def _prefer(frame: Frame) -> None:
    """Ask for an encoder that is told how long a document is, and for a decoder that adds topics up."""
    frame.prefer(n_latent=TOPICS, encoder="profile", decoder="topics", hidden=(256,), activation="softplus")
    if frame.word("encoder", "profile") == "profile":
        frame.prefer(**{"encoder.log": True, "encoder.total": True, "encoder.input_dropout": 0.0})


@example(data="count", settings={"n_latent": 3})
@recipe(
    "prodlda",
    title="Topics of documents: shares by a softmax of normals, multiplied experts over words",
    paper="Srivastava and Sutton, Autoencoding Variational Inference for Topic Models, 2017, https://arxiv.org/abs/1703.01488",
)
def prodlda(frame: Frame) -> Made:
    """Laplace's approximation of a Dirichlet prior."""
    _prefer(frame)
    model = Flat(frame.prior("softmax_normal"), frame.posterior("softmax_normal"), items(frame))
    return model, frame.elbo(warmup=ShareWarmup(0.3))


@example(data="count", settings={"n_latent": 3, "prior.concentration": 0.9})  # flat enough to be integrated
@recipe(
    "dirichlet-topics",
    title="Topics of documents: a Dirichlet posterior and prior, by implicit gradients",
    paper="Burkhardt and Kramer, Decoupling Sparsity and Smoothness in the Dirichlet Variational Autoencoder Topic "
          "Model, 2019, https://jmlr.org/papers/v20/18-569.html",
)
def dirichlet_topics(frame: Frame) -> Made:
    """A sparse prior; with decoder.mixture=true, latent Dirichlet allocation with an encoder."""
    _prefer(frame)
    model = Flat(frame.prior("dirichlet", concentration=0.1), frame.posterior("dirichlet", floor=0.01), items(frame))
    return model, frame.elbo(warmup=ShareWarmup(0.3))
