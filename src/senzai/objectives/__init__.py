"""Objectives: frozen settings called on ``(model, batch, step)`` that return per-row terms in nats; no state."""

from .base import Objective as Objective
from .base import Player as Player
from .base import Terms as Terms
from .elbo import ELBO as ELBO
from .warmup import Constant as Constant
from .warmup import Cyclical as Cyclical
from .warmup import Linear as Linear
from .warmup import Monotone as Monotone
from .warmup import Warmup as Warmup
