"""The scikit-learn face: estimators that fit in pipelines; each is settings, a run, and the verbs of that run."""

from .density import VAEDensity as VAEDensity
from .transformer import VAETransformer as VAETransformer
