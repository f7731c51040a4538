"""How rows of each kind are shown: views, by the name of the kind; all that a report knows of a kind's data is here."""

from . import array as _array
from . import audio as _audio
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
from .base import DEFAULT as DEFAULT
from .base import VIEWS as VIEWS
from .base import View as View
from .base import view_of as view_of

del (
    _array, _audio, _counts, _documents, _images, _interactions, _molecules, _multimodal, _music,
    _series, _table, _text, _volume,
)
