"""Labels and covariates: given, inferred, or predicted from a part of the row."""

from __future__ import annotations

from ..core.errors import CombinationError
from ..core.examples import example
from ..models.flat import Flat
from ..models.probed import Probed
from ..models.semi_supervised import SemiSupervised
from ..models.stacked import Stacked
from ..models.structured import Structured, places
from ..objectives.labels import Layerwise, ProbedBound, SemiSupervisedBound
from ..parts.classifiers import Classifier, Probe, check_classes
from ..parts.likelihoods.decoded import calm
from .frame import Frame
from .registry import Made, recipe


def classes_of(frame: Frame) -> int:
    """Return the number of classes.

    Raises:
        CombinationError: The data have no label, or it is a condition already.
    """
    if frame.n_condition:
        raise CombinationError(
            "This recipe infers the label itself, but the data come with a condition. Leave condition=... out."
        )
    return check_classes(frame.n_classes)


def alpha_of(frame: Frame) -> float:
    """Return the weight of the classification loss of a labelled row: set, or a tenth of all rows over labelled ones.

    And at least 50: a row costs about a hundred nats and its label two; with a small weight the classifier would be
    ignored.
    """
    share: float = frame.get("alpha", max(50.0, 0.1 * frame.n_rows / max(1, frame.n_labelled)))
    return share


@example(frame={"n_condition": 3})
@recipe(
    "cvae",
    title="Conditional autoencoder: encoder, decoder and prior are given the label or covariates",
    paper="Sohn et al., Learning Structured Output Representation using Deep Conditional Generative Models, 2015, "
    "https://papers.nips.cc/paper/2015/hash/8d55a249e6baa5c06772297520da2051-Abstract.html",
)
def cvae(frame: Frame) -> Made:
    """What is conditioned on enters everywhere; the prior of the codes is learned from it."""
    if not frame.n_condition:
        raise CombinationError(
            "The recipe cvae needs something to be conditioned on, but the data come without a condition. "
            "Set condition=label (or names of columns), or use the recipe vae."
        )
    return Flat(frame.prior("conditional"), frame.posterior(), frame.likelihood()), frame.elbo()


@recipe(
    "cvae-structured",
    title="Predicts the rest of a row from a part of it: a quarter of a picture, the first columns",
    paper="Sohn et al., Learning Structured Output Representation using Deep Conditional Generative Models, 2015, "
    "https://papers.nips.cc/paper/2015/hash/8d55a249e6baa5c06772297520da2051-Abstract.html",
    settings=("observed",),
)
def cvae_structured(frame: Frame) -> Made:
    """The encoder sees all, the prior's network the observed part; only the rest is scored."""
    observed = str(frame.get("observed", "half"))
    width = int(places(observed, frame.event).sum()) + frame.n_condition
    inner = frame.inner(n_condition=width)
    flat = Flat(inner.prior("conditional"), inner.posterior(), inner.likelihood())
    model = Structured(
        flat, frame.event, observed=observed, scaling=frame.scaling, n_condition=frame.n_condition,
    )
    return model, frame.elbo()


@example(frame={"n_classes": 3})
@recipe(
    "m1",
    title="Autoencoder and, beside it, a classifier of its codes",
    paper="Kingma et al., Semi-supervised Learning with Deep Generative Models, 2014, https://arxiv.org/abs/1406.5298",
)
def m1(frame: Frame) -> Made:
    """The features are learned from all rows, the classifier from the labelled ones; it never moves the features."""
    n_classes = classes_of(frame)
    flat = Flat(frame.prior(), frame.posterior(), frame.likelihood())
    return Probed(flat, Probe(frame.n_latent, n_classes, frame.hidden[-1:])), ProbedBound(frame.elbo())


def m2_of(frame: Frame, n_classes: int, *, codes: bool = False) -> SemiSupervised:
    """Return an M2 for rows of a frame, which may be codes."""
    told = frame.inner(n_condition=n_classes)
    likelihood = calm(told.likelihood()) if codes else told.likelihood()
    return SemiSupervised(frame.prior(), told.posterior(), likelihood, Classifier(frame.encoder(), n_classes))


@example(frame={"n_classes": 3})
@recipe(
    "m2",
    title="Semi-supervised: the label is a latent, known in some rows and summed over in the others",
    paper="Kingma et al., Semi-supervised Learning with Deep Generative Models, 2014, https://arxiv.org/abs/1406.5298",
)
def m2(frame: Frame) -> Made:
    """Label and style generate a row; the classifier learns from both kinds of rows."""
    model = m2_of(frame, classes_of(frame))
    return model, SemiSupervisedBound(frame.elbo(), alpha=alpha_of(frame), balance=frame.get("balance", 0.0))


@example(frame={"n_classes": 3})
@recipe(
    "m1-m2",
    title="Semi-supervised on learned features: M2 on the codes of M1",
    paper="Kingma et al., Semi-supervised Learning with Deep Generative Models, 2014, https://arxiv.org/abs/1406.5298",
    settings=("n_lower",),
)
def m1_m2(frame: Frame) -> Made:
    """Trained layer by layer, one after the other; any other objective trains the joint bound of the stack."""
    n_classes, top = classes_of(frame), frame.n_latent
    lower = frame.get("n_lower", top)
    below = frame.inner(n_latent=lower, without=("prior",))
    codes = frame.of_codes(lower, top)
    codes.settings["hidden"] = list(frame.hidden[-1:])  # one hidden layer above, as in the paper; two lose z_2
    upper = m2_of(codes, n_classes, codes=True)
    model = Stacked(below.posterior(), below.likelihood(), upper)
    if frame.settings.get("objective", "layerwise") == "layerwise":
        frame.get("objective", None)
        return model, Layerwise(alpha=alpha_of(frame), balance=frame.get("balance", 0.0), start=frame.get("start", 0.5))
    return model, SemiSupervisedBound(frame.elbo(), alpha=alpha_of(frame), balance=frame.get("balance", 0.0))
