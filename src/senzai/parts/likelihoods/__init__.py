"""Likelihoods: ``likelihood(z, c=None) -> p(x | z)``."""

from .autoregressive import MADE as MADE
from .autoregressive import PixelCNN as PixelCNN
from .decoded import Likelihood as Likelihood
from .inferred_depth import InferredDepth as InferredDepth
from .modalities import ModalLikelihood as ModalLikelihood
from .tokens import ConductorTokens as ConductorTokens
from .tokens import RecurrentTokens as RecurrentTokens
from .tokens import TransformerTokens as TransformerTokens
