"""One tiny model of every class beyond the flat one, on rows of three bits, in float64 with smooth activations."""

from __future__ import annotations

from itertools import product

import torch

from senzai.core.batch import Batch
from senzai.distributions import BernoulliFamily, FullNormalFamily, NormalFamily
from senzai.models import VRNN, Flat, Probed, SemiSupervised, Stacked, StateSpace, Structured, TopDown, VeryDeep
from senzai.nn import ConvBlocks, FeatureMap, LevelFeatures, MLPBlocks, MLPDecoder, MLPEncoder, Recurrent
from senzai.parts import (
    Classifier,
    Combined,
    Concatenated,
    Conditional,
    ConditionalPrior,
    GatedTransition,
    Likelihood,
    Merged,
    MixtureOfNormals,
    Posterior,
    Probe,
    StandardNormal,
)

D, CLASSES = 3, 3
TANH = {"activation": "tanh"}


def bits(d=D):
    """Every row of d bits."""
    return torch.tensor(list(product((0.0, 1.0), repeat=d))).double()


def encoder(event=(D,), **options):
    return MLPEncoder(event, (5,), **TANH, **options)


def decoded(n_latent, event=(D,), **options):
    return Likelihood(MLPDecoder(n_latent, (1, *event), (5,), **TANH, **options), BernoulliFamily(), event)


def conditional(n_in, n, family=None):
    return Conditional(n_in, n, family or NormalFamily(), (4,), **TANH)


def posterior(n, **options):
    return Posterior(encoder(**options), NormalFamily(), n)


def two_level(prior=None, rung=Concatenated):
    features = LevelFeatures(encoder())
    wide = 5 if rung is Merged else 7
    return TopDown(
        prior or StandardNormal(2), posterior(2), features, (rung(conditional(2, 1), conditional(wide, 1)),),
        decoded(3), skip=True,
    )


def ladder():
    features = LevelFeatures(encoder(), (4, 3), **TANH)
    rungs = (Merged(conditional(1, 2), conditional(4, 2)), Merged(conditional(2, 2), conditional(5, 2)))
    return TopDown(StandardNormal(1), Posterior(features, NormalFamily(), 1), features, rungs, decoded(2))


def flat_of_codes(n):
    likelihood = Likelihood(MLPDecoder(1, (2, n), (4,), **TANH), NormalFamily(), (n,))
    return Flat(StandardNormal(1), Posterior(encoder((n,)), NormalFamily(), 1), likelihood)


def m2(event=(D,), likelihood=None, n_classes=CLASSES, family=None):
    return SemiSupervised(
        StandardNormal(2), Posterior(encoder(event, n_condition=n_classes), family or NormalFamily(), 2),
        likelihood or decoded(2, event, n_condition=n_classes), Classifier(encoder(event), n_classes),
    )


def m2_of_codes(n):
    likelihood = Likelihood(MLPDecoder(2, (2, n), (4,), n_condition=CLASSES, **TANH), NormalFamily(), (n,))
    return m2((n,), likelihood)


def cvae_of(n_condition):
    return Flat(
        ConditionalPrior(2, n_condition=n_condition, hidden=(4,)), posterior(2, n_condition=n_condition),
        decoded(2, n_condition=n_condition),
    )


def deep():
    blocks = MLPBlocks((D,), width=6, channels=1, n_levels=2, n_blocks=2)
    return VeryDeep(blocks, decoded(6))


def deep_images():
    event = (1, 3, 1)
    blocks = ConvBlocks(event, width=4, channels=1, n_blocks=1)
    width, h, w = blocks.feature_shape
    likelihood = Likelihood(FeatureMap((width, h, w), (1, *event)), BernoulliFamily(), event)
    return VeryDeep(blocks, likelihood)


def gated_steps(structured=True, direction="backward"):
    features = Recurrent(1, 4, direction=direction)
    q = Combined(2, features.width) if structured else conditional(features.width, 2)
    return StateSpace(GatedTransition(2, (4,)), features, q, decoded(2, (1,)), 3, structured=structured)


def drawing_network():
    return VRNN(conditional(4, 2), conditional(8, 2), decoded(8, (1,)), 1, 3, width=4)


LOUD = ("from_x", "from_z", "cell", "emission")
SEQUENCES = ("state_space", "mean_field", "both_ways", "vrnn")
MAKERS = {
    "two_level": two_level,
    "two_level_mixture": lambda: two_level(MixtureOfNormals(2, n_components=3)),
    "ladder": ladder,
    "stacked": lambda: Stacked(posterior(2), decoded(2), flat_of_codes(2)),
    "three_stacked": lambda: Stacked(posterior(2), decoded(2), Stacked(
        Posterior(encoder((2,)), NormalFamily(), 1),
        Likelihood(MLPDecoder(1, (2, 2), (4,), **TANH), NormalFamily(), (2,)), flat_of_codes(1),
    )),
    "very_deep": deep,
    "very_deep_images": deep_images,
    "m1": lambda: Probed(Flat(StandardNormal(2), posterior(2), decoded(2)), Probe(2, CLASSES)),
    "m2": m2,
    "m2_full": lambda: m2(family=FullNormalFamily()),
    "m1_m2": lambda: Stacked(posterior(2), decoded(2), m2_of_codes(2)),
    "state_space": gated_steps,
    "mean_field": lambda: gated_steps(structured=False, direction="forward"),
    "both_ways": lambda: gated_steps(direction="both"),
    "vrnn": drawing_network,
    "structured": lambda: Structured(cvae_of(1), (D,), observed="1"),
}


def make(name, seed=0):
    """A model whose every parameter has been moved away from its start."""
    torch.manual_seed(seed)
    model = MAKERS[name]().double()
    with torch.no_grad():
        for key, p in model.named_parameters():  # latents must matter, or a wrong draw of one would not show
            p.add_((1.5 if key.startswith(LOUD) or "enter" in key else 0.3) * torch.randn_like(p))
            if key in ("transition.linear.weight", "transition.scale.weight"):  # a walk within reach of the posterior
                p.mul_(0.2)
        widen(model)
    return model


class Blind(torch.nn.Module):
    """A posterior that is the prior: its importance weights are likelihoods, which are bounded."""

    def __init__(self, model):
        super().__init__()
        self.prior = [model.prior if isinstance(model, VRNN) else model.transition]
        self.at = 1 if isinstance(model, VRNN) else 0

    def forward(self, *given):
        return self.prior[0](given[self.at])


def blinded(model):
    """The sequence model with its prior as posterior."""
    model.recognition = Blind(model)
    if isinstance(model, StateSpace):
        model.z_q_0 = model.z_0
    return model


def widen(model):
    """Make posteriors wider than priors, so that importance weights are bounded and error bars can be believed."""
    for name, p in model.named_parameters():
        if name.endswith(("posterior.head.bias", "recognition.head.bias", "q_net.5.bias")):
            n = {2: 1, 4: 2, 5: 2}[len(p)]  # five raw numbers: two locations, two scales, one below the diagonal
            p[n : 2 * n] += 1.5


def rows(name, x):
    """A batch of three-bit rows in the shape the model takes."""
    shape = (3, 1) if name in SEQUENCES else (1, 3, 1) if name == "very_deep_images" else (3,)
    return Batch(x.reshape(-1, *shape))
