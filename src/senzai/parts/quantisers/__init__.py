"""Quantisers and what belongs to them: coders before them, codebooks inside them."""

from .codebooks import Codebook as Codebook
from .codebooks import perplexity as perplexity
from .coders import Coder as Coder
from .coders import GridCoder as GridCoder
from .coders import SetCoder as SetCoder
from .scalar import FSQ as FSQ
from .scalar import LFQ as LFQ
from .vector import VQ as VQ
from .vector import Quantisation as Quantisation
from .vector import Quantiser as Quantiser
from .vector import ResidualVQ as ResidualVQ
from .waves import CodeStream as CodeStream
from .waves import WaveCoder as WaveCoder
