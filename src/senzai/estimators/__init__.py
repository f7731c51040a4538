"""Estimators with the interface of scikit-learn; each holds settings and, after ``fit``, a run with its verbs."""

from .density import VAEDensity as VAEDensity
from .detector import VAEDetector as VAEDetector
from .imputer import VAEImputer as VAEImputer
from .resampler import VAEResampler as VAEResampler
from .synthesizer import VAESynthesizer as VAESynthesizer
from .transformer import VAETransformer as VAETransformer
