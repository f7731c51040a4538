"""Latent-variable models: a joint with an inference; few classes, told apart by structure and never by a paper."""

from .base import Group as Group
from .base import Inference as Inference
from .base import LatentModel as LatentModel
from .flat import Flat as Flat
