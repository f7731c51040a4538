"""The scikit-learn face: estimators that fit in pipelines; each is settings, a run, and the verbs of that run."""

from .density import VAEDensity as VAEDensity
from .detector import VAEDetector as VAEDetector
from .imputer import VAEImputer as VAEImputer
from .resampler import VAEResampler as VAEResampler
from .synthesizer import VAESynthesizer as VAESynthesizer
from .transformer import VAETransformer as VAETransformer
