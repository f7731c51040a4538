"""Objectives: frozen settings called on ``(model, batch, step)`` that return per-row terms in nats; no state."""

from ..core.renamed import old_attributes as _old_attributes
from .acyclic import GraphSearch as GraphSearch
from .aggressive import Aggressive as Aggressive
from .base import Objective as Objective
from .base import Player as Player
from .base import Terms as Terms
from .by_length import ByLength as ByLength
from .capacity import Capacity as Capacity
from .causal import ConceptBound as ConceptBound
from .causal import MechanismLikelihood as MechanismLikelihood
from .code_critics import AdversarialCodes as AdversarialCodes
from .code_critics import Factor as Factor
from .dip import DIP as DIP
from .effects import EffectBound as EffectBound
from .elbo import ELBO as ELBO
from .generators import FlowMatching as FlowMatching
from .generators import MaximumLikelihood as MaximumLikelihood
from .generators import NonSaturating as NonSaturating
from .image_terms import ImageTerms as ImageTerms
from .importance import ImportanceWeighted as ImportanceWeighted
from .labels import Layerwise as Layerwise
from .labels import ProbedBound as ProbedBound
from .labels import SemiSupervisedBound as SemiSupervisedBound
from .matching import LatentMatching as LatentMatching
from .mmd import MMD as MMD
from .quantised import CodeBound as CodeBound
from .rae import RAE as RAE
from .regularised import Regularised as Regularised
from .renyi import Renyi as Renyi
from .row_critics import VAEGAN as VAEGAN
from .sharpened import Sharpened as Sharpened
from .spectral import SpectralCodes as SpectralCodes
from .symbols import BagOfSymbols as BagOfSymbols
from .total_correlation import TotalCorrelation as TotalCorrelation
from .warmup import Constant as Constant
from .warmup import Cyclical as Cyclical
from .warmup import LinearWarmup as LinearWarmup
from .warmup import Monotone as Monotone
from .warmup import ShareWarmup as ShareWarmup
from .warmup import Warmup as Warmup

__getattr__ = _old_attributes(__name__, {"Linear": "LinearWarmup", "Share": "ShareWarmup"})
