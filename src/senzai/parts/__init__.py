"""Parts: priors, posteriors and likelihoods, modules whose call returns a ``torch.distributions.Distribution``."""

from .bent import FlowPosterior as FlowPosterior
from .bent import IAFPosterior as IAFPosterior
from .bent import PlanarPosterior as PlanarPosterior
from .bent import RadialPosterior as RadialPosterior
from .bent import SplinePosterior as SplinePosterior
from .bent import SylvesterPosterior as SylvesterPosterior
from .borrowed import ExemplarPrior as ExemplarPrior
from .borrowed import VampPrior as VampPrior
from .chains import AutoregressivePrior as AutoregressivePrior
from .flows import FlowPrior as FlowPrior
from .likelihoods import AnyLikelihood as AnyLikelihood
from .likelihoods import Likelihood as Likelihood
from .matching import FlowMatchingPrior as FlowMatchingPrior
from .posteriors import AnyPosterior as AnyPosterior
from .posteriors import Joint as Joint
from .posteriors import Posterior as Posterior
from .posteriors import Proposal as Proposal
from .priors import LearnedNormal as LearnedNormal
from .priors import MixtureOfNormals as MixtureOfNormals
from .priors import Prior as Prior
from .priors import StandardNormal as StandardNormal
from .resampled import ResampledPrior as ResampledPrior
from .two_stage import FullMixture as FullMixture
from .two_stage import MovedPrior as MovedPrior
from .two_stage import TwoStagePrior as TwoStagePrior
