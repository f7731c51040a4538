"""Tuning: many runs of one recipe, Optuna's choice of settings, and what mattered; it trains and judges runs."""

from .search import tune as tune
from .space import Dimension as Dimension
from .space import propose_space as propose_space
from .study import Tuned as Tuned
