"""Parts: priors, posteriors and likelihoods, modules whose call returns a ``torch.distributions.Distribution``."""

from .likelihoods import AnyLikelihood as AnyLikelihood
from .likelihoods import Likelihood as Likelihood
from .posteriors import AnyPosterior as AnyPosterior
from .posteriors import Posterior as Posterior
from .priors import LearnedNormal as LearnedNormal
from .priors import MixtureOfNormals as MixtureOfNormals
from .priors import Prior as Prior
from .priors import StandardNormal as StandardNormal
