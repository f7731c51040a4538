"""Generative models, most of them with latents and an inference; a class for each structure, not for each paper."""

from .base import Classifies as Classifies
from .base import Group as Group
from .base import Inference as Inference
from .base import LatentModel as LatentModel
from .concepts import Concepts as Concepts
from .explicit import Explicit as Explicit
from .flat import Flat as Flat
from .generative import Generative as Generative
from .implicit import Implicit as Implicit
from .language import LanguageModel as LanguageModel
from .probed import Probed as Probed
from .quantised import Quantised as Quantised
from .semi_supervised import SemiSupervised as SemiSupervised
from .stacked import Stacked as Stacked
from .state_space import StateSpace as StateSpace
from .structural import Structural as Structural
from .structured import Structured as Structured
from .top_down import TopDown as TopDown
from .very_deep import VeryDeep as VeryDeep
from .vrnn import VRNN as VRNN
