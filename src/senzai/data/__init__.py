"""Kinds and schemas: what a user's file becomes, and the exact way back; may use core, knows no model and no family."""

from ..core.renamed import old_attributes as _old_attributes
from . import array as _array
from . import audio as _audio
from . import builtin as _builtin
from . import counts as _counts
from . import documents as _documents
from . import images as _images
from . import interactions as _interactions
from . import molecules as _molecules
from . import multimodal as _multimodal
from . import music as _music
from . import series as _series
from . import table as _table
from . import text as _text
from . import volume as _volume
from .describe import describe as describe
from .features import RowFeatures as RowFeatures
from .kind import KINDS as KINDS
from .kind import Claim as Claim
from .kind import Kind as Kind
from .kind import Opened as Opened
from .open import Dataset as Dataset
from .open import detect_kind as detect_kind
from .open import open_data as open_data
from .open import public_template as public_template
from .options import Options as Options
from .proposal import Choice as Choice
from .proposal import Proposal as Proposal
from .rows import Rows as Rows
from .schema import Axis as Axis
from .schema import Condition as Condition
from .schema import Field as Field
from .schema import Form as Form
from .schema import Label as Label
from .schema import Schema as Schema
from .schema import Split as Split
from .schema import Values as Values
from .sources import BUILT_IN as BUILT_IN

del (
    _array, _audio, _builtin, _counts, _documents, _images, _interactions, _molecules,
    _multimodal, _music, _series, _table, _text, _volume,
)

__getattr__ = _old_attributes(__name__, {
    "Table": "senzai.data.table:TableDetails", "Column": "senzai.data.table:Column",
})
