"""The kind `multimodal`: rows that are pictures, sentences, sounds and columns of a table side by side."""

from .details import MultimodalDetails as MultimodalDetails
from .details import details_of as details_of
from .details import one_of as one_of
from .kind import MultimodalKind as MultimodalKind
