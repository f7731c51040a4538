"""Objectives: frozen settings called on ``(model, batch, step)`` that return per-row terms in nats; no state."""

from .aggressive import Aggressive as Aggressive
from .base import Objective as Objective
from .base import Player as Player
from .base import Terms as Terms
from .capacity import Capacity as Capacity
from .code_critics import AdversarialCodes as AdversarialCodes
from .code_critics import Factor as Factor
from .dip import DIP as DIP
from .elbo import ELBO as ELBO
from .image_terms import ImageTerms as ImageTerms
from .importance import ImportanceWeighted as ImportanceWeighted
from .mmd import MMD as MMD
from .rae import RAE as RAE
from .regularised import Regularised as Regularised
from .renyi import Renyi as Renyi
from .row_critics import VAEGAN as VAEGAN
from .row_critics import Sharpened as Sharpened
from .total_correlation import TotalCorrelation as TotalCorrelation
from .warmup import Constant as Constant
from .warmup import Cyclical as Cyclical
from .warmup import Linear as Linear
from .warmup import Monotone as Monotone
from .warmup import Share as Share
from .warmup import Warmup as Warmup
